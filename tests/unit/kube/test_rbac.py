"""The least rights: what a Role holds, whom it is bound to, and the command that grants what was missing."""

from __future__ import annotations

import pytest

from egressctl.errors import InvalidInput
from egressctl.kube.rbac import (
    DEFAULT,
    EXTRAS,
    RIGHTS,
    RbacRule,
    Subject,
    grant_command_for_right,
    role_and_binding,
    rules_needed,
)

CI = Subject("ServiceAccount", "egressctl", "default")


def test_the_rules_of_several_commands_are_their_union_with_each_resource_once() -> None:
    rules = rules_needed(["verify", "cleanup"])
    assert RbacRule("serviceentries.networking.istio.io", ("get", "list", "delete")) in rules
    assert len({rule.resource for rule in rules}) == len(rules)


@pytest.mark.parametrize("command", RIGHTS)
def test_no_command_may_more_than_all_of_them(command: str) -> None:
    every = {rule.resource: set(rule.verbs) for rule in rules_needed(RIGHTS)}
    assert all(set(rule.verbs) <= every[rule.resource] for rule in rules_needed([command]))


def test_no_rule_has_a_wildcard_or_reads_secrets() -> None:
    words = {word for rule in rules_needed(RIGHTS, EXTRAS) for word in (rule.resource, *rule.verbs)}
    assert not any("*" in word or "secret" in word for word in words)


def test_a_command_without_rights_is_told_with_those_that_have_some() -> None:
    with pytest.raises(InvalidInput) as wrong:
        rules_needed(["render"])
    assert "render" in str(wrong.value)
    assert "cleanup" in wrong.value.hint


def test_a_role_and_its_binding_are_of_one_namespace() -> None:
    made, binding = role_and_binding(rules_needed(["snapshot"]), CI, namespace="shop")
    assert made["rules"] == [{"apiGroups": ["networking.istio.io"], "resources": ["serviceentries"], "verbs": ["list"]}]
    assert made["metadata"] == binding["metadata"] == {"name": "egressctl", "namespace": "shop"}
    assert binding["roleRef"]["kind"] == "Role"
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "egressctl", "namespace": "default"}]


def test_for_all_namespaces_they_are_of_none() -> None:
    made, binding = role_and_binding(rules_needed(DEFAULT), Subject("User", "jane"), namespace=None)
    assert (made["kind"], binding["kind"], made["metadata"]) == ("ClusterRole", "ClusterRoleBinding", {"name": "egressctl"})
    assert binding["subjects"] == [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "jane"}]


def test_a_subresource_is_named_as_rbac_does() -> None:
    made, _ = role_and_binding(rules_needed(["verify"]), CI, namespace="default")
    assert {"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["get", "create"]} in made["rules"]


@pytest.mark.parametrize(
    ("right", "command"),
    [
        (("create", "pods/exec", "shop", "jane"), "egressctl rbac -n shop --user jane | kubectl apply -f -"),
        (("create", "pods", "shop", "jane"), "egressctl rbac --with-source -n shop --user jane | kubectl apply -f -"),
        (("get", "deployments.apps", "shop", "a b"), "egressctl rbac --pod -n shop --user 'a b' | kubectl apply -f -"),
        (
            ("list", "serviceentries.networking.istio.io", "", "system:serviceaccount:ci:bot"),
            "egressctl rbac -A --serviceaccount ci:bot | kubectl apply -f -",
        ),
        (("get", "pods/exec", "shop", ""), "egressctl rbac -n shop --user USER | kubectl apply -f -"),
        (("impersonate", "users", "", "jane"), ""),
    ],
)
def test_the_command_that_grants_a_right(right: tuple[str, str, str, str], command: str) -> None:
    assert grant_command_for_right(*right) == command
