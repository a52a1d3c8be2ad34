"""Ask a curl from before 7.75 in the form that it understands, and read what it writes. Pure.

Such a curl knows neither `%{exitcode}` nor `%{errormsg}`, and before 7.63 not `%{stderr}`; up to 7.65 it ends where a part before
`--next` failed. So reports and failures, `curl: (N) words`, go to stdout in their order (`--stderr -`), and after each probe a
file that is always there is read: what is written up to its report is that probe's, and no part of the command line
fails. Some versions write the failure before the report, others after it. A body goes to stdout as well, so the reports of an
exec that reads one have a name that no server knows. Source: curl's changelog, src/tool_writeout.c and src/tool_operate.c.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from egressctl.mesh import curl
from egressctl.model.evidence import CurlOutcome
from egressctl.model.probe import Probe

OLDEST = (7, 51, 0)
"""The oldest curl that this form is tested with (that of Red Hat Enterprise Linux 8 is 7.61.1)."""

_UNKNOWN = b"curl: unknown --write-out variable: "
_NO_OPTION = re.compile(rb"^curl: option .{1,80} is unknown", re.MULTILINE)
_SAID = re.compile(rb"^curl: \(([0-9]{1,3})\) ?([^\r\n]*)", re.MULTILINE)
_NO_FILE = b"37"
"""A file that cannot be read (CURLE_FILE_COULDNT_READ_FILE): without IPv6 there is no /proc/net/tcp6. No URL gives it."""
_ALWAYS_THERE = "file:///dev/null"
_FIELDS = (*curl.OLD_FIELDS, "url_effective")


def is_old(stderr: bytes) -> bool:
    """Say whether curl did not know a field of its report, or an option of the other form."""
    return _UNKNOWN in stderr or bool(_NO_OPTION.search(stderr))


def mark(probes: Sequence[Probe], chance: str) -> str:
    """Return what the reports of an exec begin with; with `chance`, which nobody can guess, where a body stands between them."""
    return f"{curl.MARK}-{chance}" if any(probe.extract for probe in probes) else curl.MARK


def probe_argv(probes: Sequence[Probe], limits: curl.TransferLimits, mark: str) -> tuple[str, ...]:
    """Return the argument vector that sends the probes one after the other, as `curl.probe_argv` does."""
    limits = limits._replace(local_ports=curl.probe_and_companion_ports(limits)[0])
    argv = ["curl", "-q"]
    for _, part in curl.split_by_places(probes):
        for options, group in itertools.groupby(part, curl.probe_options):
            argv += _segment(limits, mark)
            for probe in group:
                # Each URL has its own -o: the first that lacks one gets the next.
                argv += [*options, *(["-o", "-"] if probe.extract else []), probe.url, *_END]
            argv.append("--next")
        argv += [*_table_segment(), "--next"]
    return tuple(argv[:-1])


def companion_argv(
    addresses: Sequence[tuple[str, int]], limits: curl.TransferLimits, scheme: str = curl.TELNET
) -> tuple[str, ...]:
    """Return the argument vector that opens a bare connection to each address, as `curl.companion_argv` does."""
    argv = ["curl", "-q", *_segment(curl.companion_limits(limits), curl.MARK), "--noproxy", "*"]
    for ip, port in addresses:
        argv += ["-o", "/dev/null", curl.bare_url(ip, port, scheme), *_END]
    return (*argv, "--next", *_table_segment())


_END = ("-o", "/dev/null", _ALWAYS_THERE)


def _segment(limits: curl.TransferLimits, mark: str) -> list[str]:
    return [*curl.limit_options(limits), "--stderr", "-", "-w", rf"\n{mark}\t{curl.field_words(_FIELDS)}\n"]


def _table_segment() -> list[str]:
    return ["-gs", *(word for url in curl.TABLE_URLS for word in ("-o", "-", url)), *_END]


def split_to_fit(probes: Sequence[Probe], limits: curl.TransferLimits) -> list[Sequence[Probe]]:
    """Cut probes, in their order, so that each exec's fit into a request line: in this form they take more of it."""
    if len(probes) < 2 or curl.query_length(probe_argv(probes, limits, mark(probes, 16 * "0"))) <= curl.LONGEST_QUERY:
        return [probes]
    half = len(probes) // 2
    return [*split_to_fit(probes[:half], limits), *split_to_fit(probes[half:], limits)]


def parse_probes(probes: Sequence[Probe], stdout: bytes, mark: str) -> curl.ExecOutput:
    """Read what `probe_argv`'s command wrote. Never raises: what is missing or ambiguous is None or empty."""
    heard = [*_transfers(stdout, mark)][: len(probes)]
    outcomes: list[CurlOutcome | None] = [None] * len(probes)
    bodies: dict[int, bytes] = {}
    for index, (probe, transfer) in enumerate(zip(probes, heard, strict=False)):
        size = int(transfer.fields["size_download"]) if probe.extract else 0
        outcomes[index] = _outcome(transfer, size, probe.port)
        if probe.extract:
            bodies[index] = transfer.before[:size]
    earlier: dict[int, str] = {}
    table = ""
    for start, part in curl.split_by_places(probes):
        earlier |= dict.fromkeys(range(len(earlier), start), table)
        last = start + len(part) - 1
        table = curl.socket_table_at(heard[last].after) if last < len(heard) else ""
        if last + 1 == len(heard) < len(probes):
            # What follows was lost: the table may have been cut at a line's end.
            table = table.rpartition("\n")[0].rstrip("\n")
    return curl.ExecOutput(tuple(outcomes), table, earlier, bodies)


def parse_companion(addresses: Sequence[tuple[str, int]], stdout: bytes) -> curl.ExecOutput:
    """Read what `companion_argv`'s command wrote for these addresses."""
    heard = [*_transfers(stdout, curl.MARK)][: len(addresses)]
    outcomes = [_outcome(transfer, 0, port) for transfer, (_, port) in zip(heard, addresses, strict=False)]
    table = curl.socket_table_at(heard[-1].after) if len(heard) == len(addresses) else ""
    return curl.ExecOutput((*outcomes, *[None] * (len(addresses) - len(outcomes))), table)


class _Transfer(NamedTuple):
    """One probe's report, and what was written before it, between it and the end that was read after it, and after that."""

    fields: Mapping[str, str]
    before: bytes
    between: bytes
    after: bytes


def _transfers(stdout: bytes, mark: str) -> Iterator[_Transfer]:
    """Yield the transfers in their order, up to the first whose report or end is not there as it should be."""
    before, *pieces = stdout.split(f"\n{mark}\t".encode())
    told = [(_fields(line), text) for line, _, text in (piece.partition(b"\n") for piece in pieces)]
    for (fields, between), (end, after) in zip(told[::2], told[1::2], strict=False):
        if fields is None or end is None or not _is_end(end) or _is_end(fields):
            return
        yield _Transfer(fields, before, between, after)
        before = after


def _fields(line: bytes) -> dict[str, str] | None:
    values = line.decode("utf-8", "replace").split("\t")
    if len(values) != len(_FIELDS):
        return None
    fields = dict(zip(_FIELDS, values, strict=True))
    return fields if curl.SIZE.fullmatch(fields["size_download"]) else None


def _is_end(fields: Mapping[str, str]) -> bool:
    return fields["url_effective"].lower() == _ALWAYS_THERE


def _outcome(transfer: _Transfer, size: int, port: int) -> CurlOutcome | None:
    """Return the outcome of a transfer; None where more than one failure stands next to its report."""
    said = [*_SAID.finditer(transfer.before[size:]), *_SAID.finditer(transfer.between)]
    failures = [found for found in said if found[1] != _NO_FILE]
    if len(failures) > 1:
        return None
    code, words = (each.decode("utf-8", "replace") for each in failures[0].groups()) if failures else ("0", "")
    return curl.outcome_of({**transfer.fields, "exitcode": code, "errormsg": words}, port)
