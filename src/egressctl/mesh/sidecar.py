"""Look at a sidecar: what it has in force and what it has counted, before and after, or until something holds.

Among thousands of filter chains a dump of its listeners takes Envoy half a second, their versions a few milliseconds. So
before and after the probes only the versions are read, and the one dump, taken meanwhile, is held against both.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import NamedTuple, TypeVar

from egressctl.envoy.config import EnvoyCluster, ProxyConfig, Reading, Versions
from egressctl.envoy.counts import ClusterCounts
from egressctl.envoy.routes import RouteConfig
from egressctl.envoy.walk import final_envoy_clusters, route_names, walk_config
from egressctl.errors import CouldNotAsk
from egressctl.manifests.formats import HTTP_PROTOCOLS
from egressctl.mesh.client import Mesh
from egressctl.model.entry import ServiceEntry
from egressctl.model.evidence import Source
from egressctl.model.probe import Speech
from egressctl.runtime.concurrency import start_call
from egressctl.runtime.poll import poll

T = TypeVar("T")


class ProbeDestination(NamedTuple):
    """The address and port that a connection leads to, an empty address where there was none, and how its client speaks."""

    ip: str
    port: int
    speech: Speech


@dataclass(frozen=True, slots=True)
class FirstReading:
    """The look before the probes: which versions of its listeners the sidecar had, and what it had counted.

    `routes` are the versions of its route configurations, by name: none where no probe speaks HTTP in plain text. `config` and
    `envoy_clusters` may still be on their way, and be of a later moment.
    """

    versions: Versions | None
    counts: ClusterCounts | None
    routes: Mapping[str, str] | None
    config: Callable[[], ProxyConfig | None]
    envoy_clusters: Callable[[], Mapping[str, EnvoyCluster] | None]


def begin_first_reading(
    mesh: Mesh, source: Source, known: Reading, likely: Collection[str], speeches: Collection[Speech] = ()
) -> Callable[[], FirstReading]:
    """Begin to read the sidecar, and return what waits until what comes next is after this look. Raises nothing of errors.py.

    What is known is not read. `likely` are the names of the Envoy clusters that will be wanted, `speeches` how the probes speak.
    """
    routes = start_call(_none_if_unreadable(lambda: _route_versions(mesh, source, known.config, speeches)))
    versions = start_call(_none_if_unreadable(lambda: known.config.versions if known.config else mesh.listener_versions(source)))
    counts = start_call(_none_if_unreadable(lambda: known.counts or mesh.proxy_counts(source)))
    envoy_clusters = cache(start_call(_none_if_unreadable(lambda: mesh.envoy_clusters(source, likely) if likely else {})))

    def wait() -> FirstReading:
        seen, counted = versions(), counts()
        # Not before they are there: Envoy answers one question after the other, and this one takes it longest.
        config = cache(start_call(_none_if_unreadable(lambda: known.config or mesh.proxy_config(source))))
        return FirstReading(seen, counted, routes(), config, envoy_clusters)

    return wait


def _route_versions(mesh: Mesh, source: Source, known: ProxyConfig | None, speeches: Collection[Speech]) -> Mapping[str, str]:
    """Return the versions of all routes, or none where no way of the probes can need them."""
    if not any(each.authority and not each.tls for each in speeches):
        return {}
    if known is not None and known.routes is not None:
        return {name: each.version for name, each in known.routes.items()}
    if known is not None and not any(chain.http for listener in known.listeners or () for chain in listener.chains):
        return {}
    return mesh.route_versions(source)


def begin_second_reading(
    mesh: Mesh, source: Source, before: FirstReading, places: Collection[ProbeDestination]
) -> Callable[[], tuple[Reading, Reading]]:
    """Begin to read the sidecar a second time, and return what waits for both readings, of before and after.

    Their listeners, and their routes, are the same where none has changed in between. The Envoy clusters are those of the look
    before, and those to which connections to `places` lead now. Routes are read where one of those ways needs them.
    """
    versions = start_call(_none_if_unreadable(lambda: mesh.listener_versions(source)))
    counts = start_call(_none_if_unreadable(lambda: mesh.proxy_counts(source)))

    def wait() -> tuple[Reading, Reading]:
        dumps = [before.config()]
        now = versions()
        if dumps[0] is None or dumps[0].versions != now:
            dumps.append(_none_if_unreadable(lambda: mesh.proxy_config(source))())
        first = next((each for each in dumps if each and each.versions == before.versions), None)
        last = dumps[-1]
        if names := _route_names([each for each in (first, last) if each], places):
            routes = _none_if_unreadable(lambda: mesh.routes(source, names))()
            first = first and replace(first, routes=_routes_if_unchanged(before.routes, routes, names))
            last = last and replace(last, routes=routes)
        last = last and _with_envoy_clusters(mesh, source, last, before.envoy_clusters(), places)
        return Reading(first, before.counts), Reading(last, counts())

    return wait


def _route_names(configs: Collection[ProxyConfig], places: Collection[ProbeDestination]) -> set[str]:
    return {name for config in configs for place in places for name in route_names(config, *place)}


def _routes_if_unchanged(
    before: Mapping[str, str] | None, now: Mapping[str, RouteConfig] | None, names: Collection[str]
) -> Mapping[str, RouteConfig] | None:
    """Return the routes of now where they are those of before; None where one has changed, or is not known."""
    if before is None or now is None:
        return None
    same = all(now[name].version == before.get(name) if name in now else name not in before for name in names)
    return now if same else None


def _with_envoy_clusters(
    mesh: Mesh,
    source: Source,
    config: ProxyConfig,
    found: Mapping[str, EnvoyCluster] | None,
    places: Collection[ProbeDestination],
) -> ProxyConfig | None:
    if found is None:
        return None
    led = {name for place in places for name in final_envoy_clusters(walk_config(config, *place))} - set(found)
    more = _none_if_unreadable(lambda: mesh.envoy_clusters(source, led))() if led else {}
    return None if more is None else replace(config, envoy_clusters={**found, **more})


def wait_until(
    mesh: Mesh,
    source: Source,
    holds: Callable[[ProxyConfig], bool],
    timeout: float,
    told: Callable[[], str],
    hint: str,
    unchanged: Callable[[ProxyConfig], None] = lambda _: None,
    entries: Collection[ServiceEntry] = (),
) -> Reading:
    """Read the sidecar's listeners until they are as they should be, and return that reading.

    After the first time they are read only where their versions say that one has changed. The routes of the HTTP ports of
    `entries`, which change without them, are read each time. The counts are in it only where
    the first look was enough: asked beside it they cost no time, asked at every look they would. `told` and `hint` are
    the TimedOut's. `unchanged` is given the last reading each time that nothing has changed since, and may raise.
    Raises TimedOut, ProxyUnreadable, Forbidden.
    """
    last: ProxyConfig | None = None
    ports = {port.number for entry in entries for port in entry.ports if port.protocol.upper() in HTTP_PROTOCOLS}

    def once() -> Reading | None:
        nonlocal last
        asked = start_call(_none_if_unreadable(lambda: mesh.routes_of_ports(source, ports) if ports else None))
        same = last is not None and _none_if_unreadable(lambda: mesh.listener_versions(source))() == last.versions
        counted = None if last else start_call(_none_if_unreadable(lambda: mesh.proxy_counts(source)))
        routes = asked()
        if last is not None and same and routes == last.routes:
            unchanged(last)
            return None
        last = replace(last if last is not None and same else mesh.proxy_config(source), routes=routes)
        return Reading(last, counted() if counted else None) if holds(last) else None

    return poll(once, timeout, told, hint)


def _none_if_unreadable(call: Callable[[], T]) -> Callable[[], T | None]:
    """Make a question whose failure means that there is no answer."""

    def ask() -> T | None:
        try:
            return call()
        except CouldNotAsk:
            return None

    return ask
