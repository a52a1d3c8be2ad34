"""`egressctl lab list`: every lab of the user, with what runs of it."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from egressctl.cli.options import ConnectionFlags, OutputFlags, spread_flags
from egressctl.cli.session import Session
from egressctl.model.age import age_text
from egressctl.report.data_text import data_text, document
from egressctl.report.lines import table_text

if TYPE_CHECKING:
    from egressctl.lab.inventory import ListedLab

SHORT = "List every lab, also those that did not start or end properly."


@spread_flags
def command(*, output: OutputFlags) -> int:
    """List every lab of yours, also those that did not start or end properly.

    A lab is running or starting. It is orphaned if processes of it are left without the one that stops them, and ended if only
    its logs are left. `egressctl lab down --name NAME` removes any of them, and `egressctl lab down --all` removes all.

    \b
    Examples:
      egressctl lab list
      egressctl lab list -o json
      egressctl lab list -o name
    """
    from egressctl.lab.inventory import list_labs  # imported late: 20 ms

    session = Session("lab list", ConnectionFlags(), output)
    labs = list_labs()
    if not labs and output.shown == "table":
        session.progress.step("there is no lab; egressctl lab up starts one")
    return session.end(lambda form, _: _text(labs, form))


def _text(labs: list[ListedLab], form: str) -> str:
    if form in ("json", "yaml"):
        return data_text(document("LabList", items=[_document(each) for each in labs]), form)
    if form == "name":
        return "".join(f"{each.paths.name}\n" for each in labs)
    rows = [("NAME", "STATE", "POLICY", "API SERVER", "PROCESSES", "AGE")]
    for each in labs:
        policy, address = (each.running.policy, each.running.address) if each.running else ("", "")
        age = age_text(max(0.0, time.time() - each.since))
        rows.append((each.paths.name, each.state, policy or "-", address or "-", str(len(each.processes)), age))
    return table_text(rows) if labs else ""


def _document(lab: ListedLab) -> dict[str, Any]:
    running = lab.running
    return {
        "name": lab.paths.name,
        "state": lab.state,
        "policy": running.policy if running else None,
        "server": running.address if running else None,
        "kubeconfig": str(lab.paths.kubeconfig) if running else None,
        "folder": str(lab.paths.folder),
        "since": datetime.fromtimestamp(lab.since, UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "ageSeconds": max(0, round(time.time() - lab.since)),
        "processes": [{"role": process.role, "pid": process.pid} for process in lab.processes],
    }
