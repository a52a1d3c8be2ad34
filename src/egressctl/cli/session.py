"""What every command that talks to a Kubernetes cluster does around its use case: connect, time, report, end."""

from __future__ import annotations

import json
import os
import secrets
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from egressctl import __version__
from egressctl.cli.console import TerminalProgress, discard_stdout, plain_text, print_failure, print_lines, say, text_for_stream
from egressctl.cli.options import ConnectionFlags, OutputFlags, SourceFlags
from egressctl.errors import CouldNotAsk, EgressctlError, Interrupted, InvalidInput
from egressctl.mesh.source_pod import SourceChoice
from egressctl.model.entry import Manifest
from egressctl.model.probe import Origin, Target
from egressctl.model.result import Failure, KubernetesInfo, ProbeResult, Report, TargetResult
from egressctl.report import exit_codes
from egressctl.runtime.sanitize import neutralise
from egressctl.runtime.signals import Interrupts

if TYPE_CHECKING:
    from egressctl.mesh import curl
    from egressctl.mesh.client import Mesh
    from egressctl.report.tree import Line


_HINT_AFTER_SIGNAL = {
    "create": "what was being made is gone again",
    "run": "what was being made is gone again",
    "cleanup": "see what is left: egressctl list",
}


@dataclass
class Session:
    """One command's run: made at its start, ended by `finish` or `fail`, which print and return the exit code."""

    command: str
    connection: ConnectionFlags
    output: OutputFlags
    run_id: str = field(default_factory=lambda: secrets.token_hex(4))
    targets: list[TargetResult] = field(default_factory=list)
    formats: Sequence[str] = OutputFlags.FORMATS
    """What `-o` may ask this command for."""
    allow_unproven: bool = False
    planned: int | None = None
    """How many entries a table of rows is about, which are printed as they come; None where every probe is drawn at the end."""

    def __post_init__(self) -> None:
        self.output.check(self.formats)
        if self.output.files:
            from egressctl.cli import outputs

            outputs.refuse_unwritable(self.output.files)
        self.progress = TerminalProgress(quiet=self.output.quiet, results=self.output.shown == "table")
        self._started = datetime.now(UTC)
        self._clock = time.monotonic()
        self._mesh: Mesh | None = None
        self._instead: Manifest | None = None
        self._kubernetes: KubernetesInfo | None = None
        self._origins: dict[tuple[str | None, str], Origin] = {}
        self.interrupts = Interrupts()
        self.printing = False
        """Whether the report has begun to go to stdout: then it is too late for another."""

    @property
    def mesh(self) -> Mesh:
        """Connect at the first use. Raises what kube.config.connect raises, and LabFailed for --lab."""
        if self._mesh is None:
            from egressctl.kube.config import ConnectOptions, connect
            from egressctl.mesh.client import Mesh

            flags = self.connection
            options = ConnectOptions(
                kubeconfig=_lab_kubeconfig(self.progress) if flags.lab else flags.kubeconfig or None,
                context=flags.context or None,
                cluster=flags.cluster or None,
                user=flags.user or None,
                server=flags.server or None,
                token=flags.token or None,
                as_user=flags.as_user or None,
                as_groups=tuple(flags.as_groups),
                request_timeout=flags.request_timeout,
                user_agent=f"egressctl/{__version__} (run {self.run_id})",
            )
            self._mesh = Mesh(connect(options))
        return self._mesh

    @property
    def namespace(self) -> str:
        """The namespace of the flags, else the context's, else `default`."""
        return self.connection.namespace or self.mesh.api.namespace or "default"

    def remember_origins(self, targets: Sequence[Target]) -> None:
        """Note where in files the targets stand, for annotations of what becomes of them."""
        self._origins |= {(each.namespace, each.name): each.origin for each in targets if each.origin}

    def finish(self, *, also: Sequence[int] = (), failure: EgressctlError | None = None) -> int:
        """Deliver the report, and return its exit code; a failure that came about on the way is told as well."""
        codes = [*also, *([failure.exit_code] if failure else [])]
        code = exit_codes.exit_code_of_results(self.targets, allow_unproven=self.allow_unproven, also=codes)
        self.progress.stop()
        for warning in self._mesh.api.warnings if self._mesh else ():
            self.progress.warn(warning)
        for probe in (probe for target in self.targets for probe in target.probes if self.allow_unproven):
            if (
                exit_codes.exit_code_of_probe(probe, allow_unproven=False) == 4
                and exit_codes.exit_code_of_probe(probe, allow_unproven=True) == 0
            ):
                self.progress.warn(f"{probe.probe.name}: the answer came, unproven, and passes because of --allow-unproven")
        return self._deliver(code, failure)

    def finish_interrupted(self, stop: Interrupted) -> int:
        """Deliver the report of what was found until a signal came, and return the signal's exit code."""
        self.progress.stop()
        failure = EgressctlError(f"{self.command} was interrupted", hint=stop.hint or _HINT_AFTER_SIGNAL.get(self.command, ""))
        return self._deliver(stop.exit_code, failure)

    def finish_after_bug(self, bug: Exception) -> None:
        """Write the outputs that go to files although the command ends by a bug, which whoever called tells."""
        if not self.printing:
            self.progress.stop()
            failure = EgressctlError(f"a bug in egressctl: {type(bug).__name__}: {bug}")
            self.publish(lambda form, code: self._text(form, code, failure), failure.exit_code)

    def _deliver(self, code: int, failure: EgressctlError | None) -> int:
        """Write, annotate and print the report, tell the failure, and return the exit code."""
        with self.interrupts.deferred():
            code = self.publish(lambda form, code: self._text(form, code, failure), code)
            if os.environ.get("GITHUB_ACTIONS") == "true":
                from egressctl.cli import github

                problems = failure.problems if isinstance(failure, InvalidInput) else ()
                github.report_to_github(self._report(code, failure), self._origins, problems)
        self.printing = True
        try:
            self._print(code, failure)
        finally:
            if failure is not None:
                print_failure(failure)
        return code

    def publish(self, text_of: Callable[[str, int], str], code: int) -> int:
        """Write each output that goes to a file, given its text by format and exit code; tell which could not be written.

        Return the exit code of the command: 3 where it was 0 and a file could not be written, which never hides another.
        """
        if not self.output.files:
            return code
        from egressctl.cli import outputs

        unwritten = outputs.write_outputs(self.output.files, lambda form: text_of(form, code))
        for path, error in unwritten.items():
            print_failure(CouldNotAsk(f"the output could not be written to {path}: {(error.strerror or str(error)).lower()}"))
        if unwritten and code == 0:
            code = CouldNotAsk.exit_code
            others = [each for each in self.output.files if each[1] not in unwritten]
            outputs.write_outputs(others, lambda form: text_of(form, code))
        return code

    def _print(self, code: int, failure: EgressctlError | None) -> None:
        """Print the report; a reader who went away changes no exit code, a full disk is an OSError."""
        try:
            if self.progress.unwritable is not None:
                raise self.progress.unwritable
            if self.output.shown == "table":
                print_lines(self._pictures())
            else:
                print(text_for_stream(sys.stdout, self._text(self.output.shown, code, failure)), end="")
            sys.stdout.flush()
        except BrokenPipeError:
            discard_stdout()

    def _text(self, form: str, code: int, failure: EgressctlError | None) -> str:
        """Return the report in a format."""
        if form in ("json", "yaml"):
            from egressctl.report.json_report import report_document

            return data_text(report_document(self._report(code, failure)) if self._instead is None else dict(self._instead), form)
        if form == "name":
            names = (neutralise(entry) for target in self.targets for entry in target.service_entries)
            return "".join(f"serviceentry.networking.istio.io/{name}\n" for name in names)
        if form == "junit":
            from egressctl.report.junit import junit

            return junit(self._report(code, failure))
        if form == "tap":
            from egressctl.report.tap import tap

            return tap(self._report(code, failure))
        told = f"error: {neutralise(str(failure))}\n" if failure else ""
        return "".join(f"{each}\n" for each in self.progress.results) + plain_text(self._pictures()) + told

    def _pictures(self) -> Iterator[Line]:
        from egressctl.report.tree import draw_target

        for target in self.targets:
            if self._is_drawn(target):
                yield from draw_target(target)
        if self.planned is not None:
            from egressctl.report.summary import total_line

            yield total_line(self.targets, self.planned)

    def _is_drawn(self, target: TargetResult) -> bool:
        if self.planned is None:
            return bool(target.probes or target.closure or target.parts_not_in_force)
        from egressctl.report.summary import is_drawn

        return is_drawn(target, whole=self.output.verbosity > 0)

    def _report(self, code: int, failure: EgressctlError | None) -> Report:
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
        )

    def remember_kubernetes(self) -> KubernetesInfo | None:
        """Say which Kubernetes cluster was asked, once and for all where reports want it; None where none was."""
        if self._kubernetes is None and self._mesh is not None and self.output.wanted & {"json", "yaml", "junit"}:
            from egressctl.kube.access import kubernetes_info

            try:
                self._kubernetes = kubernetes_info(self._mesh.api)
            except EgressctlError:
                self._kubernetes = KubernetesInfo(self._mesh.api.context, self._mesh.api.server, "")
        return self._kubernetes

    def print_instead(self, manifests: Sequence[Manifest]) -> None:
        """Print manifests in place of the report, as kubectl does for --dry-run=client -o yaml."""
        self._instead = manifests[0] if len(manifests) == 1 else {"apiVersion": "v1", "kind": "List", "items": list(manifests)}

    def print_repeat_commands(self, results: Sequence[TargetResult], limits: curl.TransferLimits) -> None:
        """With -v, print the command lines that repeat each probe."""
        if self.output.verbosity < 1:
            return
        for probe in (probe for target in results for probe in (*target.probes, *target.closure)):
            if probe.source is not None:
                say(f"repeat {probe.probe.name}: {command_to_repeat(probe, limits)}")


def command_to_repeat(result: ProbeResult, limits: curl.TransferLimits) -> str:
    """Return the line of kubectl and curl that repeats a probe."""
    from egressctl.mesh.curl import companion_argv, probe_argv

    assert result.source is not None
    where = ["kubectl", "exec", "-n", result.source.namespace, result.source.pod, "-c", result.source.container, "--"]
    probe = result.probe
    argv = companion_argv([(probe.host, probe.port)], limits) if probe.bare else probe_argv([probe], limits)
    return shlex.join([*where, *argv])


def run_session(session: Session, work: Callable[[Interrupts], Sequence[int] | None]) -> int:
    """Run a command's work with signals turned into clean endings; deliver the report whatever happens.

    `work` takes the Interrupts and returns further exit codes, or None.
    """
    with session.interrupts as interrupts:
        try:
            try:
                also = work(interrupts) or ()
            except EgressctlError as failure:
                return session.finish(failure=failure)
            return session.finish(also=also)
        except Interrupted as stop:
            if session.printing:
                raise
            return session.finish_interrupted(stop)
        except Exception as bug:
            session.finish_after_bug(bug)
            raise


def source_choice(flags: SourceFlags) -> SourceChoice:
    """Return the flags of the source pod as the use cases take them."""
    return SourceChoice(flags.pod, flags.selector, flags.container, flags.revision)


def print_data(data: Any, output: str) -> None:
    """Print plain data as JSON or YAML on stdout."""
    print(text_for_stream(sys.stdout, data_text(data, output)), end="")


def data_text(data: Any, form: str) -> str:
    """Return plain data as JSON or YAML.

    No line of it is a command to GitHub's runner, whatever the data say: that reads `##[` anywhere and `::` at a line's
    beginning. In YAML each text is one line therefore.
    """
    if form == "json":
        return json.dumps(data, indent=2, ensure_ascii=True).replace("##[", "#\\u0023[") + "\n"
    from egressctl.report.yaml_text import to_log_safe_yaml

    return to_log_safe_yaml(data)


def _lab_kubeconfig(progress: TerminalProgress) -> str:
    from egressctl.lab import control

    progress.step("starting the local lab, if it does not run yet")
    return str(control.up(os.environ.get("EGRESSCTL_LAB_NAME", "default")).kubeconfig)
