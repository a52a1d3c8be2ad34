"""Run curl in the source pod, and make the best of what comes back.

An exec may lose its end, its output or both, and a container may not have the program or have an old one. What came is
used, a loss is asked for once more, and what cannot be had is said in a sentence.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from egressctl.errors import ApiFailure, CouldNotAsk, ExecFailed, Forbidden
from egressctl.kube import exec as kube_exec
from egressctl.kube.exec import ExecResult, is_program_missing, says_program_is_missing
from egressctl.kube.rest import Api
from egressctl.kube.status import one_line
from egressctl.mesh import curl, old_curl, socket_table
from egressctl.model.cause import CauseCode
from egressctl.model.evidence import Capture, CurlOutcome, ProbeSent, Source
from egressctl.model.probe import Probe
from egressctl.runtime.concurrency import gather, start_call
from egressctl.runtime.text_search import SearchResult, search_text

_CURL_LIMIT = 8 << 20
_OTHERS_ASKED = 3
_LOOKS, _BETWEEN_LOOKS = 3, 0.5
"""How often, and after how many seconds each, the socket table is read while a connection is held open for two seconds."""
_TIMED_OUT = 28
"""curl's exit where a connection stayed open until its time was up."""
_ONE_ASKS = threading.Lock()
"""Several execs of a container find at the same time that its curl is an old one: one of them asks which."""
_EXECS = itertools.count()
"""Numbers the execs: two transfers of one exec with one local port shared a connection."""


class NoCurl(ExecFailed):
    """The container has no curl, or one that is too old."""


def send_probes(
    api: Api, source: Source, probes: Iterable[tuple[int, Probe]], limits: curl.TransferLimits, *, alone: bool
) -> list[Callable[[], list[tuple[int, ProbeSent]]]]:
    """Return one call for each exec that the numbered probes need; each gives results with their numbers.

    `alone` gives each probe a connection of its own. The calls never raise CouldNotAsk.
    """
    numbered = list(probes)
    chunks = curl.split_into_execs(((index, probe) for index, probe in numbered if not probe.bare), alone=alone)
    # Bare connections take longest, so they begin first.
    calls = [partial(_send_bare, api, source, index, probe, limits) for index, probe in numbered if probe.bare]
    return [*calls, *(partial(_send_chunk, api, source, chunk, limits) for chunk in chunks)]


def _send_bare(api: Api, source: Source, index: int, probe: Probe, limits: curl.TransferLimits) -> list[tuple[int, ProbeSent]]:
    return [(index, watch_bare_connection(api, source, (probe.connect_ip or probe.host, probe.port), limits))]


def _send_chunk(
    api: Api, source: Source, chunk: Sequence[tuple[int, Probe]], limits: curl.TransferLimits
) -> list[tuple[int, ProbeSent]]:
    try:
        sent = send_in_one_exec(api, source, [probe for _, probe in chunk], limits)
    except CouldNotAsk as failure:
        return [(index, _failed_probe(failure)) for index, _ in chunk]
    return [(index, each) for (index, _), each in zip(chunk, sent, strict=True)]


def send_in_one_exec(api: Api, source: Source, probes: Sequence[Probe], limits: curl.TransferLimits) -> list[ProbeSent]:
    """Send the probes of one exec; an old curl is asked once more, in the form that it understands.

    Raises NoCurl, ExecFailed and what `exec` and `search_bodies` raise.
    """
    if not _is_known_as_old(api, source):
        bodies = sum(bool(probe.extract) for probe in probes)
        ran = _run_curl(api, source, curl.probe_argv(probes, limits), len(probes), limits, bodies)
        if not old_curl.is_old(ran.stderr):
            return _probes_sent(source, search_bodies(probes, curl.parse_probes(probes, ran.stdout, ran.stderr)), ran)
        _note_old_curl(api, source)
    return [sent for part in old_curl.split_to_fit(probes, limits) for sent in _send_with_old_curl(api, source, part, limits)]


def _send_with_old_curl(api: Api, source: Source, probes: Sequence[Probe], limits: curl.TransferLimits) -> list[ProbeSent]:
    mark = old_curl.mark(probes, os.urandom(8).hex())
    bodies = sum(bool(probe.extract) for probe in probes)
    ran = _run_curl(api, source, old_curl.probe_argv(probes, limits, mark), len(probes), limits, bodies)
    return _probes_sent(source, search_bodies(probes, old_curl.parse_probes(probes, ran.stdout, mark)), ran)


def search_bodies(
    probes: Sequence[Probe], answer: curl.ExecOutput, search: Callable[[Mapping[str, str], bytes], SearchResult] = search_text
) -> curl.ExecOutput:
    """Search what came of the bodies for each probe's `extract`. Raises CouldNotAsk where that cannot be done."""
    outcomes = list(answer.outcomes)
    for index, (probe, outcome) in enumerate(zip(probes, outcomes, strict=True)):
        if outcome is None or not probe.extract:
            continue
        # Of a transfer that failed nothing is to be known but how.
        found, given_up = ({}, "") if outcome.curl_exit else search(probe.extract, answer.bodies[index])
        unmatched = tuple(name for name in probe.extract if name not in found)
        outcomes[index] = replace(outcome, extracted=found, unmatched=unmatched, given_up=given_up)
    return replace(answer, outcomes=tuple(outcomes))


def open_bare_connections(
    api: Api, source: Source, addresses: Sequence[tuple[str, int]], limits: curl.TransferLimits, scheme: str = curl.TELNET
) -> list[ProbeSent]:
    """Open a bare connection to each address, at most five, in one exec; an old curl is asked once more.

    Raises as `send_in_one_exec`.
    """
    if not _is_known_as_old(api, source):
        ran = _run_curl(api, source, curl.companion_argv(addresses, limits, scheme), len(addresses), limits)
        if not old_curl.is_old(ran.stderr):
            return _probes_sent(source, curl.parse_companion(addresses, ran.stdout, ran.stderr), ran)
        _note_old_curl(api, source)
    ran = _run_curl(api, source, old_curl.companion_argv(addresses, limits, scheme), len(addresses), limits)
    return _probes_sent(source, old_curl.parse_companion(addresses, ran.stdout), ran)


def watch_bare_connection(
    api: Api, source: Source, address: tuple[str, int], limits: curl.TransferLimits, scheme: str = curl.TELNET
) -> ProbeSent:
    """Open a bare connection to an address, and read the socket table several times meanwhile, by other execs.

    A listener that inspects what a client says first (tls_inspector, and Istio sets it no time-out) waits for a word as long
    as the connection is open. Then curl ends it, and the side that ends it keeps its only row. Never raises CouldNotAsk.
    """

    def look() -> list[str]:
        tables = []
        for _ in range(_LOOKS):
            time.sleep(_BETWEEN_LOOKS)
            tables.append(curl.parse_table(_run_curl(api, source, curl.table_argv(), 1, limits).stdout))
        return tables

    looking = start_call(look)
    try:
        [sent] = open_bare_connections(api, source, [address], limits, scheme)
        outcome, tables = sent.outcome, looking()
    except CouldNotAsk as failure:
        return _failed_probe(failure)
    if outcome is None or sent.capture is not Capture.UNKNOWN:
        return sent
    seen = {capture_of(table, outcome) for table in tables}
    capture = next((each for each in (Capture.CAPTURED, Capture.NOT_CAPTURED) if each in seen), Capture.UNKNOWN)
    return replace(sent, capture=capture)


def open_companions(api: Api, source: Source, addresses: Sequence[tuple[str, int]], limits: curl.TransferLimits) -> list[Capture]:
    """Open a bare connection to each address, after a refusal, and say whether the sidecar took it.

    What could not be asked is UNKNOWN. Addresses beyond five are asked in further execs. Where one was refused and its row is
    gone, another is opened: on a busy machine an ACK may come after the FIN that followed it, and what answers it resets the
    row in TIME_WAIT (RFC 1337).
    """
    others = limits._replace(local_ports=limits.local_ports and limits.local_ports[2 * curl.CONNECTIONS_PER_EXEC :])
    found: list[Capture] = []
    for start in range(0, len(addresses), curl.CONNECTIONS_PER_EXEC):
        part = addresses[start : start + curl.CONNECTIONS_PER_EXEC]
        seen, gone = _open_companions_once(api, source, part, limits)
        if gone:
            seen |= _open_companions_once(api, source, gone, others)[0]
        found += [seen[address] for address in part]
    return found


def _open_companions_once(
    api: Api, source: Source, addresses: Sequence[tuple[str, int]], limits: curl.TransferLimits
) -> tuple[dict[tuple[str, int], Capture], list[tuple[str, int]]]:
    """Return what companions of one exec show, and the addresses of those that were made, ended, and left no row."""
    scheme = curl.TELNET
    try:
        opened = open_bare_connections(api, source, addresses, limits)
        if any(each.outcome and each.outcome.curl_exit == curl.UNSUPPORTED_PROTOCOL for each in opened):
            scheme = curl.FTP
            opened = open_bare_connections(api, source, addresses, limits, scheme)
        sent = dict(zip(addresses, opened, strict=True))
    except CouldNotAsk:
        return dict.fromkeys(addresses, Capture.UNKNOWN), []
    exits = {
        address: each.outcome.curl_exit
        for address, each in sent.items()
        if each.outcome and each.outcome.local_port and each.capture is Capture.UNKNOWN
    }
    waiting = [address for address, code in exits.items() if code == _TIMED_OUT]
    held = gather([partial(watch_bare_connection, api, source, address, limits, scheme) for address in waiting], at_most=5)
    seen = {**sent, **dict(zip(waiting, held, strict=True))}
    return {address: each.capture for address, each in seen.items()}, [each for each in exits if each not in waiting]


def _probes_sent(source: Source, answer: curl.ExecOutput, ran: ExecResult) -> list[ProbeSent]:
    """Return what came back of each transfer of an exec: its outcome, or why there is none, and whether it was captured."""
    table, number = last_socket_table(answer, ran), next(_EXECS)
    lost = ProbeSent(None, failure=CauseCode.EVIDENCE_LOST, detail=_why_lost(source, ran))
    return [
        ProbeSent(outcome, capture_of(answer.earlier.get(index, table), outcome), (number, outcome.local_port))
        if outcome
        else lost
        for index, outcome in enumerate(answer.outcomes)
    ]


def _failed_probe(failure: CouldNotAsk) -> ProbeSent:
    code = CauseCode.EXEC_FORBIDDEN if isinstance(failure, Forbidden) else CauseCode.EXEC_FAILED
    return ProbeSent(None, failure=CauseCode.NO_CURL if isinstance(failure, NoCurl) else code, detail=str(failure))


def capture_of(table: str, outcome: CurlOutcome) -> Capture:
    """Say whether the sidecar had the other end of the connection that curl reports."""
    if not outcome.local_port or not outcome.remote_ip:
        return Capture.UNKNOWN
    return socket_table.capture_in_table(
        table,
        local_ip=outcome.local_ip,
        local_port=outcome.local_port,
        remote_ip=outcome.remote_ip,
        remote_port=outcome.remote_port,
    )


def curl_version(api: Api, source: Source) -> str:
    """Return what the container's curl says of itself. Raises NoCurl, ExecFailed and what `exec` raises."""
    return _run_curl(api, source, curl.VERSION_ARGV, 1, curl.DEFAULT_LIMITS).stdout.decode("utf-8", "replace")


def _is_known_as_old(api: Api, source: Source) -> bool:
    return (source.namespace, source.pod, source.container) in api.old_curls


def _note_old_curl(api: Api, source: Source) -> None:
    """Remember that this container's curl needs the old form; raise NoCurl where it is too old for that as well."""
    with _ONE_ASKS:
        if _is_known_as_old(api, source):
            return
        found = curl.parse_version(curl_version(api, source))
        if found and found < old_curl.OLDEST:
            version, oldest = (".".join(map(str, each)) for each in (found, old_curl.OLDEST))
            raise NoCurl(
                f"curl in container {source.container} of pod {source.namespace}/{source.pod} is {version}, which cannot report "
                f"what a proof needs: that takes {oldest} or newer"
            )
        api.old_curls.add((source.namespace, source.pod, source.container))


def last_socket_table(answer: curl.ExecOutput, ran: ExecResult) -> str:
    """Return the table that the command read last; one that may be cut at a line's end is given without its last end.

    That is so wherever the command was not seen to end: from a table that is not whole nothing follows by what it does not have.
    """
    return answer.table if ran.code is not None else answer.table.rstrip("\n")


def _why_lost(source: Source, ran: ExecResult) -> str:
    where = f"pod {source.namespace}/{source.pod}"
    if ran.truncated:
        return f"the answer from {where} is longer than {curl.BODY_LIMIT >> 20} MiB a body, and was cut: {ran.error}"
    return f"curl's report was lost on the way from {where}" + (
        f": {one_line(ran.error)}" if ran.code is None and ran.error else ""
    )


def _run_curl(
    api: Api, source: Source, argv: Sequence[str], count: int, limits: curl.TransferLimits, bodies: int = 0
) -> ExecResult:
    def run() -> ExecResult:
        return kube_exec.run_in_container(
            api,
            source.namespace,
            source.pod,
            source.container,
            argv,
            timeout=count * limits.total + api.exec_timeout,
            limit=bodies * curl.BODY_LIMIT + _CURL_LIMIT,
        )

    try:
        ran = run()
        if not (ran.stdout or ran.stderr or ran.error):
            ran = run()
    except (ExecFailed, ApiFailure) as failure:
        # Some stand-ins for a kubelet refuse the whole request.
        if says_program_is_missing(str(failure), "curl"):
            raise _no_curl(api, source) from None
        raise
    if is_program_missing(ran, "curl"):
        raise _no_curl(api, source)
    if ran.code in (126, 127) or (ran.code is None and not ran.stderr and not ran.stdout):
        said = (ran.stderr.strip() or ran.stdout).decode("utf-8", "replace").strip().splitlines()[-1:] if ran.code else []
        why = one_line((said or [ran.error])[0])
        raise ExecFailed(why or f"the answer of pod {source.namespace}/{source.pod} was lost")
    return ran


def _no_curl(api: Api, source: Source) -> NoCurl:
    return NoCurl(
        f"container {source.container} of pod {source.namespace}/{source.pod} has no curl, and wget, where it has that, "
        f"does not show which connection it made{_other_container_with_curl(api, source)}"
    )


def _other_container_with_curl(api: Api, source: Source) -> str:
    """Name another container of the pod that has curl: a person may choose it, nothing does so by itself."""
    for name in source.others[:_OTHERS_ASKED]:
        try:
            ran = kube_exec.run_in_container(
                api, source.namespace, source.pod, name, curl.VERSION_ARGV, timeout=api.exec_timeout, limit=_CURL_LIMIT
            )
        except CouldNotAsk:
            continue
        if curl.parse_version(ran.stdout.decode("utf-8", "replace")) >= old_curl.OLDEST:
            return f"; container {name} of the same pod has curl: -c {name}"
    return ""
