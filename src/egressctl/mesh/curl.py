"""The command line of curl that a probe is, and what its report means.

The transfers of one exec come one after the other, and the pod's socket table is read after every five connections:
curl keeps five, so each is still there to be seen. Fields go to stderr through `-w`, one
line a transfer; bodies and the socket table go to stdout, and are cut apart by the sizes that curl
reports, so that no body can pass for a socket table.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

from egressctl.model.blocks import bracketed
from egressctl.model.cause import CauseCode
from egressctl.model.evidence import CurlOutcome
from egressctl.model.probe import Probe
from egressctl.runtime.query import encode_query

CONNECTIONS_PER_EXEC = 5
"""How many idle connections curl keeps by default (CURLOPT_MAXCONNECTS): the sixth closes the first."""

PLACES_PER_EXEC = 2 * CONNECTIONS_PER_EXEC
"""Hosts and ports of one exec whose probes are all alike: after each five the socket table is read."""

EXECS_AT_ONCE = 16
"""Execs under way at the same time: enough to hide their latency, few enough for any API server."""

LONGEST_QUERY = 6600
"""Characters of one exec's probes in the request line, of which some proxies take no more than 8 KiB in all."""
_NEXT_PART = 800
"""Characters of the options and the table that come once more with a second part."""
_FEWEST_SHARED, _EXECS_SHARED = PLACES_PER_EXEC, 12
"""Of many probes, at least so many share an exec, and they take so many execs before one has more."""

BODY_LIMIT = 4 << 20
"""Bytes of a body that `extract` may look at."""

OLDEST = (7, 75, 0)
"""The first curl whose report says by which code it ended and why (`%{exitcode}`, `%{errormsg}`: curl's changelog).

See old_curl for those before."""

OLD_FIELDS = (
    "http_code", "http_connect", "remote_ip", "remote_port", "local_ip", "local_port", "size_download", "num_connects",
    "time_namelookup", "time_connect", "time_appconnect", "time_total",
)  # fmt: skip
"""The fields of a report that every curl knows (7.29 and later: curl's changelog)."""
_FIELDS = ("exitcode", *OLD_FIELDS, "errormsg")
# errormsg is not escaped by curl, and stands last behind a tab for that reason.
MARK = "egressctl"
"""What a report begins with."""
_EXIT, SIZE = re.compile("[0-9]{1,3}"), re.compile("[0-9]{1,15}")
TABLE_HEAD = b"  sl  local_address rem_address "
"""How the kernel's socket table begins."""

VERSION_ARGV = ("curl", "--version")

TELNET, FTP = "telnet", "ftp"
"""How a bare connection is opened, and how after a refusal where a curl has no telnet: it waits for a server's greeting.

The curl-minimal of RHEL 9, UBI 9 and Amazon Linux 2023 has HTTP, FTP and files alone."""
UNSUPPORTED_PROTOCOL = 1
"""curl's exit where it is built without the protocol of a URL."""

TABLE_URLS = ("file:///proc/net/tcp", "file:///proc/net/tcp6")

# curl(1), "EXIT CODES".
_EXIT_CAUSES: Mapping[int, CauseCode] = {
    5: CauseCode.NAME_RESOLUTION,
    6: CauseCode.NAME_RESOLUTION,
    7: CauseCode.CONNECT_REFUSED,
    16: CauseCode.RESET,
    18: CauseCode.RESET,
    22: CauseCode.HTTP_STATUS,
    28: CauseCode.TIMEOUT,
    35: CauseCode.TLS_HANDSHAKE,
    51: CauseCode.TLS_CERTIFICATE,
    52: CauseCode.RESET,
    55: CauseCode.RESET,
    56: CauseCode.RESET,
    58: CauseCode.TLS_CERTIFICATE,
    60: CauseCode.TLS_CERTIFICATE,
    63: CauseCode.BODY_MISMATCH,
    77: CauseCode.TLS_CERTIFICATE,
    83: CauseCode.TLS_CERTIFICATE,
    90: CauseCode.TLS_CERTIFICATE,
    91: CauseCode.TLS_CERTIFICATE,
    92: CauseCode.RESET,
    95: CauseCode.RESET,
}

REFUSAL_EXITS = frozenset({16, 35, 52, 55, 56, 92})
"""Exits that a refusal by the sidecar shares with a reset from beyond it."""


def parse_version(text: str) -> tuple[int, ...]:
    """Read the first line of what VERSION_ARGV prints; empty where curl did not print it."""
    found = re.match(r"curl (\d{1,4})\.(\d{1,4})\.(\d{1,4})\b", text)
    return tuple(map(int, found.groups())) if found else ()


class TransferLimits(NamedTuple):
    """What a transfer is held to: how long it may take, in seconds, and from which local ports it may come (None: any)."""

    connect: float = 5.0
    total: float = 10.0
    local_ports: range | None = None


UNUSUAL_PORTS = range(16384, 32768)
"""Local ports that Linux gives to no connection by itself (net.ipv4.ip_local_port_range begins at 32768).

Where another connection of the pod had the same local port within the last minutes, the kernel gives the redirected one
another towards the sidecar, and whose it is cannot be known. A pod with 50 connections a second has had a fifth of them.
"""
_PORTS_AT_ONCE = 512


def unusual_ports(chance: Callable[[int], int]) -> range:
    """Return a part of UNUSUAL_PORTS for probes, and their companions; `chance` gives a number from 0 below the one given."""
    # Anywhere in it: those of the last minutes are to be met as seldom as can be.
    start = UNUSUAL_PORTS.start + chance(len(UNUSUAL_PORTS) - _PORTS_AT_ONCE + 1)
    return range(start, start + _PORTS_AT_ONCE)


def unusual_ports_in_turn(chance: Callable[[int], int], size: int) -> Iterator[range]:
    """Yield parts of that size, from anywhere on, none again before all others: many batches come within minutes."""
    count = max(1, len(UNUSUAL_PORTS) // size)
    first = chance(count)
    for index in itertools.count(first):
        start = UNUSUAL_PORTS.start + index % count * size
        yield UNUSUAL_PORTS[start - UNUSUAL_PORTS.start :][:size]


DEFAULT_LIMITS = TransferLimits()
"""What holds unless the command line says otherwise."""


@dataclass(frozen=True, slots=True)
class ExecOutput:
    """What one exec of curl gave: an outcome a probe (None where its line was lost), and the socket table that was read last.

    `earlier` has by a probe's index the table that was read right after it, where that is another; `bodies` what is to be
    searched for its `extract`.
    """

    outcomes: tuple[CurlOutcome | None, ...]
    table: str
    earlier: Mapping[int, str] = field(default_factory=dict)
    bodies: Mapping[int, bytes] = field(default_factory=dict)


def probe_argv(probes: Sequence[Probe], limits: TransferLimits) -> tuple[str, ...]:
    """Return the argument vector that sends the probes one after the other and reads the socket table last.

    Of one host and port one connection is made, which its probes share; CONNECTIONS_PER_EXEC places at most, or
    PLACES_PER_EXEC of probes that are alike.
    """
    most = PLACES_PER_EXEC if _are_alike(probes) else CONNECTIONS_PER_EXEC
    if not 0 < len({_host_and_port(probe) for probe in probes}) <= most:
        raise ValueError(f"one exec takes probes of 1 to {most} hosts and ports")
    argv, limits = ["curl", "-q"], limits._replace(local_ports=probe_and_companion_ports(limits)[0])
    if _are_alike(probes):
        # They share one set of options: the whole has to fit into a request line. No body comes to stdout, so the fields
        # may: stderr is not buffered, and each field of each line would travel by itself.
        for start, part in split_by_places(probes):
            argv += [*(["--next"] if start else []), *_segment(f"{_number_prefix(start)}%{{urlnum}}", limits, stream="")]
            argv += [word for probe in part for word in (*probe_options(probe), probe.url)]
            argv += ["--next", *_table_segments()]
        return tuple(argv)
    for index, probe in enumerate(probes):
        argv += [*_segment(str(index), limits), *probe_options(probe), probe.url, "--next"]
    return (*argv, *_table_segments())


def _are_alike(probes: Sequence[Probe]) -> bool:
    return len(probes) >= CONNECTIONS_PER_EXEC and len(set(map(probe_options, probes))) == 1 and not probes[0].extract


def split_by_places(probes: Sequence[Probe]) -> list[tuple[int, list[Probe]]]:
    """Cut probes, in their order, so that each part has no more places than curl keeps connections; each with its start."""
    found: list[tuple[int, list[Probe]]] = []
    places = set[tuple[str, int]]()
    for index, probe in enumerate(probes):
        places.add(_host_and_port(probe))
        if not found or len(places) > CONNECTIONS_PER_EXEC:
            found.append((index, []))
            places = {_host_and_port(probe)}
        found[-1][1].append(probe)
    return found


def _number_prefix(start: int) -> str:
    """What stands before curl's own number in the reports of a part: whether that begins again there is curl's business."""
    return f"{start}+" if start else ""


def _host_and_port(probe: Probe) -> tuple[str, int]:
    return probe.connect_ip or probe.host, probe.port


def companion_argv(addresses: Sequence[tuple[str, int]], limits: TransferLimits, scheme: str = TELNET) -> tuple[str, ...]:
    """Return the argument vector that opens a bare connection to each address, and reads the socket table last.

    A refused TLS connection leaves no row in the socket table; a bare one to the same address and port does.
    """
    argv = ["curl", "-q"]
    for index, (ip, port) in enumerate(addresses):
        # A proxy variable is for what was refused already: at the proxy's own address as well.
        argv += [*_segment(str(index), companion_limits(limits)), "--noproxy", "*", "-o", "/dev/null"]
        argv += [bare_url(ip, port, scheme), "--next"]
    return (*argv, *_table_segments())


def companion_limits(limits: TransferLimits) -> TransferLimits:
    """Return what a companion is held to: shorter, and from other local ports than probes, whose the kernel still knows."""
    return TransferLimits(limits.connect, min(limits.total, 2.0), probe_and_companion_ports(limits)[1])


def bare_url(ip: str, port: int, scheme: str) -> str:
    """Return the URL of a connection over which curl says nothing by itself."""
    return f"{scheme}://{bracketed(ip)}:{port}"


def _segment(index: str, limits: TransferLimits, stream: str = "%{stderr}") -> list[str]:
    return [*limit_options(limits), "-w", rf"{stream}\n{MARK} {index}\t{field_words(_FIELDS)}\n"]


def field_words(names: Sequence[str]) -> str:
    """Return these fields as curl's `-w` names them, with a tab in between."""
    return r"\t".join(f"%{{{name}}}" for name in names)


def limit_options(limits: TransferLimits) -> list[str]:
    """Return the options of every transfer that is a probe or a companion: what it is held to."""
    ports = limits.local_ports
    local = ["--local-port", f"{ports[0]}-{ports[-1]}"] if ports else []
    return ["-gsS", "--connect-timeout", f"{limits.connect:g}", "--max-time", f"{limits.total:g}", *local]


def probe_and_companion_ports(limits: TransferLimits) -> tuple[range | None, range | None]:
    """Return the local ports of probes, and those of companions."""
    ports = limits.local_ports
    return (ports[: len(ports) // 2], ports[len(ports) // 2 :]) if ports else (None, None)


def probe_options(probe: Probe) -> tuple[str, ...]:
    """Return the options of a probe that another may not have."""
    ip = bracketed(probe.connect_ip)
    # For any host and port of the URL, this address and the URL's port. (--resolve would hold for the following transfers too.)
    elsewhere = ("--connect-to", f"::{ip}:") if ip else ()
    if probe.extract:
        return "--max-filesize", str(BODY_LIMIT), *elsewhere
    # With no status expected (a derived probe), the answer's existence is all that is asked.
    return ("-o", "/dev/null", *(("-I",) if probe.expect.status is None else ()), *elsewhere)


def table_argv() -> tuple[str, ...]:
    """Return the argument vector that reads the socket table alone, while another exec holds a connection open."""
    return ("curl", "-q", *_table_segments())


def _table_segments() -> list[str]:
    first, second = TABLE_URLS
    return ["-gs", first, "--next", "-gs", second]


def parse_probes(probes: Sequence[Probe], stdout: bytes, stderr: bytes) -> ExecOutput:
    """Read what `probe_argv`'s command wrote. Never raises: what is missing or ambiguous is None or empty."""
    if _are_alike(probes):
        return _parse_alike(probes, stdout)
    lines = _report_lines(stderr)
    outcomes: list[CurlOutcome | None] = []
    bodies: dict[int, bytes] = {}
    offset = 0
    for index, probe in enumerate(probes):
        fields = lines.get(index)
        if fields is None:
            outcomes.append(None)
            offset = len(stdout) + 1  # from here on nothing can be distinguished
            continue
        if probe.extract:
            size = int(fields["size_download"])
            bodies[index] = stdout[offset : offset + size]
            offset += size
        outcomes.append(outcome_of(fields, probe.port))
    return ExecOutput(tuple(outcomes), socket_table_at(stdout[offset:]), bodies=bodies)


def _parse_alike(probes: Sequence[Probe], stdout: bytes) -> ExecOutput:
    """Read reports and tables by turns: a part's table is what follows its last report, up to the first of the next part."""
    outcomes: list[CurlOutcome | None] = []
    earlier: dict[int, str] = {}
    table = ""
    parts = split_by_places(probes)
    for (start, part), following in zip(parts, [*(begin for begin, _ in parts[1:]), None], strict=True):
        earlier |= dict.fromkeys(range(len(earlier), start), table)
        text, mark, stdout = (
            stdout.partition(f"\n{MARK} {_number_prefix(following)}".encode()) if following else (stdout, b"", b"")
        )
        stdout = mark + stdout
        fields = _fields_of_part(text, start, len(part))
        outcomes += [outcome_of(each, probe.port) if each else None for probe, each in zip(part, fields, strict=True)]
        tail = text.rpartition(f"\n{MARK} ".encode())[2].partition(b"\n")[2]
        table = socket_table_at(tail[max(0, tail.rfind(TABLE_HEAD)) :])
        if following and not mark:
            # It may have been cut at a line's end, or after it, within the next part's first report.
            table = table.rpartition("\n")[0].rstrip("\n")
    return ExecOutput(tuple(outcomes), table, earlier)


def _fields_of_part(text: bytes, start: int, count: int) -> list[dict[str, str] | None]:
    """Return the fields of a part's reports; none of a later part without one, for where its numbers begin is not known."""
    head, mark, last = text.rpartition(f"\n{MARK} ".encode())
    lines = _report_lines(head + mark + last.partition(b"\n")[0], _number_prefix(start))
    if not start:
        return [lines.get(index) for index in range(count)]
    numbers = sorted(lines)
    whole = len(numbers) == count and numbers[-1] - numbers[0] + 1 == count
    return [lines[number] for number in numbers] if whole else [None] * count


def parse_companion(addresses: Sequence[tuple[str, int]], stdout: bytes, stderr: bytes) -> ExecOutput:
    """Read what `companion_argv`'s command wrote for these addresses."""
    lines = _report_lines(stderr)
    outcomes = (outcome_of(lines[index], port) if index in lines else None for index, (_, port) in enumerate(addresses))
    return ExecOutput(tuple(outcomes), socket_table_at(stdout))


def parse_table(stdout: bytes) -> str:
    """Read what `table_argv`'s command wrote; empty where it is no socket table."""
    return socket_table_at(stdout)


def socket_table_at(tail: bytes) -> str:
    """Return the socket table that these bytes begin with; empty where they do not."""
    return tail.decode("ascii", "replace") if tail.startswith(TABLE_HEAD) else ""


def _report_lines(stderr: bytes, start: str = "") -> dict[int, dict[str, str]]:
    """Map each transfer's index to its fields; an index seen twice is dropped, since one of the two is not curl's.

    `start` stands before the index in the lines that are meant.
    """
    found: dict[int, dict[str, str]] = {}
    seen: set[int] = set()
    for line in stderr.decode("utf-8", "replace").split("\n"):
        head, *values = line.split("\t", len(_FIELDS))
        match = re.fullmatch(rf"{MARK} {re.escape(start)}(\d{{1,3}})", head)
        if not match or len(values) != len(_FIELDS):
            continue
        index = int(match[1])
        found[index] = dict(zip(_FIELDS, values, strict=True))
        fields = found[index]
        if index in seen or not (_EXIT.fullmatch(fields["exitcode"]) and SIZE.fullmatch(fields["size_download"])):
            del found[index]
        seen.add(index)
    return found


def _number(text: str) -> float:
    try:
        number = float(text.replace(",", "."))  # curl prints times in the locale's manner in some builds
    except ValueError:
        return 0.0
    return number if math.isfinite(number) else 0.0


def outcome_of(fields: Mapping[str, str], port: int) -> CurlOutcome:
    """Return what a report's fields say of a transfer to a URL with this port."""
    return CurlOutcome(
        curl_exit=int(fields["exitcode"]),
        error=fields["errormsg"].strip(),
        http_status=int(_number(fields["http_code"])),
        remote_ip=fields["remote_ip"],
        remote_port=max(0, int(_number(fields["remote_port"]))),
        local_ip=fields["local_ip"],
        local_port=max(0, int(_number(fields["local_port"]))),
        proxied=_went_to_proxy(fields, port),
        reused=bool(fields["remote_ip"]) and _number(fields["num_connects"]) == 0,
        seconds={
            "lookup": _number(fields["time_namelookup"]),
            "connect": _number(fields["time_connect"]),
            "tls": _number(fields["time_appconnect"]),
            "total": _number(fields["time_total"]),
        },
    )


def _went_to_proxy(fields: Mapping[str, str], port: int) -> bool:
    """Say whether a proxy variable sent the transfer elsewhere: CONNECT was answered, or the port is not the URL's."""
    if _number(fields["http_connect"]) > 0:
        return True
    return _number(fields["remote_port"]) not in (0, -1, port)


def cause_of(outcome: CurlOutcome) -> CauseCode | None:
    """Name what curl's exit code says went wrong beyond the mesh; None for an exit that names nothing.

    It is the cause only where the mesh let the transfer out: exit 35 and its kin look alike when blocked.
    """
    if outcome.curl_exit == 28:
        return CauseCode.TIMEOUT if outcome.seconds.get("connect", 0) > 0 else CauseCode.CONNECT_TIMEOUT
    if outcome.curl_exit == 35 and looks_reset(outcome):
        return CauseCode.RESET
    return _EXIT_CAUSES.get(outcome.curl_exit)


def looks_reset(outcome: CurlOutcome) -> bool:
    """Say whether the connection ended without a word of TLS or HTTP: by reset, or closed empty."""
    if outcome.curl_exit not in REFUSAL_EXITS or outcome.http_status or outcome.seconds.get("tls", 0) > 0:
        return False
    words = outcome.error.lower()
    # What OpenSSL, GnuTLS and BoringSSL say of an alert or of bytes that are no TLS: somebody answered.
    return not any(
        sign in words for sign in ("alert", "wrong version", "unknown protocol", "packet length", "unsupported protocol")
    )


def split_into_execs(probes: Iterable[tuple[int, Probe]], *, alone: bool = False) -> list[list[tuple[int, Probe]]]:
    """Deal numbered probes out to execs.

    As long as there are no more of them than execs at once, or `alone`, each has a connection of its own: at most five an
    exec, and never two of one host and port. Beyond that those of one host and port share an exec and its connection, and
    what they share proves it for all of them.
    """
    numbered = list(probes)
    if alone or len(numbered) <= EXECS_AT_ONCE:
        return _one_connection_each(numbered)
    size = max(_FEWEST_SHARED, -(-len(numbered) // _EXECS_SHARED))
    ordered = sorted((probe_options(probe), _host_and_port(probe), index, probe) for index, probe in numbered)
    dealt: list[list[tuple[int, Probe]]] = []
    last: tuple[str, ...] = ()
    places, length = set[tuple[str, int]](), 0
    length_of_options = cache(query_length)
    for options, place, index, probe in ordered:
        query = length_of_options(options) + query_length((probe.url,))
        if place not in places and len(places) == CONNECTIONS_PER_EXEC:
            query += _NEXT_PART
        # Bodies that are kept are few to an exec: each may be long.
        full = len(dealt[-1]) >= (CONNECTIONS_PER_EXEC if probe.extract else size) if dealt else False
        most = CONNECTIONS_PER_EXEC if probe.extract else PLACES_PER_EXEC
        if options != last or full or len(places | {place}) > most or length + query > LONGEST_QUERY:
            dealt.append([])
            last, places, length = options, set(), 0
        dealt[-1].append((index, probe))
        places.add(place)
        length += query
    return dealt


def query_length(words: Sequence[str]) -> int:
    """Return how many characters words of a command line take in the address of an exec."""
    return len(encode_query(("command", word) for word in words)) + 1


def _one_connection_each(numbered: Iterable[tuple[int, Probe]]) -> list[list[tuple[int, Probe]]]:
    dealt: list[list[tuple[int, Probe]]] = []
    for index, probe in numbered:
        for chunk in dealt:
            if len(chunk) < CONNECTIONS_PER_EXEC and all(_host_and_port(other) != _host_and_port(probe) for _, other in chunk):
                chunk.append((index, probe))
                break
        else:
            dealt.append([(index, probe)])
    return dealt
