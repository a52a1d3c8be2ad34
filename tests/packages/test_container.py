"""The image: built by buildah on a small Debian, and run as a Kubernetes cluster would: not root, and its root read-only.

What runs it is chroot in a namespace of mounts, with user, variables, folder and entry point as the image says: no daemon is
needed, and the lab on this machine's loopback is reached.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cli import Cli, made
from cluster import binaries
from labs import Lab
from packages.conftest import ROOT, VERSION, Release, ok
from packages.programs import find_program

START = """
set -e
root=$1 work=$2 user=$3 folder=$4
shift 4
mount --bind "$root" "$root"
mount --bind "$work" "$root$folder"
mount -o remount,bind,ro "$root"
mount -o remount,bind,ro "$root$folder"
mount --rbind /proc "$root/proc"
mount --rbind /dev "$root/dev"
exec chroot --userspec="$user" --groups= "$root" "$@"
"""

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="an image is built and mounted by root only")


@dataclass(frozen=True)
class Image:
    """A container of the image, mounted, and the image's configuration."""

    root: Path
    config: dict[str, Any]

    def run(self, work: Path, *argv: str, entry_point: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command in it; `work` is mounted, read-only as all the rest, where the image works."""
        variables = [*self.config["Env"], "KUBECONFIG=kubeconfig"]
        words = [*(self.config["Entrypoint"] if entry_point else []), *argv]
        inside = ["/usr/bin/env", "-i", "-C", self.config["WorkingDir"], *variables, *words]
        start = ["sh", "-c", START, "sh", str(self.root), str(work), self.config["User"], self.config["WorkingDir"]]
        command = ["unshare", "--mount", "--fork", *start, *inside]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def base() -> Path:
    """Return a small Debian with Python, made once on this machine of the packages that it is set up with itself."""
    release = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    suite = shlex.split(release.get("VERSION_CODENAME", "stable"))[0]
    tar = binaries.cache().parent / f"debian-{suite}.tar"
    if not tar.exists():
        sources = [*Path("/etc/apt/sources.list.d").glob("debian*.sources"), Path("/etc/apt/sources.list")]
        new = tar.with_name(f"new-{tar.name}")
        words = ("--variant=minbase", "--include=python3", suite, str(new))
        ok(find_program("mmdebstrap"), *words, *(file for file in sources if file.exists()))
        new.rename(tar)
    return tar


@pytest.fixture(scope="module")
def image(release: Release) -> Iterator[Image]:
    find_program("mmdebstrap")
    storage = Path(tempfile.mkdtemp(prefix="images"))
    places = ("--storage-driver", "vfs", "--root", storage / "root", "--runroot", storage / "run")

    def buildah(*words: str | Path) -> str:
        return ok(find_program("buildah"), *places, *words, cwd=release.checkout).strip()

    scratch = buildah("from", "scratch")
    buildah("add", "--quiet", scratch, base(), "/")
    buildah("commit", "--quiet", scratch, "localhost/base")
    buildah("build", "--isolation", "chroot", "--build-arg", "BASE=localhost/base", "--tag", "localhost/egressctl", ".")
    config = json.loads(buildah("inspect", "--type", "image", "localhost/egressctl"))["OCIv1"]["config"]
    container = buildah("from", "localhost/egressctl")
    try:
        yield Image(Path(buildah("mount", container)), config)
    finally:
        buildah("umount", container)
        buildah("rm", "--all")
        shutil.rmtree(storage)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A folder that anybody may read."""
    folder = tmp_path / "work"
    folder.mkdir()
    for each in (folder, *folder.parents):
        if each.is_relative_to(Path(tempfile.gettempdir())) and each != Path(tempfile.gettempdir()):
            each.chmod(each.stat().st_mode | 0o055)
    return folder


def test_it_is_not_root_and_its_user_is_a_number(image: Image, work: Path) -> None:
    assert image.config["User"] == "65532:65532"
    assert image.run(work, "id", "-u", entry_point=False).stdout == "65532\n"


def test_nothing_in_it_can_be_written(image: Image, work: Path) -> None:
    for place in ("/x", "/tmp/x", "/data/x"):
        assert "Read-only file system" in image.run(work, "touch", place, entry_point=False).stderr


def test_it_says_its_version_and_without_a_word_how_to_use_it(image: Image, work: Path) -> None:
    ran = image.run(work, "version")
    assert (ran.returncode, ran.stdout) == (0, f"egressctl {VERSION}\n"), ran.stderr
    assert "Usage: egressctl" in image.run(work, *image.config["Cmd"]).stdout


def test_it_has_curl_for_probes_from_its_own_pod(image: Image, work: Path) -> None:
    assert image.run(work, "curl", "--version", entry_point=False).returncode == 0


def test_it_lints_a_file(image: Image, work: Path) -> None:
    shutil.copy(ROOT / "tests" / "manifests" / "rivals.yaml", work)
    (work / "rivals.yaml").chmod(0o644)
    ran = image.run(work, "lint", "rivals.yaml")
    assert (ran.returncode, ran.stderr) == (1, "")
    assert "rivals.yaml:" in ran.stdout


def test_it_proves_an_egress_of_the_lab(image: Image, work: Path, cli: Cli, lab: Lab) -> None:
    made(lab)
    shutil.copy(lab.kubeconfig, work / "kubeconfig")
    (work / "kubeconfig").chmod(0o644)
    ran = image.run(work, "verify", "-o", "json")
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["verdict"] == "open"


def test_what_it_imports_is_compiled_already(image: Image) -> None:
    folder = image.root / "opt" / "egressctl" / "egressctl"
    sources = list(folder.rglob("*.py"))
    assert sources
    assert len(list(folder.rglob("*.pyc"))) == len(sources)


def test_it_is_not_much_heavier_than_its_base(image: Image) -> None:
    weight = sum(path.stat().st_size for path in (image.root / "opt").rglob("*") if path.is_file())
    assert weight < 40_000_000
    assert not list((image.root / "var" / "lib" / "apt" / "lists").glob("*Packages*"))
    assert not list((image.root / "opt").glob("*.pyz"))
