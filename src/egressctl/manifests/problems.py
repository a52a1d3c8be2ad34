"""Collect the problems of one input, each with its place, so that they are all reported at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from egressctl.errors import Problem
from egressctl.manifests.yaml_reader import InputPlace, ValuePath, field_name, kind_of

MOST_PROBLEMS = 100
"""So many problems of one input are told: an annotation, which anyone may write, may have a hundred thousand."""

PlaceOfPath = Callable[[ValuePath], InputPlace]
"""Says where a path of the checked value stands in what the user wrote."""


def nearest_name(name: str, known: Iterable[str], all_are: str = "known here:") -> str:
    """Offer the known name that is spelt most like one that is not; all, where none is."""
    import difflib  # imported late: 1 ms

    by_case = {each.lower(): each for each in known}
    near = difflib.get_close_matches(name.lower(), by_case, 1)
    return f"did you mean {by_case[near[0]]}?" if near else f"{all_are} {', '.join(by_case.values())}"


class ProblemCollector:
    """Collects problems, each with its place."""

    def __init__(self, where: PlaceOfPath = lambda path: InputPlace(field_name(path))) -> None:
        self.where = where
        self.problems: list[Problem] = []

    def add(self, path: ValuePath, message: str, remedy: str = "") -> None:
        """Note a problem at a path; after MOST_PROBLEMS that there are more, and no further one."""
        if self.is_full:
            return
        if len(self.problems) == MOST_PROBLEMS:
            message, remedy = f"has more problems than these {MOST_PROBLEMS}", "correct them first"
        place = self.where(path)
        self.problems.append(Problem(message, place.field, remedy, place.source, place.line))

    @property
    def is_full(self) -> bool:
        """Whether no further problem would be told."""
        return len(self.problems) > MOST_PROBLEMS

    def is_a(self, kind: type, value: object, path: ValuePath, expected: str) -> bool:
        """Report a value of another kind; a boolean is no number."""
        if isinstance(value, kind) and not (kind is int and isinstance(value, bool)):
            return True
        remedy = f"expected {expected}" + ("; leave the field out if there is none" if value is None else "")
        self.add(path, f"is {kind_of(value)}", remedy)
        return False

    def fields(self, value: Mapping[str, Any], path: ValuePath, known: Iterable[str]) -> None:
        """Report fields that are not among the known ones, and offer the nearest name."""
        known = tuple(known)
        for name in value:
            if name not in known and not self.is_full:
                self.add((*path, name), "unknown field", nearest_name(name, known))

    def mapping(self, value: object, path: ValuePath, known: Iterable[str], expected: str) -> Mapping[str, Any]:
        """Give the value where it is a mapping of known fields; report otherwise, and give what can be read."""
        if not self.is_a(dict, value, path, expected):
            return {}
        assert isinstance(value, dict)
        self.fields(value, path, known)
        return value

    def listed(
        self, value: Mapping[str, Any], path: ValuePath, name: str, kind: type, expected: str
    ) -> list[tuple[ValuePath, Any]]:
        """Give the items of a list that are of the kind, each with its path; report the others."""
        if name not in value or not self.is_a(list, value[name], (*path, name), f"a list of {expected}"):
            return []
        items = [((*path, name, index), item) for index, item in enumerate(value[name])]
        return [(at, item) for at, item in items if self.is_a(kind, item, at, f"one of {expected}")]

    def check_texts(self, value: Mapping[str, Any], path: ValuePath, name: str) -> None:
        """Report what is no mapping of text to text."""
        if name in value and self.is_a(dict, value[name], (*path, name), "a mapping of text to text"):
            for key, text in value[name].items():
                self.is_a(str, text, (*path, name, key), "text, in quotes")
