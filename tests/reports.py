"""Reports of every kind for tests of what is made of them, with texts as somebody with bad intentions would choose them."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import Phase, settings
from hypothesis import strategies as st

from egressctl.model.cause import Cause, CauseCode
from egressctl.model.evidence import Capture, CurlOutcome, Evidence, Source, Walk
from egressctl.model.probe import Expectation, Probe, Verdict
from egressctl.model.result import Failure, KubernetesInfo, ProbeResult, Report, TargetResult
from examples import examples

PORTAL = Probe("portal", "https://www.wikipedia.org")
SOURCE = Source("default", "sleep", "sleep", "istio-proxy")
WALK = Walk("0.0.0.0_443", "", "outbound|443||wikipedia.org", "208.80.154.224/27")
OUTCOME = CurlOutcome(0, "", 200, "208.80.154.224", 443, seconds={"total": 0.0215})
OPEN = ProbeResult(PORTAL, SOURCE, Verdict.OPEN, True, None, OUTCOME, Evidence(Capture.CAPTURED, walk=WALK))
CAUSE = Cause(CauseCode.ENTRY_MISSING, "it is not there", "egressctl create wikipedia")
BLOCKED = replace(
    OPEN, verdict=Verdict.BLOCKED, held=False, cause=CAUSE, outcome=CurlOutcome(35, "reset"),
    evidence=Evidence(Capture.CAPTURED, True, replace(WALK, envoy_cluster="BlackHoleCluster")),
)  # fmt: skip
CLOSED = replace(BLOCKED, held=True, probe=replace(PORTAL, expect=Expectation(Verdict.BLOCKED)))
STILL_OPEN = replace(OPEN, held=False, probe=replace(PORTAL, expect=Expectation(Verdict.BLOCKED)))
UNPROVEN = replace(OPEN, verdict=Verdict.UNPROVEN, held=False, cause=Cause(CauseCode.AMBIENT, "no proxy tells", "--pod NAME"))
UNASKED = ProbeResult(PORTAL, None, Verdict.INCONCLUSIVE, False, Cause(CauseCode.NO_SOURCE_POD, "there is no pod", "--pod NAME"))
TARGET = TargetResult("wikipedia", "default", ("wikipedia-ext",), (OPEN,))
KIND = KubernetesInfo("kind-kind", "https://127.0.0.1:6443", "v1.37.2")
REPORT = Report("verify", "r1", "2026-11-23T04:00:00.123Z", 0.4123, 0, KIND, (TARGET,))
STOPPED = replace(REPORT, targets=(), exit_code=3, kubernetes=None, error=Failure("no connection", "egressctl doctor"))


def of(*probes: ProbeResult, closure: tuple[ProbeResult, ...] = (), allow_unproven: bool = False) -> Report:
    """Return a report of one target with these probes."""
    target = replace(TARGET, probes=probes, closure=closure)
    return replace(REPORT, targets=(target,), allow_unproven=allow_unproven)


HOSTILE = (
    *("::error::x", "##[add-mask]x", "::stop-commands::t", "]]>", "<script>", "&lt;", "a|b", "`x`", "**b**", "%0A::error::x"),
    *(
        "\n::error::x",
        "\r\n##[group]x",
        "\x00\x1b[2J",
        "\ud800",
        "\ufffe",
        "\u2028",
        "# SKIP",
        "\\",
        "Bail out!",
        "\n  ...\nok 1",
    ),
    *("\u202egro.live\u202c", "\u2066a\u2069", "zero\u200bwidth", "\ufeff", "soft\u00adhyphen", "\U000e0041", "no\u00a0break"),
    *("[a](http://b)", "![i](u)", "\n| x | y |", "<!--", "'\"", "@all", "::1", "ok", "\x85::error::x", "\u3000::error::x"),
)
TEXTS = st.one_of(
    st.text(max_size=12), st.lists(st.one_of(st.sampled_from(HOSTILE), st.text(max_size=3)), max_size=4).map("".join)
)
"""Any text, with a leaning towards what would be taken for something else than text."""

some = settings(
    examples(30),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # reports are so large that making one smaller takes minutes
)
"""How many reports a property is held against."""

_causes = st.one_of(st.none(), st.builds(Cause, st.sampled_from(list(CauseCode)), TEXTS, TEXTS))
_walks = st.one_of(st.none(), st.builds(Walk, TEXTS, TEXTS, st.one_of(st.none(), TEXTS), TEXTS))
_outcomes = st.one_of(st.none(), st.builds(CurlOutcome, st.sampled_from([0, 35]), TEXTS, seconds=st.just({"total": 0.5})))
_probes = st.builds(
    Probe,
    TEXTS.map("p{}".format),
    TEXTS.map("https://www.wikipedia.org/{}".format),
    st.builds(Expectation, st.sampled_from([Verdict.OPEN, Verdict.BLOCKED])),
)
_results = st.builds(
    ProbeResult,
    _probes,
    st.one_of(st.none(), st.builds(Source, TEXTS, TEXTS, TEXTS, st.one_of(st.none(), TEXTS))),
    st.sampled_from(list(Verdict)),
    st.booleans(),
    _causes,
    _outcomes,
    st.one_of(st.none(), st.builds(Evidence, st.sampled_from(list(Capture)), st.booleans(), _walks)),
)
_lists = st.lists(_results, max_size=3).map(tuple)
_targets = st.builds(
    TargetResult,
    TEXTS.map("w{}".format),
    TEXTS,
    st.lists(TEXTS, max_size=2).map(tuple),
    _lists,
    st.sampled_from(["", "before"]),
    st.sampled_from(["", "created"]),
    _lists,
)
REPORTS = st.builds(
    Report,
    st.sampled_from(["create", "verify", "cleanup", "run"]),
    st.just("r1"),
    st.just("2026-11-23T04:00:00.123Z"),
    st.floats(0, 1e6),
    st.sampled_from([0, 1, 3, 4, 5, 130]),
    st.one_of(st.none(), st.builds(KubernetesInfo, TEXTS, TEXTS, TEXTS)),
    st.lists(_targets, max_size=3).map(tuple),
    st.lists(TEXTS, max_size=2).map(tuple),
    st.one_of(st.none(), st.builds(Failure, TEXTS, TEXTS)),
    st.booleans(),
)
