"""Entries that others applied: each with its own probes, as a table whose rows come as they are known."""

from __future__ import annotations

import itertools
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import pytest

from cli import Cli, Ran, Running, entry, interrupted, sidecar_leads_to
from faults import Action, Call, FaultProxy, Hold, Respond, Signal
from labs import Lab, eventually

pytestmark = pytest.mark.thorough

TLS = [{"number": 443, "name": "tls", "protocol": "TLS"}]
TCP = [{"number": 443, "name": "tcp", "protocol": "TCP"}]
MANY, BATCH = 12, 10
"""With `--parallel 1` a batch has ten probes."""


def theirs(name: str, namespace: str = "default", probes: str | None = None, **spec: Any) -> dict[str, Any]:
    manifest = entry(name, **spec)
    manifest["metadata"] |= {"namespace": namespace, "annotations": {} if probes is None else {"egressctl.dev/probes": probes}}
    return manifest


def port(number: int) -> list[dict[str, Any]]:
    return [{"number": number, "name": "db", "protocol": "TCP"}]


MESH = [
    theirs("wiki", hosts=["www.wikipedia.org"], ports=TLS),
    theirs("articles", probes='[{"name":"a","url":"https://en.wikipedia.org/status/404","expect":{"status":404}}]',
           hosts=["en.wikipedia.org"], ports=TLS),
    theirs("stale", hosts=["outside.example"], addresses=["203.0.113.99"], ports=TCP),
    theirs("postgres", hosts=["*.db.example"], addresses=["203.0.113.20"], ports=port(8443)),
    theirs("dead", hosts=["*.dead.example"], addresses=["203.0.113.21"], ports=port(7777)),
    theirs("quiet", probes="none"),
    theirs("inner", hosts=["vm.example"], location="MESH_INTERNAL"),
    theirs("shared", "other", hosts=["untrusted.example"], addresses=[], exportTo=["*"],
           ports=[{"number": 8080, "name": "http", "protocol": "HTTP"}]),
    theirs("own", "other", exportTo=["."]),
]  # fmt: skip


@pytest.fixture
def mesh(lab: Lab) -> Iterator[None]:
    """What several teams have applied."""
    for each in MESH:
        lab.create(each)
    assert eventually(lambda: sidecar_leads_to(lab, "untrusted.example", 8080) and sidecar_leads_to(lab, "*.dead.example", 7777))
    yield
    lab.set_policy("REGISTRY_ONLY")


def told(ran: Ran) -> dict[str, tuple[str, str | None]]:
    """Verdict and cause of each entry that was asked, by its name."""
    found = {}
    for target in ran.report["targets"]:
        for probe in target["probes"]:
            found[target["name"]] = probe["verdict"], (probe["cause"] or {}).get("code")
    return found


def left_out(ran: Ran) -> dict[str, str]:
    return {each["name"]: each["notProbed"]["reason"] for each in ran.report["targets"] if "notProbed" in each}


class TestAMesh:
    @pytest.mark.parametrize(("policy", "stale"), [("REGISTRY_ONLY", "blocked"), ("ALLOW_ANY", "bypassed")])
    def test_each_entry_has_its_own_verdict(self, cli: Cli, lab: Lab, mesh: None, policy: str, stale: str) -> None:
        lab.set_policy(policy)
        ran = cli("verify", "--all", "-A", "-o", "json")
        assert ran.code == 1
        assert told(ran) == {
            "wiki": ("open", None),
            "articles": ("open", None),
            "shared": ("open", None),
            "stale": (stale, "address-not-listed"),
            "postgres": ("unproven", "evidence-lost"),
            "dead": ("failed", "connect-refused"),
        }
        assert left_out(ran) == {
            "quiet": "its annotation egressctl.dev/probes says none",
            "inner": "its location is MESH_INTERNAL: it is a part of the mesh, not an egress",
            "own": "exportTo is ., which does not include the source pod's namespace default",
        }

    def test_as_a_table(self, cli: Cli, mesh: None) -> None:
        ran = cli("verify", "--all")
        assert ran.code == 1
        head, *rows = ran.stdout.splitlines()
        assert head == "NAME      EXPECTED  VERDICT       CAUSE"
        assert [row.split()[:3] for row in rows[:7]] == [
            ["articles", "1/1", "open"],
            ["stale", "0/1", "blocked"],
            ["wiki", "1/1", "open"],
            ["dead", "0/1", "failed"],
            ["postgres", "0/1", "unproven"],
            ["inner", "-", "not"],
            ["quiet", "-", "not"],
        ]
        drawn = [row.split()[:2] for row in rows[7:] if row and not row.startswith(" ")]
        assert drawn[:3] == [["✘", "stale"], ["✘", "dead"], ["?", "postgres"]], "before the first path"
        assert drawn[3:-1] == [["path", "of"]] * 3
        assert rows[-1] == "7 ServiceEntries: 2 open, 1 unproven, 1 failed, 1 blocked, 2 not probed; 3 not as expected"
        assert "0 of 5 done, asking from pod default/sleep\n5 of 5 done\n" in ran.stderr

    def test_one_of_them_by_its_exact_name(self, cli: Cli, lab: Lab, mesh: None) -> None:
        lab.create(theirs("wiki-ext", hosts=["nowhere.example"], addresses=["203.0.113.98"], ports=TLS))
        for name in ("se/wiki", "serviceentry/wiki", "serviceentries.networking.istio.io/wiki"):
            ran = cli("verify", name, "-o", "json")
            assert (ran.code, told(ran)) == (0, {"wiki": ("open", None)})
        assert told(cli("verify", "wiki", "-o", "json")) == {"wiki-ext": ("failed", "tls-certificate")}


class TestWhatIsNotAsked:
    def test_no_entry_at_all_proves_nothing(self, cli: Cli) -> None:
        ran = cli("verify", "--all")
        assert (ran.code, ran.stdout, ran.error) == (3, "", "there is no ServiceEntry in namespace default")
        assert cli("verify", "--all", "-A").error == "there is no ServiceEntry in any namespace"

    def test_nor_do_entries_of_which_none_is_asked(self, cli: Cli, lab: Lab) -> None:
        lab.create(theirs("quiet", probes="none"))
        ran = cli("verify", "--all")
        assert (ran.code, ran.error) == (3, "of 1 ServiceEntries none is one that a probe can be sent for")
        assert "quiet  -         not probed    its annotation egressctl.dev/probes says none" in ran.stdout

    def test_probes_that_cannot_be_read_do_not_stop_the_others(self, cli: Cli, lab: Lab) -> None:
        lab.create(theirs("odd", probes="{"))
        lab.create(theirs("wiki", hosts=["www.wikipedia.org"], ports=TLS))
        assert eventually(lambda: sidecar_leads_to(lab, "www.wikipedia.org"))
        ran = cli("verify", "--all", "-o", "json")
        assert (ran.code, told(ran)) == (3, {"wiki": ("open", None)})
        assert left_out(ran)["odd"].startswith("its probes cannot be read: ServiceEntry default/odd: ")
        assert ran.report["verdict"] == "open"

    def test_expressions_that_would_search_for_years_are_given_up(self, cli: Cli, lab: Lab) -> None:
        """Anyone may annotate a ServiceEntry, and two such would hold up even the signal that should end it."""
        endless = "(?s)(.|..)+nowhere"
        probes = [{"name": name, "url": "https://www.wikipedia.org", "extract": {"all": endless}} for name in ("a", "b")]
        lab.create(theirs("hostile", probes=json.dumps(probes), hosts=["www.wikipedia.org"], ports=TLS))
        assert eventually(lambda: sidecar_leads_to(lab, "www.wikipedia.org"))
        ran = cli("verify", "--all", "-o", "json")
        assert (ran.code, ran.judged) == (1, [("failed", "body-mismatch")] * 2)
        assert ran.probes[0]["cause"]["message"] == f"the expression for all was given up after 1 s: {endless}"

    def test_without_a_source_pod_every_entry_is_inconclusive(self, cli: Cli, lab: Lab) -> None:
        lab.create(theirs("wiki", "other", hosts=["www.wikipedia.org"], ports=TLS))
        ran = cli("verify", "--all", "-n", "other", "-o", "json")
        assert (ran.code, told(ran)) == (3, {"wiki": ("inconclusive", "no-source-pod")})

    @pytest.mark.parametrize(
        ("argv", "error"),
        [
            (("-A",), "--all-namespaces goes with --all"),
            (("--all", "wiki"), "--all and a target do not go together: --all asks every ServiceEntry by its own probes"),
            (("--all", "--around"), "--all and --around do not go together: --all asks every ServiceEntry by its own probes"),
            (("serviceentry/wiki",), "there is no ServiceEntry wiki in namespace default"),
        ],
    )
    def test_what_makes_no_sense_is_refused(self, cli: Cli, argv: tuple[str, ...], error: str) -> None:
        ran = cli("verify", *argv)
        assert (ran.code, ran.told("error")) == (2, [error])


def test_an_entry_of_another_namespace_is_asked_from_a_pod_of_its_own(cli: Cli, lab: Lab, proxy: FaultProxy) -> None:
    """The lab runs no sidecar there, so that is where the way ends."""
    lab.create(theirs("own", "other", hosts=["www.wikipedia.org"], ports=TLS, exportTo=["."]))
    [pod] = lab.api("GET", "/api/v1/namespaces/default/pods?labelSelector=app%3Dsleep")[1]["items"]
    pod["metadata"]["namespace"] = "other"
    pods = json.dumps({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": [pod]}).encode()
    proxy.rules = lambda call: Respond(200, body=pods) if call.path == "/api/v1/namespaces/other/pods" else None
    ran = cli.at(proxy.kubeconfig)("verify", "--all", "-A", "-o", "json")
    assert (ran.code, [verdict for verdict, _ in told(ran).values()]) == (3, ["inconclusive"])
    assert [(probe["source"]["namespace"], probe["source"]["pod"]) for probe in ran.probes] == [("other", "sleep")]


@pytest.fixture
def many(lab: Lab) -> list[str]:
    """More entries than one batch has; the names of the second batch's."""
    names = [f"entry-{index:02}" for index in range(MANY)]
    for index, name in enumerate(names):
        probes = json.dumps([{"name": "x", "url": f"http://100.80.{index}.10:8080"}])
        lab.create(theirs(name, probes=probes, hosts=[f"{name}.example"], addresses=[f"100.80.{index}.0/24"], ports=port(8080)))
    assert eventually(lambda: all(sidecar_leads_to(lab, f"{name}.example", 8080) for name in names))
    return names


def of_the_second_batch(call: Call) -> bool:
    return call.is_exec and f"http://100.80.{BATCH}.10:8080" in unquote(call.query)


def rows(running: Running) -> list[str]:
    """The entries whose rows have been printed so far; the process's own place in the file is left alone."""
    text = os.pread(running.stdout.fileno(), 1 << 16, 0).decode()
    return [line.split()[0] for line in text.splitlines() if line.startswith("entry-")]


def test_rows_come_before_the_end(cli: Cli, many: list[str], proxy: FaultProxy) -> None:
    read = threading.Event()
    proxy.rules = lambda call: Hold(read) if of_the_second_batch(call) else None
    running = cli.at(proxy.kubeconfig).start("verify", "--all", "--parallel", "1")
    try:
        # The second batch is not answered before the first one's rows are here.
        assert eventually(lambda: rows(running) == many[:BATCH])
    finally:
        read.set()
    ran = running.end()
    assert ran.code == 0
    assert [line.split()[:3] for line in ran.stdout.splitlines()[1:-1]] == [[name, "1/1", "open"] for name in many]
    assert ran.stdout.splitlines()[-1] == f"{MANY} ServiceEntries: {MANY} open"


def test_what_was_found_before_ctrl_c_is_told(cli: Cli, many: list[str], proxy: FaultProxy) -> None:
    ran = interrupted(
        cli, proxy, "verify", "--all", "--parallel", "1",
        signum=signal.SIGINT, when=of_the_second_batch, action=lambda pid: Signal(pid.result, signal.SIGINT),
    )  # fmt: skip
    assert ran.code == 130
    assert [line.split()[0] for line in ran.stdout.splitlines() if line.startswith("entry-")] == many[:BATCH]
    assert ran.stdout.splitlines()[-1] == f"{MANY} ServiceEntries: {BATCH} open, {MANY - BATCH} not reached"


def test_after_ctrl_c_json_names_what_was_not_reached_and_nothing_more_is_asked(
    cli: Cli, many: list[str], proxy: FaultProxy
) -> None:
    ran = interrupted(
        cli, proxy, "verify", "--all", "--parallel", "1", "-o", "json",
        signum=signal.SIGINT, when=of_the_second_batch, action=lambda pid: Signal(pid.result, signal.SIGINT),
    )  # fmt: skip
    assert (ran.code, ran.report["exitCode"]) == (130, 130)
    assert [target["name"] for target in ran.report["targets"]] == many[:BATCH]
    assert ran.report["notReached"] == [f"default/{name}" for name in many[BATCH:]]
    assert not [call for call in proxy.calls if call.path == "/version"], "who has ended it waits for no further answer"


def test_an_api_server_that_is_too_busy_is_left_alone_for_as_long_as_it_asks(
    cli: Cli, many: list[str], proxy: FaultProxy
) -> None:
    """Each question is refused three times, and the first asks to wait for a second."""
    times: dict[str, list[float]] = {}

    def rule(call: Call) -> Action | None:
        asked = times.setdefault(f"{call.path}?{call.query}", [])
        asked.append(time.monotonic())
        wait = "1" if len(times) == 1 else "0"
        return Respond(429, "TooManyRequests", headers={"Retry-After": wait}) if len(asked) < 4 else None

    proxy.rules = rule
    ran = cli.at(proxy.kubeconfig)("verify", "--all", "-o", "json")
    assert (ran.code, ran.report["summary"]) == (0, f"{MANY} ServiceEntries: {MANY} open"), ran
    assert any("/exec?" in each for each in times)
    first = next(iter(times.values()))
    assert all(later - earlier >= 1 for earlier, later in itertools.pairwise(first[:4]))


def test_nothing_is_read_twice(cli: Cli, many: list[str], proxy: FaultProxy) -> None:
    # Where the kernel gave a connection another port towards the sidecar, its probe is asked again; not every time.
    for _ in range(5):
        proxy.calls.clear()
        ran = cli.at(proxy.kubeconfig)("verify", "--all", "--parallel", "1", "-o", "name")
        assert (ran.code, ran.stdout.splitlines()) == (0, [f"serviceentry.networking.istio.io/{name}" for name in many])
        asked = [unquote(call.query) for call in proxy.calls if call.is_exec]
        if (curls := sum("command=curl" in query for query in asked)) == 3:
            break
    assert curls == 3
    dumps = [query for query in asked if "config_dump?resource=dynamic_listeners&mask=name,active_state,error_state" in query]
    assert len(dumps) == 1
