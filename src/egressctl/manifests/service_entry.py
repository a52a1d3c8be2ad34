"""Targets as ServiceEntry manifests, and manifests of any origin as what they say."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from egressctl.errors import InvalidInput
from egressctl.manifests.formats import (
    HTTP_PROTOCOLS,
    LOCATIONS,
    OPAQUE_PROTOCOLS,
    RESOLUTIONS,
    TLS_PROTOCOLS,
    host_fault,
    is_label,
)
from egressctl.manifests.probes import probe_name, read_probes, url_fault
from egressctl.manifests.problems import ProblemCollector
from egressctl.manifests.yaml_reader import InputPlace, ValuePath, field_name
from egressctl.model.blocks import bracketed, parse_blocks
from egressctl.model.entry import API_VERSIONS, GROUP, KIND, SUFFIX, Manifest, Port, ServiceEntry
from egressctl.model.json_values import mapping_at, mappings_at, plain_copy, text_at, texts_at
from egressctl.model.probe import BARE_SCHEME, Expectation, Probe, Target, origin_url

PLURAL = "serviceentries"
KIND_NAMES = ("serviceentry", "serviceentries", "se")
"""What may stand before the name of one on the command line, as with kubectl."""
_KIND = rf"(?:{'|'.join(KIND_NAMES)})(?:\.(?:v[0-9a-z]+\.)?{re.escape(GROUP)})?"
_EXACT_NAME = re.compile(rf"{_KIND}/(?P<name>[^/]+)")
OFFLINE_VERSION = API_VERSIONS[0]
"""The API version to write where no Kubernetes cluster says which ones it serves."""

MOST_DERIVED = 20
"""So many probes are derived from an entry: hosts beyond them are counted, and not asked."""

LABEL_MANAGED_BY = "app.kubernetes.io/managed-by"
MANAGER = "egressctl"
LABEL_RUN_ID = "egressctl.dev/run-id"
LABEL_TARGET = "egressctl.dev/target"
LABEL_REVISION = "istio.io/rev"
ANNOTATION_PROBES = "egressctl.dev/probes"
MAX_ANNOTATION_BYTES = 256 * 1024
"""So many bytes Kubernetes takes for all annotations of an object."""
ANNOTATION_FIELD_MANAGER = "egressctl.dev/field-manager"
ANNOTATION_TEMPORARY = "egressctl.dev/temporary"
"""On what `run` makes and deletes when it ends: until then nothing else may count on it."""
ANNOTATION_PARTS = "egressctl.dev/parts"
"""On the first of a target's several entries: the names of all of them, so that one that is gone is missed."""


def read_entry(manifest: Manifest) -> ServiceEntry:
    """Read what a ServiceEntry says, with Istio's defaults; pass over what cannot be read, and never raise."""
    metadata, spec = mapping_at(manifest, "metadata"), mapping_at(manifest, "spec")
    labels = mapping_at(metadata, "labels")
    owned = labels.get(LABEL_MANAGED_BY) == MANAGER
    endpoints = mappings_at(spec, "endpoints")
    return ServiceEntry(
        name=text_at(metadata, "name"),
        namespace=text_at(metadata, "namespace"),
        hosts=texts_at(spec, "hosts"),
        addresses=texts_at(spec, "addresses"),
        ports=_read_ports(spec.get("ports")),
        resolution=text_at(spec, "resolution") or RESOLUTIONS[0],
        location=text_at(spec, "location") or LOCATIONS[0],
        export_to=texts_at(spec, "exportTo"),
        uid=text_at(metadata, "uid"),
        created=text_at(metadata, "creationTimestamp"),
        run_id=text_at(labels, LABEL_RUN_ID) if owned else "",
        owned=owned,
        revision=text_at(labels, LABEL_REVISION),
        allocated=texts_at([each.get("value") for each in mappings_at(manifest, "status", "addresses")]),
        part_of=_target_of_name(text_at(labels, LABEL_TARGET), text_at(metadata, "name")),
        labels=frozenset((name, text_at(value)) for name, value in labels.items()),
        endpoints=tuple(text_at(each, "address") for each in endpoints),
        has_moving_endpoints="workloadSelector" in spec or any("network" in each for each in endpoints),
    )


def target_of(manifest: Manifest) -> str:
    """Return the name of the target that an entry is of: its label's, else its own."""
    return text_at(manifest, "metadata", "labels", LABEL_TARGET) or text_at(manifest, "metadata", "name")


def _target_of_name(target: str, name: str) -> str:
    """Return the target's name where the entry's is one that an entry of it has, else ""."""
    base = target + SUFFIX
    return target if target and (name == base or name.startswith(f"{base}-")) else ""


def export_of_target(target: Target, asked: Sequence[str] = (), standing: Sequence[str] | None = None) -> tuple[str, ...]:
    """Return what an entry of a target is exported to: what is asked for, else what the target says, else as it stands.

    `standing` is the exportTo of the entry that is there, None where none is: a new one is exported to its own namespace.
    Empty is an entry that does not say, which the mesh exports everywhere unless its default is another; `*` asks for that.
    """
    if asked:
        return () if list(asked) == ["*"] else tuple(asked)
    return texts_at(target.spec, "exportTo") or ((".",) if standing is None else tuple(standing))


def render_entry(
    target: Target,
    *,
    namespace: str | None,
    api_version: str,
    run_id: str | None,
    field_manager: str = MANAGER,
    export_to: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Write a target as the manifest of a ServiceEntry that shares nothing with the target.

    The target's own namespace goes before `namespace`. Without `run_id` there is no mark of
    ownership (what Git owns, egressctl does not). `export_to` takes the place of the target's, and is left out where it is
    empty.
    Probes are left out where they are those that would be derived from the entry anyway.
    """
    metadata: dict[str, Any] = {"name": target.entry_name}
    if where := target.namespace or namespace:
        metadata["namespace"] = where
    labels, annotations = dict(target.labels), dict(target.annotations)
    if target.entry_name.startswith(f"{target.name}{SUFFIX}-"):
        labels[LABEL_TARGET] = target.name  # by which the entries of one target are found, no matter who owns them
    if run_id is not None:
        labels |= {LABEL_MANAGED_BY: MANAGER, LABEL_RUN_ID: run_id, LABEL_TARGET: target.name}
        if field_manager != MANAGER:
            annotations[ANNOTATION_FIELD_MANAGER] = field_manager
    spec = plain_copy(target.spec)
    spec.setdefault("location", LOCATIONS[0])
    spec.setdefault("resolution", RESOLUTIONS[0])
    if export_to is not None:
        spec.pop("exportTo", None)
        spec |= {"exportTo": list(export_to)} if export_to else {}
    if target.probes != derived_probes(read_entry({"spec": spec})):
        annotations[ANNOTATION_PROBES] = probes_text(target.probes)
    metadata |= {name: marks for name, marks in (("labels", labels), ("annotations", annotations)) if marks}
    return {"apiVersion": api_version, "kind": KIND, "metadata": metadata, "spec": spec}


def probes_text(probes: Sequence[Probe]) -> str:
    """Write probes as the annotation holds them: compact JSON without defaults, `none` where there are none."""
    return json.dumps([_probe_value(probe) for probe in probes], separators=(",", ":"), ensure_ascii=False) if probes else "none"


def probes_of(manifest: Manifest, *, allow_internal: bool = False) -> tuple[Probe, ...] | None:
    """Read the probes that travel with a ServiceEntry: none for `none`, None where the annotation is absent.

    Raises InvalidInput where the annotation cannot be read, or asks for what is ruled out.
    """
    metadata = mapping_at(manifest, "metadata")
    annotations = mapping_at(metadata, "annotations")
    if ANNOTATION_PROBES not in annotations:
        return None
    name = "/".join(part for part in (text_at(metadata, "namespace"), text_at(metadata, "name")) if part)
    root: ValuePath = ("metadata", "annotations", ANNOTATION_PROBES)
    found = ProblemCollector(lambda path: InputPlace(field_name(root + path), f"{KIND} {name}".strip()))
    probes = read_probes_annotation(found, annotations[ANNOTATION_PROBES], allow_internal=allow_internal)
    if found.problems:
        raise InvalidInput(problems=found.problems)
    return probes


def read_probes_annotation(found: ProblemCollector, text: object, *, allow_internal: bool = False) -> tuple[Probe, ...]:
    """Read the annotation's text as probes; report every problem to `found`, with paths from the annotation on."""
    if not found.is_a(str, text, (), "JSON as text, or none"):
        return ()
    if (size := len(str(text).encode("utf-8", "surrogatepass"))) > MAX_ANNOTATION_BYTES:
        found.add((), f"has {size:,} bytes", f"at most {MAX_ANNOTATION_BYTES:,}, Kubernetes' limit")
        return ()
    try:
        value = "none" if str(text).strip() == "none" else json.loads(str(text))
    except (ValueError, RecursionError):
        found.add((), "is no JSON", 'a list such as [{"name":"portal","url":"https://www.wikipedia.org"}], or none')
        return ()
    return read_probes(found, value, allow_internal=allow_internal)


def derived_probes(entry: ServiceEntry) -> tuple[Probe, ...]:
    """Derive the probes of an entry that says none: MOST_DERIVED requests at most, or bare connections where it gives no URL.

    None leads to where a probe may not lead. Where the host resolves to no address, one of the entry's is asked.
    """
    return _url_probes(entry) or _bare_probes(entry)


def _url_probes(entry: ServiceEntry) -> tuple[Probe, ...]:
    """Derive probes that are content with any HTTP status: TLS on 443 and TLS ports, plain HTTP on HTTP ports.

    Each host that is no wildcard is asked where the host decides, on TLS and HTTP ports; elsewhere the first.
    """
    hosts = _named_hosts(entry)
    urls = [
        (port, origin_url(scheme, host, port.number))
        for port in entry.ports
        if (scheme := scheme_of(port)) != "tcp"
        for host in (hosts if decides_by_host(port) else hosts[:1])
    ]
    return _probes_of_urls(urls, _address_of_nameless(entry), by_host=len(hosts) > 1 and any(map(decides_by_host, entry.ports)))


def decides_by_host(port: Port) -> bool:
    """Say whether it is the host, by server name or authority, that decides where a connection to this port leads."""
    return port.protocol.upper() in HTTP_PROTOCOLS | TLS_PROTOCOLS


def _named_hosts(entry: ServiceEntry) -> list[str]:
    return [host for host in dict.fromkeys(entry.hosts) if host_fault(host, wildcard=False) is None]


def _address_of_nameless(entry: ServiceEntry) -> str:
    """Return the address to ask where the entry's hosts resolve to none: what an application would be given for them.

    That is an address that the entry lists, a single one before the first of a block; else, where Envoy knows them itself, one
    of its endpoints. Empty where there is none that a probe may lead to.
    """
    listed = [block for block in parse_blocks(entry.addresses) if block.length]
    # Most pods have no IPv6.
    listed.sort(key=lambda block: (block.version, not block.is_one_address))
    endpoints = [] if entry.addresses or entry.resolution != "STATIC" else parse_blocks(entry.endpoints)
    for block in [*listed, *endpoints]:
        first = block.address if block.is_one_address else block._replace(network=block.network + 1).address
        if url_fault(f"{BARE_SCHEME}{bracketed(first)}:443") is None:
            return first
    return ""


def _probes_of_urls(urls: Iterable[tuple[Port, str]], else_ip: str, *, by_host: bool = False) -> tuple[Probe, ...]:
    """Make a probe of each URL that one may lead to, called as its port where that name can be had, or as its host."""
    found: dict[str, Probe] = {}
    asked = set[str]()
    for port, url in urls:
        if len(found) == MOST_DERIVED or url in asked or url_fault(url) is not None:
            continue
        asked.add(url)
        if by_host:
            name = probe_name(url, found)
        else:
            name = port.name if is_label(port.name) and port.name not in found else f"port-{port.number}"
        found[name] = Probe(name, url, Expectation(status=None), else_ip=else_ip)
    return tuple(found.values())


def scheme_of(port: Port) -> str:
    """Return the scheme of a URL that asks at a port: https, http, or tcp where no more is known than that it connects."""
    protocol = port.protocol.upper()
    if protocol in HTTP_PROTOCOLS:
        return "http"
    if protocol in TLS_PROTOCOLS or (port.number == 443 and protocol != "UDP"):
        return "https"
    return "http" if port.number == 80 and protocol in ("", "TCP") else "tcp"


def _bare_probes(entry: ServiceEntry) -> tuple[Probe, ...]:
    """Derive a bare connection to each port of which no more is known than that it is TCP.

    It leads to the first host that is no wildcard, else to the entry's address where that is a single one: in a block any
    address may be nobody's.
    """
    hosts = _named_hosts(entry)
    single = [block for block in parse_blocks(entry.addresses) if block.is_one_address]
    if not hosts and len(single) == len(entry.addresses) == 1:
        hosts = [bracketed(single[0].address)]
    opaque = [port for port in entry.ports if hosts and port.protocol.upper() in OPAQUE_PROTOCOLS]
    return _probes_of_urls([(port, f"{BARE_SCHEME}{hosts[0]}:{port.number}") for port in opaque], _address_of_nameless(entry))


def is_kind(word: str) -> bool:
    """Say whether a word names the kind, as messages and kubectl write it, in any case, with or without the group."""
    return re.fullmatch(_KIND, word, re.IGNORECASE) is not None


def exact_name(word: str) -> str | None:
    """Return the name in `serviceentry/NAME`, with or without the kind's group, as kubectl takes and prints it; else None."""
    found = _EXACT_NAME.fullmatch(word)
    return found["name"] if found else None


def exact_place(word: str) -> tuple[str, str] | None:
    """Return namespace and name in `serviceentry/NAMESPACE/NAME`; an empty namespace in `serviceentry/NAME`; else None."""
    kind, _, rest = word.partition("/")
    namespace, _, name = rest.rpartition("/")
    exact = exact_name(f"{kind}/{name}")
    return (namespace, exact) if exact and "/" not in namespace else None


def other_field_managers(manifest: Manifest, field_manager: str) -> tuple[str, ...]:
    """Name the field managers other than ours that own a field under `spec`, sorted."""
    entries = mappings_at(manifest, "metadata", "managedFields")
    owners = {text_at(entry, "manager") for entry in entries if "f:spec" in mapping_at(entry, "fieldsV1")}
    return tuple(sorted(owners - {field_manager}))


def without_managed_fields(manifest: Manifest) -> dict[str, Any]:
    """Return an object without the API server's bookkeeping of who owns which field, as kubectl shows it."""
    metadata = {key: value for key, value in mapping_at(manifest, "metadata").items() if key != "managedFields"}
    return {**manifest, "metadata": metadata}


def _probe_value(probe: Probe) -> dict[str, Any]:
    default = _expectation_value(Expectation())
    expect = {name: value for name, value in _expectation_value(probe.expect).items() if value != default[name]}
    optional = {"expect": expect, "extract": dict(probe.extract)}
    return {"name": probe.name, "url": probe.url} | {name: value for name, value in optional.items() if value}


def _expectation_value(expect: Expectation) -> dict[str, Any]:
    return {"verdict": expect.verdict.value, "status": "any" if expect.status is None else expect.status, "via": expect.via}


def _read_ports(value: object) -> tuple[Port, ...]:
    return tuple(
        Port(number, text_at(item, "protocol"), text_at(item, "name"))
        for item in mappings_at(value)
        if isinstance(number := item.get("number"), int) and not isinstance(number, bool)
    )
