"""Bad input gets one sentence, a hint and the promised exit code, and changes nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli import CREATED, ENTRIES, Cli, Ran, entry, made, owned, pod, start_pod
from egressctl.kube.config import ConnectOptions, connect
from egressctl.mesh.client import Mesh
from endpoint import self_signed, write_kubeconfig
from forked import Forks
from labs import Lab


@pytest.fixture
def alone(tmp_path: Path, forks: Forks | None) -> Cli:
    """egressctl with no kubeconfig at all."""
    return Cli(None, tmp_path, forks)


def refused(ran: Ran, code: int, error: str, hint: str = "") -> None:
    """Hold a command's end against what is promised: the exit code, one sentence, at most one hint, no result."""
    assert ran.code == code, ran
    assert ran.stdout == ""
    assert ran.told("error") == [error], ran.stderr
    assert hint in "".join(ran.told("hint"))
    assert len(ran.told("hint")) <= 1
    assert bool(hint) <= bool(ran.told("hint"))


class TestConnection:
    def test_no_kubeconfig(self, alone: Cli) -> None:
        wanted = "there is no kubeconfig, neither in KUBECONFIG nor in ~/.kube/config"
        refused(alone("create", "wikipedia"), 3, wanted, "egressctl demo")
        refused(alone("list"), 3, wanted, "--lab")

    def test_a_report_is_printed_all_the_same(self, alone: Cli) -> None:
        ran = alone("verify", "wikipedia", "-o", "json")
        assert (ran.code, ran.report["exitCode"], ran.report["kubernetes"], ran.report["targets"]) == (3, 3, None, [])
        assert ran.report["error"] == {"message": ran.error, "hint": ran.hint}

    def test_a_kubeconfig_that_is_not_there(self, alone: Cli) -> None:
        ran = alone("list", "--kubeconfig", "missing.yaml")
        refused(ran, 3, "the kubeconfig missing.yaml cannot be read: no such file or directory", "--kubeconfig FILE")

    def test_a_context_that_does_not_exist(self, cli: Cli, lab: Lab) -> None:
        context = yaml.safe_load(lab.kubeconfig.read_text())["current-context"]
        ran = cli("list", "--context", "nowhere")
        refused(ran, 3, f"the kubeconfig has no context 'nowhere'; there are: {context}", "--context NAME")

    def test_an_unreachable_api_server(self, alone: Cli) -> None:
        ran = alone("list", "--server", "https://127.0.0.1:1", "--token", "secret-token")
        refused(ran, 3, "the API server 127.0.0.1:1 refuses connections", "--server")
        assert "secret-token" not in ran.stderr

    def test_a_certificate_that_is_not_trusted(self, alone: Cli, lab: Lab, tmp_path: Path) -> None:
        authority, _ = self_signed(tmp_path)
        kubeconfig = write_kubeconfig(tmp_path / "kubeconfig", lab.info.address, authority, "a-token")
        ran = alone.at(kubeconfig)("list")
        assert (ran.code, ran.stdout) == (3, "")
        where = lab.info.address.removeprefix("https://")
        assert ran.error.startswith(f"the certificate of {where} is not trusted by the kubeconfig's certificate authority")
        assert "certificate-authority-data" in ran.hint

    def test_a_token_that_nobody_knows(self, cli: Cli) -> None:
        ran = cli("list", "--token", "secret-token")
        refused(ran, 3, "the API server refused the credentials: unknown or expired (401)", "--token")
        assert "secret-token" not in ran.stderr

    def test_a_namespace_that_does_not_exist(self, cli: Cli) -> None:
        refused(cli("create", "wikipedia", "-n", "nowhere", "--no-wait"), 3, "there is no namespace nowhere", "get namespaces")


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
MANY = """\
apiVersion: egressctl.dev/v1alpha1
kind: EgressTarget
metadata:
  name: many
spec:
  serviceEntry:
    hosts: [many.example]
    addresses:
    - 208.80.154.230/27
    - 1.2.3
    ports:
    - {number: 70000, name: tcp, protocol: TCP}
    resoluton: NONE
  probes:
  - {name: p, url: "https://user:password@many.example"}
"""


class TestTargets:
    @pytest.mark.parametrize(
        ("text", "error"),
        [
            ("", "t.yaml: holds no document (expected an EgressTarget or a ServiceEntry, "
                 "which begins with `apiVersion:` and `kind:`)"),
            ("- a\n", "t.yaml:1: the document is a list (expected an EgressTarget or a ServiceEntry, "
                      "which begins with `apiVersion:` and `kind:`)"),
            ("a" * 10_000_000, "t.yaml: is larger than 1 MiB (a target file is a few kilobytes)"),
            (BOMB, "t.yaml:5: the document grows too large (at most 20,000 values and 1 MiB of text, with aliases written out)"),
        ],
        ids=["empty", "a list", "10 MB", "a bomb"],
    )  # fmt: skip
    def test_a_file_that_is_no_target(self, alone: Cli, text: str, error: str) -> None:
        alone.file(text, "t.yaml")
        refused(alone("create", "-f", "t.yaml"), 2, error)

    def test_a_directory_and_a_file_that_is_not_there(self, alone: Cli) -> None:
        refused(alone("run", "-f", "."), 2, ".: is a directory (name a file in it)")
        refused(alone("render", "-f", "missing.yaml"), 2, "missing.yaml: is no file (check the path)")

    def test_all_problems_are_told_at_once_with_their_lines(self, alone: Cli) -> None:
        ran = alone("render", "-f", "-", stdin=MANY)
        assert (ran.code, ran.stdout) == (2, "")
        assert [error.split(" ")[:2] for error in ran.told("error")] == [
            ["standard", "input:9:"],
            ["standard", "input:10:"],
            ["standard", "input:12:"],
            ["standard", "input:13:"],
            ["standard", "input:15:"],
        ]
        assert "write 208.80.154.224/27" in ran.told("error")[0]
        assert "did you mean resolution?" in ran.told("error")[3]
        assert "password@" not in ran.stderr

    def test_an_unknown_target_offers_the_nearest(self, cli: Cli) -> None:
        ran = cli("create", "wikipdia")
        refused(ran, 2, 'the catalogue has no target "wikipdia": did you mean wikipedia?', "-f FILE")
        assert cli("verify", "wikipdia").error.endswith("the catalogue has no wikipdia: did you mean wikipedia?")

    def test_a_port_without_addresses_catches_every_address(self, alone: Cli) -> None:
        ran = alone("render", "all", "--host", "all.example", "--port", "443")
        refused(ran, 2, "--port: a TCP port without addresses opens port 443 to every address "
                        "(list the addresses, or give --any-address if that is meant)")  # fmt: skip
        assert alone("render", "all", "--host", "all.example", "--port", "443", "--any-address").code == 0

    @pytest.mark.parametrize("url", ["ftp://x.example", "https://127.0.0.1", "http://169.254.169.254", "https://user@x.example"])
    def test_a_probe_that_is_ruled_out(self, alone: Cli, url: str) -> None:
        ran = alone("verify", "--probe", url)
        assert (ran.code, len(ran.told("error"))) == (2, 1)


class TestUsage:
    @pytest.mark.parametrize(
        ("argv", "error", "hint"),
        [
            (("create", "wikipedia", "--frob"), "No such option: --frob", "egressctl create --help"),
            (("create", "wikipedia", "--timeout", "soon"), "'soon' is no duration; write it as 30s", "egressctl create --help"),
            (("verify", "--retries", "-1"), "-1 is not in the range x>=0", "egressctl verify --help"),
            (("verify", "--expect", "maybe"), "--expect maybe: no such verdict", "blocked"),
            (("verify", "-o", "xml"), "--output xml: no such format", "json"),
            (("create", "wikipedia", "--dry-run=maybe"), "--dry-run maybe: no such mode", "client"),
            (("render", "wikipedia", "--api-version", "v9"), "--api-version v9: no such version", "networking.istio.io/v1"),
            (("cleanup", "-A"), "--all-namespaces goes with --all", "--all -A"),
            (("create",), "no target is named", "wikipedia"),
            (("create", "--host", "x.example"), "needs its one name", "egressctl create NAME --host"),
            (("creat", "wikipedia"), "there is no command 'creat': did you mean create?", "egressctl --help"),
            (("lab", "policy", "ALLOW_SOME"), "REGISTRY_ONLY or ALLOW_ANY", ""),
            (("lab", "up", "--name", "../x"), "no name of a lab", ""),
        ],
    )
    def test_a_mistake_is_told_with_what_would_be_right(self, alone: Cli, argv: tuple[str, ...], error: str, hint: str) -> None:
        ran = alone(*argv)
        assert (ran.code, ran.stdout) == (2, "")
        [told] = ran.told("error")
        assert error in told
        assert hint in "".join(ran.told("hint"))

    def test_a_lab_that_does_not_run(self, alone: Cli, lab_home: Path) -> None:
        refused(alone("lab", "policy", "ALLOW_ANY", "--name", "nobody"), 3, "no lab nobody is running", "lab up --name nobody")


class TestOwnership:
    def test_an_object_that_others_made_is_neither_changed_nor_deleted(self, cli: Cli, lab: Lab) -> None:
        lab.create(entry())
        before = lab.api("GET", f"{ENTRIES}/wikipedia-ext")[1]
        created, cleaned = cli("create", "wikipedia"), cli("cleanup", "wikipedia")
        what = "ServiceEntry default/wikipedia-ext"
        refused(created, 1, f"{what} is there already, and egressctl did not make it", "egressctl verify wikipedia")
        refused(cleaned, 1, f"{what} was not made by egressctl, which does not delete it", "see who made it")
        assert cli("run", "wikipedia").code == 1
        assert lab.api("GET", f"{ENTRIES}/wikipedia-ext")[1] == before

    def test_what_others_have_taken_over_is_theirs(self, cli: Cli, lab: Lab) -> None:
        applied = made(lab)
        take_over(lab, applied, "flux")
        before = lab.api("GET", f"{ENTRIES}/wikipedia-ext")[1]
        told = "ServiceEntry default/wikipedia-ext has been taken over by flux, who owns a field of its spec"
        refused(cli("create", "wikipedia"), 1, told, "--force-conflicts")
        refused(cli("cleanup"), 1, told, "kubectl delete serviceentry -n default wikipedia-ext")
        assert lab.api("GET", f"{ENTRIES}/wikipedia-ext")[1] == before

    def test_it_may_be_taken_back(self, cli: Cli, lab: Lab) -> None:
        take_over(lab, made(lab), "flux")
        assert cli("create", "wikipedia", "--force-conflicts").code == 0

    def test_the_field_manager_is_remembered(self, cli: Cli, lab: Lab) -> None:
        assert cli("create", "wikipedia", "--field-manager", "ci").stdout == CREATED
        assert cli("create", "wikipedia").stdout == CREATED.replace("created", "unchanged")
        assert cli("cleanup", "--no-verify").code == 0
        assert owned(lab) == []

    def test_several_targets_are_applied_all_or_none(self, cli: Cli, lab: Lab) -> None:
        lab.create(entry("second-ext", hosts=["second.example"], addresses=["192.0.2.0/24"]))
        first, second = (target(name) for name in ("first", "second"))
        ran = cli("create", "-f", cli.file(f"{first}---\n{second}"))
        assert (ran.code, ran.stdout) == (1, "")
        assert ran.error == "ServiceEntry default/second-ext is there already, and egressctl did not make it"
        assert owned(lab) == []


def target(name: str) -> str:
    spec: dict[str, Any] = {"serviceEntry": {**entry()["spec"], "hosts": [f"{name}.example"]}, "probes": []}
    metadata = {"name": name}
    return yaml.safe_dump({"apiVersion": "egressctl.dev/v1alpha1", "kind": "EgressTarget", "metadata": metadata, "spec": spec})


def take_over(lab: Lab, applied: dict[str, Any], manager: str) -> None:
    """Let another field manager apply the same spec."""
    mesh = Mesh(connect(ConnectOptions(kubeconfig=str(lab.kubeconfig))))
    metadata = {"name": applied["metadata"]["name"], "namespace": "default"}
    manifest = {"apiVersion": applied["apiVersion"], "kind": "ServiceEntry", "metadata": metadata, "spec": applied["spec"]}
    mesh.apply(manifest, manager=manager, force=True)


def test_a_pod_without_a_sidecar_has_nothing_to_wait_for(cli: Cli, lab: Lab) -> None:
    start_pod(lab, pod("plain", app="plain", inject=False))
    ran = cli("create", "wikipedia", "-l", "app=plain")
    assert (ran.code, ran.stdout) == (0, CREATED)
    assert any("pod default/plain has no sidecar" in warning for warning in ran.told("warning"))


def test_an_entry_that_the_schema_refuses_is_wrong_input(cli: Cli, lab: Lab, tmp_path: Path) -> None:
    manifest = {**entry("odd"), "spec": {**entry()["spec"], "ports": [{"number": 443, "name": "a" * 300, "protocol": "TCP"}]}}
    ran = cli("create", "-f", cli.file(yaml.safe_dump(manifest)))
    assert (ran.code, ran.stdout) == (2, "")
    assert len(ran.told("error")) == 1
    assert owned(lab) == []


def test_a_bug_is_told_in_one_sentence_and_with_debug_in_full(alone: Cli) -> None:
    broken = "import egressctl.catalog.lookup as c, egressctl.cli.main as m\nc.get_target = lambda *given: 1 / 0\nm.main()"

    def run(*argv: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", broken, *argv]
        return subprocess.run(command, env=alone.env, capture_output=True, text=True, check=False)

    told = run("render", "wikipedia")
    assert (told.returncode, told.stdout) == (70, "")
    assert told.stderr.splitlines() == [
        "error: a bug in egressctl: ZeroDivisionError: division by zero",
        "hint: run it again with --debug, and report what it prints",
    ]
    assert "Traceback" in run("render", "wikipedia", "--debug").stderr
