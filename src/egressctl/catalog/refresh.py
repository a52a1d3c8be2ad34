"""Bring targets of a catalogue up to what is published now, unless something about the new list alarms."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from egressctl.catalog import lookup
from egressctl.catalog.families import is_family
from egressctl.catalog.fetch_all import (
    DnsAnswers,
    PublishedRanges,
    fetch_lists,
    fetchable_sources,
    read_recorded_lists,
    resolve_probe_hosts,
)
from egressctl.catalog.file_editor import SELECT_LESS, has_own_addresses, read_sources, replace_sources
from egressctl.catalog.list_changes import Alarm, ListChange, alarms, changes_between, dns_alarms
from egressctl.catalog.targets import load_targets
from egressctl.catalog.validation import MOST_ADDRESSES
from egressctl.errors import CouldNotAsk, EgressctlError, InvalidInput
from egressctl.manifests.published import PAGE, PublishedSource, addresses_of_sources
from egressctl.manifests.yaml_reader import parse_one
from egressctl.model.probe import Probe
from egressctl.runtime.atomic_write import replace_file
from egressctl.runtime.progress import Progress


class FileToRefresh(NamedTuple):
    """A file of the catalogue: what problems call it, its text, and where it may be rewritten, "" for one that is built in."""

    name: str
    source: str
    text: str
    path: str = ""


class RefreshOptions(NamedTuple):
    """How to refresh: the day of the lists (YYYY-MM-DD), recorded lists to take instead of fetching, and what to leave."""

    day: str
    recorded: Sequence[str] = ()
    accept: bool = False
    dry_run: bool = False
    dns: bool = True


class RefreshResult(NamedTuple):
    """What became of a target. `state` is unchanged, changed (not written), refreshed, stopped by alarms, failed, or unlisted."""

    name: str
    path: str
    state: str
    changes: tuple[ListChange, ...] = ()
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


def files_to_refresh(names: Sequence[str], folders: Sequence[str]) -> list[FileToRefresh]:
    """Return the files of these targets; without names those of the user's folders, else those that are built in."""
    files = {file.name: file for file in lookup.catalog_files(folders)}
    if names:
        for name in names:
            lookup.has_name(name, folders) or lookup.get_target(name, folders)  # which says what there is
        wanted = [files[name.partition("/")[0]] for name in names]
    else:
        wanted = [file for file in files.values() if file.folder or not folders]
    return [
        FileToRefresh(file.name, file.source, lookup.file_text(file), file.path if file.folder else "")
        for file in dict.fromkeys(wanted)
    ]


def refresh(items: Sequence[FileToRefresh], options: RefreshOptions, progress: Progress) -> list[RefreshResult]:
    """Refresh each target whose lists came, several lists fetched at the same time; what fails for one stops no other.

    A file is replaced as a whole or not at all. Raises InvalidInput for recorded lists that do not fit.
    """
    read = [_read_file(each) for each in items]
    good = [each for each in read if isinstance(each, _FileContents) and fetchable_sources(each.sources)]
    wanted = [source for each in good for source in fetchable_sources(each.sources)]
    came = read_recorded_lists(wanted, options.recorded) if options.recorded else fetch_lists(wanted, progress)
    answers = resolve_probe_hosts([probe for each in good for probe in each.probes or ()], progress) if options.dns else None
    return [_refresh_one(item, each, came, answers, options) for item, each in zip(items, read, strict=True)]


class _FileContents(NamedTuple):
    """What a file says; no probes (None) where it is a family of targets, which has hundreds."""

    sources: tuple[PublishedSource, ...]
    probes: tuple[Probe, ...] | None


def _read_file(item: FileToRefresh) -> _FileContents | EgressctlError:
    try:
        sources = read_sources(item.text, item.source)
        if is_family(parse_one(item.text, item.source)):
            return _FileContents(sources, None)
        # A file that is refreshed for the first time has no addresses yet.
        return _FileContents(sources, load_targets(item.text, item.source, any_address=True)[0].probes)
    except EgressctlError as refused:
        return refused


def _answers_for(item: FileToRefresh, read: _FileContents, answers: Mapping[str, DnsAnswers] | None) -> DnsAnswers:
    if answers is None:
        return DnsAnswers()
    if read.probes is None:
        return DnsAnswers(missing=(f"the names of {item.name}, a family of targets, are not resolved",))
    heard = [answers[host] for host in dict.fromkeys(urlsplit(probe.url).hostname or "" for probe in read.probes)]
    found = tuple(pair for each in heard for pair in each.found)
    return DnsAnswers(found, tuple(sentence for each in heard for sentence in each.missing))


def _refresh_one(
    item: FileToRefresh,
    read: _FileContents | EgressctlError,
    came: Mapping[PublishedSource, PublishedRanges | EgressctlError],
    answers: Mapping[str, DnsAnswers] | None,
    options: RefreshOptions,
) -> RefreshResult:
    if isinstance(read, EgressctlError):
        return RefreshResult(item.name, item.path, "failed", failure=read)
    if not fetchable_sources(read.sources):
        return RefreshResult(
            item.name, item.path, "unlisted", failure=InvalidInput("there is no published list of its addresses")
        )
    heard = _answers_for(item, read, answers)
    now: list[PublishedSource] = []
    different: list[ListChange] = []
    alarming: list[Alarm] = []
    for source in read.sources:
        called = came.get(source, ())
        if isinstance(called, EgressctlError):
            return RefreshResult(item.name, item.path, "failed", failure=called)
        if source.format == PAGE:
            now.append(source)
            continue
        different += changes_between(source.ranges, called)
        alarming += alarms(source.ranges, called)
        now.append(source._replace(ranges=called, checked=options.day))
    alarming += dns_alarms(now, heard.found)
    try:
        if different and has_own_addresses(item.text, item.source):
            sentence = "the file writes its addresses out, and they stay as they are: take them out of spec.serviceEntry"
            alarming.append(Alarm("addresses-written-out", sentence))
        text = replace_sources(item.text, item.source, now)
        if read.probes is not None and (count := len(addresses_of_sources(now))) > MOST_ADDRESSES:
            said = f"{count:,} blocks are published for it, and a target lists at most {MOST_ADDRESSES:,}"
            raise InvalidInput(said, hint=SELECT_LESS)
        done = RefreshResult(
            item.name, item.path, "", tuple(different), tuple(alarming), _unified_diff(item, text), heard.missing
        )
        return done._replace(state=_write_file(item, text, bool(alarming) and not options.accept, options.dry_run))
    except EgressctlError as failure:
        return RefreshResult(item.name, item.path, "failed", tuple(different), tuple(alarming), failure=failure)


def _write_file(item: FileToRefresh, text: str, stopped: bool, dry_run: bool) -> str:
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
        replace_file(path, text.encode())
    except OSError as error:
        raise CouldNotAsk(f"{path} could not be written, and is as it was: {(error.strerror or str(error)).lower()}") from None
    return "refreshed"


def _unified_diff(item: FileToRefresh, text: str) -> str:
    if text == item.text:
        return ""
    lines = difflib.unified_diff(
        item.text.splitlines(keepends=True), text.splitlines(keepends=True), f"a/{item.name}.yaml", f"b/{item.name}.yaml"
    )
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)
