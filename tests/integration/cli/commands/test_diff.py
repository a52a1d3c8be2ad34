"""`egressctl diff`: what `create` would change, against the API server's own dry run and beside `kubectl diff`."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from cli import ENTRIES, EXITS, SIGNALS, Cli, entry, made, owned
from faults import Action, Call, FaultProxy, Respond
from labs import Lab, eventually

WIKIPEDIA = f"{ENTRIES}/wikipedia-ext"
FILE = "networking.istio.io.v1.ServiceEntry.default.wikipedia-ext"
needs_kubectl = pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl is not installed")

Script = Callable[[str], str]


@pytest.fixture
def script(cli: Cli) -> Script:
    """Write a program, and return what KUBECTL_EXTERNAL_DIFF then says."""

    def write(text: str) -> str:
        path = cli.home / "differ"
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return str(path)

    return write


def changes(text: str) -> list[str]:
    """The lines that come and go, without those of the files' names."""
    lines = [line for line in text.splitlines() if line[:1] in "+-" and line[:4] not in ("--- ", "+++ ")]
    return [line.replace("'", '"') for line in lines]


def left(folder: Path) -> list[str]:
    return [each.name for each in folder.iterdir() if each.name.startswith(("LIVE-", "MERGED-"))]


def test_what_is_not_there_is_a_diff_from_nothing_and_what_is_as_wanted_is_none(cli: Cli, lab: Lab) -> None:
    ran = cli("diff", "wikipedia", "-q")
    assert (ran.code, ran.stderr) == (1, "")
    assert ran.stdout.startswith(f"--- LIVE/{FILE}\n+++ MERGED/{FILE}\n@@ -0,0 +1,")
    assert all(line.startswith("+") for line in ran.stdout.splitlines()[3:])
    assert "uid" not in ran.stdout
    assert owned(lab) == []
    made(lab)
    ran = cli("diff", "wikipedia", "-q")
    assert (ran.code, ran.stdout, ran.stderr) == (0, "", "")


@needs_kubectl
def test_the_lines_that_change_are_those_of_kubectl(cli: Cli, lab: Lab) -> None:
    made(lab)
    before = lab.api("GET", WIKIPEDIA)[1]
    ours = cli("diff", "wikipedia", "--export-to", ".")
    manifest = cli("create", "wikipedia", "--export-to", ".", "--dry-run=client", "-o", "yaml").stdout
    argv = ["kubectl", "diff", "--server-side", "--field-manager=egressctl", "-f", cli.file(manifest, "wanted.yaml")]
    theirs = subprocess.run(argv, env=cli.env, capture_output=True, text=True, check=False)
    assert ours.code == theirs.returncode == 1, theirs.stderr
    assert "+  - ." in changes(ours.stdout)
    assert changes(ours.stdout) == changes(theirs.stdout)
    assert lab.api("GET", WIKIPEDIA)[1] == before


def test_each_entry_is_told_for_programs(cli: Cli) -> None:
    wikipedia = cli("render", "wikipedia").stdout
    assert cli("create", "-f", "-", "--no-wait", stdin=wikipedia).code == 0
    file = cli.file(f"{wikipedia}---\n{yaml.safe_dump(entry('other-ext', hosts=['other.example']))}")
    ran = cli("diff", "-f", file, "-o", "json")
    assert (ran.code, ran.report["kind"], ran.report["exitCode"]) == (1, "Diff", 1)
    told = [(each["serviceEntry"], each["action"], each["live"] is None) for each in ran.report["entries"]]
    assert told == [("wikipedia-ext", "unchanged", False), ("other-ext", "created", True)]
    assert "managedFields" not in ran.stdout
    assert cli("diff", "-f", file, "-o", "name").stdout == "serviceentry.networking.istio.io/other-ext\n"


def test_what_create_would_refuse_is_refused_with_a_code_that_says_no_difference(cli: Cli, lab: Lab) -> None:
    lab.create(entry())
    ran = cli("diff", "wikipedia")
    assert (ran.code, ran.stdout) == (2, "")
    assert ran.error == "ServiceEntry default/wikipedia-ext is there already, and egressctl did not make it"


def test_what_another_manager_took_over_is_refused_and_shown_where_it_is_forced(cli: Cli, lab: Lab) -> None:
    live = made(lab)
    status, _ = lab.api("PUT", f"{WIKIPEDIA}?fieldManager=flux", {**live, "spec": {**live["spec"], "hosts": ["w.example"]}})
    assert status == 200
    ran = cli("diff", "wikipedia")
    assert ran.code == 2
    assert "has been taken over by flux" in ran.error
    ran = cli("diff", "wikipedia", "--force-conflicts")
    assert ran.code == 1
    assert {"-  - w.example", "+  - wikipedia.org"} <= set(changes(ran.stdout))


@pytest.mark.parametrize(
    ("status", "reason", "code"), [(422, "Invalid", 2), (400, "BadRequest", 2), (403, "Forbidden", 3), (404, "NotFound", 3)]
)
def test_what_the_api_server_refuses(cli: Cli, proxy: FaultProxy, status: int, reason: str, code: int) -> None:
    proxy.rules = lambda call: Respond(status, reason) if call.method == "PATCH" else None
    ran = cli.at(proxy.kubeconfig)("diff", "wikipedia")
    assert (ran.code, ran.stdout) == (code, "")
    assert ran.told("error")


def test_an_entry_that_changes_meanwhile_is_looked_at_again(cli: Cli, lab: Lab, proxy: FaultProxy) -> None:
    made(lab)
    changed: list[Call] = []

    def meanwhile(call: Call) -> Action | None:
        if call.method == "PATCH" and not changed:
            changed.append(call)
            live = lab.api("GET", WIKIPEDIA)[1]
            live["metadata"]["annotations"]["somebody.example/note"] = "here"
            assert lab.api("PUT", WIKIPEDIA, live)[0] == 200
        return None

    proxy.rules = meanwhile
    ran = cli.at(proxy.kubeconfig)("diff", "wikipedia")
    assert changed
    assert (ran.code, ran.stdout) == (0, "")


def test_colours_are_for_those_who_want_them(cli: Cli) -> None:
    ran = cli.having(FORCE_COLOR="1", TERM="xterm-256color")("diff", "wikipedia")
    assert "\x1b[32m+kind: ServiceEntry\x1b[0m" in ran.stdout
    assert "\x1b" not in cli("diff", "wikipedia").stdout


class TestAnotherProgram:
    def test_is_given_two_folders_and_then_its_arguments(self, cli: Cli, lab: Lab, script: Script) -> None:
        made(lab)
        told = 'echo "$3 $4 $#"; for each in "$1" "$2"; do stat -c %a "$each"; ls "$each"; done; diff "$1" "$2"'
        program = f"{script(told)} -a  --b=c d/e"
        ran = cli.having(KUBECTL_EXTERNAL_DIFF=program, TMPDIR=str(cli.home))("diff", "wikipedia", "--export-to", ".")
        assert ran.code == 1
        assert ran.stdout.splitlines()[:5] == ["-a --b=c 4", "700", FILE, "700", FILE]
        assert ">   - ." in ran.stdout.splitlines()
        assert ran.told("warning")[0].startswith("KUBECTL_EXTERNAL_DIFF: d/e: left out")
        assert left(cli.home) == []

    def test_says_by_its_exit_code_whether_there_is_a_difference(self, cli: Cli, script: Script) -> None:
        for code, ends in ((0, 0), (1, 1), (2, 2), (77, 2)):
            ran = cli.having(KUBECTL_EXTERNAL_DIFF=script(f"exit {code}"), TMPDIR=str(cli.home))("diff", "wikipedia")
            assert ran.code == ends
            assert ("ended with exit code" in ran.stderr) is (code > 1)
        assert left(cli.home) == []

    def test_that_is_not_there_or_no_program(self, cli: Cli) -> None:
        for value in ("no-such-program -u", " -u"):
            ran = cli.having(KUBECTL_EXTERNAL_DIFF=value, TMPDIR=str(cli.home))("diff", "wikipedia")
            assert ran.code == 2
            assert len(ran.told("error")) == 1
        assert left(cli.home) == []

    @pytest.mark.parametrize("signum", SIGNALS, ids=lambda signum: signum.name)
    def test_that_is_interrupted_leaves_no_folder(self, cli: Cli, script: Script, signum: signal.Signals) -> None:
        waits = script(f"echo $PPID > {cli.home}/started.new; mv {cli.home}/started.new {cli.home}/started; exec sleep 60")
        running = cli.having(KUBECTL_EXTERNAL_DIFF=waits, TMPDIR=str(cli.home)).start("diff", "wikipedia")
        assert eventually((cli.home / "started").exists)
        assert len(left(cli.home)) == 2
        os.kill(int((cli.home / "started").read_text()), signum)
        assert running.end().code == EXITS[signum]
        assert left(cli.home) == []


def test_a_dry_run_of_create_says_configured_where_it_would_configure(cli: Cli, lab: Lab) -> None:
    made(lab)
    for flag, word in (("--export-to=.", "configured"), ("--export-to=", "unchanged")):
        ran = cli("create", "wikipedia", "--dry-run=server", flag)
        assert ran.stdout == f"serviceentry.networking.istio.io/wikipedia-ext {word} (server dry run)\n"
