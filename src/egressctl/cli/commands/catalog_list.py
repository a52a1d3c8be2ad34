"""`egressctl catalog list`: the targets of the catalogue, with where their blocks are from and since when."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import typer

from egressctl.cli.console import drawable, tell_failure
from egressctl.cli.options import Folders, Output, flat, folders_of
from egressctl.cli.session import print_data
from egressctl.errors import InvalidInput
from egressctl.manifests.problems import Findings
from egressctl.report.columns import aligned
from egressctl.runtime.sanitize import neutralise

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from egressctl.catalog.lookup import File

_HELP = """List the targets of the catalogue: built in, and in the folders of --catalog or EGRESSCTL_CATALOG, which come first.

A name with capital words is a family of targets: egressctl catalog show NAME says which there are. A file that cannot
be read is told, and the others are listed; the exit code is 2 then.

\b
Examples:
  egressctl catalog list
  egressctl catalog list --catalog ./targets
  egressctl catalog list -o json
"""


def register(group: typer.Typer) -> None:
    """Add the command to the group."""
    group.command("list", help=_HELP, short_help="List the targets.")(list_targets)


@flat
def list_targets(folders: Folders = None, *, output: Output) -> int:
    """Print a line for each file of the catalogue."""
    from egressctl.catalog import lookup

    output.check()
    where = folders_of(folders)
    found, code = [], 0
    for file in lookup.files(where):
        try:
            found.append(document(file, where))
        except InvalidInput as refused:
            tell_failure(refused)
            code = refused.exit_code
    if output.shown in ("json", "yaml"):
        print_data({"apiVersion": "egressctl.dev/v1alpha1", "kind": "Catalogue", "targets": found}, output.shown)
    elif output.shown == "name":
        for each in found:
            print(neutralise(each["name"]))
    else:
        _table(found, foreign=bool(where))
    return code


def document(file: File, folders: Sequence[str]) -> dict[str, Any]:
    """Return what a line of the list says, as data. Raises InvalidInput where the file is broken."""
    from egressctl.catalog import lookup

    whole = lookup.family(file.name, folders)
    specs = (
        [template.spec["serviceEntry"] for template in reversed(whole.templates)]
        if whole
        else [lookup.get(file.name, folders).spec]
    )
    sources = lookup.sources(file.name, folders)
    return {
        "name": file.name,
        "family": list(whole.parts) if whole else None,
        "targets": len(whole.members) if whole else 1,
        "hosts": list(dict.fromkeys(host for spec in specs for _, host in Findings().listed(spec, (), "hosts", str, ""))),
        "ports": list(dict.fromkeys(_port(port) for spec in specs for _, port in Findings().listed(spec, (), "ports", dict, ""))),
        "addresses": sum(len(each.ranges) for each in sources) if whole else len(specs[0].get("addresses", ())),
        "checked": min((each.checked for each in sources), default=None),
        "sources": list(dict.fromkeys(each.url for each in sources)),
        "folder": file.folder or None,
    }


def _port(port: Mapping[str, Any]) -> str:
    """Write a port as 443/TCP; a family's is not held against any rule before one of its targets is asked for."""
    return f"{port.get('number')}/{port.get('protocol') or 'TCP'}"


def _table(found: Sequence[Mapping[str, Any]], *, foreign: bool) -> None:
    rows = [("NAME", "HOSTS", "PORTS", "BLOCKS", "CHECKED", "SOURCE", *(("FOLDER",) if foreign else ()))]
    for each in found:
        words = [part.upper() for part in each["family"] or ()]
        rows.append((
            "/".join((each["name"], *words)),
            _first(each["hosts"]),
            ",".join(each["ports"]),
            str(each["addresses"] or "-"),
            each["checked"] or "-",
            _first([url.removeprefix("https://") for url in each["sources"]]) or "-",
            *((each["folder"] or "(built in)",) if foreign else ()),
        ))  # fmt: skip
    for line in aligned([[neutralise(cell) for cell in row] for row in rows]):
        print(drawable(sys.stdout, line))


def _first(texts: Sequence[str]) -> str:
    return texts[0] + (f" +{len(texts) - 1}" if len(texts) > 1 else "") if texts else ""
