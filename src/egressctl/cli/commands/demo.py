"""`egressctl demo`: the whole task on a lab of its own, from nothing to nothing."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

from egressctl.cli.options import ConnectionFlags, OutputFlags, spread_flags
from egressctl.cli.report_session import ReportSession
from egressctl.model.result import TargetResult
from egressctl.report.lines import HANG, Line

TARGET = "wikipedia"
STEPS = {
    "before": "1. Without a ServiceEntry the egress must be blocked",
    "with the entry": f"2. egressctl create {TARGET}: the egress must be open, and through the ServiceEntry",
    "after": "3. egressctl cleanup: the egress must be closed again",
}
"""What is reported above each of the three looks, by the name that it has in a report."""
NEXT = (
    ("egressctl lab up", "a lab that stays, to try it yourself"),
    ("egressctl doctor", "is your own mesh ready for it?"),
    (f"egressctl run {TARGET}", "the same three steps on your own mesh, in one command"),
)


@spread_flags
def command(*, output: OutputFlags) -> int:
    """Show the whole task on a local lab with a real Envoy, and stop the lab again.

    The egress to wikipedia is blocked. Its ServiceEntry is created: the egress is open. The entry is deleted: the egress is
    blocked again. Each step is proved from the sidecar. It needs no root, no Docker and no internet.

    \b
    Examples:
      egressctl demo
      egressctl demo -o json
    """
    from egressctl.lab import control  # imported late: 7 ms

    name = f"demo-{os.getpid()}"
    session = ReportSession("demo", ConnectionFlags(), output)

    def work() -> None:
        session.progress.step("starting a lab: a pod, a real Envoy as its sidecar, and a small internet")
        try:
            lab = control.up(name, tied=True)
            session.connection = replace(session.connection, kubeconfig=str(lab.kubeconfig), namespace="default")
            session.progress.done(f"the lab is up: outbound traffic policy {lab.policy}")
            _run_steps(session)
            _tell(session, "What to type next", NEXT)
        finally:
            with session.interrupts.undoing():
                # Whatever was made is gone with the lab; the report still names its Kubernetes cluster.
                session.remember_kubernetes()
                control.down(name)

    return session.run(work)


def _run_steps(session: ReportSession) -> None:
    from egressctl.catalog import lookup  # imported late: 56 ms
    from egressctl.lifecycle.cleanup import CleanupOptions, clean_up
    from egressctl.lifecycle.create import create
    from egressctl.lifecycle.plan import CreateOptions
    from egressctl.mesh.sidecar import find_sidecar
    from egressctl.mesh.source_pod import ANY_SOURCE
    from egressctl.model.probe import Verdict
    from egressctl.verify.select import verify_target_for, verify_target_from_manifest
    from egressctl.verify.verify import ProbeOptions, verify

    mesh, progress, namespace, target = session.mesh, session.progress, session.namespace, lookup.get_target(TARGET)
    absent = verify_target_for(target, namespace, None)
    sidecar = find_sidecar(mesh.api, namespace, ANY_SOURCE)
    _tell(session, STEPS["before"])
    before = verify(mesh, sidecar, [absent], ProbeOptions(expect=Verdict.BLOCKED), progress)
    _show(session, [replace(each, step="before") for each in before])
    _tell(session, STEPS["with the entry"])
    created = create(mesh, [target], CreateOptions(namespace, session.run_id), progress, session.interrupts)
    manifests = [each.manifest for each in created.created]
    wanted = [verify_target_from_manifest(each) for each in manifests]
    opened = verify(mesh, created.sidecar or sidecar, wanted, ProbeOptions(), progress)
    _show(session, [replace(each, step="with the entry", action="created") for each in opened])
    _tell(session, STEPS["after"])
    removed, _ = clean_up(mesh, manifests, CleanupOptions(), progress)
    _show(session, [replace(each, step="after", probes=each.closure, closure=()) for each in removed])


def _show(session: ReportSession, results: list[TargetResult]) -> None:
    """Draw the targets of a step at once, below its caption."""
    session.targets += results
    if session.output.shown == "table" and not session.output.quiet:
        captioned = [replace(each, step="") for each in results]
        session.progress.lines(session.draw(replace(session.report(), targets=tuple(captioned))))
        session.told = len(session.targets)


def _tell(session: ReportSession, caption: str, commands: Sequence[tuple[str, str]] = ()) -> None:
    """Print a caption, and commands with what each is for."""
    if session.output.shown != "table" or session.output.quiet:
        return
    width = max((len(command) for command, _ in commands), default=0)
    lines: list[Line] = [(), (("bold", ""), HANG, ("bold", caption))]
    lines += [(("", f"  {command:<{width}}   "), HANG, ("", purpose)) for command, purpose in commands]
    session.progress.lines(lines)
