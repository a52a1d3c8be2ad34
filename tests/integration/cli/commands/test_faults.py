"""What the API server does to a command: refusals, failures, broken connections, and what is told of them."""

from __future__ import annotations

import shlex
import signal
from collections.abc import Callable
from concurrent.futures import Future
from datetime import UTC, datetime

import pytest
import yaml

from cli import CREATED, DELETED, ENTRIES, PODS, Cli, Odd, entry, made, nothing_is_left, owned, sidecar_has, sidecar_leads_to
from faults import Action, Call, FaultProxy, Reset, ResetAfterForward, Respond, Rewrite, Signal, Stall, WithoutSelector, faults
from labs import Lab, eventually

Rule = Callable[[Call], Action | None]
ENTRY = "/serviceentries/wikipedia-ext"


def refusing(method: str, end: str, action: Action) -> Rule:
    """Do `action` to every call of a method whose path ends so."""
    return lambda call: action if call.method == method and call.path.endswith(end) else None


def forbidden(verb: str, resource: str, group: str = "") -> Respond:
    """A refusal in the API server's words."""
    in_group = f'in API group "{group}"'
    message = f'{resource} is forbidden: User "ci" cannot {verb} resource "{resource}" {in_group} in the namespace "default"'
    return Respond(403, "Forbidden", message)


class TestForbidden:
    @pytest.mark.parametrize(
        ("argv", "method", "end", "verb", "resource"),
        [
            (("create", "wikipedia"), "GET", "/pods", "list", "pods"),
            (("create", "wikipedia"), "GET", ENTRY, "get", "serviceentries"),
            (("create", "wikipedia"), "PATCH", ENTRY, "patch", "serviceentries"),
            (("run", "wikipedia"), "PATCH", ENTRY, "patch", "serviceentries"),
            (("list",), "GET", "/serviceentries", "list", "serviceentries"),
            (("cleanup",), "GET", "/serviceentries", "list", "serviceentries"),
            (("verify",), "GET", "/serviceentries", "list", "serviceentries"),
        ],
    )
    def test_names_verb_resource_and_namespace(
        self, cli: Cli, lab: Lab, proxy: FaultProxy, argv: tuple[str, ...], method: str, end: str, verb: str, resource: str
    ) -> None:
        group = "networking.istio.io" if resource == "serviceentries" else ""
        proxy.rules = refusing(method, end, forbidden(verb, resource, group))
        ran = cli.at(proxy.kubeconfig)(*argv)
        assert (ran.code, ran.stdout) == (3, "")
        qualified = f"{resource}.{group}" if group else resource
        assert ran.error == f"user ci may not {verb} {qualified} in namespace default"
        assert f"kubectl auth can-i {verb} {qualified} -n default" in ran.hint
        assert owned(lab) == []

    def test_a_refused_exec_leaves_a_created_entry_and_says_so(self, cli: Cli, lab: Lab, proxy: FaultProxy) -> None:
        proxy.rules = lambda call: Respond(403, "Forbidden") if call.is_exec else None
        ran = cli.at(proxy.kubeconfig)("create", "wikipedia")
        assert (ran.code, ran.stdout) == (3, CREATED)
        assert "create pods/exec in namespace default" in ran.error
        assert owned(lab) == ["serviceentry/wikipedia-ext"]

    def test_a_run_that_may_not_exec_cleans_up(self, cli: Cli, lab: Lab, proxy: FaultProxy) -> None:
        proxy.rules = lambda call: Respond(403, "Forbidden") if call.is_exec else None
        ran = cli.at(proxy.kubeconfig)("run", "wikipedia")
        assert ran.code == 3
        assert "create pods/exec in namespace default" in ran.error
        assert nothing_is_left(lab)

    def test_without_the_right_to_list_all_namespaces_the_own_one_suffices(self, cli: Cli, lab: Lab, proxy: FaultProxy) -> None:
        made(lab)
        proxy.rules = refusing("GET", "/v1/serviceentries", Respond(403, "Forbidden"))
        ran = cli.at(proxy.kubeconfig)("verify", "-o", "json")
        assert (ran.code, ran.judged) == (0, [("open", None)] * 2)


class TestWhatIsLeft:
    @pytest.mark.parametrize("action", [Respond(403, "Forbidden"), Respond(500)], ids=["403", "500"])
    @pytest.mark.parametrize("command", [("cleanup",), ("run", "wikipedia")], ids=lambda command: command[0])
    def test_is_listed_with_the_command_that_removes_it(
        self, cli: Cli, lab: Lab, proxy: FaultProxy, command: tuple[str, ...], action: Respond
    ) -> None:
        if command[0] == "cleanup":
            made(lab)
        proxy.rules = refusing("DELETE", ENTRY, action)
        ran = cli.at(proxy.kubeconfig)(*command)
        assert ran.code == 5
        assert "wikipedia-ext" in ran.error
        assert owned(lab) == ["serviceentry/wikipedia-ext"]
        assert "kubectl delete" in ran.hint
        assert DELETED not in ran.stdout

    def test_the_command_removes_it(self, cli: Cli, lab: Lab, proxy: FaultProxy) -> None:
        made(lab)
        proxy.rules = refusing("DELETE", ENTRY, Respond(500))
        hint = cli.at(proxy.kubeconfig)("cleanup").hint
        line = hint.removeprefix("remove it with: ")
        words = shlex.split(line)
        assert words == ["kubectl", "delete", "serviceentry", "-n", "default", "wikipedia-ext"]
        lab.delete({"metadata": {"namespace": words[4], "name": words[5]}})
        assert nothing_is_left(lab)

    def test_what_a_server_calls_it_is_one_word_of_the_command(self, cli: Cli, lab: Lab, proxy: FaultProxy) -> None:
        made(lab)
        name = "'; reboot; x'"
        assert len(name) == len("wikipedia-ext")
        answers: dict[str, Action] = {"GET": Rewrite("wikipedia-ext", name), "DELETE": Respond(500)}
        proxy.rules = lambda call: answers.get(call.method) if "serviceentries" in call.path else None
        ran = cli.at(proxy.kubeconfig)("cleanup", "--all")
        assert ran.code == 5, ran
        assert shlex.split(ran.hint.removeprefix("remove it with: ")) == [
            "kubectl",
            "delete",
            "serviceentry",
            "-n",
            "default",
            name,
        ]

    def test_an_object_that_a_finalizer_holds_is_left(self, cli: Cli, lab: Lab) -> None:
        made(lab)
        status, _ = lab.api("PUT", f"/apis/networking.istio.io/v1/namespaces/default{ENTRY}", held(lab, ["example.com/hold"]))
        assert status == 200
        ran = cli("cleanup", "--timeout", "100ms")
        lab.api("PUT", f"/apis/networking.istio.io/v1/namespaces/default{ENTRY}", held(lab, []))
        assert ran.code == 5
        assert "a finalizer blocks it: example.com/hold" in ran.error

    def test_an_entry_that_is_gone_meanwhile_is_a_success(self, cli: Cli, lab: Lab, proxy: FaultProxy) -> None:
        made(lab)

        def rules(call: Call) -> Action | None:
            if call.method == "DELETE" and lab.api("GET", f"/apis/networking.istio.io/v1/namespaces/default{ENTRY}")[0] == 200:
                lab.delete({"metadata": {"namespace": "default", "name": "wikipedia-ext"}})
            return None

        proxy.rules = rules
        ran = cli.at(proxy.kubeconfig)("cleanup")
        assert (ran.code, ran.stdout.startswith(DELETED)) == (0, True)
        assert nothing_is_left(lab)


def held(lab: Lab, finalizers: list[str]) -> dict[str, object]:
    found: dict[str, object] = lab.api("GET", f"/apis/networking.istio.io/v1/namespaces/default{ENTRY}")[1]
    metadata = found["metadata"]
    assert isinstance(metadata, dict)
    return {**found, "metadata": {**metadata, "finalizers": finalizers}}


class TestPassing:
    @pytest.mark.parametrize(
        "action",
        [Respond(429, headers={"Retry-After": "1"}), Respond(500), Respond(503), Reset(), ResetAfterForward()],
        ids=["429", "500", "503", "reset", "answer lost"],
    )
    def test_a_failure_that_passes_is_not_seen(self, cli: Cli, lab: Lab, proxy: FaultProxy, action: Action) -> None:
        places = (("PATCH", ENTRY), ("DELETE", ENTRY), ("GET", "/pods"))
        each_once = [faults(action, method=method, path=path) for method, path in places]
        proxy.rules = lambda call: action if any(rule(call) for rule in each_once) else None
        ran = cli.at(proxy.kubeconfig)("run", "wikipedia", "-o", "json")
        assert (ran.code, ran.judged) == (0, [("open", None)] * 2)
        assert not ran.told("error")
        for method, path in places:
            assert sum(call.method == method and path in call.path for call in proxy.calls) > 1, "it was met, and asked again"
        assert nothing_is_left(lab)


class TestLasting:
    @pytest.mark.parametrize("status", [429, 500, 503])
    def test_a_failure_that_lasts_is_told_with_what_was_asked(self, cli: Cli, lab: Lab, proxy: FaultProxy, status: int) -> None:
        proxy.rules = refusing("PATCH", ENTRY, Respond(status))
        ran = cli.at(proxy.kubeconfig)("create", "wikipedia")
        assert (ran.code, ran.stdout) == (3, "")
        about = 'to patch serviceentries.networking.istio.io "wikipedia-ext" in namespace default: injected by the test'
        assert ran.error == f"the API server answered {status} when asked {about}"
        assert ran.hint == "try again later"
        assert owned(lab) == []

    def test_a_wait_that_is_too_long_is_not_begun(self, cli: Cli, proxy: FaultProxy) -> None:
        proxy.rules = lambda call: Respond(429, headers={"Retry-After": "3600"})
        ran = cli.at(proxy.kubeconfig)("list")
        assert ran.code == 3
        assert "asks to wait 3600 s, longer than --request-timeout leaves" in ran.error

    def test_an_expired_token(self, cli: Cli, proxy: FaultProxy) -> None:
        proxy.rules = lambda call: Respond(401, "Unauthorized")
        ran = cli.at(proxy.kubeconfig)("create", "wikipedia")
        assert (ran.code, ran.stdout) == (3, "")
        assert ran.error == "the API server refused the credentials: unknown or expired (401)"
        assert ran.hint.startswith("log in again")

    def test_an_answer_that_is_not_json(self, cli: Cli, proxy: FaultProxy) -> None:
        page = Respond(200, headers={"Content-Type": "text/html"}, body=b"<html>Welcome to the proxy</html>")
        proxy.rules = lambda call: page
        ran = cli.at(proxy.kubeconfig)("list")
        assert (ran.code, ran.stdout) == (3, "")
        about = "asked what it serves, it gave 200 and an HTML page"
        assert ran.error == f"what answered at 127.0.0.1:{proxy.port} is not the Kubernetes API: {about}"

    def test_an_api_server_that_says_nothing(self, cli: Cli, proxy: FaultProxy) -> None:
        proxy.rules = lambda call: Stall()
        ran = cli.at(proxy.kubeconfig)("list", "--request-timeout", "500ms")
        assert (ran.code, ran.stdout) == (3, "")
        assert f"127.0.0.1:{proxy.port}" in ran.error

    def test_a_connection_that_always_breaks(self, cli: Cli, proxy: FaultProxy) -> None:
        proxy.rules = lambda call: Reset()
        ran = cli.at(proxy.kubeconfig)("verify", "wikipedia", "-o", "json")
        assert ran.code == 3
        assert f"127.0.0.1:{proxy.port}" in ran.error
        assert ran.report["error"]["message"] == ran.error

    def test_a_wait_for_the_sidecar_that_runs_out_leaves_the_entry(self, cli: Cli, lab: Lab) -> None:
        # The older of two entries that claim one block keeps it.
        lab.create(entry("rival", hosts=["aaa.example"]))
        assert eventually(lambda: sidecar_leads_to(lab, "aaa.example"))
        ran = cli("create", "wikipedia", "--export-to", "*", "--timeout", "300ms")
        assert (ran.code, ran.stdout) == (3, CREATED)
        lacks = "the ServiceEntry is applied, but after 0.3s the sidecar of pod sleep does not have 208.80.154.224/27:443"
        assert ran.error.startswith(f"{lacks}: ServiceEntry default/rival takes it")
        assert ran.error.endswith(": the sidecar sends it to outbound|443||aaa.example")
        assert ran.hint == "kubectl get serviceentry -n default rival -o yaml; then: egressctl verify -n default"
        assert owned(lab) == ["serviceentry/wikipedia-ext"]

    def test_a_wait_that_is_of_no_use_is_not_waited_out(self, cli: Cli, lab: Lab) -> None:
        lab.create(entry("rival", hosts=["aaa.example"]))
        assert eventually(lambda: sidecar_leads_to(lab, "aaa.example"))
        made_at = lab.api("GET", f"{ENTRIES}/rival")[1]["metadata"]["creationTimestamp"]
        # Of two entries of one second the host decides, and the sentence says so.
        assert eventually(lambda: datetime.now(UTC).replace(microsecond=0) > datetime.fromisoformat(made_at))
        ran = cli("create", "wikipedia", "--export-to", "*", "--timeout", "1h")
        assert (ran.code, ran.stdout) == (3, CREATED)
        assert ran.error == (
            "the ServiceEntry is applied, but waiting does not help: "
            "the sidecar of pod sleep does not have 208.80.154.224/27:443: "
            "ServiceEntry default/rival takes it, because it is the older: the sidecar sends it to outbound|443||aaa.example"
        )
        assert owned(lab) == ["serviceentry/wikipedia-ext"]

    def test_a_control_plane_that_stands_still_is_told(self, cli: Cli, odd: Odd) -> None:
        # The lab's sidecar is fed from the lab's own API, and never hears of this one's entries.
        outside = ("outside", "--host", "outside.example", "--address", "203.0.113.0/24", "--port", "443")
        ran = cli.at(odd(lambda _, plan: plan))("create", *outside, "--timeout", "300ms")
        assert ran.code == 3
        assert ran.error.endswith("does not have 203.0.113.0/24:443: istiod has not pushed it")
        assert ran.hint == "istioctl proxy-status; then: egressctl verify -n default"

    def test_the_crd_is_missing(self, cli: Cli, proxy: FaultProxy) -> None:
        missing = Respond(404, body=b"404 page not found\n", headers={"Content-Type": "text/plain"})
        proxy.rules = lambda call: missing if call.path.startswith("/apis/networking.istio.io") else None
        for argv in (("create", "wikipedia"), ("verify",), ("cleanup",), ("list",)):
            ran = cli.at(proxy.kubeconfig)(*argv)
            assert (ran.code, ran.stdout) == (3, "")
            assert ran.error == "the API server does not serve networking.istio.io"
            assert "install Istio" in ran.hint

    def test_an_older_version_is_taken_where_no_newer_is_served(self, cli: Cli, lab: Lab, proxy: FaultProxy) -> None:
        group = b'{"kind":"APIGroup","versions":[{"version":"v1alpha3"},{"version":"v1beta1"}]}'
        proxy.rules = faults(Respond(200, body=group), path="/apis/networking.istio.io", times=1)
        assert cli.at(proxy.kubeconfig)("create", "wikipedia").code == 0
        assert [call.path for call in proxy.calls if call.method == "PATCH"] == [
            f"/apis/networking.istio.io/v1beta1/namespaces/default{ENTRY}"
        ]


def test_warnings_of_the_api_server_are_shown(cli: Cli, proxy: FaultProxy) -> None:
    told = {"Warning": '299 - "the group is going away in v1.99"'}
    group = b'{"kind":"APIGroup","versions":[{"version":"v1"}]}'
    proxy.rules = faults(Respond(200, body=group, headers=told), path="/apis/networking.istio.io", times=1)
    ran = cli.at(proxy.kubeconfig)("list")
    assert (ran.code, ran.told("warning")) == (0, ["the group is going away in v1.99"])


def test_closure_that_cannot_be_asked_is_no_success(cli: Cli, lab: Lab, proxy: FaultProxy) -> None:
    made(lab)
    proxy.rules = lambda call: Respond(403, "Forbidden") if call.is_exec else None
    ran = cli.at(proxy.kubeconfig)("cleanup")
    assert ran.code == 3
    assert ran.stdout.startswith(DELETED)
    assert owned(lab) == []
    assert eventually(lambda: not sidecar_has(lab))


class TestListThatIsNotTheOneAskedFor:
    """A proxy that drops the label selector: what is not ours is held against our labels here, before it is deleted."""

    def test_cleanup_takes_ours_alone(self, cli: Cli, lab: Lab, proxy: FaultProxy) -> None:
        made(lab)
        lab.create(entry("theirs", hosts=["theirs.example"], addresses=["192.0.2.0/24"]))
        proxy.rules = lambda call: WithoutSelector() if "labelSelector" in call.query else None
        ran = cli.at(proxy.kubeconfig)("cleanup", "--all")
        assert (ran.code, ran.stdout.startswith(DELETED)) == (0, True), ran
        assert lab.api("GET", f"{ENTRIES}/theirs")[0] == 200
        assert lab.api("GET", f"{PODS}/sleep")[0] == 200

    def test_a_run_that_is_ended_takes_back_its_own_alone(self, cli: Cli, lab: Lab, proxy: FaultProxy) -> None:
        lab.create(entry("theirs", hosts=["theirs.example"], addresses=["192.0.2.0/24"]))

        pid: Future[int] = Future()
        ending = faults(Signal(lambda: pid.result(10), signal.SIGTERM), path="/exec")
        # That of the source pod is left: else no pod could be told from another.
        lying = WithoutSelector()
        proxy.rules = lambda call: ending(call) or (lying if "managed-by" in call.query else None)
        running = cli.at(proxy.kubeconfig).start("run", "wikipedia")
        pid.set_result(running.pid)
        assert running.end().code == 143
        assert lab.api("GET", f"{ENTRIES}/theirs")[0] == 200
        assert lab.api("GET", f"{PODS}/sleep")[0] == 200
        assert nothing_is_left(lab)


@pytest.mark.parametrize("command", ["create", "run"])
def test_what_somebody_else_makes_at_the_same_moment_stays_theirs(cli: Cli, lab: Lab, proxy: FaultProxy, command: str) -> None:
    """Between the look and the apply; theirs says the same, so that the API server sees no conflict."""
    theirs = {**yaml.safe_load(cli("render", "wikipedia", "-n", "default").stdout)}
    theirs["metadata"] = {"name": "wikipedia-ext", "namespace": "default", "labels": {"team": "network"}}

    def meanwhile(call: Call) -> None:
        if call.method == "PATCH" and lab.api("GET", f"{ENTRIES}/wikipedia-ext")[0] == 404:
            lab.create(theirs)

    proxy.rules = meanwhile
    ran = cli.at(proxy.kubeconfig)(command, "wikipedia")
    assert (ran.code, "at the same moment" in ran.error) == (1, True), ran
    status, left = lab.api("GET", f"{ENTRIES}/wikipedia-ext")
    assert (status, left["metadata"]["labels"], left["spec"]) == (200, {"team": "network"}, theirs["spec"])
    assert "egressctl" not in [each["manager"] for each in left["metadata"]["managedFields"]]
