"""What of the ServiceEntries on a Kubernetes cluster can be verified, from which pod, and why the rest is not. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from egressctl.errors import InvalidInput
from egressctl.istio.export_to import NOWHERE, is_exported_to_namespace
from egressctl.istio.hosts import covers_host
from egressctl.manifests.formats import host_fault
from egressctl.manifests.probes import url_fault
from egressctl.manifests.service_entry import (
    ANNOTATION_PROBES,
    KIND_NAMES,
    decides_by_host,
    derived_probes,
    probes_of,
    scheme_of,
)
from egressctl.mesh.sidecar import Sidecar
from egressctl.model.entry import Manifest, ServiceEntry
from egressctl.model.probe import Probe, origin_url
from egressctl.model.result import NotProbed
from egressctl.runtime.sanitize import quote
from egressctl.verify.select import VerifyTarget

MESH_INTERNAL = "MESH_INTERNAL"
UDP = "UDP"


def probes_for(manifest: Manifest, entry: ServiceEntry, *, allow_internal: bool = False) -> tuple[Probe, ...] | NotProbed:
    """Return the probes of an entry that anybody may have made: its annotation's, else derived ones; or why it is given none.

    What leads into the mesh is no egress, and is asked only where its annotation says so.
    """
    annotate = f"kubectl annotate serviceentry -n {quote(entry.namespace)} {quote(entry.name)} {ANNOTATION_PROBES}="
    try:
        asked = probes_of(manifest, allow_internal=allow_internal)
    except InvalidInput as refused:
        step = f"kubectl edit serviceentry -n {quote(entry.namespace)} {quote(entry.name)}"
        return NotProbed(f"its probes cannot be read: {'; '.join(map(str, refused.problems))}", step, meant=False)
    if asked is not None:
        return asked or NotProbed(f"its annotation {ANNOTATION_PROBES} says none")
    if entry.location == MESH_INTERNAL:
        return NotProbed(f"its location is {MESH_INTERNAL}: it is a part of the mesh, not an egress")
    step = f"""{annotate}'[{{"name":"NAME","url":"URL"}}]', or none"""
    return derived_probes(entry) or NotProbed(_why_no_probe(entry), step)


def _why_no_probe(entry: ServiceEntry) -> str:
    if entry.ports and all(port.protocol.upper() == UDP for port in entry.ports):
        return "no probe can be derived from it: its ports are UDP"
    return "no probe can be derived from it: no host without a wildcard, and no single address, on a TCP port"


def why_no_probe(wanted: VerifyTarget, pod_namespace: str) -> NotProbed:
    """Say why nothing can be sent for a target that somebody named, and which `--probe` would ask in the pod's namespace."""
    there = wanted.namespace == pod_namespace
    word = wanted.name if there else f"{KIND_NAMES[0]}/{wanted.namespace}/{wanted.entry_name}"
    step = f"egressctl verify {quote(word)} -n {quote(pod_namespace)} --probe "
    if not wanted.entries:
        return NotProbed("it has no probe", f"{step}https://HOST/", named=True)
    entry = wanted.entries[0]
    port = next((each for each in entry.ports if each.protocol.upper() != UDP), None)
    if port is None:
        return NotProbed("its ports are UDP, and no probe can ask for UDP", named=True)
    host = next((each.replace("*", "HOST", 1) for each in entry.hosts if host_fault(each) is None), "HOST")
    scheme = scheme_of(port)
    url = origin_url(scheme, host, port.number)
    url += "/" if url.endswith(host) else ""
    internal = "" if url_fault(url) is None else " --allow-internal"
    if derived_probes(entry):
        reason = "it asks for no probe (probes: none)"
    elif internal:
        reason = f"a probe may not lead to {host} unless that is meant"
    else:
        reason = _why_no_probe(entry)
    return NotProbed(reason, f"{step}{url}{internal}", named=True)


def hosts_not_asked(entries: Iterable[ServiceEntry], probes: Iterable[Probe]) -> tuple[str, ...]:
    """Name the hosts of entries that no probe asked, on the ports where the host decides; HOST:PORT where another port was."""
    asked = {(probe.host.lower().removesuffix("."), probe.port) for probe in probes}
    found: list[str] = []
    for entry in entries:
        ports = {port.number for port in entry.ports if decides_by_host(port)}
        for host in entry.hosts:
            missed = sorted(ports - {number for name, number in asked if covers_host(host.removesuffix("."), name)})
            found += [host] if len(missed) == len(ports) > 0 else [f"{host}:{number}" for number in missed]
    return tuple(dict.fromkeys(found))


def first_pod_that_sees(entry: ServiceEntry, sidecars: Sequence[Sidecar], default: Sequence[str]) -> Sidecar | NotProbed:
    """Return the first of the source pods to whose namespace an entry is exported; or why none of them sees it.

    `default` is what the mesh makes of an absent exportTo.
    """
    for sidecar in sidecars:
        if is_exported_to_namespace(entry, sidecar.source.namespace, default):
            return sidecar
    scopes = entry.export_to or tuple(default)
    if NOWHERE in scopes:
        return NotProbed("its exportTo is ~: no namespace sees it")
    asked = " and ".join(sorted({sidecar.source.namespace for sidecar in sidecars}))
    said = f"exportTo is {', '.join(scopes)}" if entry.export_to else f"the mesh exports it to {', '.join(scopes)}"
    where = entry.namespace if "." in scopes else next((each for each in scopes if each not in ("*", ".")), entry.namespace)
    return NotProbed(
        f"{said}, which does not include the source pod's namespace {asked}",
        f"egressctl verify --all -A, with a source pod in namespace {where}",
    )
