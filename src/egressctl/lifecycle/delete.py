"""Take ServiceEntries and the sample's pod off the Kubernetes cluster: only ours, only by UID, and until they are gone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache, partial

from egressctl.envoy.config import ProxyConfig, parse_outbound_name
from egressctl.envoy.counts import ClusterCounts
from egressctl.errors import ApiFailure, CleanupIncomplete, Conflict, CouldNotAsk, EgressctlError, Unreachable
from egressctl.manifests.formats import HTTP_PROTOCOLS
from egressctl.manifests.service_entry import LABEL_RUN_ID, read_entry
from egressctl.manifests.split_entries import join_by_target
from egressctl.mesh.client import MANAGED_SELECTOR, Mesh, kubectl_delete
from egressctl.mesh.propagation import remains_of_entry
from egressctl.mesh.sample_pod import delete_sample_object, sample_objects
from egressctl.mesh.sidecar import Sidecar
from egressctl.mesh.source_pod import SourceChoice, find_source_in_namespace
from egressctl.model.entry import RESOURCE, Manifest, ServiceEntry
from egressctl.runtime.concurrency import gather
from egressctl.runtime.poll import poll
from egressctl.runtime.progress import Progress, SilentProgress

_UNDO_TIMEOUT = 20.0
"""Seconds that taking back may take: it is mostly done while somebody waits after Ctrl-C."""
_UNKNOWN = (ApiFailure, Unreachable)
"""After these an object may be there or not."""


DRY_RUN_SUFFIXES = {"none": "", "client": " (dry run)", "server": " (server dry run)"}
"""The modes of --dry-run, and what kubectl adds to its result lines under each."""


def delete_entries(mesh: Mesh, manifests: Sequence[Manifest], timeout: float | None, progress: Progress) -> None:
    """Delete these ServiceEntries and wait until the API no longer has them, with None not at all. Raises CleanupIncomplete."""
    _delete_all(
        [partial(_delete_and_wait, partial(mesh.delete, each), partial(_live_entry, mesh, each), timeout) for each in manifests],
        manifests,
    )
    for each in manifests:
        progress.result(_deletion_line(each))


def delete_by_dry_run(mesh: Mesh, manifests: Sequence[Manifest], mode: str, progress: Progress) -> None:
    """Say that these ServiceEntries would be deleted; in mode `server` ask the API server as well."""
    for each in manifests:
        if mode == "server":
            mesh.delete(each, dry_run=True)
        progress.result(_deletion_line(each) + DRY_RUN_SUFFIXES[mode])


def _deletion_line(manifest: Manifest) -> str:
    return f"{RESOURCE}/{manifest['metadata']['name']} deleted"


def delete_source(mesh: Mesh, objects: Sequence[tuple[str, Manifest]], timeout: float | None) -> None:
    """Delete these objects of the sample and wait as delete_entries does. Raises CleanupIncomplete."""
    _delete_all(
        [
            partial(
                _delete_and_wait,
                partial(delete_sample_object, mesh.api, plural, each),
                partial(_live_source_object, mesh, plural, each),
                timeout,
            )
            for plural, each in objects
        ],
        [{"kind": plural.removesuffix("s"), **each} for plural, each in objects],
    )


def await_sidecar_without(
    mesh: Mesh,
    sidecar: Sidecar,
    gone: Sequence[ServiceEntry],
    timeout: float,
    progress: Progress,
    counts: ClusterCounts | None = None,
) -> None:
    """Wait until the sidecar has nothing left of these entries but what others of the same hosts account for. Raises TimedOut.

    With the counts of before the deletion, connections that outlive the entries are warned of: a listener that is taken
    away drains for 45 s (measured).
    """
    source = sidecar.source
    if source.proxy is None:
        return
    left: list[str] = []
    hosts = {host for entry in gone for host in entry.hosts}
    if len(gone) > 1:
        # Not at every look each of a target's entries for itself: they may be many.
        gone = join_by_target(gone)

    @cache
    def namesakes() -> list[ServiceEntry]:
        return [other for other in mesh.readable_entries(source.namespace)[0] if hosts & set(other.hosts)]

    def absent(config: ProxyConfig) -> bool:
        left[:] = [each for entry in gone for each in remains_of_entry(config, entry)]
        if left:
            kept = {each for other in namesakes() for each in remains_of_entry(config, other)}
            left[:] = [each for each in left if each not in kept]
        if left:
            progress.step(f"waiting for the sidecar of pod {source.pod} to drop {left[0]}")
        return not left

    sidecar.wait_until(
        absent,
        timeout,
        lambda: (
            f"the ServiceEntry is deleted, but after {timeout:g}s the sidecar of pod {source.pod} still has {', '.join(left[:3])}"
        ),
        hint="istioctl proxy-status",
        entries=gone,
    )
    progress.done(f"the sidecar of pod {source.pod} does not have it any more")
    if counts and count_open_connections(counts, gone):
        # Without the right to list them, an entry that has the same host stays unseen, and nothing depends on it.
        with suppress(CouldNotAsk):
            _warn_of_open_connections(count_open_connections(counts, gone, namesakes()), progress)


def _warn_of_open_connections(held: int, progress: Progress) -> None:
    if held:
        progress.warn(
            f"connections made through it before that were still open when it was deleted: {held}; "
            "they live on for some 50 s, and no new one is made"
        )


def count_open_connections(counts: ClusterCounts, gone: Sequence[ServiceEntry], others: Sequence[ServiceEntry] = ()) -> int:
    """Return how many connections are open in the Envoy clusters of these entries and of no other's.

    Those of HTTP ports are left out: what is open there is the sidecar's own store of idle connections.
    """
    mine, theirs = _hosts_and_ports(gone), _hosts_and_ports(others)
    places = {name: (to.host, to.port) for name in counts if (to := parse_outbound_name(name))}
    return sum(counts[name].active for name, place in places.items() if place in mine and place not in theirs)


def _hosts_and_ports(entries: Sequence[ServiceEntry]) -> set[tuple[str, int]]:
    ports = [(entry, port) for entry in entries for port in entry.ports if port.protocol.upper() not in HTTP_PROTOCOLS]
    return {(host, port.number) for entry, port in ports for host in entry.hosts}


def read_cluster_counts(mesh: Mesh, namespace: str, choice: SourceChoice) -> ClusterCounts | None:
    """Read the source pod's sidecar's counts, None where they cannot be had; raises nothing of errors.py."""
    try:
        source = find_source_in_namespace(mesh.api, namespace, choice)
        return Sidecar(mesh.api, source).counts() if source.proxy else None
    except EgressctlError:
        return None


def remove_run(mesh: Mesh, namespace: str, run_id: str, choice: SourceChoice | None) -> None:
    """Take back all that one run made in a namespace; nothing there is success. Raises CleanupIncomplete.

    With a choice of source pod, its sidecar is waited for as well, where there is one and it can be read.
    """
    selector = f"{MANAGED_SELECTOR},{LABEL_RUN_ID}={run_id}"
    manifests = mesh.entries(namespace, selector)
    delete_entries(mesh, manifests, _UNDO_TIMEOUT, SilentProgress())
    if choice is not None and manifests:
        try:
            sidecar = Sidecar(mesh.api, find_source_in_namespace(mesh.api, namespace, choice))
            await_sidecar_without(mesh, sidecar, [read_entry(each) for each in manifests], _UNDO_TIMEOUT, SilentProgress())
        except CouldNotAsk:
            pass  # the object is gone, which is what was promised; the sidecar follows
    delete_source(mesh, sample_objects(mesh.api, namespace, selector), _UNDO_TIMEOUT)


def _delete_and_wait(delete: Callable[[], bool], look: Callable[[], Manifest | None], timeout: float | None) -> None:
    """Delete an object and see it gone. `look` returns it as it is, None where it, which need not be its name, is gone."""
    try:
        delete()
    except Conflict:
        if look() is None:  # another has its name by now
            return
        raise
    if timeout is None:
        return
    seen: Manifest = {}

    def gone() -> bool | None:
        nonlocal seen
        seen = look() or {}
        if not seen:
            return True
        if not seen["metadata"].get("deletionTimestamp"):
            raise CleanupIncomplete(
                "its deletion was accepted and has not begun: it is there as before, without a deletionTimestamp"
            )
        return None

    poll(gone, timeout, lambda: f"still there after {timeout:g}s: {_why_not_gone(seen['metadata'])}")


def _why_not_gone(metadata: Manifest) -> str:
    """Say what keeps an object that is being deleted."""
    finalizers = [str(each) for each in metadata.get("finalizers") or ()]
    if not finalizers:
        return "it is being deleted, and no finalizer blocks it"
    return f"{'a finalizer blocks' if len(finalizers) == 1 else 'finalizers block'} it: {', '.join(finalizers)}"


def _live_entry(mesh: Mesh, manifest: Manifest) -> Manifest | None:
    live = mesh.entry(manifest["metadata"]["namespace"], manifest["metadata"]["name"])
    return live if live is not None and live["metadata"]["uid"] == manifest["metadata"]["uid"] else None


def _live_source_object(mesh: Mesh, plural: str, manifest: Manifest) -> Manifest | None:
    found = sample_objects(mesh.api, manifest["metadata"]["namespace"])
    uid = manifest["metadata"]["uid"]
    return next((each for kind, each in found if kind == plural and each["metadata"]["uid"] == uid), None)


def _delete_all(calls: Sequence[Callable[[], None]], manifests: Sequence[Manifest]) -> None:
    """Do every deletion even where one fails, then say what is left of them."""
    outcomes = gather([partial(_failure_of, call) for call in calls], at_most=8)
    left = [(each, why) for each, why in zip(manifests, outcomes, strict=True) if why is not None]
    if left:
        names = [
            f"{each.get('kind', 'ServiceEntry')} {each['metadata']['namespace']}/{each['metadata']['name']}" for each, _ in left
        ]
        perhaps = "perhaps " if any(isinstance(why, _UNKNOWN) for why in outcomes) else ""
        raise CleanupIncomplete(
            f"{perhaps}left on the Kubernetes cluster: "
            + "; ".join(f"{name} ({why})" for name, (_, why) in zip(names, left, strict=True)),
            left=names,
            hint="remove it with: " + " && ".join(kubectl_delete(each) for each, _ in left),
        )


def _failure_of(call: Callable[[], None]) -> EgressctlError | None:
    try:
        call()
    except EgressctlError as failure:
        return failure
    return None
