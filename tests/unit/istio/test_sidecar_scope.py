"""Which Sidecar resource holds for a pod, and what it leaves of an entry: as istiod did with each, where that was measured."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egressctl.istio.sidecar_scope import ImportScope, egress_hosts, excluding_host, import_scope, sidecar_for_pod
from egressctl.model.entry import Manifest, Port, ServiceEntry

ENTRY = ServiceEntry("wikipedia-ext", "default", ("wikipedia.org",), (), (Port(443, "TCP", "tcp"),), "NONE", "MESH_EXTERNAL", ())


def sidecar(
    name: str, *hosts: str, namespace: str = "default", labels: dict[str, str] | None = None, made: str = "2026-11-23T04:00:00Z"
) -> Manifest:
    spec: dict[str, Any] = {"egress": [{"hosts": list(hosts)}]} if hosts else {}
    if labels is not None:
        spec["workloadSelector"] = {"labels": labels}
    return {"metadata": {"name": name, "namespace": namespace, "creationTimestamp": made}, "spec": spec}


def name(found: Manifest | None) -> str | None:
    return found["metadata"]["name"] if found else None


WHOLE_MESH = sidecar("whole-mesh", namespace="istio-system")
NAMESPACES = sidecar("namespaces-own")
SELECTING = sidecar("selecting", labels={"app": "sleep"})


@pytest.mark.parametrize(
    ("there", "holds"),
    [
        ([], None),
        ([WHOLE_MESH], "whole-mesh"),
        ([WHOLE_MESH, NAMESPACES], "namespaces-own"),
        ([WHOLE_MESH, NAMESPACES, SELECTING], "selecting"),
        ([sidecar("another", labels={"app": "web"}), NAMESPACES], "namespaces-own"),
        ([sidecar("another", labels={"app": "sleep", "tier": "web"}), NAMESPACES], "namespaces-own"),
        ([sidecar("elsewhere", namespace="other")], None),
        ([sidecar("the-meshs-own-pods", namespace="istio-system", labels={"app": "sleep"})], None),
        ([sidecar("younger", made="2026-11-23T04:00:02Z"), sidecar("older", made="2026-11-23T04:00:01Z")], "older"),
        ([sidecar("b"), sidecar("a")], "a"),
        ([NAMESPACES, sidecar("selects-all", labels={})], "selects-all"),
    ],
)
def test_the_nearest_sidecar_resource_holds(there: list[Manifest], holds: str | None) -> None:
    assert name(sidecar_for_pod(there, "default", {"app": "sleep", "pod": "x"}, "istio-system")) == holds


@pytest.mark.parametrize(
    ("hosts", "left"),
    [
        ((), ImportScope.WHOLE),  # without egress it imports everything
        (("*/*",), ImportScope.WHOLE),
        (("./*",), ImportScope.WHOLE),
        (("default/*",), ImportScope.WHOLE),
        (("*/wikipedia.org",), ImportScope.WHOLE),
        (("./*.org",), ImportScope.WHOLE),
        (("./wikipedia.org",), ImportScope.ONE_BLOCK),
        (("default/wikipedia.org",), ImportScope.ONE_BLOCK),
        (("./wikipedia.org", "*/*.org"), ImportScope.WHOLE),
        (("./wikipedia.org", "other/en.wikipedia.org"), ImportScope.ONE_BLOCK),
        (("./wikipedia.org", "istio-system/*"), ImportScope.WHOLE),  # a wildcard: its hosts are not looked up one by one
        (("./Wikipedia.org",), ImportScope.NOTHING),  # to istiod another host
        (("./*ia.org",), ImportScope.WHOLE),
        (("*/*", "~default/*"), ImportScope.NOTHING),
        (("*/*", "~./wikipedia.org"), ImportScope.NOTHING),
        (("*/*", "~/*.org"), ImportScope.NOTHING),
        (("*/*", "~other/*"), ImportScope.WHOLE),
        (("wikipedia.org",), ImportScope.WHOLE),  # istiod's webhook refuses it: not understood
        (("istio-system/*",), ImportScope.NOTHING),
        (("~/*",), ImportScope.NOTHING),
        (("./other.example",), ImportScope.NOTHING),
        (("./*.wikipedia.org",), ImportScope.NOTHING),
        (("other/*",), ImportScope.NOTHING),
    ],
)
def test_what_it_imports_of_an_entry(hosts: tuple[str, ...], left: ImportScope) -> None:
    assert import_scope(sidecar("any", *hosts), ENTRY, 443, "default") is left
    assert egress_hosts(sidecar("any", *hosts)) == hosts


@pytest.mark.parametrize(
    ("hosts", "excludes"),
    [
        (("*/*", "~default/*"), "~default/*"),
        (("*/*", "~other/*", "~/*.org"), "~/*.org"),
        (("other/*", "~other/*"), ""),
        (("*/*", "~./en.wikipedia.org"), ""),
    ],
)
def test_what_keeps_an_entry_out_is_named_as_it_is_written(hosts: tuple[str, ...], excludes: str) -> None:
    assert excluding_host(sidecar("any", *hosts), ENTRY, "default") == excludes


def test_the_dot_is_the_pods_namespace_even_in_the_meshs_own_sidecar() -> None:
    of_the_mesh = sidecar("whole-mesh", "./*", namespace="istio-system")
    assert import_scope(of_the_mesh, ENTRY, 443, "default") is ImportScope.WHOLE
    assert import_scope(of_the_mesh, ENTRY, 443, "other") is ImportScope.NOTHING


def test_an_egress_listener_of_a_port_imports_for_that_port_only() -> None:
    spec = {"egress": [{"port": {"number": 443}, "hosts": ["./*"]}, {"hosts": ["istio-system/*"]}]}
    ported: Manifest = {"metadata": {"name": "ported", "namespace": "default"}, "spec": spec}
    assert import_scope(ported, ENTRY, 443, "default") is ImportScope.WHOLE
    assert import_scope(ported, ENTRY, 8443, "default") is ImportScope.NOTHING


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4) | st.sampled_from(["./*", "hosts", "*/*"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["egress", "hosts", "port", "number"]), inner),
    max_leaves=8,
)


@given(ANYTHING)
def test_a_sidecar_resource_of_any_shape_raises_nothing(spec: Any) -> None:
    odd: Manifest = {"metadata": {"name": "odd", "namespace": "default"}, "spec": spec}
    assert sidecar_for_pod([odd], "default", {}, "istio-system") in (odd, None)
    assert import_scope(odd, ENTRY, 443, "default") in ImportScope
    assert isinstance(egress_hosts(odd), tuple)
