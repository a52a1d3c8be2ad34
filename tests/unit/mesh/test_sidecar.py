"""One dump between two looks at the changes: when it is the configuration that was in force, and when it is not."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import pytest

import recordings
from egressctl.envoy.changes import CHANGED
from egressctl.envoy.config import (
    BLACKHOLE,
    NOTHING_READ,
    OF_POLICY,
    PASSTHROUGH,
    Changes,
    ListenerVersion,
    ProxyConfig,
    Reading,
    Versions,
)
from egressctl.envoy.dump import parse_config
from egressctl.envoy.routes import RouteConfig
from egressctl.envoy.walk import walk_config
from egressctl.errors import ProxyUnreadable, TimedOut
from egressctl.kube.rest import Api
from egressctl.manifests.service_entry import read_entry
from egressctl.mesh import sidecar as mesh_sidecar
from egressctl.model.evidence import Source, Walk
from egressctl.model.probe import SILENT, Probe, ProbeDestination

OURS = "outbound|443||wikipedia.org"
ISTIOS = set(OF_POLICY)
PLACE = ProbeDestination("208.80.154.224", 443, SILENT)
SOURCE = Source("default", "sleep", "sleep", "istio-proxy")


def of(moment: int) -> Versions:
    return frozenset({ListenerVersion("0.0.0.0_443", str(moment), f"2026-11-24T15:36:{moment:02}Z")})


def changed(moment: int) -> Changes:
    """What Envoy had counted at that moment: one listener changes from each to the next."""
    return Changes(added=1, modified=moment, removed=0, refused=0, warming=0, envoy_clusters=2)


WHOLE = parse_config(recordings.load("seed").config_dump or "")


def at(moment: int, whole: ProxyConfig = WHOLE) -> ProxyConfig:
    """The listeners as they were read at that moment."""
    return replace(whole, envoy_clusters=None, routes=None, versions=of(moment))


class Sidecar(mesh_sidecar.Sidecar):
    """Answers each kind of question from its own list, in turn; None is a question that failed."""

    def __init__(
        self,
        changes: Sequence[int | None] = (),
        dumps: Sequence[int | None] = (),
        envoy_clusters: Sequence[bool] = (True, True),
        routes: Sequence[int | None] = (),
        whole: ProxyConfig = WHOLE,
    ) -> None:
        super().__init__(cast("Api", None), SOURCE)
        self.at, self.dumps, self.clusters, self.routing = iter(changes), iter(dumps), iter(envoy_clusters), iter(routes)
        self.whole = whole
        self.named: list[set[str]] = []

    @staticmethod
    def _next(answers: Iterator[int | None]) -> int:
        answer = next(answers)
        if answer is None:
            raise ProxyUnreadable("it did not answer")
        return answer

    def changes(self) -> Changes:
        return changed(self._next(self.at))

    def config(self) -> ProxyConfig:
        return at(self._next(self.dumps), self.whole)

    def route_versions(self) -> Mapping[str, str]:
        return {name: str(self._next(self.routing)) for name in self.whole.routes or ()}

    def routes(self, names: Iterable[str]) -> Mapping[str, RouteConfig]:
        names = set(names)
        self.named.append(names)
        moment = self._next(self.routing)
        return {name: (self.whole.routes or {})[name]._replace(version=str(moment)) for name in names}

    def routes_of_ports(self, ports: Iterable[int]) -> Mapping[str, RouteConfig]:
        return self.routes({str(port) for port in ports})

    def counts(self) -> Mapping[str, Any]:
        return {}

    def envoy_clusters(self, names: Iterable[str]) -> Mapping[str, Any]:
        names = set(names)
        self.named.append(names)
        if not next(self.clusters):
            raise ProxyUnreadable("it did not answer")
        known = self.whole.envoy_clusters or {}
        return {name: known[name] for name in names if name in known}

    @property
    def unasked(self) -> tuple[list[int | None], list[int | None]]:
        return list(self.at), list(self.dumps)


def both(sidecar: Sidecar, known: Reading = NOTHING_READ, likely: Collection[str] = (OURS,)) -> tuple[Reading, Reading]:
    sidecar.known = known
    return sidecar.look_after(sidecar.look_before(likely), {PLACE})()


def moments(readings: tuple[Reading, Reading]) -> list[Versions | None]:
    return [each.config.versions if each.config else None for each in readings]


def test_what_is_known_serves_one_look_only() -> None:
    """Whoever looks once more looks at another moment."""
    sidecar = Sidecar(changes=[1], dumps=[])
    both(sidecar, Reading(at(1), changes=changed(1)))
    assert sidecar.known is NOTHING_READ


def test_where_nothing_changed_one_dump_is_the_configuration_of_before_and_after() -> None:
    sidecar = Sidecar(changes=[1, 1], dumps=[1, 9])
    readings = both(sidecar)
    assert (moments(readings), readings[1].doubt) == ([of(1), of(1)], "")
    assert sidecar.unasked == ([], [9])


def test_a_known_configuration_is_not_read_again() -> None:
    sidecar = Sidecar(changes=[1, 9], dumps=[9])
    assert moments(both(sidecar, Reading(at(1), changes=changed(1)))) == [of(1), of(1)]
    assert sidecar.unasked == ([9], [9])


def test_a_change_after_the_dump_is_read_and_is_all_that_happened() -> None:
    readings = both(Sidecar(changes=[1, 2, 2], dumps=[1, 2]))
    assert (moments(readings), readings[1].doubt) == ([of(1), of(2)], "")


@pytest.mark.parametrize(
    "sidecar",
    [
        Sidecar(changes=[1, 2, 2], dumps=[2, 2]),
        Sidecar(changes=[1, 3, 3], dumps=[1, 1]),
        Sidecar(changes=[1, 3, 3], dumps=[1, 3]),
        Sidecar(changes=[1, 2, 3], dumps=[1, 2]),
    ],
    ids=["before the dump", "there and back", "twice", "once more after the last dump"],
)
def test_a_change_that_the_difference_of_two_dumps_does_not_show_leaves_a_doubt(sidecar: Sidecar) -> None:
    """The probes may have met what was in force between."""
    assert both(sidecar)[1].doubt == CHANGED


@pytest.mark.parametrize(
    ("sidecar", "found", "certain"),
    [
        (Sidecar(changes=[None, 1, 1], dumps=[1, 1]), [of(1), of(1)], False),
        (Sidecar(changes=[1, None, None], dumps=[1, 1]), [of(1), of(1)], False),
        (Sidecar(changes=[1, None, 1], dumps=[1, 1]), [of(1), of(1)], True),
        (Sidecar(changes=[1, 1, 1], dumps=[None, 1]), [of(1), of(1)], True),
        (Sidecar(changes=[1, 1, 1], dumps=[None, None]), [None, None], True),
        (Sidecar(changes=[1, 2, 2], dumps=[1, None]), [of(1), None], False),
    ],
    ids=["no changes before", "no changes after", "changes late", "no dump at first", "no dump at all", "no dump after a change"],
)
def test_what_could_not_be_read_is_read_again_or_leaves_a_doubt(
    sidecar: Sidecar, found: list[Versions | None], *, certain: bool
) -> None:
    readings = both(sidecar)
    assert moments(readings) == found
    assert (readings[1].doubt == "") is certain


def test_the_likely_envoy_clusters_and_istios_own_are_asked_for_at_once_and_no_others() -> None:
    sidecar = Sidecar(changes=[1, 1], dumps=[1])
    _, after = both(sidecar)
    assert after.config is not None
    assert after.config.envoy_clusters is not None
    assert set(after.config.envoy_clusters) == {OURS, BLACKHOLE, PASSTHROUGH}
    assert sidecar.named == [{OURS} | ISTIOS]


def test_an_envoy_cluster_that_the_way_leads_to_is_asked_for_as_well() -> None:
    sidecar = Sidecar(changes=[1, 1], dumps=[1])
    _, after = both(sidecar, likely=())
    assert after.config is not None
    assert after.config.envoy_clusters is not None
    assert set(after.config.envoy_clusters) == {OURS, BLACKHOLE, PASSTHROUGH}
    assert sidecar.named == [ISTIOS, {OURS}]


@pytest.mark.parametrize(("answers", "likely"), [((False,), (OURS,)), ((True, False), (BLACKHOLE,))])
def test_without_its_envoy_clusters_the_configuration_is_unknown(answers: Sequence[bool], likely: Collection[str]) -> None:
    """Else one that the sidecar lacks, and so resets the connection, would be taken for one that it has."""
    _, after = both(Sidecar(changes=[1, 1], dumps=[1], envoy_clusters=answers), likely=likely)
    assert after.config is None


# Routes

HTTP = parse_config(recordings.load("http-80").config_dump or "")
REQUEST = Probe("p", "http://www.wikipedia.org/")
HTTP_PLACE = ProbeDestination("208.80.154.224", 80, REQUEST.speech)
HTTP_CLUSTER = "outbound|80||www.wikipedia.org"


def asked(sidecar: Sidecar, known: Reading = NOTHING_READ, place: ProbeDestination = HTTP_PLACE) -> list[Walk | None]:
    """Return the ways of before and after that one connection has."""
    sidecar.known = known
    readings = sidecar.look_after(sidecar.look_before((), {place[2]}), {place})()
    return [walk_config(each.config, *place) if each.config else None for each in readings]


def test_routes_that_did_not_change_are_those_of_before_and_after() -> None:
    sidecar = Sidecar(changes=[1, 1], dumps=[1], routes=[1, 1], whole=HTTP)
    ways = asked(sidecar)
    assert [way and (way.envoy_cluster, way.unknown) for way in ways] == [(HTTP_CLUSTER, ""), (HTTP_CLUSTER, "")]
    named = [each for each in sidecar.named if each != ISTIOS]
    assert named == [{"80"}, {HTTP_CLUSTER}], "and the Envoy cluster behind them is asked for as well"


@pytest.mark.parametrize("routes", [[1, 2], [None, 1]], ids=["changed", "unread before"])
def test_routes_that_changed_under_way_are_unknown_of_before(routes: list[int | None]) -> None:
    first, last = asked(Sidecar(changes=[1, 1], dumps=[1], routes=routes, whole=HTTP))
    assert first
    assert last
    assert ("was not read" in first.unknown, last.envoy_cluster) == (True, HTTP_CLUSTER)


def test_routes_that_cannot_be_read_are_unknown() -> None:
    for way in asked(Sidecar(changes=[1, 1], dumps=[1], routes=[1, None], whole=HTTP)):
        assert way
        assert "was not read" in way.unknown


def test_routes_that_are_known_are_not_read_before() -> None:
    known = {name: each._replace(version="1") for name, each in (HTTP.routes or {}).items()}
    sidecar = Sidecar(changes=[1], dumps=[], routes=[1], whole=HTTP)
    ways = asked(sidecar, Reading(replace(at(1, HTTP), routes=known), changes=changed(1)))
    assert [way and way.envoy_cluster for way in ways] == [HTTP_CLUSTER, HTTP_CLUSTER]


@pytest.mark.parametrize(
    ("place", "known"),
    [
        (("208.80.154.224", 80, Probe("p", "https://www.wikipedia.org:80/").speech), NOTHING_READ),
        (PLACE, NOTHING_READ),
        (HTTP_PLACE, Reading(at(1), changes=changed(1))),
    ],
    ids=["TLS", "nothing said", "no listener has routes"],
)
def test_routes_are_not_asked_for_where_no_way_can_need_them(place: ProbeDestination, known: Reading) -> None:
    whole = WHOLE if known is not NOTHING_READ else HTTP
    asked(Sidecar(changes=[1, 1], dumps=[1], routes=[], whole=whole), known, place)


# Waiting


def wait_for(moment: int, sidecar: Sidecar, timeout: float = 60, known: Reading = NOTHING_READ) -> Reading:
    sidecar.known = known

    def holds(config: ProxyConfig) -> bool:
        return config.versions == of(moment)

    sidecar.wait_until(holds, timeout, lambda: "it never came", hint="")
    return sidecar.known


def test_while_waiting_the_listeners_are_read_only_where_one_changed() -> None:
    sidecar = Sidecar(changes=[1, 1, 2], dumps=[1, 2])
    assert moments((wait_for(2, sidecar), NOTHING_READ)) == [of(2), None]
    assert sidecar.unasked == ([], [])


def test_a_wait_begins_with_what_is_known() -> None:
    sidecar = Sidecar(changes=[1, 2], dumps=[2])
    assert moments((wait_for(2, sidecar, known=Reading(at(1), changes=changed(1))), NOTHING_READ)) == [of(2), None]
    assert sidecar.unasked == ([], []), "no dump before the first change"


def test_a_wait_ends_at_once_where_what_is_known_is_as_it_should_be() -> None:
    """An entry's going may change nothing: others of the same host account for all of it."""
    sidecar = Sidecar(changes=[1], dumps=[])
    found = wait_for(1, sidecar, timeout=0, known=Reading(at(1), changes=changed(1)))
    assert (moments((found, NOTHING_READ)), found.changes, found.counts) == ([of(1), None], changed(1), {})


def test_what_was_known_before_a_change_ends_no_wait() -> None:
    sidecar = Sidecar(changes=[2, 3], dumps=[2, 1])
    assert moments((wait_for(1, sidecar, known=Reading(at(1), changes=changed(1))), NOTHING_READ)) == [of(1), None]
    assert sidecar.unasked == ([], [])


def test_while_waiting_for_an_http_entry_its_routes_are_read_each_time() -> None:
    """They change without a listener."""
    sidecar = Sidecar(changes=[1, 1, 1], dumps=[1], routes=[1, 1, 2], whole=HTTP)
    entry = read_entry(next(each for each in recordings.load("http-80").manifests if each["kind"] == "ServiceEntry"))
    looks: list[ProxyConfig] = []

    def holds(config: ProxyConfig) -> bool:
        looks.append(config)
        return (config.routes or {})["80"].version == "2"

    sidecar.wait_until(holds, 60, lambda: "it never came", hint="", entries=[entry])
    assert sidecar.known.config is looks[-1]
    assert len(looks) == 2, "and nothing is judged again where neither has changed"


def test_while_waiting_changes_that_cannot_be_read_are_no_reason_to_stop() -> None:
    assert moments((wait_for(2, Sidecar(changes=[None, None], dumps=[1, 2])), NOTHING_READ)) == [of(2), None]


def test_what_warms_up_comes_into_force_without_a_further_change() -> None:
    class Warming(Sidecar):
        def changes(self) -> Changes:
            return changed(1)._replace(warming=1)

    assert moments((wait_for(2, Warming(dumps=[1, 2])), NOTHING_READ)) == [of(2), None]


def test_the_wait_ends() -> None:
    with pytest.raises(TimedOut, match="it never came"):
        wait_for(2, Sidecar(changes=[1], dumps=[1]), timeout=0)
