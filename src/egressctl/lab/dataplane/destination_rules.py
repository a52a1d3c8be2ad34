"""DestinationRules as far as they change a sidecar's Envoy clusters: TLS towards the outside, and subsets.

After istio's `pilot/pkg/model/destination_rule.go`: the rule is looked for in the sidecar's namespace, then in the
service's, then in the root namespace; rules of one namespace for one host become one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from egressctl.istio.export_to import sees
from egressctl.istio.hosts import covers_host
from egressctl.lab.dataplane.objects import IstioObject, Workload, read_object
from egressctl.lab.dataplane.services import MeshService
from egressctl.model.entry import ROOT_NAMESPACE, Manifest
from egressctl.model.json_values import mapping_at, mappings_at, texts_at, value_at


@dataclass(frozen=True, slots=True)
class Tls:
    """TLS of mode SIMPLE. `verify` is false where the rule says insecureSkipVerify."""

    server_name: str
    subject_names: tuple[str, ...]
    verify: bool


@dataclass(frozen=True, slots=True)
class Subset:
    """A subset's name, the labels of its endpoints, and its own traffic policy."""

    name: str
    labels: Mapping[str, str]
    policy: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class MergedDestinationRule:
    """What applies to one service."""

    config: str
    """istio's name for the first of its rules, in the metadata of the Envoy cluster."""
    policy: Mapping[str, Any]
    subsets: tuple[Subset, ...]

    def tls(self, port: int, subset: Subset | None = None) -> Tls | None:
        """Return the TLS that Envoy adds on connections to a port; None where it adds none that the lab knows."""
        policies = [self.policy, *([subset.policy] if subset else [])]
        said: Mapping[str, Any] = {}
        for policy in policies:
            said = mapping_at(policy, "tls") or said
            for own in mappings_at(policy, "portLevelSettings"):
                if value_at(own, "port", "number") == port:
                    said = mapping_at(own, "tls")
        if said.get("mode") != "SIMPLE":
            return None
        return Tls(str(said.get("sni") or ""), texts_at(said, "subjectAltNames"), said.get("insecureSkipVerify") is not True)


def rule_of(service: MeshService, manifests: Iterable[Manifest], workload: Workload) -> MergedDestinationRule | None:
    """Return what the DestinationRules say of a service; None where none names it."""
    shown = [
        about
        for about in sorted(map(read_object, manifests), key=lambda each: each.order)
        if sees(workload.namespace, texts_at(about.spec, "exportTo"), about.namespace) and _selects(about, workload)
    ]
    for namespace in dict.fromkeys((workload.namespace, service.namespace, ROOT_NAMESPACE)):
        rules = [
            about for about in shown if about.namespace == namespace and covers_host(_full_host(about), service.host, case=True)
        ]
        if rules:
            # The host itself goes before any wildcard, a longer wildcard before a shorter one.
            closest = max((_full_host(rule) for rule in rules), key=lambda host: (not host.startswith("*"), len(host)))
            return _merge_rules([rule for rule in rules if _full_host(rule) == closest])
    return None


def destination_rule_notes(manifests: Iterable[Manifest]) -> tuple[str, ...]:
    """Say what the lab leaves out of DestinationRules, a sentence each."""
    notes = []
    for about in map(read_object, manifests):
        policies = [mapping_at(about.spec, "trafficPolicy")]
        policies += [mapping_at(subset, "trafficPolicy") for subset in mappings_at(about.spec, "subsets")]
        modes = {value_at(policy, "tls", "mode") for policy in policies} - {None, "DISABLE", "SIMPLE"}
        for mode in sorted(map(str, modes)):
            notes.append(f"DestinationRule {about.namespace}/{about.name}: the lab does not know TLS of mode {mode}")
    return tuple(notes)


def _full_host(rule: IstioObject) -> str:
    return rule.full_name(rule.spec.get("host"))


def _selects(rule: IstioObject, workload: Workload) -> bool:
    return mapping_at(rule.spec, "workloadSelector", "matchLabels").items() <= workload.labels.items()


def _merge_rules(rules: list[IstioObject]) -> MergedDestinationRule:
    first = rules[0]
    policy = next((found for rule in rules if (found := mapping_at(rule.spec, "trafficPolicy"))), {})
    subsets: dict[str, Subset] = {}
    for rule in rules:
        for subset in mappings_at(rule.spec, "subsets"):
            name = str(subset.get("name") or "")
            own = Subset(name, mapping_at(subset, "labels"), mapping_at(subset, "trafficPolicy"))
            subsets.setdefault(name, own)
    config = f"/apis/networking.istio.io/v1/namespaces/{first.namespace}/destination-rule/{first.name}"
    return MergedDestinationRule(config, policy, tuple(subsets.values()))
