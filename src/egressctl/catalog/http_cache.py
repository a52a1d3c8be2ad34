"""Remember published lists in the user's cache folder, so that an unchanged one need not be sent again.

A file a list: a line of JSON (address, ETag, Last-Modified, SHA-256), then the list as it came. What cannot be kept
is fetched again the next time, and what does not fit its own line is not believed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path

from egressctl.catalog.fetch import LIMITS, NO_VALIDATORS, FetchedList, FetchLimits, Validators, fetch
from egressctl.runtime.atomic_write import replace_file


def cache_folder() -> Path:
    """Return where lists are kept: `egressctl/published` in XDG_CACHE_HOME, else in ~/.cache; nowhere without a home."""
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "egressctl" / "published"
    except RuntimeError:  # an arbitrary user of a container
        return Path(os.devnull)


def fetch_with_cache(url: str, kept: Path, *, limits: FetchLimits = LIMITS) -> bytes:
    """Return what is published at an address now; raise FetchFailed."""
    before = _read_cached_list(url, kept)
    now = fetch(url, before.validators if before else NO_VALIDATORS, limits=limits)
    if now is None:
        assert before is not None  # else nothing was asked that could be answered so
        return before.data
    if now.validators != NO_VALIDATORS:
        _write_cached_list(url, now, kept)
    return now.data


def _cache_file(url: str, kept: Path) -> Path:
    return kept / hashlib.sha256(url.encode()).hexdigest()


def _read_cached_list(url: str, kept: Path) -> FetchedList | None:
    try:
        line, _, data = _cache_file(url, kept).read_bytes().partition(b"\n")
        told = json.loads(line)
        if (told["url"], told["sha256"]) == (url, hashlib.sha256(data).hexdigest()):
            return FetchedList(data, Validators(str(told["etag"]), str(told["modified"])))
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        pass
    return None


def _write_cached_list(url: str, now: FetchedList, kept: Path) -> None:
    told = {"url": url, "etag": now.validators.etag, "modified": now.validators.modified}
    told["sha256"] = hashlib.sha256(now.data).hexdigest()
    with contextlib.suppress(OSError):
        kept.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(_cache_file(url, kept), json.dumps(told).encode() + b"\n" + now.data)
