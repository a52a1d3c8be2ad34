"""What another object of the mesh does to a ServiceEntry: the object, why, and who wins."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from egressctl.manifests.yaml_reader import ValuePath
from egressctl.model.entry import Manifest
from egressctl.model.json_values import mapping_at
from egressctl.runtime.sanitize import quote


class ObjectReference(NamedTuple):
    """The other object that a finding is about."""

    kind: str
    namespace: str
    name: str

    @classmethod
    def of(cls, manifest: Manifest) -> ObjectReference:
        """Return the reference to an object; what it does not say is empty."""
        metadata = mapping_at(manifest, "metadata")
        return cls(str(manifest.get("kind")), str(metadata.get("namespace") or ""), str(metadata.get("name") or ""))

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"

    @property
    def show(self) -> str:
        """The command that shows it."""
        group = "" if self.kind == "Service" else ".networking.istio.io"
        return f"kubectl get {self.kind.lower()}{group} -n {quote(self.namespace)} {quote(self.name)} -o yaml"


class ConflictKind(StrEnum):
    """What another object can do to an entry: ServiceEntries, then others."""

    SAME_HOST = "same-host"
    SAME_BLOCK = "same-block"
    OVERLAPPING_BLOCKS = "overlapping-blocks"
    WHOLE_PORT = "whole-port"
    SAME_SERVER_NAME = "same-server-name"
    TLS_BEHIND_BLOCK = "tls-behind-block"
    PROTOCOL_CONFLICT = "protocol-conflict"
    SERVICE_ADDRESS = "service-address"
    HIDDEN_BY_SIDECAR = "hidden-by-sidecar"
    ONE_BLOCK_KEPT = "one-block-kept"
    REROUTED = "rerouted"
    WRAPPED_IN_TLS = "wrapped-in-tls"


class EntryConflict(NamedTuple):
    """Why an entry may not do what it says: `reason` is a clause that begins with `it` and is about the other object.

    `outcome` is a clause that says who wins, or what comes of it; `path` is the way to what competes in the entry's manifest.
    """

    rule: str
    about: ObjectReference
    reason: str
    outcome: str = ""
    hint: str = ""
    path: ValuePath = ()
    winner: str = ""
    """The entry that gets what both claim, `namespace/name`; empty where nobody does, or that is not known."""
