"""Label and field selectors, as `kubectl get -l` and `--field-selector` write them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from egressctl.lab.api.resources import field_text
from egressctl.lab.api.status import Object, bad_request_error

_REQUIREMENT = re.compile(
    r"\s*(?:"
    r"(?P<absent>!)\s*(?P<without>[^\s!=,()]+)"
    r"|(?P<key>[^\s!=,()]+)\s*(?:(?P<set>in|notin)\s*\((?P<values>[^)]*)\)|(?P<equal>==|=|!=)\s*(?P<value>[^\s,=!()]*))?"
    r")\s*(?:,|$)"
)


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on a key. `values` None asks whether the key is there; `wanted` False turns it round."""

    key: str
    values: frozenset[str] | None
    wanted: bool

    def holds(self, value: str | None) -> bool:
        if self.values is None:
            return (value is not None) is self.wanted
        # A key that is not there is in no set, so `notin` and `!=` hold.
        return (value in self.values) is self.wanted


def parse_selector(text: str) -> tuple[Requirement, ...]:
    """Return the conditions of a selector; raise ApiError 400 where it is none."""
    found: list[Requirement] = []
    position = 0
    while position < len(text):
        match = _REQUIREMENT.match(text, position)
        if not match or match.end() == position:
            raise bad_request_error(f"unable to parse requirement: found '{text[position:]}', expected: identifier")
        position = match.end()
        if match["absent"]:
            found.append(Requirement(match["without"], None, False))
        elif match["set"]:
            values = frozenset(value.strip() for value in match["values"].split(","))
            found.append(Requirement(match["key"], values, match["set"] == "in"))
        elif match["equal"]:
            found.append(Requirement(match["key"], frozenset({match["value"]}), match["equal"] != "!="))
        else:
            found.append(Requirement(match["key"], None, True))
    return tuple(found)


def matcher(label_selector: str, field_selector: str, *, namespace: str | None = None) -> Callable[[Object], bool]:
    """Return the test of an object against both selectors and a namespace (None: any)."""
    labels, by_field = parse_selector(label_selector), parse_selector(field_selector)

    def matches(obj: Object) -> bool:
        metadata = obj["metadata"]
        own: dict[str, str] = metadata.get("labels") or {}
        return (
            namespace in (None, metadata.get("namespace"))
            and all(wanted.holds(own.get(wanted.key)) for wanted in labels)
            and all(wanted.holds(field_text(obj, wanted.key)) for wanted in by_field)
        )

    return matches
