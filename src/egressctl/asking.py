"""Run curl in the source pod and pilot-agent in its sidecar, and make the best of what comes back.

An exec may lose its end, its output or both, and a container may lack the program or have an old one. What came is
used, a loss is asked for once more, and what cannot be had is said in a sentence.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass

from egressctl import curl, oldcurl
from egressctl.errors import CouldNotAsk, ExecFailed, ProxyUnreadable
from egressctl.kube import exec as kube_exec
from egressctl.kube.exec import ExecResult
from egressctl.kube.rest import Api
from egressctl.model.evidence import Outcome, Source
from egressctl.model.probe import Probe
from egressctl.podspec import ADMIN_PORT
from egressctl.runtime.concurrency import begin

_PROXY_TIMEOUT = 30.0
_PROXY_LIMIT, _CURL_LIMIT = 64 << 20, 8 << 20
_NOT_CURLS = (None, 126, 127)
"""Ends of a program that never ran: no exit code, or the shells' and runtimes' own. curl's go up to 101."""
_OTHERS_ASKED = 3
_LOOKS, _BETWEEN_LOOKS = 3, 0.5
"""How often, and after how many seconds each, the socket table is read while a connection is held open for two seconds."""


class NoCurl(ExecFailed):
    """The container has no curl, or one that is too old."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What came back of one transfer: its outcome (None: its report is lost, and `lost` says why) and the socket table."""

    outcome: Outcome | None
    table: str
    lost: str = ""


# The sidecar


def ask_proxy(api: Api, source: Source, path: str) -> str:
    """Return what the sidecar's admin interface answers to `GET path`. Raises ProxyUnreadable and what `exec` raises."""
    if source.proxy is None:
        raise ProxyUnreadable(f"pod {source.namespace}/{source.pod} has no sidecar")
    port = ("--debug-port", str(source.admin_port)) if source.admin_port else ()
    ran = _run_proxy(api, source, ("pilot-agent", "request", *port, "GET", path))
    if port and ran.code and re.search(rb"not in allowed list|unknown flag", ran.stderr):
        # Where pilot-agent takes Istio's own ports only, it knows by itself a socket that leads there.
        ran = _run_proxy(api, source, ("pilot-agent", "request", "GET", path))
    return proxy_answer(source, path, ran)


def _run_proxy(api: Api, source: Source, argv: Sequence[str]) -> ExecResult:
    def run() -> ExecResult:
        return kube_exec.run(
            api, source.namespace, source.pod, source.proxy or "", argv, timeout=_PROXY_TIMEOUT, limit=_PROXY_LIMIT
        )

    ran = run()
    whole = ran.code == 0 and bool(ran.stdout.strip())
    # A short exec loses its streams once in some hundreds; asking a second time costs nothing.
    return ran if whole or ran.truncated or lacks(ran, "pilot-agent") else run()


def proxy_answer(source: Source, path: str, ran: ExecResult) -> str:
    """Return the JSON that `pilot-agent request` printed. Raises ProxyUnreadable, saying why there is none."""
    who = f"the sidecar of {source.pod}"
    if lacks(ran, "pilot-agent"):
        raise ProxyUnreadable(
            f"container {source.proxy} of pod {source.namespace}/{source.pod} has no pilot-agent, by which the sidecar is read"
        )
    if ran.truncated:
        raise ProxyUnreadable(f"{who} answered {path} with more than {_PROXY_LIMIT >> 20} MiB, which is not read")
    if ran.timed_out:
        raise ProxyUnreadable(f"{who} did not answer {path} within {_PROXY_TIMEOUT:g} s")
    if ran.code not in (0, None) or not ran.stdout.strip():
        said = ran.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or [ran.error or "nothing"]
        unready = f" (it is not ready: {source.proxy_state})" if source.proxy_state else ""
        port = f", asked at port {source.admin_port} as the pod says" if source.admin_port not in (0, ADMIN_PORT) else ""
        raise ProxyUnreadable(f"{who} did not answer {path}{port}: {said[0]}{unready}")
    return after_warnings(ran.stdout.decode("utf-8", "replace"))


def after_warnings(text: str) -> str:
    """Leave out the lines that pilot-agent logged before the JSON; where there is no JSON, return the text as it is."""
    start = 0
    while start < len(text):
        if text.startswith("{", start) and not _LOGGED.match(text, start):
            return text[start:] if start else text
        start = text.find("\n", start) + 1 or len(text)
    return text


_LOGGED = re.compile(r'\{"(?:level|severity|time)":"[^\n]*\}[ \r]*(?=\n)')
"""A line of a log in JSON."""


# The source pod


def send(api: Api, source: Source, probes: Sequence[Probe], limits: curl.Limits) -> list[Heard]:
    """Send the probes of one exec. An old curl is asked once more, each probe by itself, in the form that it understands.

    Raises NoCurl, ExecFailed and what `exec` raises.
    """
    bodies = sum(bool(probe.extract) for probe in probes)
    ran = _curl(api, source, curl.probe_argv(probes, limits), len(probes), limits, bodies)
    if not _is_old(api, source, ran):
        answer = curl.parse(probes, ran.stdout, ran.stderr)
        table, lost = socket_table(answer, ran), _lost(source, ran)
        return [Heard(outcome, answer.earlier.get(index, table), lost) for index, outcome in enumerate(answer.outcomes)]
    heard = []
    for probe in probes:
        argv = oldcurl.argv(curl.probe_argv([probe], limits))
        ran = _curl(api, source, argv, 1, limits, bool(probe.extract))
        answer = curl.parse([probe], ran.stdout, oldcurl.completed(ran.stderr, ended=ran.code is not None))
        heard.append(Heard(answer.outcomes[0], socket_table(answer, ran), _lost(source, ran)))
    return heard


def connect(api: Api, source: Source, addresses: Sequence[tuple[str, int]], limits: curl.Limits) -> list[Heard]:
    """Open a bare connection to each address, at most five, in one exec, or in one each where curl is old. Raises as `send`."""
    ran = _curl(api, source, curl.companion_argv(addresses, limits), len(addresses), limits)
    if not _is_old(api, source, ran):
        answer = curl.parse_companion(addresses, ran.stdout, ran.stderr)
        return [Heard(outcome, socket_table(answer, ran)) for outcome in answer.outcomes]
    heard = []
    for address in addresses:
        ran = _curl(api, source, oldcurl.argv(curl.companion_argv([address], limits)), 1, limits)
        answer = curl.parse_companion([address], ran.stdout, oldcurl.completed(ran.stderr, ended=ran.code is not None))
        heard.append(Heard(answer.outcomes[0], socket_table(answer, ran)))
    return heard


def connect_watched(api: Api, source: Source, address: tuple[str, int], limits: curl.Limits) -> tuple[Heard, list[str]]:
    """Open a bare connection to an address as `connect` does, and read the socket table several times meanwhile, by other execs.

    A listener that inspects what a client says first (tls_inspector, and Istio sets it no time-out) waits for a word as long
    as the connection is open. Then curl ends it, and whoever ends a connection keeps its only row.
    """

    def look() -> list[str]:
        tables = []
        for _ in range(_LOOKS):
            time.sleep(_BETWEEN_LOOKS)
            tables.append(curl.parse_table(_curl(api, source, curl.table_argv(), 1, limits).stdout))
        return tables

    looking = begin(look)
    (heard,) = connect(api, source, [address], limits)
    return heard, looking()


def curl_version(api: Api, source: Source) -> str:
    """Return what the container's curl says of itself. Raises NoCurl, ExecFailed and what `exec` raises."""
    return _curl(api, source, curl.VERSION_ARGV, 1, curl.LIMITS).stdout.decode("utf-8", "replace")


def _is_old(api: Api, source: Source, ran: ExecResult) -> bool:
    """Say whether this curl needs the old form; raise NoCurl where it is too old for that as well."""
    if oldcurl.is_too_old(ran.stderr):
        found = curl.version(curl_version(api, source))
        version = ".".join(map(str, found)) or "an old one"
        oldest = ".".join(map(str, oldcurl.OLDEST))
        raise NoCurl(
            f"curl in container {source.container} of pod {source.namespace}/{source.pod} is {version}, which cannot report "
            f"what a proof needs: that takes {oldest} or newer"
        )
    return oldcurl.is_old(ran.stderr)


def socket_table(answer: curl.Answer, ran: ExecResult) -> str:
    """Return the table that the command read last; one that may be cut at a line's end is given without its last end.

    That is so wherever the command was not seen to end: from a table that is not whole nothing follows by what it lacks.
    """
    return answer.table if ran.code is not None else answer.table.rstrip("\n")


def _lost(source: Source, ran: ExecResult) -> str:
    where = f"pod {source.namespace}/{source.pod}"
    if ran.truncated:
        return f"the answer from {where} is longer than {curl.BODY_LIMIT >> 20} MiB a body, and was cut: {ran.error}"
    return f"curl's report was lost on the way from {where}" + (f": {ran.error}" if ran.code is None and ran.error else "")


def _curl(api: Api, source: Source, argv: Sequence[str], count: int, limits: curl.Limits, bodies: int = 0) -> ExecResult:
    def run() -> ExecResult:
        return kube_exec.run(
            api,
            source.namespace,
            source.pod,
            source.container,
            argv,
            timeout=count * limits.total + _PROXY_TIMEOUT,
            limit=bodies * curl.BODY_LIMIT + _CURL_LIMIT,
        )

    ran = run()
    if not (ran.stdout or ran.stderr or ran.error):
        ran = run()
    if lacks(ran, "curl"):
        raise NoCurl(
            f"container {source.container} of pod {source.namespace}/{source.pod} has no curl, and wget, where it has that, "
            f"does not show which connection it made{_elsewhere(api, source)}"
        )
    if ran.code in (126, 127) or (ran.code is None and not ran.stderr and not ran.stdout):
        said = ran.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] if ran.code else []
        raise ExecFailed((said or [ran.error])[0] or f"the answer of pod {source.namespace}/{source.pod} was lost")
    return ran


def _elsewhere(api: Api, source: Source) -> str:
    """Name another container of the pod that has curl: a person may choose it, nothing does so by itself."""
    for name in source.others[:_OTHERS_ASKED]:
        try:
            ran = kube_exec.run(
                api, source.namespace, source.pod, name, curl.VERSION_ARGV, timeout=_PROXY_TIMEOUT, limit=_CURL_LIMIT
            )
        except CouldNotAsk:
            continue
        if curl.version(ran.stdout.decode("utf-8", "replace")) >= oldcurl.OLDEST:
            return f"; container {name} of the same pod has curl: -c {name}"
    return ""


def lacks(ran: ExecResult, program: str) -> bool:
    """Say whether a command was never run because the container has no such program.

    containerd and CRI-O say it in the status, others on the command's own streams with exit code 126 or 127.
    """
    if ran.code not in _NOT_CURLS:
        return False
    streams = (ran.stderr[:_WORDS] + b"\n" + ran.stdout[:_WORDS]).decode("utf-8", "replace") if ran.code else ""
    words = f"{ran.error}\n{streams}".replace("`", '"')
    name = re.escape(program)
    return bool(
        re.search(
            rf'executable file (?:"{name}" )?not found in \$PATH'
            rf'|executable "{name}" in PATH'
            rf'|exec: "?(?:/\S*/)?{name}"?: [^\n]*no such file or directory'
            rf"|stat (?:/\S*/)?{name}: no such file or directory"
            rf"|\b{name}: (?:command |applet )?not found",
            words,
            re.IGNORECASE,
        )
    )


_WORDS = 4000
