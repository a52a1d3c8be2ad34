"""What lint finds about one entry, with everything around it; the objects around are read by tests that have an API server."""

from __future__ import annotations

from dataclasses import replace

import pytest

from egressctl.istio.mesh_objects import NAMESPACES
from egressctl.lint.live import (
    crowded_port_findings,
    entries_that_create_makes,
    findings_beside,
    lint_offline,
)
from egressctl.lint.rule import RULES, LintedEntry, Place, Severity
from egressctl.lint.rules import questionable_spec
from egressctl.model.entry import Manifest, MeshObjects, Port
from egressctl.model.probe import Target
from entries import WIKIPEDIA

ENTRY = replace(WIKIPEDIA, export_to=(".",))
RIVAL = replace(ENTRY, name="rival", hosts=("rival.example",), created="2026-11-23T04:00:00Z")


def an_object(kind: str, spec: object) -> Manifest:
    return {"kind": kind, "metadata": {"name": "it", "namespace": "default"}, "spec": spec}


AROUND = MeshObjects(
    entries=(RIVAL,),
    sidecars=(an_object("Sidecar", {"egress": [{"hosts": ["istio-system/*"]}]}),),
    virtual_services=(
        an_object(
            "VirtualService",
            {"hosts": ["wikipedia.org"], "tcp": [{"route": [{"destination": {"host": "other.example"}}]}]},
        ),
    ),
    destination_rules=(an_object("DestinationRule", {"host": "wikipedia.org", "trafficPolicy": {"tls": {"mode": "SIMPLE"}}}),),
    services=(an_object("Service", {"clusterIP": "208.80.154.230", "ports": [{"port": 443}]}),),
    namespaces={"default": {}},
)


def test_everything_in_the_way_is_found_and_named() -> None:
    found = findings_beside(ENTRY, AROUND, "default")
    assert [(each.rule, str(each.about)) for each in found] == [
        ("same-block", "ServiceEntry default/rival"),
        ("service-address", "Service default/it"),
        ("hidden-by-sidecar", "Sidecar default/it"),
        ("rerouted", "VirtualService default/it"),
        ("wrapped-in-tls", "DestinationRule default/it"),
    ]
    assert {each.where for each in found} == {"default/wikipedia-ext"}
    assert found[0].message == (
        "ServiceEntry default/rival lists the same block 208.80.154.224/27 on port 443: default/rival gets it, the older"
    )
    assert found[0].hint == "kubectl get serviceentry.networking.istio.io -n default rival -o yaml"


def test_an_entry_that_nothing_is_in_the_way_of() -> None:
    assert findings_beside(ENTRY, MeshObjects(), "default") == []


def test_an_entry_is_not_its_own_rival() -> None:
    assert findings_beside(ENTRY, MeshObjects(entries=(replace(ENTRY, uid="as it was read"),)), "default") == []


def test_a_namespace_that_was_not_looked_at_is_not_called_absent() -> None:
    entry = replace(ENTRY, export_to=("default", "shop"))
    partly = MeshObjects(namespaces={"default": {}}, reach={NAMESPACES: frozenset({"default"})})
    assert findings_beside(entry, partly, "default") == []
    assert [each.rule for each in findings_beside(entry, replace(partly, reach={}), "default")] == ["unknown-namespace"]


def test_of_very_many_findings_of_a_rule_ten_are_told_and_how_many_more_there_are() -> None:
    many = tuple(replace(RIVAL, name=f"rival-{index}") for index in range(25))
    found = findings_beside(ENTRY, MeshObjects(entries=many), "default")
    assert len(found) == 11
    assert found[-1].message == "15 more entries compete with it, and are not shown here"


def test_a_target_is_looked_at_as_create_would_make_it() -> None:
    spec = {"hosts": ["wikipedia.org"], "addresses": [], "ports": [{"number": 443, "name": "a", "protocol": "TCP"}]}
    target = Target("wikipedia", "wikipedia-ext", None, spec, ())
    (entry,) = entries_that_create_makes([target], "shop")
    assert (str(entry), entry.export_to) == ("shop/wikipedia-ext", (".",))
    assert [each.rule for each in lint_offline([entry]).findings] == ["opens-whole-port"]
    (limited,) = entries_that_create_makes([target], "shop", (".",))
    assert limited.export_to == (".",)


def test_what_is_on_the_kubernetes_cluster_is_held_to_the_rules_for_files() -> None:
    manifest: Manifest = {
        "kind": "ServiceEntry",
        "metadata": {"name": "a", "namespace": "shop", "annotations": {"egressctl.dev/probes": "no JSON"}},
        "spec": {
            "hosts": ["wikipedia.org"],
            "addresses": ["208.80.154.230/27"],
            "ports": [{"number": 15001, "name": "a", "protocol": "TCP"}],
        },
    }
    found = list(questionable_spec.check(LintedEntry(ENTRY, Place.CLUSTER, manifest)))
    assert len(found) == 2  # the reserved port has a rule of its own
    assert "spec.addresses[0]: 208.80.154.230/27 has host bits set" in found[0][0]
    assert "is no JSON" in found[1][0]
    assert questionable_spec.RULE.severity is Severity.WARNING


def test_what_others_make_of_a_port_together_is_told_where_an_entry_has_it() -> None:
    blocks = [tuple(f"10.{n}.{block}.0/24" for block in range(250)) for n in range(4)]
    entries = [replace(ENTRY, name=f"e{n}", addresses=each) for n, each in enumerate(blocks)]
    assert [each.rule for each in crowded_port_findings(entries, [ENTRY])] == ["crowded-port"]
    assert crowded_port_findings(entries, [replace(ENTRY, ports=(Port(80, "TCP", "p"),))]) == []


def test_an_entry_of_the_kubernetes_cluster_is_held_to_the_rules_that_files_are() -> None:
    fronts = replace(ENTRY, addresses=("104.16.0.0/16",), resolution="STATIC")
    spec = {"hosts": ["wikipedia.org"], "addresses": ["104.16.0.0/16"], "ports": [{"number": 443, "name": "tcp"}]}
    manifest = {"kind": "ServiceEntry", "metadata": {"name": "a"}, "spec": spec}
    found = findings_beside(fronts, MeshObjects(), "default", manifest=manifest)
    assert [each.rule for each in found] == ["no-endpoints", "opens-cdn"]
    assert [each.rule for each in lint_offline([fronts]).findings] == ["opens-cdn"]


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_has_a_name_for_programs_and_a_meaning_for_people(rule: str) -> None:
    assert rule == rule.lower().replace("_", "-")
    assert not RULES[rule].meaning.endswith(".")
