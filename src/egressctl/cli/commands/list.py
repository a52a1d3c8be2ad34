"""`egressctl list`: what egressctl made, with age and run id."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from egressctl.cli.console import say
from egressctl.cli.options import ConnectionFlags, OutputFlags, spread_flags
from egressctl.cli.session import Session
from egressctl.model.age import age_text
from egressctl.report.data_text import data_text, document, entry_names_text
from egressctl.report.lines import table_text
from egressctl.runtime.sanitize import neutralise, quote

if TYPE_CHECKING:
    from egressctl.lifecycle.list import ListedEntry, ListedSource


@spread_flags
def command(
    all_namespaces: Annotated[bool, typer.Option("--all-namespaces", "-A", help="Of every namespace.")] = False,
    *,
    connection: ConnectionFlags,
    output: OutputFlags,
) -> int:
    """List the ServiceEntries that egressctl made, with their age and the run that made them; and the source pods it started.

    verify and cleanup accept each of these names: the target, NAMESPACE/NAME of its entry, and what -o name prints.

    \b
    Examples:
      egressctl list
      egressctl list -A
      egressctl list -o json
    """
    from egressctl.lifecycle.list import inventory, list_sources  # imported late: 37 ms
    from egressctl.runtime.concurrency import start_call

    session = Session("list", connection, output)
    namespace = None if all_namespaces else session.namespace
    mesh, now = session.mesh, datetime.now(UTC)
    looking = start_call(lambda: list_sources(mesh, namespace, now))
    items = inventory(mesh, namespace, now)
    sources, unseen = looking()
    session.warn([unseen] if unseen else ())
    if not items and not sources and output.shown == "table":
        session.progress.step(f"egressctl made nothing in {'any namespace' if namespace is None else 'namespace ' + namespace}")
    code = session.end(lambda form, _: _text(items, sources, form, everywhere=all_namespaces))
    _say_what_is_left_over(session, items, sources)
    return code


def _say_what_is_left_over(session: Session, items: list[ListedEntry], sources: list[ListedSource]) -> None:
    """Say how source pods that no entry goes with are removed."""
    used = {each.entry.namespace for each in items}
    left = dict.fromkeys(each.namespace for each in sources if each.namespace not in used)
    for namespace in left if not session.output.quiet else ():
        line = f"egressctl cleanup --all -n {quote(namespace)}"
        say("hint: " + neutralise(f"no ServiceEntry goes with the source pod in namespace {namespace}: {line} deletes it"))


def _text(items: list[ListedEntry], sources: list[ListedSource], form: str, *, everywhere: bool) -> str:
    if form in ("json", "yaml"):
        documents = [_document(each) for each in items]
        return data_text(document("TargetList", items=documents, sources=[_source_document(each) for each in sources]), form)
    if form == "name" and everywhere:  # kubectl's names have no namespace, which verify and cleanup need then
        return "".join(f"serviceentry/{neutralise(f'{each.entry.namespace}/{each.entry.name}')}\n" for each in items)
    if form == "name":
        return entry_names_text(each.entry.name for each in items)
    return "\n".join(filter(None, (_table(items) if items else "", _source_table(sources) if sources else "")))


def _source_document(source: ListedSource) -> dict[str, Any]:
    return {
        "kind": source.kind,
        "name": source.name,
        "namespace": source.namespace,
        "runId": source.run_id,
        "createdAt": source.created,
        "ageSeconds": round(source.age),
    }


def _source_table(sources: list[ListedSource]) -> str:
    rows = [("SOURCE", "KIND", "RUN ID", "AGE")]
    rows += [(f"{each.namespace}/{each.name}", each.kind, each.run_id, age_text(each.age)) for each in sources]
    return table_text(rows)


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
