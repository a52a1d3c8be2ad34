"""How often Envoy changed what it has in force: what a sidecar's counts say, and when two dumps tell all of it."""

from __future__ import annotations

import json
import re

import pytest

from egressctl.envoy.changes import FILTER, explains_listeners, parse_changes
from egressctl.envoy.config import Changes, ListenerVersion, Versions
from egressctl.errors import ProxyUnreadable

NAMES = {
    "cluster_manager.cluster_added": 7,
    "cluster_manager.cluster_modified": 1,
    "cluster_manager.cluster_removed": 2,
    "listener_manager.lds.update_rejected": 0,
    "listener_manager.listener_added": 5,
    "listener_manager.listener_modified": 9,
    "listener_manager.listener_removed": 3,
    "listener_manager.total_listeners_warming": 0,
}
STILL = Changes(added=5, modified=9, removed=3, refused=0, warming=0, envoy_clusters=10)


def answer(stats: dict[str, int]) -> str:
    return json.dumps({"stats": [{"name": name, "value": value} for name, value in stats.items()]})


def test_the_counts_of_listeners_and_of_envoy_clusters_are_read() -> None:
    assert parse_changes(answer(NAMES)) == STILL


def test_what_is_read_is_asked_for() -> None:
    assert all(re.search(FILTER, name) for name in NAMES)
    assert not re.search(FILTER, "server.uptime")


def test_what_else_is_in_the_answer_is_passed_over() -> None:
    """As an Envoy that istiod feeds gives it: versions are texts, and a histogram has no name."""
    others = [{"name": "listener_manager.lds.version_text", "value": "2026-11-30T10:19:51Z/1"}, {"histograms": {}}]
    assert parse_changes(json.dumps({"stats": [*others, *json.loads(answer(NAMES))["stats"]]})) == STILL


@pytest.mark.parametrize("missing", NAMES)
def test_an_envoy_that_hides_one_of_them_is_unreadable(missing: str) -> None:
    """Then what came and went is not known, which is another thing than that nothing did."""
    with pytest.raises(ProxyUnreadable, match=missing.replace(".", r"\.")):
        parse_changes(answer({name: value for name, value in NAMES.items() if name != missing}))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"stats": 1}', '{"stats": [1]}', '{"stats": [{"name": 1}]}', "no stats"])
def test_what_are_no_stats_is_unreadable(text: str) -> None:
    with pytest.raises(ProxyUnreadable):
        parse_changes(text)


def having(**updated: int) -> Versions:
    return frozenset(ListenerVersion(name, "", str(moment)) for name, moment in updated.items())


@pytest.mark.parametrize(
    ("last", "after", "explained"),
    [
        (having(a=1, b=1), STILL, True),
        (having(a=1, b=2), STILL._replace(modified=10), True),
        (having(a=1, b=2), STILL._replace(modified=11), False),
        (having(a=1, b=1), STILL._replace(modified=11), False),
        (having(a=1, b=1, c=1), STILL._replace(added=6), True),
        (having(a=1), STILL._replace(removed=4), True),
        (having(a=1, b=1), STILL._replace(added=6, removed=4), False),
        (having(a=1, c=1), STILL._replace(added=6, removed=4), True),
        (having(a=1, b=2), STILL._replace(added=6, removed=4), False),
        (having(a=1, b=1), STILL._replace(envoy_clusters=12, refused=1), True),
    ],
    ids=["nothing", "one", "twice", "there and back", "came", "went", "came and went", "another", "made anew", "no listener"],
)
def test_the_difference_of_two_dumps_is_held_against_the_counts(last: Versions, after: Changes, *, explained: bool) -> None:
    assert explains_listeners(having(a=1, b=1), last, STILL, after) is explained


def test_what_was_warming_up_may_have_come_into_force_uncounted() -> None:
    warming = STILL._replace(warming=1)
    assert not explains_listeners(having(a=1), having(a=2), warming, STILL._replace(modified=10))
