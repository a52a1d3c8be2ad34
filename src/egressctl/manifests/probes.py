"""Read probes, and say what is wrong with their URLs, expectations and expressions."""

from __future__ import annotations

import ipaddress
import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from egressctl.manifests.formats import host_fault, is_label, punycode
from egressctl.manifests.problems import ProblemCollector
from egressctl.manifests.yaml_reader import ValuePath, kind_of, quote_text
from egressctl.model.blocks import Block, IPAddress, parse_blocks
from egressctl.model.probe import Expectation, Probe, Verdict

MAX_PROBES = 1000
"""So many probes of one target are sent."""
MAX_URL_LENGTH = 2048
MAX_PATTERN_LENGTH = 500
MAX_PATTERNS = 100
"""So many expressions that differ one target may have: to compile one may take half a second."""

_EXTRACT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,62}")


def read_probes(
    found: ProblemCollector, value: object, path: ValuePath = (), *, allow_internal: bool = False
) -> tuple[Probe, ...]:
    """Read the probes of a target or an annotation; report every problem to `found`.

    `value` is `none`, or a list of mappings with url, name, expect and extract. A probe without
    a name is named after its host.
    """
    if value == "none" or not found.is_a(list, value, path, "a list of probes, or none"):
        return ()
    assert isinstance(value, list)
    if len(value) > MAX_PROBES:
        found.add(path, f"there are {len(value):,} probes", f"at most {MAX_PROBES:,} of one target")
        return ()
    if (expressions := _count_expressions(value)) > MAX_PATTERNS:
        found.add(path, f"there are {expressions:,} expressions under extract", f"at most {MAX_PATTERNS} of one target")
        return ()
    result: list[Probe] = []
    names: set[str] = set()
    for index, item in enumerate(value):
        at = (*path, index)
        entry = found.mapping(
            item, at, ("name", "url", "expect", "extract"), "a probe such as {name: portal, url: https://www.wikipedia.org}"
        )
        if not isinstance(item, dict):
            continue
        url = entry.get("url", "")
        if "url" not in entry:
            found.add((*at, "url"), "the probe has no url", "such as url: https://www.wikipedia.org")
        elif not found.is_a(str, url, (*at, "url"), "a URL"):
            url = ""
        elif fault := url_fault(url, allow_internal=allow_internal):
            found.add((*at, "url"), *fault)
            url = ""
        name = entry["name"] if "name" in entry else probe_name(url, names)
        if not is_label(name):
            found.add((*at, "name"), f"is no name: {kind_of(name)}", "small letters, digits and inner hyphens, at most 63")
        elif name in names:
            found.add((*at, "name"), f"two probes have the name {name}", "a name can stand only once")
        names.add(str(name))
        probe = probe_of_url(url, str(name))
        expect = _read_expectation(found, entry, at, probe.expect)
        extract = _read_extract(found, entry, at)
        if probe.bare and (extract or expect.status is not None):
            field = "extract" if extract else "expect"
            found.add((*at, field), "a bare connection has no answer to look at", "leave it out, or ask by http or https")
        result.append(replace(probe, expect=expect, extract=extract))
    return tuple(result)


def _count_expressions(probes: list[Any]) -> int:
    """Count the expressions that differ, whatever stands beside them."""
    extracts = [probe["extract"] for probe in probes if isinstance(probe, dict) and isinstance(probe.get("extract"), dict)]
    return len({str(pattern) for extract in extracts for pattern in extract.values()})


def probe_of_url(url: str, name: str) -> Probe:
    """Make a probe that expects status 200, or of tcp://HOST:PORT no more than what a bare connection can show."""
    probe = Probe(name, url)
    return replace(probe, expect=Expectation(status=None)) if probe.bare else probe


def probe_name(url: str, taken: Iterable[str] = ()) -> str:
    """Name a probe after the host of its URL: `www-wikipedia-org`, and `-2` where that is taken."""
    host = urlsplit(url).hostname or "probe"
    base = re.sub(r"[^a-z0-9]+", "-", host)[:59].strip("-") or "probe"
    names = set(taken)
    return next(name for n in range(1, len(names) + 2) if (name := base if n == 1 else f"{base}-{n}") not in names)


def _read_expectation(found: ProblemCollector, probe: Mapping[str, Any], at: ValuePath, default: Expectation) -> Expectation:
    if "expect" not in probe:
        return default
    path: ValuePath = (*at, "expect")
    expect = found.mapping(probe["expect"], path, ("status", "via", "verdict"), "a mapping such as {status: 200}")
    status = expect.get("status", default.status)
    if status == "any":
        status = None
    elif "status" in expect and (isinstance(status, bool) or not isinstance(status, int) or not 100 <= status <= 599):
        found.add((*path, "status"), f"is no HTTP status: {kind_of(status)}", "100 to 599, or any")
    verdict = expect.get("verdict", default.verdict.value)
    askable = [v.value for v in (Verdict.OPEN, Verdict.BYPASSED, Verdict.FAILED, Verdict.BLOCKED)]
    if verdict not in askable:
        found.add((*path, "verdict"), f"is no verdict to expect: {kind_of(verdict)}", f"one of {', '.join(askable)}")
        verdict = default.verdict.value
    via = expect.get("via")
    if "via" in expect and found.is_a(str, via, (*path, "via"), "a host") and (fault := host_fault(str(via), wildcard=False)):
        found.add((*path, "via"), *fault)
    return Expectation(Verdict(verdict), status, via)


def _read_extract(found: ProblemCollector, probe: Mapping[str, Any], at: ValuePath) -> dict[str, str]:
    path: ValuePath = (*at, "extract")
    if "extract" not in probe or not found.is_a(dict, probe["extract"], path, "a mapping of names to regular expressions"):
        return {}
    extract: dict[str, str] = {}
    for name, pattern in probe["extract"].items():
        if not _EXTRACT_NAME.fullmatch(name):
            found.add((*path, name), "is no name for what is extracted", "a letter, then letters, digits, - and _")
        if found.is_a(str, pattern, (*path, name), "a regular expression with one group"):
            extract[name] = pattern
            if fault := pattern_fault(pattern):
                found.add((*path, name), *fault)
    return extract


def pattern_fault(pattern: str) -> tuple[str, str] | None:
    """Say what is wrong with a regular expression to extract with; None where it is usable.

    How long it may search is no question here: runtime/text_search.py ends what takes too long.
    """
    if len(pattern) > MAX_PATTERN_LENGTH:
        return f"the expression has {len(pattern)} characters", f"at most {MAX_PATTERN_LENGTH}"
    try:
        with warnings.catch_warnings():
            # Python warns of what a later version will read differently, such as a set in a set.
            warnings.simplefilter("error")
            groups = re.compile(pattern).groups
    except (re.error, OverflowError, RecursionError, Warning) as error:
        return f"is no regular expression: {error}", "Python's syntax, with one group"
    if groups != 1:
        return f"the expression has {groups or 'no'} groups", "exactly one, around what is wanted; (?:...) for the others"
    return None


_INTERNAL_SUFFIXES = (".localhost", ".localdomain", ".svc", ".cluster.local")
_INTERNAL_NAMES = frozenset({"kubernetes.default", "metadata.google.internal"})
_INTERNAL_BLOCKS = """0.0.0.0/8 127.0.0.0/8 169.254.0.0/16 224.0.0.0/4 255.255.255.255/32
    ::/128 ::1/128 fe80::/10 ff00::/8 fd00:ec2::254/128"""
_INTERNAL_NETWORKS = parse_blocks(_INTERNAL_BLOCKS.split())
"""This host, loopback, link-local, multicast, broadcast, and the metadata service where it has an IPv6 address."""
_PROBE_LABEL = re.compile(r"[a-z0-9_](?:[-a-z0-9_]{0,61}[a-z0-9_])?")


def url_fault(url: str, *, allow_internal: bool = False) -> tuple[str, str] | None:
    """Say what forbids to probe a URL, tcp://HOST:PORT among them, and what would be right; None where nothing does.

    Refused are those of which curl and this program could think differently, and those that lead
    to the pod itself, its node, or the Kubernetes cluster, unless `allow_internal`.
    """
    example = "such as https://www.wikipedia.org"
    if len(url) > MAX_URL_LENGTH:
        return f"the URL has {len(url)} characters", f"at most {MAX_URL_LENGTH}"
    if " " in url or not url.isprintable():
        return f"{quote_text(url)} holds a blank or a control character", "write %20 for a blank"
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").removesuffix("."), parts.port
    except ValueError:
        return f"{quote_text(url)} has a host or port that cannot be read", example
    if parts.scheme not in ("http", "https", "tcp"):
        return f"{quote_text(url)} is neither http, https nor tcp", example
    if "@" in parts.netloc:
        return "the URL holds a user or a password", "leave them out: command lines appear in audit logs"
    if not host:
        return f"{quote_text(url)} names no host", example
    if not host.isascii():
        return f"the host {quote_text(host)} is not written in ASCII", punycode(host)
    if not url.isascii() or "\\" in url:
        return f"{quote_text(url)} holds a character that no URL has", "write it as %XX"
    if port == 0:
        return "0 is no port number", "1 to 65535"
    if parts.scheme == "tcp" and (port is None or parts.path or parts.query or parts.fragment):
        return f"{quote_text(url)} is no bare connection", "a host and a port, and no more: tcp://db.example.com:5432"
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return _host_name_fault(host, allow_internal)
    forms = [Block.around(each.version, int(each), each.max_prefixlen) for each in _address_forms(address)]
    internal = any(block.holds(each) for each in forms for block in _INTERNAL_NETWORKS)
    return None if allow_internal or not internal else _internal_host_fault(host)


def _address_forms(address: IPAddress) -> tuple[IPAddress, ...]:
    """Give the address, and the IPv4 address that an IPv6 one may contain (mapped, compatible, 6to4, NAT64)."""
    if isinstance(address, ipaddress.IPv4Address):
        return (address,)
    low = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if int(address) >> 32 in (0, 0xFFFF, 0x64FF9B << 64) and int(address) > 1:
        return (address, low)
    return (address, address.sixtofour) if address.sixtofour else (address,)


def _host_name_fault(host: str, allow_internal: bool) -> tuple[str, str] | None:
    labels = host.split(".")
    if len(host) > 253 or not all(_PROBE_LABEL.fullmatch(label) for label in labels):
        return f"{quote_text(host)} is no host", "a DNS name such as www.wikipedia.org"
    if re.fullmatch(r"[0-9]+|0x[0-9a-f]*", labels[-1]):
        return f"{quote_text(host)} is no full IPv4 address", "four numbers without leading zeros, such as 208.80.154.224"
    if allow_internal:
        return None
    if len(labels) == 1 or host in _INTERNAL_NAMES or host.endswith(_INTERNAL_SUFFIXES):
        return _internal_host_fault(host)
    return None


def _internal_host_fault(host: str) -> tuple[str, str]:
    return (
        f"{host} leads to the pod itself, its node or the Kubernetes cluster",
        "a host outside, or --allow-internal if that is meant",
    )
