"""What an API server with Istio refuses and warns of, against what a real one said of hundreds, and rule by rule."""

from __future__ import annotations

import json
import random
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import oddities
import recordings
from egressctl.istio.admission import webhook
from egressctl.istio.admission.mistakes import Mistake
from egressctl.lint.api_server import api_server_findings, is_service_entry
from egressctl.lint.rule import ORIGIN_ISTIO, RULES, Finding, Severity
from egressctl.manifests.yaml_reader import Document, parse_yaml

Manifest = dict[str, Any]


def entry(metadata: Manifest | None = None, version: str = "v1", **spec: Any) -> Manifest:
    manifest = {"apiVersion": f"networking.istio.io/{version}", "kind": "ServiceEntry"}
    return {**manifest, "metadata": {"name": "it", **(metadata or {})}, "spec": {"hosts": ["wikipedia.org"], **spec}}


def found(manifest: Manifest, namespace: str = "") -> list[Finding]:
    return api_server_findings(Document(manifest, "entry.yaml", {(): 1}), namespace)


def told(findings: list[Finding], severity: Severity) -> list[str]:
    return [each.message for each in findings if each.severity is severity]


def webhook_errors(message: str) -> list[str]:
    """Split what the webhook says of several mistakes."""
    text = message.partition("configuration is invalid: ")[2]
    several = re.match(r"\d+ errors occurred:\n", text)
    return [each.strip() for each in text[several.end() :].split("\t* ") if each.strip()] if several else [text.strip()]


class TestAgainstARealApiServer:
    def test_what_it_refuses_is_refused_and_nothing_else_is(self) -> None:
        asked = recordings.verdicts()
        refused = [bool(told(found(one["manifest"]), Severity.ERROR)) for one in asked]
        assert refused == [one["status"] != 201 for one in asked]
        assert refused.count(True) == 138

    def test_what_it_warns_of_is_warned_of_in_the_same_words(self) -> None:
        asked = recordings.verdicts()
        warned = [[f'299 - "{text}"' for text in dict.fromkeys(told(found(one["manifest"]), Severity.WARNING))] for one in asked]
        assert warned == [one["warnings"] for one in asked]
        assert sum(map(bool, warned)) == 11

    def test_what_its_webhook_refuses_is_told_in_the_same_words(self) -> None:
        asked = [one for one in recordings.verdicts() if (one["message"] or "").startswith("admission webhook")]
        ours = [sorted(each.strip() for each in told(found(one["manifest"]), Severity.ERROR)) for one in asked]
        assert ours == [sorted(webhook_errors(one["message"])) for one in asked]
        assert len(ours) > 40

    def test_what_its_definition_refuses_is_told_in_its_words(self) -> None:
        for one in recordings.verdicts():
            if one["status"] != 201 and not one["message"].startswith("admission webhook"):
                assert all(text in one["message"] for text in told(found(one["manifest"]), Severity.ERROR))


UDS: Manifest = {"resolution": "STATIC", "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}]}
TCP = {"number": 443, "name": "tcp", "protocol": "TCP"}
TLS = {"number": 443, "name": "tls", "protocol": "TLS"}

CASES: list[tuple[str, Manifest, str]] = [
    ("unserved-version", entry(version="v9"), '"networking.istio.io/v9" is no version that a ServiceEntry is served in'),
    ("unknown-field", entry(adresses=["192.0.2.1"]), 'unknown field "spec.adresses"'),
    ("unknown-field", {**entry(), "data": None}, 'unknown field "data"'),
    ("unknown-field", {**entry(), "spec": [{"a": 1}]}, 'unknown field "spec[0].a"'),
    ("invalid-metadata", entry({"name": "A"}), "a lowercase RFC 1123 subdomain must consist of"),
    ("invalid-metadata", entry({"name": ""}), "Required value: name or generateName is required"),
    ("invalid-metadata", entry({"labels": {"a": 1}}), "must be of type string"),
    ("invalid-metadata", entry({"labels": {"a b": None}}), "name part must consist of"),
    ("invalid-metadata", entry({"creationTimestamp": "today"}), "is no time of RFC 3339"),
    (
        "invalid-annotation",
        entry({"annotations": {webhook.DRY_RUN_ANNOTATION: "true"}}),
        "unsupported annotation istio.io/dry-run",
    ),
    ("invalid-annotation", entry({"annotations": {webhook.ALWAYS_REJECT_ANNOTATION: ""}}), "annotation found, rejecting"),
    ("wrong-type", entry(hosts="wikipedia.org"), "spec.hosts in body must be of type array"),
    ("wrong-type", entry(hosts=[None]), "spec.hosts[0] in body must be of type string"),
    ("wrong-type", entry(ports=[{**TLS, "number": 443.0}]), "expected int, got float64"),
    ("required-field", entry(ports=[{"number": 443}]), "Required value"),
    ("required-field", entry(hosts=None), "Required value"),
    ("required-field", entry(hosts=[]), "should have at least 1 items"),
    ("unknown-value", entry(resolution="none"), 'Unsupported value: "none"'),
    ("too-much", entry(hosts=["a.b"] * 257), "Too many: 257: must have at most 256 items"),
    ("too-much", entry(addresses=["é" * 65]), "Too long: may not be more than 64 bytes"),
    (
        "out-of-range",
        entry(resolution="STATIC", endpoints=[{"address": "192.0.2.1", "weight": -1}]),
        "greater than or equal to 0",
    ),
    ("invalid-host", entry(hosts=["*"]), "hostname cannot be wildcard"),
    ("invalid-host", entry(hosts=["a_b.com"]), 'domain name "a_b.com" invalid (label "a_b" invalid)'),
    ("invalid-host", entry(hosts=["192.0.2.1"]), 'domain name "0.2.1" invalid (top level domain "1" cannot be all-numeric)'),
    ("invalid-host", entry(hosts=[""]), "empty domain name not allowed"),
    (
        "host-with-resolution",
        entry(hosts=["*.wikipedia.org"], resolution="DNS"),
        "hosts must be FQDN or contain only prefix wildcards if no endpoints are provided for resolution mode DNS, "
        'domain name "*.wikipedia.org" invalid (label "*" invalid)',
    ),
    (
        "several-hosts",
        entry(hosts=["a.b", "c.d"], ports=[{"number": 1, "name": "a"}], resolution="DNS"),
        "multiple hosts provided with non-HTTP, non-TLS ports",
    ),
    ("invalid-address", entry(addresses=["192.0.2.0/33"]), "192.0.2.0/33 is not a valid CIDR block"),
    ("invalid-address", entry(addresses=["192.0.2.01"]), "192.0.2.01 is not a valid IP"),
    ("cidr-with-resolution", entry(addresses=["192.0.2.0/24"], resolution="DNS"), "allowed only for NONE/STATIC"),
    ("dynamic-dns", entry(resolution="DYNAMIC_DNS"), "host must be wildcarded"),
    ("dynamic-dns", entry(hosts=["*.a.b"], resolution="DYNAMIC_DNS", addresses=["192.0.2.1"]), "addresses cannot be set"),
    ("dynamic-dns", entry(hosts=["*.a.b"], resolution="DYNAMIC_DNS", endpoints=[{"address": "a.b"}]), "endpoints cannot be set"),
    ("dynamic-dns", entry(hosts=["*.a.b"], resolution="DYNAMIC_DNS", ports=[TCP]), "only HTTP, TLS, GRPC, and HTTP2"),
    (
        "dynamic-dns",
        entry({"labels": {webhook.WAYPOINT_LABEL: "w"}}, hosts=["*.a.b"], resolution="DYNAMIC_DNS", location="MESH_INTERNAL"),
        "is not supported when using waypoints",
    ),
    ("invalid-port-number", entry(ports=[{**TLS, "number": 0}]), "port must be between 1-65535"),
    ("invalid-port-number", entry(ports=[{**TLS, "targetPort": 65536}]), "port must be between 1-65535"),
    ("invalid-port-name", entry(ports=[{**TLS, "name": "tcp_port"}]), "invalid port name: tcp_port"),
    (
        "invalid-port-name",
        entry(resolution="STATIC", endpoints=[{"address": "192.0.2.1", "ports": {"a" * 63: 1}}]),
        "port name must be valid",
    ),
    ("duplicate-port", entry(ports=[TLS, {**TLS, "number": 444}]), 'Duplicate value: {"name":"tls"}'),
    ("duplicate-port", entry(ports=[TLS, {**TLS, "name": "other"}]), "port number cannot be duplicated"),
    ("unknown-protocol", entry(ports=[{**TLS, "protocol": "QUIC"}]), "unsupported protocol: QUIC"),
    ("endpoints-with-resolution", entry(endpoints=[]), "NONE mode cannot set endpoints"),
    (
        "endpoints-with-resolution",
        entry(resolution="DNS_ROUND_ROBIN", endpoints=[{"address": "a.b"}] * 2),
        "DNS_ROUND_ROBIN mode cannot have multiple endpoints",
    ),
    ("selector-and-endpoints", entry(resolution="STATIC", endpoints=[], workloadSelector={}), "only one of WorkloadSelector"),
    ("invalid-endpoint", entry(resolution="STATIC", endpoints=[{}]), "Address is required"),
    ("invalid-endpoint", entry(resolution="STATIC", endpoints=[{"address": ""}]), "address is required"),
    ("invalid-endpoint", entry(resolution="STATIC", endpoints=[{"address": "a.b"}]), '"a.b" is not a valid IP address'),
    ("invalid-endpoint", entry(resolution="DNS", endpoints=[{"address": "a_b"}]), '"a_b" is not a valid FQDN or an IP address'),
    ("invalid-endpoint", entry(resolution="DNS", endpoints=[{"network": "n"}]), '"" is not a valid FQDN or an IP address'),
    ("invalid-endpoint", entry(**UDS, endpoints=[{"address": "unix://a"}]), "UDS must be an absolute path"),
    ("invalid-endpoint", entry(**UDS, endpoints=[{"address": "unix:///a/"}]), "UDS may not be a dir"),
    ("invalid-endpoint", entry(**UDS, endpoints=[{"address": "unix:///a", "ports": {}}]), "UDS may not include ports"),
    ("invalid-endpoint", entry(resolution="STATIC", endpoints=[{"address": "unix:///a"}]), "exactly 1 service port required"),
    (
        "invalid-endpoint",
        entry(resolution="DNS", endpoints=[{"address": "a.b", "labels": {"a b": "c"}}]),
        'invalid tag key: "a b"',
    ),
    (
        "endpoint-port",
        entry(resolution="DNS", endpoints=[{"address": "a.b", "ports": {"http": 8080}}]),
        "endpoint port 8080 is not defined by the service entry",
    ),
    ("invalid-selector", entry(workloadSelector={"labels": {"app": "*"}}), "wildcard is not supported in selector"),
    ("invalid-selector", entry(workloadSelector={"labels": {"*": "a"}}), 'wildcard is not supported in selector: "*=a"'),
    ("invalid-selector", entry(workloadSelector={"labels": {"": "a"}}), 'empty key is not supported in selector: "=a"'),
    ("invalid-export", entry(exportTo=["a/b"]), "only .,*, or a valid DNS 1123 label is allowed as exportTo entry"),
    ("invalid-export", entry(exportTo=["a", "a"]), "duplicate entries in exportTo for entry a"),
    ("invalid-export", entry(exportTo=["*", "a"]), "cannot have both public (*) and non-public exportTo values"),
    ("invalid-export", entry(exportTo=["a", "~"]), "cannot export service entry to no one (~) and someone"),
    ("addresses-required", entry(ports=[TCP]), "addresses are required for ports serving TCP (or unset) protocol"),
    ("addresses-required", entry(ports=[{"number": 1, "name": "a"}]), "addresses are required"),
    (
        "addresses-required",
        entry({"labels": {webhook.AUTO_ALLOCATE_LABEL: "False"}}, resolution="DNS", ports=[TCP]),
        "are required",
    ),
    ("partial-wildcard", entry(hosts=["*pedia.org"]), 'partial wildcard "*pedia.org" not allowed'),
    ("selector-with-resolution", entry(workloadSelector={"labels": {"a": "b"}}), "workloadSelector should not be set"),
    ("selector-without-labels", entry(resolution="STATIC", workloadSelector={}), "workload selector specified without labels"),
    ("selector-without-labels", entry(resolution="DNS", workloadSelector={"labels": {"a": None}}), "specified without labels"),
    ("endpoint-by-network", entry(resolution="STATIC", endpoints=[{"network": "n"}]), 'address is unset with network "n"'),
    (
        "hosts-share-address",
        entry(hosts=["a.b", "c.d"], resolution="DNS", addresses=["192.0.2.1"], ports=[TLS]),
        "service entry can not have more than one host specified simultaneously with address and tcp port",
    ),
    ("loose-metadata", entry({"finalizers": ["mine"]}), "prefer a domain-qualified finalizer name"),
    ("loose-metadata", entry({"ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "a", "uid": "1"}] * 2}), ": 1"),
]


@pytest.mark.parametrize(("rule", "manifest", "words"), CASES, ids=[f"{rule}-{words[:30]}" for rule, _, words in CASES])
def test_each_mistake_has_its_rule_and_the_api_servers_words(rule: str, manifest: Manifest, words: str) -> None:
    findings = found(manifest)
    assert {each.rule for each in findings} == {rule}
    assert any(words in each.message for each in findings)
    for each in findings:
        assert each.origin == ORIGIN_ISTIO
        assert each.hint
        assert RULES[rule].origin == ORIGIN_ISTIO


def test_every_rule_of_istio_has_a_case() -> None:
    assert {rule for rule, *_ in CASES} == {*Mistake}


ACCEPTED: list[Manifest] = [
    entry(),
    entry(version="v1alpha3", ports=[], addresses=None, location=None, resolution=None),
    entry({"labels": None, "annotations": {"A.B/c": "anything\n"}, "creationTimestamp": None}),
    entry({"name": None, "generateName": "it-"}),
    {**entry(), "status": {"anything": [1], "conditions": "x"}},
    entry(hosts=["UPPER.com", "wikipedia.org.", "one-label", "*.a.b", "*.", "123", "a.99999999999999999999"]),
    entry(hosts=["a.b", "a.b"], ports=[{**TCP, "protocol": "tcp"}]),
    entry(addresses=["fe80::1%eth0", "::ffff:192.0.2.1/96", "192.0.2.7/24", "0.0.0.0/0", "192.0.2.7/24"]),
    entry(ports=[{**TLS, "protocol": "grpc-web", "name": "UPPER"}, {"number": 15001, "name": "a", "protocol": "UDP"}]),
    entry(exportTo=["~"], subjectAltNames=[""]),
    entry(exportTo=["no-such", "."], resolution="STATIC", endpoints=[], ports=[TCP]),
    entry(resolution="DNS", hosts=["*.a.b"], endpoints=[{"address": "a.b.", "weight": 1.0, "labels": {"a": "x" * 70}}]),
    entry(resolution="DNS", ports=[TCP], workloadSelector={"labels": {"a": "b"}}),
    entry({"labels": {webhook.WAYPOINT_LABEL: "NONE"}}, hosts=["*a.b"], resolution="DYNAMIC_DNS", location="MESH_INTERNAL"),
    entry(**UDS, endpoints=[{"address": "unix://@abstract"}]),
]


@pytest.mark.parametrize("manifest", ACCEPTED, ids=lambda manifest: json.dumps(manifest["spec"])[:60])
def test_what_istio_lets_through_without_a_word_is_let_through(manifest: Manifest) -> None:
    assert found(manifest) == []


class TestTheStages:
    """Each is asked only where the one before found nothing, as the API server does."""

    def test_an_unknown_field_hides_what_the_definition_says(self) -> None:
        assert [each.rule for each in found(entry(hosts=[], foo=1))] == ["unknown-field"]

    def test_a_failure_of_the_schema_hides_the_rules_and_the_webhook(self) -> None:
        assert {each.rule for each in found(entry(hosts=["*", "a_b"], resolution="no"))} == {"unknown-value"}

    def test_metadata_and_the_schema_are_told_together(self) -> None:
        assert {each.rule for each in found(entry({"name": "A"}, hosts=["*"]))} == {"invalid-metadata", "invalid-host"}

    def test_the_rules_hide_the_webhook(self) -> None:
        assert [each.message for each in found(entry(hosts=["*", "a_b"]))] == ['Invalid value: "*": hostname cannot be wildcard']

    def test_what_is_refused_is_not_warned_of(self) -> None:
        assert {each.severity for each in found(entry(hosts=["a_b"], ports=[TCP]))} == {Severity.ERROR}

    def test_an_owner_named_twice_is_warned_of_even_then(self) -> None:
        owner = {"apiVersion": "v1", "kind": "Pod", "name": "a", "uid": "1"}
        findings = found(entry({"ownerReferences": [owner, owner]}, hosts=["*"]))
        assert [each.rule for each in findings] == ["invalid-host", "loose-metadata"]


@pytest.mark.parametrize(
    ("own", "given_one", "twice"),
    [("shop", "", True), ("", "shop", True), ("other", "shop", False), ("", "", False)],
    ids=["its-own", "where-it-goes", "its-own-first", "unknown"],
)
def test_the_own_namespace_beside_a_dot_is_the_same_twice(own: str, given_one: str, twice: bool) -> None:
    findings = found(entry({"namespace": own} if own else {}, exportTo=["shop", "."]), given_one)
    assert [each.message for each in findings] == (["duplicate entries in exportTo: . and current namespace shop"] * twice)


def test_everyone_named_twice_is_told_as_the_webhook_tells_it() -> None:
    assert [each.message for each in found(entry(exportTo=["*", "*"]))] == [
        "duplicate entries in exportTo for entry *",
        "cannot have both public (*) and non-public exportTo values for a resource",
    ]


def test_findings_say_where_in_the_file() -> None:
    text = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata:
  name: it
spec:
  hosts:
  - wikipedia.org
  - a_b.com
  ports:
  - {number: 443, name: tls, protocol: TSL}
"""
    [document] = parse_yaml(text, "entries/it.yaml").documents
    assert [(each.file, each.line, each.where) for each in api_server_findings(document)] == [
        ("entries/it.yaml", 8, "spec.hosts[1]"),
        ("entries/it.yaml", 10, "spec.ports[0].protocol"),
    ]
    items = json.dumps({"kind": "List", "apiVersion": "v1", "items": [entry(foo=1)]})
    [listed] = parse_yaml(items, "list.json").documents
    assert [each.where for each in api_server_findings(listed)] == ["items[0].spec.foo"]


@pytest.mark.parametrize(
    ("manifest", "hint"),
    [
        (entry(adresses=[]), "did you mean addresses?"),
        (entry(Hosts=[]), "did you mean hosts?"),
        (entry(ports=[{"port": 1}]), "known here: name, number, protocol, targetPort"),
        (entry({"labelz": {}}), "did you mean labels?"),
    ],
)
def test_the_hint_for_an_unknown_field_is_the_nearest_one(manifest: Manifest, hint: str) -> None:
    assert [each.hint for each in found(manifest)] == [hint]


def test_a_service_entry_is_istios_of_any_version() -> None:
    assert is_service_entry(Document(entry(version="v9"), "", {}))
    assert not is_service_entry(Document({**entry(), "kind": "Sidecar"}, "", {}))
    assert not is_service_entry(Document({**entry(), "apiVersion": "example.com/v1"}, "", {}))
    assert not is_service_entry(Document({"kind": "ServiceEntry"}, "", {}))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8) | st.sampled_from(["a", "name"]), inner, max_size=3)
    ),
    max_leaves=8,
)
FIELDS = ("hosts", "addresses", "ports", "endpoints", "resolution", "location", "exportTo", "workloadSelector", "subjectAltNames")


@given(st.dictionaries(st.sampled_from(FIELDS), JSON) | JSON, JSON, JSON)
def test_whatever_stands_in_a_manifest_is_judged_and_nothing_fails(spec: Any, metadata: Any, status: Any) -> None:
    manifest = {**entry(), "spec": spec, "metadata": metadata, "status": status}
    for each in found(manifest):
        assert each.rule in list(Mistake)
        assert each.message


@given(st.integers())
def test_judging_twice_gives_the_same_and_changes_nothing(seed: int) -> None:
    manifest = oddities.manifest(random.Random(seed))
    before = json.dumps(manifest)
    assert found(manifest) == found(manifest)
    assert json.dumps(manifest) == before
