"""Which namespaces see an object: `initServiceRegistry` of istio's pilot/pkg/model/push_context.go. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from egressctl.model.entry import ServiceEntry

EVERYWHERE, NOWHERE, OWN = "*", "~", "."
PUBLIC = (EVERYWHERE,)
"""What an absent exportTo means, unless the mesh says otherwise (MeshConfig.defaultServiceExportTo)."""
SERVICE_EXPORT_TO = "networking.istio.io/exportTo"
"""The annotation of a Kubernetes Service that holds its exportTo, separated by commas."""
DEFAULTS = (PUBLIC, (OWN,))
"""For those who do not know the mesh's: every other default ranks as the second."""


def namespaces_that_see(export_to: Sequence[str], own: str, default: Sequence[str] = PUBLIC) -> set[str]:
    """Return the namespaces that see an object of the namespace `own`: `{"*"}` for all of them, none where nobody does."""
    scopes = export_to or default
    if EVERYWHERE in scopes:
        return {EVERYWHERE}
    return set() if NOWHERE in scopes else {own if scope == OWN else scope for scope in scopes}


def sees(namespace: str, export_to: Sequence[str], own: str, default: Sequence[str] = PUBLIC) -> bool:
    """Say whether a namespace sees an object of the namespace `own`."""
    return not namespaces_that_see(export_to, own, default).isdisjoint((namespace, EVERYWHERE))


def is_exported_to_namespace(entry: ServiceEntry, namespace: str, default: Sequence[str] = PUBLIC) -> bool:
    """Say whether a namespace sees an entry; `default` is what the mesh makes of an absent exportTo."""
    return sees(namespace, entry.export_to, entry.namespace, default)


def is_public(entry: ServiceEntry, default: Sequence[str] = PUBLIC) -> bool:
    """Say whether every namespace sees an entry."""
    return EVERYWHERE in namespaces_that_see(entry.export_to, entry.namespace, default)


def namespaces_that_see_both(entry: ServiceEntry, other: ServiceEntry) -> list[str]:
    """Return the namespaces whose pods see both, an absent exportTo taken as public; "" stands for all that nobody names."""
    one, two = (namespaces_that_see(each.export_to, each.namespace) for each in (entry, other))
    if EVERYWHERE in one & two:
        return sorted({"", entry.namespace, other.namespace})
    return sorted(two if EVERYWHERE in one else one if EVERYWHERE in two else one & two)
