"""The other half of the proof: that what an entry does not list is not open next to what it opens.

For each probe that was open: an address on the same port that no entry lists, and, where the entry's port is TLS, another
server name on the same address. Under REGISTRY_ONLY both are refused; under ALLOW_ANY they are let out, which is reported.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from egressctl.envoy.config import ALLOWING_POLICIES, LETS_OUT
from egressctl.errors import CouldNotAsk, InvalidInput, NoSourcePod
from egressctl.istio.listing import every_address_of, host_of_whole_port, lists_address, takes_whole_port
from egressctl.manifests.formats import HTTP_PROTOCOLS, TLS_PROTOCOLS
from egressctl.manifests.probes import url_fault
from egressctl.manifests.service_entry import read_entry
from egressctl.mesh.client import Mesh
from egressctl.mesh.sidecar import Sidecar
from egressctl.model.blocks import Block, bracketed, parse_block, parse_blocks
from egressctl.model.cause import Cause, CauseCode
from egressctl.model.entry import ServiceEntry
from egressctl.model.probe import Expectation, Probe, Verdict
from egressctl.model.result import ProbeResult, TargetResult
from egressctl.runtime.progress import Progress
from egressctl.runtime.sanitize import quote
from egressctl.verify.select import VerifyTarget
from egressctl.verify.verify import ProbeOptions, verify

OTHER_NAME = "around.invalid"
"""A server name that no entry can mean and no DNS answers for (RFC 6761, section 6.4)."""

_SPECIAL = """0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24
    192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/3
    ::/3 2001::/23 2001:db8::/32 2002::/16 3fff::/20 4000::/2 8000::/1"""
_NOT_PUBLIC = parse_blocks(_SPECIAL.split())
"""IANA's special-purpose address registries, and for IPv6 what is not global unicast."""


@dataclass(frozen=True, slots=True)
class _BoundaryProbe:
    """A probe next to one that was open, of the same target."""

    probe: Probe
    name: str
    """The server name that is asked for instead, empty where it is the address that is another."""


def verify_boundary(
    mesh: Mesh,
    sidecar: Sidecar | NoSourcePod,
    wanted: Sequence[VerifyTarget],
    results: Sequence[TargetResult],
    options: ProbeOptions,
    progress: Progress,
    address: str = "",
) -> list[TargetResult]:
    """Send the probes next to those that were open, and return the targets with these results added.

    `results` are those of `wanted`, in its order. `address` is asked in place of the first one that no entry lists. They
    are expected to be blocked, and sent once.
    """
    if isinstance(sidecar, NoSourcePod) or not any(
        map(_is_open_as_expected, (probe for each in results for probe in each.probes))
    ):
        return list(results)
    blocks = _blocks_of_all_entries(mesh, sidecar.source.namespace, wanted, progress)
    asked = [list(_boundary_probes(each, result, blocks, address)) for each, result in zip(wanted, results, strict=True)]
    questions = [each._replace(probes=tuple(one.probe for one in ones)) for each, ones in zip(wanted, asked, strict=True)]
    found = verify(mesh, sidecar, questions, ProbeOptions(options.limits), progress)
    added = []
    for each, result, ones, beside in zip(wanted, results, asked, found, strict=True):
        entry = read_entry(each.manifest) if each.manifest else None
        several = f"a ServiceEntry of {each.name}" if each.others else ""
        probes = [_judge_boundary(probe, one, entry, several) for probe, one in zip(beside.probes, ones, strict=True)]
        diverted = {probe.probe.port for probe in probes if probe.held and _was_diverted(probe)}
        for number in sorted(diverted):
            host = host_of_whole_port(entry, number) if entry else ""
            progress.warn(
                f"{result.name}: every connection of the pods on port {number}, to any address, is sent to "
                f"{host or 'the host of the entry'}: list the addresses that are meant, or declare TLS or HTTP"
            )
        out = (probe for probe in probes if probe.held and probe.verdict is not Verdict.BLOCKED and not _was_diverted(probe))
        if policy := next((probe.evidence.policy for probe in out if probe.evidence), ""):
            progress.warn(
                f"{result.name}: the outbound traffic policy is {policy}, which lets out what no entry lists: "
                "nothing around it is closed"
            )
        added.append(replace(result, probes=(*result.probes, *probes)))
    return added


def parse_boundary_address(text: str, *, allow_internal: bool) -> str:
    """Read the address that is to be asked, empty for none. Raises InvalidInput."""
    if not text:
        return text
    if "/" in text or parse_block(text) is None:
        raise InvalidInput(f"--around-address {text}: no address", hint="such as 192.0.2.1")
    if fault := url_fault(f"https://[{text}]" if ":" in text else f"https://{text}", allow_internal=allow_internal):
        raise InvalidInput(f"--around-address: {fault[0]}", hint=fault[1])
    return text


def refuse_listed_address(wanted: Sequence[VerifyTarget], address: str) -> None:
    """Raise InvalidInput where an address that is to be refused is one that an entry lists."""
    for manifest in (manifest for each in wanted for manifest in each.manifests):
        if (entry := read_entry(manifest)).addresses and lists_address(entry, address):
            raise InvalidInput(
                f"--around-address {address}: {entry} lists it, but it must be one that the entry does not list",
                hint="leave it out: then egressctl chooses one",
            )


def _is_open_as_expected(result: ProbeResult) -> bool:
    expected = result.verdict is result.probe.expect.verdict is Verdict.OPEN
    return expected and result.source is not None and result.outcome is not None


def _blocks_of_all_entries(mesh: Mesh, namespace: str, wanted: Sequence[VerifyTarget], progress: Progress) -> list[Block]:
    """Return every block of every ServiceEntry that may be read."""
    own = [read_entry(manifest) for each in wanted for manifest in each.manifests]
    try:
        entries, whole = mesh.readable_entries(namespace)
    except CouldNotAsk:
        entries, whole = (), False
    if not whole:
        progress.warn("no right to list the ServiceEntries of all namespaces: one of them may list the address that is asked")
    return [block for entry in (*own, *entries) for block in parse_blocks(entry.addresses)]


def _boundary_probes(
    wanted: VerifyTarget, result: TargetResult, blocks: Sequence[Block], address: str
) -> Iterable[_BoundaryProbe]:
    entry = read_entry(wanted.manifest) if wanted.manifest else None
    for probe in filter(_is_open_as_expected, result.probes):
        assert probe.outcome is not None
        expect = Expectation(Verdict.BLOCKED, status=None)
        prefix = probe.evidence.walk.prefix if probe.evidence and probe.evidence.walk else ""
        # Without addresses, a TLS or HTTP port is opened for the entry's names at whatever address.
        by_name = entry is not None and not entry.addresses and not takes_whole_port(entry, probe.probe.port)
        if not by_name and (ip := address or first_address_outside(probe.outcome.remote_ip, prefix, blocks)):
            name = f"{probe.probe.name}, around: address"
            yield _BoundaryProbe(replace(probe.probe, name=name, expect=expect, extract={}, connect_ip=ip), "")
        if entry and _chooses_by_name(entry, probe.probe):
            scheme, usual = ("https", 443) if probe.probe.speech.tls else ("http", 80)
            port = "" if probe.probe.port == usual else f":{probe.probe.port}"
            url = f"{scheme}://{OTHER_NAME}{port}"
            name = f"{probe.probe.name}, around: name"
            yield _BoundaryProbe(Probe(name, url, expect, connect_ip=probe.outcome.remote_ip), OTHER_NAME)


def _chooses_by_name(entry: ServiceEntry, probe: Probe) -> bool:
    """Say whether the name alone keeps others out: a TLS port, and where Envoy goes to whatever name it is told, HTTP as well."""
    by_name = TLS_PROTOCOLS if probe.speech.tls else HTTP_PROTOCOLS if entry.resolution == "DYNAMIC_DNS" else frozenset()
    return any(port.number == probe.port and port.protocol.upper() in by_name for port in entry.ports)


def first_address_outside(ip: str, prefix: str, blocks: Iterable[Block]) -> str:
    """Return the first public address after a block (or an address) that none of the blocks holds; empty where there is none.

    A block that holds every address is passed over: what it opens is what is to be shown. Behind the last address comes
    the first.
    """
    own = parse_block(prefix) if prefix else None
    start = own if own and own.length else parse_block(ip)
    if start is None:
        return ""
    taken = [block for block in (*blocks, *_NOT_PUBLIC, start) if block.version == start.version and block.length]
    ranges = sorted((block.network, block.last) for block in taken)
    everything = start.cut(0)
    for candidate in (start.last + 1, 0):
        free = _first_free(candidate, ranges)
        if free <= everything.last:
            return everything._replace(network=free).address
    return ""


def _first_free(candidate: int, ranges: Sequence[tuple[int, int]]) -> int:
    """Return the first number from `candidate` on that is in none of the ranges, which are sorted by their beginnings."""
    for first, last in ranges:
        if first <= candidate <= last:
            candidate = last + 1
    return candidate


def _was_diverted(result: ProbeResult) -> bool:
    """Say whether Envoy sent it to an entry's own host: then it did not get where it was to be refused."""
    owner = result.evidence.owner if result.evidence else None
    return owner is not None and owner.elsewhere and result.verdict in (Verdict.BYPASSED, Verdict.FAILED)


def _judge_boundary(result: ProbeResult, asked: _BoundaryProbe, entry: ServiceEntry | None, several: str = "") -> ProbeResult:
    """Hold the result against what is to be, and say what it means for the entry; `several` names those of its target."""
    if result.cause and result.cause.code in (CauseCode.NO_SIDECAR, CauseCode.NOT_CAPTURED):
        return result
    evidence, port = result.evidence, result.probe.port
    carried = evidence.walk.envoy_cluster if evidence and evidence.walk else None
    whose = several or (str(entry) if entry else "a ServiceEntry")
    place = f"{bracketed(asked.probe.connect_ip)}:{port}"
    what = f"server name {asked.name} at {place}" if asked.name else place
    if result.verdict is Verdict.BLOCKED and result.cause:
        return replace(result, cause=result.cause._replace(message=f"{what} is not what {whose} lists, and the mesh refused it"))
    let_out = result.verdict in (Verdict.BYPASSED, Verdict.FAILED) and evidence is not None and carried in LETS_OUT
    if let_out and result.cause and evidence and evidence.policy in ALLOWING_POLICIES:
        told = f"{what} is not what {whose} lists, and the outbound traffic policy {evidence.policy} let it out"
        return replace(result, held=True, cause=Cause(CauseCode.PASSTHROUGH, told, result.cause.hint))
    if _was_diverted(result):
        return replace(result, held=True)
    if result.verdict not in (Verdict.OPEN, Verdict.BYPASSED, Verdict.FAILED) or carried is None:
        return result
    told = f"{what} is not what {whose} lists, and {carried} let it out"
    if entry and not asked.name and (takes_whole_port(entry, port) or any(map(every_address_of, entry.addresses))):
        told = f"{whose} takes the whole port {port}: {what} is open through {carried} as well"
    code = CauseCode.HOST_NOT_LISTED if asked.name else CauseCode.ADDRESS_NOT_LISTED
    hint = f"egressctl lint {quote(f'serviceentry/{entry.name}')} -n {quote(entry.namespace)}" if entry else ""
    return replace(result, held=False, cause=Cause(code, told, hint))
