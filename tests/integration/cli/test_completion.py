"""Completion in the shells themselves: a line is typed at a terminal, and a Tab after it."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cli import entry, made
from labs import Lab

GUARD_SECONDS = 60.0
START = {
    "bash": (["bash", "--noprofile", "--norc", "-i"], "source <(egressctl completion bash)"),
    "zsh": (["zsh", "-f", "-i"], "autoload -U compinit; compinit -D; source <(egressctl completion zsh)"),
    "fish": (["fish", "--no-config", "-i"], "egressctl completion fish | source"),
}
SHELLS = [
    pytest.param(
        shell,
        marks=pytest.mark.skipif(
            shutil.which(shell) is None and os.environ.get("EGRESSCTL_TEST_SHELLS") != "required", reason=f"{shell} is missing"
        ),
    )
    for shell in START
]


class Terminal:
    """A shell at a terminal of its own, with the completion loaded."""

    def __init__(self, shell: str, environment: dict[str, str], home: Path) -> None:
        argv, load = START[shell]
        self.leader, follower = pty.openpty()
        # Fish wants a terminal that controls it, and so do the jobs of the others.
        self.process = subprocess.Popen(
            ["setsid", "--ctty", *argv], stdin=follower, stdout=follower, stderr=follower, env=environment, cwd=home
        )
        os.close(follower)
        self.shown = ""
        self.load = load

    def typed(self, text: str) -> None:
        os.write(self.leader, text.encode())

    def until(self, text: str) -> None:
        """Read what is shown until it holds a text."""
        deadline = time.monotonic() + GUARD_SECONDS
        while text not in self.shown:
            left = deadline - time.monotonic()
            assert left > 0, f"{text!r} was never shown: {self.shown!r}"
            if select.select([self.leader], [], [], left)[0]:
                self.shown += os.read(self.leader, 65536).decode(errors="replace")

    def completed(self, line: str, to: str) -> None:
        """Type a line and a Tab, and see what the shell has made of it: the line is then printed, not run."""
        self.shown = ""
        # ^A goes to the line's start, ^E to its end.
        self.typed(f"{line}\t\x01echo 'made of it:' \x05\n")
        self.until(f"made of it: {to}")

    def close(self) -> None:
        os.close(self.leader)
        self.process.kill()
        self.process.wait()


def environment(home: Path, kubeconfig: Path) -> dict[str, str]:
    """Return an environment with the two programs that an installation brings."""
    programs = home / "bin"
    programs.mkdir()
    for name, start in (("egressctl", "main"), ("kubectl_complete-egressctl", "complete_for_kubectl")):
        (programs / name).write_text(f"#!{sys.executable}\nfrom egressctl.cli import main\nmain.{start}()\n")
        (programs / name).chmod(0o755)
    return {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "HOME": str(home),
        "TERM": "xterm",
        "PYTHONPATH": str(Path(__file__).parents[3] / "src"),
        "KUBECONFIG": str(kubeconfig),
        "LC_ALL": "C.UTF-8",
    }


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.usefixtures("cli")
def test_names_and_flags_are_completed_in_the_shell(shell: str, lab: Lab, tmp_path: Path) -> None:
    made(lab)
    lab.create(entry("theirs", hosts=["theirs.example"]))
    (tmp_path / "targets.yaml").write_text("")
    terminal = Terminal(shell, environment(tmp_path, lab.kubeconfig), tmp_path)
    try:
        terminal.typed(f"{terminal.load}; echo rea''dy\n")
        terminal.until("ready")
        terminal.completed("egressctl verif", "egressctl verify")
        terminal.completed("egressctl verify --expe", "egressctl verify --expect")
        terminal.completed("egressctl verify --expect blo", "egressctl verify --expect blocked")
        terminal.completed("egressctl verify --expect=blo", "egressctl verify --expect=blocked")
        terminal.completed("egressctl create wikip", "egressctl create wikipedia")
        terminal.completed("egressctl verify serviceentry/the", "egressctl verify serviceentry/theirs")
        terminal.completed("egressctl cleanup wi", "egressctl cleanup wikipedia")
        terminal.completed("egressctl verify --pod sl", "egressctl verify --pod sleep")
        terminal.completed("egressctl verify --context egr", "egressctl verify --context egressctl-lab")
        terminal.completed("egressctl create -f targ", "egressctl create -f targets.yaml")
    finally:
        terminal.close()


def test_a_plugin_of_kubectl_is_completed_as_kubectl_asks_for_it(tmp_path: Path, lab: Lab) -> None:
    given = environment(tmp_path, lab.kubeconfig)
    asked = subprocess.run(
        ["kubectl_complete-egressctl", "verify", "--pod", "sl"],
        env=given,
        executable=str(tmp_path / "bin" / "kubectl_complete-egressctl"),
        capture_output=True,
        text=True,
        check=True,
    )
    assert asked.stdout == "sleep\tRunning\n:4\n"


def test_an_api_server_that_does_not_answer_offers_nothing_and_says_nothing(tmp_path: Path) -> None:
    kubeconfig = tmp_path / "config"
    kubeconfig.write_text(
        "current-context: x\ncontexts: [{name: x, context: {cluster: x}}]\nclusters: [{name: x, cluster: {server: 'https://127.0.0.1:9'}}]\n"
    )
    asked = subprocess.run(
        [sys.executable, "-m", "egressctl", "__complete", "verify", "--pod", ""],
        env={**os.environ, "KUBECONFIG": str(kubeconfig)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (asked.stdout, asked.stderr) == (":4\n", "")
