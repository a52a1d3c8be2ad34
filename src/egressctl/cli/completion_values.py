"""Where the names come from that a completion offers: the catalogue, the kubeconfig, and for a moment the Kubernetes cluster."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from egressctl.mesh.client import Mesh


class Candidate(NamedTuple):
    """What may be typed, and a few words on it."""

    value: str
    told: str = ""


class Line(NamedTuple):
    """What is known of the line: the command with its subcommand, flags' values by their longest name, the unfinished word."""

    command: str
    flags: Mapping[str, str]
    unfinished: str = ""


SECONDS = 2.0
"""Nobody waits longer for a Tab."""


def reach(flags: Mapping[str, str]) -> tuple[Mesh, str]:
    """Return the mesh and the namespace that the flags, by their long names, lead to. Raises what connect raises."""
    from egressctl.kube.config import ConnectOptions, connect
    from egressctl.mesh.client import Mesh

    kubeconfig = flags.get("--kubeconfig") or None
    if "--lab" in flags:
        from egressctl.lab.state import locate

        kubeconfig = str(locate(os.environ.get("EGRESSCTL_LAB_NAME", "default")).kubeconfig)  # which is not started for it
    options = ConnectOptions(
        kubeconfig=kubeconfig,
        context=flags.get("--context") or None,
        cluster=flags.get("--cluster") or None,
        user=flags.get("--user") or None,
        server=flags.get("--server") or None,
        token=flags.get("--token") or None,
        as_user=flags.get("--as") or None,
        request_timeout=SECONDS,
    )
    mesh = Mesh(connect(options))
    return mesh, flags.get("--namespace") or mesh.api.namespace or "default"


def _targets(line: Line) -> Iterable[Candidate]:
    """Give the targets of the catalogue; of a family its name with a slash, and its own targets once that is typed."""
    from egressctl.catalog import lookup
    from egressctl.cli.options import folders_of
    from egressctl.errors import EgressctlError

    try:
        folders = folders_of([line.flags["--catalog"]] if line.flags.get("--catalog") else None)
        family, slash, _ = line.unfinished.partition("/")
        if slash and (whole := lookup.family(family, folders)) is not None:
            return [Candidate(f"{family}/{each}", "target of the catalogue") for each in whole.members]
        return [Candidate(each, "target of the catalogue") for each in lookup.names(folders)]
    except EgressctlError:
        return []


def _live(look: Callable[[Any, str, Line], Iterable[Candidate]]) -> Callable[[Line], Iterable[Candidate]]:
    """Make a source of names on the Kubernetes cluster; where that cannot be asked at once, it has none."""

    def source(line: Line) -> Iterable[Candidate]:
        try:
            mesh, namespace = reach(line.flags)
            return list(look(mesh, namespace, line))
        except Exception:  # whatever is wrong, a Tab is not the place to say it
            return []

    return source


def _everywhere(line: Line) -> bool:
    return bool({"--all-namespaces", "-A"} & line.flags.keys())


@_live
def _made(mesh: Any, namespace: str, line: Line) -> Iterable[Candidate]:
    from egressctl.manifests.service_entry import LABEL_TARGET, read
    from egressctl.mesh.client import OURS

    for manifest in mesh.entries(None if _everywhere(line) else namespace, OURS):
        entry = read(manifest)
        labels = manifest["metadata"].get("labels") or {}
        yield Candidate(str(labels.get(LABEL_TARGET) or entry.name), f"{entry.name}, {', '.join(entry.hosts)}")


@_live
def _entries(mesh: Any, namespace: str, _: Line) -> Iterable[Candidate]:
    from egressctl.manifests.service_entry import read

    for entry in map(read, mesh.entries(namespace)):
        yield Candidate(f"serviceentry/{entry.name}", ", ".join(entry.hosts))


@_live
def _pods(mesh: Any, namespace: str, _: Line) -> Iterable[Candidate]:
    for pod in mesh.api.list(f"/api/v1/namespaces/{namespace}/pods")["items"]:
        yield Candidate(str(pod["metadata"]["name"]), str((pod.get("status") or {}).get("phase", "")))


@_live
def _containers(mesh: Any, namespace: str, line: Line) -> Iterable[Candidate]:
    wanted = line.flags.get("--pod", "").removeprefix("pod/")
    for pod in mesh.api.list(f"/api/v1/namespaces/{namespace}/pods")["items"]:
        if not wanted or pod["metadata"]["name"] == wanted:
            yield from (Candidate(str(each["name"])) for each in pod["spec"]["containers"])


@_live
def _namespaces(mesh: Any, _: str, __: Line) -> Iterable[Candidate]:
    return [Candidate(str(each["metadata"]["name"])) for each in mesh.api.list("/api/v1/namespaces")["items"]]


def _of_kubeconfig(kind: str) -> Callable[[Line], Iterable[Candidate]]:
    def source(line: Line) -> Iterable[Candidate]:
        from egressctl.errors import EgressctlError
        from egressctl.kube.kubeconfig import document, files, merge

        try:
            paths = files(line.flags.get("--kubeconfig"), os.environ)
            return [Candidate(name) for name in merge([(path, document(path)) for path in paths])[kind]]
        except (EgressctlError, OSError):
            return []

    return source


def _verdicts(_: Line) -> Iterable[Candidate]:
    from egressctl.model.probe import Verdict

    return [Candidate(str(each)) for each in Verdict]


def _formats(line: Line) -> Iterable[Candidate]:
    from egressctl.cli.options import Output
    from egressctl.report.lint_formats import FORMATS

    of_command = {**dict.fromkeys(("create", "verify", "cleanup", "run", "demo"), Output.REPORTS), "lint": FORMATS}
    return [Candidate(each) for each in of_command.get(line.command, Output.FORMATS)]


def _rules(_: Line) -> Iterable[Candidate]:
    from egressctl.lint.rules import RULES

    return [Candidate(name, rule.meaning) for name, rule in RULES.items()]


def _words(*values: str) -> Callable[[Line], Iterable[Candidate]]:
    return lambda _: [Candidate(each) for each in values]


def _names_of(attribute: str) -> Callable[[Line], Iterable[Candidate]]:
    def source(_: Line) -> Iterable[Candidate]:
        from egressctl.manifests import formats

        return [Candidate(each) for each in getattr(formats, attribute)]

    return source


def _commands(_: Line) -> Iterable[Candidate]:
    from egressctl.kube.rbac import RIGHTS

    return [Candidate(each) for each in RIGHTS]


FLAGS: Mapping[str, Callable[[Line], Iterable[Candidate]]] = {
    "--context": _of_kubeconfig("context"),
    "--cluster": _of_kubeconfig("cluster"),
    "--user": _of_kubeconfig("user"),
    "--namespace": _namespaces,
    "--export-to": _namespaces,
    "--pod": _pods,
    "--container": _containers,
    "--expect": _verdicts,
    "--output": _formats,
    "--resolution": _names_of("RESOLUTIONS"),
    "--location": _names_of("LOCATIONS"),
    "--dry-run": _words("none", "client", "server"),
    "--select": _rules,
    "--ignore": _rules,
    "--policy": _words("REGISTRY_ONLY", "ALLOW_ANY"),
}
"""What may be the value of a flag."""

FILE_FLAGS = frozenset({"--filename", "--kubeconfig", "--catalog", "--against", "--published"})
"""Flags whose value is a file or a folder."""

FREE_FLAGS = frozenset({
    "--server", "--token", "--as", "--as-group", "--request-timeout", "--selector", "--revision", "--host", "--address",
    "--port", "--probe", "--probe-timeout", "--timeout", "--retries", "--field-manager", "--api-version", "--around-address",
    "--verbosity", "--name", "--serviceaccount", "--group", "--parallel", "--checked",
    "--exclude-ip-ranges", "--exclude-ports",
})  # fmt: skip
"""Flags whose value nobody can know before it is typed."""

ARGUMENTS: Mapping[str, tuple[Callable[[Line], Iterable[Candidate]], ...]] = {
    "create": (_targets,),
    "verify": (_made, _entries, _targets),
    "cleanup": (_made,),
    "run": (_targets,),
    "render": (_targets,),
    "lint": (_targets, _entries),
    "diff": (_targets,),
    "catalog show": (_targets,),
    "catalog diff": (_targets,),
    "catalog refresh": (_targets,),
    "rbac": (_commands,),
    "lab logs": (_words("access", "envoy", "lab"),),
    "lab policy": (_words("REGISTRY_ONLY", "ALLOW_ANY"),),
    "completion": (_words("bash", "zsh", "fish"),),
}
"""What may be the argument of a command."""

FILE_ARGUMENTS = frozenset({"lint", "snapshot", "compare"})
"""Commands whose argument may be a file."""

FREE_ARGUMENTS = frozenset({"explain", "lab exec"})
"""Commands whose argument nobody can know before it is typed."""
