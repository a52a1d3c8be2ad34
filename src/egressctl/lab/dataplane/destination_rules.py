"""DestinationRules as far as they change a sidecar's Envoy clusters: TLS towards the outside, and subsets.

After istio's `pilot/pkg/model/destination_rule.go`: the rule is looked for in the sidecar's namespace, then in the
service's, then in the root namespace; rules of one namespace for one host become one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from egressctl.lab.dataplane.names import ROOT_NAMESPACE
from egressctl.lab.dataplane.objects import Named, Workload, exported_to, is_subset, mapping, mappings, named, strings
from egressctl.lab.dataplane.services import Service
from egressctl.model.entry import Manifest


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
class Rule:
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
            said = mapping(policy.get("tls")) or said
            for own in mappings(policy.get("portLevelSettings")):
                if mapping(own.get("port")).get("number") == port:
                    said = mapping(own.get("tls"))
        if said.get("mode") != "SIMPLE":
            return None
        return Tls(str(said.get("sni") or ""), strings(said.get("subjectAltNames")), said.get("insecureSkipVerify") is not True)


def rule_of(service: Service, manifests: Iterable[Manifest], workload: Workload) -> Rule | None:
    """Return what the DestinationRules say of a service; None where none names it."""
    shown = [
        about
        for about in sorted(map(named, manifests), key=lambda each: each.order)
        if exported_to(strings(about.spec.get("exportTo")), about.namespace, workload.namespace) and _selects(about, workload)
    ]
    for namespace in dict.fromkeys((workload.namespace, service.namespace, ROOT_NAMESPACE)):
        rules = [about for about in shown if about.namespace == namespace and is_subset(service.host, _host(about))]
        if rules:
            # The host itself goes before any wildcard, a longer wildcard before a shorter one.
            closest = max((_host(rule) for rule in rules), key=lambda host: (not host.startswith("*"), len(host)))
            return _merged([rule for rule in rules if _host(rule) == closest])
    return None


def unknown(manifests: Iterable[Manifest]) -> tuple[str, ...]:
    """Say what the lab leaves out of DestinationRules, a sentence each."""
    notes = []
    for about in map(named, manifests):
        policies = [mapping(about.spec.get("trafficPolicy"))]
        policies += [mapping(subset.get("trafficPolicy")) for subset in mappings(about.spec.get("subsets"))]
        modes = {mapping(policy.get("tls")).get("mode") for policy in policies} - {None, "DISABLE", "SIMPLE"}
        for mode in sorted(map(str, modes)):
            notes.append(f"DestinationRule {about.namespace}/{about.name}: the lab does not know TLS of mode {mode}")
    return tuple(notes)


def _host(rule: Named) -> str:
    host = str(rule.spec.get("host") or "")
    return host if "." in host or host.startswith("*") or not host else f"{host}.{rule.namespace}.svc.cluster.local"


def _selects(rule: Named, workload: Workload) -> bool:
    selector = mapping(rule.spec.get("workloadSelector"))
    return mapping(selector.get("matchLabels")).items() <= workload.labels.items()


def _merged(rules: list[Named]) -> Rule:
    first = rules[0]
    policy = next((found for rule in rules if (found := mapping(rule.spec.get("trafficPolicy")))), {})
    subsets: dict[str, Subset] = {}
    for rule in rules:
        for subset in mappings(rule.spec.get("subsets")):
            name = str(subset.get("name") or "")
            own = Subset(name, mapping(subset.get("labels")), mapping(subset.get("trafficPolicy")))
            subsets.setdefault(name, own)
    config = f"/apis/networking.istio.io/v1/namespaces/{first.namespace}/destination-rule/{first.name}"
    return Rule(config, policy, tuple(subsets.values()))
