"""Which namespaces see an object, and which see two."""

from __future__ import annotations

from dataclasses import replace

import pytest

from egressctl.istio.export_to import is_exported_to_namespace, is_public, namespaces_that_see, namespaces_that_see_both, sees
from egressctl.model.entry import ServiceEntry

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
