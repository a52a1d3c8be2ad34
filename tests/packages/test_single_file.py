"""The single file, for krew, for images, and for who wants nothing installed; and what an index and a tap are given."""

from __future__ import annotations

import json
import os
import re
import shutil
import tarfile
import zipfile
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from cli import Cli, made
from labs import Lab
from packages.conftest import ROOT, TOOLS, VERSION, Release, ok, run, unpack
from packages.programs import find_program

URL = f"https://git.example/owner/egressctl/releases/download/v{VERSION}"
RIVALS = ROOT / "tests" / "manifests" / "rivals.yaml"


def test_it_runs_and_unpacks_itself_once(release: Release, home: dict[str, str]) -> None:
    cache = Path(home["XDG_CACHE_HOME"]) / "egressctl"
    assert ok(release.single_file, "--version", env=home) == f"egressctl {VERSION}\n"
    [unpacked] = cache.iterdir()
    before = unpacked.stat().st_mtime_ns
    assert ok(release.single_file, "version", env=home) == f"egressctl {VERSION}\n"
    assert [each.stat().st_mtime_ns for each in cache.iterdir()] == [before]
    assert run(release.single_file, "lint", RIVALS, env=home).returncode == 1


def test_it_runs_where_nothing_can_be_written(release: Release, home: dict[str, str]) -> None:
    nowhere = {**home, "XDG_CACHE_HOME": "/proc/none"}
    assert ok(release.single_file, "version", env=nowhere) == f"egressctl {VERSION}\n"
    assert run(release.single_file, "lint", RIVALS, env=nowhere).returncode == 1
    assert "stripe" in ok(release.single_file, "catalog", "list", env=nowhere)
    assert "complete" in ok(release.single_file, "completion", "zsh", env=nowhere)


def test_it_runs_nothing_that_others_could_have_written(release: Release, home: dict[str, str]) -> None:
    ok(release.single_file, "version", env=home)
    [unpacked] = (Path(home["XDG_CACHE_HOME"]) / "egressctl").iterdir()
    (unpacked / "egressctl" / "version.txt").write_text("of others\n")
    unpacked.chmod(0o777)
    assert ok(release.single_file, "version", env=home) == f"egressctl {VERSION}\n"


def test_it_proves_an_egress(release: Release, home: dict[str, str], cli: Cli, lab: Lab) -> None:
    made(lab)
    env = {**home, "KUBECONFIG": str(lab.kubeconfig)}
    report = json.loads(ok(release.single_file, "verify", "-o", "json", env=env))
    assert report["verdict"] == "open"


def test_nothing_in_it_is_made_for_one_kind_of_machine(release: Release) -> None:
    held = zipfile.ZipFile(release.single_file).namelist()
    assert not [name for name in held if name.endswith((".so", ".pyd", ".dylib", ".pyc"))]
    assert not {name.partition("/")[0] for name in held} & {"pydantic", "aiohttp", "requests", "tests", "bin"}
    assert "kubernetes/client/rest.py" in held
    assert release.single_file.stat().st_size < 5_000_000


def test_the_same_commit_gives_the_same_file(release: Release, tmp_path: Path) -> None:
    first = {
        name: (release.dist / name).read_bytes()
        for name in (release.single_file.name, release.wheel.name, "egressctl-krew.tar.gz")
    }
    elsewhere = tmp_path / "python"
    elsewhere.symlink_to(TOOLS.parent)  # a build of another folder
    ok(elsewhere / "bin" / "python", "tools/release.py", "build", cwd=release.checkout)
    assert [name for name, content in first.items() if (release.dist / name).read_bytes() != content] == []


def test_a_login_that_it_has_not_the_packages_for_is_told_as_that(release: Release, home: dict[str, str], tmp_path: Path) -> None:
    config = {
        "current-context": "a",
        "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
        "clusters": [{"name": "a", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "a", "user": {"auth-provider": {"name": "oidc", "config": {}}}}],
    }
    (tmp_path / "kubeconfig").write_text(json.dumps(config))
    ran = run(release.single_file, "list", "--kubeconfig", tmp_path / "kubeconfig", env=home)
    assert ran.returncode == 3, ran
    assert "the auth-provider 'oidc' needs the Python package" in ran.stderr


def test_kubectls_plugin_is_the_file_under_its_name_and_answers_its_completion(
    release: Release, home: dict[str, str], tmp_path: Path
) -> None:
    with tarfile.open(release.dist / "egressctl-krew.tar.gz") as tar:
        assert tar.getnames() == ["kubectl-egressctl", "LICENSE"]
        unpack(tar, tmp_path)
    assert ok(tmp_path / "kubectl-egressctl", "version", env=home) == f"egressctl {VERSION}\n"
    shutil.copy(tmp_path / "kubectl-egressctl", tmp_path / "kubectl_complete-egressctl")
    assert "verify" in ok(tmp_path / "kubectl_complete-egressctl", "ver", env=home)


def test_krew_takes_the_manifest(release: Release, tmp_path: Path) -> None:
    manifest = tmp_path / "egressctl.yaml"
    manifest.write_text(release.script("krew", URL))
    ran = run(find_program("krew"), "-manifest", manifest, "-skip-install")
    assert ran.returncode == 0, ran.stderr
    assert "structural validation OK" in ran.stderr
    told = yaml.safe_load(manifest.read_text())
    assert told["spec"]["version"] == f"v{VERSION}"
    [platform] = told["spec"]["platforms"]
    sums = (release.dist / "SHA256SUMS").read_text()
    assert f"{platform['sha256']}  {platform['uri'].rpartition('/')[2]}\n" in sums
    assert len(told["spec"]["shortDescription"]) <= 50


@pytest.fixture(scope="module")
def formula(release: Release) -> str:
    return release.script("homebrew", URL)


def test_ruby_takes_the_formula(formula: str, tmp_path: Path) -> None:
    (tmp_path / "egressctl.rb").write_text(formula)
    assert ok(find_program("ruby"), "-c", tmp_path / "egressctl.rb") == "Syntax OK\n"


def test_every_hash_of_the_formula_is_one_of_requirements_txt(formula: str, release: Release) -> None:
    resources = re.findall(r'resource "([\w.-]+)" do\n    url "(https://[^"]+)"\n    sha256 "(\w{64})"', formula)
    assert len(resources) == formula.count("resource ") > 15
    pinned = (ROOT / "requirements.txt").read_text()
    for name, url, sha256 in resources:
        assert sha256 in pinned.partition(f"\n{name}==")[2].partition("# via")[0], name
        assert "@" not in urlsplit(url).netloc
    assert {"setuptools-scm", "kubernetes"} <= {name for name, _, _ in resources}
    assert f'sha256 "{(release.dist / "SHA256SUMS").read_text().partition(f"  {release.sdist.name}")[0].split()[-1]}"' in formula


def test_an_older_python_is_told_what_is_needed(release: Release) -> None:
    """None is on this machine: its version is what the start is shown."""
    start = zipfile.ZipFile(release.single_file).read("__main__.py").decode()
    script = f"import sys; sys.version_info = (3, 9, 2); exec(compile({start!r}, 'x', 'exec'), {{'__name__': '__main__'}})"
    ran = run(TOOLS / "python", "-c", script)
    assert ran.returncode == 1
    assert "error: egressctl needs Python 3.11 or later" in ran.stderr
    assert "is 3.9" in ran.stderr


def test_no_host_of_a_registry_stands_in_a_file() -> None:
    known = [
        urlsplit(word).hostname
        for name in ("PIP_INDEX_URL", "UV_INDEX_URL", "UV_DEFAULT_INDEX")
        if (word := os.environ.get(name))
    ]
    hosts = {*filter(None, known), "files." + "pythonhosted.org", "pypi" + ".org/simple"}
    for name in ok("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0"):
        path = ROOT / name
        if name and path.is_file():
            content = path.read_bytes()
            assert not [host for host in hosts if host.encode() in content], name
