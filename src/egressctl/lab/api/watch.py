"""What a watch sends: which changes a client sees, and as what."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass

from egressctl.lab.api.resources import Resource
from egressctl.lab.api.status import ApiError, Object, bad_request_error
from egressctl.lab.api.store import Event, Store

WatchEvent = tuple[str, Object]
"""What a client is sent: ADDED, MODIFIED, DELETED, BOOKMARK or ERROR, and the object."""
INITIAL_EVENTS_END = "k8s.io/initial-events-end"


@dataclass(frozen=True, slots=True)
class WatchRequest:
    """What a client watches. `since` 0 begins with what is there; `seconds` is how long at most."""

    resource: Resource
    matches: Callable[[Object], bool]
    since: int
    seconds: float
    bookmarks: bool = False
    initial_events: bool = False


def parse_resource_version(said: str) -> int:
    """Return a resourceVersion as a number, 0 for none; raise ApiError 400 where it is no number."""
    if not (said or "0").isdigit():
        raise bad_request_error(f'Invalid value: "{said}": invalid resource version')
    return int(said or "0")


def event_for_client(event: Event, wanted: WatchRequest) -> WatchEvent | None:
    """Return what a client sees of a change; an object that begins or ceases to match comes or goes for it."""
    if event.resource is not wanted.resource:
        return None
    is_seen = event.type != "DELETED" and wanted.matches(event.obj)
    was_seen = event.previous is not None and wanted.matches(event.previous)
    if is_seen:
        return ("MODIFIED" if was_seen else "ADDED"), event.obj
    return ("DELETED", event.obj) if was_seen else None


def _bookmark(version: int, *, initial: bool = False) -> WatchEvent:
    metadata: Object = {"resourceVersion": str(version), "creationTimestamp": None}
    if initial:
        metadata["annotations"] = {INITIAL_EVENTS_END: "true"}
    return "BOOKMARK", {"metadata": metadata}


async def watch_events(store: Store, wanted: WatchRequest) -> AsyncGenerator[WatchEvent, None]:
    """Yield what a client sees until its time is up.

    A version that the history no longer reaches ends with ERROR and the 410 that makes a client
    list again.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + wanted.seconds
    at = wanted.since
    if at == 0 or wanted.initial_events:
        at = store.version
        for obj in store.select(wanted.resource, wanted.matches):
            yield "ADDED", obj
        if wanted.initial_events:
            yield _bookmark(at, initial=True)
    while True:
        events = store.since(at)
        if events is None:
            yield "ERROR", ApiError(410, "Expired", f"too old resource version: {at} ({store.version})").body
            return
        for event in events:
            seen = event_for_client(event, wanted)
            at = event.version
            if seen:
                yield seen
        if events:
            continue
        try:
            async with asyncio.timeout_at(end):
                await store.change()
        except TimeoutError:
            if wanted.bookmarks:
                yield _bookmark(at)
            return
