"""What `pods/NAME/log` answers of a file that a container writes its log to, as PodLogOptions ask for it. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from egressctl.lab.api.status import bad_request_error

_STARTED = re.compile(rb"\[(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3})Z\]")


def select_log_lines(log: bytes, query: Mapping[str, str], now: datetime) -> bytes:
    """Return the newest `tailLines`, of those what is as new as `sinceSeconds`, and of that the first `limitBytes`.

    A kubelet knows when a line was written. Here its age is what its own time stamp says: for a connection, since that began.
    Lines without one are of any age. Raises ApiError 400 for a number that is none.
    """
    lines = log.splitlines(keepends=True)
    tail, since, limit = (_number_option(query, name) for name in ("tailLines", "sinceSeconds", "limitBytes"))
    if tail is not None:
        lines = lines[max(0, len(lines) - tail) :]
    if since is not None:
        oldest = now - timedelta(seconds=min(since, 10**9))
        lines = [line for line in lines if _time_of_line(line, now) >= oldest]
    return b"".join(lines)[:limit]


def _number_option(query: Mapping[str, str], name: str) -> int | None:
    said = query.get(name)
    if said is None:
        return None
    if not re.fullmatch("[0-9]{1,18}", said):
        raise bad_request_error(f'PodLogOptions "{name}" is invalid: {said!r} is no number of lines, seconds or bytes')
    return int(said)


def _time_of_line(line: bytes, now: datetime) -> datetime:
    found = _STARTED.match(line)
    try:
        return datetime.fromisoformat(found[1].decode()).replace(tzinfo=UTC) if found else now
    except ValueError:
        return now
