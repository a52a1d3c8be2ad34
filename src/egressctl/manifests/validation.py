"""The rules for what a target may say: Istio's own where they were measured, and ours where Istio's let harm through.

Ours: no host bits, no block twice, no IPv6 yet, no port that Istio itself uses, and no TCP port
without addresses, which opens the port to every address. Everything is told at once.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Any

from egressctl.errors import Problem
from egressctl.manifests.formats import (
    HTTP_PROTOCOLS,
    LOCATIONS,
    OPAQUE_PROTOCOLS,
    PROTOCOLS,
    RESERVED_PORTS,
    RESOLUTIONS,
    TLS_PROTOCOLS,
    Network,
    host_fault,
    is_label,
    network,
)
from egressctl.manifests.problems import PlaceOfPath, ProblemCollector
from egressctl.manifests.yaml_reader import ValuePath, quote_text

MAX_ITEMS = 256
"""So many hosts, and so many addresses, Istio takes in one ServiceEntry."""
MOST_ADDRESSES = 16_000
"""So many a target may list, which becomes several entries: beside 5,000 a push takes istiod half a minute already."""

_SPEC_FIELDS = (
    "hosts",
    "addresses",
    "ports",
    "location",
    "resolution",
    "endpoints",
    "workloadSelector",
    "exportTo",
    "subjectAltNames",
)
_PORT_FIELDS = ("number", "protocol", "name", "targetPort")
_ENDPOINT_FIELDS = ("address", "ports", "labels", "network", "locality", "weight", "serviceAccount")


def check_spec(
    spec: Any, *, where: PlaceOfPath | None = None, any_address: bool = False, addresses: int = MAX_ITEMS
) -> list[Problem]:
    """Return every problem of a ServiceEntry's `spec`; `any_address` allows what opens a port to every address.

    `addresses` is how many there may be: more than MAX_ITEMS for what will become several entries.
    """
    found = ProblemCollector(where) if where else ProblemCollector()
    entry = found.mapping(spec, (), _SPEC_FIELDS, "the spec of a ServiceEntry")
    if not isinstance(spec, dict):
        return found.problems
    hosts = _check_hosts(found, entry)
    networks = _check_addresses(found, entry, addresses)
    ports = _check_ports(found, entry)
    for name, known in (("resolution", RESOLUTIONS), ("location", LOCATIONS)):
        choice = entry.get(name, known[0])
        if name in entry and found.is_a(str, choice, (name,), f"one of {', '.join(known)}") and choice not in known:
            found.add((name,), f"{quote_text(choice)} is not known", f"one of {', '.join(known)}")
    if not any_address:
        _check_whole_port(found, entry, ports, networks)
    _check_endpoints(found, entry, ports)
    _check_combinations(found, entry, hosts, ports)
    _check_export_to(found, entry)
    found.listed(entry, (), "subjectAltNames", str, "names, as text")
    return found.problems


def _check_hosts(found: ProblemCollector, entry: Mapping[str, Any]) -> list[str]:
    if entry.get("hosts", []) == []:
        found.add(("hosts",), "there is no host", "name at least one, such as wikipedia.org")
    hosts = found.listed(entry, (), "hosts", str, "DNS names")
    _check_count(found, entry, "hosts", MAX_ITEMS)
    for path, host in hosts:
        if fault := host_fault(host):
            found.add(path, *fault)
    return [host for _, host in hosts]


def _check_count(found: ProblemCollector, entry: Mapping[str, Any], name: str, most: int) -> None:
    value = entry.get(name)
    if isinstance(value, list) and len(value) > most:
        remedy = "split them over several entries" if most == MAX_ITEMS else "list only what is called, or make several targets"
        found.add((name,), f"{len(value)} {name}, at most {most} are allowed", remedy)


def _check_addresses(found: ProblemCollector, entry: Mapping[str, Any], most: int) -> list[Network]:
    _check_count(found, entry, "addresses", most)
    first: dict[Network, str] = {}
    for path, address in found.listed(entry, (), "addresses", str, "addresses, as text"):
        block = network(address)
        if block is None:
            found.add(path, f"{quote_text(address)} is no address and no block", _address_remedy(address))
        elif block.version == 6:
            remedy = "leave it out: the sidecar of a pod with IPv4 does not carry IPv6"
            found.add(path, f"{address} is IPv6, which is not supported yet", remedy)
        elif "/" in address and str(block) != address:
            found.add(path, f"{address} has host bits set", f"write {block}")
        elif block in first:
            found.add(path, f"{address} stands here twice, first as {first[block]}", "keep one of them")
        if block:
            first.setdefault(block, address)
    return list(first)


def _address_remedy(address: str) -> str:
    general = "an IPv4 address such as 208.80.154.224, or a block such as 208.80.154.224/27"
    parts = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+){3})(/[0-9]+)?\s*", address)
    if parts:
        plain = ".".join(str(int(part[:9])) for part in parts[1].split(".")) + (parts[2] or "")
        if plain != address and network(plain):
            return f"write {plain}"
    if host_fault(address) is None:
        return f"a name goes under hosts; here {general}"
    return general


def _check_ports(found: ProblemCollector, entry: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    if entry.get("ports", []) == []:
        found.add(
            ("ports",), "there is no port, so the entry would open nothing", "such as {number: 443, name: tcp-443, protocol: TCP}"
        )
    ports = []
    seen: dict[tuple[str, Any], ValuePath] = {}
    for path, port in found.listed(entry, (), "ports", dict, "ports such as {number: 443, name: tcp-443, protocol: TCP}"):
        found.fields(port, path, _PORT_FIELDS)
        ports.append(port)
        for name, kind, example in (("number", int, "443"), ("name", str, "tcp-443")):
            if name not in port:
                found.add((*path, name), f"the port has no {name}", f"such as {name}: {example}")
            elif found.is_a(kind, port[name], (*path, name), f"a {name} such as {example}"):
                if seen.setdefault((name, port[name]), path) != path:
                    found.add(
                        (*path, name), f"two ports have the {name} {_short_text(port[name])}", f"a {name} can stand only once"
                    )
                _check_port_number(found, (*path, name), port[name], own=True) if kind is int else _check_port_name(
                    found, (*path, name), port[name]
                )
        if "targetPort" in port and found.is_a(int, port["targetPort"], (*path, "targetPort"), "a port number"):
            _check_port_number(found, (*path, "targetPort"), port["targetPort"])
        if "protocol" in port and found.is_a(str, port["protocol"], (*path, "protocol"), "a protocol such as TCP"):
            _check_protocol(found, (*path, "protocol"), port["protocol"])
    return ports


def _short_text(value: object) -> str:
    return quote_text(value) if isinstance(value, str) else str(value)


def _check_port_number(found: ProblemCollector, path: ValuePath, number: int, *, own: bool = False) -> None:
    if not 1 <= number <= 65535:
        found.add(path, f"{number} is no port number", "1 to 65535")
    elif own and number in RESERVED_PORTS:
        found.add(path, f"the sidecar uses port {number} itself, for {RESERVED_PORTS[number]}", "choose another port")


def _check_port_name(found: ProblemCollector, path: ValuePath, name: str) -> None:
    if not is_label(name):
        right = re.sub(r"[^a-z0-9]+", "-", name.lower())[:63].strip("-")
        remedy = f"write {right}" if is_label(right) else "small letters, digits and inner hyphens, at most 63"
        found.add(path, f"{quote_text(name)} is no name of a port", remedy)


def _check_protocol(found: ProblemCollector, path: ValuePath, protocol: str) -> None:
    if protocol.upper() not in PROTOCOLS:
        near = difflib.get_close_matches(protocol.upper(), sorted(PROTOCOLS - {""}), 1)
        remedy = f"did you mean {near[0]}?" if near else f"one of {', '.join(sorted(PROTOCOLS - {''}))}"
        found.add(path, f"Istio knows no protocol {quote_text(protocol)}", remedy)


def _protocol_of(port: Mapping[str, Any]) -> str:
    protocol = port.get("protocol", "")
    return protocol.upper() if isinstance(protocol, str) else ""


def _check_whole_port(
    found: ProblemCollector, entry: Mapping[str, Any], ports: list[Mapping[str, Any]], networks: list[Network]
) -> None:
    every = [block for block in networks if block.version == 4 and block.prefixlen == 0]
    if entry.get("addresses", []) != [] and not every:
        return
    for index, port in enumerate(ports):
        if _protocol_of(port) not in OPAQUE_PROTOCOLS:
            continue
        because = f"with {every[0]} among its addresses" if every else "without addresses"
        message = f"a {_protocol_of(port) or 'TCP'} port {because} opens port {port.get('number', '?')} to every address"
        path: ValuePath = ("addresses",) if every else ("ports", index)
        found.add(path, message, "list the addresses, or give --any-address if that is meant")


def _check_endpoints(found: ProblemCollector, entry: Mapping[str, Any], ports: list[Mapping[str, Any]]) -> None:
    names = {name for port in ports if isinstance(name := port.get("name"), str)}
    for path, endpoint in found.listed(entry, (), "endpoints", dict, "endpoints such as {address: 198.51.100.7}"):
        found.fields(endpoint, path, _ENDPOINT_FIELDS)
        found.check_texts(endpoint, path, "labels")
        for name in ("address", "network", "locality", "serviceAccount"):
            if name in endpoint:
                found.is_a(str, endpoint[name], (*path, name), "text")
        if "weight" in endpoint and found.is_a(int, endpoint["weight"], (*path, "weight"), "a number") and endpoint["weight"] < 0:
            found.add((*path, "weight"), f"{endpoint['weight']} is no weight", "0 or more")
        if not endpoint.get("address") and not endpoint.get("network"):
            found.add((*path, "address"), "the endpoint has no address", "such as address: 198.51.100.7")
        elif isinstance(address := endpoint.get("address"), str) and address:
            _check_endpoint_address(found, (*path, "address"), address, entry.get("resolution", "NONE"))
        if "ports" in endpoint and found.is_a(dict, endpoint["ports"], (*path, "ports"), "a mapping of port names to numbers"):
            for name, number in endpoint["ports"].items():
                if found.is_a(int, number, (*path, "ports", name), "a port number"):
                    _check_port_number(found, (*path, "ports", name), number)
                if name not in names:
                    found.add((*path, "ports", name), "no port of this entry has this name", f"one of {', '.join(sorted(names))}")


def _check_endpoint_address(found: ProblemCollector, path: ValuePath, address: str, resolution: object) -> None:
    is_ip = "/" not in address and network(address) is not None
    if resolution == "STATIC" and not is_ip and not address.startswith("unix://"):
        found.add(path, f"{quote_text(address)} is no IP address, as STATIC needs", "give an address, or use resolution DNS")
    elif resolution in ("DNS", "DNS_ROUND_ROBIN") and not is_ip and host_fault(address, wildcard=False):
        found.add(path, f"{quote_text(address)} is neither an IP address nor a DNS name", "such as db.example.com")


def _check_combinations(
    found: ProblemCollector, entry: Mapping[str, Any], hosts: list[str], ports: list[Mapping[str, Any]]
) -> None:
    resolution = entry.get("resolution", "NONE")
    endpoints = entry["endpoints"] if isinstance(entry.get("endpoints"), list) else []
    addresses = entry["addresses"] if isinstance(entry.get("addresses"), list) else []
    if resolution in ("DNS", "DNS_ROUND_ROBIN", "DYNAMIC_DNS"):
        for index, address in enumerate(addresses):
            if isinstance(address, str) and "/" in address:
                found.add(
                    ("addresses", index),
                    f"a block does not go with resolution {resolution}",
                    "use NONE or STATIC, or plain addresses",
                )
    if resolution == "NONE" and endpoints:
        found.add(("endpoints",), "endpoints do not go with resolution NONE", "leave them out, or use STATIC or DNS")
    if resolution == "DNS_ROUND_ROBIN" and len(endpoints) > 1:
        found.add(("endpoints",), "several endpoints do not go with resolution DNS_ROUND_ROBIN", "keep one, or use DNS")
    if resolution in ("DNS", "DNS_ROUND_ROBIN") and not endpoints:
        for index, host in enumerate(hosts):
            if host.startswith("*"):
                found.add(
                    ("hosts", index), f"a wildcard does not go with resolution {resolution} without endpoints", "name the host"
                )
    protocols = {_protocol_of(port) for port in ports}
    if resolution == "DYNAMIC_DNS":
        _check_dynamic_dns(found, hosts, bool(addresses), ports)
    elif resolution in RESOLUTIONS and resolution != "NONE" and len(hosts) > 1 and protocols - HTTP_PROTOCOLS - TLS_PROTOCOLS:
        remedy = "one host an entry, or resolution NONE"
        found.add(("hosts",), f"several hosts on a port of neither HTTP nor TLS do not go with resolution {resolution}", remedy)
    if "workloadSelector" in entry:
        selector = found.mapping(entry["workloadSelector"], ("workloadSelector",), ("labels",), "labels")
        found.check_texts(selector, ("workloadSelector",), "labels")
        labels = selector.get("labels")
        for key, value in labels.items() if isinstance(labels, dict) else ():
            if "*" in f"{key}{value}":
                found.add(("workloadSelector", "labels", key), "a selector takes no wildcard", "write the value out")
        if "endpoints" in entry:
            found.add(("endpoints",), "endpoints do not go with a workloadSelector", "keep one of the two")


def _check_dynamic_dns(found: ProblemCollector, hosts: list[str], addresses: bool, ports: list[Mapping[str, Any]]) -> None:
    for index, host in enumerate(hosts):
        if not host.startswith("*."):
            found.add(("hosts", index), "resolution DYNAMIC_DNS takes wildcard hosts only", "such as *.wikipedia.org, or use DNS")
    if addresses:
        found.add(("addresses",), "addresses do not go with resolution DYNAMIC_DNS", "leave them out")
    for index, port in enumerate(ports):
        if _protocol_of(port) not in ("HTTP", "HTTP2", "GRPC", "TLS"):
            found.add(
                ("ports", index, "protocol"), "resolution DYNAMIC_DNS takes HTTP, HTTP2, GRPC and TLS only", "use one of these"
            )


def _check_export_to(found: ProblemCollector, entry: Mapping[str, Any]) -> None:
    namespaces = found.listed(entry, (), "exportTo", str, "namespaces, as text")
    seen = set()
    for path, namespace in namespaces:
        if namespace not in (".", "*", "~") and not is_label(namespace):
            found.add(
                path, f"{quote_text(namespace)} is no namespace", 'the name of one, "." for the entry\'s own, or "*" for all'
            )
        elif namespace in ("*", "~") and len({name for _, name in namespaces}) > 1:
            meaning = "every namespace" if namespace == "*" else "no namespace"
            found.add(path, f"{namespace} is {meaning}, and others are named beside it", "keep one or the other")
        elif namespace in seen:
            found.add(path, f"{quote_text(namespace)} stands here twice", "keep one of them")
        seen.add(namespace)
