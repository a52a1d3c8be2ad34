"""`egressctl catalog list`: the targets of the catalogue, with where their blocks are from and since when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from egressctl.catalog import lookup
from egressctl.cli.console import print_failure
from egressctl.cli.options import CatalogFolders, ConnectionFlags, OutputFlags, catalog_folders, spread_flags
from egressctl.cli.session import Session
from egressctl.errors import InvalidInput
from egressctl.manifests.problems import ProblemCollector
from egressctl.report.data_text import data_text, document
from egressctl.report.lines import table_text
from egressctl.runtime.sanitize import neutralise

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from egressctl.catalog.lookup import CatalogFile


@spread_flags
def command(folders: CatalogFolders = None, *, output: OutputFlags) -> int:
    """List the targets of the catalogue: built in, and in the folders of --catalog or EGRESSCTL_CATALOG, which come first.

    A name with words in capitals is a family of targets: egressctl catalog show NAME lists them. If a file cannot be read, the
    command reports an error, lists the other files, and ends with exit code 2.

    \b
    Examples:
      egressctl catalog list
      egressctl catalog list --catalog ./targets
      egressctl catalog list -o json
    """
    session = Session("catalog list", ConnectionFlags(), output)
    where = catalog_folders(folders)
    found, code = [], 0
    for file in lookup.catalog_files(where):
        try:
            found.append(file_data(file, where))
        except InvalidInput as refused:
            print_failure(refused)
            code = refused.exit_code
    return session.end(lambda form, _: _text(found, form, foreign=bool(where)), code)


def file_data(file: CatalogFile, folders: Sequence[str]) -> dict[str, Any]:
    """Return what a line of the list says, as data. Raises InvalidInput where the file is broken."""
    whole = lookup.find_family(file.name, folders)
    specs = (
        [template.spec["serviceEntry"] for template in reversed(whole.templates)]
        if whole
        else [lookup.get_target(file.name, folders).spec]
    )
    sources = lookup.sources_of_target(file.name, folders)
    return {
        "name": file.name,
        "family": list(whole.parts) if whole else None,
        "targets": len(whole.members) if whole else 1,
        "hosts": list(dict.fromkeys(host for spec in specs for _, host in ProblemCollector().listed(spec, (), "hosts", str, ""))),
        "ports": list(
            dict.fromkeys(
                _port_text(port) for spec in specs for _, port in ProblemCollector().listed(spec, (), "ports", dict, "")
            )
        ),
        "addresses": sum(len(each.ranges) for each in sources) if whole else len(specs[0].get("addresses", ())),
        "checked": min((each.checked for each in sources), default=None),
        "sources": list(dict.fromkeys(each.url for each in sources)),
        "folder": file.folder or None,
    }


def _port_text(port: Mapping[str, Any]) -> str:
    """Write a port as 443/TCP; a family's port is not checked before one of its targets is asked for."""
    return f"{port.get('number')}/{port.get('protocol') or 'TCP'}"


def _text(found: Sequence[Mapping[str, Any]], form: str, *, foreign: bool) -> str:
    if form in ("json", "yaml"):
        return data_text(document("Catalogue", targets=found), form)
    if form == "name":
        return "".join(f"{neutralise(each['name'])}\n" for each in found)
    rows = [("NAME", "HOSTS", "PORTS", "BLOCKS", "CHECKED", "SOURCE", *(("FOLDER",) if foreign else ()))]
    for each in found:
        words = [part.upper() for part in each["family"] or ()]
        rows.append((
            "/".join((each["name"], *words)),
            _first_and_count(each["hosts"]),
            ",".join(each["ports"]),
            str(each["addresses"] or "-"),
            each["checked"] or "-",
            _first_and_count([url.removeprefix("https://") for url in each["sources"]]) or "-",
            *((each["folder"] or "(built in)",) if foreign else ()),
        ))  # fmt: skip
    return table_text(rows)


def _first_and_count(texts: Sequence[str]) -> str:
    return texts[0] + (f" +{len(texts) - 1}" if len(texts) > 1 else "") if texts else ""
