"""What a Sidecar resource leaves a sidecar, and which of several applies."""

from __future__ import annotations

from typing import Any

import pytest

from egressctl.istio.sidecar_scope import ImportScope
from egressctl.lab.dataplane.names import ALLOW_ANY, REGISTRY_ONLY
from egressctl.lab.dataplane.objects import SLEEP
from egressctl.lab.dataplane.scope import Scope, scope
from egressctl.lab.dataplane.services import registry, registry_in_scope

ALL, ONE, NOTHING = ImportScope.WHOLE, ImportScope.ONE_BLOCK, ImportScope.NOTHING


def sidecar(name: str = "limit", namespace: str = "default", age: int = 0, **spec: Any) -> dict[str, Any]:
    created = f"2026-01-01T00:00:{age:02}Z"
    return {"metadata": {"name": name, "namespace": namespace, "creationTimestamp": created}, "spec": spec}


def egress(*hosts: str) -> dict[str, Any]:
    return {"egress": [{"hosts": list(hosts)}]}


def applied(*sidecars: dict[str, Any], policy: str = REGISTRY_ONLY) -> Scope:
    return scope(sidecars, SLEEP, policy)


@pytest.mark.parametrize(
    ("hosts", "host", "namespace", "shown"),
    [
        (["*/*"], "a.example", "other", ALL),
        (["./*"], "a.example", "default", ALL),
        (["./*"], "a.example", "other", NOTHING),
        (["other/*"], "a.example", "other", ALL),
        (["~/*"], "a.example", "default", NOTHING),
        (["./a.example"], "a.example", "default", ONE),
        (["default/a.example"], "a.example", "default", ONE),
        (["./a.example"], "b.example", "default", NOTHING),
        (["*/a.example"], "a.example", "default", ALL),
        (["./*.example"], "a.example", "default", ALL),
        (["./*.example"], "*.a.example", "default", ALL),
        (["./a.example"], "*.example", "default", NOTHING),
        (["./a.example", "*/*"], "a.example", "default", ALL),
        (["a.example"], "a.example", "default", NOTHING),
        ([], "a.example", "default", NOTHING),
    ],
)
def test_egress_hosts_say_what_is_shown(hosts: list[str], host: str, namespace: str, shown: ImportScope) -> None:
    assert applied(sidecar(**egress(*hosts))).shown(host, namespace) is shown


@pytest.mark.parametrize("spec", [{}, {"egress": []}, {"egress": None}, {"egress": "all"}])
def test_without_egress_everything_is_shown(spec: dict[str, Any]) -> None:
    assert applied(sidecar(**spec)).shown("a.example", "other") is ALL


def test_one_that_selects_the_pod_goes_before_its_namespaces_and_that_before_the_root_namespaces() -> None:
    root = sidecar("root", "istio-system", **egress("./root.example"))
    general = sidecar("general", age=1, **egress("./general.example"))
    own = sidecar("own", age=2, workloadSelector={"labels": {"app": "sleep"}}, **egress("./own.example"))
    for sidecars, expected in (((root,), "root"), ((root, general), "general"), ((root, general, own), "own")):
        assert applied(*sidecars).imports[0].hosts == (("default", f"{expected}.example"),)


def test_of_two_the_older_applies() -> None:
    found = applied(sidecar("b", age=1, **egress("./old.example")), sidecar("a", age=2, **egress("./new.example")))
    assert found.imports[0].hosts == (("default", "old.example"),)


@pytest.mark.parametrize(
    "foreign",
    [
        sidecar(namespace="other", **egress("./*")),
        sidecar(workloadSelector={"labels": {"app": "web"}}, **egress("./*")),
        sidecar(namespace="istio-system", workloadSelector={"labels": {"app": "sleep"}}, **egress("./*")),
    ],
)
def test_one_of_other_pods_does_not_apply(foreign: dict[str, Any]) -> None:
    assert applied(foreign).shown("a.example", "other") is ALL


@pytest.mark.parametrize("mesh", [REGISTRY_ONLY, ALLOW_ANY])
@pytest.mark.parametrize(
    ("said", "expected"), [({"mode": ALLOW_ANY}, ALLOW_ANY), ({"mode": REGISTRY_ONLY}, REGISTRY_ONLY), ({}, REGISTRY_ONLY)]
)
def test_its_policy_goes_before_the_meshs(mesh: str, said: dict[str, str], expected: str) -> None:
    assert applied(sidecar(outboundTrafficPolicy=said), policy=mesh).policy == expected
    assert applied(sidecar(), policy=mesh).policy == mesh


def test_a_listener_of_a_port_of_its_own_is_told() -> None:
    found = applied(sidecar(egress=[{"port": {"number": 9080}, "hosts": ["*/*"]}, {"hosts": ["./*"]}]))
    assert found.imports[0].hosts == (("default", "*"),)
    assert found.notes == ("Sidecar default/limit: the lab does not know egress listeners of a port of their own",)


def test_an_exact_host_keeps_one_address_of_all_its_entries_and_which_one_only_a_new_uid_changes() -> None:
    def kept(uid: str) -> list[str]:
        ports = [{"number": 443, "name": "tcp", "protocol": "TCP"}]
        entries = [
            {
                "metadata": {"name": name, "namespace": "default", "uid": f"{uid}-{name}"},
                "spec": {"hosts": ["a.example"], "addresses": addresses, "ports": ports},
            }
            for name, addresses in (
                ("one", ["192.0.2.0/25", "192.0.2.128/25"]),
                ("two", ["198.51.100.0/25", "198.51.100.128/25"]),
            )
        ]
        found = registry_in_scope(registry(entries, "default"), applied(sidecar(**egress("./a.example"))), "default")
        return [str(network) for service in found.services for network in service.networks]

    assert all(len(kept(f"uid-{number}")) == 1 for number in range(20))
    assert kept("uid-0") == kept("uid-0")
    assert len(set[str]().union(*(kept(f"uid-{number}") for number in range(20)))) > 1
