"""What a catalogue is compared with: the lists as they are published now, or as recorded in files, and what names resolve to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Lock
from typing import NamedTuple
from urllib.parse import urlsplit

from egressctl.catalog.formats import MAX_BYTES
from egressctl.errors import EgressctlError, FetchFailed, InvalidInput, Problem
from egressctl.manifests.published import PAGE, PublishedRange, PublishedSource
from egressctl.model.probe import Probe
from egressctl.runtime.concurrency import gather
from egressctl.runtime.progress import Progress

_AT_ONCE = 6

PublishedRanges = tuple[PublishedRange, ...]
"""What a published list says is called."""


class DnsAnswers(NamedTuple):
    """What names resolve to: (host, address) pairs, and a sentence for each name without an answer."""

    found: tuple[tuple[str, str], ...] = ()
    missing: tuple[str, ...] = ()


def fetchable_sources(sources: Iterable[PublishedSource]) -> list[PublishedSource]:
    """Return the sources that are lists, and not pages for people."""
    return [each for each in sources if each.format != PAGE]


def fetch_lists(
    sources: Iterable[PublishedSource], progress: Progress
) -> dict[PublishedSource, PublishedRanges | EgressctlError]:
    """Fetch these lists, several at the same time, each address once; the failure stands in place of what did not come."""
    from egressctl.catalog.http_cache import cache_folder, fetch_with_cache  # imported late: 15 ms

    wanted = list(dict.fromkeys(sources))
    urls = list(dict.fromkeys(each.url for each in wanted))
    kept, telling, came = cache_folder(), Lock(), 0

    def bring(url: str) -> bytes | EgressctlError:
        nonlocal came
        try:
            found: bytes | EgressctlError = fetch_with_cache(url, kept)
        except FetchFailed as failure:
            found = failure
        with telling:
            came += 1
            if len(urls) > 1:
                progress.step(f"{came} of {len(urls)} published lists are done")
        return found

    if urls:
        progress.step(f"fetching {len(urls)} published list{'s' if len(urls) > 1 else ''}")
    data = dict(zip(urls, gather([partial(bring, url) for url in urls], at_most=_AT_ONCE), strict=True))
    return {each: _parse_or_failure(each, data[each.url]) for each in wanted}


def _parse_or_failure(source: PublishedSource, data: bytes | EgressctlError) -> PublishedRanges | EgressctlError:
    if isinstance(data, EgressctlError):
        return data
    try:
        return called_ranges(source, data)
    except InvalidInput as refused:
        reason = "; ".join(str(refused).splitlines())
        return FetchFailed(f"{source.url} holds no list as is expected: {reason}", hint="its provider has changed it, perhaps")


def called_ranges(source: PublishedSource, data: bytes) -> PublishedRanges:
    """Return what a list says is called. Raises InvalidInput."""
    from egressctl.catalog import formats  # imported late: 4 ms

    return formats.parse_published_list(source, data)


def read_recorded_lists(
    sources: Sequence[PublishedSource], files: Sequence[str]
) -> dict[PublishedSource, PublishedRanges | EgressctlError]:
    """Read these lists from files, one for each list, in their order. Raises InvalidInput."""
    if not sources:
        raise InvalidInput("--published: the target has no published list that could be recorded")
    if len(files) != len(sources):
        names = ", ".join(each.url for each in sources)
        raise InvalidInput(f"--published: {len(files)} given, and the target has {len(sources)} published lists: {names}")
    return {source: _read_recorded_list(source, file) for source, file in zip(sources, files, strict=True)}


def _read_recorded_list(source: PublishedSource, file: str) -> PublishedRanges:
    try:
        return called_ranges(source, _read_file(file))
    except InvalidInput as refused:
        raise InvalidInput(problems=[replace(each, source=each.source or file) for each in refused.problems]) from None


def _read_file(file: str) -> bytes:
    try:
        with Path(file).open("rb") as opened:
            data = opened.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = (error.strerror or str(error)).lower() if isinstance(error, OSError) else "a path holds no NUL"
        raise InvalidInput(problems=[Problem(f"cannot be read: {reason}", "--published", source=file)]) from None
    if len(data) > MAX_BYTES:
        raise InvalidInput(problems=[Problem("is larger than 16 MiB, which no list is", "--published", source=file)])
    return data


def resolve_probe_hosts(probes: Iterable[Probe], progress: Progress) -> Mapping[str, DnsAnswers]:
    """Resolve the hosts of probes on this machine, several at the same time; return the answers by host."""
    from egressctl.mesh.dns import addresses_without_lookup, resolve_on_this_machine  # imported late: 31 ms

    hosts = list(dict.fromkeys(urlsplit(each.url).hostname or "" for each in probes))
    if hosts:
        progress.step(f"resolving {len(hosts)} name{'s' if len(hosts) > 1 else ''}")
    answers = gather(
        [partial(lambda host: addresses_without_lookup(host, ()) or resolve_on_this_machine(host), host) for host in hosts],
        at_most=_AT_ONCE,
    )
    return {
        host: DnsAnswers(tuple((host, address) for address in answer.addresses), (answer.missing,) if answer.missing else ())
        for host, answer in zip(hosts, answers, strict=True)
    }
