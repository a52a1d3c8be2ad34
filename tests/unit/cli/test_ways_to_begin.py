"""`egressctl` alone names four ways to begin."""

from __future__ import annotations

import shlex
from pathlib import Path
from time import monotonic, sleep

import pytest

from egressctl.cli import main, ways_to_begin
from egressctl.cli.registry import COMMANDS
from egressctl.cli.ways_to_begin import Beginning, Found, _found_in_mesh


@pytest.fixture(autouse=True)
def _no_kubeconfig(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("beginning", Beginning)
def test_there_are_four_ways_in_at_most_thirty_lines(beginning: Beginning, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ways_to_begin, "look_around", lambda: Found(beginning, "It is so.", " -n shop"))
    text = ways_to_begin.ways_to_begin()
    ways = [line.split() for line in text.splitlines() if line.startswith("  egressctl ")]
    assert len(ways) == 4
    assert len(text.splitlines()) <= 30
    assert all(len(line) <= 100 for line in text.splitlines())
    commands = {name for name, _, _ in COMMANDS}
    assert all(commands & set(way) for way in ways)


def test_without_a_kubeconfig_they_need_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run([]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert "There is no kubeconfig, neither in KUBECONFIG nor in ~/.kube/config. Four ways to begin:" in said.out
    assert "  egressctl demo " in said.out


def test_a_broken_kubeconfig_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "broken").write_text("a: [\n\x1b")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "broken"))
    assert main.run([]) == 0
    said = capsys.readouterr()
    assert "Four ways to begin:" in said.out
    assert "broken" in said.out
    assert "\x1b" not in said.out


def test_an_api_server_that_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ways_to_begin, "SECONDS", 0.2)
    monkeypatch.setattr(ways_to_begin, "_look_at_mesh", lambda: sleep(5))
    began = monotonic()
    found = ways_to_begin.look_around()
    assert monotonic() - began < 3
    assert found == Found(Beginning.NO_ANSWER, "The API server has not answered within 0.2 seconds.")


@pytest.mark.parametrize(
    ("namespaces", "sentence", "where"),
    [
        (["default"], "has 1 ServiceEntry that egressctl made, in namespace default.", ""),
        (["default", "default"], "has 2 ServiceEntries that egressctl made, in namespace default.", ""),
        (["shop"], "has 1 ServiceEntry that egressctl made, in namespace shop.", " -n shop"),
        (["shop", "web"], "has 2 ServiceEntries that egressctl made, in 2 namespaces.", " -n shop"),
        (["shop", "default"], "has 2 ServiceEntries that egressctl made, in 2 namespaces.", ""),
    ],
)
def test_the_lines_lead_to_where_the_entries_are(namespaces: list[str], sentence: str, where: str) -> None:
    found = _found_in_mesh("context kind-kind", "default", namespaces)
    assert found == Found(Beginning.ENTRIES, f"The mesh of context kind-kind {sentence}", where)


def test_without_entries_of_ours_it_says_so() -> None:
    found = _found_in_mesh("context kind-kind", "default", [])
    assert found == Found(Beginning.NO_ENTRIES, "The mesh of context kind-kind has no ServiceEntry that egressctl made.")


def test_the_lines_can_be_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ways_to_begin, "look_around", lambda: Found(Beginning.ENTRIES, "It is so.", " -n shop"))
    text = ways_to_begin.ways_to_begin()
    assert "  egressctl list -A " in text
    assert "  egressctl verify -n shop " in text
    assert "  egressctl cleanup TARGET -n shop " in text
    assert shlex.split(text)
