"""Two commands on one target at the same moment: neither changes or deletes what is the other's, and both say what is true."""

from __future__ import annotations

import re
import signal
from concurrent.futures import Future
from typing import Any

import pytest

from cli import CREATED, DELETED, ENTRIES, Cli, Ran, entry, interrupted, made, nothing_is_left, owned, without_sleep
from egressctl.kube.config import ConnectOptions, connect
from egressctl.manifests.service_entry import LABEL_RUN_ID
from egressctl.mesh.client import Mesh
from faults import Action, Call, FaultProxy, Meanwhile, ResetAfterForward, Respond, Rewrite, Signal, faults
from labs import Lab

pytestmark = pytest.mark.thorough

ENTRY = f"{ENTRIES}/wikipedia-ext"
ANOTHER = (
    "ServiceEntry default/wikipedia-ext is another one now, made 2[^ ]*,? {}: "
    "the one that was to be deleted is gone, and this one stays"
)
EARLIER = "0badcafe"
"""The run that was there first."""


def is_apply(call: Call) -> bool:
    return call.method == "PATCH" and call.path == ENTRY


def is_deletion(call: Call) -> bool:
    return call.method == "DELETE" and call.path == ENTRY


def metadata(lab: Lab) -> dict[str, Any]:
    status, found = lab.api("GET", ENTRY)
    assert status == 200, found
    told: dict[str, Any] = found["metadata"]
    return told


def run_id(lab: Lab) -> str:
    return str(metadata(lab)["labels"][LABEL_RUN_ID])


class Earlier:
    """Rules of the proxy: have an earlier run make the entry right before the first apply of the later one."""

    def __init__(self, lab: Lab, action: Action | None = None) -> None:
        self.lab, self.action, self.uid = lab, action, ""

    def __call__(self, call: Call) -> Action | None:
        if self.uid or not is_apply(call):
            return None
        self.uid = str(made(self.lab, run_id=EARLIER)["metadata"]["uid"])
        return self.action

    def stayed(self) -> bool:
        """Say whether what the earlier run made is there as it made it."""
        return (metadata(self.lab)["uid"], run_id(self.lab)) == (self.uid, EARLIER)


class TestMadeByAnotherAtTheSameMoment:
    def test_the_later_create_made_nothing_and_says_so(self, cli: Cli, lab: Lab, proxy: FaultProxy) -> None:
        proxy.rules = earlier = Earlier(lab)
        ran = cli.at(proxy.kubeconfig)("create", "wikipedia", "-o", "json")
        assert (ran.code, ran.report["targets"][0]["action"]) in ((0, "unchanged"), (0, "configured")), ran
        assert earlier.stayed()

    def test_a_run_does_not_take_it_for_its_own(self, cli: Cli, lab: Lab, proxy: FaultProxy) -> None:
        proxy.rules = earlier = Earlier(lab)
        ran = cli.at(proxy.kubeconfig)("run", "wikipedia")
        assert (ran.code, ran.stdout) == (1, ""), ran
        assert f"by run {EARLIER}: run removes only what it made itself: that happened at the same moment" in ran.error
        assert earlier.stayed()

    @pytest.mark.parametrize("command", ["create", "run"])
    @pytest.mark.parametrize("when", ["before", "after"])
    def test_a_signal_to_the_later_one_leaves_it(self, cli: Cli, lab: Lab, proxy: FaultProxy, command: str, when: str) -> None:
        earlier = Earlier(lab)

        def action(pid: Future[int]) -> Action:
            made_first = earlier(Call(0, "PATCH", ENTRY, ""))
            assert made_first is None
            return Signal(lambda: pid.result(10), signal.SIGINT, "before" if when == "before" else "after")

        ran = interrupted(cli, proxy, command, "wikipedia", signum=signal.SIGINT, when=is_apply, action=action)
        assert ran.code in (1, 130), ran
        assert earlier.stayed()

    def test_a_source_pod_of_another_stays_where_the_run_ends(self, cli: Cli, lab: Lab, proxy: FaultProxy) -> None:
        without_sleep(lab)

        def make_theirs() -> None:
            ran = cli.fresh()("create", "other", "--host", "other.example", "--port", "443/TLS", "--with-source", "--no-wait")
            assert ran.code == 0, ran

        proxy.rules = faults(Meanwhile(make_theirs), method="PATCH", path="/serviceaccounts/sleep")
        ran = cli.at(proxy.kubeconfig)("run", "wikipedia", "--with-source")
        assert ran.code == 0, ran
        assert owned(lab) == ["serviceentry/other-ext", "pod/sleep", "serviceaccount/sleep"]


class TestAnAnswerThatIsLost:
    """What is there with the run's own id is its own, although it never heard that it made it."""

    @pytest.mark.parametrize("command", ["create", "run"])
    def test_it_was_created(self, cli: Cli, lab: Lab, proxy: FaultProxy, command: str) -> None:
        proxy.rules = faults(ResetAfterForward(), method="PATCH", path="/serviceentries/")
        ran = cli.at(proxy.kubeconfig)(command, "wikipedia")
        assert (ran.code, ran.stdout.startswith(CREATED)) == (0, True), ran
        assert sum(map(is_apply, proxy.calls)) == 2
        assert owned(lab) == (["serviceentry/wikipedia-ext"] if command == "create" else [])

    def test_it_is_taken_back_where_the_next_try_is_refused(self, cli: Cli, lab: Lab, proxy: FaultProxy) -> None:
        """The refusal is of that try alone."""
        lost, refused = (faults(each, method="PATCH", path="/serviceentries/") for each in (ResetAfterForward(), Respond(403)))
        proxy.rules = lambda call: lost(call) or refused(call)
        ran = cli.at(proxy.kubeconfig)("create", "wikipedia")
        assert (ran.code, sum(map(is_apply, proxy.calls))) == (3, 2), ran
        assert nothing_is_left(lab)

    def test_it_is_taken_back(self, cli: Cli, lab: Lab, proxy: FaultProxy) -> None:
        seen: list[Call] = []

        def rules(call: Call) -> Action | None:
            if is_apply(call):
                seen.append(call)
                return ResetAfterForward() if len(seen) == 1 else None
            return ending(call)

        pid: Future[int] = Future()
        ending = faults(Signal(lambda: pid.result(10), signal.SIGTERM), path="/exec")
        proxy.rules = rules
        running = cli.at(proxy.kubeconfig).start("create", "wikipedia")
        pid.set_result(running.pid)
        assert running.end().code == 143
        assert len(seen) == 2
        assert nothing_is_left(lab)


class TestARunUnderWay:
    """What it made is gone when it ends: nobody else may count on it."""

    def test_is_no_entry_for_a_create(self, cli: Cli, lab: Lab, proxy: FaultProxy) -> None:
        met: list[Ran] = []
        proxy.rules = faults(Meanwhile(lambda: met.append(cli.fresh()("create", "wikipedia"))), path="/exec", skip=1)
        ran = cli.at(proxy.kubeconfig)("run", "wikipedia")
        assert ran.code == 0, ran
        [create] = met
        assert (create.code, create.stdout) == (1, ""), create
        assert create.error.startswith("ServiceEntry default/wikipedia-ext is of a test, run ")
        assert create.hint.endswith("if it is not running any more: egressctl cleanup wikipedia -n default")
        assert nothing_is_left(lab)

    def test_that_keeps_its_entry_is_one(self, cli: Cli) -> None:
        assert cli("run", "wikipedia", "--keep", "-q").code == 0
        assert cli("create", "wikipedia").code == 0

    def test_leaves_a_copy_that_somebody_made_of_it(self, cli: Cli, lab: Lab, proxy: FaultProxy) -> None:
        """With all its labels, the run's id among them."""

        def copy_it() -> None:
            _, found = lab.api("GET", ENTRY)
            told = {key: found["metadata"][key] for key in ("namespace", "labels")}
            spec = {**found["spec"], "hosts": ["copy.example"], "addresses": ["192.0.2.0/24"]}
            lab.create({**found, "metadata": {**told, "name": "copy"}, "spec": spec})

        def action(pid: Future[int]) -> Action:
            copy_it()
            return Signal(lambda: pid.result(10), signal.SIGTERM)

        ran = interrupted(cli, proxy, "run", "wikipedia", signum=signal.SIGTERM, when=lambda call: call.is_exec, action=action)
        assert ran.code == 143, ran
        assert owned(lab) == ["serviceentry/copy"]


class TestCreate:
    def test_that_changed_nothing_fails_where_the_entry_is_gone_at_its_end(self, cli: Cli, lab: Lab, proxy: FaultProxy) -> None:
        """Whose run made it may have been ended, and have taken it back."""
        made(lab, run_id=EARLIER)

        def rules(call: Call) -> None:
            if call.is_exec and lab.api("GET", ENTRY)[0] == 200:
                lab.delete({"metadata": {"namespace": "default", "name": "wikipedia-ext"}})

        proxy.rules = rules
        ran = cli.at(proxy.kubeconfig)("create", "wikipedia", "--timeout", "3s")
        assert (ran.code in (1, 3), "was deleted" in ran.error) == (True, True), ran

    def test_meets_an_entry_that_is_deleted_at_the_same_moment(self, cli: Cli, lab: Lab, proxy: FaultProxy) -> None:
        before = made(lab, run_id=EARLIER)["metadata"]["uid"]
        done: list[Call] = []

        def rules(call: Call) -> None:
            if is_apply(call) and not done:
                done.append(call)
                lab.delete({"metadata": {"namespace": "default", "name": "wikipedia-ext"}})

        proxy.rules = rules
        ran = cli.at(proxy.kubeconfig)("create", "wikipedia")
        assert (ran.code, ran.stdout) == (0, CREATED), ran
        assert metadata(lab)["uid"] != before
        assert run_id(lab) != EARLIER


class TestCleanup:
    def replaced(self, lab: Lab, *, ours: bool) -> Any:
        """Rules that delete the entry right before the deletion, and make another of its name."""
        done: list[Call] = []

        def rules(call: Call) -> None:
            if is_deletion(call) and not done:
                done.append(call)
                lab.delete({"metadata": {"namespace": "default", "name": "wikipedia-ext"}})
                if ours:
                    made(lab, run_id="0000beef")
                else:
                    lab.create(entry())

        return rules

    @pytest.mark.parametrize("flags", [(), ("--no-verify",), ("--all", "--no-wait")], ids=["", "no-verify", "no-wait"])
    def test_fails_where_another_run_has_made_it_anew(
        self, cli: Cli, lab: Lab, proxy: FaultProxy, flags: tuple[str, ...]
    ) -> None:
        made(lab)
        proxy.rules = self.replaced(lab, ours=True)
        ran = cli.at(proxy.kubeconfig)("cleanup", *flags)
        assert (ran.code, ran.stdout) == (1, ""), ran
        assert re.fullmatch(ANOTHER.format("by run 0000beef"), ran.error)
        assert ran.hint == "see what it is: kubectl get serviceentry -n default wikipedia-ext -o yaml"
        assert run_id(lab) == "0000beef"

    @pytest.mark.parametrize(("flags", "code"), [((), 1), (("--no-verify",), 0)], ids=["", "no-verify"])
    def test_warns_of_what_somebody_else_has_made_instead(
        self, cli: Cli, lab: Lab, proxy: FaultProxy, flags: tuple[str, ...], code: int
    ) -> None:
        """What egressctl made is gone, which is all that was asked for; whether it is closed is for the proof to say."""
        made(lab)
        proxy.rules = self.replaced(lab, ours=False)
        ran = cli.at(proxy.kubeconfig)("cleanup", *flags)
        assert (ran.code, ran.stdout.startswith(DELETED)) == (code, True), ran
        assert any(re.fullmatch(ANOTHER.format("and not by egressctl"), told) for told in ran.told("warning")), ran
        assert "kubectl delete" not in ran.stderr
        assert lab.api("GET", ENTRY)[0] == 200

    def test_deletes_what_else_there_is(self, cli: Cli, lab: Lab, proxy: FaultProxy) -> None:
        made(lab)
        assert cli("create", "other", "--host", "other.example", "--address", "192.0.2.0/24", "--port", "443").code == 0
        proxy.rules = self.replaced(lab, ours=True)
        ran = cli.at(proxy.kubeconfig)("cleanup", "--all", "-o", "json")
        assert ran.code == 1, ran
        assert [each["serviceEntries"] for each in ran.report["targets"]] == [["other-ext"]]
        assert owned(lab) == ["serviceentry/wikipedia-ext"]

    @pytest.mark.parametrize("flags", [(), ("--no-verify",)], ids=["", "no-verify"])
    def test_names_no_deletion_where_the_uid_is_another_than_it_was_told(
        self, cli: Cli, lab: Lab, proxy: FaultProxy, flags: tuple[str, ...]
    ) -> None:
        """By whoever stands between: whose object it is that has the name is not known then."""
        uid = made(lab)["metadata"]["uid"]
        proxy.rules = lambda call: Rewrite(uid, "6a1f0a2c-0000-4000-8000-000000000000") if call.method == "GET" else None
        ran = cli.at(proxy.kubeconfig)("cleanup", *flags)
        assert (ran.code, ran.stdout) == (1, ""), ran
        assert ran.error.startswith("another object has the name of serviceentries.networking.istio.io")
        assert "kubectl delete" not in ran.stderr
        assert metadata(lab)["uid"] == uid

    def test_leaves_what_somebody_takes_over_at_the_same_moment(self, cli: Cli, lab: Lab, proxy: FaultProxy) -> None:
        made(lab)
        done: list[Call] = []

        def rules(call: Call) -> None:
            if is_deletion(call) and not done:
                done.append(call)
                mesh = Mesh(connect(ConnectOptions(kubeconfig=str(lab.kubeconfig))))
                mesh.apply(entry(location="MESH_INTERNAL"), manager="argocd", force=True)

        proxy.rules = rules
        ran = cli.at(proxy.kubeconfig)("cleanup")
        assert (ran.code, ran.stdout) == (1, ""), ran
        assert ran.error.startswith("ServiceEntry default/wikipedia-ext has been taken over by argocd")
        assert "kubectl delete" not in ran.stderr
        assert lab.api("GET", ENTRY)[0] == 200

    def test_deletes_what_only_its_status_was_written_to(self, cli: Cli, lab: Lab, proxy: FaultProxy) -> None:
        """As istiod does at any time."""
        made(lab)
        done: list[Call] = []

        def rules(call: Call) -> None:
            if is_deletion(call) and not done:
                done.append(call)
                _, found = lab.api("GET", ENTRY)
                change = {**found, "metadata": {**found["metadata"], "annotations": {"note": "changed"}}}
                assert lab.api("PUT", ENTRY, change)[0] == 200

        proxy.rules = rules
        ran = cli.at(proxy.kubeconfig)("cleanup")
        assert ran.code == 0, ran
        assert nothing_is_left(lab)
