"""What Istio's webhook takes for a label, a host name, an address, a block, a protocol: its own notions, and Go's. Pure.

From `pkg/config/labels`, `pkg/config/validation/agent` and `pkg/config/protocol` of istio/istio, and Go's `net/netip`. They
differ from Kubernetes' and from Python's: letters may be upper case, and an IPv6 address may have a zone.
"""

from __future__ import annotations

import ipaddress
import re

from egressctl.istio.admission.structural import quote_value

_LONGEST_LABEL, _LONGEST_HOST = 63, 255
_LABEL = "[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?"
_IS_LABEL = re.compile(_LABEL)
_IS_WILDCARD_LABEL = re.compile(rf"\*|(?:\*|\*-)?{_LABEL}")
_QUALIFIED = "(?:[A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_TAG_KEY = re.compile(rf"({_LABEL}(?:\.{_LABEL})*/)?({_QUALIFIED})")
_TAG_VALUE = re.compile(f"(?:{_QUALIFIED})?")
_LONGEST_PREFIX = 253
_ADDRESS = re.compile("[0-9a-fA-F.:]+")
_PREFIX_LENGTH = re.compile("0|[1-9][0-9]*")
_NUMBER = re.compile("[-+]?[0-9]+")
_INT64_LIMIT = 2**63


def is_istio_label(text: str) -> bool:
    """Say whether a text is a DNS-1123 label to Istio, which upper case is as well."""
    return len(text) <= _LONGEST_LABEL and _IS_LABEL.fullmatch(text) is not None


def wildcard_host_fault(host: str) -> str:
    """Say what is wrong with a host that may begin with a wildcard; empty where nothing is."""
    if fault := _size_fault(host):
        return fault
    first, dot, rest = host.partition(".")
    if len(first) > _LONGEST_LABEL or not _IS_WILDCARD_LABEL.fullmatch(first):
        return f"domain name {quote_value(host)} invalid (label {quote_value(first)} invalid)"
    return _labels_fault(rest) if dot else ""


def exact_host_fault(host: str) -> str:
    """Say what is wrong with a host that may hold no wildcard; empty where nothing is. A dot at its end is none of its faults."""
    return _size_fault(host) or _labels_fault(host)


def _size_fault(host: str) -> str:
    if len(host.encode("utf-8", "surrogatepass")) > _LONGEST_HOST:
        return f"domain name {quote_value(host)} too long (max {_LONGEST_HOST})"
    return "" if host else "empty domain name not allowed"


def _labels_fault(domain: str) -> str:
    labels = domain.split(".")
    if _NUMBER.fullmatch(labels[-1]) and -_INT64_LIMIT <= int(labels[-1]) < _INT64_LIMIT:
        return f"domain name {quote_value(domain)} invalid (top level domain {quote_value(labels[-1])} cannot be all-numeric)"
    for index, label in enumerate(labels):
        if index == len(labels) - 1 and not label:
            return ""
        if not is_istio_label(label):
            return f"domain name {quote_value(domain)} invalid (label {quote_value(label)} invalid)"
    return ""


def address_fault(text: str) -> str:
    """Say what is wrong with an entry of `addresses`, a plain address or a block, host bits or not; empty where nothing is."""
    if text.count("/") == 1:
        address, _, bits = text.partition("/")
        # A block has no zone, and the length of its prefix no sign and no leading zero.
        most = _bits_of(address)
        fits = most and _PREFIX_LENGTH.fullmatch(bits) and len(bits) <= len("128") and int(bits) <= most
        return "" if fits else f"{text} is not a valid CIDR block"
    return "" if is_address(text) else f"{text} is not a valid IP"


def is_address(text: str) -> bool:
    """Say whether Go's `netip.ParseAddr` takes a text for an address; one of IPv6 may have a zone, as in fe80::1%eth0."""
    address, percent, zone = text.partition("%")
    return bool(_bits_of(address) == 128 and zone) if percent else bool(_bits_of(address))


def _bits_of(address: str) -> int:
    """Return how many bits an address has; 0 where it is none."""
    if not _ADDRESS.fullmatch(address):
        return 0
    try:
        return ipaddress.ip_address(address).max_prefixlen
    except ValueError:
        return 0


def label_faults(key: str, value: str) -> list[str]:
    """Say what is wrong with one label of an endpoint. The value may be of any length, unlike Kubernetes'."""
    return [fault for fault in (_key_fault(key), _value_fault(value)) if fault]


def _key_fault(key: str) -> str:
    found = _TAG_KEY.fullmatch(key)
    if not found:
        return f"invalid tag key: {quote_value(key)}"
    if found[1] and len(found[1]) - 1 > _LONGEST_PREFIX:
        return f"invalid tag key: {quote_value(key)} (DNS prefix is too long)"
    if len(found[2]) > _LONGEST_LABEL:
        return f"invalid tag key: {quote_value(key)} (name is too long)"
    return ""


def _value_fault(value: str) -> str:
    return "" if _TAG_VALUE.fullmatch(value) else f"invalid tag value: {quote_value(value)}"
