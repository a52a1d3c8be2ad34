"""Every verdict and cause that can occur on the lab, by the command line, with its exit code."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
import yaml

from cli import PODS, Cli, Odd, entry, instead, made, nothing_is_left, pod, sidecar_leads_to, start_pod, with_environment
from egressctl.kube.config import ConnectOptions, connect
from egressctl.lab.api.settings import Container, EnterPlan
from egressctl.lab.dataplane.nsenter import entrance
from egressctl.lab.state import locate
from faults import Call, FaultProxy, Reset, ResetDuringExec, Respond, faults
from labs import Lab, eventually

PORTAL = "https://www.wikipedia.org"
OUTSIDE = "https://outside.example"
OURS = "outbound|443||wikipedia.org"


@pytest.fixture
def allowing(lab: Lab) -> Iterator[None]:
    """The worker's lab under ALLOW_ANY."""
    lab.set_policy("ALLOW_ANY")
    yield
    lab.set_policy("REGISTRY_ONLY")


def target(url: str, name: str = "wikipedia", **spec: Any) -> str:
    """An EgressTarget for the wikipedia entry, with one probe."""
    expect = spec.pop("expect", {})
    extract = {"extract": extract} if (extract := spec.pop("extract", {})) else {}
    probe = {"name": "probe", "url": url, "expect": expect, **extract}
    wanted = {"serviceEntry": {**entry()["spec"], **spec}, "probes": [probe]}
    return yaml.safe_dump(
        {"apiVersion": "egressctl.dev/v1alpha1", "kind": "EgressTarget", "metadata": {"name": name}, "spec": wanted}
    )


class TestAllowAny:
    def test_an_answer_without_the_entry_is_bypassed_and_never_open(self, cli: Cli, allowing: None) -> None:
        ran = cli("verify", "wikipedia", "-o", "json")
        assert ran.code == 1
        assert ran.judged == [("bypassed", "entry-missing")] * 2
        assert ran.report["verdict"] == "bypassed"
        assert {probe["outcome"]["httpStatus"] for probe in ran.probes} == {200}
        assert {probe["evidence"]["envoyCluster"] for probe in ran.probes} == {"PassthroughCluster"}
        assert {probe["evidence"]["policy"] for probe in ran.probes} == {"ALLOW_ANY"}

    def test_with_the_entry_it_is_open(self, cli: Cli, lab: Lab, allowing: None) -> None:
        made(lab)
        ran = cli("verify", "-o", "json")
        assert (ran.code, ran.judged) == (0, [("open", None)] * 2)

    def test_an_address_outside_the_entry_is_bypassed(self, cli: Cli, lab: Lab, allowing: None) -> None:
        made(lab)
        ran = cli("verify", "wikipedia", "--probe", OUTSIDE, "-o", "json")
        assert (ran.code, ran.judged) == (1, [("bypassed", "address-not-listed")])
        assert "203.0.113.10" in ran.probes[0]["cause"]["message"]

    def test_a_bare_url_is_passed_through(self, cli: Cli, allowing: None) -> None:
        ran = cli("verify", "--probe", OUTSIDE, "-o", "json")
        assert (ran.code, ran.judged) == (1, [("bypassed", "passthrough")])

    def test_must_deny_does_not_hold(self, cli: Cli, allowing: None) -> None:
        ran = cli("verify", "wikipedia", "--expect", "blocked", "-o", "json")
        assert (ran.code, ran.judged) == (1, [("bypassed", "entry-missing")] * 2)

    def test_cleanup_holds_and_warns_that_nothing_is_closed(self, cli: Cli, lab: Lab, allowing: None) -> None:
        made(lab)
        ran = cli("cleanup", "-o", "json")
        assert ran.code == 0
        [cleaned] = ran.report["targets"]
        assert (cleaned["closure"]["verdict"], cleaned["closure"]["held"]) == ("bypassed", True)
        [warning] = ran.told("warning")
        assert "ALLOW_ANY, so nothing is closed" in warning
        assert ran.report["warnings"] == [warning]
        assert nothing_is_left(lab)

    def test_a_run_holds_with_the_same_warning(self, cli: Cli, lab: Lab, allowing: None) -> None:
        ran = cli("run", "wikipedia", "-o", "json")
        assert (ran.code, ran.judged) == (0, [("open", None)] * 2)
        assert ran.report["targets"][0]["closure"]["verdict"] == "bypassed"
        assert len(ran.told("warning")) == 1
        assert nothing_is_left(lab)


class TestWithinTheMesh:
    def test_blackhole(self, cli: Cli) -> None:
        ran = cli("verify", "--probe", OUTSIDE, "-o", "json")
        assert (ran.code, ran.judged) == (1, [("blocked", "blackhole")])
        # By a second connection, unless the refused one's own row was still there to be read.
        assert ran.probes[0]["evidence"]["capture"] == "captured"
        assert ran.probes[0]["cause"]["hint"] == "egressctl create outside.example -n default"

    def test_plain_http_is_blocked_too(self, cli: Cli) -> None:
        ran = cli("verify", "--probe", "http://outside.example", "-o", "json")
        assert (ran.code, ran.judged) == (1, [("blocked", "blackhole")])

    def test_any_entry_may_carry_a_bare_url(self, cli: Cli, lab: Lab) -> None:
        made(lab)
        ran = cli("verify", "--probe", PORTAL, "-o", "json")
        assert (ran.code, ran.judged) == (0, [("open", None)])

    def test_address_and_port_not_listed(self, cli: Cli, lab: Lab) -> None:
        made(lab)
        ran = cli("verify", "wikipedia", "--probe", OUTSIDE, "--probe", f"{PORTAL}:8443", "-o", "json")
        assert (ran.code, ran.judged) == (1, [("blocked", "address-not-listed"), ("blocked", "port-not-listed")])
        assert ran.probes[1]["cause"]["message"] == "wikipedia-ext lists port 443, but the probe goes to 8443"

    def test_not_exported(self, cli: Cli, lab: Lab) -> None:
        lab.create(entry(exportTo=["other"]))
        ran = cli("verify", "wikipedia", "--probe", PORTAL, "-o", "json")
        assert (ran.code, ran.judged) == (1, [("blocked", "not-exported")])

    def test_rival_entry(self, cli: Cli, lab: Lab) -> None:
        # The older of two entries that claim one block wins it, and creation times have whole seconds.
        rival = entry("rival", hosts=["aaa.example"])
        lab.create(rival)
        assert eventually(lambda: sidecar_leads_to(lab, "aaa.example"))
        created = cli("create", "wikipedia", "--export-to", "*", "--no-wait")
        assert created.code == 0
        [warning] = created.told("warning")
        assert warning.startswith("default/wikipedia-ext and default/rival: ")
        assert eventually(lambda: sidecar_leads_to(lab))
        ran = cli("verify", "wikipedia", "-o", "json")
        assert (ran.code, ran.judged) == (1, [("bypassed", "rival-entry")] * 2)
        assert {probe["evidence"]["envoyCluster"] for probe in ran.probes} == {"outbound|443||aaa.example"}
        assert "default/rival" in ran.probes[0]["cause"]["message"]

    def test_a_run_does_not_take_a_rivals_traffic(self, cli: Cli, lab: Lab) -> None:
        lab.create(entry("rival", hosts=["aaa.example"]))
        ran = cli("run", "wikipedia")
        assert (ran.code, ran.stdout) == (1, "")
        assert "default/rival" in ran.error
        assert nothing_is_left(lab)

    def test_no_sidecar(self, cli: Cli, lab: Lab) -> None:
        start_pod(lab, pod("plain", inject=False))
        made(lab)
        ran = cli("verify", "wikipedia", "--pod", "plain", "-o", "json")
        assert (ran.code, ran.judged) == (1, [("bypassed", "no-sidecar")] * 2)

    def test_must_deny_probes_hold_while_blocked_and_fail_when_open(self, cli: Cli, lab: Lab) -> None:
        file = cli.file(target(PORTAL, expect={"verdict": "blocked"}))
        denied = cli("verify", "-f", file, "-o", "json")
        assert (denied.code, denied.judged) == (0, [("blocked", "entry-missing")])
        made(lab)
        opened = cli("verify", "-f", file, "--retries", "3", "-o", "json")
        assert (opened.code, opened.judged) == (1, [("open", None)])
        assert opened.probes[0]["held"] is False
        assert "trying again" not in opened.stderr


class TestBeyondTheMesh:
    """What the mesh let out, and then failed."""

    def failed(self, cli: Cli, lab: Lab, url: str, *flags: str, **spec: Any) -> str:
        made(lab) if not spec else None
        if spec:
            lab.create(entry(**spec))
            assert eventually(lambda: sidecar_leads_to(lab, port=spec["ports"][0]["number"]))
        ran = cli("verify", "wikipedia", "--probe", url, *flags, "-o", "json")
        assert ran.code == 1
        [(verdict, cause)] = ran.judged
        assert verdict == "failed"
        return str(cause)

    def test_name_resolution(self, cli: Cli, lab: Lab) -> None:
        assert self.failed(cli, lab, "https://nowhere.example") == "name-resolution"

    def test_connect_refused(self, cli: Cli, lab: Lab) -> None:
        ports = [{"number": 7777, "name": "tcp", "protocol": "TCP"}]
        assert self.failed(cli, lab, f"{PORTAL}:7777", ports=ports) == "connect-refused"

    def test_tls_certificate(self, cli: Cli, lab: Lab) -> None:
        assert self.failed(cli, lab, "https://untrusted.example") == "tls-certificate"

    def test_timeout(self, cli: Cli, lab: Lab) -> None:
        assert self.failed(cli, lab, f"{PORTAL}/slow", "--probe-timeout", "1s") == "timeout"

    def test_http_status(self, cli: Cli, lab: Lab) -> None:
        assert self.failed(cli, lab, f"{PORTAL}/status/503") == "http-status"

    def test_body_mismatch(self, cli: Cli, lab: Lab) -> None:
        made(lab)
        file = cli.file(target(PORTAL, extract={"articles": "articlecount=([0-9]+)"}))
        ran = cli("verify", "-f", file, "-o", "json")
        assert (ran.code, ran.judged) == (1, [("failed", "body-mismatch")])

    def test_retries_ask_again_and_stay_with_the_last_answer(self, cli: Cli, lab: Lab) -> None:
        made(lab)
        ran = cli("verify", "wikipedia", "--probe", f"{PORTAL}/status/503", "--retries", "1", "-o", "json")
        assert (ran.code, ran.judged) == (1, [("failed", "http-status")])
        assert "1 not as expected, trying again (1 of 1)" in ran.stderr


class TestTheSourcePod:
    def test_none_is_inconclusive_and_says_how_to_start_one(self, cli: Cli) -> None:
        ran = cli("verify", "wikipedia", "-n", "other", "-o", "json")
        assert (ran.code, ran.judged) == (3, [("inconclusive", "no-source-pod")] * 2)
        assert ran.probes[0]["source"] is None
        assert "--with-source" in ran.probes[0]["cause"]["hint"]

    @pytest.mark.only("no-scheduler")
    def test_one_that_is_not_ready_is_named_with_its_reason(self, cli: Cli, lab: Lab) -> None:
        manifest = pod("waiting", namespace="other")
        manifest["metadata"]["labels"]["sidecar.istio.io/inject"] = "true"
        start_pod(lab, manifest)
        ran = cli("verify", "wikipedia", "-n", "other", "-o", "json")
        assert (ran.code, ran.judged) == (3, [("inconclusive", "no-source-pod")] * 2)
        assert "waiting (Pending: the lab runs sidecars in namespace default only)" in ran.probes[0]["cause"]["message"]

    def test_of_several_the_newest_asks_and_the_report_says_so(self, cli: Cli, lab: Lab) -> None:
        start_pod(lab, pod("sleep-newer"))
        ran = cli("verify", "wikipedia", "--expect", "blocked")
        assert ran.code == 0
        assert ran.stdout.endswith("  from pod default/sleep-newer, container sleep, newest of 2 ready\n")

    @pytest.mark.parametrize("flags", [("--pod", "sleep"), ("--pod", "pod/sleep"), ("-l", "app=sleep", "-c", "sleep")])
    def test_it_may_be_named(self, cli: Cli, flags: tuple[str, ...]) -> None:
        assert cli("verify", "wikipedia", "--expect", "blocked", *flags, "-q").code == 0

    @pytest.mark.parametrize(
        ("flags", "error", "hint"),
        [
            (("-c", "nginx"), "pod sleep has no container nginx", "it has: sleep"),
            (("-c", "istio-proxy"), "--container istio-proxy: the sidecar's own traffic is not captured", "sleep"),
            (("--pod", "job/sleep"), "--pod job/sleep: a pod is named as NAME, pod/NAME or deploy/NAME", ""),
        ],
    )
    def test_what_cannot_be_one_is_refused(self, cli: Cli, flags: tuple[str, ...], error: str, hint: str) -> None:
        ran = cli("verify", "wikipedia", *flags)
        assert ran.code == 2
        assert ran.told("error")[0].startswith(error)
        assert hint in "".join(ran.told("hint"))


NO_COUNTS = 'PATH=${PATH#*:}; case "$*" in *GET\\ clusters*) exit 255;; esac; exec pilot-agent "$@"'
"""A pilot-agent that does not give the connection counts, in front of the lab's own in the PATH."""


def said(*lines: str) -> Respond:
    """A log, whatever the sidecar wrote."""
    return Respond(200, headers={"Content-Type": "text/plain"}, body="".join(lines).encode())


class TestTheAccessLog:
    @pytest.fixture
    def at(self, cli: Cli, odd: Odd, tmp_path: Path) -> Cli:
        return cli.at(odd(instead(tmp_path / "bin", "pilot-agent", NO_COUNTS, sidecar=True)))

    @pytest.fixture
    def proxied(self, at: Cli, tmp_path: Path) -> Iterator[FaultProxy]:
        assert at.kubeconfig is not None
        with FaultProxy(at.kubeconfig, tmp_path / "proxy") as proxy:
            yield proxy

    def test_proves_where_the_counts_cannot_be_read(self, at: Cli) -> None:
        ran = at("verify", "wikipedia", "-o", "json")
        assert (ran.code, ran.judged) == (0, [("open", None)] * 2)
        assert [probe["evidence"]["sources"] for probe in ran.probes] == [["access-log"]] * 2
        assert "in the access log" in at("verify", "wikipedia", "--show-path").stdout

    def test_is_not_read_where_the_counts_show_it(self, cli: Cli, lab: Lab, proxy: FaultProxy) -> None:
        made(lab)
        ran = cli.at(proxy.kubeconfig)("verify", "wikipedia", "-o", "json")
        assert [probe["evidence"]["sources"] for probe in ran.probes] == [["clusters"]] * 2
        assert not [call for call in proxy.calls if call.path.endswith("/log")]

    @pytest.mark.parametrize(
        "answer", [Respond(400, "BadRequest"), Respond(403, "Forbidden"), Respond(404, "NotFound"), said(), said("[] \xff\n")]
    )
    def test_that_may_not_be_read_or_says_nothing_leaves_it_unproven(self, at: Cli, proxied: FaultProxy, answer: Respond) -> None:
        proxied.rules = lambda call: answer if call.path.endswith("/log") else None
        ran = at.at(proxied.kubeconfig)("verify", "wikipedia", "--probe", PORTAL, "-o", "json")
        assert (ran.code, ran.judged) == (4, [("unproven", "evidence-lost")])
        assert ran.probes[0]["evidence"]["sources"] == []
        read = [parse_qs(call.query) for call in proxied.calls if call.path.endswith("/log")]
        assert len(read) == (1 if answer.status != 200 else 2)
        assert {query["container"][0] for query in read} == {"istio-proxy"}

    def test_that_names_another_envoy_cluster_is_never_open(self, at: Cli, lab: Lab, proxied: FaultProxy) -> None:
        def doctored(call: Call) -> Respond | None:
            log = locate(lab.name).access_log
            return said(log.read_text().replace(OURS, "PassthroughCluster")) if call.path.endswith("/log") else None

        proxied.rules = doctored
        ran = at.at(proxied.kubeconfig)("verify", "wikipedia", "--probe", PORTAL, "-o", "json")
        assert (ran.code, ran.judged) == (4, [("unproven", "evidence-lost")])
        message = ran.probes[0]["cause"]["message"]
        assert f"sends 208.80.154.224:443 to {OURS}, and its access log says PassthroughCluster" in message

    @pytest.mark.only("logs")
    def test_is_the_log_of_the_sidecars_container(self, cli: Cli, lab: Lab) -> None:
        def log(container: str) -> str:
            query = {"container": container, "tailLines": "1"}
            with closing(connect(ConnectOptions(kubeconfig=str(lab.kubeconfig)))) as api:
                return api.text(f"{PODS}/sleep/log", query)

        assert lab.run("curl", "-s", "-o", "/dev/null", f"{OUTSIDE}/").returncode
        assert eventually(lambda: "BlackHoleCluster" in log("istio-proxy"))
        assert log("sleep") == ""


class TestWhereTheEvidenceIsMissing:
    @pytest.mark.parametrize(
        "script",
        ["echo 'Error: the proxy is gone' >&2; exit 255", "exit 0", "echo not JSON", 'echo \'{"configs": [{"@type": 1}]}\''],
        ids=["fails", "says nothing", "says garbage", "says something else"],
    )
    def test_a_proxy_that_cannot_be_read_is_unproven(self, cli: Cli, odd: Odd, tmp_path: Path, script: str) -> None:
        kubeconfig = odd(instead(tmp_path / "bin", "pilot-agent", script, sidecar=True))
        ran = cli.at(kubeconfig)("verify", "wikipedia", "-o", "json")
        assert (ran.code, ran.report["verdict"]) == (4, "unproven")
        assert {verdict for verdict, _ in ran.judged} == {"unproven"}
        assert {probe["outcome"]["httpStatus"] for probe in ran.probes} == {200}
        assert {cause for _, cause in ran.judged} <= {"proxy-unreadable", "evidence-lost"}

    def test_unproven_may_be_allowed(self, cli: Cli, odd: Odd, tmp_path: Path) -> None:
        kubeconfig = odd(instead(tmp_path / "bin", "pilot-agent", "exit 1", sidecar=True))
        ran = cli.at(kubeconfig)("verify", "wikipedia", "--allow-unproven", "-o", "json")
        assert (ran.code, ran.judged) == (0, [("unproven", "proxy-unreadable")] * 2)
        assert len(ran.told("warning")) == 2
        assert ran.report["warnings"] == ran.told("warning")

    def test_a_refusal_that_cannot_be_placed_is_inconclusive(self, cli: Cli, proxy: FaultProxy) -> None:
        proxy.rules = lambda call: Respond(500) if "pilot-agent" in call.query else None
        ran = cli.at(proxy.kubeconfig)("verify", "wikipedia", "-o", "json")
        assert (ran.code, ran.judged) == (3, [("inconclusive", "proxy-unreadable")] * 2)

    def test_a_socket_table_that_is_lost_is_unproven(self, cli: Cli, odd: Odd, tmp_path: Path) -> None:
        curl = shutil.which("curl")
        without_table = f"{curl} \"$@\" | sed '/^  sl  local_address/,$d'"
        kubeconfig = odd(instead(tmp_path / "bin", "curl", without_table, sidecar=False))
        ran = cli.at(kubeconfig)("verify", "wikipedia", "--probe", PORTAL, "-o", "json")
        assert (ran.code, ran.judged) == (4, [("unproven", "evidence-lost")])

    def test_a_report_of_curl_that_is_lost_is_inconclusive(self, cli: Cli, odd: Odd, tmp_path: Path) -> None:
        curl = shutil.which("curl")
        kubeconfig = odd(instead(tmp_path / "bin", "curl", f'exec {curl} "$@" 2>/dev/null', sidecar=False))
        ran = cli.at(kubeconfig)("verify", "wikipedia", "-o", "json")
        assert (ran.code, ran.judged) == (3, [("inconclusive", "evidence-lost")] * 2)

    def test_no_curl(self, cli: Cli, odd: Odd, tmp_path: Path) -> None:
        kubeconfig = odd(with_environment(PATH=str(tmp_path)))
        ran = cli.at(kubeconfig)("verify", "wikipedia", "-o", "json")
        assert (ran.code, ran.judged) == (3, [("inconclusive", "no-curl")] * 2)
        assert "-c CONTAINER" in ran.probes[0]["cause"]["hint"]

    def test_a_connection_around_the_sidecar_is_never_open(self, cli: Cli, odd: Odd, lab: Lab) -> None:
        # As where an annotation excludes the address.
        around = entrance(locate(lab.name), lab.info.pids["bare"])

        def way(container: Container, plan: EnterPlan) -> EnterPlan:
            return plan if container.sidecar else EnterPlan(around.prefix, around.env)

        ran = cli.at(odd(way))("verify", "wikipedia", "-o", "json")
        assert (ran.code, ran.judged) == (1, [("bypassed", "not-captured")] * 2)

    def test_a_proxy_variable_is_not_captured(self, cli: Cli, odd: Odd) -> None:
        kubeconfig = odd(with_environment(http_proxy="http://208.80.154.224:443"))
        ran = cli.at(kubeconfig)("verify", "wikipedia", "--probe", "http://www.wikipedia.org", "-o", "json")
        assert (ran.code, ran.judged) == (1, [("failed", "not-captured")])
        assert "a proxy variable" in ran.probes[0]["cause"]["message"]

    def test_a_proxy_that_the_mesh_refuses_is_what_was_refused(self, cli: Cli, odd: Odd) -> None:
        kubeconfig = odd(with_environment(https_proxy="http://203.0.113.10:3128"))
        ran = cli.at(kubeconfig)("verify", "wikipedia", "--probe", PORTAL, "-o", "json")
        assert (ran.code, ran.judged) == (1, [("blocked", "blackhole")])
        assert "the proxy 203.0.113.10:3128, not to www.wikipedia.org:443" in ran.probes[0]["cause"]["message"]

    def test_exec_forbidden(self, cli: Cli, proxy: FaultProxy) -> None:
        proxy.rules = lambda call: Respond(403, "Forbidden") if call.is_exec else None
        ran = cli.at(proxy.kubeconfig)("verify", "wikipedia", "-o", "json")
        assert (ran.code, ran.judged) == (3, [("inconclusive", "exec-forbidden")] * 2)
        cause = ran.probes[0]["cause"]
        assert "create pods/exec in namespace default" in cause["message"]
        assert cause["hint"] == "egressctl rbac -n default --user USER | kubectl apply -f -"

    @pytest.mark.parametrize("action", [Respond(500), Respond(400), Reset()], ids=["500", "400", "reset"])
    def test_exec_failed(self, cli: Cli, proxy: FaultProxy, action: Respond | Reset) -> None:
        proxy.rules = lambda call: action if call.is_exec and "pilot-agent" not in call.query else None
        ran = cli.at(proxy.kubeconfig)("verify", "wikipedia", "-o", "json")
        assert (ran.code, ran.judged) == (3, [("inconclusive", "exec-failed")] * 2)

    @pytest.mark.parametrize("after", [0, 400])
    def test_a_connection_reset_during_exec_is_never_open(self, cli: Cli, lab: Lab, proxy: FaultProxy, after: int) -> None:
        made(lab)
        proxy.rules = lambda call: ResetDuringExec(after) if call.is_exec else None
        ran = cli.at(proxy.kubeconfig)("verify", "wikipedia", "-o", "json")
        assert ran.code in (3, 4)
        assert {verdict for verdict, _ in ran.judged} <= {"inconclusive", "unproven"}

    def test_a_reset_of_one_exec_is_asked_again(self, cli: Cli, lab: Lab, proxy: FaultProxy) -> None:
        made(lab)
        proxy.rules = faults(ResetDuringExec(), path="/exec")
        ran = cli.at(proxy.kubeconfig)("verify", "wikipedia", "-o", "json")
        assert (ran.code, ran.judged) == (0, [("open", None)] * 2)


def test_of_several_exit_codes_what_could_not_be_asked_comes_first(cli: Cli, lab: Lab, proxy: FaultProxy) -> None:
    made(lab)
    # Two probes of one host and port go by an exec each.
    proxy.rules = lambda call: Respond(500) if call.is_exec and "lost" in call.query else None
    urls = ("--probe", f"{PORTAL}:8443", "--probe", f"{PORTAL}:8443/lost", "--probe", PORTAL)
    ran = cli.at(proxy.kubeconfig)("verify", "wikipedia", *urls, "-o", "json")
    assert ran.judged == [("blocked", "port-not-listed"), ("inconclusive", "exec-failed"), ("open", None)]
    assert (ran.code, ran.report["verdict"]) == (3, "inconclusive")
