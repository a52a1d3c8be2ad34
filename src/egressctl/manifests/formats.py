"""Istio's and DNS's own words: protocols, resolutions, labels, host names, addresses and blocks."""

from __future__ import annotations

import re

from egressctl.manifests.yaml_reader import quote_text
from egressctl.model.blocks import Block, parse_block, parse_blocks

RESOLUTIONS = ("NONE", "STATIC", "DNS", "DNS_ROUND_ROBIN", "DYNAMIC_DNS")
LOCATIONS = ("MESH_EXTERNAL", "MESH_INTERNAL")
MAX_HOST_LENGTH = 255
MAX_ITEMS = 256
"""So many hosts, and so many addresses, Istio takes in one ServiceEntry."""
HTTP_PROTOCOLS = frozenset({"HTTP", "HTTP2", "HTTP_PROXY", "GRPC", "GRPC-WEB"})
TLS_PROTOCOLS = frozenset({"HTTPS", "TLS"})
OPAQUE_PROTOCOLS = frozenset({"", "TCP", "MONGO", "REDIS", "MYSQL"})
"""Those whose listener matches by address alone; an unset protocol is sniffed, and opaque where that fails."""
PROTOCOLS = HTTP_PROTOCOLS | TLS_PROTOCOLS | OPAQUE_PROTOCOLS | {"UDP"}
"""What `protocol.Parse` of istio/istio knows (pkg/config/protocol/instance.go); case does not count."""
RESERVED_PORTS = {
    15001: "its outbound listener",
    15006: "its inbound listener",
    15021: "its health checks",
    15090: "its metrics",
}

_LABEL = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")
_HOST_LABEL = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9]{0,61}[A-Za-z0-9])?")

_AUTO_ALLOCATED = parse_blocks(("240.240.0.0/16", "2001:2::/48"))
"""From which Istio gives an address to a ServiceEntry that has none (pilot/pkg/serviceregistry/util and ipallocate)."""


def is_label(name: object) -> bool:
    """Say whether a value is a DNS-1123 label: at most 63 small letters, digits and inner hyphens."""
    return isinstance(name, str) and _LABEL.fullmatch(name) is not None


def is_auto_allocated(block: Block) -> bool:
    """Say whether an address or block is one that Istio allocates, and no server has."""
    return any(each.holds(block) for each in _AUTO_ALLOCATED)


def host_fault(host: str, *, wildcard: bool = True) -> tuple[str, str] | None:
    """Say what is wrong with a host name and what would be right; None where it is one."""
    if not host.strip():
        return "the host is empty", "a DNS name such as www.wikipedia.org"
    if len(host) > MAX_HOST_LENGTH:
        return f"the host has {len(host):,} characters", f"at most {MAX_HOST_LENGTH}"
    if parse_block(host):
        return f"{quote_text(host)} is an address, not a host", "give a DNS name here, and put the address under addresses"
    if not host.isascii():
        return f"{quote_text(host)} is not written in ASCII", punycode(host)
    if "://" in host or "/" in host or re.search(r":[0-9]*$", host):
        inner = re.sub(r":[0-9]*$", "", re.sub(r"^[^/]*://", "", host).split("/")[0])
        right = f"write {inner}" if inner and host_fault(inner) is None else "a DNS name"
        return f"{quote_text(host)} is more than a host name", f"{right}, without scheme, port or path"
    if host == "*":
        return "the host * would name every host", "name the hosts; a wildcard stands for the first label, as in *.wikipedia.org"
    labels = host.removesuffix(".").split(".")
    if wildcard and len(labels) > 1 and labels[0].startswith("*"):
        labels[0] = labels[0][1:] or "x"
    if any("*" in label for label in labels):
        where = "a wildcard can only stand first, as in *.wikipedia.org" if wildcard else "no wildcard can stand here"
        return f"{quote_text(host)} is no host name", where
    if not all(_HOST_LABEL.fullmatch(label) for label in labels):
        rule = "letters, digits and inner hyphens, at most 63 between two dots and 255 in all"
        return f"{quote_text(host)} is no DNS name", rule
    if labels[-1].isdigit():
        return f"{quote_text(host)} ends in a number, as no DNS name does", "put addresses under addresses"
    return None


def punycode(host: str) -> str:
    """Say how to write a host name that holds letters beyond ASCII."""
    try:
        return f"write it as {host.encode('idna').decode()}"
    except UnicodeError:
        return "write it in punycode (xn--...)"
