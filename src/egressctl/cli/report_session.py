"""The run of a command that ends with a Report: its work, signals turned into clean endings, and the report whatever happens."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from egressctl.cli import github
from egressctl.cli.console import print_failure, say
from egressctl.cli.options import OutputFlags
from egressctl.cli.session import Session
from egressctl.errors import EgressctlError, Interrupted, InvalidInput
from egressctl.model.entry import RESOURCE
from egressctl.model.probe import Origin, Target
from egressctl.model.result import Failure, KubernetesInfo, Report, TargetResult
from egressctl.report.data_text import data_text
from egressctl.report.exit_codes import exit_code_of_results, passes_unproven
from egressctl.report.lines import Content, Line
from egressctl.report.report_text import report_lines, report_text
from egressctl.report.target_lines import is_drawn
from egressctl.runtime.sanitize import neutralise, quote
from egressctl.runtime.signals import Interrupts

if TYPE_CHECKING:
    from egressctl.mesh.curl import TransferLimits

_HINT_AFTER_SIGNAL = {
    "create": "what was being made is gone again",
    "run": "what was being made is gone again",
    "cleanup": "see what is left: egressctl list{where}",
}

_HINT_WHERE_KEPT = "what was made stays: egressctl list{where}"

_VERDICT_ALONE = ("run", "cleanup", "demo")
"""Commands whose verdict, with --quiet, stands for what they did to the entries."""


@dataclass
class ReportSession(Session):
    """A command's run with what it has found so far, which is reported although it may not come to its end."""

    formats: Sequence[str] = OutputFlags.REPORTS
    allow_unproven: bool = False
    targets: list[TargetResult] = field(default_factory=list)
    planned: int | None = None
    """How many entries have a row of a table, printed as it is known; None where every probe is drawn at the end."""
    places: Sequence[tuple[str, str]] = ()
    """Namespace and name of each of these."""
    interrupted: bool = False
    told: int = 0
    """So many of the targets have been drawn already, while the command went on."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.output.quiet and self.command in _VERDICT_ALONE:
            self.progress.hold_results()
        self._started, self._clock = datetime.now(UTC), time.monotonic()
        self._kubernetes: KubernetesInfo | None = None
        self._origins: dict[tuple[str | None, str], Origin] = {}
        self.interrupts = Interrupts()

    def remember_origins(self, targets: Sequence[Target]) -> None:
        """Note where in files the targets stand, for annotations of what becomes of them."""
        self._origins |= {(each.namespace, each.name): each.origin for each in targets if each.origin}

    def remember_kubernetes(self) -> KubernetesInfo | None:
        """Say which Kubernetes cluster was asked, once and for all where reports want it; None where none was."""
        if self._kubernetes is None and self.connected is not None and self.output.wanted & {"json", "yaml", "junit"}:
            from egressctl.kube.access import kubernetes_info  # imported late: 16 ms

            api = self.connected.api
            try:
                # Who has ended a command waits for no further answer.
                self._kubernetes = KubernetesInfo(api.context, api.server, "") if self.interrupted else kubernetes_info(api)
            except EgressctlError:
                self._kubernetes = KubernetesInfo(api.context, api.server, "")
        return self._kubernetes

    def run(self, work: Callable[[], object]) -> int:
        """Do a command's work, report what it found whatever happens, and return the exit code.

        What the work returns, if anything, is the data that json and yaml print in place of the report.
        """
        with self.interrupts:
            failure: EgressctlError | None = None
            instead: object = None
            try:
                try:
                    instead = work()
                except EgressctlError as raised:
                    failure = raised
                code, shown = self._deliver(self._exit_code(failure), failure, instead)
            except Interrupted as stop:
                self.interrupted = True
                self.progress.stop()
                where = f" -n {quote(self.connection.namespace)}" if self.connection.namespace else ""
                kept = self.command == "create" and self.interrupts.kept
                hint = _HINT_WHERE_KEPT if kept else _HINT_AFTER_SIGNAL.get(self.command, "")
                hint = stop.hint or hint.format(where=where)
                failure = EgressctlError(f"{self.command} was interrupted", hint=hint)
                code, shown = self._deliver(stop.exit_code, failure)
            except Exception as bug:
                self.progress.stop()
                failure = EgressctlError(f"a bug in egressctl: {type(bug).__name__}: {bug}")
                self.publish(partial(self._content, failure, None), failure.exit_code)
                raise
            try:
                self.progress.print(shown)
            finally:
                if failure is not None:
                    print_failure(failure)
            return code

    def _exit_code(self, failure: EgressctlError | None) -> int:
        """Return the exit code of what was found, and warn of what the API server warns of, and of what passes unproven."""
        unproven = passes_unproven(self.targets) if self.allow_unproven else ()
        self.warn(f"{name}: the answer came, unproven, and passes because of --allow-unproven" for name in unproven)
        also = [failure.exit_code] if failure else []
        return exit_code_of_results(self.targets, allow_unproven=self.allow_unproven, also=also)

    def _deliver(self, code: int, failure: EgressctlError | None, instead: object = None) -> tuple[int, Content]:
        """Write and annotate the report; return the exit code, and what is to be printed."""
        with self.interrupts.deferred():
            content = partial(self._content, failure, instead)
            code = self.publish(content, code)
            if os.environ.get("GITHUB_ACTIONS") == "true":
                problems = failure.problems if isinstance(failure, InvalidInput) else ()
                github.report_to_github(self.report(code, failure), self._origins, problems)
            if self.output.shown != "table":
                return code, content(self.output.shown, code)
            return code, [*self._held_results(), *self.draw(self.report(code, failure), told=self.told)]

    def draw(self, report: Report, *, told: int = 0) -> Iterator[Line]:
        """Draw a report's targets as the flags of the output ask for it, without the `told` first."""
        return report_lines(report, show_paths=self.output.shows_paths, quiet=self.output.quiet, told=told)

    def _not_reached(self) -> tuple[str, ...]:
        reached = {(each.namespace, name) for each in self.targets for name in each.service_entries} if self.places else ()
        return tuple(f"{namespace}/{name}" for namespace, name in self.places if (namespace, name) not in reached)

    def _held_results(self) -> Iterator[Line]:
        """Draw the results that were held back for the verdict, where there is none that says it all."""
        if not self.targets:
            yield from ((("", text),) for text in self.progress.held)
        for target in self.targets if self.progress.holds else ():
            if target.action and not is_drawn(target):
                yield from ((("", f"{RESOURCE}/{neutralise(name)} {target.action}"),) for name in target.service_entries)

    def _content(self, failure: EgressctlError | None, instead: object, form: str, code: int) -> str:
        if instead is not None and form in ("json", "yaml"):
            return data_text(instead, form)
        paths, quiet = self.output.shows_paths, self.output.quiet
        return report_text(self.report(code, failure), form, self.progress.results, show_paths=paths, quiet=quiet)

    def report(self, code: int = 0, failure: EgressctlError | None = None) -> Report:
        """Return what was found so far."""
        return Report(
            command=self.command,
            run_id=self.run_id,
            started_at=self._started.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            duration=time.monotonic() - self._clock,
            exit_code=code,
            kubernetes=self.remember_kubernetes(),
            targets=tuple(self.targets),
            warnings=tuple(self.progress.warnings),
            error=Failure(str(failure), failure.hint) if failure else None,
            allow_unproven=self.allow_unproven,
            planned=self.planned,
            not_reached=self._not_reached(),
        )


def say_how_to_repeat(session: Session, results: Sequence[TargetResult], limits: TransferLimits) -> None:
    """With -v, print the command lines of kubectl and curl that repeat each probe."""
    if session.output.verbosity < 1:
        return
    from egressctl.mesh.curl import companion_argv, probe_argv  # imported late: 3 ms

    for result in (result for target in results for result in (*target.probes, *target.closure)):
        if result.source is not None:
            probe, source = result.probe, result.source
            argv = (
                companion_argv([(probe.connect_ip or probe.host, probe.port)], limits)
                if probe.bare
                else probe_argv([probe], limits)
            )
            where = ["kubectl", "exec", "-n", source.namespace, source.pod, "-c", source.container, "--"]
            say(f"repeat {probe.name}: {shlex.join([*where, *argv])}")
