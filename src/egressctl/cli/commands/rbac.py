"""`egressctl rbac`: the least Role and binding that commands need."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from egressctl.errors import InvalidInput, NoConfiguration

if TYPE_CHECKING:
    from egressctl.model.entry import Manifest


def command(
    commands: Annotated[list[str] | None, typer.Argument(metavar="COMMAND", show_default=False)] = None,
    namespace: Annotated[
        str, typer.Option("--namespace", "-n", metavar="NAME", help="Namespace of the rights. [default: the context's]")
    ] = "",
    all_namespaces: Annotated[bool, typer.Option("--all-namespaces", "-A", help="Rights in every namespace.")] = False,
    user: Annotated[str, typer.Option("--user", metavar="NAME", help="User who gets the rights.")] = "",
    group: Annotated[str, typer.Option("--group", metavar="NAME", help="Group that gets the rights.")] = "",
    account: Annotated[
        str, typer.Option("--serviceaccount", metavar="[NAMESPACE:]NAME", help="ServiceAccount that gets the rights.")
    ] = "",
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="Name of the Role and of its binding.")] = "egressctl",
    with_source: Annotated[bool, typer.Option("--with-source", help="Add the rights that --with-source needs.")] = False,
    pod: Annotated[bool, typer.Option("--pod", help="Add the rights that --pod NAME needs.")] = False,
    causes: Annotated[bool, typer.Option("--causes", help="Add the rights to read what else may cause a verdict.")] = False,
    log: Annotated[bool, typer.Option("--log", help="Add the right to read the sidecar's access log.")] = False,
    output: Annotated[str, typer.Option("--output", "-o", metavar="FORMAT", help="yaml or json.")] = "yaml",
) -> int:
    """Print the smallest Role, and its RoleBinding, for create, verify, cleanup and run, or only for the commands you name.

    It does not use a Kubernetes cluster. Without --user, --group or --serviceaccount the ServiceAccount egressctl of the
    namespace gets the rights. With -A it is a ClusterRole, for all namespaces.

    \b
    Examples:
      egressctl rbac | kubectl apply -f -
      egressctl rbac verify -n shop --user jane
      egressctl rbac run --with-source --serviceaccount ci:runner
      egressctl rbac -A --causes --group platform
    """
    from egressctl.kube import rbac as rights  # imported late: 21 ms
    from egressctl.manifests.formats import is_label

    if output not in ("yaml", "json"):
        raise InvalidInput(f"--output {output}: rbac prints yaml or json")
    if sum(map(bool, (user, group, account))) > 1:
        raise InvalidInput("--user, --group and --serviceaccount: rights are given to one of them")
    if all_namespaces and namespace:
        raise InvalidInput("-A and -n: rights are for all namespaces or for one")
    here = namespace or _context_namespace()
    if not is_label(here):
        raise InvalidInput(f"--namespace {here}: a namespace is named with up to 63 small letters, digits and inner hyphens")
    if user or group:
        subject = rights.Subject("User" if user else "Group", user or group)
    else:
        place, _, last = account.rpartition(":")
        subject = rights.Subject("ServiceAccount", last or rights.NAME, place or here)
    flags = (("with-source", with_source), ("pod", pod), ("causes", causes), ("log", log))
    extras = [each for each, wanted in flags if wanted]
    rules = rights.rules_needed(commands or rights.DEFAULT, extras)
    _print(rights.role_and_binding(rules, subject, name=name, namespace=None if all_namespaces else here), output)
    return 0


def _context_namespace() -> str:
    """Return the namespace of the kubeconfig's context, `default` where there is none: anyone who writes a Role may have none."""
    from egressctl.kube.config import ConnectOptions, connect  # imported late: 32 ms

    try:
        return connect(ConnectOptions()).namespace
    except NoConfiguration:
        return "default"


def _print(manifests: list[Manifest], output: str) -> None:
    if output == "json":
        print(json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests}, indent=2))
    else:
        import yaml  # imported late: 13 ms

        print(yaml.safe_dump_all(map(dict, manifests), sort_keys=False), end="")
