"""A ServiceEntry, what stands around it, and a Kubernetes object as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

Manifest = Mapping[str, Any]
"""A Kubernetes object as JSON: `apiVersion`, `kind`, `metadata`, `spec`."""

GROUP = "networking.istio.io"
KIND = "ServiceEntry"
RESOURCE = f"{KIND.lower()}.{GROUP}"
"""What stands before a ServiceEntry's name in kubectl's output."""
API_VERSIONS = tuple(f"{GROUP}/{version}" for version in ("v1", "v1beta1", "v1alpha3"))
"""Those that Istio serves ServiceEntries in, the newest first."""
ROOT_NAMESPACE = "istio-system"
"""Where Istio keeps what holds for the whole mesh (MeshConfig.rootNamespace), unless an installation says otherwise."""
SUFFIX = "-ext"
"""What a target's name gets on the Kubernetes cluster: `wikipedia-ext`; of several entries each gets more after it."""


class Port(NamedTuple):
    """A port of a ServiceEntry, as Istio's `ServicePort`."""

    number: int
    protocol: str
    name: str


@dataclass(frozen=True, slots=True)
class ServiceEntry:
    """What a ServiceEntry says, read leniently from a manifest of any origin (see manifests/service_entry.py)."""

    name: str
    namespace: str
    hosts: tuple[str, ...]
    addresses: tuple[str, ...]
    ports: tuple[Port, ...]
    resolution: str
    location: str
    export_to: tuple[str, ...]
    uid: str = ""
    created: str = ""
    """RFC 3339, as the API server says it; empty where it is not on a Kubernetes cluster."""
    run_id: str = ""
    """The run that made it; empty where egressctl did not."""
    owned: bool = False
    """Whether the label says that egressctl made it."""
    revision: str = ""
    """The one control plane that reads it (label `istio.io/rev`); empty for all of them."""
    allocated: tuple[str, ...] = ()
    """The addresses that Istio gave it (`status.addresses`), which only the sidecar's own DNS answers with."""
    part_of: str = ""
    """The target that its label and its name (`NAME-ext`, `NAME-ext-...`) say it is an entry of; empty for none."""
    labels: frozenset[tuple[str, str]] = frozenset()
    endpoints: tuple[str, ...] = ()
    """The addresses or host names of its endpoints; empty where it writes none."""
    has_moving_endpoints: bool = False
    """Whether a sidecar may have other endpoints than it writes: workloads that a selector takes, another network's gateway."""
    shown_to: str = field(default="", compare=False)
    """To whom the mesh shows it at most, whatever its exportTo says (MeshConfig.serviceEntryVisibility, for sidecars): NAMESPACE,
    its own; NONE; or "" for everyone, and where it was not read beside the mesh's other objects."""

    @property
    def family(self) -> tuple[str, str, bool, bool]:
        """What the entries of one target have in common: namespace, target, and whether egressctl made them."""
        return self.namespace, self.part_of or self.name, self.owned, bool(self.part_of)

    @property
    def is_part(self) -> bool:
        """Whether it is one of several entries of a target: only those are called after a part of the address space."""
        return bool(self.part_of) and self.name != self.part_of + SUFFIX

    def is_same_target_as(self, other: ServiceEntry) -> bool:
        """Say whether the two are entries of one target, or one and the same."""
        return self.family == other.family

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class MeshObjects:
    """What is around a ServiceEntry. What could not be read is in `unread`, never taken for absent.

    Manifests have `apiVersion` and `kind`. `services` is empty where they were not asked for.
    """

    entries: tuple[ServiceEntry, ...] = ()
    sidecars: tuple[Manifest, ...] = ()
    virtual_services: tuple[Manifest, ...] = ()
    destination_rules: tuple[Manifest, ...] = ()
    services: tuple[Manifest, ...] = ()
    namespaces: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """The labels of each namespace."""
    gateway_routes: tuple[Manifest, ...] = ()
    """HTTPRoutes and TLSRoutes of the Gateway API."""
    tls_policies: tuple[Manifest, ...] = ()
    """BackendTLSPolicies of the Gateway API."""
    unread: tuple[str, ...] = ()
    """One sentence for each kind that was not read everywhere."""
    root: str = ROOT_NAMESPACE
    """The mesh's root namespace (MeshConfig.rootNamespace)."""
    default_export_to: tuple[str, ...] | None = None
    """Where the mesh exports an entry that does not say (MeshConfig.defaultServiceExportTo); None where it was not read."""
    shown_to: Mapping[str, str] = field(default_factory=dict)
    """By namespace, to whom the mesh shows its entries at most, as in `ServiceEntry.shown_to`; only those that it limits."""
    reach: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """By plural, the namespaces in which a kind was read, for those that were not read in all of them."""

    def has_read(self, plural: str, namespace: str) -> bool:
        """Say whether the objects of a kind were read in a namespace: only then is what is not here not there."""
        return plural not in self.reach or namespace in self.reach[plural]
