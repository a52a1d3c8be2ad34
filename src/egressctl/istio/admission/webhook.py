"""What istiod's webhook refuses or warns of in a ServiceEntry that the CustomResourceDefinition lets through. Pure.

Follows `ValidateServiceEntry` and what it calls in `pkg/config/validation` of istio/istio (August 2026, towards 1.32), in its
words and its order. What the definition has refused before is not asked again. Features have their defaults: addresses are
allocated automatically.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from egressctl.istio.admission import go_formats
from egressctl.istio.admission.crd import UNIX_SOCKET_PREFIX
from egressctl.istio.admission.mistakes import Mistake
from egressctl.istio.admission.structural import quote_value
from egressctl.manifests.formats import HTTP_PROTOCOLS, OPAQUE_PROTOCOLS, PROTOCOLS, TLS_PROTOCOLS
from egressctl.manifests.yaml_reader import ValuePath

_Object = Mapping[str, Any]

ALWAYS_REJECT_ANNOTATION, DRY_RUN_ANNOTATION = "internal.istio.io/webhook-always-reject", "istio.io/dry-run"
AUTO_ALLOCATE_LABEL, WAYPOINT_LABEL = "networking.istio.io/enable-autoallocate-ip", "istio.io/use-waypoint"
PROTOCOLS_THAT_NEED_ADDRESSES = ("", "TCP")
"""Protocols that need addresses."""
_BY_DNS = ("DNS", "DNS_ROUND_ROBIN")
_DYNAMIC_PROTOCOLS = ("HTTP", "TLS", "GRPC", "HTTP2")
_CONTRADICTIONS = {
    "*": "cannot have both public (*) and non-public exportTo values for a resource",
    "~": "cannot export service entry to no one (~) and someone",
}


class WebhookMessage(NamedTuple):
    """One thing that the webhook says, where, and lint's rule for it."""

    message: str
    path: ValuePath
    rule: str


class WebhookVerdict(NamedTuple):
    """What the webhook refuses, and what it warns of; where it refuses, the API server passes no warning on."""

    errors: tuple[WebhookMessage, ...] = ()
    warnings: tuple[WebhookMessage, ...] = ()


class _EntryFields(NamedTuple):
    """What is asked again and again of a ServiceEntry; `namespace` is empty where it is not known."""

    spec: _Object
    labels: Mapping[str, str]
    namespace: str
    resolution: str
    hosts: Sequence[str]
    addresses: Sequence[str]
    ports: Sequence[_Object]
    endpoints: Sequence[_Object]


def validate_service_entry(manifest: _Object, namespace: str = "") -> WebhookVerdict:
    """Judge a ServiceEntry that the definition has accepted, without its nulls and unknown fields.

    `namespace` is where it goes if it names none itself. Of what is not known without one, nothing is reported.
    """
    metadata, spec = manifest.get("metadata") or {}, manifest["spec"]
    annotations = metadata.get("annotations") or {}
    for name, text in (
        (DRY_RUN_ANNOTATION, f"has unsupported annotation {DRY_RUN_ANNOTATION}, please remove the annotation"),
        (ALWAYS_REJECT_ANNOTATION, f'"{ALWAYS_REJECT_ANNOTATION}" annotation found, rejecting'),
    ):
        if name in annotations:
            return WebhookVerdict((WebhookMessage(text, ("metadata", "annotations", name), Mistake.INVALID_ANNOTATION),))
    if refused := tuple(_selector_errors(spec)):
        return WebhookVerdict(refused)
    entry = _EntryFields(
        spec,
        metadata.get("labels") or {},
        metadata.get("namespace") or namespace,
        spec.get("resolution", "NONE"),
        spec["hosts"],
        spec.get("addresses", ()),
        spec.get("ports", ()),
        spec.get("endpoints", ()),
    )
    return WebhookVerdict(tuple(_errors(entry)), tuple(_warnings(entry)))


def has_auto_allocated_address(spec: _Object, labels: _Object) -> bool:
    """Say whether Istio gives an entry an address of its own: `ShouldV2AutoAllocateIPFromConfig`."""
    return spec.get("resolution") not in (None, "NONE") and str(labels.get(AUTO_ALLOCATE_LABEL, "")).lower() != "false"


def _errors(entry: _EntryFields) -> Iterator[WebhookMessage]:
    for index, host in enumerate(entry.hosts):
        if fault := go_formats.wildcard_host_fault(host):
            yield WebhookMessage(fault, ("spec", "hosts", index), Mistake.INVALID_HOST)
    for index, address in enumerate(entry.addresses):
        if fault := go_formats.address_fault(address):
            yield WebhookMessage(fault, ("spec", "addresses", index), Mistake.INVALID_ADDRESS)
    for index, port in enumerate(entry.ports):
        if not go_formats.is_istio_label(port["name"]):
            yield WebhookMessage(
                f"invalid port name: {port['name']}", ("spec", "ports", index, "name"), Mistake.INVALID_PORT_NAME
            )
        if _protocol(port) not in PROTOCOLS:
            message = f"unsupported protocol: {port['protocol']}"
            yield WebhookMessage(message, ("spec", "ports", index, "protocol"), Mistake.UNKNOWN_PROTOCOL)
    yield from _resolution_errors(entry)
    if entry.resolution != "NONE" and len(entry.hosts) > 1:
        for index, port in enumerate(entry.ports):
            if _protocol(port) not in HTTP_PROTOCOLS | TLS_PROTOCOLS:
                message = "multiple hosts provided with non-HTTP, non-TLS ports"
                yield WebhookMessage(message, ("spec", "ports", index), Mistake.SEVERAL_HOSTS)
                break
    yield from _export_errors(entry.spec.get("exportTo", ()), entry.namespace)


def _warnings(entry: _EntryFields) -> Iterator[WebhookMessage]:
    selector = entry.spec.get("workloadSelector")
    if selector is not None and not selector.get("labels"):
        message = "service entry: workload selector specified without labels, will be applied to all services in namespace"
        yield WebhookMessage(message, ("spec", "workloadSelector"), Mistake.SELECTOR_WITHOUT_LABELS)
    if entry.resolution != "DYNAMIC_DNS":
        for index, host in enumerate(entry.hosts):
            if "*" in host and not host.startswith("*."):
                yield WebhookMessage(
                    f"partial wildcard {quote_value(host)} not allowed", ("spec", "hosts", index), Mistake.PARTIAL_WILDCARD
                )
    if not entry.addresses and not has_auto_allocated_address(entry.spec, entry.labels):
        for index, port in enumerate(entry.ports):
            if port.get("protocol", "") in PROTOCOLS_THAT_NEED_ADDRESSES:
                message = "addresses are required for ports serving TCP (or unset) protocol when IP Autoallocation is not enabled"
                yield WebhookMessage(message, ("spec", "ports", index), Mistake.ADDRESSES_REQUIRED)
    if selector is not None and entry.resolution == "NONE":
        message = "workloadSelector should not be set when resolution mode is NONE"
        yield WebhookMessage(message, ("spec", "workloadSelector"), Mistake.SELECTOR_WITH_RESOLUTION)
    if entry.resolution == "STATIC":
        for index, endpoint in enumerate(entry.endpoints):
            if not endpoint.get("address"):
                message = f"address is unset with network {quote_value(endpoint.get('network', ''))}"
                yield WebhookMessage(message, ("spec", "endpoints", index), Mistake.ENDPOINT_BY_NETWORK)
    if entry.resolution in _BY_DNS and entry.addresses and len(entry.hosts) > 1:
        for index, port in enumerate(entry.ports):
            if _protocol(port) in TLS_PROTOCOLS | OPAQUE_PROTOCOLS - {""}:
                message = "service entry can not have more than one host specified simultaneously with address and tcp port"
                yield WebhookMessage(message, ("spec", "ports", index), Mistake.HOSTS_SHARE_ADDRESS)
                break


def _protocol(port: _Object) -> str:
    return str(port.get("protocol", "")).upper()


def _selector_errors(spec: _Object) -> Iterator[WebhookMessage]:
    # A star in a value is refused by the definition; keys are the webhook's.
    for key, value in ((spec.get("workloadSelector") or {}).get("labels") or {}).items():
        here = ("spec", "workloadSelector", "labels", key)
        if not key:
            yield WebhookMessage(
                f"empty key is not supported in selector: {quote_value(f'{key}={value}')}", here, Mistake.INVALID_SELECTOR
            )
        if "*" in key:
            yield WebhookMessage(
                f"wildcard is not supported in selector: {quote_value(f'{key}={value}')}", here, Mistake.INVALID_SELECTOR
            )


def _resolution_errors(entry: _EntryFields) -> Iterator[WebhookMessage]:
    if entry.resolution == "STATIC":
        names = {port["name"] for port in entry.ports}
        for index, endpoint in enumerate(entry.endpoints):
            yield from _static_endpoint_errors(endpoint, ("spec", "endpoints", index), names)
    elif entry.resolution in _BY_DNS:
        yield from _dns_errors(entry)
    elif entry.resolution == "DYNAMIC_DNS":
        yield from _dynamic_dns_errors(entry)


def _static_endpoint_errors(endpoint: _Object, here: ValuePath, names: set[str]) -> Iterator[WebhookMessage]:
    address = endpoint.get("address", "")
    if not address and not endpoint.get("network"):
        yield WebhookMessage("address is required", here, Mistake.INVALID_ENDPOINT)
        return
    # The path of a socket and the ports next to it are judged by the definition.
    is_socket = address.startswith(UNIX_SOCKET_PREFIX)
    if address and not is_socket and not go_formats.is_address(address):
        message = f"endpoint address {quote_value(address)} is not a valid IP address"
        yield WebhookMessage(message, (*here, "address"), Mistake.INVALID_ENDPOINT)
    yield from _port_and_label_errors(endpoint, here, names)
    if is_socket and len(names) != 1:
        yield WebhookMessage("exactly 1 service port required for unix endpoints", (*here, "address"), Mistake.INVALID_ENDPOINT)


def _dns_errors(entry: _EntryFields) -> Iterator[WebhookMessage]:
    if not entry.endpoints:
        for index, host in enumerate(entry.hosts):
            if fault := go_formats.exact_host_fault(host):
                rule = "hosts must be FQDN or contain only prefix wildcards if no endpoints are provided for resolution mode "
                yield WebhookMessage(f"{rule}{entry.resolution}, {fault}", ("spec", "hosts", index), Mistake.HOST_WITH_RESOLUTION)
                break
    names = {port["name"] for port in entry.ports}
    for index, endpoint in enumerate(entry.endpoints):
        here: ValuePath = ("spec", "endpoints", index)
        address = endpoint.get("address", "")
        if not go_formats.is_address(address) and go_formats.exact_host_fault(address):
            message = f"endpoint address {quote_value(address)} is not a valid FQDN or an IP address"
            yield WebhookMessage(message, (*here, "address"), Mistake.INVALID_ENDPOINT)
        yield from _port_and_label_errors(endpoint, here, names)


def _port_and_label_errors(endpoint: _Object, here: ValuePath, names: set[str]) -> Iterator[WebhookMessage]:
    for name, number in endpoint.get("ports", {}).items():
        if name not in names:
            message = f"endpoint port {number} is not defined by the service entry"
            yield WebhookMessage(message, (*here, "ports", name), Mistake.ENDPOINT_PORT)
    for key, value in endpoint.get("labels", {}).items():
        for fault in go_formats.label_faults(key, value):
            yield WebhookMessage(fault, (*here, "labels", key), Mistake.INVALID_ENDPOINT)


def _dynamic_dns_errors(entry: _EntryFields) -> Iterator[WebhookMessage]:
    for index, host in enumerate(entry.hosts):
        if not host.startswith("*"):
            yield WebhookMessage(
                "host must be wildcarded for resolution mode DYNAMIC_DNS", ("spec", "hosts", index), Mistake.DYNAMIC_DNS
            )
    if entry.addresses:
        message = (
            "addresses cannot be set for resolution type DYNAMIC_DNS. HTTP route domains will only be generatedfrom the hosts "
            "field values"
        )
        yield WebhookMessage(message, ("spec", "addresses"), Mistake.DYNAMIC_DNS)
    if entry.endpoints:
        message = (
            "endpoints cannot be set for resolution type DYNAMIC_DNS. Destination IP address determined from hostsfield values"
        )
        yield WebhookMessage(message, ("spec", "endpoints"), Mistake.DYNAMIC_DNS)
    for index, port in enumerate(entry.ports):
        if _protocol(port) not in _DYNAMIC_PROTOCOLS:
            message = "only HTTP, TLS, GRPC, and HTTP2 protocols are supported for resolution type DYNAMIC_DNS"
            yield WebhookMessage(message, ("spec", "ports", index), Mistake.DYNAMIC_DNS)
    waypoint = entry.labels.get(WAYPOINT_LABEL, "")
    if entry.spec.get("location") == "MESH_INTERNAL" and waypoint and waypoint.lower() != "none":
        message = "location MESH_INTERNAL with resolution type DYNAMIC_DNS is not supported when using waypoints"
        yield WebhookMessage(message, ("spec", "location"), Mistake.DYNAMIC_DNS)


def _export_errors(export_to: Sequence[str], namespace: str) -> Iterator[WebhookMessage]:
    seen: set[str] = set()
    for index, each in enumerate(export_to):
        here: ValuePath = ("spec", "exportTo", index)
        key = namespace or "." if each == "." else each
        if key in seen and key != each:
            yield WebhookMessage(
                f"duplicate entries in exportTo: . and current namespace {namespace}", here, Mistake.INVALID_EXPORT
            )
        elif key in seen:
            yield WebhookMessage(f"duplicate entries in exportTo for entry {each}", here, Mistake.INVALID_EXPORT)
        elif key in (".", "*", "~") or go_formats.is_istio_label(key):
            seen.add(key)
        else:
            yield WebhookMessage("only .,*, or a valid DNS 1123 label is allowed as exportTo entry", here, Mistake.INVALID_EXPORT)
    for key, message in _CONTRADICTIONS.items():
        if key in seen and len(export_to) > 1:
            yield WebhookMessage(message, ("spec", "exportTo"), Mistake.INVALID_EXPORT)
