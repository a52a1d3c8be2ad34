"""Find in a sidecar's access log which Envoy cluster sent a connection. Pure: text in, values out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from egressctl.model.blocks import parse_address
from egressctl.model.evidence import LoggedConnection

# Quoted fields with a quote in them are not understood: what a client wrote there could pass for the fields that follow.
_TEXT = re.compile(
    r'\[[^\]"\s]+\] "[^"]*" \d+ (?P<response_flags>\S+) \S+ \S+ "[^"]*" \d+ \d+ \d+ \S+ "[^"]*" "[^"]*" "[^"]*" "[^"]*" "[^"]*" '
    r"(?P<upstream_cluster>\S+) \S+ (?P<downstream_local_address>\S+) (?P<downstream_remote_address>\S+) \S+ [^\"]*"
)


@dataclass(frozen=True, slots=True)
class ProbeConnection:
    """A connection by its ends, as the pod sees them: `ip` and `port` are where it was to go."""

    client_ip: str
    client_port: int
    ip: str
    port: int


def find_connection(text: str, connection: ProbeConnection, at_least: int = 1) -> LoggedConnection | None:
    """Return what a sidecar's log says of a connection; None where it says too little, or its lines disagree. Never raises.

    `text` may hold any other lines, and cut ones. Two formats are read: Istio's default text (MeshConfig.accessLogFormat unset)
    and JSON lines with its names (`accessLogEncoding: JSON`). The line of a TCP connection is written when that has ended, the
    line of an HTTP request when it has, so `at_least` says how many requests the connection had. Envoy flushes its log
    once a second (measured: pilot-agent starts it with `--file-flush-interval-msec 1000`).
    """
    found = [logged for ends, logged in _lines(text, f":{connection.client_port}") if ends == _ends(connection)]
    return found[0] if len(found) >= at_least and len(set(found)) == 1 else None


Ends = tuple[tuple[str, int], tuple[str, int]]
"""The client's end, and where it was to go."""


def _lines(text: str, having: str) -> Iterator[tuple[Ends, LoggedConnection]]:
    """Read the lines that hold a certain piece of text."""
    for line in text.split("\n"):
        if having not in line:
            continue
        fields = _fields(line.strip())
        client, to = (_address(fields.get(name)) for name in ("downstream_remote_address", "downstream_local_address"))
        envoy_cluster, flags = fields.get("upstream_cluster"), fields.get("response_flags")
        if client and to and isinstance(envoy_cluster, str | None) and isinstance(flags, str | None):
            yield (client, to), LoggedConnection(_field_value(envoy_cluster), _field_value(flags))


def _fields(line: str) -> dict[str, object]:
    if line.startswith("{"):
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            return {}
        # A format without these says nothing of where a connection went.
        named = isinstance(found, dict) and {"upstream_cluster", "response_flags"} <= set(found)
        return found if named else {}
    matched = _TEXT.fullmatch(line)
    return dict(matched.groupdict()) if matched else {}


def _field_value(value: str | None) -> str:
    """Return a field's value, empty where Envoy writes that there is none: `-`, null in JSON."""
    return "" if value is None or value == "-" else value


def _ends(connection: ProbeConnection) -> Ends:
    return (
        (str(parse_address(connection.client_ip) or ""), connection.client_port),
        (str(parse_address(connection.ip) or ""), connection.port),
    )


def _address(value: object) -> tuple[str, int] | None:
    """Read `10.244.0.5:40000` or `[fd00::5]:40000`."""
    ip, _, port = value.rpartition(":") if isinstance(value, str) else ("", "", "")
    address = parse_address(ip.removeprefix("[").removesuffix("]"))
    return (str(address), int(port)) if address and re.fullmatch("[0-9]{1,5}", port) else None
