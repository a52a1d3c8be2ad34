"""Targets as manifests, and manifests of any origin as what they say."""

from __future__ import annotations

import copy
import json
from typing import Any, ClassVar

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from egressctl.errors import InvalidInput
from egressctl.manifests import service_entry as se
from egressctl.manifests.yaml_reader import parse_yaml
from egressctl.manifests.yaml_writer import write_yaml
from egressctl.model.blocks import parse_block
from egressctl.model.entry import Port, ServiceEntry
from egressctl.model.probe import Expectation, Probe, Target, Verdict
from examples import examples

DOCUMENT = """
apiVersion: networking.istio.io/v1alpha3
kind: ServiceEntry
metadata:
  name: wikipedia-ext
spec:
  hosts:
  - wikipedia.org
  addresses:
  - 91.198.174.192/27
  - 103.102.166.224/27
  - 198.35.26.96/27
  - 208.80.153.224/27
  - 208.80.154.224/27
  ports:
  - number: 443
    protocol: TCP
    name: tcp-port
  resolution: NONE
"""
"""What Istio 0.8's task "Control Egress TCP Traffic" has its reader type."""

TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc", "Cn")), max_size=12)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
PROBES = st.builds(
    Probe,
    name=st.from_regex(r"[a-z]([-a-z0-9]{0,10}[a-z0-9])?", fullmatch=True),
    url=st.from_regex(r"https?://[a-z]{1,9}\.(org|example)(:[1-9][0-9]{0,3})?(/[a-z0-9?=&%20-]{0,9})?", fullmatch=True),
    expect=st.builds(
        Expectation,
        verdict=st.sampled_from([Verdict.OPEN, Verdict.BLOCKED, Verdict.BYPASSED, Verdict.FAILED]),
        status=st.none() | st.integers(100, 599),
        via=st.none() | st.just("istio-egressgateway.istio-system.svc.cluster.local"),
    ),
    extract=st.dictionaries(
        st.from_regex(r"[a-z]{1,8}", fullmatch=True), st.sampled_from(["(.)", 'a"(\\d{1,3})ß', "(?s)x(.*)"]), max_size=2
    ),
)


def wikipedia(**changes: Any) -> Target:
    document = yaml.safe_load(DOCUMENT)
    return Target(
        **{
            "name": "wikipedia",
            "entry_name": "wikipedia-ext",
            "namespace": None,
            "spec": document["spec"],
            "probes": (Probe("portal", "https://www.wikipedia.org"),),
        }
        | changes
    )


def rendered(target: Target, **changes: Any) -> dict[str, Any]:
    return se.render_entry(target, **{"namespace": None, "api_version": se.OFFLINE_VERSION, "run_id": None} | changes)


def entry(**changes: Any) -> ServiceEntry:
    spec = {"hosts": ["a.example"], "ports": [{"number": 443, "name": "x", "protocol": "TCP"}]} | changes
    return se.read_entry({"metadata": {"name": "e", "namespace": "n"}, "spec": spec})


class TestRender:
    def test_the_documents_entry_comes_out_field_for_field(self) -> None:
        document = yaml.safe_load(DOCUMENT)
        manifest = rendered(wikipedia(), api_version="networking.istio.io/v1alpha3")
        assert manifest["spec"] == document["spec"] | {"location": "MESH_EXTERNAL"}
        assert (manifest["apiVersion"], manifest["kind"]) == (document["apiVersion"], document["kind"])
        assert manifest["metadata"]["name"] == document["metadata"]["name"]

    def test_keys_stand_in_the_order_of_a_manifest(self) -> None:
        assert list(rendered(wikipedia())) == ["apiVersion", "kind", "metadata", "spec"]

    def test_location_and_resolution_are_written_out(self) -> None:
        spec = rendered(wikipedia(spec={"hosts": ["a.example"]}))["spec"]
        assert (spec["location"], spec["resolution"]) == ("MESH_EXTERNAL", "NONE")

    def test_what_the_target_says_of_them_stays(self) -> None:
        spec = rendered(wikipedia(spec={"hosts": ["a.example"], "location": "MESH_INTERNAL", "resolution": "DNS"}))["spec"]
        assert (spec["location"], spec["resolution"]) == ("MESH_INTERNAL", "DNS")

    def test_without_a_run_nothing_says_that_egressctl_owns_it(self) -> None:
        metadata = rendered(wikipedia(), field_manager="mine")["metadata"]
        assert list(metadata) == ["name", "annotations"]
        assert list(metadata["annotations"]) == [se.ANNOTATION_PROBES]

    def test_a_run_marks_what_it_makes(self) -> None:
        labels = rendered(wikipedia(labels={"team": "a", se.LABEL_MANAGED_BY: "argocd"}), run_id="r1")["metadata"]["labels"]
        assert labels == {"team": "a", se.LABEL_MANAGED_BY: "egressctl", se.LABEL_RUN_ID: "r1", se.LABEL_TARGET: "wikipedia"}

    def test_another_field_manager_is_remembered(self) -> None:
        assert (
            rendered(wikipedia(), run_id="r1", field_manager="ci")["metadata"]["annotations"][se.ANNOTATION_FIELD_MANAGER] == "ci"
        )
        assert se.ANNOTATION_FIELD_MANAGER not in rendered(wikipedia(), run_id="r1")["metadata"]["annotations"]

    @pytest.mark.parametrize(
        ("own", "given", "namespace"), [(None, None, None), (None, "a", "a"), ("b", "a", "b"), ("b", None, "b")]
    )
    def test_the_targets_own_namespace_goes_first(self, own: str | None, given: str | None, namespace: str | None) -> None:
        assert rendered(wikipedia(namespace=own), namespace=given)["metadata"].get("namespace") == namespace

    def test_export_to_takes_the_place_of_the_targets(self) -> None:
        target = wikipedia(spec={"hosts": ["a.example"], "exportTo": ["*"]})
        assert rendered(target)["spec"]["exportTo"] == ["*"]
        assert rendered(target, export_to=["."])["spec"]["exportTo"] == ["."]

    def test_the_manifest_shares_nothing_with_the_target(self) -> None:
        target = wikipedia()
        before = copy.deepcopy(target.spec)
        manifest = rendered(target)
        manifest["spec"]["addresses"].append("x")
        manifest["spec"]["ports"][0]["number"] = 1
        assert target.spec == before

    def test_probes_that_would_be_derived_anyway_are_not_written(self) -> None:
        target = wikipedia(probes=se.derived_probes(entry(hosts=["wikipedia.org"], ports=[{"number": 443, "name": "tcp-port"}])))
        assert "annotations" not in rendered(target)["metadata"]

    def test_no_probes_are_written_as_none_so_that_none_is_derived(self) -> None:
        manifest = rendered(wikipedia(probes=()))
        assert manifest["metadata"]["annotations"] == {se.ANNOTATION_PROBES: "none"}
        assert se.probes_of(manifest) == ()

    @examples(100)
    @given(st.lists(PROBES, max_size=3, unique_by=lambda probe: probe.name))
    def test_probes_travel_with_the_entry(self, probes: list[Probe]) -> None:
        manifest = rendered(wikipedia(probes=tuple(probes)))
        assert se.probes_of(manifest) == tuple(probes)

    @examples(100)
    @given(st.dictionaries(TEXTS, JSON, max_size=4), st.dictionaries(TEXTS, TEXTS, max_size=3))
    def test_the_yaml_of_a_manifest_reads_back_the_same(self, spec: dict[str, Any], labels: dict[str, str]) -> None:
        manifest = rendered(wikipedia(spec=spec, labels=labels), run_id="r1")
        text = write_yaml(manifest)
        assert yaml.safe_load(text) == manifest
        assert parse_yaml(text, "f").documents[0].value == manifest


class TestRead:
    def test_a_manifest_says_what_it_says(self) -> None:
        manifest = rendered(wikipedia(), namespace="apps", run_id="r1", export_to=["."])
        manifest["metadata"] |= {"uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z"}
        read = se.read_entry(manifest)
        assert (read.name, read.namespace, read.hosts) == ("wikipedia-ext", "apps", ("wikipedia.org",))
        assert read.addresses[0] == "91.198.174.192/27"
        assert len(read.addresses) == 5
        assert read.ports == (Port(443, "TCP", "tcp-port"),)
        assert (read.resolution, read.location, read.export_to) == ("NONE", "MESH_EXTERNAL", (".",))
        assert (read.uid, read.created, read.run_id, read.owned) == ("u", "2026-01-01T00:00:00Z", "r1", True)

    def test_istios_defaults_are_filled_in(self) -> None:
        read = se.read_entry({"metadata": {"name": "a"}, "spec": {"hosts": ["a.example"]}})
        assert (read.resolution, read.location, read.export_to, read.owned) == ("NONE", "MESH_EXTERNAL", (), False)

    def test_a_run_id_counts_only_on_what_egressctl_made(self) -> None:
        read = se.read_entry({"metadata": {"labels": {se.LABEL_RUN_ID: "r1", se.LABEL_MANAGED_BY: "Helm"}}})
        assert (read.run_id, read.owned) == ("", False)

    @examples(200)
    @given(
        st.dictionaries(st.sampled_from(["metadata", "spec"]), JSON)
        | st.fixed_dictionaries(
            {
                "metadata": st.dictionaries(st.sampled_from(["name", "labels", "annotations", "managedFields", "uid"]), JSON),
                "spec": st.dictionaries(st.sampled_from(["hosts", "ports", "addresses", "exportTo", "resolution"]), JSON),
            }
        )
    )
    @example({"spec": {"ports": [{"number": True}, {"number": "443"}, None, 3]}})
    def test_odd_content_never_raises(self, manifest: dict[str, Any]) -> None:
        read = se.read_entry(manifest)
        assert all(type(port.number) is int for port in read.ports)
        assert isinstance(se.derived_probes(read), tuple)
        assert isinstance(se.other_field_managers(manifest, "egressctl"), tuple)


class TestProbesOf:
    def annotated(self, text: object) -> dict[str, Any]:
        return {"metadata": {"name": "e", "namespace": "n", "annotations": {se.ANNOTATION_PROBES: text}}}

    def test_an_absent_annotation_is_not_an_empty_one(self) -> None:
        assert se.probes_of({"metadata": {}}) is None
        assert se.probes_of(self.annotated("none")) == ()
        assert se.probes_of(self.annotated("[]")) == ()

    @pytest.mark.parametrize(
        "text",
        ["", "{", "3", '{"url":"https://a.example"}', "[3]", "[{}]", '[{"url":"ftp://a.example"}]', "[" * 100_000, None, 3],
    )
    def test_a_broken_annotation_names_the_entry_and_the_field(self, text: object) -> None:
        with pytest.raises(InvalidInput, match=r"ServiceEntry n/e: metadata\.annotations\[egressctl\.dev/probes\]"):
            se.probes_of(self.annotated(text))

    def test_what_is_ruled_out_in_a_file_is_ruled_out_in_an_annotation(self) -> None:
        manifest = self.annotated('[{"name":"a","url":"http://169.254.169.254/latest"}]')
        with pytest.raises(InvalidInput, match=r"\[0\]\.url: 169\.254\.169\.254 leads to"):
            se.probes_of(manifest)
        assert se.probes_of(manifest, allow_internal=True) == (Probe("a", "http://169.254.169.254/latest"),)

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("[" + "1," * 131_072, "has 262,145 bytes (at most 262,144, Kubernetes' limit)"),
            (f"[{'1,' * 130_000}1]", "there are 130,001 probes (at most 1,000 of one target)"),
            (json.dumps([{"expect": {"via": "a." * 120_000}}]), "the host has 240,000 characters (at most 255)"),
        ],
    )
    def test_what_would_take_long_to_read_is_told_as_too_much(self, text: str, told: str) -> None:
        with pytest.raises(InvalidInput) as caught:
            se.probes_of(self.annotated(text))
        assert told in str(caught.value)

    def test_of_very_many_problems_the_first_hundred_are_told(self) -> None:
        fields = {"url": "https://a.example", **{f"x{number}": 1 for number in range(9_000)}}
        with pytest.raises(InvalidInput) as caught:
            se.probes_of(self.annotated(json.dumps([fields])))
        told = str(caught.value).splitlines()
        assert len(told) == 101
        assert told[-1].endswith("[0].x100: has more problems than these 100 (correct them first)")


class TestDerivedProbes:
    @pytest.mark.parametrize(
        ("number", "protocol", "url"),
        [
            (443, "TCP", "https://a.example"),
            (443, "", "https://a.example"),
            (443, "TLS", "https://a.example"),
            (8443, "https", "https://a.example:8443"),
            (80, "HTTP", "http://a.example"),
            (80, "TCP", "http://a.example"),
            (8080, "http2", "http://a.example:8080"),
            (443, "HTTP", "http://a.example:443"),
        ],
    )
    def test_a_port_that_speaks_tls_or_http_gets_one(self, number: int, protocol: str, url: str) -> None:
        ports = [{"number": number, "name": "p", "protocol": protocol}]
        assert se.derived_probes(entry(ports=ports)) == (Probe("p", url, Expectation(status=None)),)

    @pytest.mark.parametrize(("number", "protocol"), [(5432, "TCP"), (27017, "MONGO"), (9000, "")])
    def test_a_port_of_which_no_url_speaks_is_asked_by_a_bare_connection(self, number: int, protocol: str) -> None:
        ports = [{"number": number, "name": "p", "protocol": protocol}]
        assert se.derived_probes(entry(ports=ports)) == (Probe("p", f"tcp://a.example:{number}", Expectation(status=None)),)

    @pytest.mark.parametrize("number", [443, 80, 53])
    def test_udp_gets_none(self, number: int) -> None:
        assert se.derived_probes(entry(ports=[{"number": number, "name": "p", "protocol": "UDP"}])) == ()

    def test_every_port_gets_its_own(self) -> None:
        ports = [{"number": 443, "name": "a"}, {"number": 5432, "name": "b"}, {"number": 80, "name": "c", "protocol": "HTTP"}]
        assert [(p.name, p.port) for p in se.derived_probes(entry(ports=ports))] == [("a", 443), ("c", 80)]

    def test_names_are_unique_labels_whatever_the_ports_are_called(self) -> None:
        ports = [{"number": 443, "name": "a"}, {"number": 8443, "name": "a", "protocol": "TLS"}, {"number": 80, "name": "A_b"}]
        assert [p.name for p in se.derived_probes(entry(ports=ports))] == ["a", "port-8443", "port-80"]

    def test_where_the_address_decides_the_first_host_that_is_no_wildcard_is_asked(self) -> None:
        ports = [{"number": 443, "name": "tcp", "protocol": "TCP"}]
        found = se.derived_probes(entry(hosts=["*.b.example", "c.example", "d.example"], ports=ports))
        assert [probe.host for probe in found] == ["c.example"]

    @pytest.mark.parametrize("protocol", ["TLS", "HTTPS", "HTTP", "HTTP2", "GRPC"])
    def test_where_the_host_decides_each_that_is_no_wildcard_is_asked_once(self, protocol: str) -> None:
        ports = [{"number": 8443, "name": "p", "protocol": protocol}]
        found = se.derived_probes(entry(hosts=["*.b.example", "c.example", "d.example", "c.example"], ports=ports))
        assert [(probe.name, probe.host) for probe in found] == [("c-example", "c.example"), ("d-example", "d.example")]

    def test_each_host_is_asked_on_each_of_its_ports_under_a_name_of_its_own(self) -> None:
        ports = [{"number": 443, "name": "tls", "protocol": "TLS"}, {"number": 80, "name": "http", "protocol": "HTTP"}]
        found = se.derived_probes(entry(hosts=["a.example", "b.example"], ports=ports))
        assert [(probe.name, probe.url) for probe in found] == [
            ("a-example", "https://a.example"),
            ("b-example", "https://b.example"),
            ("a-example-2", "http://a.example"),
            ("b-example-2", "http://b.example"),
        ]

    def test_there_are_no_more_than_the_limit(self) -> None:
        hosts = [f"h{number}.example" for number in range(50)]
        found = se.derived_probes(entry(hosts=hosts, ports=[{"number": 443, "name": "tls", "protocol": "TLS"}]))
        assert [probe.host for probe in found] == hosts[: se.MOST_DERIVED]
        assert se.MOST_DERIVED == 20

    @pytest.mark.parametrize(
        ("spec", "address"),
        [
            ({"resolution": "NONE", "addresses": ["192.0.2.0/24", "192.0.2.7/32"]}, "192.0.2.7"),
            ({"resolution": "NONE", "addresses": ["192.0.2.0/24"]}, "192.0.2.1"),
            ({"resolution": "NONE", "addresses": ["2001:db8::/64", "198.51.100.0/24"]}, "198.51.100.1"),
            ({"resolution": "NONE", "addresses": ["2001:db8::1"]}, "2001:db8::1"),
            ({"resolution": "NONE", "addresses": ["0.0.0.0/0"]}, ""),
            ({"resolution": "NONE"}, ""),
            ({"resolution": "STATIC", "addresses": ["192.0.2.7"], "endpoints": [{"address": "198.51.100.1"}]}, "192.0.2.7"),
            ({"resolution": "STATIC", "endpoints": [{"address": "198.51.100.1"}, {"address": "198.51.100.2"}]}, "198.51.100.1"),
            ({"resolution": "STATIC", "endpoints": [{"address": "unix:///run/x"}, {"address": "198.51.100.2"}]}, "198.51.100.2"),
            ({"resolution": "DNS", "endpoints": [{"address": "real.example"}]}, ""),
            ({"resolution": "NONE", "addresses": ["169.254.169.254", "127.0.0.1"]}, ""),
            ({"resolution": "STATIC", "endpoints": [{"address": "127.0.0.1"}]}, ""),
        ],
    )
    def test_where_the_host_resolves_to_none_an_address_of_the_entry_is_asked(self, spec: dict[str, Any], address: str) -> None:
        for protocol, number in (("TLS", 443), ("TCP", 5432)):
            ports = [{"number": number, "name": "p", "protocol": protocol}]
            assert [probe.else_ip for probe in se.derived_probes(entry(ports=ports, **spec))] == [address]

    @pytest.mark.parametrize(
        "host", ["*.example.org", "db.prod.svc.cluster.local", "localhost", "a b", "-o/etc/passwd", "a@b.example"]
    )
    def test_a_host_that_cannot_or_must_not_be_probed_gets_none(self, host: str) -> None:
        assert se.derived_probes(entry(hosts=[host])) == ()


class TestBareProbes:
    PORTS: ClassVar[list[dict[str, Any]]] = [{"number": 5432, "name": "pg", "protocol": "TCP"}]

    @pytest.mark.parametrize(
        ("spec", "urls"),
        [
            ({"hosts": ["*.a.example", "db.a.example"]}, ["tcp://db.a.example:5432"]),
            ({"hosts": ["*.a.example"], "addresses": ["192.0.2.1"]}, ["tcp://192.0.2.1:5432"]),
            ({"hosts": ["*.a.example"], "addresses": ["2001:db8::1/128"]}, ["tcp://[2001:db8::1]:5432"]),
            ({"hosts": ["*.a.example"], "addresses": ["192.0.2.1", "192.0.2.2"]}, []),
            ({"hosts": ["*.a.example"], "addresses": ["192.0.2.0/24"]}, []),
            ({"hosts": ["*.a.example"], "addresses": ["169.254.169.254"]}, []),
            ({"hosts": ["db.svc.cluster.local"]}, []),
        ],
    )
    def test_it_leads_to_a_host_or_to_the_one_address(self, spec: dict[str, Any], urls: list[str]) -> None:
        assert [probe.url for probe in se.derived_probes(entry(ports=self.PORTS, **spec))] == urls

    @pytest.mark.parametrize("protocol", ["UDP", "TLS", "HTTPS", "HTTP", "GRPC"])
    def test_only_a_port_of_which_no_more_is_known_gets_one(self, protocol: str) -> None:
        assert not any(
            probe.bare for probe in se.derived_probes(entry(ports=[{"number": 5432, "name": "p", "protocol": protocol}]))
        )
        assert all(probe.bare for probe in se.derived_probes(entry(ports=[{"number": 27017, "name": "m", "protocol": "mongo"}])))

    def test_names_are_unique(self) -> None:
        ports = [{"number": number, "name": name, "protocol": "TCP"} for number, name in ((1, "a"), (2, "a"), (3, "A_b"))]
        assert [probe.name for probe in se.derived_probes(entry(ports=ports))] == ["a", "port-2", "port-3"]


@pytest.mark.parametrize(
    "kind",
    [
        "se",
        "serviceentry",
        "serviceentries",
        "serviceentry.networking.istio.io",
        "serviceentries.networking.istio.io",
        "serviceentries.v1beta1.networking.istio.io",
    ],
)
def test_the_exact_name_is_read_as_kubectl_takes_and_prints_it(kind: str) -> None:
    assert se.exact_name(f"{kind}/theirs") == "theirs"


@pytest.mark.parametrize("word", ["theirs", "pod/theirs", "se/", "se/a/b", "/theirs", "serviceentry.example.org/theirs", "ase/x"])
def test_any_other_word_is_no_exact_name(word: str) -> None:
    assert se.exact_name(word) is None


class TestTakenOverBy:
    def managed(self, *entries: dict[str, Any]) -> dict[str, Any]:
        return {"metadata": {"managedFields": list(entries)}}

    def test_others_that_own_a_field_of_the_spec_are_named(self) -> None:
        manifest = self.managed(
            {"manager": "egressctl", "fieldsV1": {"f:spec": {"f:hosts": {}}}},
            {"manager": "kubectl-edit", "fieldsV1": {"f:spec": {"f:addresses": {}}}},
            {"manager": "argocd-controller", "fieldsV1": {"f:spec": {"f:ports": {}}, "f:metadata": {}}},
            {"manager": "kubectl-edit", "fieldsV1": {"f:spec": {"f:ports": {}}}},
        )
        assert se.other_field_managers(manifest, "egressctl") == ("argocd-controller", "kubectl-edit")

    def test_metadata_and_status_are_no_take_over(self) -> None:
        manifest = self.managed(
            {"manager": "kubectl-label", "fieldsV1": {"f:metadata": {"f:labels": {}}}},
            {"manager": "pilot-discovery", "subresource": "status", "fieldsV1": {"f:status": {}}},
        )
        assert se.other_field_managers(manifest, "egressctl") == ()

    def test_our_manager_is_the_one_that_was_used(self) -> None:
        manifest = self.managed({"manager": "ci", "fieldsV1": {"f:spec": {}}})
        assert se.other_field_managers(manifest, "ci") == ()
        assert se.other_field_managers(manifest, "egressctl") == ("ci",)


class TestNormalise:
    @pytest.mark.parametrize(
        ("address", "block"),
        [
            ("208.80.154.230/27", "208.80.154.224/27"),
            ("1.2.3.4", "1.2.3.4/32"),
            ("1.2.3.4/0", "0.0.0.0/0"),
            ("2001:DB8::1/32", "2001:db8::/32"),
        ],
    )
    def test_an_address_is_a_block_without_host_bits(self, address: str, block: str) -> None:
        assert str(parse_block(address)) == block

    @pytest.mark.parametrize(
        "address",
        [
            "",
            "1.2.3",
            "1.2.3.4/33",
            "1.2.3.04",
            "1.2.3.4/08",
            "1.2.3.4/255.0.0.0",
            " 1.2.3.4",
            "a.example",
            "1.2.3.4-1.2.3.9",
            "fe80::1%eth0",
        ],
    )
    def test_what_go_does_not_read_is_no_address(self, address: str) -> None:
        assert parse_block(address) is None


class TestExport:
    def target(self, **spec: Any) -> Target:
        return Target("far", "far-ext", None, spec, ())

    def test_a_new_entry_is_for_its_own_namespace(self) -> None:
        assert se.export_of_target(self.target()) == (".",)

    def test_what_the_target_says_holds(self) -> None:
        assert se.export_of_target(self.target(exportTo=["shop"]), standing=("*",)) == ("shop",)

    @pytest.mark.parametrize("standing", [(), (".",), ("shop", "web")])
    def test_an_entry_that_stands_keeps_what_it_has(self, standing: tuple[str, ...]) -> None:
        assert se.export_of_target(self.target(), standing=standing) == standing

    def test_what_is_asked_for_comes_first_and_everyone_need_not_be_said(self) -> None:
        told = self.target(exportTo=["shop"])
        assert se.export_of_target(told, ["web"], ("*",)) == ("web",)
        assert se.export_of_target(told, ["*"], ("web",)) == ()

    def test_for_everyone_it_is_the_manifest_of_the_document(self) -> None:
        [document] = parse_yaml(DOCUMENT, "d").documents
        target = Target("wikipedia", "wikipedia-ext", None, document.value["spec"], ())
        made = se.render_entry(target, namespace=None, api_version="v", run_id=None, export_to=se.export_of_target(target, ["*"]))
        assert made["spec"] == {**document.value["spec"], "location": "MESH_EXTERNAL"}
