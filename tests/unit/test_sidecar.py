"""One dump between two looks at the versions: when it is the configuration that was in force, and when it is not."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import pytest

import recordings
from egressctl.envoy import BLACKHOLE, ProxyConfig, Versions, parse_config
from egressctl.envoy.config import ListenerVersion
from egressctl.errors import ProxyUnreadable, TimedOut
from egressctl.mesh import Mesh
from egressctl.model import SILENT, Source
from egressctl.sidecar import NOTHING, Reading, look, look_again, until

OURS = "outbound|443||wikipedia.org"
PLACE = ("208.80.154.224", 443, SILENT)
SOURCE = Source("default", "sleep", "sleep", "istio-proxy")


def of(moment: int) -> Versions:
    return frozenset({ListenerVersion("0.0.0.0_443", str(moment), f"2026-11-24T15:36:{moment:02}Z", "")})


WHOLE = parse_config(recordings.load("seed").config_dump or "")


def at(moment: int) -> ProxyConfig:
    """The listeners as they were read at that moment."""
    return replace(WHOLE, envoy_clusters=None, versions=of(moment))


class Sidecar:
    """Answers each kind of question from its own list, in turn; None is a question that failed."""

    def __init__(
        self, versions: Sequence[int | None] = (), dumps: Sequence[int | None] = (), envoy_clusters: Sequence[bool] = (True, True)
    ) -> None:
        self.versions, self.dumps, self.clusters = iter(versions), iter(dumps), iter(envoy_clusters)
        self.named: list[set[str]] = []

    @staticmethod
    def _next(answers: Iterator[int | None]) -> int:
        answer = next(answers)
        if answer is None:
            raise ProxyUnreadable("it did not answer")
        return answer

    def listener_versions(self, _: Source) -> Versions:
        return of(self._next(self.versions))

    def proxy_config(self, _: Source) -> ProxyConfig:
        return at(self._next(self.dumps))

    def proxy_counts(self, _: Source) -> Mapping[str, Any]:
        return {}

    def envoy_clusters(self, _: Source, names: Collection[str]) -> Mapping[str, Any]:
        self.named.append(set(names))
        if not next(self.clusters):
            raise ProxyUnreadable("it did not answer")
        return {name: WHOLE.envoy_clusters[name] for name in names if WHOLE.envoy_clusters and name in WHOLE.envoy_clusters}

    @property
    def unasked(self) -> tuple[list[int | None], list[int | None]]:
        return list(self.versions), list(self.dumps)


def both(sidecar: Sidecar, known: Reading = NOTHING, likely: Collection[str] = (OURS,)) -> tuple[Reading, Reading]:
    mesh = cast("Mesh", sidecar)
    return look_again(mesh, SOURCE, look(mesh, SOURCE, known, likely)(), {PLACE})()


def moments(readings: tuple[Reading, Reading]) -> list[Versions | None]:
    return [each.config.versions if each.config else None for each in readings]


def test_where_nothing_changed_one_dump_is_the_configuration_of_before_and_after() -> None:
    sidecar = Sidecar(versions=[1, 1], dumps=[1, 9])
    assert moments(both(sidecar)) == [of(1), of(1)]
    assert sidecar.unasked == ([], [9])


def test_a_known_configuration_is_not_read_again() -> None:
    sidecar = Sidecar(versions=[1, 9], dumps=[9])
    assert moments(both(sidecar, Reading(at(1)))) == [of(1), of(1)]
    assert sidecar.unasked == ([9], [9])


def test_a_change_after_the_dump_is_read() -> None:
    assert moments(both(Sidecar(versions=[1, 2], dumps=[1, 2]))) == [of(1), of(2)]


def test_a_change_between_the_first_look_and_the_dump_leaves_the_configuration_of_before_unknown() -> None:
    """It may have been in force when the probes were sent, or come after them."""
    assert moments(both(Sidecar(versions=[1, 2], dumps=[2, 2]))) == [None, of(2)]


def test_a_dump_that_is_older_than_the_first_look_is_not_taken_for_it() -> None:
    assert moments(both(Sidecar(versions=[2, 2], dumps=[1, 2]))) == [of(2), of(2)]


@pytest.mark.parametrize(
    ("sidecar", "found"),
    [
        (Sidecar(versions=[None, 1], dumps=[1, 1]), [None, of(1)]),
        (Sidecar(versions=[1, None], dumps=[1, 1]), [of(1), of(1)]),
        (Sidecar(versions=[1, 1], dumps=[None, 1]), [of(1), of(1)]),
        (Sidecar(versions=[1, 1], dumps=[None, None]), [None, None]),
        (Sidecar(versions=[1, 2], dumps=[1, None]), [of(1), None]),
    ],
    ids=["no versions before", "no versions after", "no dump at first", "no dump at all", "no dump after a change"],
)
def test_what_could_not_be_read_is_read_again_or_unknown(sidecar: Sidecar, found: list[Versions | None]) -> None:
    assert moments(both(sidecar)) == found


def test_the_likely_envoy_clusters_are_asked_for_at_once_and_no_others() -> None:
    sidecar = Sidecar(versions=[1, 1], dumps=[1])
    _, after = both(sidecar)
    assert after.config is not None
    assert after.config.envoy_clusters is not None
    assert set(after.config.envoy_clusters) == {OURS}
    assert sidecar.named == [{OURS}]


def test_an_envoy_cluster_that_the_way_leads_to_is_asked_for_as_well() -> None:
    sidecar = Sidecar(versions=[1, 1], dumps=[1])
    _, after = both(sidecar, likely=(BLACKHOLE,))
    assert after.config is not None
    assert after.config.envoy_clusters is not None
    assert set(after.config.envoy_clusters) == {BLACKHOLE, OURS}
    assert sidecar.named == [{BLACKHOLE}, {OURS}]


@pytest.mark.parametrize(("answers", "likely"), [((False,), (OURS,)), ((True, False), (BLACKHOLE,))])
def test_without_its_envoy_clusters_the_configuration_is_unknown(answers: Sequence[bool], likely: Collection[str]) -> None:
    """Else one that the sidecar lacks, and so resets the connection, would be taken for one that it has."""
    _, after = both(Sidecar(versions=[1, 1], dumps=[1], envoy_clusters=answers), likely=likely)
    assert after.config is None


def wait_for(moment: int, sidecar: Sidecar, timeout: float = 60) -> Reading:
    def holds(config: ProxyConfig) -> bool:
        return config.versions == of(moment)

    return until(cast("Mesh", sidecar), SOURCE, holds, timeout, lambda: "it never came", hint="")


def test_while_waiting_the_listeners_are_read_only_where_one_changed() -> None:
    sidecar = Sidecar(versions=[1, 1, 2], dumps=[1, 2])
    assert moments((wait_for(2, sidecar), NOTHING)) == [of(2), None]
    assert sidecar.unasked == ([], [])


def test_while_waiting_versions_that_cannot_be_read_are_no_reason_to_stop() -> None:
    assert moments((wait_for(2, Sidecar(versions=[None], dumps=[1, 2])), NOTHING)) == [of(2), None]


def test_the_wait_ends() -> None:
    with pytest.raises(TimedOut, match="it never came"):
        wait_for(2, Sidecar(dumps=[1]), timeout=0)
