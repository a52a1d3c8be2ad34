"""Make what a release consists of, or print what krew's index and a Homebrew tap are given of it.

    python tools/release.py build            the files of a release, into dist/
    python tools/release.py krew URL         the manifest of kubectl's plugin
    python tools/release.py homebrew URL     the formula

URL is the folder that the files of dist/ can be downloaded from. A registry's host stands in what is printed, and in no file.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
DIST = ROOT / "dist"
SUMMARY = "Open and prove an egress from an Istio mesh"
LICENSE = "Apache-2.0"
PYTHON = "3.13"
"""Which Python the formula asks Homebrew for."""

ONLY_FOR_LOGINS = frozenset(
    {
        "aiohappyeyeballs",
        "aiohttp",
        "aiohttp-retry",
        "aiosignal",
        "annotated-types",
        "attrs",
        "charset-normalizer",
        "frozenlist",
        "multidict",
        "oauthlib",
        "propcache",
        "pydantic",
        "pydantic-core",
        "python-dateutil",
        "requests",
        "requests-oauthlib",
        "typing-inspection",
        "tzdata",
        "yarl",
    }
)
"""What the official client asks for and only an auth-provider loads, a kind of login that Kubernetes has given up.

Some of it is compiled for one machine; without it the single file runs on all.
"""

ONLY_FOR_BUILDS = frozenset(["packaging", "setuptools", "setuptools-scm", "vcs-versioning"])

OF_CLIENT = ("__init__", "client/__init__", "client/configuration", "client/exceptions", "client/rest")
"""The official client's modules that the single file holds; besides them `utils` and `config`."""


@dataclass(frozen=True)
class Requirement:
    """A line of requirements.txt: a package in one version, and the hashes of its files."""

    name: str
    version: str
    hashes: tuple[str, ...]

    def __str__(self) -> str:
        return " ".join([f"{self.name}=={self.version}", *(f"--hash=sha256:{each}" for each in self.hashes)])


def requirements() -> list[Requirement]:
    """Read requirements.txt."""
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    found = re.findall(r"^([\w.-]+)==(\S+) \\\n((?: +--hash=sha256:\w+(?: \\)?\n)+)", text, re.MULTILINE)
    return [Requirement(name, version, tuple(re.findall(r"sha256:(\w+)", hashes))) for name, version, hashes in found]


def run(*command: str, **environment: str) -> str:
    """Run a command and return what it prints; what it prints to stderr is shown where it fails."""
    env = {**os.environ, **environment}
    ran = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    if ran.returncode:
        sys.exit(f"{' '.join(command[:4])} ...: exit {ran.returncode}\n{ran.stdout[-2000:]}{ran.stderr[-2000:]}")
    return ran.stdout


def tool(name: str) -> str:
    """Return the path of a program that is installed beside this Python."""
    return str(Path(sys.executable).with_name(name))


def when() -> int:
    """Return the time of the commit, so that the same commit gives the same files."""
    return int(os.environ.get("SOURCE_DATE_EPOCH") or run("git", "log", "-1", "--format=%ct"))


def build() -> None:
    """Make wheel, sdist, single file, krew's archive, bill of materials and checksums; refuse what the checks refuse."""
    shutil.rmtree(DIST, ignore_errors=True)
    run(sys.executable, "-m", "build", "--outdir", str(DIST), SOURCE_DATE_EPOCH=str(when()))
    packages = [str(wheel()), str(sdist())]
    run(tool("twine"), "check", "--strict", *packages)
    run(tool("check-wheel-contents"), packages[0])
    with tempfile.TemporaryDirectory() as folder:
        fill(Path(folder))
        pack(Path(folder), DIST / "egressctl.pyz")
    archive(DIST / "egressctl-krew.tar.gz")
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as listed:
        listed.write("".join(f"{each}\n" for each in requirements() if each.name not in ONLY_FOR_BUILDS))
        listed.flush()
        bill = [tool("cyclonedx-py"), "requirements", "--output-reproducible", "--pyproject", "pyproject.toml", listed.name]
        (DIST / "egressctl.cdx.json").write_text(run(*bill, SOURCE_DATE_EPOCH=str(when())), encoding="utf-8")
    files = sorted(file for file in DIST.iterdir())
    (DIST / "SHA256SUMS").write_text("".join(f"{digest(file)}  {file.name}\n" for file in files), encoding="utf-8")
    print("".join(f"{file.stat().st_size / 1e6:6.2f} MB  {file.name}\n" for file in files), end="")


def wheel() -> Path:
    """Return the wheel in dist/."""
    return one("egressctl-*.whl")


def sdist() -> Path:
    """Return the sdist in dist/."""
    return one("egressctl-[0-9]*.tar.gz")


def one(pattern: str) -> Path:
    """Return the only file in dist/ of this pattern."""
    found = sorted(DIST.glob(pattern))
    if len(found) != 1:
        sys.exit(f"error: dist/ has {len(found)} files like {pattern}, and should have one: run `make release`")
    return found[0]


def version() -> str:
    """Return the version of what is in dist/."""
    return wheel().name.split("-")[1]


def digest(file: Path) -> str:
    """Return a file's SHA-256."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def fill(folder: Path) -> None:
    """Put into the folder what the single file holds: egressctl and what it loads, each by its hash, and nothing compiled."""
    needed = [each for each in requirements() if each.name not in ONLY_FOR_LOGINS | ONLY_FOR_BUILDS]
    listed = folder / "requirements.txt"
    listed.write_text("".join(f"{each}\n" for each in needed), encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-compile"]
    run(*pip, "--target", str(folder), "--only-binary", ":all:", "--require-hashes", "-r", str(listed))
    run(*pip, "--target", str(folder), "--no-index", str(wheel()))
    listed.unlink()
    shutil.rmtree(folder / "bin")
    client = folder / "kubernetes"
    for path in sorted(client.rglob("*"), reverse=True):
        module = path.relative_to(client).with_suffix("").as_posix()
        kept = module in OF_CLIENT or (module.startswith(("utils/", "config/")) and not module.endswith("_test"))
        if path.is_file() and not kept:
            path.unlink()
    # Of how it was installed nothing stays: it would name the folder of this build.
    for pattern in ("*.so", "*.pyi", "*.dist-info/direct_url.json", "*.dist-info/RECORD", "*.dist-info/REQUESTED"):
        for path in list(folder.rglob(pattern)):
            path.unlink()
    start = Path(__file__).with_name("single_file.py").read_text(encoding="utf-8")
    content = hashlib.sha256(b"".join(b"%s\0%s\0" % (name.encode(), path.read_bytes()) for name, path in members(folder)))
    (folder / "__main__.py").write_text(start.replace('DIGEST = ""', f'DIGEST = "{content.hexdigest()[:32]}"'), encoding="utf-8")


def members(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the files of a folder in one order, each with its name in an archive."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path.relative_to(folder).as_posix(), path


def pack(folder: Path, file: Path) -> None:
    """Make one program of a folder: a zip file behind a line that names Python."""
    with file.open("wb") as raw:
        raw.write(b"#!/usr/bin/env python3\n")
        with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
            for name, path in members(folder):
                member = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
                member.compress_type, member.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
                packed.writestr(member, path.read_bytes())
    file.chmod(0o755)


def archive(file: Path) -> None:
    """Pack the single file for krew, which takes archives only, under the name of a kubectl plugin, with the licence."""

    def plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = 0
        member.uname = member.gname = ""
        member.mtime = when()
        return member

    tar = file.with_suffix("")
    with tarfile.open(tar, "w") as packed:
        packed.add(DIST / "egressctl.pyz", "kubectl-egressctl", filter=plain)
        packed.add(ROOT / "LICENSE", "LICENSE", filter=plain)
    run("gzip", "--force", "--no-name", "-9", str(tar))


def print_krew_manifest(url: str) -> None:
    """Print the manifest for krew's index."""
    print(f"""\
apiVersion: krew.googlecontainertools.github.com/v1alpha2
kind: Plugin
metadata:
  name: egressctl
spec:
  version: v{version()}
  homepage: {homepage(url)}
  shortDescription: {SUMMARY}
  description: |
    Opens an egress from an Istio mesh with a ServiceEntry, sends a request
    from a pod, and proves which Envoy cluster sent it on; closes the egress
    again and proves it closed. Checks ServiceEntries in files as well.
  caveats: |
    Needs Python 3.11 or later as python3 on the PATH.
  platforms:
  - selector:
      matchExpressions:
      - {{key: os, operator: In, values: [darwin, linux]}}
    uri: {url}/egressctl-krew.tar.gz
    sha256: {digest(DIST / "egressctl-krew.tar.gz")}
    files:
    - {{from: kubectl-egressctl, to: .}}
    - {{from: LICENSE, to: .}}
    bin: kubectl-egressctl""")


def print_homebrew_formula(url: str) -> None:
    """Print the formula: each Python package as a resource, with a hash that stands in requirements.txt."""
    resources = "\n".join(
        f'  resource "{each.name}" do\n    url "{place}"\n    sha256 "{sha256}"\n  end\n' for each, place, sha256 in downloads()
    )
    print(f"""\
class Egressctl < Formula
  include Language::Python::Virtualenv

  desc "{SUMMARY}"
  homepage "{homepage(url)}"
  url "{url}/{sdist().name}"
  sha256 "{digest(sdist())}"
  license "{LICENSE}"

  depends_on "libyaml"
  depends_on "python@{PYTHON}"

{resources}
  def install
    venv = virtualenv_create(libexec, "python{PYTHON}")
    venv.pip_install resources
    # What it is built with is among the resources.
    venv.pip_install_and_link buildpath, build_isolation: false
  end

  test do
    assert_match version.to_s, shell_output("#{{bin}}/egressctl version")
  end
end""")


def homepage(url: str) -> str:
    """Return the page of the repository whose releases are at the address."""
    return url.partition("/releases/")[0]


def downloads() -> Iterator[tuple[Requirement, str, str]]:
    """Yield each package of the formula with the address and the hash of one file: a wheel for every machine, or its source.

    Where they are is for uv to find out, from the index that it is set up with.
    """
    needed = [each for each in requirements() if each.name not in ONLY_FOR_LOGINS]
    with tempfile.NamedTemporaryFile("w", suffix=".in") as listed:
        listed.write("".join(f"{each.name}=={each.version}\n" for each in needed))
        listed.flush()
        command = [tool("uv"), "pip", "compile", "--quiet", "--no-deps", "--format", "pylock.toml", listed.name]
        locked = {each["name"]: each for each in tomllib.loads(run(*command))["packages"]}
    for each in needed:
        files = [*locked[each.name].get("wheels", ()), locked[each.name]["sdist"]]
        file = next((file for file in files if file["url"].endswith("-none-any.whl")), files[-1])
        if file["hashes"]["sha256"] not in each.hashes:
            sys.exit(f"error: {file['url']} is not a file of requirements.txt: its SHA-256 is {file['hashes']['sha256']}")
        yield each, file["url"], file["hashes"]["sha256"]


def main() -> None:
    """Read the command line."""
    match sys.argv[1:]:
        case ["build"]:
            build()
        case ["krew", url] if url.startswith("https://"):
            print_krew_manifest(url.rstrip("/"))
        case ["homebrew", url] if url.startswith("https://"):
            print_homebrew_formula(url.rstrip("/"))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
