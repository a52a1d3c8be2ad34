"""What asking for help imports, seen in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from egressctl.cli.registry import COMMANDS
from labs import Lab

SCRIPT = """
import json, sys
from egressctl.cli.main import run
code = run(sys.argv[1:])
print()
print(json.dumps({"code": code, "modules": sorted({name.partition(".")[0] for name in sys.modules})}))
"""

HEAVY = {"kubernetes", "httpx", "aiohttp", "rich", "urllib3", "websocket", "cryptography"}


def imported_by(*argv: str) -> set[str]:
    ran = subprocess.run([sys.executable, "-c", SCRIPT, *argv], capture_output=True, text=True, check=True)
    found = json.loads(ran.stdout.splitlines()[-1])
    assert found["code"] == 0
    assert len(ran.stdout.splitlines()) > 2  # it did say something
    return set(found["modules"])


@pytest.mark.parametrize("argv", [("--version",), ("--help",), ("-h",), ("help",)])
def test_help_and_version_import_nothing_heavy(argv: tuple[str, ...]) -> None:
    assert not imported_by(*argv) & (HEAVY | {"yaml"})


def test_the_ways_to_begin_without_a_kubeconfig_need_no_client(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    assert not imported_by() & {"kubernetes", "httpx", "aiohttp", "rich"}


def test_the_version_does_not_even_import_typer() -> None:
    assert "typer" not in imported_by("--version")


@pytest.mark.parametrize("command", [name for name, _, _ in COMMANDS])
def test_the_help_of_a_command_imports_neither_the_client_nor_the_labs_server(command: str) -> None:
    assert not imported_by(command, "--help") & HEAVY


@pytest.mark.parametrize("words", [("completion", "bash"), ("__complete", "verify", "--exp"), ("__complete", "create", "wik")])
def test_a_completion_that_asks_no_kubernetes_cluster_imports_no_client(words: tuple[str, ...]) -> None:
    assert not imported_by(*words) & HEAVY


def test_what_goes_into_a_pipe_is_laid_out_without_rich(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(lab.kubeconfig))
    monkeypatch.setenv("COLUMNS", "60")
    assert "rich" not in imported_by("verify", "wikipedia", "--expect", "blocked")


def test_a_plain_kubeconfig_is_read_without_what_only_logins_need(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of them is a tenth of a second at every start."""
    monkeypatch.setenv("KUBECONFIG", str(lab.kubeconfig))
    found = imported_by("list", "-o", "json")
    assert {"kubernetes", "urllib3"} <= found
    assert not found & {"pydantic", "requests", "oauthlib", "requests_oauthlib", "dateutil"}
