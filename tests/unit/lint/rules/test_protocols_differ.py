"""What istioctl warns of as IST0177."""

from __future__ import annotations

from typing import Any

import pytest

from egressctl.lint.api_server import istioctl_findings
from egressctl.lint.rule import ORIGIN_EGRESSCTL, RULES, Severity
from egressctl.lint.rules import addresses_advised
from egressctl.lint.rules.protocols_differ import RULE, check_documents
from egressctl.manifests.yaml_reader import Document
from entries import document


def test_what_cannot_be_read_is_nobodys_port() -> None:
    odd = document(ports=[None, {"number": "443", "protocol": "TLS"}, {"number": [443]}], hosts=[None, {}], exportTo="x")
    assert check_documents([odd, document("other", protocol="TCP")]) == []


def test_one_host_and_port_with_two_protocols_is_told_of_each_entry_once() -> None:
    one, other = document("one", protocol="TLS"), document("other", "mail", protocol="TCP", hosts=["a.b", "wikipedia.org"])
    found = check_documents([one, other])
    assert [(each.rule, each.file, str(each.about)) for each in found] == [
        (RULE.id, "one.yaml", "ServiceEntry mail/other"),
        (RULE.id, "other.yaml", "ServiceEntry shop/one"),
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
    assert len(check_documents([document("one", **one), document("other", **other)], "shop")) == told


def test_other_kinds_are_passed_over_and_the_findings_are_our_own_warnings() -> None:
    sidecar = Document(
        {"apiVersion": "networking.istio.io/v1", "kind": "Sidecar", "spec": document().value["spec"]}, "s.yaml", {}
    )
    found = istioctl_findings([document("one", protocol="TCP"), document("other"), sidecar])
    assert [each.rule for each in found] == [addresses_advised.RULE.id, RULE.id, RULE.id]
    assert {each.origin for each in found} == {ORIGIN_EGRESSCTL}
    assert all(RULES[each.rule].severity is Severity.WARNING and RULES[each.rule].origin == ORIGIN_EGRESSCTL for each in found)
