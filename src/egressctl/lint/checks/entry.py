"""What one ServiceEntry says that Istio takes, and that may not be meant: egressctl's own rules about an entry alone. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from egressctl.errors import InvalidInput
from egressctl.istio.conflict import ObjectReference
from egressctl.lint.checks.cdn_blocks import cdn_block_of
from egressctl.lint.rules import Finding
from egressctl.manifests.formats import (
    HTTP_PROTOCOLS,
    LOCATIONS,
    OPAQUE_PROTOCOLS,
    RESERVED_PORTS,
    Network,
    covers_host,
    network,
)
from egressctl.manifests.service_entry import ANNOTATION_PROBES, probes_of
from egressctl.manifests.yaml_reader import ValuePath
from egressctl.model.entry import Manifest, ServiceEntry

BROAD_ADDRESS_COUNT = 65_536
"""So many addresses make an entry a broad one: a /16."""

_PROBES_PATH: ValuePath = ("metadata", "annotations", ANNOTATION_PROBES)
_CLEARTEXT_PORTS = {
    21: "FTP",
    23: "Telnet",
    80: "HTTP",
    110: "POP3",
    143: "IMAP",
    389: "LDAP",
    1883: "MQTT",
    5672: "AMQP",
    6379: "Redis",
}
"""Ports whose protocols send passwords in the clear unless the client asks for TLS, and that have a neighbour with TLS."""


def check_entry(entry: ServiceEntry, spec: Mapping[str, Any] | None, originating: Sequence[str] = ()) -> Iterator[Finding]:
    """Find what may not be meant in an entry of any origin. A finding's path is that of a ServiceEntry's manifest.

    `spec` is that of its manifest, None where that is not at hand. `originating` are the hosts whose connections a
    DestinationRule wraps in TLS: to them nothing goes in the clear.
    """
    broad = tuple(_check_broad_export(entry))
    yield from (each for each in check_export_and_ports(entry) if not (broad and each.rule == "exported-everywhere"))
    yield from broad
    yield from _check_cdn_blocks(entry)
    if not all(any(covers_host(wide, host) for wide in originating) for host in entry.hosts):
        yield from _check_cleartext_ports(entry)
    if spec is not None:
        yield from _check_endpoints(entry, spec)


def check_entry_in_file(entry: ServiceEntry, manifest: Manifest) -> Iterator[Finding]:
    """Find what a file can say better: where a target that says it would be refused. A file's reader can write it anew."""
    where = str(entry)
    first: dict[Network, str] = {}
    longer = None
    for index, address in enumerate(entry.addresses):
        block, path = network(address), ("spec", "addresses", index)
        if block is None:
            continue
        if block.version == 6:
            longer = longer or (address, path)
        elif "/" in address and str(block) != address:
            yield Finding(
                "host-bits", f"{address} has host bits set, which count for nothing", where, f"write {block}", path=path
            )
        if block in first:
            told = f"{address} stands here twice, first as {first[block]}"
            yield Finding("duplicate-block", told, where, "keep one of them", path=path)
        first.setdefault(block, address)
    if longer:
        told = f"{longer[0]} is IPv6: the sidecar of a pod with IPv4 alone does not carry it, and egressctl does not prove it"
        yield Finding("ipv6-block", told, where, "leave it out, unless the pods are dual-stack", path=longer[1])
    if not entry.ports:
        told = "it has no port and opens nothing"
        yield Finding("no-ports", told, where, "such as ports: [{number: 443, name: tcp-443, protocol: TCP}]", path=("spec",))
    for index, port in enumerate(entry.ports):
        if port.protocol.upper() == "UDP":
            told = f"port {port.number} is UDP, which sidecars do not carry: it goes around them, or nowhere"
            yield Finding("udp-port", told, where, path=("spec", "ports", index))
    try:
        probes_of(manifest)
    except InvalidInput as refused:
        for each in refused.problems:
            yield Finding("invalid-probes", str(replace(each, source="", remedy="")), where, each.remedy, path=_PROBES_PATH)


def _is_exported_everywhere(entry: ServiceEntry) -> bool:
    return not entry.export_to or "*" in entry.export_to


def _ipv4_blocks(entry: ServiceEntry) -> list[ipaddress.IPv4Network]:
    found = [block for each in entry.addresses if (block := network(each)) and block.version == 4]
    return list(ipaddress.collapse_addresses(found))


def _check_broad_export(entry: ServiceEntry) -> Iterator[Finding]:
    if not _is_exported_everywhere(entry):
        return
    count = sum(block.num_addresses for block in _ipv4_blocks(entry))
    if count >= BROAD_ADDRESS_COUNT:
        told = f"it opens {count:,} addresses for every namespace" + ("" if entry.export_to else ", since it has no exportTo")
        yield Finding("broadly-exported", told, str(entry), 'exportTo: ["."] limits it to its own namespace', path=("spec",))


def _check_cdn_blocks(entry: ServiceEntry) -> Iterator[Finding]:
    """A TCP port knows addresses alone; TLS and HTTP ports look at the name that is asked for."""
    ports = [port.number for port in entry.ports if port.protocol.upper() in OPAQUE_PROTOCOLS]
    told_of: set[str] = set()
    for index, address in enumerate(entry.addresses if ports else ()):
        front = cdn_block_of(address)
        if front is None or front.whose in told_of:
            continue
        told_of.add(front.whose)
        how = (
            "is" if address == front.address else "is in" if _prefix_length(address) > _prefix_length(front.address) else "holds"
        )
        told = f"{address} {how} {front.address} of {front.whose}: every site behind it is open on port {ports[0]}"
        told = told.replace(f"{address} is {address} of", f"{address} is a block of")
        right = "name the hosts on a port of protocol TLS: its server name then decides, not the address"
        yield Finding("opens-cdn", told, str(entry), right, path=("spec", "addresses", index))


def _prefix_length(address: str) -> int:
    block = network(address)
    return block.prefixlen if block else 0


def _check_cleartext_ports(entry: ServiceEntry) -> Iterator[Finding]:
    if entry.location != LOCATIONS[0]:
        return
    for index, port in enumerate(entry.ports):
        protocol = port.protocol.upper()
        plain = "HTTP" if protocol in HTTP_PROTOCOLS else "Redis" if protocol == "REDIS" else ""
        plain = plain or (_CLEARTEXT_PORTS.get(port.number, "") if protocol in OPAQUE_PROTOCOLS else "")
        if plain:
            said = f"protocol {protocol}" if protocol in (*HTTP_PROTOCOLS, "REDIS") else f"{plain}'s"
            told = f"port {port.number} is {said}: what is sent there can be read on the way, passwords included"
            right = "a port with TLS, or a DestinationRule that wraps the host's connections in TLS"
            yield Finding("cleartext-port", told, str(entry), right, path=("spec", "ports", index))


def _check_endpoints(entry: ServiceEntry, spec: Mapping[str, Any]) -> Iterator[Finding]:
    if entry.resolution != "STATIC" or spec.get("endpoints") or spec.get("workloadSelector"):
        return
    told = "the resolution is STATIC, and there are neither endpoints nor a workloadSelector: connections go nowhere"
    yield Finding("no-endpoints", told, str(entry), "add endpoints, or use resolution NONE or DNS", path=("spec",))


def check_export_and_ports(entry: ServiceEntry) -> Iterator[Finding]:
    """Find what an entry says that may not be meant, without a look at anything else."""
    where = str(entry)
    show = ObjectReference("ServiceEntry", entry.namespace, entry.name).show
    if not entry.export_to:
        told = "it has no exportTo and opens the egress for every namespace"
        right = 'exportTo: ["."] or --export-to . limits it to its own namespace'
        yield Finding("exported-everywhere", told, where, right, path=("spec",))
    every = any(str(network(address)) == "0.0.0.0/0" for address in entry.addresses)
    for index, port in enumerate(entry.ports):
        path = ("spec", "ports", index)
        if port.protocol.upper() in OPAQUE_PROTOCOLS and (every or not entry.addresses):
            because = "with 0.0.0.0/0 among its addresses" if every else "without addresses"
            told = f"port {port.number} is {port.protocol.upper() or 'TCP'} {because}: it is open to every address"
            yield Finding("opens-whole-port", told, where, "list the addresses that are meant", path=path)
        # A plain address gets a listener of its own, which collides with nothing.
        if port.number in RESERVED_PORTS and (not entry.addresses or any("/" in address for address in entry.addresses)):
            told = f"port {port.number} is Istio's own, for {RESERVED_PORTS[port.number]}: the sidecar gets no listener for it"
            yield Finding("reserved-port", told, where, show, path=path)


def check_export_to(entry: ServiceEntry, namespace: str, namespaces: Mapping[str, Any], *, all_known: bool) -> Iterator[Finding]:
    """Find what exportTo keeps the entry from: the namespace of the source pod, and those that are not there."""
    show = ObjectReference("ServiceEntry", entry.namespace, entry.name).show
    exports = entry.export_to or ("*",)
    if not {"*", namespace} & set(exports) and not ("." in exports and namespace == entry.namespace):
        told = f"exportTo is {', '.join(exports)}, which leaves out namespace {namespace}"
        yield Finding("not-exported", told, str(entry), show)
    for each in exports:
        if all_known and each not in (".", "*", "~") and each not in namespaces:
            yield Finding("unknown-namespace", f"exportTo names namespace {each}, which is not there", str(entry), show)
