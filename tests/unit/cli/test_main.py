"""What cannot be read of a command line, and what a machine does not give, as the last resort of all commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from egressctl.cli import main


@pytest.mark.parametrize(
    "words", [["list", "--as", "\udcff"], ["verify", "\udcffa"], ["list", "--token=\udcff"], ["__complete", "\udcff"]]
)
def test_a_word_that_is_no_text_is_refused_and_not_quoted(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(words) == 2
    told = f"error: word {len(words)} of the command line is not text in UTF-8, and no file has that name\n"
    assert capsys.readouterr().err.startswith(told)


def test_a_file_may_have_any_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "\udcff.yaml"
    file.write_text("{}")
    for words in (["lint", str(file)], ["lint", f"--filename={file}"]):
        main.run(words)
        assert "is not text in UTF-8" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (FileNotFoundError(2, "No such file or directory", "a"), "error: no such file or directory: a\n"),
        (OSError("odd"), "error: odd\n"),
        (MemoryError(), "error: there is not enough memory\n"),
    ],
)
def test_what_the_machine_does_not_give_is_no_bug(
    error: Exception, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> int:
        raise error

    monkeypatch.setattr(main, "_dispatch", fail)
    assert main.run(["version"]) == 3
    assert capsys.readouterr().err == told


def test_what_is_a_bug_is_told_as_one(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(*_: object) -> int:
        raise KeyError("x")

    monkeypatch.setattr(main, "_dispatch", fail)
    assert main.run(["version"]) == 70
    assert "error: a bug in egressctl: KeyError: 'x'" in capsys.readouterr().err
