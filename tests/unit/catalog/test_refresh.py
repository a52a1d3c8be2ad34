"""What a target's file is refreshed to; what is fetched and written is tested in tests/integration/catalog."""

from __future__ import annotations

from pathlib import Path

import pytest

from egressctl.catalog import refresh, targets
from egressctl.catalog.refresh import FileToRefresh, RefreshOptions, RefreshResult
from egressctl.manifests import yaml_reader
from egressctl.runtime.progress import SilentProgress

FILE = """\
apiVersion: egressctl.dev/v1alpha1
kind: EgressTarget
metadata: {name: outside}
spec:
  serviceEntry:
    hosts: [outside.example]
    ports: [{number: 443, name: tcp-443, protocol: TCP}]
  published:
  - url: https://outside.example/list
    format: lines
    checked: 2026-08-21
"""


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousandth of the limits: of as many blocks as there may be, a list takes seconds to read."""
    monkeypatch.setattr(refresh, "MOST_ADDRESSES", 20)
    monkeypatch.setattr(targets, "MOST_ADDRESSES", 20)
    monkeypatch.setattr(yaml_reader, "MAX_NODES", 100)


def refreshed_to(blocks: int, folder: Path) -> RefreshResult:
    """Refresh a target from a recorded list of so many blocks that do not touch one another."""
    published, file = folder / "list", folder / "outside.yaml"
    published.write_text("".join(f"{11 + (n >> 15)}.{n >> 7 & 255}.{2 * n & 255}.0/24\n" for n in range(blocks)))
    file.write_text(FILE)
    options = RefreshOptions("2026-11-26", (str(published),), accept=True, dns=False)
    [result] = refresh.refresh([FileToRefresh("outside", str(file), FILE, str(file))], options, SilentProgress())
    return result


def test_a_list_of_as_many_blocks_as_a_target_may_have_makes_a_file_that_is_read(tmp_path: Path, limits: None) -> None:
    assert refreshed_to(20, tmp_path).state == "refreshed"
    [target] = targets.load_targets((tmp_path / "outside.yaml").read_text(), "outside.yaml")
    assert len(target.spec["addresses"]) == 20


@pytest.mark.parametrize(
    ("blocks", "told"),
    [
        (21, "21 blocks are published for it, and a target lists at most 20"),
        (200, "what is published now does not fit into the file: the document grows too large (at most 100 values"),
    ],
)
def test_one_of_more_is_refused_with_the_limit_and_the_file_stays(blocks: int, told: str, tmp_path: Path, limits: None) -> None:
    result = refreshed_to(blocks, tmp_path)
    assert (result.state, result.exit_code) == ("failed", 2)
    assert told in str(result.failure)
    assert result.failure is not None
    assert result.failure.hint == "select a part of the list, or make several targets of it"
    assert (tmp_path / "outside.yaml").read_text() == FILE
