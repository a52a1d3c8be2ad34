"""Run curl in the source pod, and make the best of what comes back.

An exec may lose its end, its output or both, and a container may lack the program or have an old one. What came is
used, a loss is asked for once more, and what cannot be had is said in a sentence.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from egressctl.errors import CouldNotAsk, ExecFailed
from egressctl.kube import exec as kube_exec
from egressctl.kube.exec import ExecResult, is_program_missing
from egressctl.kube.rest import Api
from egressctl.mesh import curl, old_curl
from egressctl.model.evidence import CurlOutcome, Source
from egressctl.model.probe import Probe
from egressctl.runtime.concurrency import start_call

_EXEC_TIMEOUT = 30.0
"""Seconds that an exec may take beyond the time of its transfers."""
_CURL_LIMIT = 8 << 20
_OTHERS_ASKED = 3
_LOOKS, _BETWEEN_LOOKS = 3, 0.5
"""How often, and after how many seconds each, the socket table is read while a connection is held open for two seconds."""


class NoCurl(ExecFailed):
    """The container has no curl, or one that is too old."""


@dataclass(frozen=True, slots=True)
class CurlReport:
    """What came back of one transfer: its outcome (None: its report is lost, and `lost` says why) and the socket table."""

    outcome: CurlOutcome | None
    table: str
    lost: str = ""


def send_in_one_exec(api: Api, source: Source, probes: Sequence[Probe], limits: curl.TransferLimits) -> list[CurlReport]:
    """Send the probes of one exec. An old curl is asked once more, each probe by itself, in the form that it understands.

    Raises NoCurl, ExecFailed and what `exec` raises.
    """
    bodies = sum(bool(probe.extract) for probe in probes)
    ran = _run_curl(api, source, curl.probe_argv(probes, limits), len(probes), limits, bodies)
    if not _is_old(api, source, ran):
        answer = curl.parse_probes(probes, ran.stdout, ran.stderr)
        table, lost = last_socket_table(answer, ran), _why_lost(source, ran)
        return [CurlReport(outcome, answer.earlier.get(index, table), lost) for index, outcome in enumerate(answer.outcomes)]
    heard = []
    for probe in probes:
        argv = old_curl.old_curl_argv(curl.probe_argv([probe], limits))
        ran = _run_curl(api, source, argv, 1, limits, bool(probe.extract))
        answer = curl.parse_probes([probe], ran.stdout, old_curl.complete_report(ran.stderr, ended=ran.code is not None))
        heard.append(CurlReport(answer.outcomes[0], last_socket_table(answer, ran), _why_lost(source, ran)))
    return heard


def open_bare_connections(
    api: Api, source: Source, addresses: Sequence[tuple[str, int]], limits: curl.TransferLimits
) -> list[CurlReport]:
    """Open a bare connection to each address, at most five, in one exec, or in one each where curl is old.

    Raises as `send_in_one_exec`.
    """
    ran = _run_curl(api, source, curl.companion_argv(addresses, limits), len(addresses), limits)
    if not _is_old(api, source, ran):
        answer = curl.parse_companion(addresses, ran.stdout, ran.stderr)
        return [CurlReport(outcome, last_socket_table(answer, ran)) for outcome in answer.outcomes]
    heard = []
    for address in addresses:
        ran = _run_curl(api, source, old_curl.old_curl_argv(curl.companion_argv([address], limits)), 1, limits)
        answer = curl.parse_companion([address], ran.stdout, old_curl.complete_report(ran.stderr, ended=ran.code is not None))
        heard.append(CurlReport(answer.outcomes[0], last_socket_table(answer, ran)))
    return heard


def watch_bare_connection(
    api: Api, source: Source, address: tuple[str, int], limits: curl.TransferLimits
) -> tuple[CurlReport, list[str]]:
    """Open a bare connection to an address, and read the socket table several times meanwhile, by other execs.

    A listener that inspects what a client says first (tls_inspector, and Istio sets it no time-out) waits for a word as long
    as the connection is open. Then curl ends it, and whoever ends a connection keeps its only row.
    """

    def look() -> list[str]:
        tables = []
        for _ in range(_LOOKS):
            time.sleep(_BETWEEN_LOOKS)
            tables.append(curl.parse_table(_run_curl(api, source, curl.table_argv(), 1, limits).stdout))
        return tables

    looking = start_call(look)
    (heard,) = open_bare_connections(api, source, [address], limits)
    return heard, looking()


def curl_version(api: Api, source: Source) -> str:
    """Return what the container's curl says of itself. Raises NoCurl, ExecFailed and what `exec` raises."""
    return _run_curl(api, source, curl.VERSION_ARGV, 1, curl.DEFAULT_LIMITS).stdout.decode("utf-8", "replace")


def _is_old(api: Api, source: Source, ran: ExecResult) -> bool:
    """Say whether this curl needs the old form; raise NoCurl where it is too old for that as well."""
    if old_curl.is_too_old(ran.stderr):
        found = curl.parse_version(curl_version(api, source))
        version = ".".join(map(str, found)) or "an old one"
        oldest = ".".join(map(str, old_curl.OLDEST))
        raise NoCurl(
            f"curl in container {source.container} of pod {source.namespace}/{source.pod} is {version}, which cannot report "
            f"what a proof needs: that takes {oldest} or newer"
        )
    return old_curl.is_old(ran.stderr)


def last_socket_table(answer: curl.ExecOutput, ran: ExecResult) -> str:
    """Return the table that the command read last; one that may be cut at a line's end is given without its last end.

    That is so wherever the command was not seen to end: from a table that is not whole nothing follows by what it lacks.
    """
    return answer.table if ran.code is not None else answer.table.rstrip("\n")


def _why_lost(source: Source, ran: ExecResult) -> str:
    where = f"pod {source.namespace}/{source.pod}"
    if ran.truncated:
        return f"the answer from {where} is longer than {curl.BODY_LIMIT >> 20} MiB a body, and was cut: {ran.error}"
    return f"curl's report was lost on the way from {where}" + (f": {ran.error}" if ran.code is None and ran.error else "")


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
            timeout=count * limits.total + _EXEC_TIMEOUT,
            limit=bodies * curl.BODY_LIMIT + _CURL_LIMIT,
        )

    ran = run()
    if not (ran.stdout or ran.stderr or ran.error):
        ran = run()
    if is_program_missing(ran, "curl"):
        raise NoCurl(
            f"container {source.container} of pod {source.namespace}/{source.pod} has no curl, and wget, where it has that, "
            f"does not show which connection it made{_other_container_with_curl(api, source)}"
        )
    if ran.code in (126, 127) or (ran.code is None and not ran.stderr and not ran.stdout):
        said = ran.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] if ran.code else []
        raise ExecFailed((said or [ran.error])[0] or f"the answer of pod {source.namespace}/{source.pod} was lost")
    return ran


def _other_container_with_curl(api: Api, source: Source) -> str:
    """Name another container of the pod that has curl: a person may choose it, nothing does so by itself."""
    for name in source.others[:_OTHERS_ASKED]:
        try:
            ran = kube_exec.run_in_container(
                api, source.namespace, source.pod, name, curl.VERSION_ARGV, timeout=_EXEC_TIMEOUT, limit=_CURL_LIMIT
            )
        except CouldNotAsk:
            continue
        if curl.parse_version(ran.stdout.decode("utf-8", "replace")) >= old_curl.OLDEST:
            return f"; container {name} of the same pod has curl: -c {name}"
    return ""
