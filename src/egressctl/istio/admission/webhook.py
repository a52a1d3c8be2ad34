"""What istiod's webhook refuses or warns of in a ServiceEntry that the CustomResourceDefinition lets through. Pure.

Follows `ValidateServiceEntry` and what it calls in `pkg/config/validation` of istio/istio (August 2026, towards 1.32), in its
words and its order. What the definition has refused before is not asked again. Features have their defaults: addresses are
allocated automatically.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from egressctl.istio.admission import go_formats
from egressctl.istio.admission.crd import UNIX
from egressctl.istio.admission.structural import quoted
from egressctl.manifests.yaml_reader import Path

_Object = Mapping[str, Any]

ALWAYS_REJECT, DRY_RUN = "internal.istio.io/webhook-always-reject", "istio.io/dry-run"
NO_ALLOCATION, WAYPOINT = "networking.istio.io/enable-autoallocate-ip", "istio.io/use-waypoint"
WITHOUT_ADDRESSES = ("", "TCP")
"""Protocols that need addresses."""
_BY_DNS = ("DNS", "DNS_ROUND_ROBIN")
_DYNAMIC_PROTOCOLS = ("http", "tls", "grpc", "http2")
_CONTRADICTIONS = {
    "*": "cannot have both public (*) and non-public exportTo values for a resource",
    "~": "cannot export service entry to no one (~) and someone",
}


class Told(NamedTuple):
    """One thing that the webhook says, where, and lint's rule for it."""

    message: str
    path: Path
    rule: str


class Judged(NamedTuple):
    """What the webhook refuses, and what it warns of; where it refuses, the API server passes no warning on."""

    errors: tuple[Told, ...] = ()
    warnings: tuple[Told, ...] = ()


class _Entry(NamedTuple):
    """What is asked again and again of a ServiceEntry; `namespace` is empty where it is not known."""

    spec: _Object
    labels: Mapping[str, str]
    namespace: str
    resolution: str
    hosts: Sequence[str]
    addresses: Sequence[str]
    ports: Sequence[_Object]
    endpoints: Sequence[_Object]


def judged(manifest: _Object, namespace: str = "") -> Judged:
    """Judge a ServiceEntry that the definition has accepted, without its nulls and unknown fields.

    `namespace` is where it goes if it names none itself. Of what cannot be told without one, nothing is told.
    """
    metadata, spec = manifest.get("metadata") or {}, manifest["spec"]
    annotations = metadata.get("annotations") or {}
    for name, text in (
        (DRY_RUN, f"has unsupported annotation {DRY_RUN}, please remove the annotation"),
        (ALWAYS_REJECT, f'"{ALWAYS_REJECT}" annotation found, rejecting'),
    ):
        if name in annotations:
            return Judged((Told(text, ("metadata", "annotations", name), "invalid-annotation"),))
    if refused := tuple(_selector_errors(spec)):
        return Judged(refused)
    entry = _Entry(
        spec,
        metadata.get("labels") or {},
        metadata.get("namespace") or namespace,
        spec.get("resolution", "NONE"),
        spec["hosts"],
        spec.get("addresses", ()),
        spec.get("ports", ()),
        spec.get("endpoints", ()),
    )
    return Judged(tuple(_errors(entry)), tuple(_warnings(entry)))


def has_allocation(spec: _Object, labels: _Object) -> bool:
    """Say whether Istio gives an entry an address of its own: `ShouldV2AutoAllocateIPFromConfig`."""
    return spec.get("resolution") not in (None, "NONE") and str(labels.get(NO_ALLOCATION, "")).lower() != "false"


def _errors(entry: _Entry) -> Iterator[Told]:
    for index, host in enumerate(entry.hosts):
        if fault := go_formats.wildcard_host_fault(host):
            yield Told(fault, ("spec", "hosts", index), "invalid-host")
    for index, address in enumerate(entry.addresses):
        if fault := go_formats.address_fault(address):
            yield Told(fault, ("spec", "addresses", index), "invalid-address")
    for index, port in enumerate(entry.ports):
        if not go_formats.is_label(port["name"]):
            yield Told(f"invalid port name: {port['name']}", ("spec", "ports", index, "name"), "invalid-port-name")
        protocol = port.get("protocol", "")
        if protocol and protocol.lower() not in go_formats.PROTOCOLS:
            yield Told(f"unsupported protocol: {protocol}", ("spec", "ports", index, "protocol"), "unknown-protocol")
    yield from _resolution_errors(entry)
    if entry.resolution != "NONE" and len(entry.hosts) > 1:
        for index, port in enumerate(entry.ports):
            if _protocol(port) not in (*go_formats.HTTP, *go_formats.TLS):
                message = "multiple hosts provided with non-HTTP, non-TLS ports"
                yield Told(message, ("spec", "ports", index), "several-hosts")
                break
    yield from _export_errors(entry.spec.get("exportTo", ()), entry.namespace)


def _warnings(entry: _Entry) -> Iterator[Told]:
    selector = entry.spec.get("workloadSelector")
    if selector is not None and not selector.get("labels"):
        message = "service entry: workload selector specified without labels, will be applied to all services in namespace"
        yield Told(message, ("spec", "workloadSelector"), "selector-without-labels")
    if entry.resolution != "DYNAMIC_DNS":
        for index, host in enumerate(entry.hosts):
            if "*" in host and not host.startswith("*."):
                yield Told(f"partial wildcard {quoted(host)} not allowed", ("spec", "hosts", index), "partial-wildcard")
    if not entry.addresses and not has_allocation(entry.spec, entry.labels):
        for index, port in enumerate(entry.ports):
            if port.get("protocol", "") in WITHOUT_ADDRESSES:
                message = "addresses are required for ports serving TCP (or unset) protocol when IP Autoallocation is not enabled"
                yield Told(message, ("spec", "ports", index), "addresses-required")
    if selector is not None and entry.resolution == "NONE":
        message = "workloadSelector should not be set when resolution mode is NONE"
        yield Told(message, ("spec", "workloadSelector"), "selector-with-resolution")
    if entry.resolution == "STATIC":
        for index, endpoint in enumerate(entry.endpoints):
            if not endpoint.get("address"):
                message = f"address is unset with network {quoted(endpoint.get('network', ''))}"
                yield Told(message, ("spec", "endpoints", index), "endpoint-by-network")
    if entry.resolution in _BY_DNS and entry.addresses and len(entry.hosts) > 1:
        for index, port in enumerate(entry.ports):
            if _protocol(port) in (*go_formats.TLS, *go_formats.OTHER_TCP):
                message = "service entry can not have more than one host specified simultaneously with address and tcp port"
                yield Told(message, ("spec", "ports", index), "hosts-share-address")
                break


def _protocol(port: _Object) -> str:
    return str(port.get("protocol", "")).lower()


def _selector_errors(spec: _Object) -> Iterator[Told]:
    # A star in a value is refused by the definition; keys are the webhook's.
    for key, value in ((spec.get("workloadSelector") or {}).get("labels") or {}).items():
        here = ("spec", "workloadSelector", "labels", key)
        if not key:
            yield Told(f"empty key is not supported in selector: {quoted(f'{key}={value}')}", here, "invalid-selector")
        if "*" in key:
            yield Told(f"wildcard is not supported in selector: {quoted(f'{key}={value}')}", here, "invalid-selector")


def _resolution_errors(entry: _Entry) -> Iterator[Told]:
    if entry.resolution == "STATIC":
        names = {port["name"] for port in entry.ports}
        for index, endpoint in enumerate(entry.endpoints):
            yield from _static_endpoint_errors(endpoint, ("spec", "endpoints", index), names)
    elif entry.resolution in _BY_DNS:
        yield from _dns_errors(entry)
    elif entry.resolution == "DYNAMIC_DNS":
        yield from _dynamic_dns_errors(entry)


def _static_endpoint_errors(endpoint: _Object, here: Path, names: set[str]) -> Iterator[Told]:
    address = endpoint.get("address", "")
    if not address and not endpoint.get("network"):
        yield Told("address is required", here, "invalid-endpoint")
        return
    # The path of a socket and the ports beside it are judged by the definition.
    is_socket = address.startswith(UNIX)
    if address and not is_socket and not go_formats.is_address(address):
        message = f"endpoint address {quoted(address)} is not a valid IP address"
        yield Told(message, (*here, "address"), "invalid-endpoint")
    yield from _port_and_label_errors(endpoint, here, names)
    if is_socket and len(names) != 1:
        yield Told("exactly 1 service port required for unix endpoints", (*here, "address"), "invalid-endpoint")


def _dns_errors(entry: _Entry) -> Iterator[Told]:
    if not entry.endpoints:
        for index, host in enumerate(entry.hosts):
            if fault := go_formats.host_fault(host):
                rule = "hosts must be FQDN or contain only prefix wildcards if no endpoints are provided for resolution mode "
                yield Told(f"{rule}{entry.resolution}, {fault}", ("spec", "hosts", index), "host-with-resolution")
                break
    names = {port["name"] for port in entry.ports}
    for index, endpoint in enumerate(entry.endpoints):
        here: Path = ("spec", "endpoints", index)
        address = endpoint.get("address", "")
        if not go_formats.is_address(address) and go_formats.host_fault(address):
            message = f"endpoint address {quoted(address)} is not a valid FQDN or an IP address"
            yield Told(message, (*here, "address"), "invalid-endpoint")
        yield from _port_and_label_errors(endpoint, here, names)


def _port_and_label_errors(endpoint: _Object, here: Path, names: set[str]) -> Iterator[Told]:
    for name, number in endpoint.get("ports", {}).items():
        if name not in names:
            message = f"endpoint port {number} is not defined by the service entry"
            yield Told(message, (*here, "ports", name), "endpoint-port")
    for key, value in endpoint.get("labels", {}).items():
        for fault in go_formats.label_faults(key, value):
            yield Told(fault, (*here, "labels", key), "invalid-endpoint")


def _dynamic_dns_errors(entry: _Entry) -> Iterator[Told]:
    for index, host in enumerate(entry.hosts):
        if not host.startswith("*"):
            yield Told("host must be wildcarded for resolution mode DYNAMIC_DNS", ("spec", "hosts", index), "dynamic-dns")
    if entry.addresses:
        message = (
            "addresses cannot be set for resolution type DYNAMIC_DNS. HTTP route domains will only be generatedfrom the hosts "
            "field values"
        )
        yield Told(message, ("spec", "addresses"), "dynamic-dns")
    if entry.endpoints:
        message = (
            "endpoints cannot be set for resolution type DYNAMIC_DNS. Destination IP address determined from hostsfield values"
        )
        yield Told(message, ("spec", "endpoints"), "dynamic-dns")
    for index, port in enumerate(entry.ports):
        if _protocol(port) not in _DYNAMIC_PROTOCOLS:
            message = "only HTTP, TLS, GRPC, and HTTP2 protocols are supported for resolution type DYNAMIC_DNS"
            yield Told(message, ("spec", "ports", index), "dynamic-dns")
    waypoint = entry.labels.get(WAYPOINT, "")
    if entry.spec.get("location") == "MESH_INTERNAL" and waypoint and waypoint.lower() != "none":
        message = "location MESH_INTERNAL with resolution type DYNAMIC_DNS is not supported when using waypoints"
        yield Told(message, ("spec", "location"), "dynamic-dns")


def _export_errors(export_to: Sequence[str], namespace: str) -> Iterator[Told]:
    seen: set[str] = set()
    for index, each in enumerate(export_to):
        here: Path = ("spec", "exportTo", index)
        key = namespace or "." if each == "." else each
        if key in seen and key != each:
            yield Told(f"duplicate entries in exportTo: . and current namespace {namespace}", here, "invalid-export")
        elif key in seen:
            yield Told(f"duplicate entries in exportTo for entry {each}", here, "invalid-export")
        elif key in (".", "*", "~") or go_formats.is_label(key):
            seen.add(key)
        else:
            yield Told("only .,*, or a valid DNS 1123 label is allowed as exportTo entry", here, "invalid-export")
    for key, message in _CONTRADICTIONS.items():
        if key in seen and len(export_to) > 1:
            yield Told(message, ("spec", "exportTo"), "invalid-export")
