"""Which annotation keeps a connection from the sidecar, in the order of istio-iptables' rules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egressctl.mesh.pod_spec import interception_annotations
from egressctl.mesh.traffic_annotations import DECIDING_ANNOTATIONS, why_excluded

IP = "208.80.154.224"
PORTS, BLOCKS, OWN, TAKEN = DECIDING_ANNOTATIONS


@pytest.mark.parametrize(
    ("annotations", "said"),
    [
        ({}, ""),
        ({BLOCKS: "10.0.0.0/8, 208.80.154.224/27"}, "excludeOutboundIPRanges leaves out 208.80.154.224/27"),
        ({BLOCKS: "208.80.154.224"}, "excludeOutboundIPRanges leaves out 208.80.154.224/32"),
        ({BLOCKS: "10.0.0.0/8"}, ""),
        ({BLOCKS: "2620:0:861::/48,nonsense,"}, ""),
        ({PORTS: "80, 443"}, "excludeOutboundPorts leaves out port 443"),
        ({PORTS: "4430,44"}, ""),
        ({TAKEN: "*"}, ""),
        ({TAKEN: "208.80.152.0/22"}, ""),
        ({TAKEN: "10.0.0.0/8,172.16.0.0/12"}, "includeOutboundIPRanges takes in only 10.0.0.0/8, 172.16.0.0/12"),
        ({TAKEN: ""}, "includeOutboundIPRanges takes in no address"),
        ({TAKEN: "", OWN: "443"}, ""),
        ({TAKEN: "", OWN: "80"}, "includeOutboundIPRanges takes in no address"),
    ],
)
def test_the_annotation_that_leaves_an_address_and_port_out_is_named(annotations: dict[str, str], said: str) -> None:
    assert why_excluded(annotations, IP, 443) == (said and f"annotation traffic.sidecar.istio.io/{said}")


@pytest.mark.parametrize(
    ("annotations", "word"),
    [
        ({PORTS: "443", BLOCKS: "0.0.0.0/0"}, PORTS),
        ({PORTS: "443", OWN: "443"}, PORTS),
        ({BLOCKS: "0.0.0.0/0", OWN: "443"}, BLOCKS),
        ({BLOCKS: "208.80.0.0/16", TAKEN: "208.80.154.0/24"}, BLOCKS),
    ],
)
def test_of_several_the_first_rule_decides(annotations: dict[str, str], word: str) -> None:
    assert f"/{word} leaves out" in why_excluded(annotations, IP, 443)


@pytest.mark.parametrize("ip", ["127.0.0.1", "::1"])
def test_loopback_is_never_led_to_a_sidecar(ip: str) -> None:
    assert why_excluded({}, ip, 443) == f"{ip} is loopback, which never goes to a sidecar"
    assert "loopback" in why_excluded({OWN: "443"}, ip, 443)


@given(st.dictionaries(st.sampled_from(DECIDING_ANNOTATIONS), st.text(max_size=30)), st.ip_addresses(), st.integers(1, 65535))
def test_whatever_annotations_say_there_is_an_answer(annotations: dict[str, str], ip: object, port: int) -> None:
    assert isinstance(why_excluded(annotations, str(ip), port), str)


def test_a_pods_annotations_are_read_by_their_last_word() -> None:
    annotations = {
        f"traffic.sidecar.istio.io/{BLOCKS}": "10.0.0.0/8",
        "traffic.sidecar.istio.io/excludeInterfaces": "eth1",
        "x": "y",
    }
    assert interception_annotations({"metadata": {"name": "web", "annotations": annotations}}) == {BLOCKS: "10.0.0.0/8"}
    assert interception_annotations({"metadata": {"name": "web"}}) == {}
