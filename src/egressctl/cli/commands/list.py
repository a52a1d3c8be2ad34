"""`egressctl list`: what egressctl made, with age and run id."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from egressctl.cli.options import ConnectionFlags, OutputFlags, spread_flags
from egressctl.cli.session import Session
from egressctl.model.age import age_text
from egressctl.report.data_text import data_text, document, entry_names_text
from egressctl.report.lines import table_text
from egressctl.runtime.sanitize import neutralise

if TYPE_CHECKING:
    from egressctl.lifecycle.list import ListedEntry


@spread_flags
def command(
    all_namespaces: Annotated[bool, typer.Option("--all-namespaces", "-A", help="Of every namespace.")] = False,
    *,
    connection: ConnectionFlags,
    output: OutputFlags,
) -> int:
    """List the ServiceEntries that egressctl made, with their age and the run that made them.

    verify and cleanup accept each of these names: the target, NAMESPACE/NAME of its entry, and what -o name prints.

    \b
    Examples:
      egressctl list
      egressctl list -A
      egressctl list -o json
    """
    from egressctl.lifecycle.list import inventory  # imported late: 37 ms

    session = Session("list", connection, output)
    namespace = None if all_namespaces else session.namespace
    items = inventory(session.mesh, namespace, datetime.now(UTC))
    session.warn()
    if not items and output.shown == "table":
        session.progress.step(f"egressctl made nothing in {'any namespace' if namespace is None else 'namespace ' + namespace}")
    return session.end(lambda form, _: _text(items, form, everywhere=all_namespaces))


def _text(items: list[ListedEntry], form: str, *, everywhere: bool) -> str:
    if form in ("json", "yaml"):
        return data_text(document("TargetList", items=[_document(each) for each in items]), form)
    if form == "name" and everywhere:  # kubectl's names have no namespace, which verify and cleanup need then
        return "".join(f"serviceentry/{neutralise(f'{each.entry.namespace}/{each.entry.name}')}\n" for each in items)
    if form == "name":
        return entry_names_text(each.entry.name for each in items)
    return _table(items) if items else ""


def _document(item: ListedEntry) -> dict[str, Any]:
    entry = item.entry
    return {
        "name": item.target,
        "namespace": entry.namespace,
        "serviceEntry": entry.name,
        "hosts": list(entry.hosts),
        "addresses": list(entry.addresses),
        "ports": [{"number": port.number, "protocol": port.protocol, "name": port.name} for port in entry.ports],
        "exportTo": list(entry.export_to),
        "runId": entry.run_id,
        "createdAt": entry.created,
        "ageSeconds": round(item.age),
    }


def _table(items: list[ListedEntry]) -> str:
    rows = [("TARGET", "SERVICEENTRY", "HOSTS", "PORTS", "RUN ID", "AGE")]
    for each in items:
        entry = each.entry
        ports = ",".join(f"{port.number}/{port.protocol}" for port in entry.ports)
        place, hosts = f"{entry.namespace}/{entry.name}", ",".join(entry.hosts)
        rows.append((each.target, place, hosts, ports, entry.run_id, age_text(each.age)))
    return table_text(rows)
