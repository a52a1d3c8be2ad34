"""Bring targets of a catalogue up to what is published now, unless something about the new list alarms."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from egressctl.catalog.families import is_family
from egressctl.catalog.fetch_all import Answers, Called, lists, published, recorded, resolved
from egressctl.catalog.file_editor import rewritten, sources_of, writes_addresses
from egressctl.catalog.list_changes import Alarm, Change, alarms, changes, unlisted
from egressctl.errors import CouldNotAsk, EgressctlError, InvalidInput
from egressctl.manifests.egress_target import load
from egressctl.manifests.published import PAGE, Source
from egressctl.manifests.yaml_reader import parse
from egressctl.model.probe import Probe
from egressctl.runtime.atomic_write import replace
from egressctl.runtime.progress import Progress


class Item(NamedTuple):
    """A file of the catalogue: what problems call it, its text, and where it may be rewritten, "" for one that is built in."""

    name: str
    source: str
    text: str
    path: str = ""


class Wishes(NamedTuple):
    """How to refresh: the day of the lists (YYYY-MM-DD), recorded lists to take instead of fetching, and what to leave."""

    day: str
    recorded: Sequence[str] = ()
    accept: bool = False
    dry_run: bool = False
    dns: bool = True


class Refreshed(NamedTuple):
    """What became of a target. `state` is unchanged, changed (not written), refreshed, stopped by alarms, failed, or unlisted."""

    name: str
    path: str
    state: str
    changes: tuple[Change, ...] = ()
    alarms: tuple[Alarm, ...] = ()
    difference: str = ""
    """The change of the file as a unified diff."""
    unresolved: tuple[str, ...] = ()
    """A sentence for each name of which it is not known whether its addresses are published."""
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
    read = [_read(each) for each in items]
    good = [each for each in read if isinstance(each, _Read) and lists(each.sources)]
    wanted = [source for each in good for source in lists(each.sources)]
    came = recorded(wanted, wishes.recorded) if wishes.recorded else published(wanted, progress)
    answers = resolved([probe for each in good for probe in each.probes or ()], progress) if wishes.dns else None
    return [_one(item, each, came, answers, wishes) for item, each in zip(items, read, strict=True)]


class _Read(NamedTuple):
    """What a file says; no probes (None) where it is a family of targets, which has hundreds."""

    sources: tuple[Source, ...]
    probes: tuple[Probe, ...] | None


def _read(item: Item) -> _Read | EgressctlError:
    try:
        sources = sources_of(item.text, item.source)
        if is_family(parse(item.text, item.source).documents[0]):
            return _Read(sources, None)
        # A file that is refreshed for the first time has no addresses yet.
        return _Read(sources, load(item.text, item.source, any_address=True)[0].probes)
    except EgressctlError as refused:
        return refused


def _heard(item: Item, read: _Read, answers: Mapping[str, Answers] | None) -> Answers:
    if answers is None:
        return Answers()
    if read.probes is None:
        return Answers(missing=(f"the names of {item.name}, a family of targets, are not resolved",))
    heard = [answers[host] for host in dict.fromkeys(urlsplit(probe.url).hostname or "" for probe in read.probes)]
    found = tuple(pair for each in heard for pair in each.found)
    return Answers(found, tuple(sentence for each in heard for sentence in each.missing))


def _one(
    item: Item,
    read: _Read | EgressctlError,
    came: Mapping[Source, Called | EgressctlError],
    answers: Mapping[str, Answers] | None,
    wishes: Wishes,
) -> Refreshed:
    if isinstance(read, EgressctlError):
        return Refreshed(item.name, item.path, "failed", failure=read)
    if not lists(read.sources):
        return Refreshed(item.name, item.path, "unlisted", failure=InvalidInput("there is no published list of its addresses"))
    heard = _heard(item, read, answers)
    now: list[Source] = []
    different: list[Change] = []
    alarming: list[Alarm] = []
    for source in read.sources:
        called = came.get(source, ())
        if isinstance(called, EgressctlError):
            return Refreshed(item.name, item.path, "failed", failure=called)
        if source.format == PAGE:
            now.append(source)
            continue
        different += changes(source.ranges, called)
        alarming += alarms(source.ranges, called)
        now.append(source._replace(ranges=called, checked=wishes.day))
    alarming += unlisted(now, heard.found)
    try:
        if different and writes_addresses(item.text, item.source):
            sentence = "the file writes its addresses out, and they stay as they are: take them out of spec.serviceEntry"
            alarming.append(Alarm("addresses-written-out", sentence))
        text = rewritten(item.text, item.source, now)
        done = Refreshed(item.name, item.path, "", tuple(different), tuple(alarming), _difference(item, text), heard.missing)
        return done._replace(state=_put(item, text, bool(alarming) and not wishes.accept, wishes.dry_run))
    except EgressctlError as failure:
        return Refreshed(item.name, item.path, "failed", tuple(different), tuple(alarming), failure=failure)


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
