"""Take ServiceEntries and the sample's pod off the Kubernetes cluster: only ours, only by UID, and until they are gone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache, partial

from egressctl.envoy.config import ProxyConfig, parse_outbound_name
from egressctl.envoy.counts import ClusterCounts
from egressctl.errors import ApiFailure, CleanupIncomplete, Conflict, CouldNotAsk, EgressctlError, Modified, Replaced, Unreachable
from egressctl.lifecycle.made import MadeObjects
from egressctl.lifecycle.plan import refuse_other_owner
from egressctl.manifests.formats import HTTP_PROTOCOLS
from egressctl.manifests.service_entry import LABEL_MANAGED_BY, LABEL_RUN_ID, PLURAL, read_entry
from egressctl.manifests.split_entries import join_by_target
from egressctl.mesh.client import MANAGED_SELECTOR, Mesh, kubectl_delete
from egressctl.mesh.propagation import remains_of_entry
from egressctl.mesh.sample_pod import delete_sample_object, find_sample_object, sample_objects
from egressctl.mesh.sidecar import Sidecar
from egressctl.mesh.source_pod import SourceChoice, find_source_in_namespace
from egressctl.model.entry import RESOURCE, Manifest, ServiceEntry
from egressctl.runtime.concurrency import gather
from egressctl.runtime.poll import poll
from egressctl.runtime.progress import Progress, SilentProgress
from egressctl.runtime.sanitize import quote

_UNDO_TIMEOUT = 20.0
"""Seconds that taking back may take: it is mostly done while somebody waits after Ctrl-C."""
_TRIES = 4
"""So often an object is looked at anew that is being changed while it is to be deleted."""
_UNKNOWN = (ApiFailure, Unreachable)
"""After these an object may be there or not."""


DRY_RUN_SUFFIXES = {"none": "", "client": " (dry run)", "server": " (server dry run)"}
"""The modes of --dry-run, and what kubectl adds to its result lines under each."""


def delete_entries(
    mesh: Mesh, manifests: Sequence[Manifest], timeout: float | None, progress: Progress
) -> list[tuple[Manifest, Conflict]]:
    """Delete these ServiceEntries and wait until the API no longer has them, with None not at all.

    Return those that are somebody else's by now, and why they stay: Replaced, where what was there is gone, and egressctl has
    made another of that name. One that is not egressctl's is only warned of. Raises CleanupIncomplete where one of ours is left.
    """
    calls = [
        partial(_delete_and_wait, mesh.delete, partial(_entry_by_name, mesh, each), refuse_other_owner, each, timeout)
        for each in manifests
    ]
    refused = _delete_all(calls, manifests)
    gone = [(each, why) for each, why in refused if isinstance(why, Replaced) and not why.ours]
    stays = [each for each in refused if each not in gone]
    for each in manifests:
        if all(each is not other for other, _ in stays):
            progress.result(_deletion_line(each))
    for _, why in gone:
        progress.warn(str(why))
    return stays


def delete_by_dry_run(mesh: Mesh, manifests: Sequence[Manifest], mode: str, progress: Progress) -> None:
    """Say that these ServiceEntries would be deleted; in mode `server` ask the API server as well."""
    for each in manifests:
        if mode == "server":
            mesh.delete(each, dry_run=True)
        progress.result(_deletion_line(each) + DRY_RUN_SUFFIXES[mode])


def _deletion_line(manifest: Manifest) -> str:
    return f"{RESOURCE}/{manifest['metadata']['name']} deleted"


def delete_source(mesh: Mesh, objects: Sequence[tuple[str, Manifest]], timeout: float | None) -> None:
    """Delete these objects of the sample and wait as delete_entries does.

    Raises CleanupIncomplete, and Conflict for one that is somebody else's by now.
    """
    refused = _delete_all(
        [
            partial(
                _delete_and_wait,
                partial(delete_sample_object, mesh.api, plural),
                partial(_live_source_object, mesh, plural, each),
                _keep_owner,
                each,
                timeout,
            )
            for plural, each in objects
        ],
        [{"kind": plural.removesuffix("s"), **each} for plural, each in objects],
    )
    for _, why in refused:
        if not isinstance(why, Replaced):
            raise why


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
            f"the ServiceEntry is deleted, but after {timeout:.3g}s the sidecar of pod {source.pod} still has "
            f"{', '.join(left[:3])}"
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


def remove_run(mesh: Mesh, namespace: str, run_id: str, made: MadeObjects, choice: SourceChoice | None) -> None:
    """Take back what this process made in a namespace; nothing there is success.

    With a choice of source pod, its sidecar is waited for as well, where there is one and it can be read. Raises
    CleanupIncomplete where something is left, and Conflict where something is somebody else's by now, which stays.
    """
    selector = f"{MANAGED_SELECTOR},{LABEL_RUN_ID}={run_id}"
    manifests: list[Manifest] = []
    refused: list[tuple[Manifest, Conflict]] = []
    if made.any_in(PLURAL, namespace):
        manifests = [each for each in mesh.entries(namespace, selector) if made.includes(PLURAL, each)]
        refused = delete_entries(mesh, manifests, _UNDO_TIMEOUT, SilentProgress())
    if choice is not None and manifests:
        try:
            sidecar = Sidecar(mesh.api, find_source_in_namespace(mesh.api, namespace, choice))
            await_sidecar_without(mesh, sidecar, [read_entry(each) for each in manifests], _UNDO_TIMEOUT, SilentProgress())
        except CouldNotAsk:
            pass  # the object is gone, which is what was promised; the sidecar follows
    if made.any_in("pods", namespace):
        objects = [each for each in sample_objects(mesh.api, namespace, selector) if made.includes(*each)]
        delete_source(mesh, objects, _UNDO_TIMEOUT)
    for _, why in refused:
        if not isinstance(why, Replaced):
            raise why


def _delete_and_wait(
    delete: Callable[[Manifest], bool],
    look: Callable[[], Manifest | None],
    refuse_others: Callable[[Manifest, Manifest], None],
    manifest: Manifest,
    timeout: float | None,
) -> None:
    """Delete an object as it was read, and see it gone. `look` returns what has its name now.

    One that was changed since is looked at again, and deleted where `refuse_others`, which is given it as it is and as it was,
    does not raise Conflict. Raises Replaced where another has its name.
    """
    for _ in range(_TRIES):
        try:
            delete(manifest)
            break
        except Modified as modified:
            live = look()
            if live is None:
                return
            _refuse_replaced(live, manifest)
            if isinstance(modified, Replaced):  # what is told of its UID differs
                modified.hint = _see_what_it_is(read_entry(live))
                raise
            refuse_others(live, manifest)
            manifest = live
    else:
        raise CleanupIncomplete("it is changed by somebody else all the time")
    if timeout is None:
        return
    seen: Manifest = {}

    def gone() -> bool | None:
        nonlocal seen
        seen = look() or {}
        if not seen:
            return True
        _refuse_replaced(seen, manifest)
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


def _refuse_replaced(live: Manifest, manifest: Manifest) -> None:
    if live["metadata"]["uid"] != manifest["metadata"]["uid"]:
        entry = read_entry(live)
        replaced = Replaced(
            f"ServiceEntry {entry} is another one now, made {entry.created}"
            + (f" by run {entry.run_id}" if entry.owned else ", and not by egressctl")
            + ": the one that was to be deleted is gone, and this one stays",
            hint=_see_what_it_is(entry),
        )
        replaced.ours = entry.owned
        raise replaced


def _see_what_it_is(entry: ServiceEntry) -> str:
    return f"see what it is: kubectl get serviceentry -n {quote(entry.namespace)} {quote(entry.name)} -o yaml"


def _keep_owner(live: Manifest, before: Manifest) -> None:
    """Raise Conflict where a pod or a ServiceAccount has lost the labels by which it was ours."""
    told = live["metadata"]
    labels = (LABEL_MANAGED_BY, LABEL_RUN_ID)
    if any((told.get("labels") or {}).get(each) != (before["metadata"].get("labels") or {}).get(each) for each in labels):
        raise Conflict(f"{told['namespace']}/{told['name']} is not egressctl's any more: its labels have changed")


def _entry_by_name(mesh: Mesh, manifest: Manifest) -> Manifest | None:
    return mesh.entry(manifest["metadata"]["namespace"], manifest["metadata"]["name"])


def _live_source_object(mesh: Mesh, plural: str, manifest: Manifest) -> Manifest | None:
    live = find_sample_object(mesh.api, plural, manifest)
    return live if live is not None and live["metadata"]["uid"] == manifest["metadata"]["uid"] else None


def _delete_all(calls: Sequence[Callable[[], None]], manifests: Sequence[Manifest]) -> list[tuple[Manifest, Conflict]]:
    """Do every deletion even where one fails; return what is others' by now, and why it stays.

    Raises CleanupIncomplete, which says what is left.
    """
    outcomes = gather([partial(_failure_of, call) for call in calls], at_most=8)
    refused = [(each, why) for each, why in zip(manifests, outcomes, strict=True) if isinstance(why, Conflict)]
    left = [(each, why) for each, why in zip(manifests, outcomes, strict=True) if why and not isinstance(why, Conflict)]
    if left:
        names = [
            f"{each.get('kind', 'ServiceEntry')} {each['metadata']['namespace']}/{each['metadata']['name']}" for each, _ in left
        ]
        perhaps = "perhaps " if any(isinstance(why, _UNKNOWN) for why in outcomes) else ""
        raise CleanupIncomplete(
            f"{perhaps}left on the Kubernetes cluster: "
            + "; ".join(f"{name} ({why})" for name, (_, why) in zip(names, left, strict=True))
            + "".join(f"; {why}" for _, why in refused),
            left=names,
            hint="remove it with: " + " && ".join(kubectl_delete(each) for each, _ in left),
        )
    return refused


def _failure_of(call: Callable[[], None]) -> EgressctlError | None:
    try:
        call()
    except EgressctlError as failure:
        return failure
    return None
