"""The objects, in memory, and their history for those who watch."""

from __future__ import annotations

import asyncio
import copy
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

from egressctl.lab.api.resources import Resource
from egressctl.lab.api.status import Object

Key = tuple[str, str]
"""Namespace (empty for what has none) and name."""


@dataclass(frozen=True, slots=True)
class Event:
    """One change: `obj` as it became (or was, when deleted), `previous` as it was before, at `version`."""

    version: int
    type: str
    resource: Resource
    obj: Object
    previous: Object | None


def object_key(obj: Object) -> Key:
    """Return an object's key."""
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


class Store:
    """Keep objects by resource and key, and number every change.

    Every method runs to its end without giving up the event loop, so a read followed by a write is
    one step. Objects are copied on the way in and must not be changed on the way out.
    """

    def __init__(self, history: int = 5000) -> None:
        self.version = 1
        self._objects: dict[Resource, dict[Key, Object]] = {}
        self._history: deque[Event] = deque(maxlen=history)
        self._changed = asyncio.Event()
        self.pods_have_ipv6 = False

    def get(self, resource: Resource, namespace: str, name: str) -> Object | None:
        """Return an object, None where there is none."""
        return self._objects.get(resource, {}).get((namespace, name))

    def select(self, resource: Resource, matches: Callable[[Object], bool] = lambda _: True) -> list[Object]:
        """Return the objects that match, in the order of namespace and name."""
        held = self._objects.get(resource, {})
        return [held[at] for at in sorted(held) if matches(held[at])]

    def put(self, resource: Resource, obj: Object) -> Object:
        """Keep an object, new or changed, give it the next version, and wake who watches."""
        obj = copy.deepcopy(obj)
        held = self._objects.setdefault(resource, {})
        previous = held.get(object_key(obj))
        self.version += 1
        obj["metadata"]["resourceVersion"] = str(self.version)
        held[object_key(obj)] = obj
        self._record(Event(self.version, "MODIFIED" if previous else "ADDED", resource, obj, previous))
        return obj

    def drop(self, resource: Resource, obj: Object) -> Object:
        """Remove an object and return it as it last was."""
        gone = copy.deepcopy(self._objects[resource].pop(object_key(obj)))
        self.version += 1
        gone["metadata"]["resourceVersion"] = str(self.version)
        self._record(Event(self.version, "DELETED", resource, gone, obj))
        return gone

    def _record(self, event: Event) -> None:
        self._history.append(event)
        self._changed.set()
        self._changed = asyncio.Event()

    def since(self, version: int) -> list[Event] | None:
        """Return every change after a version; None where the history no longer reaches back to it."""
        if version >= self.version:
            return []
        oldest = self._history[0].version
        if version < oldest - 1:
            return None
        # Changes are numbered without gaps, so the place in the history is known.
        return list(islice(self._history, version + 1 - oldest, None))

    async def change(self) -> None:
        """Wait for the next change."""
        await self._changed.wait()
