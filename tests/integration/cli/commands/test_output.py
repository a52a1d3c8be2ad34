"""What is printed where: results on stdout, progress on stderr, colours where wanted, nothing that rewrites a terminal."""

from __future__ import annotations

import json
import os
import pty
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from cli import CREATED, Cli, Odd, entry, instead, made, owned
from egressctl import __version__
from egressctl.lab.internet import ARTICLES
from egressctl.manifests.service_entry import LABEL_MANAGED_BY, MANAGER
from faults import FaultProxy, Respond
from labs import Lab

ESC = "\x1b"
VERDICTS = ("blocked", "open", "closed")


class TestStreams:
    def test_progress_goes_to_stderr_in_plain_lines(self, cli: Cli) -> None:
        ran = cli("verify", "wikipedia", "--expect", "blocked")
        assert ran.stderr == "sending 2 probes from pod default/sleep, container sleep\n"
        assert ran.stdout.startswith("✔ wikipedia  2 of 2 blocked (proved): ")

    def test_quiet_still_tells_errors(self, cli: Cli) -> None:
        assert cli("verify", "-q").error == "egressctl made no ServiceEntry in namespace default"

    def test_json_is_all_of_stdout_also_with_results_on_the_way(self, cli: Cli) -> None:
        ran = cli("create", "wikipedia", "-o", "json")
        [target] = ran.report["targets"]
        assert (ran.code, target["action"], target["serviceEntries"]) == (0, "created", ["wikipedia-ext"])

    def test_names_only(self, cli: Cli) -> None:
        assert cli("create", "wikipedia", "-o", "name").stdout == "serviceentry.networking.istio.io/wikipedia-ext\n"


class TestColours:
    @pytest.mark.parametrize(
        ("environment", "coloured"),
        [
            ({}, False),
            ({"FORCE_COLOR": "1", "TERM": "xterm-256color"}, True),
            ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
            ({"FORCE_COLOR": "1", "TERM": "dumb"}, False),
        ],
    )
    def test_in_a_pipe(self, cli: Cli, environment: dict[str, str], coloured: bool) -> None:
        ran = cli.having(**environment)("verify", "wikipedia", "--expect", "blocked")
        assert ran.code == 0
        assert (ESC in ran.stdout) is coloured
        assert ESC not in ran.stderr

    @pytest.mark.parametrize(
        ("environment", "coloured"),
        [({"TERM": "xterm-256color"}, True), ({"TERM": "xterm", "NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)],
    )
    def test_at_a_terminal(self, cli: Cli, environment: dict[str, str], coloured: bool) -> None:
        shown = at_a_terminal(cli.having(**environment), "verify", "wikipedia", "--expect", "blocked")
        assert "BlackHoleCluster" in shown
        assert (ESC in shown) is coloured

    def test_signs_that_cannot_be_shown_become_ascii(self, cli: Cli) -> None:
        ran = cli.fresh().having(PYTHONIOENCODING="ascii")("verify", "wikipedia", "--expect", "blocked", "--show-path")
        assert ran.code == 0
        assert ran.stdout.isascii()
        assert ran.stdout.startswith("+ wikipedia  2 of 2 blocked")
        assert "  |- + pod           default/sleep" in ran.stdout


OPENED = "✔ wikipedia  2 of 2 open: ServiceEntry default/wikipedia-ext sent them (proved)\n"
CLOSED = "✔ wikipedia  closed: 2 of 2 blocked (proved): the sidecar sent them to BlackHoleCluster\n"


class TestVerdictFirst:
    def test_a_line_a_target_then_one_a_probe_and_no_path(self, cli: Cli, lab: Lab) -> None:
        made(lab)
        lines = cli("verify").stdout.splitlines(keepends=True)
        assert lines[0] == OPENED
        assert [re.sub(r"\d\.\d\d s", "N s", line) for line in lines[1:]] == [
            "  ✔ portal    https://www.wikipedia.org                 200  N s\n",
            f"  ✔ articles  https://en.wikipedia.org/wiki/Main_Page   200  N s  articles {ARTICLES}\n",
        ]

    def test_a_bare_url_names_the_entry_that_sent_it(self, cli: Cli, lab: Lab) -> None:
        made(lab)
        ran = cli("verify", "--probe", "https://www.wikipedia.org")
        assert "1 of 1 open: ServiceEntry default/wikipedia-ext sent it (proved)\n" in ran.stdout.splitlines(keepends=True)[0]
        assert "no ServiceEntry" not in ran.stdout

    def test_verdict_cause_and_next_command_stand_before_the_path(self, cli: Cli) -> None:
        lines = [line.split()[0] if line else "" for line in cli("verify", "wikipedia").stdout.splitlines()]
        assert lines[:7] == ["✘", "✘", "✘", "cause", "next", "", "path"]

    def test_an_unexpected_open_is_red(self, cli: Cli, lab: Lab) -> None:
        made(lab)
        ran = cli.having(FORCE_COLOR="1", TERM="xterm-256color")("verify", "--expect", "blocked")
        first = ran.stdout.splitlines()[0]
        assert ran.code == 1
        assert "0 of 2 blocked; 2 open: ServiceEntry default/wikipedia-ext sent them (proved)" in first
        assert (f"{ESC}[1;31m✘" in first, f"{ESC}[32m" in first) == (True, False)

    @pytest.mark.parametrize(("argv", "told"), [(("verify",), OPENED), (("cleanup",), CLOSED)])
    def test_quiet_leaves_the_first_line(self, cli: Cli, lab: Lab, argv: tuple[str, ...], told: str) -> None:
        made(lab)
        ran = cli(*argv, "-q")
        assert (ran.code, ran.stdout, ran.stderr) == (0, told, "")

    def test_quiet_run_says_both(self, cli: Cli) -> None:
        assert cli("run", "wikipedia", "-q").stdout == OPENED + CLOSED

    def test_quiet_says_what_was_done_where_nothing_was_proved(self, cli: Cli, lab: Lab) -> None:
        made(lab)
        ran = cli("cleanup", "--no-verify", "-q")
        assert (ran.code, ran.stdout) == (0, "serviceentry.networking.istio.io/wikipedia-ext deleted\n")

    @pytest.mark.parametrize("width", [60, 100, 160])
    def test_lines_are_as_wide_as_columns_says(self, cli: Cli, width: int) -> None:
        ran = cli.having(COLUMNS=str(width))("verify", "wikipedia")
        assert ran.code == 1
        for line in ran.stdout.splitlines():
            assert len(line) <= width or line.strip().count(" ") <= 2, line
        whole = cli("verify", "wikipedia").stdout.partition("\n\n")[0]
        assert ran.stdout.partition("\n\n")[0].replace("\\", "").split() == whole.split()

    def test_json_has_the_same_sentence(self, cli: Cli, lab: Lab) -> None:
        made(lab)
        report = cli("verify", "-o", "json").report
        assert f"✔ wikipedia  {report['targets'][0]['summary']}\n" == OPENED
        assert report["summary"] == f"wikipedia: {report['targets'][0]['summary']}"

    def test_of_a_table_of_all_the_rows_come_first_then_what_is_not_as_expected(self, cli: Cli, lab: Lab) -> None:
        made(lab)
        lines = cli("verify", "--all", "--expect", "blocked").stdout.splitlines()
        assert [line.split()[0] for line in lines[:3]] == ["NAME", "wikipedia-ext", "✘"]
        assert lines[-1] == "1 ServiceEntry: 1 open; 1 not as expected"
        assert cli("verify", "--all", "-q", "--expect", "blocked").stdout.splitlines() == [*lines[:2], lines[-1]]


def test_the_demo_is_a_story_of_three_steps_and_says_what_to_type_next(tmp_path: Path, lab_home: Path) -> None:
    lines = Cli(None, tmp_path)("demo").stdout.splitlines()
    captions = [line for line in lines if re.match(r"\d\. ", line)]
    assert [line[:2] for line in captions] == ["1.", "2.", "3."]
    told = [next(line for line in lines[lines.index(caption) :] if line.startswith("✔ ")) for caption in captions]
    assert [next(word for word in re.findall(r"\w+", line) if word in VERDICTS) for line in told] == ["blocked", "open", "closed"]
    after = lines[lines.index("What to type next") + 1 :]
    assert [line.split()[:2] for line in after] == [["egressctl", "lab"], ["egressctl", "doctor"], ["egressctl", "run"]]
    assert len(Cli(None, tmp_path)("demo", "-q").stdout.splitlines()) == 3


def test_a_bar_at_a_terminal_leaves_the_rows_alone(cli: Cli, lab: Lab) -> None:
    made(lab)
    shown = at_a_terminal(cli.having(TERM="xterm"), "verify", "--all", "--expect", "open")
    assert "\N{BOX DRAWINGS HEAVY HORIZONTAL}" in shown
    assert "0/1" in shown
    rows = [line for line in re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown).splitlines() if line.startswith("wikipedia-ext")]
    assert [row.split() for row in rows] == [["wikipedia-ext", "2/2", "open"]]


def at_a_terminal(cli: Cli, *argv: str) -> str:
    """Run a command at a terminal of its own, and return all that it shows."""
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "egressctl", *argv]
    with subprocess.Popen(command, env=cli.env, stdin=subprocess.DEVNULL, stdout=slave, stderr=slave) as process:
        os.close(slave)
        shown = b""
        while piece := _read(master):
            shown += piece
    os.close(master)
    assert process.returncode == 0
    return shown.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # the last who had it open has gone
        return b""


class TestNeutral:
    def test_what_the_api_server_says(self, cli: Cli, proxy: FaultProxy) -> None:
        proxy.rules = lambda call: Respond(500, message=f"{ESC}[2J{ESC}]0;owned\x07 \u202egnp.exe\r\nnext")
        ran = cli.at(proxy.kubeconfig)("list")
        assert ran.code == 3
        assert not set(ran.stderr) & {ESC, "\x07", "\r", "\u202e"}
        assert len(ran.told("error")) == 1

    def test_what_a_page_says(self, cli: Cli, odd: Odd) -> None:
        # Every W of the page becomes the beginning of an escape sequence; socket tables have none.
        curl = shutil.which("curl")
        kubeconfig = odd(instead(cli.home / "bin", "curl", f"{curl} \"$@\" | tr W '\\033'", sidecar=False))
        probe = {"name": "title", "url": "https://www.wikipedia.org", "extract": {"title": "<title>(.*?),"}}
        spec = {"serviceEntry": entry()["spec"], "probes": [probe]}
        target = {"apiVersion": "egressctl.dev/v1alpha1", "kind": "EgressTarget", "metadata": {"name": "wikipedia"}, "spec": spec}
        ran = cli.at(kubeconfig)("verify", "-f", "-", stdin=yaml.safe_dump(target))
        assert ran.code == 0, ran
        assert ESC not in ran.stdout + ran.stderr
        assert "title \\x1bikipedia\n" in ran.stdout

    def test_what_others_named(self, cli: Cli, proxy: FaultProxy) -> None:
        named = f"x{ESC}[31m"
        item = {
            "metadata": {
                "name": named,
                "namespace": "default",
                "uid": "u",
                "labels": {"egressctl.dev/target": named, LABEL_MANAGED_BY: MANAGER},
            },
            "spec": {},
        }
        body = json.dumps({"apiVersion": "networking.istio.io/v1", "kind": "ServiceEntryList", "items": [item]}).encode()
        proxy.rules = lambda call: Respond(200, body=body) if "serviceentries" in call.path else None
        for output in ("table", "name"):
            ran = cli.at(proxy.kubeconfig)("list", "-o", output)
            assert ran.code == 0
            assert ESC not in ran.stdout
            assert "x\\x1b[31m" in ran.stdout


class TestVerbose:
    def test_shows_the_line_that_repeats_a_probe_by_hand(self, cli: Cli, lab: Lab) -> None:
        made(lab)
        ran = cli("verify", "-v")
        lines = [line for line in ran.stderr.splitlines() if line.startswith("repeat ")]
        assert [line.split(": ", 1)[0] for line in lines] == ["repeat portal", "repeat articles"]
        assert all(": kubectl exec -n default sleep -c sleep -- curl -q " in line for line in lines)

    @pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl is not installed")
    def test_the_line_works(self, cli: Cli, lab: Lab) -> None:
        made(lab)
        [line] = [line for line in cli("verify", "-v=1").stderr.splitlines() if line.startswith("repeat portal: ")]
        words = shlex.split(line.removeprefix("repeat portal: "))
        done = subprocess.run(words, env=cli.env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "egressctl 0\t0\t200\t" in done.stderr
        assert "local_address" in done.stdout


class TestFormsOfKubectl:
    def test_flags(self, cli: Cli, lab: Lab) -> None:
        flags = ("--wait=false", "--dry-run=none", "-v", "6", "--timeout=30s", "-n=default", "--request-timeout=5s")
        ran = cli("apply", "wikipedia", *flags)
        assert (ran.code, ran.stdout) == (0, CREATED)
        assert owned(lab) == ["serviceentry/wikipedia-ext"]

    def test_options_before_the_command(self, cli: Cli, lab: Lab) -> None:
        ran = cli.at(None)("--kubeconfig", str(lab.kubeconfig), "-n", "default", "verify", "wikipedia", "--expect=blocked")
        assert ran.code == 0

    @pytest.mark.parametrize(
        ("flag", "suffix"),
        [("--dry-run=server", " (server dry run)"), ("--dry-run=client", " (dry run)"), ("--dry-run", " (dry run)")],
    )
    def test_dry_runs_change_nothing(self, cli: Cli, lab: Lab, flag: str, suffix: str) -> None:
        ran = cli("create", "wikipedia", flag)
        assert (ran.code, ran.stdout) == (0, CREATED.rstrip("\n") + suffix + "\n")
        assert owned(lab) == []
        made(lab)
        ran = cli("cleanup", flag)
        assert (ran.code, ran.stdout) == (0, f"serviceentry.networking.istio.io/wikipedia-ext deleted{suffix}\n")
        assert owned(lab) == ["serviceentry/wikipedia-ext"]

    def test_a_dry_run_prints_the_manifest(self, cli: Cli) -> None:
        ran = cli("create", "wikipedia", "--dry-run=client", "-o", "yaml")
        manifest = yaml.safe_load(ran.stdout)
        assert (ran.code, manifest["kind"], manifest["metadata"]["name"]) == (0, "ServiceEntry", "wikipedia-ext")

    def test_version(self, cli: Cli) -> None:
        for argv in (("--version",), ("version",)):
            assert __version__ in cli.at(None)(*argv).stdout
