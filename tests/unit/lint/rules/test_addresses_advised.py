"""What istioctl warns of as IST0134."""

from __future__ import annotations

import pytest

from egressctl.istio.admission import webhook
from egressctl.lint.rules.addresses_advised import RULE, check_document
from egressctl.manifests.yaml_reader import Document
from entries import document


@pytest.mark.parametrize("protocol", ["TCP", "tcp", "", None])
def test_a_tcp_port_without_addresses_is_advised_to_have_some(protocol: str | None) -> None:
    [found] = check_document(document(protocol=protocol))
    assert (found.rule, found.file, found.line, found.where) == (RULE.id, "it.yaml", 7, "spec.ports[0]")
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
    assert list(check_document(other)) == []


def test_a_port_of_which_the_api_server_does_not_warn_is_advised_without_an_allocation_too() -> None:
    [found] = check_document(document(protocol="tcp", resolution="NONE"))
    assert found.where == "spec.ports[0]"
