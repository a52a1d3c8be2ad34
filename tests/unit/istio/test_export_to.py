"""Which namespaces see an object, and which see two."""

from __future__ import annotations

from dataclasses import replace

import pytest

from egressctl.istio.export_to import (
    is_exported_to_namespace,
    is_public,
    limit_told,
    namespaces_that_see,
    namespaces_that_see_both,
    parse_visibility,
    sees,
    shown_as_in,
)
from egressctl.model.entry import MeshObjects, ServiceEntry

ENTRY = ServiceEntry("wikipedia-ext", "one", ("wikipedia.org",), (), (), "NONE", "MESH_EXTERNAL", ())
PLACES = ["one", "two", "three"]


@pytest.mark.parametrize(
    ("export_to", "default", "seen"),
    [
        ((), ("*",), PLACES),
        ((), (".",), ["one"]),
        ((), ("~",), []),
        ((), ("two",), ["two"]),
        (("*",), (".",), PLACES),
        ((".",), ("*",), ["one"]),
        (("one",), ("*",), ["one"]),
        (("two", "."), ("*",), ["one", "two"]),
        (("~",), ("*",), []),
        # The API server refuses these two; istiod reads them so.
        (("~", "two"), ("*",), []),
        (("~", "*"), ("*",), PLACES),
    ],
)
def test_who_sees_an_entry(export_to: tuple[str, ...], default: tuple[str, ...], seen: list[str]) -> None:
    entry = replace(ENTRY, export_to=export_to)
    assert [each for each in PLACES if is_exported_to_namespace(entry, each, default)] == seen
    assert [each for each in PLACES if sees(each, export_to, "one", default)] == seen
    named = namespaces_that_see(export_to, "one", default)
    assert named == ({"*"} if seen == PLACES else set(seen))
    assert is_public(entry, default) is (seen == PLACES)


@pytest.mark.parametrize(
    ("export_to", "shown_to", "seen"),
    [
        ((), "NAMESPACE", ["one"]),
        (("two", "three"), "NAMESPACE", []),
        (("one", "two"), "NAMESPACE", ["one"]),
        (("~",), "NAMESPACE", []),
        (("*",), "NONE", []),
        ((".",), "NONE", []),
        (("two",), "", ["two"]),
    ],
)
def test_the_mesh_limits_who_sees_an_entry(export_to: tuple[str, ...], shown_to: str, seen: list[str]) -> None:
    entry = replace(ENTRY, export_to=export_to, shown_to=shown_to)
    assert [each for each in PLACES if is_exported_to_namespace(entry, each)] == seen
    assert not is_public(entry)
    assert bool(limit_told(entry)) is (seen != [each for each in PLACES if sees(each, export_to, "one")])


def labelled(**labels: str) -> dict[str, object]:
    return {"namespaceSelector": {"matchLabels": labels}}


def expression(operator: str, *values: str) -> dict[str, object]:
    return {"namespaceSelector": {"matchExpressions": [{"key": "tier", "operator": operator, "values": list(values)}]}}


@pytest.mark.parametrize(
    ("policies", "shown_to"),
    [
        ([], "NONE"),
        ([{"visibility": "NAMESPACE", "matchingRules": [labelled(tier="web")]}], "NAMESPACE"),
        ([{"visibility": "NAMESPACE", "matchingRules": [labelled(tier="db")]}], "NONE"),
        ([{"visibility": "NAMESPACE", "matchingRules": [labelled(tier="web"), labelled(team="b")]}], "NONE"),
        ([{"visibility": "PUBLIC", "matchingRules": [labelled(tier="web")]}, {"visibility": "NAMESPACE"}], ""),
        ([{"visibility": "NAMESPACE"}], "NAMESPACE"),
        ([{"visibility": "NAMESPACE", "matchingRules": [{"namespaceSelector": {}}]}], "NAMESPACE"),
        ([{"visibility": "NAMESPACE", "matchingRules": [{"hostnameSuffix": ".example"}]}], "NONE"),
        ([{"matchingRules": [expression("In", "web", "db")]}], ""),
        ([{"matchingRules": [expression("NotIn", "web")]}], "NONE"),
        ([{"visibility": 2, "matchingRules": [expression("Exists")]}], "NAMESPACE"),
        ([{"visibility": "NAMESPACE", "matchingRules": [expression("DoesNotExist")]}], "NONE"),
        ([{"visibility": "NAMESPACE", "matchingRules": [expression("of tomorrow")]}], "NONE"),
    ],
)
def test_the_first_policy_that_fits_a_namespace_says_to_whom_it_is_shown(policies: list[object], shown_to: str) -> None:
    config = {"serviceEntryVisibility": {"defaultVisibility": "NONE", "applyToSidecars": True, "policies": policies}}
    visibility = parse_visibility(config)
    assert visibility is not None
    assert visibility.shown_to({"tier": "web", "team": "a"}) == shown_to


@pytest.mark.parametrize(
    "said", [None, [], {}, {"defaultVisibility": "NONE"}, {"defaultVisibility": "NONE", "applyToSidecars": 0}]
)
def test_sidecars_do_without_it_unless_they_are_told_to(said: object) -> None:
    assert parse_visibility({"serviceEntryVisibility": said}) is None


def test_an_entry_that_was_read_by_itself_is_shown_as_those_of_its_namespace() -> None:
    around = MeshObjects(shown_to={"one": "NONE"})
    assert shown_as_in(around, ENTRY).shown_to == "NONE"
    assert shown_as_in(around, replace(ENTRY, namespace="two")).shown_to == ""


@pytest.mark.parametrize(
    ("mine", "theirs", "both"),
    [
        ((), (), ["", "one", "two"]),
        (("*",), ("three",), ["three"]),
        ((".",), (), ["one"]),
        ((".",), (".",), []),
        (("one", "three"), ("three", "four"), ["three"]),
        (("~",), (), []),
    ],
)
def test_who_sees_both(mine: tuple[str, ...], theirs: tuple[str, ...], both: list[str]) -> None:
    entry, other = replace(ENTRY, export_to=mine), replace(ENTRY, namespace="two", export_to=theirs)
    assert namespaces_that_see_both(entry, other) == namespaces_that_see_both(other, entry) == both
