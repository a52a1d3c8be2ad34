"""Objects of any shape: what reads answers refuses one, or all that works with it can.

EGRESSCTL_TEST_SEED gives other changes, EGRESSCTL_TEST_MUTATIONS another number of them.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import pytest

from egressctl.errors import ApiFailure, InvalidInput, NoSourcePod
from egressctl.istio.conflict_index import ConflictIndex
from egressctl.istio.interference import find_conflicts_and_interference, hosts_with_tls_origination
from egressctl.istio.mesh_objects import MeshSettings, ObjectsOfKind, assemble_mesh_objects
from egressctl.kube.answers import parse_answer
from egressctl.kube.status import error_for_answer, parse_request
from egressctl.lifecycle.plan import field_manager_of
from egressctl.lint.live import findings_beside
from egressctl.manifests.service_entry import probes_of, read_entry
from egressctl.manifests.yaml_writer import write_yaml
from egressctl.mesh.snapshot.format import snapshot_files
from egressctl.mesh.source_pod import ANY_SOURCE, SourceChoice, choose_source
from egressctl.model.entry import Manifest
from egressctl.model.result import KubernetesInfo
from egressctl.verify.doctor import judge_injection, judge_validation
from egressctl.verify.select import verify_targets_from_manifests
from examples import EVERYTHING
from mutations import mutate

NUMBER = int(os.environ.get("EGRESSCTL_TEST_MUTATIONS") or (3000 if EVERYTHING else 60))
ISTIO = "networking.istio.io/v1"
METADATA = {
    "uid": "u",
    "namespace": "default",
    "labels": {"app": "sleep", "istio.io/rev": "a"},
    "annotations": {"sidecar.istio.io/status": '{"initContainers": ["istio-proxy"]}', "egressctl.dev/probes": "none"},
    "creationTimestamp": "2026-01-01T00:00:00Z",
    "resourceVersion": "7",
    "generation": 1,
    "managedFields": [{"manager": "kubectl", "operation": "Apply", "fieldsV1": {"f:spec": {}}}],
}
ENTRY = {
    "hosts": ["a.example", "*.b.example"],
    "addresses": ["192.0.2.0/24", "2001:db8::/32"],
    "ports": [
        {"number": 443, "name": "tls", "protocol": "TLS", "targetPort": 8443},
        {"number": 80, "name": "h", "protocol": "HTTP"},
    ],
    "location": "MESH_EXTERNAL",
    "resolution": "STATIC",
    "exportTo": [".", "other"],
    "endpoints": [{"address": "192.0.2.1", "network": "n", "ports": {"tls": 1}, "labels": {"a": "b"}}],
    "workloadSelector": {"labels": {"a": "b"}},
}
CONTAINER = {
    "name": "istio-proxy",
    "image": "proxyv2",
    "args": ["proxy", "sidecar"],
    "restartPolicy": "Always",
    "env": [{"name": "PROXY_CONFIG", "value": '{"proxyAdminPort":15001}'}, {"name": "HTTP_PROXY", "value": "x"}],
    "securityContext": {"runAsUser": 1337, "runAsGroup": 1337},
}
STATUS = {
    "name": "istio-proxy",
    "ready": False,
    "state": {"waiting": {"reason": "r"}},
    "lastState": {"terminated": {"exitCode": 1}},
}
ROUTE = [{"match": [{"sniHosts": ["a.example"]}], "route": [{"destination": {"host": "d.example", "port": {"number": 1}}}]}]
TLS = {"tls": {"mode": "SIMPLE"}}
SPECS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "serviceentries": (
        ISTIO,
        "ServiceEntry",
        {"spec": ENTRY, "status": {"addresses": [{"value": "240.240.0.1", "host": "a.example"}]}},
    ),
    "sidecars": (
        ISTIO,
        "Sidecar",
        {
            "spec": {
                "egress": [{"hosts": ["./a.example", "~/*"], "port": {"number": 443}}],
                "workloadSelector": {"labels": {"a": "b"}},
            }
        },
    ),
    "virtualservices": (
        ISTIO,
        "VirtualService",
        {"spec": {"hosts": ["*.example"], "gateways": ["mesh"], "exportTo": ["*"], "tls": ROUTE, "tcp": ROUTE, "http": ROUTE}},
    ),
    "destinationrules": (
        ISTIO,
        "DestinationRule",
        {
            "spec": {
                "host": "a.example",
                "exportTo": ["*"],
                "trafficPolicy": {**TLS, "portLevelSettings": [{"port": {"number": 443}, **TLS}]},
            }
        },
    ),
    "services": (
        "v1",
        "Service",
        {
            "spec": {
                "clusterIP": "192.0.2.9",
                "clusterIPs": ["192.0.2.9"],
                "ports": [{"port": 443, "name": "a", "protocol": "TCP"}],
            }
        },
    ),
    "pods": (
        "v1",
        "Pod",
        {
            "spec": {
                "containers": [{"name": "sleep", "image": "curl"}],
                "initContainers": [CONTAINER],
                "securityContext": {"runAsUser": 1},
                "hostNetwork": True,
            },
            "status": {
                "phase": "Running",
                "conditions": [{"type": "Ready", "status": "True", "message": "m"}],
                "containerStatuses": [{"name": "sleep", "ready": True, "state": {"running": {}}}],
                "initContainerStatuses": [STATUS],
            },
        },
    ),
    "namespaces": ("v1", "Namespace", {}),
    "validatingwebhookconfigurations": (
        "admissionregistration.k8s.io/v1",
        "ValidatingWebhookConfiguration",
        {"webhooks": [{"failurePolicy": "Fail", "rules": [{"apiGroups": ["networking.istio.io"]}]}]},
    ),
}
MINE = read_entry({"metadata": {"name": "mine", "namespace": "default"}, "spec": ENTRY})


def _listed(plural: str) -> tuple[str, dict[str, Any]]:
    """Return the path of a list, and what an API server answers there."""
    version, kind, body = SPECS[plural]
    metadata = {
        **METADATA,
        **({"namespace": "default"} if plural not in ("namespaces", "validatingwebhookconfigurations") else {}),
    }
    if plural in ("namespaces", "validatingwebhookconfigurations"):
        del metadata["namespace"]
    items = [
        {"apiVersion": version, "kind": kind, "metadata": {**metadata, "name": name, "uid": name}, **body} for name in ("a", "b")
    ]
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    return f"{root}/{plural}", {
        "apiVersion": version,
        "kind": f"{kind}List",
        "metadata": {"resourceVersion": "9"},
        "items": items,
    }


def _use_pods(pods: Sequence[Manifest]) -> None:
    for choice in (ANY_SOURCE, SourceChoice(pod="a"), SourceChoice(container="sleep", revision="a")):
        with suppress(NoSourcePod, InvalidInput):
            choose_source(pods, choice, "default")


def _use_objects(plural: str) -> Callable[[Sequence[Manifest]], None]:
    def use(items: Sequence[Manifest]) -> None:
        listed = {each: ObjectsOfKind(tuple(items) if each == plural else ()) for each in SPECS if each in _READ}
        around = assemble_mesh_objects(listed, "istio-system", None)
        for entry in (MINE, *around.entries):
            find_conflicts_and_interference(entry, around, "default")
        index = ConflictIndex(around.entries)
        for entry in around.entries:
            index.conflicts_of(entry, "default", 20)
        hosts_with_tls_origination(around.destination_rules)
        with suppress(ApiFailure):
            snapshot_files(listed, MeshSettings(), KubernetesInfo("c", "s", "v"), "2026-01-01T00:00:00Z")

    return use


def _use_entries(items: Sequence[Manifest]) -> None:
    _use_objects("serviceentries")(items)
    with suppress(InvalidInput):
        verify_targets_from_manifests(items)
    around = assemble_mesh_objects({"serviceentries": ObjectsOfKind(tuple(items))}, "istio-system", None)
    for each in items:
        findings_beside(read_entry(each), around, "default", manifest=each)
        write_yaml(each)
        field_manager_of(each)
        with suppress(InvalidInput):
            probes_of(each)


def _use_webhooks(items: Sequence[Manifest]) -> None:
    judge_validation(items)


def _use_namespaces(items: Sequence[Manifest]) -> None:
    _use_objects("namespaces")(items)
    for each in items:
        judge_injection(each)


_READ = ("serviceentries", "sidecars", "virtualservices", "destinationrules", "services", "namespaces")
USES: dict[str, Callable[[Sequence[Manifest]], None]] = {
    **{plural: _use_objects(plural) for plural in _READ},
    "serviceentries": _use_entries,
    "pods": _use_pods,
    "namespaces": _use_namespaces,
    "validatingwebhookconfigurations": _use_webhooks,
}


@pytest.mark.parametrize("plural", SPECS)
def test_what_is_not_refused_can_be_worked_with(plural: str) -> None:
    seed = int(os.environ.get("EGRESSCTL_TEST_SEED") or random.randrange(1 << 32))
    chance = random.Random(seed)
    path, whole = _listed(plural)
    what, written = parse_request("GET", path), json.dumps(whole).encode()
    assert parse_answer(written, what)[1] == ""
    taken = 0
    for number in range(NUMBER):
        content = mutate(written, chance)
        try:
            error_for_answer(chance.choice((400, 403, 404, 409, 422, 500)), content, what)
            value, instead = parse_answer(content, what)
            if not instead:
                taken += 1
                USES[plural](value.get("items") or ())
        except Exception as bug:
            raise AssertionError(f"EGRESSCTL_TEST_SEED={seed}, number {number}: {content[:3000]!r}") from bug
    assert 0 < taken < NUMBER
