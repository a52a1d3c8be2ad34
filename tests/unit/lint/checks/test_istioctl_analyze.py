"""What istioctl's analyzers warn of: IST0134 and IST0177."""

from __future__ import annotations

from typing import Any

import pytest

from egressctl.istio.admission import webhook
from egressctl.lint.checks.istioctl_analyze import (
    ADDRESSES_ADVISED,
    PROTOCOLS_DIFFER,
    check_addresses_advised,
    check_protocols_differ,
    istioctl_findings,
)
from egressctl.lint.rules import ORIGIN_EGRESSCTL, RULES, Severity
from egressctl.manifests.yaml_reader import Document


def document(
    name: str = "it",
    namespace: str = "shop",
    protocol: str | None = "TLS",
    labels: dict[str, str] | None = None,
    status: dict[str, Any] | None = None,
    **spec: Any,
) -> Document:
    port = {"number": 443, "name": "p", **({} if protocol is None else {"protocol": protocol})}
    value = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "ServiceEntry",
        "metadata": {"name": name, "labels": labels or {}, **({"namespace": namespace} if namespace else {})},
        "spec": {"hosts": ["wikipedia.org"], "ports": [port], "resolution": "DNS", **spec},
        "status": status or {},
    }
    return Document(value, f"{name}.yaml", {(): 1, ("spec", "ports", 0): 7})


@pytest.mark.parametrize("protocol", ["TCP", "tcp", "", None])
def test_a_tcp_port_without_addresses_is_advised_to_have_some(protocol: str | None) -> None:
    [found] = check_addresses_advised(document(protocol=protocol))
    assert (found.rule, found.file, found.line, found.where) == (ADDRESSES_ADVISED, "it.yaml", 7, "spec.ports[0]")
    assert "IST0134" in found.message


@pytest.mark.parametrize(
    "other",
    [
        document(protocol="TLS"),
        document(protocol="TCP", addresses=["192.0.2.1"]),
        document(protocol="TCP", status={"addresses": [{"value": "240.240.0.1"}]}),
        document(protocol="TCP", resolution="NONE"),
        document(protocol="TCP", labels={webhook.AUTO_ALLOCATE_LABEL: "False"}),
        Document({"spec": "nonsense"}, "", {}),
    ],
    ids=["tls", "addresses", "addresses-of-istio", "the-api-server-warns-itself", "as-well-without-allocation", "no-spec"],
)
def test_nothing_else_is(other: Document) -> None:
    assert check_addresses_advised(other) == []


def test_a_port_of_which_the_api_server_does_not_warn_is_advised_without_an_allocation_too() -> None:
    [found] = check_addresses_advised(document(protocol="tcp", resolution="NONE"))
    assert found.where == "spec.ports[0]"


def test_what_cannot_be_read_is_nobodys_port() -> None:
    odd = document(ports=[None, {"number": "443", "protocol": "TLS"}, {"number": [443]}], hosts=[None, {}], exportTo="x")
    assert check_protocols_differ([odd, document("other", protocol="TCP")]) == []


def test_one_host_and_port_with_two_protocols_is_told_of_each_entry_once() -> None:
    one, other = document("one", protocol="TLS"), document("other", "mail", protocol="TCP", hosts=["a.b", "wikipedia.org"])
    found = check_protocols_differ([one, other])
    assert [(each.rule, each.file, str(each.about)) for each in found] == [
        (PROTOCOLS_DIFFER, "one.yaml", "ServiceEntry mail/other"),
        (PROTOCOLS_DIFFER, "other.yaml", "ServiceEntry shop/one"),
    ]
    assert "wikipedia.org has port 443 with protocol TLS here" in found[0].message
    assert "IST0177" in found[0].message


@pytest.mark.parametrize(
    ("one", "other", "told"),
    [
        ({"protocol": "tls"}, {"protocol": "TLS"}, 0),
        ({"protocol": None}, {"protocol": "TCP"}, 2),
        ({}, {"protocol": "TCP", "hosts": ["a.b"]}, 0),
        ({}, {"protocol": "TCP", "ports": [{"number": 444, "protocol": "TCP"}]}, 0),
        ({"exportTo": ["."]}, {"protocol": "TCP", "namespace": "mail", "exportTo": ["."]}, 0),
        ({"exportTo": ["mail"]}, {"protocol": "TCP", "namespace": "mail", "exportTo": ["."]}, 2),
        ({"exportTo": ["."]}, {"protocol": "TCP", "namespace": "mail"}, 2),
        ({"exportTo": ["."]}, {"protocol": "TCP", "namespace": "", "exportTo": ["."]}, 2),
    ],
    ids=["same", "unset", "other-host", "other-port", "other-scopes", "shared-scope", "one-public", "namespace-given"],
)
def test_what_differs_for_whom(one: dict[str, Any], other: dict[str, Any], told: int) -> None:
    assert len(check_protocols_differ([document("one", **one), document("other", **other)], "shop")) == told


def test_other_kinds_are_passed_over_and_the_findings_are_our_own_warnings() -> None:
    sidecar = Document(
        {"apiVersion": "networking.istio.io/v1", "kind": "Sidecar", "spec": document().value["spec"]}, "s.yaml", {}
    )
    found = istioctl_findings([document("one", protocol="TCP"), document("other"), sidecar])
    assert [each.rule for each in found] == [ADDRESSES_ADVISED, PROTOCOLS_DIFFER, PROTOCOLS_DIFFER]
    assert {each.origin for each in found} == {ORIGIN_EGRESSCTL}
    assert all(RULES[each.rule].severity is Severity.WARNING and RULES[each.rule].origin == ORIGIN_EGRESSCTL for each in found)
