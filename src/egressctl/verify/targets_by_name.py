"""What the names on a command line mean that are to be verified: ServiceEntries, targets of the catalogue, or a name for URLs."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

from egressctl.catalog import lookup
from egressctl.errors import InvalidInput
from egressctl.manifests.service_entry import exact_name
from egressctl.mesh.client import Mesh, look_up_entries
from egressctl.model.probe import Probe
from egressctl.verify.select import (
    VerifyTarget,
    entries_by_name,
    verify_target_for,
    verify_target_from_urls,
    verify_targets_from_manifests,
)


def verify_targets_by_name(
    mesh: Mesh, namespace: str, names: Sequence[str], asked: tuple[Probe, ...], folders: Sequence[str]
) -> list[VerifyTarget]:
    """Return what these names ask to be verified, by the probes that are asked where there are any.

    A name is a ServiceEntry of the namespace where it is one, else a target of the catalogue. Raises InvalidInput for one that
    is neither, and has nothing asked.
    """
    return [target for name in names for target in _targets_of_name(mesh, namespace, name, asked, folders)]


def _targets_of_name(
    mesh: Mesh, namespace: str, name: str, asked: tuple[Probe, ...], folders: Sequence[str]
) -> list[VerifyTarget]:
    exact, called = exact_name(name), lookup.kubernetes_name(name)
    if exact:
        there = [entry for entry in look_up_entries(mesh, [(namespace, exact)]) if entry is not None]
    else:
        there = entries_by_name(mesh, namespace, called)
    if there:
        return verify_targets_from_manifests(there, asked, bare=True)
    if not exact and lookup.has_name(name, folders):
        return [verify_target_for(lookup.get_target(name, folders), namespace, None, asked)]
    if asked:
        return [verify_target_from_urls(asked, namespace, exact or f"{called}-ext", exact or name)]
    if exact:
        raise InvalidInput(
            f"there is no ServiceEntry {exact} in namespace {namespace}",
            hint=f"kubectl get serviceentries.networking.istio.io -n {namespace}",
        )
    near = get_close_matches(name, lookup.catalog_names())
    raise InvalidInput(
        f"there is no ServiceEntry {name}-ext or {name} in namespace {namespace}, and the catalogue has no {name}"
        + (f": did you mean {' or '.join(near)}?" if near else ""),
        hint=f"egressctl list shows what egressctl made; or say what to send: egressctl verify {name} --probe URL",
    )
