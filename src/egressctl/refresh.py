"""Bring targets of a catalogue up to what is published now, unless something about the new list alarms."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from egressctl.catalog.published import PAGE, Source
from egressctl.catalog.rewriting import rewritten, sources_of, writes_addresses
from egressctl.catalog.upkeep import Alarm, Change, alarms, changes, unlisted
from egressctl.errors import CouldNotAsk, EgressctlError
from egressctl.files import replace
from egressctl.model import Probe
from egressctl.progress import Progress
from egressctl.publications import Answers, Called, lists, published, recorded, resolved


class Item(NamedTuple):
    """A target's file: its text, and where it may be rewritten, "" for one that is built in."""

    name: str
    text: str
    path: str = ""
    probes: tuple[Probe, ...] = ()

    @property
    def source(self) -> str:
        """What problems and differences call the file."""
        return self.path or f"catalogue: {self.name}"


class Wishes(NamedTuple):
    """How to refresh: the day of the lists (YYYY-MM-DD), recorded lists to take instead of fetching, and what to leave."""

    day: str
    recorded: Sequence[str] = ()
    accept: bool = False
    dry_run: bool = False
    dns: bool = True


class Refreshed(NamedTuple):
    """What became of a target. `state` is unchanged, changed (not written), refreshed, stopped by alarms, or failed."""

    name: str
    path: str
    state: str
    changes: tuple[Change, ...] = ()
    alarms: tuple[Alarm, ...] = ()
    difference: str = ""
    """The change of the file as a unified diff."""
    unresolved: tuple[str, ...] = ()
    failure: EgressctlError | None = None

    @property
    def exit_code(self) -> int:
        if self.failure:
            return self.failure.exit_code
        return 1 if self.state == "stopped" else 0


def refresh(items: Sequence[Item], wishes: Wishes, progress: Progress) -> list[Refreshed]:
    """Refresh each target whose lists came, several lists fetched at the same time; what fails for one stops no other.

    A file is replaced as a whole or not at all. Raises InvalidInput for recorded lists that do not fit.
    """
    sources: dict[str, tuple[Source, ...] | EgressctlError] = {each.name: _sources(each) for each in items}
    wanted = [source for found in sources.values() if not isinstance(found, EgressctlError) for source in lists(found)]
    came = recorded(wanted, wishes.recorded) if wishes.recorded else published(wanted, progress)
    probes = [probe for item in items for probe in item.probes] if wishes.dns else []
    answers = resolved(probes, progress)
    return [_one(item, sources[item.name], came, answers, wishes) for item in items]


def _sources(item: Item) -> tuple[Source, ...] | EgressctlError:
    try:
        return sources_of(item.text, item.source)
    except EgressctlError as refused:
        return refused


def _one(
    item: Item,
    before: tuple[Source, ...] | EgressctlError,
    came: Mapping[Source, Called | EgressctlError],
    answers: Mapping[str, Answers],
    wishes: Wishes,
) -> Refreshed:
    if isinstance(before, EgressctlError):
        return Refreshed(item.name, item.path, "failed", failure=before)
    now: list[Source] = []
    different: list[Change] = []
    alarming: list[Alarm] = []
    for source in before:
        called = came.get(source, ())
        if isinstance(called, EgressctlError):
            return Refreshed(item.name, item.path, "failed", failure=called)
        if source.format == PAGE:
            now.append(source)
            continue
        different += changes(source.ranges, called)
        alarming += alarms(source.ranges, called)
        now.append(source._replace(ranges=called, checked=wishes.day))
    heard = [answers[host] for host in dict.fromkeys(_hosts(item)) if host in answers]
    if any(each.ranges for each in now):
        alarming += unlisted(now, [pair for each in heard for pair in each.found])
    unresolved = tuple(sentence for each in heard for sentence in each.missing)
    try:
        if different and writes_addresses(item.text, item.source):
            sentence = "the file writes its addresses out, and they stay as they are: take them out of spec.serviceEntry"
            alarming.append(Alarm("addresses-written-out", sentence))
        text = rewritten(item.text, item.source, now)
        done = Refreshed(item.name, item.path, "", tuple(different), tuple(alarming), _difference(item, text), unresolved)
        return done._replace(state=_put(item, text, bool(alarming) and not wishes.accept, wishes.dry_run))
    except EgressctlError as failure:
        return Refreshed(item.name, item.path, "failed", tuple(different), tuple(alarming), failure=failure)


def _hosts(item: Item) -> list[str]:
    from urllib.parse import urlsplit

    return [urlsplit(probe.url).hostname or "" for probe in item.probes]


def _put(item: Item, text: str, stopped: bool, dry_run: bool) -> str:
    """Write the file where it is to be written; return the state that this leaves the target in."""
    if stopped:
        return "stopped"
    if text == item.text:
        return "unchanged"
    if not item.path or dry_run:
        return "changed"
    path = Path(item.path)
    try:
        if path.read_bytes().removeprefix(b"\xef\xbb\xbf") != item.text.encode():
            raise CouldNotAsk(f"{path} has been changed meanwhile, and is left as it is", hint="refresh it again")
        replace(path, text.encode())
    except OSError as error:
        raise CouldNotAsk(f"{path} could not be written, and is as it was: {(error.strerror or str(error)).lower()}") from None
    return "refreshed"


def _difference(item: Item, text: str) -> str:
    if text == item.text:
        return ""
    lines = difflib.unified_diff(
        item.text.splitlines(keepends=True), text.splitlines(keepends=True), f"a/{item.name}.yaml", f"b/{item.name}.yaml"
    )
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)
