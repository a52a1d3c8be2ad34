"""What a Sidecar resource leaves a sidecar of all that its namespace is shown: istio's `pilot/pkg/model/sidecar.go`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from egressctl.istio.export_to import EVERYWHERE
from egressctl.istio.hosts import hosts_overlap
from egressctl.istio.sidecar_scope import Imports, ImportScope, most, read_imports, sidecar_for_pod
from egressctl.lab.dataplane.names import POLICIES, REGISTRY_ONLY
from egressctl.lab.dataplane.objects import Workload, read_object
from egressctl.model.entry import ROOT_NAMESPACE, Manifest
from egressctl.model.json_values import mappings_at, texts_at, value_at


@dataclass(frozen=True, slots=True)
class Scope:
    """The egress hosts as (namespace, host pattern), the outbound traffic policy, and in `notes` what the lab leaves out."""

    imports: tuple[Imports, ...]
    policy: str
    notes: tuple[str, ...] = ()

    def shown(self, host: str, namespace: str) -> ImportScope:
        """Return how much of a host of a namespace's entries is shown."""
        return most(each.scope_of(host, namespace) for each in self.imports)

    def shows_routes(self, hosts: Iterable[str], namespace: str) -> bool:
        """Return whether a VirtualService of these hosts is shown."""
        named = [pattern for each in self.imports for where, pattern in each.hosts if where in (EVERYWHERE, namespace)]
        return any(hosts_overlap(host, pattern, case=True) for host in hosts for pattern in named)


EVERYTHING = (Imports((("*", "*"),)),)


def scope(sidecars: Iterable[Manifest], workload: Workload, policy: str) -> Scope:
    """Return what the Sidecar resource that applies to the workload leaves it, under the mesh's outbound traffic policy."""
    found = sidecar_for_pod(sidecars, workload.namespace, workload.labels, ROOT_NAMESPACE)
    if found is None:
        return Scope(EVERYTHING, policy)
    applies = read_object(found)
    own = applies.spec.get("outboundTrafficPolicy")
    if own is not None:
        said = value_at(own, "mode") or REGISTRY_ONLY
        policy = said if said in POLICIES else policy
    egress = mappings_at(applies.spec, "egress")
    imports = []
    notes = []
    for listener in egress:
        if "port" in listener or listener.get("captureMode") == "NONE":
            notes.append(
                f"Sidecar {applies.namespace}/{applies.name}: the lab does not know egress listeners of a port of their own"
            )
            continue
        imports.append(read_imports(texts_at(listener, "hosts"), workload.namespace))
    return Scope(tuple(imports) if egress else EVERYTHING, policy, tuple(notes))
