"""Files of targets as text, and URLs as probes."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from egressctl.errors import InvalidInput
from egressctl.manifests import egress_target
from egressctl.model.probe import Expectation, Probe


class TestReadFile:
    def refused(self, path: object) -> str:
        with pytest.raises(InvalidInput) as caught:
            egress_target.read_target_file(str(path))
        return str(caught.value)

    def test_a_file_is_read(self, tmp_path: Path) -> None:
        path = tmp_path / "t.yaml"
        path.write_bytes(b"\xef\xbb\xbf# \xc3\xa4\n")
        assert egress_target.read_target_file(str(path)) == "# ä\n"

    def test_a_dash_is_stdin(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a: b\n")))
        assert egress_target.read_target_file("-") == "a: b\n"

    def test_what_comes_by_stdin_is_called_so(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xff")))
        assert self.refused("-").startswith("stdin: is not text in UTF-8")

    def test_a_directory_is_refused(self, tmp_path: Path) -> None:
        assert self.refused(tmp_path) == f"{tmp_path}: is a directory (name a file in it)"

    def test_a_missing_file_is_refused(self, tmp_path: Path) -> None:
        assert self.refused(tmp_path / "x") == f"{tmp_path / 'x'}: is no file (check the path)"
        assert self.refused("https://a.example/t.yaml") == "https://a.example/t.yaml: is no file (fetch it first, and give -f -)"

    def test_a_path_through_a_file_cannot_be_read(self, tmp_path: Path) -> None:
        (tmp_path / "t").write_text("")
        assert self.refused(tmp_path / "t" / "u") == f"{tmp_path / 't' / 'u'}: cannot be read: not a directory"

    def test_a_path_that_no_file_can_have_is_refused(self) -> None:
        assert "cannot be read" in self.refused("a\0b")

    def test_ten_megabytes_are_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "big.yaml"
        path.write_bytes(b"# a line of a comment\n" * 500_000)
        assert self.refused(path) == f"{path}: is larger than 1 MiB (a target file is a few kilobytes)"

    @pytest.mark.parametrize("data", [b"\xff\xfea\x00", b"\x89PNG\r\n\x1a\n\x00", b"a: \x00", b"a: \xe4"])
    def test_what_is_no_text_is_refused(self, tmp_path: Path, data: bytes) -> None:
        path = tmp_path / "t.yaml"
        path.write_bytes(data)
        assert self.refused(path) == f"{path}: is not text in UTF-8 (a target file is YAML)"


class TestProbeFromUrl:
    def test_it_expects_200_and_is_named_after_its_host(self) -> None:
        assert egress_target.probe_from_url("https://www.a.example/x") == Probe(
            "www-a-example", "https://www.a.example/x", Expectation()
        )
        assert egress_target.probe_from_url("https://a.example", name="n").name == "n"

    def test_what_is_ruled_out_names_the_flag(self) -> None:
        with pytest.raises(InvalidInput, match=r"^--probe: .*--allow-internal"):
            egress_target.probe_from_url("http://127.0.0.1")
        assert egress_target.probe_from_url("http://127.0.0.1", allow_internal=True).host == "127.0.0.1"
