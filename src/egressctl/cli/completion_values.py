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


class TypedLine(NamedTuple):
    """What is known of the line: the command with its subcommand, flags' values by their longest name, the unfinished word."""

    command: str
    flags: Mapping[str, str]
    unfinished: str = ""


TIMEOUT_SECONDS = 2.0
"""Nobody waits longer for a Tab."""


def mesh_and_namespace(flags: Mapping[str, str]) -> tuple[Mesh, str]:
    """Return the mesh and the namespace that the flags, by their long names, lead to. Raises what connect raises."""
    from egressctl.cli.options import ConnectionFlags  # imported late: 42 ms
    from egressctl.cli.session import connect_mesh

    names = ("kubeconfig", "context", "cluster", "user", "server", "token", "namespace")
    typed: dict[str, Any] = {name: flags.get(f"--{name}", "") for name in names}
    connection = ConnectionFlags(**typed, as_user=flags.get("--as", ""), request_timeout=TIMEOUT_SECONDS)
    kubeconfig = connection.kubeconfig
    if "--lab" in flags:
        from egressctl.lab.state import locate  # imported late: 18 ms

        kubeconfig = str(locate(os.environ.get("EGRESSCTL_LAB_NAME", "default")).kubeconfig)  # which is not started for it
    mesh = connect_mesh(connection, kubeconfig, "egressctl")
    return mesh, connection.namespace or mesh.api.namespace or "default"


def _targets(line: TypedLine) -> Iterable[Candidate]:
    """Give the targets of the catalogue; of a family its name with a slash, and its own targets once that is typed."""
    from egressctl.catalog import lookup  # imported late: 63 ms
    from egressctl.cli.options import catalog_folders
    from egressctl.errors import EgressctlError

    try:
        folders = catalog_folders([line.flags["--catalog"]] if line.flags.get("--catalog") else None)
        family, slash, _ = line.unfinished.partition("/")
        if slash and (whole := lookup.find_family(family, folders)) is not None:
            return [Candidate(f"{family}/{each}", "target of the catalogue") for each in whole.members]
        return [Candidate(each, "target of the catalogue") for each in lookup.catalog_names(folders)]
    except EgressctlError:
        return []


def _from_server(look: Callable[[Any, str, TypedLine], Iterable[Candidate]]) -> Callable[[TypedLine], Iterable[Candidate]]:
    """Make a source of names on the Kubernetes cluster; where that cannot be asked at once, it has none."""

    def source(line: TypedLine) -> Iterable[Candidate]:
        try:
            mesh, namespace = mesh_and_namespace(line.flags)
            return list(look(mesh, namespace, line))
        except Exception:  # whatever is wrong, a Tab is not the place to say it
            return []

    return source


def _is_all_namespaces(line: TypedLine) -> bool:
    return bool({"--all-namespaces", "-A"} & line.flags.keys())


@_from_server
def _created_targets(mesh: Any, namespace: str, line: TypedLine) -> Iterable[Candidate]:
    from egressctl.manifests.service_entry import read_entry, target_of  # imported late: 52 ms
    from egressctl.mesh.client import MANAGED_SELECTOR

    for manifest in mesh.entries(None if _is_all_namespaces(line) else namespace, MANAGED_SELECTOR):
        entry = read_entry(manifest)
        yield Candidate(target_of(manifest), f"{entry.name}, {', '.join(entry.hosts)}")


@_from_server
def _entries(mesh: Any, namespace: str, _: TypedLine) -> Iterable[Candidate]:
    from egressctl.manifests.service_entry import read_entry  # imported late: 35 ms

    for entry in map(read_entry, mesh.entries(namespace)):
        yield Candidate(f"serviceentry/{entry.name}", ", ".join(entry.hosts))


@_from_server
def _pods(mesh: Any, namespace: str, _: TypedLine) -> Iterable[Candidate]:
    for pod in mesh.api.list(f"/api/v1/namespaces/{namespace}/pods")["items"]:
        yield Candidate(str(pod["metadata"]["name"]), str((pod.get("status") or {}).get("phase", "")))


@_from_server
def _containers(mesh: Any, namespace: str, line: TypedLine) -> Iterable[Candidate]:
    wanted = line.flags.get("--pod", "").removeprefix("pod/")
    for pod in mesh.api.list(f"/api/v1/namespaces/{namespace}/pods")["items"]:
        if not wanted or pod["metadata"]["name"] == wanted:
            yield from (Candidate(str(each["name"])) for each in pod["spec"]["containers"])


@_from_server
def _namespaces(mesh: Any, _: str, __: TypedLine) -> Iterable[Candidate]:
    return [Candidate(str(each["metadata"]["name"])) for each in mesh.api.list("/api/v1/namespaces")["items"]]


def _from_kubeconfig(kind: str) -> Callable[[TypedLine], Iterable[Candidate]]:
    def source(line: TypedLine) -> Iterable[Candidate]:
        from egressctl.errors import EgressctlError  # imported late: 31 ms
        from egressctl.kube.kubeconfig import kubeconfig_files, merge_kubeconfigs, read_kubeconfig

        try:
            paths = kubeconfig_files(line.flags.get("--kubeconfig"), os.environ)
            return [Candidate(name) for name in merge_kubeconfigs([(path, read_kubeconfig(path)) for path in paths])[kind]]
        except (EgressctlError, OSError):
            return []

    return source


def _verdicts(_: TypedLine) -> Iterable[Candidate]:
    from egressctl.model.probe import Verdict  # imported late: 13 ms

    return [Candidate(str(each)) for each in Verdict]


def _output_formats(line: TypedLine) -> Iterable[Candidate]:
    from egressctl.cli.options import OutputFlags  # imported late: 59 ms
    from egressctl.report.lint_formats import FORMATS

    of_command = {**dict.fromkeys(("create", "verify", "cleanup", "run", "demo"), OutputFlags.REPORTS), "lint": FORMATS}
    return [Candidate(each) for each in of_command.get(line.command, OutputFlags.FORMATS)]


def _rules(_: TypedLine) -> Iterable[Candidate]:
    from egressctl.lint.rule import RULES  # imported late: 32 ms

    return [Candidate(name, rule.meaning) for name, rule in RULES.items()]


def _fixed_values(*values: str) -> Callable[[TypedLine], Iterable[Candidate]]:
    return lambda _: [Candidate(each) for each in values]


def _from_manifest_formats(attribute: str) -> Callable[[TypedLine], Iterable[Candidate]]:
    def source(_: TypedLine) -> Iterable[Candidate]:
        from egressctl.manifests import formats  # imported late: 26 ms

        return [Candidate(each) for each in getattr(formats, attribute)]

    return source


def _rbac_commands(_: TypedLine) -> Iterable[Candidate]:
    from egressctl.kube.rbac import RIGHTS  # imported late: 13 ms

    return [Candidate(each) for each in RIGHTS]


def _labs(line: TypedLine) -> Iterable[Candidate]:
    """Give the names of labs; rbac has a flag of the same name, which is any."""
    if not line.command.startswith("lab "):
        return []
    from egressctl.lab.inventory import list_labs  # imported late: 13 ms

    return [Candidate(each.paths.name, each.state) for each in list_labs()]


FLAGS: Mapping[str, Callable[[TypedLine], Iterable[Candidate]]] = {
    "--context": _from_kubeconfig("context"),
    "--cluster": _from_kubeconfig("cluster"),
    "--user": _from_kubeconfig("user"),
    "--namespace": _namespaces,
    "--entry-namespace": _namespaces,
    "--export-to": _namespaces,
    "--pod": _pods,
    "--container": _containers,
    "--expect": _verdicts,
    "--output": _output_formats,
    "--resolution": _from_manifest_formats("RESOLUTIONS"),
    "--location": _from_manifest_formats("LOCATIONS"),
    "--dry-run": _fixed_values("none", "client", "server"),
    "--select": _rules,
    "--ignore": _rules,
    "--policy": _fixed_values("REGISTRY_ONLY", "ALLOW_ANY"),
    "--name": _labs,
}
"""What may be the value of a flag."""

FILE_VALUES = frozenset({"FILE", "DIR", "FOLDER"})
"""What the help calls a value that is a file or a folder."""

ARGUMENTS: Mapping[str, tuple[Callable[[TypedLine], Iterable[Candidate]], ...]] = {
    "TARGET": (_targets,),
    "RULE": (_rules,),
    "verify": (_created_targets, _entries, _targets),
    "cleanup": (_created_targets,),
    "lint": (_targets, _entries),
    "catalog show": (_targets,),
    "catalog diff": (_targets,),
    "catalog refresh": (_targets,),
    "rbac": (_rbac_commands,),
    "lab logs": (_fixed_values("access", "envoy", "lab"),),
    "lab policy": (_fixed_values("REGISTRY_ONLY", "ALLOW_ANY"),),
    "completion": (_fixed_values("bash", "zsh", "fish"),),
}
"""What may be the argument of a command, by the command, else by what its help calls the argument."""

FILE_ARGUMENTS = frozenset({"lint", "snapshot", "compare"})
"""Commands whose argument may be a file."""
