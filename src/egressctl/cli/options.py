"""Groups of flags that several commands share, each declared once, and the decorator that spreads them out."""

from __future__ import annotations

import copy
import dataclasses
import functools
import inspect
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from egressctl.errors import InvalidInput

if TYPE_CHECKING:
    from egressctl.mesh.source_pod import SourceChoice
    from egressctl.model.probe import Verdict


_LONGEST_DURATION = 7 * 24 * 3600.0


def parse_duration(text: str | float) -> float:
    """Read a Go duration (`30s`, `1m30s`, `500ms`) or a bare number of seconds, a week at most. Raises typer.BadParameter."""
    import durationpy  # imported late: 2 ms

    if isinstance(text, float):
        return text
    try:
        found = float(text) if text.replace(".", "", 1).isdigit() else float(durationpy.from_str(text).total_seconds())
    except (durationpy.DurationError, ValueError, OverflowError):
        raise typer.BadParameter(f"{text!r} is no duration; write it as 30s, 1m30s or 500ms") from None
    if found < 0:
        raise typer.BadParameter(f"{text!r} is a negative duration; write it as 30s, 1m30s or 500ms")
    if found > _LONGEST_DURATION:
        raise typer.BadParameter(f"{text[:40]!r} is longer than a week; write it as 30s, 1m30s or 500ms")
    return found


def parse_expected_verdict(text: str) -> Verdict | None:
    """Read --expect. Raises InvalidInput."""
    from egressctl.model.probe import Verdict  # imported late: 5 ms

    if not text:
        return None
    try:
        return Verdict(text)
    except ValueError:
        raise InvalidInput(f"--expect {text}: no such verdict", hint="one of " + ", ".join(Verdict)) from None


def parse_dry_run(mode: str) -> str:
    """Read --dry-run of a command that changes something on the Kubernetes cluster. Raises InvalidInput."""
    modes = ("none", "client", "server")
    if mode not in modes:
        raise InvalidInput(f"--dry-run {mode}: no such mode", hint="one of " + ", ".join(modes))
    return mode


TargetNames = Annotated[list[str] | None, typer.Argument(metavar="TARGET", show_default=False)]

DryRun = Annotated[
    str,
    typer.Option(
        "--dry-run",
        parser=parse_dry_run,
        metavar="none|client|server",
        help="Only show what would be done.",
        rich_help_panel="Apply",
    ),
]

Expect = Annotated[
    str, typer.Option("--expect", metavar="VERDICT", help="Verdict to expect of every probe. [default: the probe's own]")
]

Retries = Annotated[int, typer.Option("--retries", min=0, help="How often to try again after an unexpected answer.")]
"""A flag of the commands that expect something to be open: an expected denial is never asked for again."""


EntryNamespace = Annotated[
    str,
    typer.Option(
        "--entry-namespace",
        metavar="NAME",
        help="Namespace of the entry. [default: the source pod's, then those that export to it]",
    ),
]

CatalogFolders = Annotated[
    list[str] | None,
    typer.Option("--catalog", metavar="DIR", help="Folder with your own targets, repeatable. [default: EGRESSCTL_CATALOG]"),
]
"""The user's folders of targets, which come before what is built in."""

PublishedLists = Annotated[
    list[str] | None,
    typer.Option("--published", metavar="FILE", help="Read a saved list, do not fetch it; one for each list of the target."),
]
NoDns = Annotated[bool, typer.Option("--no-dns", help="Do not resolve the hosts of the probes.")]
"""Flags of the commands that compare the catalogue with what is published."""


def catalog_folders(flag: list[str] | None) -> list[str]:
    """Return the folders that are meant: those of the flag, else those of EGRESSCTL_CATALOG."""
    return flag or [each for each in os.environ.get("EGRESSCTL_CATALOG", "").split(os.pathsep) if each]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConnectionFlags:
    """Who to talk to, in kubectl's words."""

    HEADING = "Connection"

    kubeconfig: Annotated[str, typer.Option("--kubeconfig", metavar="FILE", help="Kubeconfig to use.")] = ""
    context: Annotated[str, typer.Option("--context", metavar="NAME", help="Context of the kubeconfig.")] = ""
    cluster: Annotated[str, typer.Option("--cluster", metavar="NAME", help="Cluster entry of the kubeconfig.")] = ""
    user: Annotated[str, typer.Option("--user", metavar="NAME", help="User entry of the kubeconfig.")] = ""
    server: Annotated[str, typer.Option("--server", metavar="URL", help="Address of the API server.")] = ""
    token: Annotated[str, typer.Option("--token", metavar="TOKEN", help="Bearer token for the API server.")] = ""
    as_user: Annotated[str, typer.Option("--as", metavar="USER", help="User to impersonate.")] = ""
    as_groups: Annotated[list[str], typer.Option("--as-group", metavar="GROUP", help="Group to impersonate, repeatable.")] = (
        dataclasses.field(default_factory=list)
    )
    namespace: Annotated[
        str, typer.Option("--namespace", "-n", metavar="NAME", help="Namespace of the source pod, and of a new entry.")
    ] = ""
    request_timeout: Annotated[
        float,
        typer.Option(
            "--request-timeout",
            parser=parse_duration,
            metavar="DURATION",
            show_default=False,
            help="Time limit of one request. [default: 30s]",
        ),
    ] = 30.0
    lab: Annotated[bool, typer.Option("--lab", help="Use the local lab; start it if it does not run.")] = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class SourceFlags:
    """Which pod sends the probes."""

    HEADING = "Source pod"

    pod: Annotated[str, typer.Option("--pod", metavar="NAME", help="Source pod: NAME, pod/NAME or deploy/NAME.")] = ""
    selector: Annotated[
        str, typer.Option("--selector", "-l", metavar="LABELS", help="Labels of the source pod. [default: app in (sleep,curl)]")
    ] = ""
    container: Annotated[str, typer.Option("--container", "-c", metavar="NAME", help="Container with curl.")] = ""
    revision: Annotated[str, typer.Option("--revision", metavar="NAME", help="Istio revision of the source pod.")] = ""

    @property
    def choice(self) -> SourceChoice:
        """The same as the use cases take it."""
        from egressctl.mesh.source_pod import SourceChoice  # imported late: 44 ms

        return SourceChoice(self.pod, self.selector, self.container, self.revision)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TargetFlags:
    """A target from a file or from flags."""

    HEADING = "Target"

    filename: Annotated[
        list[str], typer.Option("--filename", "-f", metavar="FILE", help="EgressTarget or ServiceEntry manifests; - is stdin.")
    ] = dataclasses.field(default_factory=list)
    catalog: CatalogFolders = None
    host: Annotated[list[str], typer.Option("--host", metavar="NAME", help="Host of a new target, repeatable.")] = (
        dataclasses.field(default_factory=list)
    )
    address: Annotated[
        list[str], typer.Option("--address", metavar="CIDR", help="Block or address, repeatable or with commas.")
    ] = dataclasses.field(default_factory=list)
    port: Annotated[list[str], typer.Option("--port", metavar="N[/PROTOCOL][:NAME]", help="Port, such as 443/TCP:tcp-port.")] = (
        dataclasses.field(default_factory=list)
    )
    resolution: Annotated[str, typer.Option("--resolution", metavar="NAME", help="[default: NONE]")] = ""
    location: Annotated[str, typer.Option("--location", metavar="NAME", help="[default: MESH_EXTERNAL]")] = ""
    export_to: Annotated[
        list[str],
        typer.Option(
            "--export-to", metavar="NAMESPACE", help="Namespaces that can use the entry: . is its own, * is all. [default: .]"
        ),
    ] = dataclasses.field(default_factory=list)
    probe: Annotated[list[str], typer.Option("--probe", metavar="URL", help="URL to test it with, repeatable.")] = (
        dataclasses.field(default_factory=list)
    )
    any_address: Annotated[
        bool, typer.Option("--any-address", help="Allow a TCP port without addresses, which opens the port to all addresses.")
    ] = False
    allow_internal: Annotated[
        bool, typer.Option("--allow-internal", help="Allow probes to the Kubernetes cluster's own names and addresses.")
    ] = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProbeFlags:
    """How the probes are sent and judged."""

    HEADING = "Probes"

    probe_timeout: Annotated[
        float,
        typer.Option(
            "--probe-timeout",
            parser=parse_duration,
            metavar="DURATION",
            show_default=False,
            help="Time limit of one probe. [default: 10s]",
        ),
    ] = 10.0
    allow_unproven: Annotated[bool, typer.Option("--allow-unproven", help="Pass, with a warning, where there is no proof.")] = (
        False
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class WaitFlags:
    """Whether to wait, and how long."""

    HEADING = "Wait"

    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until the sidecar has the change.")] = True
    timeout: Annotated[
        float,
        typer.Option(
            "--timeout",
            parser=parse_duration,
            metavar="DURATION",
            show_default=False,
            help="Time limit of each wait. [default: 60s]",
        ),
    ] = 60.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class ApplyFlags:
    """How an entry is applied."""

    HEADING = "Apply"

    field_manager: Annotated[str, typer.Option("--field-manager", metavar="NAME", help="[default: egressctl]")] = ""
    force_conflicts: Annotated[bool, typer.Option("--force-conflicts", help="Take fields over from other managers.")] = False
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Create it although it opens more than its name says.")] = False
    with_source: Annotated[bool, typer.Option("--with-source", help="Start Istio's sleep pod where there is no source pod.")] = (
        False
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class OutputFlags:
    """What is printed, and what is also written to files."""

    HEADING = "Output"

    output: Annotated[
        list[str],
        typer.Option(
            "--output",
            "-o",
            metavar="FORMAT[=FILE]",
            help="table, json, yaml or name; for probes also junit or tap; repeatable, each to a file.",
        ),
    ] = dataclasses.field(default_factory=lambda: ["table"])
    verbosity: Annotated[
        int, typer.Option("--verbosity", "-v", help="Show each probe's path, and the commands that repeat it.")
    ] = 0
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no hints, one line for each target.")] = False
    show_path: Annotated[bool, typer.Option("--show-path", help="Draw the path of every probe, as -v does.")] = False

    FORMATS = ("table", "json", "yaml", "name")
    REPORTS = (*FORMATS, "junit", "tap")
    """Those of a command that ends with a Report."""

    @property
    def shows_paths(self) -> bool:
        """Whether the path of every probe is drawn, and not only of what was not as expected."""
        return self.show_path or self.verbosity > 0

    @property
    def shown(self) -> str:
        """The format that goes to stdout: `table` where each that was asked for goes to a file."""
        return next((each for each in self.output if "=" not in each), "table")

    @property
    def files(self) -> tuple[tuple[str, str], ...]:
        """Format and path of each output that goes to a file."""
        return tuple((form, path) for form, equals, path in (each.partition("=") for each in self.output) if equals)

    @property
    def wanted(self) -> frozenset[str]:
        """Every format that was asked for, wherever it goes."""
        return frozenset((self.shown, *(form for form, _ in self.files)))

    def check(self, formats: Sequence[str] = FORMATS) -> None:
        """Raise InvalidInput for a format that is none of `formats`, a file without a name, or two formats for stdout."""
        for form, equals, path in (each.partition("=") for each in self.output):
            if form not in formats:
                raise InvalidInput(f"--output {form}: no such format", hint="one of " + ", ".join(formats))
            if equals and path in ("", "-"):
                raise InvalidInput(f"--output {form}=: the file has no name", hint=f"such as -o {form}=report.{form}")
        if len(plain := [each for each in self.output if "=" not in each]) > 1:
            raise InvalidInput(
                f"--output {plain[0]} and {plain[1]}: only one goes to stdout", hint=f"-o {plain[0]} -o {plain[1]}=FILE"
            )


def spread_flags(function: Callable[..., int]) -> Callable[..., int]:
    """Spread parameters that are groups of flags out into their fields, so that typer sees one flag a field."""
    hints = get_type_hints(function, include_extras=True)
    groups: dict[str, Any] = {name: hint for name, hint in hints.items() if dataclasses.is_dataclass(hint)}
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name not in groups:
            parameters.append(parameter.replace(annotation=hints[parameter.name]))
    for group in groups.values():
        fields = get_type_hints(group, include_extras=True)
        heading = getattr(group, "HEADING", "")
        parameters += [_parameter(each, fields[each.name], heading) for each in dataclasses.fields(group)]

    @functools.wraps(function)
    def spread(*args: Any, **flags: Any) -> int:
        gathered = {
            name: group(**{each.name: flags.pop(each.name) for each in dataclasses.fields(group)})
            for name, group in groups.items()
        }
        return function(*args, **flags, **gathered)

    spread.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    spread.__annotations__ = {each.name: each.annotation for each in parameters}
    return spread


def _parameter(each: dataclasses.Field[Any], annotation: Any, heading: str) -> inspect.Parameter:
    """Return a field as a parameter; the help shows its flag under the heading of its group."""
    default = each.default if each.default_factory is dataclasses.MISSING else each.default_factory()
    flag = copy.copy(annotation.__metadata__[0])
    flag.rich_help_panel = flag.rich_help_panel or heading or None
    return inspect.Parameter(
        each.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[annotation.__origin__, flag]
    )
