"""With what `egressctl rbac` prints everything runs; with one verb less, the error names it and the command that grants it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli import Cli, Ran, owned
from cluster.cluster import RealCluster
from egressctl.kube.rbac import RIGHTS, RbacRule, rules_needed
from labs import Lab, eventually

pytestmark = pytest.mark.parametrize("lab", ["kubernetes"], indirect=True)

RBAC = "/apis/rbac.authorization.k8s.io/v1/namespaces/default"
NEEDED = [RbacRule(rule.resource, (verb,)) for rule in rules_needed(["run"]) for verb in rule.verbs]
LISTED = RbacRule("serviceentries.networking.istio.io", ("list",))
EACH = [
    (command, RbacRule(rule.resource, (verb,)))
    for command in ("verify", "cleanup", "create", "diff")
    for rule in RIGHTS[command]
    for verb in rule.verbs
    if (command, rule.resource, verb) != ("verify", LISTED.resource, "list")
]
"""Every verb of every rule, by the command that needs it."""


@pytest.fixture
def account(lab: Lab, real: RealCluster) -> Iterator[Path]:
    """A kubeconfig of the ServiceAccount egressctl, which has no rights yet; they are taken away in the end."""
    yield real.service_account("egressctl")
    for kind in ("roles", "rolebindings"):
        real.api("DELETE", f"{RBAC}/{kind}/egressctl")
    assert eventually(lambda: real.api("GET", f"{RBAC}/roles/egressctl")[0] == 404)


def grant(real: RealCluster, printed: str, less: RbacRule | None = None) -> None:
    """Apply what `egressctl rbac` printed, but for one right."""
    for manifest in yaml.safe_load_all(printed):
        if less and "rules" in manifest:
            rules = [_without(rule, less) for rule in manifest["rules"]]
            manifest["rules"] = [rule for rule in rules if rule["verbs"]]
        kind = manifest["kind"].lower() + "s"
        status, answer = real.api("POST", f"{RBAC}/{kind}", manifest)
        assert status == 201, answer


def _without(rule: dict[str, Any], less: RbacRule) -> dict[str, Any]:
    resource = ".".join(filter(None, (rule["resources"][0], rule["apiGroups"][0])))
    return {**rule, "verbs": [verb for verb in rule["verbs"] if resource != less.resource or verb not in less.verbs]}


def may(real: RealCluster, right: RbacRule) -> bool:
    """Ask whether the ServiceAccount has a right; RBAC's rules take a moment to reach the authorizer."""
    resource, _, group = right.resource.partition(".")
    plural, _, sub = resource.partition("/")
    attributes = {"namespace": "default", "verb": right.verbs[0], "group": group, "resource": plural, "subresource": sub}
    review = {"spec": {"user": "system:serviceaccount:default:egressctl", "resourceAttributes": attributes}}
    return bool(real.post("/apis/authorization.k8s.io/v1/subjectaccessreviews", review)["status"]["allowed"])


def told(ran: Ran, right: RbacRule) -> None:
    """A right was missing: exit 3, the sentence that names it, and the command that grants it."""
    assert ran.code == 3, ran
    everything = " ".join((ran.stdout + ran.stderr).split())
    assert f"may not {right.verbs[0]} {right.resource} in namespace default" in everything
    assert "egressctl rbac -n default --" in everything


class TestTheLeastRole:
    def test_is_enough_for_everything(self, cli: Cli, lab: Lab, real: RealCluster, account: Path) -> None:
        grant(real, cli("rbac").stdout)
        assert eventually(lambda: all(may(real, each) for each in NEEDED))
        other = cli.at(account)
        for line in ("create wikipedia", "verify", "cleanup", "run wikipedia", "list"):
            ran = other(*shlex.split(line))
            assert ran.code == 0, ran
        assert owned(lab) == []

    def test_proves_open_although_other_namespaces_cannot_be_read(self, cli: Cli, real: RealCluster, account: Path) -> None:
        grant(real, cli("rbac", "create", "verify").stdout)
        assert eventually(
            lambda: all(
                may(real, RbacRule(each.resource, (verb,))) for each in rules_needed(["create", "verify"]) for verb in each.verbs
            )
        )
        assert cli.at(account)("create", "wikipedia").code == 0
        ran = cli.at(account)("verify", "-o", "json")
        assert (ran.code, ran.judged) == (0, [("open", None)] * 2)

    @pytest.mark.parametrize("right", NEEDED, ids=lambda right: f"{right.verbs[0]}-{right.resource.replace('/', '-')}")
    def test_less_one_right_run_says_which(self, cli: Cli, lab: Lab, real: RealCluster, account: Path, right: RbacRule) -> None:
        grant(real, cli("rbac").stdout, right)
        assert eventually(lambda: all(may(real, each) == (each != right) for each in NEEDED))
        told(cli.at(account)("run", "wikipedia"), right)
        assert owned(lab) == []

    @pytest.mark.parametrize(
        ("command", "right"),
        EACH,
        ids=lambda value: value if isinstance(value, str) else f"{value.verbs[0]}-{value.resource.replace('/', '-')}",
    )
    def test_less_one_right_each_command_says_which(
        self, cli: Cli, lab: Lab, real: RealCluster, account: Path, command: str, right: RbacRule
    ) -> None:
        if command not in ("create", "diff"):
            assert cli("create", "wikipedia").code == 0
        grant(real, cli("rbac", command).stdout, right)
        rules = [RbacRule(rule.resource, (verb,)) for rule in RIGHTS[command] for verb in rule.verbs]
        assert eventually(lambda: all(may(real, each) == (each != right) for each in rules))
        told(cli.at(account)(command, "wikipedia"), right)
        if right in [RbacRule("serviceentries.networking.istio.io", (verb,)) for verb in ("get", "list", "delete")]:
            assert owned(lab) == ([] if command in ("create", "diff") else ["serviceentry/wikipedia-ext"])

    def test_verify_without_the_list_has_no_proof(self, cli: Cli, real: RealCluster, account: Path) -> None:
        assert cli("create", "wikipedia").code == 0
        grant(real, cli("rbac", "verify").stdout, LISTED)
        assert eventually(lambda: may(real, RbacRule("pods/exec", ("create",))))
        ran = cli.at(account)("verify", "wikipedia", "-o", "json")
        assert (ran.code, ran.judged) == (4, [("unproven", "evidence-lost")] * 2)
        assert "listed" in ran.probes[0]["cause"]["message"]
