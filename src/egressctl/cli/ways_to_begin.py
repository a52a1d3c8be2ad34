"""What `egressctl` alone prints: four ways to begin, by what there is: a kubeconfig, a mesh, entries of ours. Changes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from egressctl.runtime.sanitize import quote
from egressctl.runtime.sentence import count_of

SECONDS = 2.0
"""A user who types only the name, to see what it does, should not wait longer."""

_ABOUT = "Open an egress from an Istio mesh, prove that its ServiceEntry opened it, and close it again."
_WIDTH = 38


class Beginning(StrEnum):
    """What was found, which decides on the ways."""

    NO_KUBECONFIG = "no kubeconfig"
    NO_ANSWER = "no answer"
    NO_MESH = "no mesh"
    NO_ENTRIES = "no entries"
    ENTRIES = "entries"


class Found(NamedTuple):
    """What was found, in one sentence, and the flag that leads to where it is."""

    beginning: Beginning
    sentence: str
    where: str = ""


_WAYS: dict[Beginning, tuple[tuple[str, str], ...]] = {
    Beginning.NO_KUBECONFIG: (
        ("egressctl demo", "see the whole task on a local lab, with a real Envoy"),
        ("egressctl lab up", "keep such a lab, and try every command in it"),
        ("egressctl lint FILE|FOLDER", "check ServiceEntries in files"),
        ("egressctl --kubeconfig FILE doctor", "find what is missing for a proof"),
    ),
    **dict.fromkeys(
        (Beginning.NO_ANSWER, Beginning.NO_MESH),
        (
            ("egressctl doctor", "find what is missing, and see what to type"),
            ("egressctl demo", "see the whole task on a local lab, with a real Envoy"),
            ("egressctl lint FILE|FOLDER", "check ServiceEntries in files"),
            ("egressctl render TARGET", "print a ServiceEntry, for Git; egressctl catalog list"),
        ),
    ),
    Beginning.NO_ENTRIES: (
        ("egressctl doctor", "find what is missing for a proof"),
        ("egressctl verify https://HOST", "see whether your app can reach HOST today, and by which path"),
        ("egressctl create HOST", "open it; egressctl catalog list has targets by name"),
        ("egressctl lint --all -A", "check the ServiceEntries that are there"),
    ),
    Beginning.ENTRIES: (
        ("egressctl list{all}", "list what egressctl made"),
        ("egressctl verify{where}", "prove that it is open, and that its entry opened it"),
        ("egressctl explain https://HOST", "follow a URL through the sidecar, and send nothing"),
        ("egressctl cleanup TARGET{where}", "delete it, and prove that it is closed"),
    ),
}


def ways_to_begin() -> str:
    """Return the whole text, at most 30 lines. Asks the API server, for two seconds at most; raises nothing of errors.py."""
    from egressctl.runtime.sanitize import neutralise  # imported late: 2 ms

    found = look_around()
    ways = [(line.format(where=found.where, all=found.where and " -A"), does) for line, does in _WAYS[found.beginning]]
    width = max(_WIDTH, *(len(line) + 2 for line, _ in ways))
    shown = [f"  {neutralise(line):<{width}}{does}" for line, does in ways]
    return "\n".join(
        [_ABOUT, "", f"{neutralise(found.sentence)} Four ways to begin:", "", *shown, "", "All commands: egressctl --help", ""]
    )


def look_around() -> Found:
    """Find out what there is to begin with."""
    from egressctl.errors import EgressctlError, NoConfiguration  # imported late: 10 ms
    from egressctl.runtime.concurrency import call_within

    try:
        return call_within(SECONDS, _look_at_mesh)
    except NoConfiguration as missing:
        return Found(Beginning.NO_KUBECONFIG, _as_sentence(missing))
    except TimeoutError:
        return Found(Beginning.NO_ANSWER, f"The API server has not answered within {SECONDS:g} seconds.")
    except EgressctlError as failure:
        return Found(Beginning.NO_ANSWER, _as_sentence(failure))


def _as_sentence(failure: Exception) -> str:
    text = " ".join(str(failure).split())
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def _look_at_mesh() -> Found:
    from egressctl.cli.options import ConnectionFlags  # imported late: 82 ms
    from egressctl.cli.session import connect_mesh
    from egressctl.errors import Forbidden, NotFound
    from egressctl.mesh.client import MANAGED_SELECTOR

    mesh = connect_mesh(ConnectionFlags(request_timeout=SECONDS), "", "egressctl")
    where = f"context {mesh.api.context}" if mesh.api.context else mesh.api.server
    try:
        mesh.api_version  # noqa: B018  (asks for it)
    except NotFound:
        return Found(Beginning.NO_MESH, f"The Kubernetes cluster of {where} has no Istio.")
    namespace = mesh.api.namespace or "default"
    try:
        ours = mesh.entries(None, MANAGED_SELECTOR)
    except Forbidden:
        try:
            ours = mesh.entries(namespace, MANAGED_SELECTOR)
        except Forbidden:
            return Found(Beginning.NO_ENTRIES, f"The mesh of {where} is there; its ServiceEntries may not be listed.")
    return _found_in_mesh(where, namespace, [str(each["metadata"]["namespace"]) for each in ours])


def _found_in_mesh(where: str, namespace: str, namespaces: Iterable[str]) -> Found:
    """Say what there is of ours, by the namespace of each entry; `namespace` is the context's."""
    counts = Counter(namespaces)
    if not counts:
        return Found(Beginning.NO_ENTRIES, f"The mesh of {where} has no ServiceEntry that egressctl made.")
    there = namespace if namespace in counts else min(counts)
    made = f"{count_of(counts.total(), 'ServiceEntry', 'ServiceEntries')} that egressctl made"
    elsewhere = there if len(counts) == 1 else f"{len(counts)} namespaces"
    flag = "" if there == namespace else f" -n {quote(there)}"
    return Found(Beginning.ENTRIES, f"The mesh of {where} has {made}, in {'namespace ' * (len(counts) == 1)}{elsewhere}.", flag)
