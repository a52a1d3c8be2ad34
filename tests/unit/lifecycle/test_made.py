"""What a process takes back: what it made itself, by UID."""

from __future__ import annotations

from typing import Any

from egressctl.lifecycle.made import MadeObjects

PLURAL = "serviceentries"


def thing(uid: str, name: str = "wikipedia-ext", namespace: str = "default") -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": namespace, "uid": uid}}


def test_what_was_made_is_known_by_its_uid() -> None:
    made = MadeObjects()
    made.expect(PLURAL, "default", "wikipedia-ext")
    made.add(PLURAL, thing("a"))
    assert made.includes(PLURAL, thing("a"))
    assert not made.includes(PLURAL, thing("b"))
    assert not made.includes(PLURAL, thing("a", "copy"))
    assert not made.includes("pods", thing("a"))


def test_what_was_tried_is_known_by_its_name_until_an_answer_comes() -> None:
    made = MadeObjects()
    made.expect(PLURAL, "default", "wikipedia-ext")
    assert made.includes(PLURAL, thing("a"))
    assert not made.includes(PLURAL, thing("a", "copy"))
    made.discard(PLURAL, "default", "wikipedia-ext")
    assert not made.includes(PLURAL, thing("a"))


def test_where_nothing_was_tried_nothing_is_looked_for() -> None:
    made = MadeObjects()
    made.expect(PLURAL, "shop", "wikipedia-ext")
    assert made.any_in(PLURAL, "shop")
    assert not made.any_in(PLURAL, "default")
    assert not made.any_in("pods", "shop")
