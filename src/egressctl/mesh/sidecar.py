"""A pod's sidecar: what it has in force and what it has counted, before and after probes, or until something holds.

Among thousands of filter chains a dump of its listeners takes Envoy half a second, the counts of their changes next to nothing.
So before and after the probes only these are read, and the one dump, taken meanwhile, holds for all that time where they are
the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from functools import cache
from typing import NamedTuple, TypeVar
from urllib.parse import quote

from egressctl.envoy.changes import CHANGED, FILTER, explains_listeners, parse_changes
from egressctl.envoy.config import NOTHING_READ, OF_POLICY, Changes, EnvoyCluster, ProxyConfig, Reading
from egressctl.envoy.counts import ClusterCounts, parse_clusters
from egressctl.envoy.dump import parse_config, parse_envoy_clusters, parse_routes
from egressctl.envoy.info import ProxyInfo, parse_info
from egressctl.envoy.routes import RouteConfig
from egressctl.envoy.walk import final_envoy_clusters, route_names, walk_config
from egressctl.errors import CouldNotAsk, NoSourcePod, ProxyUnreadable, Refused
from egressctl.kube.rest import Api, resource_path
from egressctl.manifests.formats import HTTP_PROTOCOLS
from egressctl.mesh.proxy_admin import ask_proxy
from egressctl.mesh.source_pod import SourceChoice, find_source
from egressctl.model.entry import ServiceEntry
from egressctl.model.evidence import Source
from egressctl.model.probe import ProbeDestination, Speech
from egressctl.runtime.concurrency import start_call
from egressctl.runtime.poll import poll

T = TypeVar("T")

_LISTENERS = "config_dump?resource=dynamic_listeners"
_ROUTES = "config_dump?resource=dynamic_route_configs"
_ENVOY_CLUSTERS = "config_dump?resource=dynamic_active_clusters"
_CHANGES = f"stats?format=json&filter={FILTER}"
_LONGEST_PATTERN = 2000
_LOG_LINES, _LOG_BYTES = 20_000, 8 << 20
_TRIES = 3


class FirstReading(NamedTuple):
    """The look before the probes: how often the sidecar had changed its configuration, and what it had counted.

    `routes` are the versions of its route configurations, by name: none where no probe speaks HTTP in plain text. `config` and
    `envoy_clusters` may still be on their way, and be of a later moment.
    """

    changes: Changes | None
    counts: ClusterCounts | None
    routes: Mapping[str, str] | None
    config: Callable[[], ProxyConfig | None]
    envoy_clusters: Callable[[], Mapping[str, EnvoyCluster] | None]


class Sidecar:
    """The sidecar of one pod, whose Envoy is asked by exec. `known` is what was read last: a look asks only for the rest.

    Each question raises ProxyUnreadable and Forbidden; what looks before and after could not read is None in them.
    """

    def __init__(self, api: Api, source: Source) -> None:
        self.api, self.source = api, source
        self.known = NOTHING_READ
        self._unread = ""

    # Questions

    def config(self) -> ProxyConfig:
        """Read the listeners."""
        # Not what was refused: where Envoy does not know a type in it, it writes no JSON at all, whichever names are asked for.
        return parse_config(self._ask(f"{_LISTENERS}&mask=name,active_state,error_state.details"))

    def changes(self) -> Changes:
        """Read how often it has changed its listeners and its Envoy clusters."""
        return parse_changes(self._ask(_CHANGES))

    def route_versions(self) -> Mapping[str, str]:
        """Read by name which version of each route configuration is in force."""
        answer = self._ask(f"{_ROUTES}&mask=version_info,last_updated,route_config.name")
        return {name: route.version for name, route in parse_routes(answer).items()}

    def routes(self, names: Iterable[str]) -> Mapping[str, RouteConfig]:
        """Read those route configurations that have these names."""
        return parse_routes(self._ask(_path_with_names(_ROUTES, map(re.escape, names))))

    def routes_of_ports(self, ports: Iterable[int]) -> Mapping[str, RouteConfig]:
        """Read the route configurations that istiod makes for these ports."""
        # `80`, and `HOST:80` for a listener of an address.
        return parse_routes(self._ask(_path_with_names(_ROUTES, (f"(.*:)?{port}" for port in ports))))

    def envoy_clusters(self, names: Iterable[str]) -> Mapping[str, EnvoyCluster]:
        """Read those Envoy clusters that have these names."""
        # A dot for whatever a pattern reads otherwise: that is short, and finds at most a few more.
        patterns = (re.sub(r"[^\w-]", ".", name) for name in names)
        return parse_envoy_clusters(self._ask(_path_with_names(_ENVOY_CLUSTERS, patterns)))

    def counts(self) -> ClusterCounts:
        """Read the connection counts by Envoy cluster and host."""
        return parse_clusters(self._ask("clusters?format=json"))

    def info(self) -> ProxyInfo:
        """Read which Envoy and which Istio it is."""
        return parse_info(self._ask("server_info"))

    def log(self, seconds: int) -> str:
        """Read what it has logged in the last seconds, the newest lines of it. Raises CouldNotAsk."""
        path = resource_path("v1", self.source.namespace, "pods", self.source.pod) + "/log"
        newest = {"sinceSeconds": str(seconds), "tailLines": str(_LOG_LINES), "limitBytes": str(_LOG_BYTES)}
        try:
            return self.api.text(path, {"container": self.source.proxy or "", **newest})
        except Refused as error:  # 400: the container waits to be started, or its log is gone
            raise ProxyUnreadable(str(error)) from None

    def _ask(self, path: str) -> str:
        return ask_proxy(self.api, self.source, path)

    # Before and after

    def look_before(self, likely: Collection[str], speeches: Collection[Speech] = ()) -> FirstReading:
        """Read it before probes, without what is known. Raises nothing of errors.py.

        `likely` are the names of the Envoy clusters that will be wanted, `speeches` how the probes speak.
        """
        known, self.known = self.known, NOTHING_READ
        self._unread = ""
        routes = self._begin(lambda: self._route_versions_for(known.config, speeches))
        changes = self._begin(lambda: known.changes or self.changes())
        counts = self._begin(lambda: known.counts or self.counts())
        seen, counted = changes(), counts()
        # Not before the changes are there: a change before them would not be noticed. Nor at the same time: Envoy answers one
        # question after the other, and the listeners take it longest.
        # What is in no ServiceEntry leads to one of Istio's own: asked for now, they cost no time after the probes.
        envoy_clusters = cache(self._begin(lambda: self.envoy_clusters({*likely, *OF_POLICY})))
        config = cache(self._begin(lambda: known.config or self.config()))
        return FirstReading(seen, counted, routes(), config, envoy_clusters)

    def _route_versions_for(self, known: ProxyConfig | None, speeches: Collection[Speech]) -> Mapping[str, str]:
        """Return the versions of all routes, or none where no way of the probes can need them."""
        if not any(speech.authority and not speech.tls for speech in speeches):
            return {}
        if known is not None and known.routes is not None:
            return {name: route.version for name, route in known.routes.items()}
        if known is not None and not any(chain.http for listener in known.listeners or () for chain in listener.chains):
            return {}
        return self.route_versions()

    def look_after(self, before: FirstReading, places: Collection[ProbeDestination]) -> Callable[[], tuple[Reading, Reading]]:
        """Begin to read it a second time, and return what waits for both readings, of before and after.

        Their listeners, and their routes, are the same where none has changed in between. The Envoy clusters are those of the
        look before, and those to which connections to `places` lead now. Routes are read where one of those ways needs them.
        """
        changes, counts = self._begin(self.changes), self._begin(self.counts)

        def wait() -> tuple[Reading, Reading]:
            first, now = before.config(), changes()
            last, doubt = first, ""
            if first is None or now is None or now != before.changes:
                last, now = self._none_if_unreadable(self.config), self._none_if_unreadable(self.changes)
                first, last, doubt = _around_probes(first, last, before.changes, now)
            if names := _routes_needed([dump for dump in (first, last) if dump], places):
                routes = self._none_if_unreadable(lambda: self.routes(names))
                first = first and replace(first, routes=_routes_if_unchanged(before.routes, routes, names))
                last = last and replace(last, routes=routes)
            last = last and self._with_envoy_clusters(last, before.envoy_clusters(), places)
            if last and (now is None or before.changes is None or now.envoy_clusters != before.changes.envoy_clusters):
                doubt = doubt or self._doubt_about_clusters(last, before.envoy_clusters() or {})
            counted = counts()
            return Reading(first, before.counts), Reading(last, counted, now, doubt, self._unread)

        return wait

    def _doubt_about_clusters(self, config: ProxyConfig, found: Mapping[str, EnvoyCluster]) -> str:
        """Say why it is not certain that these Envoy clusters were the same all the time, "" where it is."""
        names = set(config.envoy_clusters or {})
        now = self._none_if_unreadable(lambda: self.envoy_clusters(names)) if names else {}
        return "" if now is not None and all(now.get(name) == found.get(name) for name in names) else CHANGED

    def _with_envoy_clusters(
        self, config: ProxyConfig, found: Mapping[str, EnvoyCluster] | None, places: Collection[ProbeDestination]
    ) -> ProxyConfig | None:
        """Add the Envoy clusters that connections to `places` lead to; None where they, or those found before, are not known."""
        if found is None:
            return None
        led = _envoy_clusters_led_to(config, places) - set(found)
        more = self._none_if_unreadable(lambda: self.envoy_clusters(led)) if led else {}
        return None if more is None else replace(config, envoy_clusters={**found, **more})

    def read_for(self, places: Collection[ProbeDestination]) -> Reading:
        """Read what connections to these places meet, all of one moment. Raises CouldNotAsk's kinds."""
        for _ in range(_TRIES):
            before, counts = self.changes(), self._begin(self.counts)
            config = self.config()
            if names := _routes_needed([config], places):
                config = replace(config, routes=self.routes(names))
            led = _envoy_clusters_led_to(config, places)
            config = replace(config, envoy_clusters=self.envoy_clusters(led) if led else {})
            if before == self.changes():
                return Reading(config, counts(), before)
        raise ProxyUnreadable(f"the configuration of the sidecar of {self.source.pod} changes while it is read")

    def _none_if_unreadable(self, ask: Callable[[], T]) -> T | None:
        try:
            return ask()
        except CouldNotAsk as failure:
            self._unread = str(failure)
            return None

    def _begin(self, ask: Callable[[], T]) -> Callable[[], T | None]:
        """Begin to ask, and return what waits for the answer: None where there is none."""
        return start_call(lambda: self._none_if_unreadable(ask))

    # Waiting

    def wait_until(
        self,
        holds: Callable[[ProxyConfig], bool],
        timeout: float,
        told: Callable[[], str],
        hint: str,
        unchanged: Callable[[ProxyConfig], None] = lambda _: None,
        entries: Collection[ServiceEntry] = (),
    ) -> None:
        """Read the listeners until they are as they should be, and know that reading then.

        They are read only where one was changed since the last time, or since what is known. The routes of the HTTP ports of
        `entries`, which change without them, are read each time. The counts are asked for with the listeners: there they cost
        no time, and are those of before the probes that follow. `told` and `hint` are the TimedOut's. `unchanged` is given the
        last reading each time that nothing has changed since, and may raise.
        Raises TimedOut, ProxyUnreadable, Forbidden.
        """
        known, self.known = self.known, NOTHING_READ
        # Its Envoy clusters are those that a look before wanted.
        last = known.config and replace(known.config, envoy_clusters=None)
        seen = known.changes
        judged = False
        ports = {port.number for entry in entries for port in entry.ports if port.protocol.upper() in HTTP_PROTOCOLS}

        def once() -> Reading | None:
            nonlocal last, seen, judged
            asked = self._begin(lambda: self.routes_of_ports(ports) if ports else None)
            counted = None if last else self._begin(self.counts)
            now = self._none_if_unreadable(self.changes)
            # What is warming up comes into force without a further change.
            same = last is not None and now is not None and now == seen and not now.warming
            routes = asked()
            if last is not None and judged and same and routes == last.routes:
                unchanged(last)
                return None
            counted = counted or self._begin(self.counts)
            last, seen, judged = replace(last if last is not None and same else self.config(), routes=routes), now, True
            return Reading(last, counted(), now) if holds(last) else None

        self.known = poll(once, timeout, told, hint)


def find_sidecar(api: Api, namespace: str, choice: SourceChoice) -> Sidecar | NoSourcePod:
    """Find the pod to send probes from, with its sidecar; or return why there is none. Raises NotFound, InvalidInput."""
    try:
        return Sidecar(api, find_source(api, namespace, choice))
    except NoSourcePod as missing:
        return missing


def _routes_needed(configs: Collection[ProxyConfig], places: Collection[ProbeDestination]) -> set[str]:
    """Name the route configurations that decide where connections to these places lead by any of the configurations."""
    return {name for config in configs for place in places for name in route_names(config, *place)}


def _envoy_clusters_led_to(config: ProxyConfig, places: Collection[ProbeDestination]) -> set[str]:
    """Name the Envoy clusters that connections to these places may lead to."""
    return {name for place in places for name in final_envoy_clusters(walk_config(config, *place))}


def _path_with_names(path: str, patterns: Iterable[str]) -> str:
    """Ask for what has a name of one of these patterns, or for all where they are too many."""
    pattern = quote("|".join(sorted(patterns)), safe="")
    # It travels in the address of the exec, and some servers refuse lines of more than 8 KB.
    return f"{path}&name_regex={pattern}" if len(pattern) < _LONGEST_PATTERN else path


def _routes_if_unchanged(
    before: Mapping[str, str] | None, now: Mapping[str, RouteConfig] | None, names: Collection[str]
) -> Mapping[str, RouteConfig] | None:
    """Return the routes of now where they are those of before; None where one has changed, or is not known."""
    if before is None or now is None:
        return None
    same = all(now[name].version == before.get(name) if name in now else name not in before for name in names)
    return now if same else None


def _around_probes(
    first: ProxyConfig | None, last: ProxyConfig | None, before: Changes | None, now: Changes | None
) -> tuple[ProxyConfig | None, ProxyConfig | None, str]:
    """Return the listeners before and after the probes, and why it is not certain what was in force between, "" where it is.

    `first` was read after `before`, and `last` before `now`.
    """
    if before is None or now is None:
        return first or last, last or first, "how often the sidecar changed its configuration could not be read"
    if now == before:
        return last or first, last or first, ""
    if first and last and explains_listeners(first.versions, last.versions, before, now):
        return first, last, ""
    return first, last, CHANGED
