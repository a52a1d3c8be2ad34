"""Read from a pod's socket table whether a connection went through the pod's sidecar.

The sidecar's end of a captured connection (iptables REDIRECT) is a row of its own: its local address is loopback, port
15001, and its remote address is the client's local one. Addresses are hexadecimal in the host's byte order, which is
little-endian on every machine that Istio is built for. Source: proc(5), /proc/net/tcp; net/ipv4/tcp_ipv4.c.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

from egressctl.model.blocks import plain_address
from egressctl.model.evidence import Capture

SIDECAR_PORT = 15001
"""Where virtualOutbound listens; a mesh that moved it (proxyListenPort) gives UNKNOWN."""

_ESTABLISHED, _TIME_WAIT, _CLOSE_WAIT, _LISTEN = 0x01, 0x06, 0x08, 0x0A

_HEADERS = (
    re.compile(r"\s*sl\s+local_address\s+rem_address\s+st\s"),
    re.compile(r"\s*sl\s+local_address\s+remote_address\s+st\s"),
)
_ROW = re.compile(
    r"\s*(?P<slot>[0-9]{1,9}): (?P<local>(?:[0-9A-F]{8}|[0-9A-F]{32}):[0-9A-F]{4}) "
    r"(?P<remote>(?:[0-9A-F]{8}|[0-9A-F]{32}):[0-9A-F]{4}) (?P<state>[0-9A-F]{2}) "
    r"[0-9A-F]{8}:[0-9A-F]{8} [0-9A-F]{2}:[0-9A-F]{8,16} [0-9A-F]{8} +-?[0-9]+ +[0-9]+ +[0-9]+ [0-9]+ \S.*"
)

_Address = IPv4Address | IPv6Address
_End = tuple[_Address, int]


class _Row(NamedTuple):
    local: _End
    remote: _End
    state: int


@lru_cache(maxsize=256)  # probes that share a connection share the answer
def capture_in_table(table: str, *, local_ip: str, local_port: int, remote_ip: str, remote_port: int) -> Capture:
    """Say whether the sidecar has the other end of the connection from local to remote, as the client sees them.

    `table` is /proc/net/tcp and /proc/net/tcp6 of the pod, one after the other, read while the connection was held or
    right after. Never raises. CAPTURED: the sidecar's end is there. NOT_CAPTURED: the connection is there and alive,
    the table is whole, and nobody in the pod has its other end. Everything else is UNKNOWN; a table that was cut at a
    line's end in its second half looks whole, so what read it must have ended well.
    """
    try:
        local, remote = (plain_address(ip_address(local_ip)), local_port), (plain_address(ip_address(remote_ip)), remote_port)
    except ValueError:
        return Capture.UNKNOWN
    if local[0].is_loopback or remote[0].is_loopback:
        return Capture.UNKNOWN  # Istio leaves loopback alone, and anyone who answers there looks like the sidecar.
    rows, whole = _rows(table)
    return _judge([row for row in rows if row.state != _LISTEN], whole, local, remote)


def _judge(rows: Sequence[_Row], whole: bool, local: _End, remote: _End) -> Capture:
    own = next((row.state for row in rows if (row.local, row.remote) == (local, remote)), None)
    held = own == _ESTABLISHED
    # While the connection is held, a row in TIME_WAIT is left from an earlier one that had the same local port.
    living = [row for row in rows if not (held and row.state == _TIME_WAIT)]
    if any(row.remote == local and _is_sidecars(row) for row in living):
        # Two connections of one local port to different addresses: the sidecar's end may be the other's.
        shared = any(row.local == local and row.remote != remote for row in living)
        return Capture.UNKNOWN if shared else Capture.CAPTURED
    # A connection that the client closed first waits on its side only: the sidecar's end is gone by then.
    if not whole or own not in (_ESTABLISHED, _CLOSE_WAIT):
        return Capture.UNKNOWN
    if any(row.remote == local for row in rows):
        return Capture.UNKNOWN  # Somebody else has its other end: TPROXY, another port of the sidecar, or a stale row.
    # Where an earlier connection used the same local port, the kernel gives the redirected one another towards the sidecar.
    locals_ = {row.local for row in rows}
    strays = any(_is_sidecars(row) and row.remote[0] == local[0] and row.remote not in locals_ for row in living)
    return Capture.UNKNOWN if strays else Capture.NOT_CAPTURED


def _is_sidecars(row: _Row) -> bool:
    return row.local[1] == SIDECAR_PORT and row.local[0].is_loopback


@lru_cache(maxsize=32)
def _rows(table: str) -> tuple[Sequence[_Row], bool]:
    """Read what can be read, and say whether it is two whole tables: the kernel numbers the rows of each from 0."""
    rows: list[_Row] = []
    headers, slot, whole = 0, 0, table.endswith("\n")
    for line in table.splitlines():
        if headers < len(_HEADERS) and _HEADERS[headers].match(line):
            headers, slot = headers + 1, 0
            continue
        found = _ROW.fullmatch(line)
        if found is None or not headers:
            whole = False
            continue
        whole = whole and int(found["slot"]) == slot
        slot += 1
        rows.append(_Row(_end(found["local"]), _end(found["remote"]), int(found["state"], 16)))
    return rows, whole and headers == len(_HEADERS)


@lru_cache(maxsize=16384)  # the tables of many execs have most of their rows in common
def _end(text: str) -> _End:
    address, _, port = text.partition(":")
    raw = b"".join(bytes.fromhex(address[i : i + 8])[::-1] for i in range(0, len(address), 8))
    return plain_address(ip_address(raw)), int(port, 16)
