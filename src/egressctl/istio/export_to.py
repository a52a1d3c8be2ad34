"""Which namespaces see an object: `initServiceRegistry` and `serviceExportTo` of istio's push_context.go. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from egressctl.model.entry import ROOT_NAMESPACE, MeshObjects, ServiceEntry
from egressctl.model.json_values import list_at, mapping_at, text_at, texts_at, value_at

EVERYWHERE, NOWHERE, OWN = "*", "~", "."
PUBLIC = (EVERYWHERE,)
"""What an absent exportTo means, unless the mesh says otherwise (MeshConfig.defaultServiceExportTo)."""
SERVICE_EXPORT_TO = "networking.istio.io/exportTo"
"""The annotation of a Kubernetes Service that holds its exportTo, separated by commas."""
DEFAULTS = (PUBLIC, (OWN,))
"""For those who do not know the mesh's: every other default ranks as the second."""
OWN_NAMESPACE, NO_NAMESPACE = "NAMESPACE", "NONE"
"""To whom the mesh may limit what an exportTo says; all else is no limit."""
SHOW_MESH_CONFIG = f"kubectl get configmap -n {ROOT_NAMESPACE} istio -o yaml"
"""What shows the limits, for who does not know of another root namespace."""
_LIMITS = {OWN_NAMESPACE: OWN_NAMESPACE, NO_NAMESPACE: NO_NAMESPACE, "2": OWN_NAMESPACE, "3": NO_NAMESPACE}
"""By what protobuf takes in JSON: an enum's name, or its number."""


class _Policy(NamedTuple):
    shown_to: str
    selectors: tuple[Mapping[str, object] | None, ...]
    """Those that a namespace's labels must match, all of them; None is one that none matches."""


class Visibility(NamedTuple):
    """What the mesh says of who sees ServiceEntries (MeshConfig.serviceEntryVisibility), as far as it holds for sidecars."""

    default: str
    policies: tuple[_Policy, ...]

    def shown_to(self, labels: Mapping[str, str]) -> str:
        """Say to whom entries of a namespace with these labels are shown at most, as in `ServiceEntry.shown_to`."""
        return next(
            (each.shown_to for each in self.policies if all(_selects(selector, labels) for selector in each.selectors)),
            self.default,
        )


def parse_visibility(config: Mapping[str, object]) -> Visibility | None:
    """Read it of a MeshConfig; None where sidecars do without it."""
    found = mapping_at(config, "serviceEntryVisibility")
    if value_at(found, "applyToSidecars") is not True:
        return None
    return Visibility(
        _limit(found, "defaultVisibility"),
        tuple(
            _Policy(
                _limit(each, "visibility"),
                tuple(
                    mapping_at(rule, "namespaceSelector") if "namespaceSelector" in rule else None
                    for rule in list_at(each, "matchingRules")
                    if isinstance(rule, Mapping)
                ),
            )
            for each in list_at(found, "policies")
        ),
    )


def _limit(config: object, key: str) -> str:
    return _LIMITS.get(str(value_at(config, key)), "")


def _selects(selector: Mapping[str, object] | None, labels: Mapping[str, str]) -> bool:
    """Say whether a LabelSelector selects an object with these labels; one without anything selects all."""
    if selector is None or any(labels.get(key) != value for key, value in mapping_at(selector, "matchLabels").items()):
        return False
    for each in list_at(selector, "matchExpressions"):
        key, values = text_at(each, "key"), texts_at(each, "values")
        holds = {
            "In": labels.get(key) in values,
            "NotIn": labels.get(key) not in values,
            "Exists": key in labels,
            "DoesNotExist": key not in labels,
        }
        if not holds.get(text_at(each, "operator"), False):
            return False
    return True


def shown_as_in(around: MeshObjects, entry: ServiceEntry) -> ServiceEntry:
    """Return an entry that was read by itself as one of these mesh objects: shown to whom the mesh shows its namespace's."""
    shown_to = around.shown_to.get(entry.namespace, "")
    return entry if entry.shown_to == shown_to else replace(entry, shown_to=shown_to)


def limit_told(entry: ServiceEntry, default: Sequence[str] = PUBLIC) -> str:
    """Say in half a sentence to whom the mesh shows an entry at most; "" where that are all to whom it is exported."""
    if namespaces_that_see_entry(entry, default) == namespaces_that_see_entry(replace(entry, shown_to=""), default):
        return ""
    whom = {NO_NAMESPACE: "to no namespace", OWN_NAMESPACE: "only to the namespace itself"}.get(entry.shown_to, "")
    return f"the mesh's serviceEntryVisibility shows the ServiceEntries of namespace {entry.namespace} {whom}" if whom else ""


def namespaces_that_see(export_to: Sequence[str], own: str, default: Sequence[str] = PUBLIC, shown_to: str = "") -> set[str]:
    """Return the namespaces that see an object of the namespace `own`: `{"*"}` for all of them, none where nobody does.

    `shown_to` as in `ServiceEntry.shown_to`.
    """
    scopes = export_to or default
    if shown_to == NO_NAMESPACE:
        return set()
    if shown_to == OWN_NAMESPACE:
        return {own} if {EVERYWHERE, OWN, own} & {*scopes} else set()
    if EVERYWHERE in scopes:
        return {EVERYWHERE}
    return set() if NOWHERE in scopes else {own if scope == OWN else scope for scope in scopes}


def sees(namespace: str, export_to: Sequence[str], own: str, default: Sequence[str] = PUBLIC) -> bool:
    """Say whether a namespace sees an object of the namespace `own`."""
    return not namespaces_that_see(export_to, own, default).isdisjoint((namespace, EVERYWHERE))


def namespaces_that_see_entry(entry: ServiceEntry, default: Sequence[str] = PUBLIC) -> set[str]:
    """Return the namespaces that see an entry, as `namespaces_that_see` does."""
    return namespaces_that_see(entry.export_to, entry.namespace, default, entry.shown_to)


def is_exported_to_namespace(entry: ServiceEntry, namespace: str, default: Sequence[str] = PUBLIC) -> bool:
    """Say whether a namespace sees an entry; `default` is what the mesh makes of an absent exportTo."""
    return not namespaces_that_see_entry(entry, default).isdisjoint((namespace, EVERYWHERE))


def is_public(entry: ServiceEntry, default: Sequence[str] = PUBLIC) -> bool:
    """Say whether every namespace sees an entry."""
    return EVERYWHERE in namespaces_that_see_entry(entry, default)


def namespaces_that_see_both(entry: ServiceEntry, other: ServiceEntry) -> list[str]:
    """Return the namespaces whose pods see both, an absent exportTo taken as public; "" stands for all that nobody names."""
    one, two = map(namespaces_that_see_entry, (entry, other))
    if EVERYWHERE in one & two:
        return sorted({"", entry.namespace, other.namespace})
    return sorted(two if EVERYWHERE in one else one if EVERYWHERE in two else one & two)
