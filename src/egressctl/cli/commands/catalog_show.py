"""`egressctl catalog show`: what a target of the catalogue opens, and where that is from."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Annotated, Any

import typer

from egressctl.catalog import lookup
from egressctl.cli.options import CatalogFolders, ConnectionFlags, OutputFlags, catalog_folders, spread_flags
from egressctl.cli.session import Session
from egressctl.manifests.published import PAGE
from egressctl.manifests.yaml_reader import parse_yaml
from egressctl.report.data_text import data_text
from egressctl.runtime.sanitize import neutralise

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from egressctl.catalog.families import Family
    from egressctl.manifests.published import PublishedSource
    from egressctl.model.probe import Target

_WIDTH = 100
_LABEL_WIDTH = 11


@spread_flags
def command(
    name: Annotated[str, typer.Argument(metavar="NAME", show_default=False)],
    folders: CatalogFolders = None,
    *,
    output: OutputFlags,
) -> int:
    """Show what a target of the catalogue opens: each block with its name, source and date, and the blocks that only call in.

    For a family of targets, such as aws, list the targets in it. -o yaml prints the target's file, which -f accepts.

    \b
    Examples:
      egressctl catalog show wikipedia
      egressctl catalog show aws
      egressctl catalog show aws/s3/eu-west-1 -o yaml
    """
    session = Session("catalog show", ConnectionFlags(), output)
    where = catalog_folders(folders)
    family = lookup.find_family(name, where)
    target = None if family else lookup.get_target(name, where)
    text, sources = lookup.manifest_text(name, where), lookup.sources_of_target(name, where)

    def content(form: str, _: int) -> str:
        if form == "json":
            return data_text(_document(text, target), form)
        if form == "yaml":
            lines: Iterable[str] = text.splitlines()
        elif form == "name":
            lines = [f"{name}/{member}" for member in family.members] if family else [name]
        else:
            about = _family_lines(family) if family else _target_lines(name, target) if target else ()
            lines = map(str.rstrip, (*_leading_comment(text), *about, *_source_lines(sources, ranges=family is None)))
        return "".join(f"{neutralise(line)}\n" for line in lines)

    return session.end(content)


def _document(text: str, target: Target | None) -> dict[str, Any]:
    """Return a file as data, with the addresses that it opens."""
    value: dict[str, Any] = dict(parse_yaml(text, "").documents[0].value)
    if target is not None:
        value["spec"] = {**value["spec"], "serviceEntry": dict(target.spec)}
    return value


def _leading_comment(text: str) -> Iterator[str]:
    """Give the comment at the top of a file."""
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        yield line.removeprefix("#").strip()


def _with_label(label: str, lines: Iterable[str]) -> Iterator[str]:
    for number, line in enumerate(lines):
        yield f"{'' if number else label:<{_LABEL_WIDTH}}{line}"


def _wrap_text(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH - _LABEL_WIDTH, break_long_words=False, break_on_hyphens=False)


def _target_lines(name: str, target: Target) -> Iterator[str]:
    spec = target.spec
    yield from _with_label("hosts", spec["hosts"])
    ports = ", ".join(f"{port['number']}/{port.get('protocol', '')}" for port in spec["ports"])
    yield from _with_label("ports", [f"{ports}, resolution {spec.get('resolution', 'NONE')}"])
    width = max((len(probe.name) for probe in target.probes), default=0)
    yield from _with_label("probes", [f"{probe.name:<{width}}  {probe.url}" for probe in target.probes])
    yield from _with_label("create", [f"egressctl create {name}"])


def _family_lines(family: Family) -> Iterator[str]:
    form = "/".join((family.name, *(part.upper() for part in family.parts)))
    yield from _with_label("create", [f"egressctl create {form}, such as {family.name}/{family.members[0]}"])
    groups: dict[str, list[str]] = {}
    for member in family.members:
        first, _, rest = member.partition("/")
        groups.setdefault(first if rest else "", []).append(rest or first)
    for first, words in groups.items():
        yield from _with_label("targets", [f"{family.name}/{first}/" if first else f"{family.name}/"])
        yield from _with_label("", ["  " + line for line in _wrap_text(" ".join(words))])


def _source_lines(sources: Sequence[PublishedSource], *, ranges: bool) -> Iterator[str]:
    for source in sources:
        yield from _with_label("source", [source.url])
        yield from _with_label("", _wrap_text(_describe_source(source)))
        if not ranges:
            yield from _with_label("", [f"{len(source.ranges)} blocks"])
            continue
        blocks = [*(each.block for each in source.ranges), *(each.block for each in source.retired)]
        width = max(map(len, blocks), default=0)
        yield from _with_label("opens", [f"{each.block:<{width}}  {each.name}" for each in source.ranges])
        for each in source.retired:
            said = f"{each.block:<{width}}  {each.name}, retired {each.since}" + (f": {each.note}" if each.note else "")
            yield from _with_label("opens too" if each.kept else "closed", [said])


def _describe_source(source: PublishedSource) -> str:
    read = "a page for people" if source.format == PAGE else f"a list of format {source.format}"
    parts = [f"{read}, of {source.checked}"]
    parts += [f"called: {part} {', '.join(names)}" for part, names in source.select]
    parts += [f"only calls in: {', '.join(source.calls_in)}"] if source.calls_in else []
    parts += [source.note] if source.note else []
    return "; ".join(parts)
