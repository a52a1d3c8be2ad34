"""Which probes a dual-stack pod sends over the IP family that the first one did not use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import pytest

from egressctl.mesh.dns import ResolvedHost
from egressctl.mesh.sidecar import Sidecar
from egressctl.model.entry import ServiceEntry
from egressctl.model.evidence import CurlOutcome, Source
from egressctl.model.probe import Probe, Verdict
from egressctl.model.result import ProbeResult
from egressctl.verify import ip_family
from egressctl.verify.evidence import Question
from egressctl.verify.ip_family import NotAsked, OtherFamily, questions_of_other_family
from entries import WIKIPEDIA

IPV4, IPV6 = "208.80.154.224", "2620:0:861:ed1a::1"
POD = Source("default", "sleep", "sleep", "istio-proxy", addresses=("10.244.0.5", "fd00:10:244::5"))
BOTH = replace(WIKIPEDIA, addresses=("208.80.154.224/27", "2620:0:861:ed1a::/64"))
PORTAL = Probe("portal", "https://www.wikipedia.org", else_ip=IPV4)
ANSWER = CurlOutcome(0, http_status=200, remote_ip=IPV4, remote_port=443)
POD_SAYS, HERE = "pod default/sleep", "this machine"
NAMES = {
    "www.wikipedia.org": ResolvedHost((IPV4, "2620:0:861:ed1a::2", IPV6), POD_SAYS),
    "old.example": ResolvedHost((IPV4,), POD_SAYS),
    "guessed.example": ResolvedHost((IPV4,), HERE, note="it has no getent"),
    "nobody.example": ResolvedHost((), HERE, "this machine cannot resolve nobody.example"),
}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names that the pod was asked for."""
    names: list[str] = []

    def resolve(_: object, __: object, host: str) -> ResolvedHost:
        names.append(host)
        return NAMES[host]

    monkeypatch.setattr(ip_family, "resolve_in_pod", resolve)
    return names


class _Sidecar:
    def __init__(self, source: Source) -> None:
        self.source, self.api = source, None


def more(
    *probes: Probe, outcome: CurlOutcome | None = ANSWER, pod: Source = POD, entries: Sequence[ServiceEntry] = (BOTH,)
) -> OtherFamily:
    questions = [Question(probe, "wikipedia-ext", BOTH, "default") for probe in probes]
    results = [ProbeResult(probe, pod, Verdict.OPEN, True, None, outcome) for probe in probes]
    return questions_of_other_family(cast("Sidecar", _Sidecar(pod)), questions, results, [entries] * len(probes))


def test_the_family_that_curl_did_not_use_is_asked_at_the_first_address_of_the_name(asked: list[str]) -> None:
    [question] = more(PORTAL).questions.values()
    assert question.probe == replace(PORTAL, name="portal, IPv6", connect_ip="2620:0:861:ed1a::2", else_ip="")
    assert question.probe.else_ip == ""
    assert (question.entry, question.entry_name, question.namespace) == (BOTH, "wikipedia-ext", "default")
    [back] = more(PORTAL, outcome=replace(ANSWER, remote_ip=IPV6)).questions.values()
    assert (back.probe.name, back.probe.connect_ip) == ("portal, IPv4", IPV4)


def test_each_name_is_looked_up_once(asked: list[str]) -> None:
    articles = Probe("articles", "https://www.wikipedia.org/wiki")
    assert list(more(PORTAL, articles).questions) == [0, 1]
    assert asked == ["www.wikipedia.org"]


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ("old.example", "pod default/sleep resolves the name to no such address (no AAAA record)"),
        (
            "guessed.example",
            "this machine resolves the name to no such address (no AAAA record), and the pod was not asked: it has no getent",
        ),
        ("nobody.example", "this machine cannot resolve nobody.example"),
    ],
)
def test_a_name_without_an_address_of_it_is_told_and_who_said_so(host: str, why: str, asked: list[str]) -> None:
    assert more(Probe("old", f"https://{host}")) == OtherFamily({}, {0: NotAsked(f"{host} over IPv6", why)})


@pytest.mark.parametrize(
    "changes",
    [
        {"pod": replace(POD, addresses=())},
        {"pod": replace(POD, addresses=("10.244.0.5",))},
        {"entries": (WIKIPEDIA,)},
        {"entries": (replace(BOTH, addresses=("2620:0:861:ed1a::/64",)),)},
        {"entries": (replace(BOTH, addresses=()),)},
        {"entries": ()},
        {"outcome": None},
        {"outcome": replace(ANSWER, remote_ip="")},
        {"outcome": replace(ANSWER, proxied=True)},
    ],
)
def test_nothing_more_is_asked_where_pod_and_entries_have_not_both_or_it_is_not_known(
    changes: dict[str, Any], asked: list[str]
) -> None:
    assert more(PORTAL, **changes) == OtherFamily({}, {})
    assert asked == []


@pytest.mark.parametrize(
    "probe", [Probe("a", f"https://{IPV4}"), Probe("a", f"tcp://[{IPV6}]:25"), replace(PORTAL, connect_ip=IPV4)]
)
def test_an_address_has_one_family(probe: Probe, asked: list[str]) -> None:
    assert more(probe) == OtherFamily({}, {})


def test_the_entries_of_a_target_count_together(asked: list[str]) -> None:
    parts = (replace(BOTH, addresses=("208.80.154.224/27",)), replace(BOTH, addresses=("2620:0:861:ed1a::/64",)))
    assert list(more(PORTAL, entries=parts).questions) == [0]
