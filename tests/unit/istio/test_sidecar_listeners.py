"""Egress listeners of a Sidecar resource: whatever else than their hosts decides what a port gets."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from egressctl.istio.sidecar_listeners import EgressListener, egress_listeners
from egressctl.model.entry import Port
from entries import ENTRY, JSON, entry


def a_sidecar(*egress: object) -> dict[str, Any]:
    return {"metadata": {"name": "little", "namespace": "shop"}, "spec": {"egress": list(egress)}}


def test_what_they_say() -> None:
    own = {"hosts": ["./*", 7], "port": {"number": 443, "protocol": "tls"}, "bind": "127.0.0.1", "captureMode": "NONE"}
    assert egress_listeners(a_sidecar(own, {"hosts": ["*/*"]})) == (
        EgressListener(443, ("./*",), "TLS", "127.0.0.1", captured=False),
        EgressListener(0, ("*/*",)),
    )
    assert egress_listeners({"metadata": {}, "spec": {}}) == ()


@given(JSON)
def test_whatever_it_is_nothing_is_raised(anything: object) -> None:
    egress_listeners({"metadata": {}, "spec": anything})
    egress_listeners(a_sidecar(anything))


@pytest.mark.parametrize(
    ("hosts", "imported"), [(("./*",), True), (("*/a.example",), True), (("./b.example",), False), ((), False)]
)
def test_what_one_imports(hosts: tuple[str, ...], imported: bool) -> None:
    assert EgressListener(443, hosts).imports(ENTRY, "shop") is imported


@pytest.mark.parametrize(
    ("bind", "captured", "takes"),
    [("", True, True), ("0.0.0.0", True, True), ("192.0.2.1", True, True), ("127.0.0.1", True, False), ("", False, False)],
)
def test_which_connections_one_takes(bind: str, captured: bool, takes: bool) -> None:
    assert EgressListener(443, ("./*",), bind=bind, captured=captured).takes("192.0.2.1") is takes


def test_a_port_is_what_its_own_listener_declares() -> None:
    written = entry(ports=(Port(443, "TLS", "tls"), Port(80, "HTTP", "http")))
    declared = EgressListener(443, ("./*",), "TCP").as_declared(written)
    assert declared.ports == (Port(443, "TCP", "tls"), Port(80, "HTTP", "http"))
    assert declared.addresses == written.addresses
    assert EgressListener(443, ("./*",), bind="192.0.2.1").as_declared(written).addresses == ("192.0.2.1",)
    assert EgressListener(443, ("./*",)).as_declared(written) == written
