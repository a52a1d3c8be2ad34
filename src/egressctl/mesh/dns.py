"""Resolve the name of a URL without sending a request: in the source pod where that can be, else on this machine."""

from __future__ import annotations

import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from egressctl.errors import CouldNotAsk
from egressctl.kube import exec as kube_exec
from egressctl.kube.exec import is_program_missing
from egressctl.kube.rest import Api
from egressctl.kube.status import one_line
from egressctl.model.blocks import parse_address
from egressctl.model.evidence import Source
from egressctl.runtime.concurrency import call_within

_OWN_SECONDS = 10.0
_LIMIT = 1 << 20
_NOT_FOUND = 2
"""getent's exit code where the name is not known (getent(1), of glibc and of musl)."""


@dataclass(frozen=True, slots=True)
class ResolvedHost:
    """The addresses of a host in the order in which a client tries them, and who said so.

    Without `addresses`, `missing` says in half a sentence why; `certain` where the source pod itself cannot resolve the name.
    """

    addresses: tuple[str, ...]
    by: str
    missing: str = ""
    certain: bool = False
    note: str = ""
    """Half a sentence: why it was not the source pod that was asked; empty where it was, or needed not be."""


def addresses_without_lookup(host: str, addresses: Sequence[str]) -> ResolvedHost | None:
    """Return what needs no question: the addresses that were named, or the host where it is one; None for a name."""
    if addresses:
        return ResolvedHost(tuple(addresses), "--address")
    address = parse_address(host)
    return ResolvedHost((str(address),), "the URL") if address else None


def resolve_in_pod(api: Api, source: Source, host: str) -> ResolvedHost:
    """Resolve a name with `getent` in the source pod's container, or on this machine where that cannot be run.

    Raises nothing for what could not be asked: that is in the result.
    """
    where = f"pod {source.namespace}/{source.pod}"
    try:
        ran = kube_exec.run_in_container(
            api, source.namespace, source.pod, source.container, getent_argv(host), timeout=api.exec_timeout, limit=_LIMIT
        )
    except CouldNotAsk as failure:
        return resolve_on_this_machine(host, str(failure))
    if found := addresses_in(ran.stdout.decode("utf-8", "replace")):
        return ResolvedHost(found, where)
    if ran.code == _NOT_FOUND:
        return ResolvedHost((), where, f"{where} cannot resolve {host}", certain=True)
    if is_program_missing(ran, "getent"):
        return resolve_on_this_machine(host, f"container {source.container} of {where} has no getent")
    return resolve_on_this_machine(host, f"getent in {where} gave no answer" + (f": {one_line(ran.error)}" if ran.error else ""))


def getent_argv(host: str) -> tuple[str, ...]:
    """Return the command line that resolves a name as programs of the container do."""
    return ("getent", "ahosts", host)


def addresses_in(text: str) -> tuple[str, ...]:
    """Read the addresses that `getent ahosts` printed, each once, in its order; what is no address is passed over."""
    found: dict[str, None] = {}
    for line in text.splitlines():
        word = line.split()[:1]
        if word and re.fullmatch(r"[0-9a-fA-F.:]+", word[0]) and (address := parse_address(word[0])):
            found[str(address)] = None
    return tuple(found)


def resolve_on_this_machine(host: str, why: str = "") -> ResolvedHost:
    """Resolve a name on this machine, within a limit: its resolver may take minutes, and cannot be stopped.

    `why` says in half a sentence why it was not the source pod that was asked. Raises nothing, as `resolve_in_pod`.
    """

    def ask() -> tuple[str, ...]:
        infos = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        return tuple(dict.fromkeys(str(info[4][0]).partition("%")[0] for info in infos))

    try:
        return ResolvedHost(call_within(_OWN_SECONDS, ask), "this machine", note=why)
    except TimeoutError:
        missing = f"this machine did not resolve {host} within {_OWN_SECONDS:g} s"
    except (OSError, UnicodeError) as failure:
        missing = f"this machine cannot resolve {host}: {failure}"
    return ResolvedHost((), "this machine", missing, note=why)
