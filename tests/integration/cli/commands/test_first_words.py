"""The first line that somebody types: `egressctl` alone, another tool's word, into a pipe that nobody reads."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import time

import pytest

from cli import Cli, Ran, entry, made, nothing_is_left
from faults import FaultProxy, Respond, Stall
from labs import Lab


def ways(ran: Ran) -> list[str]:
    """The lines to type of `egressctl` alone."""
    assert (ran.code, ran.stderr) == (0, "")
    assert len(ran.stdout.splitlines()) <= 30
    return [line[2:].partition("  ")[0] for line in ran.stdout.splitlines() if line.startswith("  ")]


def answering(proxy: FaultProxy, answer: Respond | Stall, path: str) -> None:
    proxy.rules = lambda call: answer if call.path.startswith(path) else None


class TestAlone:
    def test_without_a_kubeconfig_it_leads_to_the_lab_and_to_files(self, cli: Cli) -> None:
        ran = cli.at(None)()
        assert ways(ran) == [
            "egressctl demo",
            "egressctl lab up",
            "egressctl lint FILE|FOLDER",
            "egressctl --kubeconfig FILE doctor",
        ]

    def test_a_mesh_without_entries_of_ours(self, cli: Cli, lab: Lab) -> None:
        lab.create(entry("theirs"))
        ran = cli()
        assert ways(ran) == [
            "egressctl doctor",
            "egressctl verify https://HOST",
            "egressctl create HOST",
            "egressctl lint --all -A",
        ]
        assert "has no ServiceEntry that egressctl made. Four ways to begin:" in ran.stdout

    def test_a_mesh_with_entries_of_ours(self, cli: Cli, lab: Lab) -> None:
        made(lab)
        ran = cli()
        assert ways(ran) == ["egressctl list", "egressctl verify", "egressctl explain https://HOST", "egressctl cleanup TARGET"]
        assert "has 1 ServiceEntry that egressctl made, in namespace default." in ran.stdout

    def test_it_changes_nothing(self, cli: Cli, lab: Lab, proxy: FaultProxy) -> None:
        made(lab)
        assert ways(cli.at(proxy.kubeconfig)())
        assert {call.method for call in proxy.calls} == {"GET"}
        assert not any(call.is_exec for call in proxy.calls)

    def test_a_kubernetes_cluster_without_istio(self, cli: Cli, proxy: FaultProxy) -> None:
        answering(proxy, Respond(404, "NotFound"), "/apis/networking.istio.io")
        ran = cli.at(proxy.kubeconfig)()
        assert ways(ran)[0] == "egressctl doctor"
        assert "has no Istio. Four ways to begin:" in ran.stdout

    @pytest.mark.parametrize(
        ("answer", "sentence"),
        [
            (Respond(401, "Unauthorized"), "The API server refused the credentials: unknown or expired (401). Four ways"),
            (Respond(403, "Forbidden"), "may not be listed. Four ways"),
            (Respond(400, "BadRequest"), "Four ways"),
        ],
        ids=["unauthorized", "forbidden", "refused"],
    )
    def test_what_could_not_be_asked_is_told(self, cli: Cli, proxy: FaultProxy, answer: Respond, sentence: str) -> None:
        answering(proxy, answer, "/apis/networking.istio.io/v1/")
        ran = cli.at(proxy.kubeconfig)()
        assert len(ways(ran)) == 4
        assert sentence in ran.stdout

    def test_rights_in_one_namespace_suffice(self, cli: Cli, lab: Lab, proxy: FaultProxy) -> None:
        made(lab)
        answering(proxy, Respond(403, "Forbidden"), "/apis/networking.istio.io/v1/serviceentries")
        ran = cli.at(proxy.kubeconfig)()
        assert "has 1 ServiceEntry that egressctl made, in namespace default." in ran.stdout

    def test_an_api_server_that_says_nothing_is_given_two_seconds(self, cli: Cli, proxy: FaultProxy) -> None:
        answering(proxy, Stall(), "/")
        began = time.monotonic()
        ran = cli.at(proxy.kubeconfig)()
        assert time.monotonic() - began < 10, "the two seconds, and the start of a process on a busy machine"
        assert len(ways(ran)) == 4
        assert ways(ran)[0] == "egressctl doctor"


class TestWords:
    def test_the_line_that_is_named_does_what_was_meant(self, cli: Cli, lab: Lab) -> None:
        made(lab)
        ran = cli("delete", "serviceentry", "wikipedia-ext", "-n", "default")
        assert (ran.code, ran.error) == (2, "there is no command 'delete'")
        assert ran.hint == "egressctl cleanup serviceentry/wikipedia-ext -n default"
        assert cli(*ran.hint.split()[1:]).code == 0
        assert nothing_is_left(lab)

    def test_what_lists_is_named_for_what_gets(self, cli: Cli, lab: Lab) -> None:
        made(lab)
        ran = cli("get", "serviceentries", "-A", "-o", "name")
        assert cli(*ran.hint.split()[1:]).stdout == "serviceentry/default/wikipedia-ext\n"

    @pytest.mark.parametrize("words", [("lint", "--cluster"), ("lint", "--cluster", "-A"), ("lint", "x.yaml", "--server")])
    def test_a_flag_of_lint_that_had_two_meanings_has_one(self, cli: Cli, words: tuple[str, ...]) -> None:
        ran = cli(*words)
        assert ran.code == 2
        assert ran.error.startswith(f"{words[-1] if words[-1] != '-A' else words[1]} names ")

    def test_lint_takes_them_for_kubeconfigs(self, cli: Cli) -> None:
        ran = cli("lint", "--cluster", "nowhere")
        assert (ran.code, ran.error.partition(";")[0]) == (3, "the kubeconfig has no cluster 'nowhere'")
        assert "127.0.0.1:1" in cli("lint", "--server", "https://127.0.0.1:1").error


class TestReaderThatGoesAway:
    """`egressctl ... | true` ends as if it had been read."""

    @pytest.mark.parametrize(
        ("line", "code"),
        [
            ("version", 0),
            ("--version", 0),
            ("--help", 0),
            ("create --help", 0),
            ("", 0),
            ("completion bash", 0),
            ("catalog list", 0),
            ("catalog show aws", 0),
            ("rbac", 0),
            ("render wikipedia", 0),
            ("list", 0),
            ("list -o json", 0),
            ("lint wikipedia -q", 0),
            ("verify wikipedia", 1),
            ("delete", 2),
            ("lab status --name none", 1),
        ],
    )
    @pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
    def test_the_exit_code_is_its_own(self, cli: Cli, line: str, code: int, unbuffered: str) -> None:
        reading, writing = os.pipe()
        os.close(reading)
        command = [sys.executable, "-m", "egressctl", *line.split()]
        env = {**cli.env, "PYTHONUNBUFFERED": unbuffered}
        with os.fdopen(writing, "wb") as nobody:
            ran = subprocess.run(command, env=env, stdout=nobody, stderr=subprocess.PIPE, text=True, check=False)
        assert ran.returncode == code, ran.stderr
        assert "Traceback" not in ran.stderr
        assert "Broken pipe" not in ran.stderr

    def test_also_where_nobody_reads_the_errors(self, cli: Cli) -> None:
        reading, writing = os.pipe()
        os.close(reading)
        command = [sys.executable, "-m", "egressctl", "delete", "wikipedia"]
        with os.fdopen(writing, "wb") as nobody:
            assert subprocess.run(command, env=cli.env, stdout=nobody, stderr=nobody, check=False).returncode == 2

    def test_a_terminal_is_still_one(self, cli: Cli) -> None:
        leader, follower = pty.openpty()
        command = [
            sys.executable,
            "-c",
            "import sys; from egressctl.cli import main; main.run = lambda _: print(sys.stdout.isatty()) or 0; main.main()",
        ]
        assert subprocess.run(command, env=cli.env, stdout=follower, check=False).returncode == 0
        os.close(follower)
        assert os.read(leader, 100).split() == [b"True"]
        os.close(leader)

    def test_a_full_disk_is_told(self, cli: Cli) -> None:
        with open("/dev/full", "wb") as full:
            command = [sys.executable, "-m", "egressctl", "version"]
            ran = subprocess.run(command, env=cli.env, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
        assert (ran.returncode, ran.stderr) == (3, "error: the output could not be written: No space left on device\n")
