"""Look at a sidecar: what it has in force and what it has counted, once or until something holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from egressctl import envoy
from egressctl.errors import CouldNotAsk
from egressctl.mesh import Mesh
from egressctl.model import Source
from egressctl.parallel import begin
from egressctl.polling import poll

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Reading:
    """One look at a sidecar; None is what was not read, or could not be."""

    config: envoy.ProxyConfig | None = None
    counts: envoy.ClusterCounts | None = None


NOTHING = Reading()


def look(mesh: Mesh, source: Source, known: Reading, *, listeners_only: bool = False) -> Callable[[], Reading]:
    """Begin to read what is not known yet, and return what waits for the whole; raises nothing of errors.py."""
    config, counts = known.config, known.counts
    asked = begin(_or_none(lambda: config or mesh.proxy_config(source, listeners_only=listeners_only)))
    counted = begin(_or_none(lambda: counts or mesh.proxy_counts(source)))
    return lambda: Reading(asked(), counted())


def until(
    mesh: Mesh,
    source: Source,
    holds: Callable[[envoy.ProxyConfig], bool],
    timeout: float,
    told: Callable[[], str],
    hint: str,
) -> Reading:
    """Read the sidecar's listeners until they are as they should be, and return that reading.

    The counts are in it only where the first look was enough: asked beside it they cost no time, asked at every look
    they would. `told` and `hint` are the TimedOut's. Raises TimedOut, ProxyUnreadable, Forbidden.
    """
    first = True

    def once() -> Reading | None:
        nonlocal first
        counted = begin(_or_none(lambda: mesh.proxy_counts(source))) if first else None
        first = False
        config = mesh.proxy_config(source, listeners_only=True)
        return Reading(config, counted() if counted else None) if holds(config) else None

    return poll(once, timeout, told, hint)


def _or_none(call: Callable[[], T]) -> Callable[[], T | None]:
    """Make a question whose failure means that there is no answer."""

    def ask() -> T | None:
        try:
            return call()
        except CouldNotAsk:
            return None

    return ask
