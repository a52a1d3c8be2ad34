"""Hold targets of the catalogue, their ServiceEntries, what is published and what names resolve to against each other."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

from egressctl.catalog.diff_rows import DIFFERENT, Row, Sides, rows
from egressctl.catalog.fetch_all import Called, lists, published, recorded, resolved
from egressctl.errors import EgressctlError, InvalidInput
from egressctl.manifests.egress_target import read_file
from egressctl.manifests.published import Source
from egressctl.manifests.service_entry import KIND, LABEL_TARGET, read
from egressctl.manifests.yaml_reader import parse
from egressctl.model.entry import SUFFIX, Manifest, ServiceEntry
from egressctl.model.probe import Target
from egressctl.runtime.progress import Progress

_OWN_NAME = re.compile(rf"(?P<target>.+){SUFFIX}(?:-[0-9]+){{0,5}}")
"""What egressctl calls the entry of a target, or one of its entries where it needs several."""


class Subject(NamedTuple):
    """A target of the catalogue, and the entries that are held against it: None where none were asked for.

    `unasked` has a sentence for what was to be asked and could not be; `where` says of which namespace or file the entries are.
    """

    target: Target
    sources: tuple[Source, ...]
    entries: tuple[ServiceEntry, ...] | None = None
    where: str = ""
    unasked: tuple[str, ...] = ()


class Wishes(NamedTuple):
    """What to ask besides the catalogue: recorded lists instead of what is published, or nothing of it; DNS or not."""

    recorded: Sequence[str] = ()
    fetch: bool = True
    dns: bool = True


class Drift(NamedTuple):
    """What the sides of one target say: `asked` names those that answered, `unasked` says why others did not."""

    subject: Subject
    rows: tuple[Row, ...]
    asked: tuple[str, ...]
    unasked: tuple[str, ...] = ()

    @property
    def different(self) -> int:
        """How many rows are a difference."""
        return sum(row.state in DIFFERENT for row in self.rows)

    @property
    def exit_code(self) -> int:
        """1 for a difference, whoever did not answer; 3 where there is none, and a side did not answer or is alone."""
        if self.different:
            return 1
        return 3 if self.unasked or len(self.asked) < 2 else 0


def drift(subjects: Sequence[Subject], wishes: Wishes, progress: Progress) -> list[Drift]:
    """Lay the sides of each target side by side. Raises InvalidInput for recorded lists that do not fit."""
    wanted = [source for each in subjects for source in lists(each.sources)]
    came: Mapping[Source, Called | EgressctlError] = {}
    if wishes.recorded:
        came = recorded(list(dict.fromkeys(wanted)), wishes.recorded)
    elif wishes.fetch:
        came = published(wanted, progress)
    probes = [probe for each in subjects for probe in each.target.probes if each.target.spec.get("addresses")]
    answers = resolved(probes, progress) if wishes.dns else {}
    found = []
    for each in subjects:
        called, failures = _called(each.sources, came)
        hosts = dict.fromkeys(urlsplit(probe.url).hostname or "" for probe in each.target.probes)
        heard = [answers[host] for host in hosts if host in answers]
        pairs = [pair for answer in heard for pair in answer.found]
        missing = [sentence for answer in heard for sentence in answer.missing]
        sides = Sides(each.target, each.sources, each.entries, called, pairs or None)
        told = (("catalogue", True), ("entry", each.entries), ("published", called), ("dns", pairs))
        asked = tuple(name for name, side in told if side is not None and side != [])
        found.append(Drift(each, tuple(rows(sides)), asked, (*each.unasked, *failures, *missing)))
    return found


def _called(sources: Iterable[Source], came: Mapping[Source, Called | EgressctlError]) -> tuple[Called | None, list[str]]:
    """Return what all lists of a target say is called, None where one of them did not come, and why."""
    answers = [came[source] for source in lists(sources) if source in came]
    failures = [str(each) for each in answers if isinstance(each, EgressctlError)]
    if failures or not answers:
        return None, failures
    return tuple(block for each in answers if not isinstance(each, EgressctlError) for block in each), []


# Whose entries they are


def of_target(target: Target, manifests: Iterable[Manifest]) -> list[Manifest]:
    """Return the ServiceEntries of a target: by egressctl's label or their name, else those that have the very same hosts."""
    manifests = list(manifests)
    named = [each for each in manifests if target.name in targets_named(each)]
    hosts = {str(host).lower() for host in target.spec.get("hosts") or ()}
    return named or [each for each in manifests if hosts and {host.lower() for host in read(each).hosts} == hosts]


def targets_named(manifest: Manifest) -> set[str]:
    """Return the targets that a ServiceEntry says it is of, by egressctl's label or its name: NAME-ext, NAME-ext-52-64-10."""
    metadata = manifest.get("metadata")
    labels = metadata.get("labels") if isinstance(metadata, Mapping) else None
    label = labels.get(LABEL_TARGET) if isinstance(labels, Mapping) else None
    by_name = _OWN_NAME.fullmatch(read(manifest).name)
    return {name for name in (label, by_name and by_name["target"]) if isinstance(name, str) and name}


def in_namespaces(manifests: Iterable[Manifest], targets: Iterable[tuple[Target, tuple[Source, ...]]]) -> list[Subject]:
    """Return each target once a namespace that has entries of it, with these."""
    by_namespace: dict[str, list[Manifest]] = {}
    for each in manifests:
        by_namespace.setdefault(read(each).namespace, []).append(each)
    return [
        Subject(target, sources, tuple(map(read, own)), where)
        for target, sources in targets
        for where, there in sorted(by_namespace.items())
        if (own := of_target(target, there))
    ]


def in_files(
    manifests: Sequence[Manifest], targets: Sequence[tuple[Target, tuple[Source, ...]]], files: str, *, named: bool
) -> list[Subject]:
    """Return each target with those of the files' entries that are its own.

    With `named`, a sole entry is taken for a sole target's whatever it is called, and a target without any is refused
    with InvalidInput.
    """
    found = []
    for target, sources in targets:
        own = of_target(target, manifests)
        if named and not own and len(targets) == len(manifests) == 1:
            own = list(manifests)
        if own:
            found.append(Subject(target, sources, tuple(map(read, own)), files))
        elif named:
            there = ", ".join(sorted({read(each).name for each in manifests})) or "none"
            hint = f"an entry of {target.name} is called {target.entry_name}, or has the target's hosts"
            raise InvalidInput(f"{files}: holds no ServiceEntry of {target.name}: there is {there}", hint=hint)
    return found


def manifests_of(file: str) -> list[Manifest]:
    """Return the ServiceEntries of a file, - for standard input; other kinds are passed over. Raises InvalidInput."""
    parsed = parse(read_file(file), "standard input" if file == "-" else file)
    if parsed.problems:
        raise InvalidInput(problems=parsed.problems)
    return [document.value for document in parsed.documents if document.value.get("kind") == KIND]
