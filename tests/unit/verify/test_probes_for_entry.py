"""Which ServiceEntries of a Kubernetes cluster are verified, by which probes and from where, and why the others are not."""

from __future__ import annotations

import json
from typing import Any, ClassVar, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egressctl.kube.rest import Api
from egressctl.manifests.service_entry import read_entry
from egressctl.mesh.sidecar import Sidecar
from egressctl.model.evidence import Source
from egressctl.model.probe import Probe
from egressctl.model.result import NotProbed
from egressctl.verify.probes_for_entry import first_pod_that_sees, hosts_not_asked, probes_for, why_no_probe
from egressctl.verify.select import VerifyTarget

ANNOTATION = "egressctl.dev/probes"


def entry(*, probes: str | None = None, name: str = "theirs", namespace: str = "default", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "ServiceEntry",
        "metadata": {"name": name, "namespace": namespace, "annotations": {} if probes is None else {ANNOTATION: probes}},
        "spec": {"hosts": ["a.example"], "ports": [{"number": 443, "name": "tls", "protocol": "TLS"}], **spec},
    }


def pod(namespace: str) -> Source:
    return Source(namespace, "sleep", "sleep", "istio-proxy")


def urls(manifest: dict[str, Any]) -> list[str] | NotProbed:
    found = probes_for(manifest, read_entry(manifest))
    return found if isinstance(found, NotProbed) else [probe.url for probe in found]


def left_out(manifest: dict[str, Any]) -> NotProbed:
    found = probes_for(manifest, read_entry(manifest))
    assert isinstance(found, NotProbed)
    return found


WEB = [{"number": 8080, "name": "web", "protocol": "HTTP"}]
POSTGRES = [{"number": 5432, "name": "pg", "protocol": "TCP"}]


class TestProbes:
    def test_the_annotations_go_before_derived_ones(self) -> None:
        asked = json.dumps([{"name": "x", "url": "https://a.example/health"}])
        assert urls(entry(probes=asked)) == ["https://a.example/health"]
        assert urls(entry()) == ["https://a.example"]

    def test_an_entry_that_gives_no_url_is_asked_by_bare_connections(self) -> None:
        assert urls(entry(ports=POSTGRES)) == ["tcp://a.example:5432"]
        assert urls(entry(ports=[*POSTGRES, {"number": 443, "name": "tls", "protocol": "TLS"}])) == ["https://a.example"]

    def test_none_is_none(self) -> None:
        assert left_out(entry(probes="none")) == NotProbed("its annotation egressctl.dev/probes says none")

    @pytest.mark.parametrize("text", ["{", "[]x", '[{"name": "x", "url": "ftp://a.example"}]', '[{"url": "http://127.0.0.1"}]'])
    def test_probes_that_cannot_be_read_ought_to_be(self, text: str) -> None:
        found = left_out(entry(probes=text))
        assert not found.meant
        assert found.reason.startswith("its probes cannot be read: ServiceEntry default/theirs: ")
        assert "\n" not in found.reason
        assert found.hint == "kubectl edit serviceentry -n default theirs"

    def test_what_leads_into_the_mesh_is_no_egress_unless_its_annotation_asks(self) -> None:
        found = left_out(entry(location="MESH_INTERNAL"))
        assert found.meant
        assert "an egress" in found.reason
        asked = '[{"name": "x", "url": "https://a.example"}]'
        assert urls(entry(probes=asked, location="MESH_INTERNAL")) == ["https://a.example"]

    def test_what_a_selector_takes_outside_the_mesh_is_an_egress(self) -> None:
        assert urls(entry(location="MESH_EXTERNAL", workloadSelector={"labels": {"app": "vm"}})) == ["https://a.example"]

    @pytest.mark.parametrize(
        ("spec", "reason"),
        [
            ({"ports": [{"number": 53, "name": "dns", "protocol": "UDP"}]}, "its ports are UDP"),
            ({"hosts": ["*.a.example"]}, "no host without a wildcard, and no single address"),
            ({"hosts": ["*.a.example"], "ports": POSTGRES, "addresses": ["192.0.2.0/24"]}, "no single address"),
            ({"hosts": ["db.svc.cluster.local"], "ports": POSTGRES}, "no probe can be derived"),
        ],
    )
    def test_where_none_can_be_derived_the_hint_is_to_annotate(self, spec: dict[str, Any], reason: str) -> None:
        found = left_out(entry(**spec))
        assert found.meant
        assert reason in found.reason
        assert found.hint.startswith("kubectl annotate serviceentry -n default theirs egressctl.dev/probes=")

    @given(st.dictionaries(st.text(), st.one_of(st.none(), st.text(), st.lists(st.text())), max_size=4), st.text())
    def test_whatever_others_have_written_is_no_traceback(self, spec: dict[str, Any], probes: str) -> None:
        manifest = {"metadata": {"name": "x", "namespace": "y", "annotations": {ANNOTATION: probes}}, "spec": spec}
        assert probes_for(manifest, read_entry(manifest))


def sidecar(namespace: str) -> Sidecar:
    return Sidecar(cast("Api", None), pod(namespace))


class TestFromWhere:
    def test_from_the_first_pod_whose_namespace_sees_it(self) -> None:
        pods = [sidecar("default"), sidecar("shop")]
        assert first_pod_that_sees(read_entry(entry(exportTo=["shop"])), pods, ["*"]) == pods[1]
        assert first_pod_that_sees(read_entry(entry(exportTo=["."])), pods, ["*"]) == pods[0]
        assert first_pod_that_sees(read_entry(entry()), pods, ["*"]) == pods[0]

    def test_without_exportTo_it_is_what_the_mesh_makes_of_it(self) -> None:
        pods = [sidecar("default")]
        assert first_pod_that_sees(read_entry(entry(namespace="shop")), pods, ["*"]) == pods[0]
        found = first_pod_that_sees(read_entry(entry(namespace="shop")), [sidecar("default")], ["."])
        assert found == NotProbed(
            "the mesh exports it to ., which does not include the source pod's namespace default",
            "egressctl verify --all -A, with a source pod in namespace shop",
        )

    def test_what_none_of_them_sees_is_left_out_with_the_reason(self) -> None:
        found = first_pod_that_sees(read_entry(entry(exportTo=["shop"])), [sidecar("default"), sidecar("other")], ["*"])
        assert isinstance(found, NotProbed)
        assert found.reason == "exportTo is shop, which does not include the source pod's namespace default and other"
        assert found.hint.endswith("with a source pod in namespace shop")
        assert first_pod_that_sees(read_entry(entry(exportTo=["~"])), [sidecar("default")], ["*"]) == NotProbed(
            "its exportTo is ~: no namespace sees it"
        )


class TestHostsNotAsked:
    TLS: ClassVar[list[dict[str, Any]]] = [{"number": 443, "name": "tls", "protocol": "TLS"}]

    @pytest.mark.parametrize(
        ("spec", "asked", "unasked"),
        [
            ({"hosts": ["a.example", "b.example"]}, ["https://a.example"], ("b.example",)),
            ({"hosts": ["a.example", "b.example"]}, ["https://a.example", "https://B.example./x"], ()),
            ({"hosts": ["*.a.example"]}, ["https://www.a.example"], ()),
            ({"hosts": ["*.a.example"]}, ["https://a.example"], ("*.a.example",)),
            ({"hosts": ["a.example"]}, ["http://a.example:443"], ()),
            ({"hosts": ["a.example"]}, ["https://a.example:8443"], ("a.example",)),
            ({"hosts": ["a.example"], "ports": [*TLS, *WEB]}, ["https://a.example"], ("a.example:8080",)),
            ({"hosts": ["a.example", "b.example"], "ports": POSTGRES}, ["tcp://a.example:5432"], ()),
        ],
    )  # fmt: skip
    def test_each_is_named_that_no_probe_asks_where_the_host_decides(
        self, spec: dict[str, Any], asked: list[str], unasked: tuple[str, ...]
    ) -> None:
        probes = [Probe(f"p{number}", url) for number, url in enumerate(asked)]
        assert hosts_not_asked([read_entry(entry(**spec))], probes) == unasked


class TestNamedWithoutProbe:
    """A target that somebody named, and that has nothing to be asked by."""

    def why(self, manifest: dict[str, Any] | None, *, name: str = "theirs", pod_namespace: str = "default") -> NotProbed:
        return why_no_probe(VerifyTarget(name, "default", "theirs-ext", manifest, ()), pod_namespace)

    @pytest.mark.parametrize(
        ("spec", "step"),
        [
            ({"hosts": ["*.a.example"]}, "egressctl verify theirs -n default --probe https://HOST.a.example/"),
            ({"hosts": ["*.a.example"], "ports": WEB}, "egressctl verify theirs -n default --probe http://HOST.a.example:8080"),
            ({"hosts": ["*.a.example"], "ports": POSTGRES}, "egressctl verify theirs -n default --probe tcp://HOST.a.example:5432"),
            ({"hosts": ["db"]}, "egressctl verify theirs -n default --probe https://db/ --allow-internal"),
            ({"hosts": ["a.example"], "ports": [{"number": 53, "protocol": "UDP"}]}, ""),
        ],
    )  # fmt: skip
    def test_it_says_which_probe_would_do(self, spec: dict[str, Any], step: str) -> None:
        assert self.why(entry(**spec))[1:] == (step, True, True)

    def test_the_step_finds_the_entry_again_from_the_pods_namespace(self) -> None:
        found = self.why(entry(hosts=["*.a.example"]), pod_namespace="shop").hint
        assert found == "egressctl verify serviceentry/default/theirs-ext -n shop --probe https://HOST.a.example/"

    def test_one_that_asks_not_to_be_probed_may_be_asked_all_the_same(self) -> None:
        found = self.why(entry(probes="none"))
        assert "none" in found.reason
        assert found.hint.endswith("--probe https://a.example/")

    def test_one_that_is_not_there_says_so_much(self) -> None:
        assert self.why(None).hint == "egressctl verify theirs -n default --probe https://HOST/"
