"""To whom the mesh shows the entries that were read, as far as that is known."""

from __future__ import annotations

from typing import Any

import pytest

from egressctl.istio.export_to import parse_visibility
from egressctl.istio.mesh_objects import NAMESPACES, ObjectsOfKind, assemble_mesh_objects
from egressctl.manifests.service_entry import PLURAL
from egressctl.model.entry import MeshObjects

WEB = {"visibility": "NAMESPACE", "matchingRules": [{"namespaceSelector": {"matchLabels": {"tier": "web"}}}]}


def read(*policies: dict[str, Any], labelled: tuple[str, ...] = ("one", "two")) -> MeshObjects:
    """Entries of two namespaces, of which `one` has the label; of those that are not `labelled` no labels were read."""
    places = {"one": {"tier": "web"}, "two": {}}
    entries = tuple({"metadata": {"name": "e", "namespace": place}, "spec": {"hosts": ["a.example"]}} for place in places)
    namespaces = tuple({"metadata": {"name": place, "labels": places[place]}} for place in labelled)
    reach = None if len(labelled) == len(places) else frozenset(labelled)
    listed = {PLURAL: ObjectsOfKind(entries), NAMESPACES: ObjectsOfKind(namespaces, reach, "no right to list them")}
    config = {"serviceEntryVisibility": {"applyToSidecars": True, "defaultVisibility": "NONE", "policies": list(policies)}}
    return assemble_mesh_objects(listed, "istio-system", ("*",), parse_visibility(config))


@pytest.mark.parametrize("labelled", [("one", "two"), ("one",), ()])
def test_without_policies_all_are_shown_as_the_default_says(labelled: tuple[str, ...]) -> None:
    around = read(labelled=labelled)
    assert [each.shown_to for each in around.entries] == ["NONE", "NONE"]
    assert not any("serviceEntryVisibility" in each for each in around.unread)


def test_a_policy_is_of_the_labels_of_a_namespace() -> None:
    around = read(WEB)
    assert [each.shown_to for each in around.entries] == ["NAMESPACE", "NONE"]
    assert around.shown_to == {"one": "NAMESPACE", "two": "NONE"}
    assert around.unread == ()


def test_what_depends_on_labels_that_were_not_read_is_said() -> None:
    around = read(WEB, labelled=("one",))
    assert [each.shown_to for each in around.entries] == ["NAMESPACE", ""]
    assert around.unread[-1] == "to whom the mesh shows ServiceEntries of two was not looked at (serviceEntryVisibility)"
