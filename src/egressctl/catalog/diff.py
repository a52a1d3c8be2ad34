"""Hold targets of the catalogue, their ServiceEntries, what is published and what names resolve to against each other."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

from egressctl.catalog.diff_rows import DIFFERENT, Row, Sides, rows
from egressctl.catalog.fetch_all import PublishedRanges, fetch_lists, fetchable_sources, read_recorded_lists, resolve_probe_hosts
from egressctl.errors import EgressctlError, InvalidInput
from egressctl.manifests.egress_target import read_target_file
from egressctl.manifests.published import PublishedSource
from egressctl.manifests.service_entry import LABEL_TARGET, read_entry
from egressctl.manifests.yaml_reader import parse_yaml
from egressctl.model.entry import KIND, SUFFIX, Manifest, ServiceEntry
from egressctl.model.json_values import text_at
from egressctl.model.probe import Target
from egressctl.runtime.progress import Progress

_OWN_NAME = re.compile(rf"(?P<target>.+){SUFFIX}(?:(?:-[0-9]+){{0,5}}|-v6(?:-[0-9a-f]{{1,16}})?-[0-9]+)")
"""What egressctl calls the entry of a target, or one of its entries where it needs several."""


class TargetWithEntries(NamedTuple):
    """A target of the catalogue, and the entries that are compared with it: None where none were asked for.

    `unasked` has a sentence for what was to be asked and could not be; `where` says of which namespace or file the entries are.
    """

    target: Target
    sources: tuple[PublishedSource, ...]
    entries: tuple[ServiceEntry, ...] | None = None
    where: str = ""
    unasked: tuple[str, ...] = ()


class DiffOptions(NamedTuple):
    """What to ask besides the catalogue: recorded lists instead of what is published, or nothing of it; DNS or not."""

    recorded: Sequence[str] = ()
    fetch: bool = True
    dns: bool = True


class Drift(NamedTuple):
    """What the sides of one target say: `asked` names those that answered, `unasked` says why others did not."""

    subject: TargetWithEntries
    rows: tuple[Row, ...]
    asked: tuple[str, ...]
    unasked: tuple[str, ...] = ()

    @property
    def different(self) -> int:
        """How many rows are a difference."""
        return sum(row.state in DIFFERENT for row in self.rows)

    @property
    def exit_code(self) -> int:
        """1 for a difference, whichever side did not answer; 3 where there is none, and a side did not answer or is alone."""
        if self.different:
            return 1
        return 3 if self.unasked or len(self.asked) < 2 else 0


def find_drift(subjects: Sequence[TargetWithEntries], options: DiffOptions, progress: Progress) -> list[Drift]:
    """Lay the sides of each target side by side. Raises InvalidInput for recorded lists that do not fit."""
    wanted = [source for each in subjects for source in fetchable_sources(each.sources)]
    came: Mapping[PublishedSource, PublishedRanges | EgressctlError] = {}
    if options.recorded:
        came = read_recorded_lists(list(dict.fromkeys(wanted)), options.recorded)
    elif options.fetch:
        came = fetch_lists(wanted, progress)
    probes = [probe for each in subjects for probe in each.target.probes if each.target.spec.get("addresses")]
    answers = resolve_probe_hosts(probes, progress) if options.dns else {}
    found = []
    for each in subjects:
        called, failures = _published_blocks(each.sources, came)
        hosts = dict.fromkeys(urlsplit(probe.url).hostname or "" for probe in each.target.probes)
        heard = [answers[host] for host in hosts if host in answers]
        pairs = [pair for answer in heard for pair in answer.found]
        missing = [sentence for answer in heard for sentence in answer.missing]
        sides = Sides(each.target, each.sources, each.entries, called, pairs or None)
        told = (("catalogue", True), ("entry", each.entries), ("published", called), ("dns", pairs))
        asked = tuple(name for name, side in told if side is not None and side != [])
        found.append(Drift(each, tuple(rows(sides)), asked, (*each.unasked, *failures, *missing)))
    return found


def _published_blocks(
    sources: Iterable[PublishedSource], came: Mapping[PublishedSource, PublishedRanges | EgressctlError]
) -> tuple[PublishedRanges | None, list[str]]:
    """Return what all lists of a target say is called, None where one of them did not come, and why."""
    answers = [came[source] for source in fetchable_sources(sources) if source in came]
    failures = [str(each) for each in answers if isinstance(each, EgressctlError)]
    if failures or not answers:
        return None, failures
    return tuple(block for each in answers if not isinstance(each, EgressctlError) for block in each), []


# Whose entries they are


def manifests_of_target(target: Target, manifests: Iterable[Manifest]) -> list[Manifest]:
    """Return the ServiceEntries of a target: by egressctl's label or their name, else those that have the very same hosts."""
    manifests = list(manifests)
    named = [each for each in manifests if target.name in target_names_of(each)]
    hosts = {str(host).lower() for host in target.spec.get("hosts") or ()}
    return named or [each for each in manifests if hosts and {host.lower() for host in read_entry(each).hosts} == hosts]


def target_names_of(manifest: Manifest) -> set[str]:
    """Return the targets that a ServiceEntry says it is of, by egressctl's label or its name: NAME-ext, NAME-ext-52-64-10."""
    by_name = _OWN_NAME.fullmatch(read_entry(manifest).name)
    return {name for name in (text_at(manifest, "metadata", "labels", LABEL_TARGET), by_name and by_name["target"]) if name}


def targets_in_namespaces(
    manifests: Iterable[Manifest], targets: Iterable[tuple[Target, tuple[PublishedSource, ...]]]
) -> list[TargetWithEntries]:
    """Return each target once a namespace that has entries of it, with these."""
    by_namespace: dict[str, list[Manifest]] = {}
    for each in manifests:
        by_namespace.setdefault(read_entry(each).namespace, []).append(each)
    return [
        TargetWithEntries(target, sources, tuple(map(read_entry, own)), where)
        for target, sources in targets
        for where, there in sorted(by_namespace.items())
        if (own := manifests_of_target(target, there))
    ]


def targets_in_files(
    manifests: Sequence[Manifest], targets: Sequence[tuple[Target, tuple[PublishedSource, ...]]], files: str, *, named: bool
) -> list[TargetWithEntries]:
    """Return each target with those of the files' entries that are its own.

    With `named`, a sole entry is taken for a sole target's whatever it is called, and a target without any is refused
    with InvalidInput.
    """
    found = []
    for target, sources in targets:
        own = manifests_of_target(target, manifests)
        if named and not own and len(targets) == len(manifests) == 1:
            own = list(manifests)
        if own:
            found.append(TargetWithEntries(target, sources, tuple(map(read_entry, own)), files))
        elif named:
            there = ", ".join(sorted({read_entry(each).name for each in manifests})) or "none"
            hint = f"an entry of {target.name} is called {target.entry_name}, or has the target's hosts"
            raise InvalidInput(f"{files}: holds no ServiceEntry of {target.name}: there is {there}", hint=hint)
    return found


def read_manifests(file: str) -> list[Manifest]:
    """Return the ServiceEntries of a file, - for standard input; other kinds are passed over. Raises InvalidInput."""
    parsed = parse_yaml(read_target_file(file), "standard input" if file == "-" else file)
    if parsed.problems:
        raise InvalidInput(problems=parsed.problems)
    return [document.value for document in parsed.documents if document.value.get("kind") == KIND]
