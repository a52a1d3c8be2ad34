"""Ask a sidecar's admin interface by `pilot-agent request`, and read what comes back of it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from egressctl.errors import ProxyUnreadable
from egressctl.kube import exec as kube_exec
from egressctl.kube.exec import ExecResult, is_program_missing
from egressctl.kube.rest import Api
from egressctl.kube.status import one_line
from egressctl.mesh.pod_spec import ADMIN_PORT
from egressctl.model.evidence import Source

_LIMIT = 64 << 20
_SHOWN_END = 40


def ask_proxy(api: Api, source: Source, path: str) -> str:
    """Return what the sidecar's admin interface answers to `GET path`: a whole JSON document, else what is none.

    Raises ProxyUnreadable and what `exec` raises.
    """
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
        return kube_exec.run_in_container(
            api, source.namespace, source.pod, source.proxy or "", argv, timeout=api.exec_timeout, limit=_LIMIT
        )

    ran = run()
    whole = ran.code == 0 and bool(ran.stdout.strip()) and not is_cut(ran.stdout)
    # A short exec loses its streams once in some hundreds, and one of megabytes its end; asking a second time costs nothing.
    return ran if whole or ran.truncated or ran.timed_out or is_program_missing(ran, "pilot-agent") else run()


def is_cut(answer: bytes) -> bool:
    """Say whether an answer begins as JSON and does not end as that.

    Of many lines, none but the last begins with a brace that closes. What is written in one line is short, and is read for it.
    """
    if answer[-_SHOWN_END:].rstrip().endswith(b"\n}"):
        return False
    text = without_log_lines(answer.decode("utf-8", "replace")).strip()
    try:
        if text.startswith("{"):
            json.loads(text)
    except (ValueError, RecursionError):
        return True
    return False


def proxy_answer(source: Source, path: str, ran: ExecResult) -> str:
    """Return the JSON that `pilot-agent request` printed. Raises ProxyUnreadable, saying why there is none."""
    who = f"the sidecar of {source.pod}"
    if is_program_missing(ran, "pilot-agent"):
        raise ProxyUnreadable(
            f"container {source.proxy} of pod {source.namespace}/{source.pod} has no pilot-agent, by which the sidecar is read"
        )
    if ran.truncated:
        raise ProxyUnreadable(f"{who} answered {path} with more than {_LIMIT >> 20} MiB, which is not read")
    if ran.timed_out:
        raise ProxyUnreadable(f"{who} did not answer {path}: {one_line(ran.error)}")
    if ran.code not in (0, None) or not ran.stdout.strip():
        said = ran.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or [one_line(ran.error) or "nothing"]
        unready = f" (it is not ready: {source.proxy_state})" if source.proxy_state else ""
        port = f", asked at port {source.admin_port} as the pod says" if source.admin_port not in (0, ADMIN_PORT) else ""
        raise ProxyUnreadable(f"{who} did not answer {path}{port}: {said[0]}{unready}")
    if is_cut(ran.stdout):
        end = one_line(ran.stdout[-_SHOWN_END:].decode("utf-8", "replace"))
        how = f"; {one_line(ran.error)}" if ran.error else ""
        raise ProxyUnreadable(
            f"the answer of {who} to {path} was cut on its way, twice: {len(ran.stdout):,} bytes came, which end in {end!r}{how}"
        )
    return without_log_lines(ran.stdout.decode("utf-8", "replace"))


def without_log_lines(text: str) -> str:
    """Leave out the lines that pilot-agent logged before the JSON; where there is no JSON, return the text as it is."""
    start = 0
    while start < len(text):
        if text.startswith("{", start) and not _LOGGED.match(text, start):
            return text[start:] if start else text
        start = text.find("\n", start) + 1 or len(text)
    return text


_LOGGED = re.compile(r'\{"(?:level|severity|time)":"[^\n]*\}[ \r]*(?=\n)')
"""A line of a log in JSON."""
