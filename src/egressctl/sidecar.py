"""Look at a sidecar: what it has in force and what it has counted, before and after, or until something holds.

Among thousands of filter chains a dump of its listeners takes Envoy half a second, their versions a few milliseconds. So
before and after the probes only the versions are read, and the one dump, taken meanwhile, is held against both.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import TypeVar

from egressctl import envoy
from egressctl.envoy import Reading
from egressctl.errors import CouldNotAsk
from egressctl.mesh import Mesh
from egressctl.model import Source, Speech
from egressctl.parallel import begin
from egressctl.polling import poll

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Look:
    """The look before the probes: which versions of its listeners the sidecar had, and what it had counted.

    `config` and `envoy_clusters` may still be on their way, and be of a later moment.
    """

    versions: envoy.Versions | None
    counts: envoy.ClusterCounts | None
    config: Callable[[], envoy.ProxyConfig | None]
    envoy_clusters: Callable[[], Mapping[str, envoy.EnvoyCluster] | None]


def look(mesh: Mesh, source: Source, known: Reading, likely: Collection[str]) -> Callable[[], Look]:
    """Begin to read the sidecar, and return what waits until what comes next is after this look. Raises nothing of errors.py.

    What is known is not read. `likely` are the names of the Envoy clusters that will be wanted.
    """
    versions = begin(_or_none(lambda: known.config.versions if known.config else mesh.listener_versions(source)))
    counts = begin(_or_none(lambda: known.counts or mesh.proxy_counts(source)))
    envoy_clusters = cache(begin(_or_none(lambda: mesh.envoy_clusters(source, likely) if likely else {})))

    def wait() -> Look:
        seen, counted = versions(), counts()
        # Not before they are there: Envoy answers one question after the other, and this one takes it longest.
        config = cache(begin(_or_none(lambda: known.config or mesh.proxy_config(source))))
        return Look(seen, counted, config, envoy_clusters)

    return wait


def look_again(
    mesh: Mesh, source: Source, before: Look, places: Collection[tuple[str, int, Speech]]
) -> Callable[[], tuple[Reading, Reading]]:
    """Begin to read the sidecar a second time, and return what waits for both readings, of before and after.

    Their listeners are one where none has changed in between. The Envoy clusters are those of the look before, and those
    to which connections to `places` (address and port) lead now.
    """
    versions = begin(_or_none(lambda: mesh.listener_versions(source)))
    counts = begin(_or_none(lambda: mesh.proxy_counts(source)))

    def wait() -> tuple[Reading, Reading]:
        dumps = [before.config()]
        now = versions()
        if dumps[0] is None or dumps[0].versions != now:
            dumps.append(_or_none(lambda: mesh.proxy_config(source))())
        first = next((each for each in dumps if each and each.versions == before.versions), None)
        last = dumps[-1] and _with_envoy_clusters(mesh, source, dumps[-1], before.envoy_clusters(), places)
        return Reading(first, before.counts), Reading(last, counts())

    return wait


def _with_envoy_clusters(
    mesh: Mesh,
    source: Source,
    config: envoy.ProxyConfig,
    found: Mapping[str, envoy.EnvoyCluster] | None,
    places: Collection[tuple[str, int, Speech]],
) -> envoy.ProxyConfig | None:
    if found is None:
        return None
    led = {envoy.walk(config, *place).envoy_cluster or "" for place in places} - {"", *found}
    more = _or_none(lambda: mesh.envoy_clusters(source, led))() if led else {}
    return None if more is None else replace(config, envoy_clusters={**found, **more})


def until(
    mesh: Mesh,
    source: Source,
    holds: Callable[[envoy.ProxyConfig], bool],
    timeout: float,
    told: Callable[[], str],
    hint: str,
    unchanged: Callable[[envoy.ProxyConfig], None] = lambda _: None,
) -> Reading:
    """Read the sidecar's listeners until they are as they should be, and return that reading.

    After the first time they are read only where their versions say that one has changed. The counts are in it only where
    the first look was enough: asked beside it they cost no time, asked at every look they would. `told` and `hint` are
    the TimedOut's. `unchanged` is given the last reading each time that nothing has changed since, and may raise.
    Raises TimedOut, ProxyUnreadable, Forbidden.
    """
    last: envoy.ProxyConfig | None = None

    def once() -> Reading | None:
        nonlocal last
        if last is not None and _or_none(lambda: mesh.listener_versions(source))() == last.versions:
            unchanged(last)
            return None
        counted = None if last else begin(_or_none(lambda: mesh.proxy_counts(source)))
        last = mesh.proxy_config(source)
        return Reading(last, counted() if counted else None) if holds(last) else None

    return poll(once, timeout, told, hint)


def _or_none(call: Callable[[], T]) -> Callable[[], T | None]:
    """Make a question whose failure means that there is no answer."""

    def ask() -> T | None:
        try:
            return call()
        except CouldNotAsk:
            return None

    return ask
