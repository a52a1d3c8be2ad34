"""What became of a target, in one sentence: results in, words out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from egressctl.model.cause import Cause, CauseCode
from egressctl.model.entry import ServiceEntry
from egressctl.model.evidence import Capture, CurlOutcome, Evidence, Owner, Ownership, Source, Walk
from egressctl.model.probe import Expectation, Probe, Verdict
from egressctl.model.result import NotProbed, PartResult, ProbeResult, TargetResult
from egressctl.report.sentences import target_summary

PORTAL = Probe("portal", "https://www.wikipedia.org")
SOURCE = Source("default", "sleep", "sleep", "istio-proxy")
ANSWER = CurlOutcome(0, "", 200, "208.80.154.224", 443)
NAME = "outbound|443||wikipedia.org"
WALK = Walk("0.0.0.0_443", "", NAME, "208.80.154.224/27")


def entry(name: str = "wikipedia-ext", namespace: str = "default") -> ServiceEntry:
    return ServiceEntry(name, namespace, ("wikipedia.org",), (), (), "NONE", "MESH_EXTERNAL", ())


def sent_by(owner: Owner | None, envoy_cluster: str | None = NAME, policy: str = "REGISTRY_ONLY") -> Evidence:
    return Evidence(Capture.CAPTURED, walk=replace(WALK, envoy_cluster=envoy_cluster), owner=owner, policy=policy)


def owned(by: ServiceEntry) -> Evidence:
    return sent_by(Owner(Ownership.OWNED, "it lists it", entry=by))


def result(
    verdict: Verdict,
    evidence: Evidence | None = None,
    code: CauseCode | None = None,
    said: str = "",
    *,
    expect: Verdict = Verdict.OPEN,
    held: bool | None = None,
    via: str | None = None,
) -> ProbeResult:
    cause = Cause(code, said) if code else None
    probe = replace(PORTAL, expect=Expectation(expect, via=via))
    return ProbeResult(probe, SOURCE, verdict, verdict is expect if held is None else held, cause, ANSWER, evidence)


OPEN = result(Verdict.OPEN, owned(entry()))
STILL_OPEN = result(Verdict.OPEN, owned(entry()), expect=Verdict.BLOCKED)
MISSING = (
    "ServiceEntry wikipedia-ext does not exist in namespace default; the sidecar sends 208.80.154.224:443 to BlackHoleCluster"
)
BLOCKED = result(Verdict.BLOCKED, sent_by(None, "BlackHoleCluster"), CauseCode.ENTRY_MISSING, MISSING)
CLOSED = result(Verdict.BLOCKED, sent_by(None, "BlackHoleCluster"), CauseCode.ENTRY_MISSING, MISSING, expect=Verdict.BLOCKED)
LET_OUT = result(
    Verdict.BYPASSED,
    sent_by(None, "PassthroughCluster", "ALLOW_ANY"),
    CauseCode.ENTRY_MISSING,
    MISSING.replace("BlackHoleCluster", "PassthroughCluster"),
)
NAMELESS = result(Verdict.FAILED, Evidence(), CauseCode.NAME_RESOLUTION, "the pod cannot resolve it")
REFUSED_BEYOND = result(Verdict.FAILED, owned(entry()), CauseCode.CONNECT_REFUSED, "the address refused it")
LOST = result(Verdict.INCONCLUSIVE, None, CauseCode.NO_SOURCE_POD, "there is no ready pod to send the probe from")


def said(*probes: ProbeResult, closure: tuple[ProbeResult, ...] = (), action: str = "") -> str:
    return target_summary(TargetResult("wikipedia", "default", ("wikipedia-ext",), probes, action=action, closure=closure))


@pytest.mark.parametrize(
    ("probes", "sentence"),
    [
        ((OPEN, OPEN), "2 of 2 open: ServiceEntry default/wikipedia-ext sent them (proved)"),
        ((OPEN,), "1 of 1 open: ServiceEntry default/wikipedia-ext sent it (proved)"),
        (
            (OPEN, result(Verdict.OPEN, owned(entry("wiki-b", "shop")))),
            "2 of 2 open: ServiceEntries default/wikipedia-ext, shop/wiki-b sent them (proved)",
        ),
        (
            (result(Verdict.OPEN, sent_by(Owner(Ownership.OWNED, "as meant")), via="gw.istio-system.svc"),),
            "1 of 1 open: gw.istio-system.svc, as expected, sent it (proved)",
        ),
        (
            (OPEN, BLOCKED),
            "1 of 2 open: ServiceEntry default/wikipedia-ext sent it (proved); "
            "1 blocked: ServiceEntry wikipedia-ext does not exist in namespace default (entry-missing)",
        ),
        (
            (BLOCKED, BLOCKED),
            "0 of 2 open; 2 blocked: ServiceEntry wikipedia-ext does not exist in namespace default (entry-missing)",
        ),
        (
            (
                result(Verdict.FAILED, owned(entry()), CauseCode.HTTP_STATUS, "HTTP status 404, expected 200"),
                result(Verdict.FAILED, owned(entry()), CauseCode.HTTP_STATUS, "HTTP status 503, expected 200"),
            ),
            "0 of 2 open; 2 failed, the first: HTTP status 404, expected 200 (http-status)",
        ),
        (
            (result(Verdict.UNPROVEN, sent_by(None), CauseCode.AMBIENT, "the pod is in an ambient mesh"), OPEN),
            "1 of 2 open: ServiceEntry default/wikipedia-ext sent it (proved); "
            "1 unproven: the pod is in an ambient mesh (ambient)",
        ),
        ((LOST, LOST), "0 of 2 open; 2 inconclusive: there is no ready pod to send the probe from (no-source-pod)"),
    ],
)
def test_what_was_to_be_open(probes: tuple[ProbeResult, ...], sentence: str) -> None:
    assert said(*probes) == sentence


@pytest.mark.parametrize(
    ("probe", "by"),
    [
        (
            LET_OUT,
            "PassthroughCluster sent it, because ServiceEntry wikipedia-ext does not exist in namespace default (entry-missing)",
        ),
        (
            result(Verdict.BYPASSED, sent_by(None, "PassthroughCluster"), CauseCode.PASSTHROUGH, "ALLOW_ANY let it out"),
            "PassthroughCluster sent it (passthrough)",
        ),
        (
            result(
                Verdict.BYPASSED,
                sent_by(Owner(Ownership.OTHERS, "it is another's", entry("mirror", "shop"))),
                CauseCode.RIVAL_ENTRY,
                "ServiceEntry shop/mirror takes it",
            ),
            "ServiceEntry shop/mirror sent it (rival-entry)",
        ),
        (
            result(
                Verdict.BYPASSED,
                sent_by(Owner(Ownership.OTHERS, "it is of host x")),
                CauseCode.REROUTED,
                f"VirtualService default/detour leads it to {NAME}",
            ),
            f"Envoy cluster {NAME} sent it, because VirtualService default/detour leads it to {NAME} (rerouted)",
        ),
        (
            result(Verdict.BYPASSED, Evidence(), CauseCode.NO_SIDECAR, "pod default/sleep has no sidecar"),
            "pod default/sleep has no sidecar (no-sidecar)",
        ),
        (
            replace(
                result(Verdict.BYPASSED, None, CauseCode.NOT_CAPTURED, "it did not go through the sidecar"),
                evidence=replace(owned(entry()), capture=Capture.NOT_CAPTURED),
            ),
            "it did not go through the sidecar (not-captured)",
        ),
    ],
)
def test_what_was_bypassed_says_by_what(probe: ProbeResult, by: str) -> None:
    assert said(probe) == f"0 of 1 open; 1 bypassed: {by}"


@pytest.mark.parametrize(
    ("probes", "sentence"),
    [
        ((CLOSED, CLOSED), "2 of 2 blocked (proved): the sidecar sent them to BlackHoleCluster"),
        (
            (replace(CLOSED, evidence=sent_by(None, None)),),
            "1 of 1 blocked (proved): the sidecar refused it",
        ),
        (
            (CLOSED, STILL_OPEN),
            "1 of 2 blocked (proved): the sidecar sent it to BlackHoleCluster; "
            "1 open: ServiceEntry default/wikipedia-ext sent it (proved)",
        ),
        ((STILL_OPEN,), "0 of 1 blocked; 1 open: ServiceEntry default/wikipedia-ext sent it (proved)"),
    ],
)
def test_what_was_to_be_blocked(probes: tuple[ProbeResult, ...], sentence: str) -> None:
    assert said(*probes) == sentence


@pytest.mark.parametrize(
    ("closure", "sentence"),
    [
        ((CLOSED, CLOSED), "closed: 2 of 2 blocked (proved): the sidecar sent them to BlackHoleCluster"),
        ((STILL_OPEN,), "not closed: 0 of 1 blocked; 1 open: ServiceEntry default/wikipedia-ext sent it (proved)"),
        (
            (replace(LET_OUT, held=True, probe=CLOSED.probe),),
            "not closed: 1 of 1 bypassed: PassthroughCluster sent it, as the outbound traffic policy ALLOW_ANY allows",
        ),
        (
            (replace(NAMELESS, probe=CLOSED.probe),),
            "not shown to be closed: 0 of 1 blocked; 1 failed: the pod cannot resolve it (name-resolution)",
        ),
        (
            (replace(REFUSED_BEYOND, probe=CLOSED.probe),),
            "not closed: 0 of 1 blocked; 1 failed: the address refused it (connect-refused)",
        ),
        (
            (replace(LOST, probe=CLOSED.probe),),
            "not shown to be closed: 0 of 1 blocked; "
            "1 inconclusive: there is no ready pod to send the probe from (no-source-pod)",
        ),
    ],
)
def test_what_was_removed_is_closed_only_where_all_was_refused(closure: tuple[ProbeResult, ...], sentence: str) -> None:
    assert said(closure=closure, action="deleted") == sentence
    assert said(*closure, action="deleted") == sentence, "a look of its own, as the demo has it"
    assert said(OPEN, closure=closure) == f"1 of 1 open: ServiceEntry default/wikipedia-ext sent it (proved); then {sentence}"


def test_several_expectations_are_counted_together() -> None:
    assert said(OPEN, CLOSED, CLOSED) == (
        "3 of 3 as expected: 1 open: ServiceEntry default/wikipedia-ext sent it (proved), "
        "2 blocked (proved): the sidecar sent them to BlackHoleCluster"
    )
    assert said(OPEN, STILL_OPEN).startswith("1 of 2 as expected: 1 open: ")
    assert said(BLOCKED, STILL_OPEN).startswith("0 of 2 as expected; 1 blocked: ")


def test_no_entry_is_named_that_the_evidence_does_not_name() -> None:
    """The target's own entry sent nothing where the sidecar's walk, or the capture, is not known."""
    for evidence in (None, Evidence(), replace(owned(entry()), capture=Capture.UNKNOWN), replace(owned(entry()), walk=None)):
        assert (
            said(result(Verdict.BYPASSED, evidence, CauseCode.NOT_CAPTURED, "why"))
            == "0 of 1 open; 1 bypassed: why (not-captured)"
        )
    unknown = sent_by(Owner(Ownership.UNKNOWN, "two entries list it"))
    assert "wikipedia-ext" not in said(result(Verdict.UNPROVEN, unknown, CauseCode.EVIDENCE_LOST, "whose it is, is not known"))


def test_of_several_entries_it_says_how_many_the_sidecar_has() -> None:
    names = ("many-ext-0-1", "many-ext-128-1")
    target = TargetResult("many", "default", names, (OPEN,), parts=tuple(PartResult(name, 9, in_force=True) for name in names))
    assert target_summary(target).endswith(
        "sent it (proved); all 2 ServiceEntries are in force in the sidecar, with 18 addresses"
    )
    lacking = replace(target, parts=(target.parts[0], PartResult(names[1], 9, in_force=False)))
    assert target_summary(lacking).endswith("; 1 of 2 ServiceEntries is not in force in the sidecar: many-ext-128-1")
    unread = replace(target, parts=tuple(PartResult(name, 9) for name in names))
    assert target_summary(unread).endswith("; 2 of 2 ServiceEntries are not seen in force in the sidecar: " + ", ".join(names))


def test_hosts_that_were_not_asked_are_counted() -> None:
    target = TargetResult("wikipedia", "default", ("wikipedia-ext",), (OPEN,), unasked=("a.example:443",))
    assert target_summary(target).endswith("sent it (proved); 1 host was not asked")
    assert target_summary(replace(target, unasked=("a:1", "b:1", "c:1"))).endswith("; 3 hosts were not asked")


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        (TargetResult("m", "default", ("m",), (), not_probed=NotProbed("only UDP", named=True)), "not proved: only UDP"),
        (
            TargetResult("m", "default", ("m",), (), not_probed=NotProbed("its annotation says none")),
            "not probed: its annotation says none",
        ),
        (TargetResult("m", "shop", ("m-ext",), (), action="created"), "ServiceEntry shop/m-ext created"),
        (TargetResult("m", "shop", ("m-ext",), (), action="deleted"), "ServiceEntry shop/m-ext deleted; not proved closed"),
        (TargetResult("m", "shop", ("a", "b"), (), action="created"), "ServiceEntries shop/a, shop/b created"),
        (TargetResult("m", "shop", (), ()), "no probe was sent"),
    ],
)
def test_what_no_probe_asked(target: TargetResult, sentence: str) -> None:
    assert target_summary(target) == sentence
