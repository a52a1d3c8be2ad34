"""What is installed and what of it is loaded: of the official client little, and nothing else is heavy."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
import release
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from labs import Lab

MEGABYTE = 1_000_000
LOADED = {
    "kubernetes",
    "kubernetes.client",
    "kubernetes.client.configuration",
    "kubernetes.client.exceptions",
    "kubernetes.client.rest",
    "kubernetes.config",
    "kubernetes.config.config_exception",
    "kubernetes.config.exec_provider",
    "kubernetes.config.incluster_config",
    "kubernetes.utils",
}
"""Configuration, REST client and what these two import; the rest of the package is read for an auth-provider only."""

SCRIPT = """
import json, sys
from egressctl.cli.main import run
code = run(sys.argv[1:])
print()
print(json.dumps({"code": code, "modules": sorted(sys.modules)}))
"""


def modules_of(*argv: str) -> set[str]:
    ran = subprocess.run([sys.executable, "-c", SCRIPT, *argv], capture_output=True, text=True, check=True)
    found = json.loads(ran.stdout.splitlines()[-1])
    assert found["code"] == 0, ran
    return set(found["modules"])


def heavy(modules: set[str]) -> set[str]:
    of_client = {name for name in modules if name.partition(".")[0] == "kubernetes" and not name.startswith("kubernetes.utils.")}
    assert "kubernetes.client.rest" in of_client
    others = {"pydantic", "pydantic_core", "aiohttp", "requests", "oauthlib", "requests_oauthlib", "dateutil"}
    return of_client - LOADED | {name for name in modules if name.partition(".")[0] in others}


@pytest.fixture
def with_plugin(lab: Lab, tmp_path: Path) -> Path:
    """A kubeconfig of the lab whose credentials a plugin gives, as those of the managed Kubernetes clusters."""
    config = yaml.safe_load(lab.kubeconfig.read_text())
    user = config["users"][0]["user"]
    credential = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {"token": user.get("token", "t")},
    }
    plugin = tmp_path / "plugin"
    plugin.write_text(f"#!/bin/sh\ncat <<'END'\n{json.dumps(credential)}\nEND\n")
    plugin.chmod(0o755)
    told = {"apiVersion": credential["apiVersion"], "command": str(plugin), "interactiveMode": "Never"}
    config["users"][0]["user"] = {"exec": told}
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
    return tmp_path / "kubeconfig"


@pytest.mark.parametrize("argv", [("list",), ("list", "-o", "json"), ("doctor",)])
def test_of_the_official_client_configuration_and_rest_client_are_loaded_and_nothing_else(
    lab: Lab, argv: tuple[str, ...]
) -> None:
    assert not heavy(modules_of(*argv, "--kubeconfig", str(lab.kubeconfig)))


def test_a_credential_plugin_loads_no_more(with_plugin: Path) -> None:
    assert not heavy(modules_of("list", "--kubeconfig", str(with_plugin)))


def size(name: str) -> int:
    """Return the size of what is installed of a distribution, without what Python compiles of it."""
    files = metadata.files(name)
    assert files
    paths = (Path(str(file.locate())) for file in files if file.suffix != ".pyc")
    return sum(path.stat().st_size for path in paths if path.exists())


def installed_with(*names: str) -> set[str]:
    """Return the distributions that pip installs for these names, without extras."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in found:
            continue
        found.add(name)
        for asked in map(Requirement, metadata.requires(name) or ()):
            if not asked.marker or asked.marker.evaluate({"extra": ""}):
                waiting.append(asked.name)
    return found


def ours() -> set[str]:
    """Return what is installed with egressctl, but for the official client and what only that asks for."""
    asked = [Requirement(text).name for text in metadata.requires("egressctl") or () if "extra ==" not in text]
    assert "kubernetes" in asked
    return installed_with(*(name for name in asked if name != "kubernetes"))


def too_heavy(names: set[str]) -> dict[str, str]:
    sizes = {name: size(name) for name in names}
    return {name: f"{size / MEGABYTE:.1f} MB" for name, size in sizes.items() if size > 5 * MEGABYTE}


def test_nothing_but_the_official_client_is_heavier_than_5_mb() -> None:
    assert {"rich", "typer", "httpx"} <= ours()
    assert not too_heavy(ours())


def test_of_what_only_the_official_client_asks_for_two_are_heavier_and_known() -> None:
    """Neither is loaded; a third is to be looked at before it is let in."""
    only_for_client = installed_with("kubernetes") - ours() - {"kubernetes"}
    assert too_heavy(only_for_client).keys() <= {"aiohttp", "pydantic-core"}
    assert only_for_client == release.ONLY_FOR_LOGINS, "the single file leaves these out"


def test_egressctl_itself_is_light() -> None:
    root = Path(__file__).parents[3] / "src" / "egressctl"
    assert sum(file.stat().st_size for file in root.rglob("*") if file.is_file() and file.suffix != ".pyc") < 5 * MEGABYTE
