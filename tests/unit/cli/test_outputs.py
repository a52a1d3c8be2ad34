"""Outputs that go to files: what is refused before anything is done, and that nothing is ever half-written."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from egressctl.cli.outputs import refuse_unwritable, write_output, write_outputs
from egressctl.errors import InvalidInput


def refusal(*files: tuple[str, Path | str]) -> str:
    with pytest.raises(InvalidInput) as refused:
        refuse_unwritable([(form, str(path)) for form, path in files])
    assert refused.value.hint
    return str(refused.value)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ci" / "report.xml"
    assert refusal(("junit", path)) == f"--output junit={path}: there is no folder {tmp_path / 'ci'}"
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    assert refusal(("json", tmp_path)).endswith(": is a folder")


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "not a directory" in refusal(("json", tmp_path / "file" / "report.json"))


def test_a_name_that_no_file_can_have_is_refused(tmp_path: Path) -> None:
    assert "file name too long" in refusal(("json", tmp_path / ("x" * 300)))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_what_may_not_be_written_to_is_refused(tmp_path: Path) -> None:
    (tmp_path / "r.json").touch(0o444)
    assert refusal(("json", tmp_path / "r.json")).endswith("may not be written to")
    tmp_path.chmod(0o555)
    assert refusal(("json", tmp_path / "new.json")).endswith(f"no file can be made in {tmp_path}")


def test_two_outputs_do_not_share_a_file(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "r")
    assert "--output json and junit both go to" in refusal(("json", tmp_path / "r"), ("junit", tmp_path / "link"))
    refuse_unwritable([("json", "/dev/null"), ("junit", "/dev/null")])


def test_what_can_be_written_is_not_touched_yet(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("old")
    refuse_unwritable([("json", str(tmp_path / "old")), ("junit", str(tmp_path / "new"))])
    assert {each.name: each.read_text() for each in tmp_path.iterdir()} == {"old": "old"}


def test_a_new_file_has_the_mode_of_any_new_file(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_output(str(tmp_path / "r.json"), "{}\n")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "r.json").stat().st_mode) == 0o640


def test_a_file_is_replaced_whole_and_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    path.write_text("a longer text than the new one")
    path.chmod(0o600)
    with path.open() as reader:
        write_output(str(path), "{}\n")
        assert reader.read() == "a longer text than the new one"  # who had it open keeps the old one
    assert path.read_text() == "{}\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["r.json"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "r.json")
    write_output(str(tmp_path / "link"), "{}\n")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "r.json").read_text() == "{}\n"


def test_what_is_told_of_a_broken_name_can_be_written(tmp_path: Path) -> None:
    write_output(str(tmp_path / "r"), "half \ud800 ✔")
    assert (tmp_path / "r").read_text(encoding="utf-8") == "half \\ud800 ✔"


def test_one_that_fails_stops_no_other(tmp_path: Path) -> None:
    files = [("json", "/dev/full"), ("tap", str(tmp_path / "gone" / "r")), ("junit", str(tmp_path / "r.xml"))]
    unwritten = write_outputs(files, lambda form: f"{form}\n")
    assert {path: error.errno for path, error in unwritten.items()} == {"/dev/full": errno.ENOSPC, files[1][1]: errno.ENOENT}
    assert [each.name for each in tmp_path.iterdir()] == ["r.xml"]
    assert (tmp_path / "r.xml").read_text() == "junit\n"


def test_what_fails_on_the_way_leaves_the_old_file_and_no_draft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "r.json"
    path.write_text("old")

    def interrupted(source: str, target: str) -> None:
        assert Path(source).read_text() == "new"
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_output(str(path), "new")
    assert {each.name: each.read_text() for each in tmp_path.iterdir()} == {"r.json": "old"}


def test_a_pipe_that_nobody_reads_is_an_error_and_no_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="No such device or address"):
        write_output(str(tmp_path / "pipe"), "x")
