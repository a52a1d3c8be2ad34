"""Targets from a file or from flags, with every problem of the input reported at once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from egressctl.catalog.validation import MOST_ADDRESSES, check_readable, check_spec
from egressctl.errors import InvalidInput, Problem
from egressctl.manifests.egress_target import check_name_for_split, check_target_name, read_target
from egressctl.manifests.formats import LOCATIONS, MAX_ITEMS, RESOLUTIONS
from egressctl.manifests.probes import probe_name, probe_of_url, url_fault
from egressctl.manifests.problems import ProblemCollector
from egressctl.manifests.service_entry import derived_probes, read_entry
from egressctl.manifests.typed_host import TypedHost, is_address
from egressctl.manifests.yaml_reader import Document, InputPlace, ValuePath, parse_yaml, quote_text
from egressctl.model.entry import SUFFIX
from egressctl.model.probe import Expectation, Probe, Target

_PORT_FLAG = re.compile(r"([0-9]{1,9})(?:/([A-Za-z][A-Za-z0-9_-]*))?(?::(.*))?")


def load_targets(
    text: str, source: str, *, any_address: bool = False, allow_internal: bool = False, only_read: bool = False
) -> list[Target]:
    """Read every EgressTarget and every plain ServiceEntry of a YAML text, Lists included.

    `source` names the text in problems; `only_read` takes what can be read, however little may be said for it. Raises
    InvalidInput with all problems of all documents.
    """
    parsed = parse_yaml(text, source)
    problems = list(parsed.problems)
    targets: list[Target] = []
    first: dict[tuple[str | None, str], int | None] = {}
    for document in parsed.documents:
        target, wrong = read_target_document(
            document, any_address=any_address, allow_internal=allow_internal, only_read=only_read
        )
        problems += wrong
        if target:
            targets.append(target)
            place = document.place(("metadata", "name"))
            key = (target.namespace, target.entry_name)
            if key in first:
                twice = f"the ServiceEntry {target.entry_name} is here twice, first on line {first[key]}"
                problems.append(Problem(twice, place.field, "", place.source, place.line))
            first.setdefault(key, place.line)
    if problems:
        raise InvalidInput(problems=sorted(problems, key=lambda problem: problem.line or 0))
    return targets


def read_target_document(
    document: Document, *, any_address: bool = False, allow_internal: bool = False, only_read: bool = False
) -> tuple[Target | None, list[Problem]]:
    """Read one EgressTarget or ServiceEntry, with all its problems; no target where not even its name can be said.

    With `only_read`, what Istio or we would refuse is no problem as long as it can be read.
    """
    read = read_target(document, allow_internal=allow_internal)
    if read.spec is None:
        return read.target, read.problems

    def where(path: ValuePath) -> InputPlace:
        return document.place(read.path + path)

    if only_read:
        return read.target, [*read.problems, *check_readable(read.spec, where)]
    problems = check_spec(
        read.spec,
        where=where,
        any_address=any_address or read.blocks_unread,
        addresses=MOST_ADDRESSES if read.is_own else MAX_ITEMS,
    )
    return read.target, [*read.problems, *problems]


def target_from_flags(
    name: str,
    *,
    hosts: Sequence[str],
    addresses: Sequence[str] = (),
    ports: Sequence[str],
    resolution: str = RESOLUTIONS[0],
    location: str = LOCATIONS[0],
    export_to: Sequence[str] = (),
    probes: Sequence[str] = (),
    any_address: bool = False,
    allow_internal: bool = False,
) -> Target:
    """Make a target of what flags say; raise InvalidInput with all problems, each named by its flag.

    `addresses` and `export_to` may hold commas; a port is `443[/TCP][:name]`.
    """
    flags = {"hosts": "--host", "addresses": "--address", "ports": "--port", "exportTo": "--export-to"}

    def where(path: ValuePath) -> InputPlace:
        top = str(path[0]) if path else ""
        return InputPlace(flags.get(top, f"--{top}" if top else ""))

    found = ProblemCollector(where)
    spec: dict[str, Any] = {"hosts": list(hosts)}
    if addresses:
        spec["addresses"] = _split_at_commas(addresses)
    spec["ports"] = [port for text in ports if (port := _port_from_flag(found, text))]
    spec |= {"location": location.upper(), "resolution": resolution.upper()}
    if export_to:
        spec["exportTo"] = _split_at_commas(export_to)
    check_target_name(found, name, ("TARGET",), InputPlace("TARGET"))
    check_name_for_split(found, name, spec, InputPlace("TARGET"))
    unread = len(found.problems)
    problems = check_spec(spec, where=where, any_address=any_address, addresses=MOST_ADDRESSES)
    if unread and not spec["ports"]:
        problems = [problem for problem in problems if problem.field != "--port"]
    asked: list[Probe] = []
    for url in probes:
        if fault := url_fault(url, allow_internal=allow_internal):
            found.problems.append(Problem(fault[0], "--probe", fault[1]))
        else:
            asked.append(probe_of_url(url, probe_name(url, [probe.name for probe in asked])))
    if found.problems or problems:
        raise InvalidInput(problems=[*found.problems, *problems])
    return Target(name, name + SUFFIX, None, spec, tuple(asked) or derived_probes(read_entry({"spec": spec})))


def target_from_host(
    typed: TypedHost,
    *,
    export_to: Sequence[str] = (),
    probes: Sequence[str] = (),
    any_address: bool = False,
    allow_internal: bool = False,
) -> Target:
    """Make a target of a host that was typed: resolution DNS, or NONE for a wildcard, which DNS refuses.

    An address is listed on a TCP port, or one of the protocol that was typed, under a host that is made of it: a ServiceEntry
    must have one. Raises InvalidInput with the line to type where the port does not say what is safe there.
    """
    by_address = is_address(typed)
    if not by_address and not typed.known_protocol:
        shown = f"{typed.host}:{typed.known_port}"
        raise InvalidInput(
            f"port {typed.known_port} of {typed.host} may be TLS, HTTP or something else, and the sidecar must know which",
            hint=f"egressctl create {shown}/TLS, {shown}/HTTP, or {shown}/TCP for anything else, such as a database",
        )
    if not allow_internal and (fault := url_fault(f"https://{typed.host.removeprefix('*.')}")):
        raise InvalidInput(problems=[Problem(fault[0], "TARGET", fault[1])])
    name = typed.target_name
    protocol = (not typed.url and typed.protocol) or "TCP" if by_address else typed.known_protocol
    made = target_from_flags(
        name,
        hosts=[f"{name}.example" if by_address else typed.host],
        addresses=[typed.host.strip("[]")] if by_address else (),
        ports=[f"{typed.known_port}/{protocol}"],
        resolution="NONE" if by_address or typed.host.startswith("*") else "DNS",
        export_to=export_to,
        probes=probes,
        any_address=any_address,
        allow_internal=allow_internal,
    )
    if by_address and not probes:
        return replace(made, probes=(Probe(probe_name(typed.probe_url), typed.probe_url, Expectation(status=None)),))
    if probes or not urlsplit(typed.url).path.strip("/") or made.probes == ():
        return made
    return replace(made, probes=(Probe(made.probes[0].name, typed.url, Expectation(status=None)),))


def _split_at_commas(texts: Sequence[str]) -> list[str]:
    return [part.strip() for text in texts for part in text.split(",")]


def _port_from_flag(found: ProblemCollector, text: str) -> dict[str, Any] | None:
    match = _PORT_FLAG.fullmatch(text)
    if not match:
        found.add(("ports",), f"{quote_text(text)} is no port", "write 443, 443/TLS or 443/TCP:tcp-port")
        return None
    number, protocol, name = int(match[1]), (match[2] or "TCP").upper(), match[3]
    return {
        "number": number,
        "name": f"{protocol.lower().replace('_', '-')}-{number}" if name is None else name,
        "protocol": protocol,
    }
