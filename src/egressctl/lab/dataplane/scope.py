"""What a Sidecar resource leaves a sidecar of all that its namespace is shown: istio's `pilot/pkg/model/sidecar.go`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from egressctl.lab.dataplane.names import POLICIES, REGISTRY_ONLY, ROOT_NAMESPACE
from egressctl.lab.dataplane.objects import (
    IstioObject,
    Workload,
    as_mapping,
    as_mappings,
    as_strings,
    hosts_overlap,
    is_subset,
    read_object,
)
from egressctl.model.entry import Manifest


class Visibility(Enum):
    """How much of a host's entries a sidecar is given."""

    NOTHING = "nothing"
    ONE_ADDRESS = "one address"
    """An exact host of a namespace keeps one address of several, and which one is chance (recording sidecar-exact-host)."""
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Scope:
    """The egress hosts as (namespace, host pattern), the outbound traffic policy, and in `notes` what the lab leaves out."""

    hosts: tuple[tuple[str, str], ...]
    policy: str
    notes: tuple[str, ...] = ()

    def shown(self, host: str, namespace: str) -> Visibility:
        """Return how much of a host of a namespace's entries is shown."""
        found = Visibility.NOTHING
        for where, pattern in self.hosts:
            if where in ("*", namespace) and is_subset(host, pattern):
                if where == "*" or pattern.startswith("*"):
                    return Visibility.ALL
                found = Visibility.ONE_ADDRESS
        return found

    def shows_routes(self, hosts: Iterable[str], namespace: str) -> bool:
        """Return whether a VirtualService of these hosts is shown."""
        return any(where in ("*", namespace) and hosts_overlap(host, pattern) for host in hosts for where, pattern in self.hosts)


EVERYTHING = (("*", "*"),)


def scope(sidecars: Iterable[Manifest], workload: Workload, policy: str) -> Scope:
    """Return what the Sidecar resource that applies to the workload leaves it, under the mesh's outbound traffic policy.

    One that selects the workload goes before its namespace's, and that before the root namespace's.
    """
    applies = _sidecar_that_applies(sidecars, workload)
    if applies is None:
        return Scope(EVERYTHING, policy)
    own = applies.spec.get("outboundTrafficPolicy")
    if own is not None:
        said = as_mapping(own).get("mode") or REGISTRY_ONLY
        policy = said if said in POLICIES else policy
    egress = as_mappings(applies.spec.get("egress"))
    hosts: list[tuple[str, str]] = []
    notes = []
    for listener in egress:
        if "port" in listener or listener.get("captureMode") == "NONE":
            notes.append(
                f"Sidecar {applies.namespace}/{applies.name}: the lab does not know egress listeners of a port of their own"
            )
            continue
        for host in as_strings(listener.get("hosts")):
            where, slash, pattern = host.partition("/")
            if slash and where != "~":
                hosts.append((workload.namespace if where == "." else where, pattern))
    return Scope(tuple(hosts) if egress else EVERYTHING, policy, tuple(notes))


def _sidecar_that_applies(sidecars: Iterable[Manifest], workload: Workload) -> IstioObject | None:
    found = sorted((read_object(manifest) for manifest in sidecars), key=lambda each: each.order)
    here = [each for each in found if each.namespace == workload.namespace]
    selecting = [each for each in here if _selects(each, workload.labels)]
    rest = [each for each in found if each.namespace == ROOT_NAMESPACE and each not in here]
    general = [each for each in (*here, *rest) if each.spec.get("workloadSelector") is None]
    return next(iter((*selecting, *general)), None)


def _selects(sidecar: IstioObject, labels: Mapping[str, str]) -> bool:
    selector = sidecar.spec.get("workloadSelector")
    return selector is not None and as_mapping(as_mapping(selector).get("labels")).items() <= labels.items()
