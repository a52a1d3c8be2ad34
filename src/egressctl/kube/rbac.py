"""The least rights that each command needs on the Kubernetes cluster, as RBAC's roles, and the command that grants one."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from typing import Any, NamedTuple

from egressctl.errors import InvalidInput
from egressctl.model.entry import Manifest

ENTRIES, PODS, EXEC, ACCOUNTS = "serviceentries.networking.istio.io", "pods", "pods/exec", "serviceaccounts"
DEPLOYMENTS = "deployments.apps"
SIDECARS, VIRTUAL_SERVICES = "sidecars.networking.istio.io", "virtualservices.networking.istio.io"
DESTINATION_RULES = "destinationrules.networking.istio.io"
GATEWAY_KINDS = tuple(f"{plural}.gateway.networking.k8s.io" for plural in ("httproutes", "tlsroutes", "backendtlspolicies"))
"""Of the Gateway API: a right to what is not served does no harm."""
LOG = "pods/log"
SERVICES, NAMESPACES, MESH_CONFIG = "services", "namespaces", "configmaps"
NAME = "egressctl"


class RbacRule(NamedTuple):
    """Verbs on one resource: its plural with subresource and group, as in `kubectl auth can-i`."""

    resource: str
    verbs: tuple[str, ...]
    names: tuple[str, ...] = ()
    """The only objects of that resource that are meant; none means any."""


# A patch of what is not there yet makes it, and Kubernetes asks for `create` as well then. An exec over WebSocket is a GET,
# and Kubernetes asks for `create` on pods/exec as well (measured with kube-apiserver 1.37.2).
_ASK = (RbacRule(PODS, ("list",)), RbacRule(EXEC, ("get", "create")))

RIGHTS: dict[str, tuple[RbacRule, ...]] = {
    "create": (RbacRule(ENTRIES, ("get", "list", "create", "patch")), *_ASK),
    "verify": (RbacRule(ENTRIES, ("get", "list")), *_ASK),
    "cleanup": (RbacRule(ENTRIES, ("get", "list", "delete")), RbacRule(ACCOUNTS, ("list",)), *_ASK),
    "run": (
        RbacRule(ENTRIES, ("get", "list", "create", "patch", "delete")),
        RbacRule(PODS, ("list",)),
        RbacRule(ACCOUNTS, ("list",)),
        RbacRule(EXEC, ("get", "create")),
    ),
    "list": (RbacRule(ENTRIES, ("list",)), RbacRule(PODS, ("list",)), RbacRule(ACCOUNTS, ("list",))),
    # A dry run needs the rights of what it would do.
    "diff": (RbacRule(ENTRIES, ("get", "list", "create", "patch")),),
    "lint": (RbacRule(ENTRIES, ("get", "list")),),
    "snapshot": (RbacRule(ENTRIES, ("list",)),),
    "explain": (RbacRule(ENTRIES, ("list",)), *_ASK),
}
"""What each command asks for, in the namespace of the entry and of the source pod."""

EXTRAS: dict[str, tuple[RbacRule, ...]] = {
    "with-source": (
        RbacRule(PODS, ("get", "list", "create", "patch", "delete")),
        RbacRule(ACCOUNTS, ("get", "list", "create", "patch", "delete")),
    ),
    "pod": (RbacRule(PODS, ("get",)), RbacRule(DEPLOYMENTS, ("get",))),
    "log": (RbacRule(LOG, ("get",)),),
    "causes": (
        *(RbacRule(each, ("list",)) for each in (SIDECARS, VIRTUAL_SERVICES, DESTINATION_RULES, SERVICES, NAMESPACES)),
        *(RbacRule(each, ("list",)) for each in GATEWAY_KINDS),
        RbacRule(MESH_CONFIG, ("get",), ("istio",)),
    ),
}
"""What flags of those commands also ask for: `--with-source`, and `--pod` with a name.

`causes` is what `create` and `lint` look at to name what is in an entry's way, `snapshot` to save it, and `verify` and
`explain` to name a cause: without it they work, and say what they could not look at. `log` is what `verify` reads of a
sidecar whose connection counts do not show what sent a probe: without it that probe stays `unproven`.
"""

REMOVE = RbacRule(ENTRIES, ("get", "delete"))
"""What deleting an entry and seeing it gone needs: `cleanup` asks for it before it deletes any."""

UNDO = (RbacRule(ENTRIES, ("list",)), REMOVE, RbacRule(PODS, ("list",)), RbacRule(ACCOUNTS, ("list",)))
"""What `run` needs to take back whatever it made: asked for before anything is made."""

DEFAULT = ("create", "verify", "cleanup", "run")


class Subject(NamedTuple):
    """Who is given the rights: `kind` is ServiceAccount, User or Group; only a ServiceAccount has a namespace."""

    kind: str
    name: str
    namespace: str = ""


def rules_needed(commands: Iterable[str], extras: Iterable[str] = ()) -> tuple[RbacRule, ...]:
    """Return the union of the rules of commands, a resource once; raise InvalidInput for a command that has none."""
    verbs: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for name in commands:
        if name not in RIGHTS:
            raise InvalidInput(f"{name} is no command that needs rights", hint="one or more of " + ", ".join(RIGHTS))
    for rule in [rule for name in commands for rule in RIGHTS[name]] + [rule for name in extras for rule in EXTRAS[name]]:
        kept = verbs.setdefault((rule.resource, rule.names), [])
        kept += [verb for verb in rule.verbs if verb not in kept]
    return tuple(RbacRule(resource, tuple(each), names) for (resource, names), each in verbs.items())


def role_and_binding(rules: Iterable[RbacRule], subject: Subject, *, name: str = NAME, namespace: str | None) -> list[Manifest]:
    """Return a Role and its RoleBinding in a namespace; for None a ClusterRole and its ClusterRoleBinding."""
    kind = "Role" if namespace else "ClusterRole"
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    group = {} if subject.kind == "ServiceAccount" else {"apiGroup": "rbac.authorization.k8s.io"}
    place = {"namespace": subject.namespace} if subject.namespace else {}
    return [
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": kind,
            "metadata": dict(metadata),
            "rules": [_rule_manifest(each) for each in rules],
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": f"{kind}Binding",
            "metadata": dict(metadata),
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name},
            "subjects": [{"kind": subject.kind, **group, "name": subject.name, **place}],
        },
    ]


def _rule_manifest(rule: RbacRule) -> dict[str, Any]:
    resource, _, group = rule.resource.partition(".")
    names = {"resourceNames": list(rule.names)} if rule.names else {}
    return {"apiGroups": [group], "resources": [resource], **names, "verbs": list(rule.verbs)}


def grant_command_for_right(verb: str, resource: str, namespace: str, user: str) -> str:
    """Return the command that gives a user this right, "" where it is none that a command of egressctl needs.

    `namespace` "" asks for the right in all of them; `user` "" is somebody unknown.
    """
    sets = {"": rules_needed(DEFAULT), **{f"--{name}": rules for name, rules in EXTRAS.items()}}
    flags = [name for name, rules in sets.items() if any(each.resource == resource and verb in each.verbs for each in rules)]
    if not flags:
        return ""
    return grant_command(list(filter(None, flags[:1])), namespace, user)


def grant_command(words: Iterable[str], namespace: str, user: str) -> str:
    """Return the command that gives a user the rights of commands and flags, empty arguments as for `grant_command_for_right`."""
    words = ["egressctl", "rbac", *words, *(["-n", namespace] if namespace else ["-A"])]
    account = user.removeprefix("system:serviceaccount:")
    if account != user:
        words += ["--serviceaccount", account]
    else:
        words += ["--user", user or "USER"]
    return f"{shlex.join(words)} | kubectl apply -f -"
