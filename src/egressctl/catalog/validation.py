"""What a target may say: what Istio takes (`istio/admission`), in our words, and what else we refuse because it does harm.

Ours: no host bits, no block twice, no IPv4 written as IPv6, no port that the sidecar itself uses, and with resolution NONE no
TCP port without addresses, which opens the port to every address. Everything is reported at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from egressctl.errors import Problem
from egressctl.istio.admission.crd import SPEC
from egressctl.istio.admission.go_formats import is_istio_label
from egressctl.istio.admission.mistakes import Mistake
from egressctl.istio.admission.webhook import WebhookMessage
from egressctl.istio.admission.whole_spec import spec_mistakes
from egressctl.istio.listing import every_address_of
from egressctl.manifests.formats import MAX_ITEMS, OPAQUE_PROTOCOLS, PROTOCOLS, RESERVED_PORTS, host_fault
from egressctl.manifests.problems import PlaceOfPath, ProblemCollector, nearest_name
from egressctl.manifests.yaml_reader import ValuePath, kind_of, quote_text
from egressctl.model.blocks import Block, has_host_bits, parse_block
from egressctl.model.json_values import list_at, text_at

_Told = tuple[ValuePath, str, str]
"""Where a mistake is, what it is, and what would be right."""
MOST_ADDRESSES = 16_000
"""So many a target may list, which becomes several entries: with 5,000 a push takes istiod half a minute already."""

_KINDS = {"object": "a mapping", "array": "a list", "string": "text", "integer": "a number"}
_EXAMPLES = {
    "hosts": "www.wikipedia.org",
    "addresses": "208.80.154.224/27",
    "ports": "{number: 443, name: tcp-443, protocol: TCP}",
    "ports.number": "443",
    "ports.name": "tcp-443",
    "ports.protocol": "TCP",
    "endpoints": "{address: 198.51.100.7}",
}
_REMEDIES = {
    Mistake.TOO_MUCH: "shorten it",
    Mistake.HOST_WITH_RESOLUTION: "name the host, or list endpoints",
    Mistake.SEVERAL_HOSTS: "one host an entry, or resolution NONE",
    Mistake.CIDR_WITH_RESOLUTION: "use NONE or STATIC, or plain addresses",
    Mistake.DYNAMIC_DNS: "wildcard hosts such as *.wikipedia.org, no addresses, no endpoints, and HTTP, HTTP2, GRPC or TLS",
    Mistake.ENDPOINTS_WITH_RESOLUTION: "none with NONE, at most one with DNS_ROUND_ROBIN, else STATIC or DNS",
    Mistake.SELECTOR_AND_ENDPOINTS: "keep one of the two",
    Mistake.INVALID_ENDPOINT: "such as address: 198.51.100.7; a DNS name with resolution DNS",
    Mistake.INVALID_PORT_NAME: "letters, digits and inner hyphens, at most 62",
    Mistake.INVALID_SELECTOR: "write the labels out",
    Mistake.INVALID_EXPORT: 'the names of namespaces, "." for the entry\'s own, or "*" alone for all',
}
_FIELDS: Mapping[str, ValuePath] = {
    Mistake.CIDR_WITH_RESOLUTION: ("addresses",),
    Mistake.ENDPOINTS_WITH_RESOLUTION: ("endpoints",),
    Mistake.SELECTOR_AND_ENDPOINTS: ("endpoints",),
}
"""Where to look for what Istio says of the spec as a whole."""


def check_spec(
    spec: Any, *, where: PlaceOfPath | None = None, any_address: bool = False, addresses: int = MAX_ITEMS
) -> list[Problem]:
    """Return every problem of a ServiceEntry's `spec`; `any_address` allows what opens a port to every address.

    `addresses` is how many there may be: more than MAX_ITEMS for what will become several entries.
    """
    found = ProblemCollector(where) if where else ProblemCollector()
    if not found.is_a(dict, spec, (), "the spec of a ServiceEntry"):
        return found.problems
    mistakes = spec_mistakes(spec)
    told = [
        _in_our_words(spec, each, addresses)
        for each in mistakes
        if each.rule != Mistake.TOO_MUCH or each.path != ("addresses",) or len(spec["addresses"]) > addresses
    ]
    told += _port_problems(spec)
    refused = {each.path for each in mistakes}
    blocks = {path: address for path, address in _items(spec, "addresses", str) if path not in refused}
    told += _block_problems(blocks)
    if not any_address:
        told += _whole_port_problems(spec, next(filter(None, map(every_address_of, blocks.values())), ""))
    fields = list(spec)
    for each in sorted(told, key=lambda each: fields.index(each[0][0]) if each[0][0] in fields else len(fields)):
        found.add(*each)
    return found.problems


def check_readable(spec: Any, where: PlaceOfPath) -> list[Problem]:
    """Return what keeps a ServiceEntry's `spec` from being read at all: nothing is said of what it says."""
    found = ProblemCollector(where)
    if not found.is_a(dict, spec, (), "the spec of a ServiceEntry"):
        return found.problems
    for name in ("hosts", "addresses", "ports", "endpoints"):
        if name in spec:
            found.is_a(list, spec[name], (name,), f"a list such as [{_EXAMPLES[name]}]")
    if not found.problems and not any(_items(spec, "hosts", str)):
        found.add(("hosts",), "there is no host", f"name at least one, such as {_EXAMPLES['hosts']}")
    if not found.problems and not any(isinstance(port.get("number"), int) for _, port in _items(spec, "ports", dict)):
        found.add(("ports",), "there is no port", f"such as {_EXAMPLES['ports']}")
    return found.problems


def _items(spec: Mapping[str, Any], name: str, kind: type) -> Iterator[tuple[ValuePath, Any]]:
    for index, item in enumerate(list_at(spec, name)):
        if isinstance(item, kind):
            yield (name, index), item


def _in_our_words(spec: Mapping[str, Any], mistake: WebhookMessage, most_addresses: int) -> _Told:
    """Report a mistake, in Istio's words where these are plain."""
    path, value, schema = mistake.path, _value_at(spec, mistake.path), SPEC.at(mistake.path)
    fields = ".".join(step for step in path if isinstance(step, str))
    example = _EXAMPLES.get(fields, "")
    match mistake.rule:
        case Mistake.UNKNOWN_FIELD:
            above = SPEC.at(path[:-1])
            return path, mistake.message, nearest_name(str(path[-1]), above.properties if above else ())
        case Mistake.WRONG_TYPE if schema:
            example = f"[{example}]" if example and schema.type == "array" else example
            expected = f"one of {', '.join(schema.enum)}" if schema.enum else _KINDS[schema.type]
            remedy = f"expected {expected}" + f" such as {example}" * bool(example)
            return path, f"is {kind_of(value)}", remedy + "; leave the field out if there is none" * (value is None)
        case Mistake.REQUIRED_FIELD if fields == "hosts":
            return path, "there is no host", "name at least one, such as wikipedia.org"
        case Mistake.REQUIRED_FIELD:
            return path, f"the port has no {path[-1]}", f"such as {path[-1]}: {example}"
        case Mistake.UNKNOWN_VALUE if schema:
            return path, f"{quote_text(value)} is not known", f"one of {', '.join(schema.enum)}"
        case Mistake.TOO_MUCH if isinstance(value, list) and schema:
            ours = fields == "addresses" and most_addresses > MAX_ITEMS
            remedy = "list only what is called, or make several targets" if ours else "split them over several entries"
            return path, f"{len(value)} {fields}, at most {most_addresses if ours else schema.max_items} are allowed", remedy
        case Mistake.OUT_OF_RANGE if path[-1] == "weight":
            return path, f"{value} is no weight", "0 to 4294967295"
        case Mistake.OUT_OF_RANGE | Mistake.INVALID_PORT_NUMBER:
            return path, f"{value} is no port number", "1 to 65535"
        case Mistake.DUPLICATE_PORT:
            return _words_for_duplicate(spec, path)
        case Mistake.INVALID_HOST if fault := host_fault(value):
            return path, *fault
        case Mistake.INVALID_ADDRESS:
            return path, f"{quote_text(value)} is no address and no block", _address_remedy(value)
        case Mistake.INVALID_PORT_NAME if fields == "ports.name":
            right = re.sub(r"[^a-z0-9]+", "-", value.lower())[:63].strip("-")
            remedy = f"write {right}" if is_istio_label(right) else "small letters, digits and inner hyphens, at most 63"
            return path, f"{quote_text(value)} is no name of a port", remedy
        case Mistake.UNKNOWN_PROTOCOL:
            return path, f"Istio knows no protocol {quote_text(value)}", nearest_name(value, sorted(PROTOCOLS - {""}), "one of")
        case Mistake.INVALID_ENDPOINT if "labels" in path:
            return path, mistake.message, "letters, digits, and - _ . within, as labels of pods have"
        case Mistake.ENDPOINT_PORT:
            names = sorted(str(port.get("name")) for _, port in _items(spec, "ports", dict))
            return path, "no port of this entry has this name", f"one of {', '.join(names)}"
    message = mistake.message.removeprefix("Invalid value: ")
    return path or _FIELDS[mistake.rule], message, _REMEDIES.get(Mistake(mistake.rule), "")


def _value_at(value: Any, path: ValuePath) -> Any:
    for step in path:
        value = value.get(step) if isinstance(value, dict) else value[step]
    return value


def _words_for_duplicate(spec: Mapping[str, Any], path: ValuePath) -> _Told:
    """Report a port's name that stands twice, at its path; or the first number that does, of which only the list is known."""
    if len(path) > 1:
        name = quote_text(_value_at(spec, path)["name"])
        return (*path, "name"), f"two ports have the name {name}", "a name can stand only once"
    numbers = [(at, port["number"]) for at, port in _items(spec, "ports", dict) if isinstance(port.get("number"), int | float)]
    at, number = next(each for index, each in enumerate(numbers) if each[1] in [other for _, other in numbers[:index]])
    return (*at, "number"), f"two ports have the number {number}", "a number can stand only once"


def _address_remedy(address: str) -> str:
    general = "an address such as 208.80.154.224 or 2001:db8::1, or a block such as 208.80.154.224/27"
    parts = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+){3})(/[0-9]+)?\s*", address)
    if parts:
        plain = ".".join(str(int(part[:9])) for part in parts[1].split(".")) + (parts[2] or "")
        if plain != address and parse_block(plain):
            return f"write {plain}"
    return general if host_fault(address) else f"a name goes under hosts; here {general}"


def _port_problems(spec: Mapping[str, Any]) -> Iterator[_Told]:
    if spec.get("ports", []) == []:
        yield ("ports",), "there is no port, so the entry would open nothing", f"such as {_EXAMPLES['ports']}"
    for path, port in _items(spec, "ports", dict):
        if isinstance(number := port.get("number"), int) and number in RESERVED_PORTS:
            message = f"the sidecar uses port {number} itself, for {RESERVED_PORTS[number]}"
            yield (*path, "number"), message, "choose another port"


def _block_problems(addresses: Mapping[ValuePath, str]) -> Iterator[_Told]:
    first: dict[Block, str] = {}
    for path, address in addresses.items():
        block = parse_block(address)
        if block is None:
            yield path, f"{address} has a zone, which is known on one machine only", "leave out what begins with %"
        elif plain := block.mapped_ipv4:
            told = f"{address} is an IPv4 address written as IPv6, and no connection is made to that"
            yield path, told, f"write {plain.address if plain.is_one_address else plain}"
        elif has_host_bits(address):
            yield path, f"{address} has host bits set", f"write {block}"
        elif block in first:
            yield path, f"{address} is here twice, first as {first[block]}", "keep one of them"
        if block:
            first.setdefault(block, address)


def _whole_port_problems(spec: Mapping[str, Any], lists_every_address: str) -> Iterator[_Told]:
    if spec.get("addresses", []) != [] and not lists_every_address:
        return
    if text_at(spec, "resolution") not in ("", "NONE"):  # every connection goes to the entry's own host: no address is opened
        return
    because = f"with {lists_every_address} among its addresses" if lists_every_address else "without addresses"
    every = "every IPv6 address" if ":" in lists_every_address else "every address"
    for path, port in _items(spec, "ports", dict):
        protocol = text_at(port, "protocol")
        if protocol.upper() in OPAQUE_PROTOCOLS:
            message = f"a {protocol.upper() or 'TCP'} port {because} opens port {port.get('number', '?')} to {every}"
            remedy = "list the addresses, or give --any-address if that is meant"
            yield ("addresses",) if lists_every_address else path, message, remedy
