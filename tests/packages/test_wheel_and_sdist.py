"""The wheel and the sdist: what they hold, what the checkers say, which version they have."""

from __future__ import annotations

import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path

from packages.conftest import ROOT, TOOLS, VERSION, Release, ok, unpack


def names(wheel: Path) -> set[str]:
    return set(zipfile.ZipFile(wheel).namelist())


def test_both_pass_the_checks_of_the_index_and_the_readme_is_rendered(release: Release) -> None:
    said = ok(TOOLS / "twine", "--no-color", "check", "--strict", release.wheel, release.sdist)
    assert said.count("PASSED") == 2
    assert ok(TOOLS / "check-wheel-contents", release.wheel).endswith(".whl: OK\n")


def test_the_version_is_the_tags(release: Release) -> None:
    assert zipfile.ZipFile(release.wheel).read("egressctl/version.txt").decode().strip() == VERSION


def test_an_archive_of_git_has_it_too_where_the_repository_is_not(release: Release, tmp_path: Path) -> None:
    """So are actions delivered to a runner, and sources to who clicks on `Download`."""
    ok("git", "archive", "--output", tmp_path / "archive.tar", "HEAD", cwd=release.checkout)
    with tarfile.open(tmp_path / "archive.tar") as tar:
        unpack(tar, tmp_path / "source")
    ok(TOOLS / "python", "-m", "build", "--no-isolation", "--wheel", "--outdir", tmp_path, tmp_path / "source")
    assert [file.name for file in tmp_path.glob("*.whl")] == [release.wheel.name]


def test_the_wheel_holds_every_file_of_the_source_and_nothing_else(release: Release) -> None:
    source = {
        path.relative_to(ROOT / "src").as_posix()
        for path in (ROOT / "src" / "egressctl").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert {name for name in names(release.wheel) if ".dist-info/" not in name} == source | {"egressctl/version.txt"}


def test_the_metadata_says_what_an_index_shows(release: Release) -> None:
    archive = zipfile.ZipFile(release.wheel)
    told = Parser().parsestr(archive.read(f"egressctl-{VERSION}.dist-info/METADATA").decode())
    assert (told["Name"], told["Version"], told["License-Expression"]) == ("egressctl", VERSION, "Apache-2.0")
    assert told["Description-Content-Type"] == "text/markdown"
    of_lab = [text for text in told.get_all("Requires-Dist", []) if 'extra == "lab"' in text]
    assert of_lab
    assert all('sys_platform == "linux"' in text for text in of_lab), "macOS must install the rest"


def test_the_sdist_holds_what_its_tests_need(release: Release) -> None:
    with tarfile.open(release.sdist) as tar:
        held = {name.partition("/")[2] for name in tar.getnames()}
    assert {"LICENSE", "Makefile", "requirements.txt", "tests/conftest.py", "src/egressctl/version.txt"} <= held


def test_everything_has_a_checksum_and_the_bill_of_materials_names_what_is_installed(release: Release) -> None:
    assert "FAILED" not in ok("sha256sum", "--check", "--strict", "SHA256SUMS", cwd=release.dist)
    listed = {line.split()[1] for line in (release.dist / "SHA256SUMS").read_text().splitlines()}
    assert listed == {file.name for file in release.dist.iterdir()} - {"SHA256SUMS"}
    bill = (release.dist / "egressctl.cdx.json").read_text()
    assert '"kubernetes"' in bill
    assert '"setuptools"' not in bill
