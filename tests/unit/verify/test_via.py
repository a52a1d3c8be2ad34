"""A way that is meant: `expect: {via: HOST}` holds a probe to the Envoy cluster of an egress gateway."""

from __future__ import annotations

import json

import pytest

from egressctl.catalog.targets import load_targets
from egressctl.envoy.counts import ClusterCounts, counts_between, parse_clusters
from egressctl.errors import InvalidInput
from egressctl.model.evidence import Capture, CurlOutcome, Evidence, Source, Walk
from egressctl.model.probe import Expectation, Probe, Verdict
from egressctl.verify.causes import Case
from egressctl.verify.ownership import owner_of_expected_host
from egressctl.verify.verdict import judge
from entries import WIKIPEDIA as ENTRY

GATEWAY = "istio-egressgateway.istio-system.svc.cluster.local"
THROUGH, OWN = f"outbound|443||{GATEWAY}", "outbound|443||wikipedia.org"
IP = "208.80.154.224"
PROBE = Probe("portal", "https://www.wikipedia.org", Expectation(via=GATEWAY))
TARGET = """
apiVersion: egressctl.dev/v1alpha1
kind: EgressTarget
metadata: {{name: wikipedia}}
spec:
  serviceEntry: {{hosts: [wikipedia.org], addresses: [208.80.154.224/27], ports: [{{number: 443, name: a, protocol: TCP}}]}}
  probes: [{{name: portal, url: "https://www.wikipedia.org", expect: {{via: {via}}}}}]
"""


def clusters(**connections: int) -> ClusterCounts:
    """The sidecar's Envoy clusters: the gateway's has endpoints of its own, whatever address was asked for."""

    def host(address: str, name: str, total: int) -> dict[str, object]:
        socket = {"socket_address": {"address": address, "port_value": 443}}
        return {"address": socket, "hostname": name, "stats": [{"name": "cx_total", "value": str(total)}]}

    gateway = [host(ip.replace("_", ".").removeprefix("ip"), "", total) for ip, total in connections.items()]
    statuses = [{"name": THROUGH, "eds_service_name": THROUGH, "host_statuses": gateway}]
    return parse_clusters(json.dumps({"cluster_statuses": statuses}))


BEFORE = clusters(ip10_244_1_9=7, ip10_244_2_9=3)


def judged(envoy_cluster: str, counted: bool) -> tuple[Verdict, bool]:
    walk = Walk("0.0.0.0_443", "", envoy_cluster, "208.80.154.224/27")
    evidence = Evidence(Capture.CAPTURED, walk=walk, owner=owner_of_expected_host(walk, GATEWAY), counted=counted)
    answer = CurlOutcome(0, "", 200, IP, 443, "10.244.0.5", 40000)
    source = Source("default", "sleep", "sleep", "istio-proxy")
    found = judge(Case(PROBE, source, answer, evidence, "wikipedia-ext", ENTRY))
    return found.verdict, found.held


def test_a_target_file_names_the_way() -> None:
    (target,) = load_targets(TARGET.format(via=GATEWAY), "targets.yaml")
    assert target.probes[0].expect.via == GATEWAY


@pytest.mark.parametrize("via", ["'*.istio-system.svc.cluster.local'", "https://gateway", "5", "''", "10.0.0.1"])
def test_a_way_is_a_host(via: str) -> None:
    with pytest.raises(InvalidInput, match="via"):
        load_targets(TARGET.format(via=via), "targets.yaml")


def test_the_gateways_envoy_cluster_is_open() -> None:
    assert judged(THROUGH, counted=True) == (Verdict.OPEN, True)


def test_the_entrys_own_envoy_cluster_is_bypassed() -> None:
    assert judged(OWN, counted=True) == (Verdict.BYPASSED, False)


def test_a_gateway_that_did_not_count_it_proves_nothing() -> None:
    assert judged(THROUGH, counted=False) == (Verdict.UNPROVEN, False)


def test_a_gateways_endpoints_count_for_whatever_address_was_asked_for() -> None:
    assert counts_between(BEFORE, clusters(ip10_244_1_9=7, ip10_244_2_9=4), THROUGH, IP, 443).opened == 1
    assert counts_between(BEFORE, clusters(ip10_244_1_9=7, ip10_244_2_9=3), THROUGH, IP, 443).opened == 0
