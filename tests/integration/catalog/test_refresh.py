"""`egressctl catalog refresh`, on files of a user's catalogue and a provider that publishes over HTTPS."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cli import Cli
from egressctl.catalog import lookup
from egressctl.runtime import atomic_write
from forked import Forks
from publisher import Asked, Publisher, in_turn, status

FILE = """\
# Ours.
apiVersion: egressctl.dev/v1alpha1
kind: EgressTarget
metadata:
  name: {name}
spec:
  serviceEntry:
    hosts: [outside.example]
    ports:
    - {{number: 443, name: tcp-443, protocol: TCP}}
  probes:
  - url: https://{probe}/
  published:
  - url: {url}
    format: lines
    checked: 2026-08-21  # a Friday
    ranges:
      {list}: {blocks}
"""
DAY = ("--checked", "2026-11-26")


class Folder:
    """A user's catalogue in a folder, and egressctl that uses it."""

    def __init__(self, cli: Cli, publisher: Publisher) -> None:
        self.path = cli.home / "egress"
        self.path.mkdir()
        self.publisher = publisher
        self.cli = cli.having(**publisher.environment, EGRESSCTL_CATALOG=str(self.path), PYTHONWARNINGS="error")

    def target(self, name: str, url: str, *blocks: str, probe: str = "203.0.113.9", list_name: str = "list") -> Path:
        """Write the file of a target whose one list had these blocks."""
        text = FILE.format(name=name, url=url, blocks=f"[{', '.join(blocks)}]", probe=probe, list=list_name)
        path = self.path / f"{name}.yaml"
        path.write_text(text)
        return path


@pytest.fixture
def folder(publisher: Publisher, tmp_path: Path, forks: Forks | None) -> Folder:
    return Folder(Cli(None, tmp_path, forks), publisher)


def lines(*blocks: str) -> bytes:
    return "".join(f"{block}\n" for block in blocks).encode()


def test_a_file_is_brought_up_to_what_is_published_and_otherwise_stays(folder: Folder) -> None:
    path = folder.target("outside", folder.publisher.publish(lines("203.0.113.0/27", "203.0.113.64/26")), "203.0.113.0/27")
    before = path.read_text()
    ran = folder.cli("catalog", "refresh", *DAY)
    assert (ran.code, ran.stdout) == (0, "outside refreshed\n  added    list  203.0.113.64/26\n")
    expected = before.replace("2026-08-21  # a Friday", "2026-11-26  # a Friday")
    assert path.read_text() == expected.replace("[203.0.113.0/27]", "[203.0.113.0/27, 203.0.113.64/26]")
    assert lookup.get_target("outside", [str(folder.path)]).spec["addresses"] == ["203.0.113.0/27", "203.0.113.64/26"]
    assert [each.name for each in folder.path.iterdir()] == ["outside.yaml"]
    again = folder.cli("catalog", "refresh", *DAY)
    assert (again.code, again.stdout) == (0, "outside unchanged\n")
    assert "If-None-Match" not in folder.publisher.asked[0][1]


def test_a_dry_run_prints_the_change_and_writes_nothing(folder: Folder) -> None:
    path = folder.target("outside", folder.publisher.publish(lines("203.0.113.0/27", "203.0.113.64/26")), "203.0.113.0/27")
    before = path.read_text()
    ran = folder.cli("catalog", "refresh", "outside", "--dry-run", *DAY)
    assert ran.code == 0
    assert ran.stdout.startswith("outside changed\n  added    list  203.0.113.64/26\n--- a/outside.yaml\n+++ b/outside.yaml\n")
    assert "\n-      list: [203.0.113.0/27]\n+      list: [203.0.113.0/27, 203.0.113.64/26]\n" in ran.stdout
    assert path.read_text() == before


def test_a_file_without_ranges_is_filled(folder: Folder) -> None:
    path = folder.target("outside", folder.publisher.publish(lines("203.0.113.0/27")), "x")
    path.write_text(path.read_text().partition("    ranges:")[0])
    ran = folder.cli("catalog", "refresh", "outside", *DAY)
    assert (ran.code, ran.stdout.splitlines()[0]) == (0, "outside refreshed")
    assert lookup.get_target("outside", [str(folder.path)]).spec["addresses"] == ["203.0.113.0/27"]


@pytest.mark.parametrize(
    ("now", "probe", "alarm"),
    [
        (["203.0.113.0/27"], "203.0.113.9", "vanished"),
        (["203.0.113.0/28"], "203.0.113.9", "halved"),
        (["203.0.113.0/26", "0.0.0.0/1"], "203.0.113.9", "broad"),
        (["203.0.113.0/26", "10.0.0.0/24"], "203.0.113.9", "reserved"),
        (["203.0.113.0/26"], "198.51.100.9", "dns-outside"),
    ],
)
def test_an_alarm_stops_a_target_unless_it_is_accepted(now: list[str], probe: str, alarm: str, folder: Folder) -> None:
    path = folder.target("outside", folder.publisher.publish(lines(*now)), "203.0.113.0/27", "203.0.113.32/27", probe=probe)
    before = path.read_text()
    ran = folder.cli("catalog", "refresh", *DAY)
    assert ran.code == 1
    assert ran.stdout.startswith("outside stopped\n")
    assert f"\n  alarm    {alarm}: " in ran.stdout
    assert ran.hint == "check the change, then run it again for outside with --accept"
    assert path.read_text() == before
    accepted = folder.cli("catalog", "refresh", "--accept", *DAY)
    assert (accepted.code, accepted.stdout.splitlines()[0]) == (0, "outside refreshed")
    assert f"\n  alarm    {alarm}: " in accepted.stdout
    assert now[-1] in path.read_text()


def test_addresses_that_the_file_writes_out_stop_what_would_not_reach_them(folder: Folder) -> None:
    path = folder.target("outside", folder.publisher.publish(lines("203.0.113.0/27", "203.0.113.64/26")), "203.0.113.0/27")
    path.write_text(path.read_text().replace("hosts:", "addresses: [203.0.113.0/27]\n    hosts:"))
    ran = folder.cli("catalog", "refresh", *DAY)
    assert (ran.code, "alarm    addresses-written-out: " in ran.stdout) == (1, True)


def test_one_list_that_does_not_come_stops_no_other(folder: Folder) -> None:
    publisher = folder.publisher
    lost = folder.target("lost", publisher.url("/lost"), "203.0.113.0/27")
    html = folder.target("html", publisher.publish(status(200, b"<html>", Content_Type="text/html"), "/html"), "203.0.113.0/27")
    nonsense = folder.target("nonsense", publisher.publish(b"\x1b]nonsense\n", "/nonsense"), "203.0.113.0/27")
    broken = folder.target("broken", publisher.url("/x"), "203.0.113.1/27")
    good = folder.target("good", publisher.publish(lines("203.0.113.0/26"), "/good"), "203.0.113.0/27")
    before = {path: path.read_text() for path in (lost, html, nonsense, broken)}
    ran = folder.cli("catalog", "refresh", *DAY)
    assert ran.code == 3
    assert ran.stdout.splitlines()[:3] == ["broken failed", "good refreshed", "  added    good  203.0.113.0/26"]
    assert good.read_text() != FILE
    assert all(path.read_text() == text for path, text in before.items())
    errors = "\n".join(ran.told("error"))
    for sentence in (
        "203.0.113.1/27 is not written as a block",
        "/lost answered 404",
        "answered with text/html",
        "holds no list",
    ):
        assert sentence in errors
    assert "\x1b" not in ran.stdout + ran.stderr


def test_lists_are_fetched_at_the_same_time_and_each_address_once(folder: Folder) -> None:
    url = folder.publisher.publish(in_turn(status(200, lines("203.0.113.0/26")), status(500)))
    for number in range(9):
        folder.target(f"outside-{number}", url, "203.0.113.0/27")
    ran = folder.cli("catalog", "refresh", "-o", "name", *DAY)
    assert (ran.code, ran.stdout) == (0, "".join(f"outside-{number}\n" for number in range(9)))
    assert len(folder.publisher.asked) == 1


def test_an_unchanged_list_is_not_sent_again(folder: Folder) -> None:
    answer = status(200, lines("203.0.113.0/26"), ETag='"one"')
    folder.target("outside", folder.publisher.publish(in_turn(answer, status(304))), "203.0.113.0/26")
    for _ in range(2):
        assert folder.cli("catalog", "refresh", *DAY).code == 0
    assert [headers.get("If-None-Match") for _, headers in folder.publisher.asked] == [None, '"one"']


def test_what_programs_read(folder: Folder) -> None:
    url = folder.publisher.publish(lines("203.0.113.0/26", "10.0.0.0/8"))
    path = folder.target("outside", url, "203.0.113.0/27")
    folder.target("lost", folder.publisher.url("/lost"), "203.0.113.0/27")
    ran = folder.cli("catalog", "refresh", "-o", "json", "-o", "name=names", *DAY)
    assert (ran.code, ran.report["kind"], ran.report["exitCode"]) == (3, "CatalogRefresh", 3)
    lost, outside = ran.report["targets"]
    assert (lost["name"], lost["state"]) == ("lost", "failed")
    assert lost["error"]["message"].endswith("/lost answered 404: the list is not there any more")
    assert outside == {
        "name": "outside",
        "file": str(path),
        "state": "stopped",
        "changes": [
            {"kind": "added", "name": "list", "block": "10.0.0.0/8", "was": None},
            {"kind": "added", "name": "list", "block": "203.0.113.0/26", "was": None},
        ],
        "alarms": [{"code": "reserved", "message": "private or reserved: 10.0.0.0/8"}],
        "diff": outside["diff"],
        "error": None,
    }
    assert (folder.cli.home / "names").read_text() == ""


def test_a_built_in_target_is_shown_and_not_written(folder: Folder, tmp_path: Path) -> None:
    recorded = tmp_path / "list"
    recorded.write_bytes(lines(*(each.block for each in lookup.sources_of_target("cloudflare")[0].ranges), "203.0.113.0/24"))
    ran = folder.cli("catalog", "refresh", "cloudflare", "--published", str(recorded), "--no-dns", *DAY)
    assert ran.code == 0
    assert "\n+        - 203.0.113.0/24\n" in ran.stdout


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["nonsense"], 'the catalogue has no target "nonsense"'),
        (["dockerhub"], "there is no published list of its addresses"),
        (["outside", "--published", "nowhere"], "nowhere: --published: cannot be read: no such file or directory"),
        (["outside", "--published", "a", "--published", "b"], "--published: 2 given, and the target has 1 published lists"),
        (["outside", "--dry-run=server"], "--dry-run server: no such mode"),
        (["outside", "--checked", "yesterday"], "--checked yesterday: is not a date"),
        (["outside", "cloudflare", "--published", "a"], "--published needs one target, the one whose lists were saved"),
    ],
)
def test_wrong_usage_is_one_sentence(argv: list[str], said: str, folder: Folder) -> None:
    folder.target("outside", folder.publisher.url(), "203.0.113.0/27")
    ran = folder.cli("catalog", "refresh", "--no-dns", *argv)
    assert ran.code == 2
    assert said in ran.stderr


# Files


def test_a_link_stays_one_and_a_mode_stays(folder: Folder, tmp_path: Path) -> None:
    real = folder.target("outside", folder.publisher.publish(lines("203.0.113.0/26")), "203.0.113.0/27")
    place = tmp_path / "elsewhere.yaml"
    real.rename(place)
    place.chmod(0o640)
    real.symlink_to(place)
    assert folder.cli("catalog", "refresh", *DAY).code == 0
    assert real.is_symlink()
    assert (place.stat().st_mode & 0o777, "2026-11-26" in place.read_text()) == (0o640, True)


def test_a_file_that_is_edited_meanwhile_is_left_as_it_is(folder: Folder) -> None:
    def edit(asked: Asked) -> None:
        path.write_text(path.read_text() + "# edited\n")
        asked.say(200, lines("203.0.113.0/26"))

    path = folder.target("outside", folder.publisher.publish(edit), "203.0.113.0/27")
    before = path.read_text()
    ran = folder.cli("catalog", "refresh", *DAY)
    assert (ran.code, ran.error) == (3, f"{path} has been changed meanwhile, and is left as it is")
    assert path.read_text() == f"{before}# edited\n"


@contextmanager
def small_disk() -> Iterator[int]:
    """Let this process write no file of more than 4 KiB, as a full disk would; pytest itself writes before and after."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        yield 4096
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "outside.yaml"
    path.write_text("old")
    with small_disk() as size, pytest.raises(OSError, match="File too large"):
        atomic_write.replace_file(path, b"x" * (size + 1))
    assert (path.read_text(), os.listdir(tmp_path)) == ("old", ["outside.yaml"])
