"""What was listed of each kind of mesh object, and where it could not be, wherever it was read. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from egressctl.istio.export_to import Visibility, parse_visibility
from egressctl.manifests.service_entry import PLURAL, read_entry
from egressctl.model.entry import GROUP, ROOT_NAMESPACE, Manifest, MeshObjects, ServiceEntry

SIDECARS, VIRTUAL_SERVICES, DESTINATION_RULES = "sidecars", "virtualservices", "destinationrules"
SERVICES, NAMESPACES = "services", "namespaces"
HTTP_ROUTES, TLS_ROUTES, TLS_POLICIES = "httproutes", "tlsroutes", "backendtlspolicies"
GATEWAY_API = "gateway.networking.k8s.io"
"""The API group of the last three, which not every Kubernetes cluster serves."""
GATEWAY_KINDS = {HTTP_ROUTES: "HTTPRoute", TLS_ROUTES: "TLSRoute", TLS_POLICIES: "BackendTLSPolicy"}
"""Kinds of the Gateway API of which istiod makes a VirtualService or a DestinationRule for a ServiceEntry that they name."""
KIND_OF_PLURAL = {
    PLURAL: "ServiceEntry",
    SIDECARS: "Sidecar",
    VIRTUAL_SERVICES: "VirtualService",
    DESTINATION_RULES: "DestinationRule",
    SERVICES: "Service",
    NAMESPACES: "Namespace",
    **GATEWAY_KINDS,
}


class ObjectsOfKind(NamedTuple):
    """The objects of one kind."""

    items: tuple[Manifest, ...] = ()
    reach: frozenset[str] | None = None
    """The namespaces that were read, None for all."""
    why: str = ""
    """Why not all were."""


class MeshSettings(NamedTuple):
    """What the mesh's configuration says (MeshConfig); None where that was not read, or is not understood."""

    root: str | None = None
    default_export_to: tuple[str, ...] | None = None
    outbound_policy: str | None = None
    visibility: Visibility | None = None
    """None also where sidecars do without it."""


def parse_mesh_config(config: Mapping[str, Any]) -> MeshSettings:
    """Read a MeshConfig, with Istio's defaults."""
    root = config.get("rootNamespace") or ROOT_NAMESPACE
    scopes = config.get("defaultServiceExportTo") or ["*"]
    policy = config.get("outboundTrafficPolicy") or {}
    mode = (policy.get("mode") or "ALLOW_ANY") if isinstance(policy, Mapping) else None
    return MeshSettings(
        root if isinstance(root, str) else None,
        tuple(map(str, scopes)) if isinstance(scopes, list) else None,
        mode if isinstance(mode, str) else None,
        parse_visibility(config),
    )


def assemble_mesh_objects(
    listed: Mapping[str, ObjectsOfKind],
    root: str,
    default_export_to: tuple[str, ...] | None,
    visibility: Visibility | None = None,
) -> MeshObjects:
    """Return what was listed, by plural, as mesh objects; a kind that was not asked for has no objects."""
    empty = ObjectsOfKind()
    entries = tuple(map(read_entry, listed.get(PLURAL, empty).items))
    labels = {each["metadata"]["name"]: each["metadata"].get("labels") or {} for each in listed.get(NAMESPACES, empty).items}
    # Without a policy the labels of namespaces, which may not have been read, do not count.
    places = {each.namespace: {} for each in entries} if visibility and not visibility.policies else dict[str, dict[str, str]]()
    limits = {name: limit for name, each in (places | labels).items() if visibility and (limit := visibility.shown_to(each))}
    return MeshObjects(
        entries=tuple(replace(each, shown_to=limits.get(each.namespace, "")) for each in entries) if limits else entries,
        sidecars=listed.get(SIDECARS, empty).items,
        virtual_services=listed.get(VIRTUAL_SERVICES, empty).items,
        destination_rules=listed.get(DESTINATION_RULES, empty).items,
        services=listed.get(SERVICES, empty).items,
        gateway_routes=(*listed.get(HTTP_ROUTES, empty).items, *listed.get(TLS_ROUTES, empty).items),
        tls_policies=listed.get(TLS_POLICIES, empty).items,
        namespaces=labels,
        shown_to=limits,
        root=root,
        default_export_to=default_export_to,
        unread=(
            *(unread_sentence(plural, each.reach, each.why) for plural, each in listed.items() if each.reach is not None),
            *_unread_limits(entries, labels, visibility),
        ),
        reach={plural: each.reach for plural, each in listed.items() if each.reach is not None},
    )


def _unread_limits(entries: Iterable[ServiceEntry], labels: Mapping[str, object], visibility: Visibility | None) -> Iterator[str]:
    """Say of which namespaces it is not known to whom the mesh shows their entries, for that depends on labels not read."""
    unknown = sorted({each.namespace for each in entries} - labels.keys()) if visibility and visibility.policies else ()
    if unknown:
        yield f"to whom the mesh shows ServiceEntries of {', '.join(unknown)} was not looked at (serviceEntryVisibility)"


def unread_sentence(plural: str, reach: Iterable[str], why: str) -> str:
    """Say in one sentence what was not looked at of a kind that was read in some namespaces only."""
    group = f".{GATEWAY_API if plural in GATEWAY_KINDS else GROUP}" if plural not in (SERVICES, NAMESPACES) else ""
    where = f"other than {' and '.join(sorted(reach))} " if reach else ""
    what = (
        f"namespaces {where}"
        if plural == NAMESPACES
        else f"{plural}{group} of namespaces {where}"
        if where
        else f"{plural}{group} "
    )
    return f"{what}were not looked at: {why}"
