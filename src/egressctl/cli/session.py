"""What every command that talks to a Kubernetes cluster does around its use case: connect, time, report, end."""

from __future__ import annotations

import json
import os
import secrets
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from egressctl import __version__, exitcodes
from egressctl.cli.console import TerminalProgress, discard_stdout, print_lines, say, tell_failure
from egressctl.cli.options import Connection, Output, SourceFlags
from egressctl.errors import EgressctlError, Interrupted
from egressctl.model import Failure, KubernetesInfo, Manifest, ProbeResult, Report, TargetResult
from egressctl.neutral import neutralise
from egressctl.source import SourceChoice

if TYPE_CHECKING:
    from egressctl import curl
    from egressctl.mesh import Mesh


_AFTER_A_SIGNAL = {
    "create": "what was being made is gone again",
    "run": "what was being made is gone again",
    "cleanup": "see what is left: egressctl list",
}


@dataclass
class Session:
    """One command's run: made at its start, ended by `finish` or `fail`, which print and return the exit code."""

    command: str
    connection: Connection
    output: Output
    run_id: str = field(default_factory=lambda: secrets.token_hex(4))
    targets: list[TargetResult] = field(default_factory=list)
    formats: Sequence[str] = Output.FORMATS
    """What `-o` may ask this command for."""

    def __post_init__(self) -> None:
        self.output.check(self.formats)
        self.progress = TerminalProgress(quiet=self.output.quiet, results=self.output.shown == "table")
        self._started = datetime.now(UTC)
        self._clock = time.monotonic()
        self._mesh: Mesh | None = None
        self._instead: Manifest | None = None
        self._kubernetes: KubernetesInfo | None = None

    @property
    def mesh(self) -> Mesh:
        """Connect at the first use. Raises what kube.config.connect raises, and LabFailed for --lab."""
        if self._mesh is None:
            from egressctl.kube.config import ConnectOptions, connect
            from egressctl.mesh import Mesh

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

    def finish(self, *, allow_unproven: bool = False, also: Sequence[int] = (), failure: EgressctlError | None = None) -> int:
        """Print the report, and return its exit code; a failure that came about on the way is told as well."""
        codes = [*also, *([failure.exit_code] if failure else [])]
        code = exitcodes.of_results(self.targets, allow_unproven=allow_unproven, also=codes)
        self.progress.stop()
        for warning in self._mesh.api.warnings if self._mesh else ():
            self.progress.warn(warning)
        for probe in (probe for target in self.targets for probe in target.probes if allow_unproven):
            if exitcodes.of_probe(probe, allow_unproven=False) == 4 and exitcodes.of_probe(probe, allow_unproven=True) == 0:
                self.progress.warn(f"{probe.probe.name}: the answer came, unproven, and passes because of --allow-unproven")
        self._print(code, failure)
        if failure is not None:
            tell_failure(failure)
        return code

    def finish_interrupted(self, stop: Interrupted) -> int:
        """Print the report of what was found until a signal came, and return the signal's exit code."""
        self.progress.stop()
        failure = EgressctlError(f"{self.command} was interrupted", hint=_AFTER_A_SIGNAL.get(self.command, ""))
        self._print(stop.exit_code, failure)
        tell_failure(failure)
        return stop.exit_code

    def _print(self, code: int, failure: EgressctlError | None) -> None:
        """Print the report; a reader who went away changes no exit code, a full disk is an OSError."""
        try:
            if self.progress.unwritable is not None:
                raise self.progress.unwritable
            self._print_report(code, failure)
            sys.stdout.flush()
        except BrokenPipeError:
            discard_stdout()

    def _print_report(self, code: int, failure: EgressctlError | None) -> None:
        if self._instead is not None:
            print_data(dict(self._instead), self.output.shown)
        elif self.output.shown in ("json", "yaml"):
            from egressctl.report.document import document

            print_data(document(self._report(code, failure)), self.output.shown)
        elif self.output.shown == "name":
            for target in self.targets:
                for entry in target.service_entries:
                    print(f"serviceentry.networking.istio.io/{neutralise(entry)}")
        else:
            from egressctl.report.picture import pictures

            for target in self.targets:
                if target.probes or target.closure:
                    print_lines(pictures(target))

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
        )

    def remember_kubernetes(self) -> KubernetesInfo | None:
        """Say which Kubernetes cluster was asked, once and for all where reports want it; None where none was."""
        if self._kubernetes is None and self._mesh is not None and self.output.shown in ("json", "yaml"):
            try:
                self._kubernetes = self._mesh.info()
            except EgressctlError:
                self._kubernetes = KubernetesInfo(self._mesh.api.context, self._mesh.api.server, "")
        return self._kubernetes

    def print_instead(self, manifests: Sequence[Manifest]) -> None:
        """Print manifests in place of the report, as kubectl does for --dry-run=client -o yaml."""
        self._instead = manifests[0] if len(manifests) == 1 else {"apiVersion": "v1", "kind": "List", "items": list(manifests)}

    def repeat_by_hand(self, results: Sequence[TargetResult], limits: curl.Limits) -> None:
        """With -v, print the command lines that repeat each probe."""
        if self.output.verbosity < 1:
            return
        for probe in (probe for target in results for probe in (*target.probes, *target.closure)):
            if probe.source is not None:
                say(f"repeat {probe.probe.name}: {by_hand(probe, limits)}")


def by_hand(result: ProbeResult, limits: curl.Limits) -> str:
    """Return the line of kubectl and curl that repeats a probe."""
    from egressctl.curl import probe_argv

    assert result.source is not None
    where = ["kubectl", "exec", "-n", result.source.namespace, result.source.pod, "-c", result.source.container, "--"]
    return shlex.join([*where, *probe_argv([result.probe], limits)])


def conduct(session: Session, work: Any, **finish: Any) -> int:
    """Run a command's work with signals turned into clean endings; print the report whatever happens.

    `work` takes the Interrupts and returns further exit codes, or None.
    """
    from egressctl.interrupts import Interrupts

    with Interrupts() as interrupts:
        try:
            also = work(interrupts) or ()
        except EgressctlError as failure:
            return session.finish(failure=failure, **finish)
        except Interrupted as stop:
            return session.finish_interrupted(stop)
        return session.finish(also=also, **finish)


def choice_of(flags: SourceFlags) -> SourceChoice:
    """Return the flags of the source pod as the use cases take them."""
    return SourceChoice(flags.pod, flags.selector, flags.container, flags.revision)


def print_data(data: Any, output: str) -> None:
    """Print plain data as JSON or YAML on stdout."""
    if output == "json":
        print(json.dumps(data, indent=2, ensure_ascii=True))
    else:
        import yaml

        print(yaml.safe_dump(data, sort_keys=False, allow_unicode=True), end="")


def _lab_kubeconfig(progress: TerminalProgress) -> str:
    from egressctl.lab import control

    progress.step("starting the local lab, if it does not run yet")
    return str(control.up(os.environ.get("EGRESSCTL_LAB_NAME", "default")).kubeconfig)
