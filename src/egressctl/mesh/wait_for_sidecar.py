"""Wait until the source pod's sidecar has every filter chain of ServiceEntries, and say why where it does not get them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING

from egressctl.envoy.config import ProxyConfig
from egressctl.errors import CouldNotAsk, TimedOut
from egressctl.istio.export_to import is_exported_to_namespace, shown_as_in
from egressctl.istio.sidecar_scope import ImportScope, import_scope, sidecar_for_pod
from egressctl.manifests.split_entries import join_by_target
from egressctl.mesh.client import Mesh, look_up_entries
from egressctl.mesh.propagation import missing_blocks
from egressctl.mesh.read_objects import read_mesh_objects
from egressctl.mesh.sidecar import Sidecar
from egressctl.model.entry import MeshObjects, ServiceEntry
from egressctl.model.evidence import Source
from egressctl.runtime.progress import Progress
from egressctl.runtime.sanitize import quote
from egressctl.runtime.sentence import first_names

if TYPE_CHECKING:
    from egressctl.mesh.why_not_in_sidecar import Delay

_SETTLE_SECONDS = 1.0
"""Seconds after which what a sidecar shows is held to be of after the apply: a push takes 0.1-0.2 s (measured)."""
_MOST_REASONS = 50
"""So many of what is missing are asked for their reason, each among all filter chains: thousands may be missing. Where all of
these will not come, the others are asked too."""
_HINT_WHERE_DELETED = "run the same command again to create it"
_REFUSAL_SECONDS = 10.0
"""Seconds that a refusal which was there at the first look has to stand: it may be of before the apply."""


def await_sidecar(mesh: Mesh, sidecar: Sidecar, entries: Sequence[ServiceEntry], timeout: float, progress: Progress) -> None:
    """Wait until the sidecar sends every block of these entries to their Envoy clusters.

    Raises TimedOut when the time is over, and before that where waiting is of no use; it says why and what to type.
    """
    source = sidecar.source
    if source.proxy is None:
        progress.warn(f"pod {source.namespace}/{source.pod} has no sidecar: there is nothing to wait for")
        return
    expected = []
    for entry in entries:
        if is_exported_to_namespace(entry, source.namespace):
            expected.append(entry)
        else:
            progress.warn(
                f"exportTo of {entry} does not include namespace {source.namespace}: not waiting for the sidecar of {source.pod}"
            )
    applied = expected
    if len(expected) > 1:
        expected = join_by_target(expected)
    wait = _SidecarWait(mesh, source, expected, applied, progress)
    try:
        sidecar.wait_until(
            wait.is_complete, timeout, lambda: wait.told(timeout), hint="", unchanged=wait.give_up, entries=expected
        )
    except TimedOut as late:
        late.hint = late.hint or wait.hint or "istioctl proxy-status"
        raise
    progress.done(f"the sidecar of pod {source.pod} has every filter chain")


class _SidecarWait:
    """What is missing at each look, and why."""

    def __init__(
        self,
        mesh: Mesh,
        source: Source,
        entries: Sequence[ServiceEntry],
        applied: Sequence[ServiceEntry],
        progress: Progress,
    ) -> None:
        self.mesh, self.source, self.entries, self.applied, self.progress = mesh, source, entries, applied, progress
        self.begun = time.monotonic()
        self.missing: list[tuple[ServiceEntry, str]] = []
        self.first: ProxyConfig | None = None
        self.last: ProxyConfig | None = None
        self.hint = ""

    def is_complete(self, config: ProxyConfig) -> bool:
        self.missing = [(entry, each) for entry in self.entries for each in missing_blocks(config, entry)]
        self.first, self.last = self.first or config, config
        if self.missing:
            what = f"{len(self.missing)} missing, first {self.missing[0][1]}"
            self.progress.step(f"waiting for the sidecar of pod {self.source.pod}: {what}")
            self.give_up(config)
        return not self.missing

    def give_up(self, config: ProxyConfig) -> None:
        """Raise TimedOut where all that is missing will not come."""
        waited = time.monotonic() - self.begun
        stale = self.first is not None and bool(self.first.errors.items() & config.errors.items())
        if waited < (_REFUSAL_SECONDS if stale else _SETTLE_SECONDS):
            return
        if gone := self._deleted(self.applied[:1]):
            raise TimedOut(gone, hint=_HINT_WHERE_DELETED)
        delay = self._why(config, self._around)
        if delay.certain:
            what = f"{self._what_is_missing}: {delay.reason}"
            raise TimedOut(f"the ServiceEntry is applied, but waiting does not help: {what}", hint=self._hint_then_verify(delay))

    def told(self, timeout: float) -> str:
        """Say what the sidecar does not have at the end of the wait, and why as far as that can be known."""
        reason = ""
        if gone := self._deleted(self.applied):
            self.hint = _HINT_WHERE_DELETED
            return gone
        if self.last is not None:
            delay = self._why(self.last, self._read_mesh_objects())
            reason, self.hint = f": {delay.reason}", self._hint_then_verify(delay)
        return f"the ServiceEntry is applied, but after {timeout:g}s {self._what_is_missing}{reason}"

    def _deleted(self, entries: Sequence[ServiceEntry]) -> str:
        """Say which of these entries is gone, or is another's by now; empty where none is, or where that cannot be asked."""
        try:
            live = look_up_entries(self.mesh, [(each.namespace, each.name) for each in entries])
        except CouldNotAsk:
            return ""
        for entry, now in zip(entries, live, strict=True):
            if now is None or now["metadata"]["uid"] != entry.uid:
                return f"ServiceEntry {entry} was deleted while the sidecar of pod {self.source.pod} was waited for"
        return ""

    def _why(self, config: ProxyConfig, around: MeshObjects) -> Delay:
        return why_blocks_missing(self.source, config, self.missing, around)

    @property
    def _what_is_missing(self) -> str:
        return f"the sidecar of pod {self.source.pod} does not have {first_names([each for _, each in self.missing], 3)}"

    def _hint_then_verify(self, delay: Delay) -> str:
        return f"{delay.hint}; then: egressctl verify -n {quote(self.source.namespace)}"

    @cached_property
    def _around(self) -> MeshObjects:
        return self._read_mesh_objects()

    def _read_mesh_objects(self) -> MeshObjects:
        return mesh_objects_for_pod(self.mesh, self.source)


def mesh_objects_for_pod(mesh: Mesh, source: Source) -> MeshObjects:
    """Read what may stand in the way of a pod's entries; what could not be read is said in it."""
    try:
        return read_mesh_objects(mesh, source.namespace, services=False)
    except CouldNotAsk as failure:
        return MeshObjects(unread=(f"the other objects on the Kubernetes cluster were not looked at: {failure}",))


def why_blocks_missing(
    source: Source, config: ProxyConfig, missing: Sequence[tuple[ServiceEntry, str]], around: MeshObjects
) -> Delay:
    """Say why the pod's sidecar does not have what entries list, each with what `missing_blocks` names of it."""
    # Only a wait that is in trouble needs it.
    from egressctl.mesh.why_not_in_sidecar import summarise_delays, why_missing  # imported late: 2 ms

    unseen, hidden_by = "; ".join(around.unread), partial(_hiding_sidecar, source, around)
    found: list[Delay] = []
    for entry, lacking in missing:
        found.append(
            why_missing(
                config,
                shown_as_in(around, entry),
                lacking,
                source.namespace,
                around.entries,
                hidden_by=hidden_by,
                unseen=unseen,
                default=around.default_export_to,
            )
        )
        if len(found) >= _MOST_REASONS and not all(delay.certain for delay in found):
            break
    return summarise_delays(found)


def _hiding_sidecar(source: Source, around: MeshObjects, entry: ServiceEntry, port: int) -> str:
    """Name the Sidecar resource that keeps the entry, or all but one of its host's blocks, from the pod."""
    namespace = source.namespace
    sidecar = sidecar_for_pod(around.sidecars, namespace, source.labels, around.root)
    left = import_scope(sidecar, entry, port, namespace) if sidecar else ImportScope.WHOLE
    blocks = len(entry.addresses) + sum(
        len(each.addresses) for each in around.entries if each.is_same_target_as(entry) and each != entry
    )
    if sidecar is None or left is ImportScope.WHOLE or (left is ImportScope.ONE_BLOCK and blocks < 2):
        return ""
    return f"{sidecar['metadata'].get('namespace', namespace)}/{sidecar['metadata']['name']}"
