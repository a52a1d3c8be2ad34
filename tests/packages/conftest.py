"""What a release consists of, built once from a copy of this checkout that has the tag v1.2.3.

Collected only where EGRESSCTL_TEST_PACKAGES asks for it (`make test-packages`): it takes 5 minutes and a package index.
"""

from __future__ import annotations

import os
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from packages import programs

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / "build" / "release" / "bin"
VERSION = "1.2.3"
PATIENCE = 600

collect_ignore_glob = [] if os.environ.get(programs.ASKED) else ["*"]


def run(*command: str | Path, cwd: Path = ROOT, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command whatever its exit code."""
    words = [str(word) for word in command]
    return subprocess.run(
        words, cwd=cwd, env={**os.environ, **(env or {})}, capture_output=True, text=True, check=False, timeout=PATIENCE
    )


def ok(*command: str | Path, cwd: Path = ROOT, env: Mapping[str, str] | None = None) -> str:
    """Run a command, hold that it ends well, and return what it prints."""
    ran = run(*command, cwd=cwd, env=env)
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]
    return ran.stdout


@dataclass(frozen=True)
class Release:
    """A checkout with a tag, and what was built of it."""

    checkout: Path

    @property
    def dist(self) -> Path:
        return self.checkout / "dist"

    @property
    def wheel(self) -> Path:
        return self.dist / f"egressctl-{VERSION}-py3-none-any.whl"

    @property
    def sdist(self) -> Path:
        return self.dist / f"egressctl-{VERSION}.tar.gz"

    @property
    def single_file(self) -> Path:
        return self.dist / "egressctl.pyz"

    def script(self, *words: str) -> str:
        """Run the release script and return what it prints."""
        return ok(TOOLS / "python", "tools/release.py", *words, cwd=self.checkout)


def unpack(tar: tarfile.TarFile, folder: Path) -> None:
    """Unpack an archive, by the filter for data where this Python has one: 3.11.4 and later, and not Debian 12's."""
    tar.extraction_filter = getattr(tarfile, "data_filter", None)
    tar.extractall(folder)


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of what this checkout holds, committed or not, with a release's tag."""
    folder = tmp_path_factory.mktemp("release") / "egressctl"
    folder.mkdir()
    listed = ok("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    packed = folder.with_suffix(".tar")
    with tarfile.open(packed, "w") as tar:
        for name in filter(None, listed):
            if (ROOT / name).exists():
                tar.add(ROOT / name, name)
    with tarfile.open(packed) as tar:
        unpack(tar, folder)
    who = ("-c", "user.name=a", "-c", "user.email=a@example.com")
    for words in (("init", "-q"), ("add", "-A"), (*who, "commit", "-q", "-m", "all"), ("tag", f"v{VERSION}"), ("tag", "v1")):
        ok("git", *words, cwd=folder)
    return folder


@pytest.fixture(scope="session")
def release(checkout: Path) -> Release:
    """The release of that checkout."""
    if not (TOOLS / "twine").exists():
        pytest.skip("build/release is not installed (make test-packages does it)")
    built = Release(checkout)
    built.script("build")
    return built


@pytest.fixture
def home(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of a user who has nothing: no kubeconfig, no cache of programs, no environment of Python."""
    folder = tmp_path / "home"
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        for name in ("KUBECONFIG", "VIRTUAL_ENV", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE"):
            patch.delenv(name, raising=False)
        yield {
            "HOME": str(folder),
            "XDG_CACHE_HOME": str(folder / "cache"),
            "PIPX_HOME": str(folder / "pipx"),
            "PIPX_BIN_DIR": str(folder / "bin"),
            "UV_CACHE_DIR": str(folder / "uv"),
            "UV_TOOL_DIR": str(folder / "tools"),
            "UV_TOOL_BIN_DIR": str(folder / "bin"),
            "UV_PYTHON_DOWNLOADS": "never",
            "EGRESSCTL_LAB_HOME": str(folder / "lab"),
            "PATH": f"{folder / 'bin'}:{TOOLS}:{os.environ['PATH']}",
        }
