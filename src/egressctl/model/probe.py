"""What is asked: a target, its probes, how a client speaks on a connection, and the verdicts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from egressctl.model.blocks import bracketed, parse_address


class Verdict(StrEnum):
    """What a probe showed. In the order of a report's worst: the last one present wins."""

    OPEN = "open"
    UNPROVEN = "unproven"
    BYPASSED = "bypassed"
    FAILED = "failed"
    BLOCKED = "blocked"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a probe should show. `status` None is content with any; `via` names an Envoy cluster's host."""

    verdict: Verdict = Verdict.OPEN
    status: int | None = 200
    via: str | None = None


class Speech(NamedTuple):
    """How a client speaks on its connection, as far as a sidecar looks at that before it chooses a way.

    `protocols` are those that the TLS handshake offers (ALPN), in its order, or the one that plain text shows. A
    connection on which nothing is sent is `SILENT`.
    """

    tls: bool
    server_name: str = ""
    """The TLS handshake's (SNI), in lower case; empty in plain text, and for an address."""
    protocols: tuple[str, ...] = ()
    authority: str = ""
    """The Host header, with the port unless it is the scheme's own; empty where no HTTP can be seen."""
    path: str = "/"
    method: str = "GET"


class ProbeDestination(NamedTuple):
    """The address and port that a connection leads to, an empty address where there was none, and how its client speaks."""

    ip: str
    port: int
    speech: Speech


SILENT = Speech(tls=False)
"""A bare connection, or a protocol in which the server speaks first."""


_USUAL_PORTS = {"https": 443, "http": 80}
BARE_SCHEME = "tcp://"
"""The scheme of a probe that only connects, and says nothing over it."""


def origin_url(scheme: str, host: str, port: int) -> str:
    """Return the URL of a scheme, host and port, without the port where it is the scheme's own."""
    return f"{scheme}://{host}" + ("" if port == _USUAL_PORTS.get(scheme) else f":{port}")


@dataclass(frozen=True, slots=True)
class Probe:
    """One request to send from the source pod. `extract` maps a name to a regular expression with one group."""

    name: str
    url: str
    expect: Expectation = Expectation()
    extract: Mapping[str, str] = field(default_factory=dict)
    connect_ip: str = ""
    """The address to connect to in place of those that the URL's host resolves to; empty for those."""
    else_ip: str = field(default="", compare=False)
    """The address to connect to where the URL's host resolves to none; empty where that is the end of it."""

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        parts = urlsplit(self.url)
        return parts.port or _USUAL_PORTS.get(parts.scheme, 80)

    @property
    def bare(self) -> bool:
        """Whether it opens a connection and sends nothing over it."""
        return self.url[: len(BARE_SCHEME)].lower() == BARE_SCHEME

    @property
    def speech(self) -> Speech:
        """What curl sends: over TLS only the handshake can be seen on the way."""
        if self.bare:
            return SILENT
        if self.url[: len("https://")].lower() == "https://":
            return _speech_over_tls(self.url[: self.url.find("/", len("https://"))] if self.url.count("/") > 2 else self.url)
        parts = urlsplit(self.url)
        host = bracketed(self.host)
        return Speech(
            tls=False,
            protocols=("http/1.1",),
            authority=host if self.port == 80 else f"{host}:{self.port}",
            path=(parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
            method="HEAD" if self.expect.status is None else "GET",
        )


class Origin(NamedTuple):
    """Where a target stands in a file; lines count from 1. `probes` has the line of each probe, by its name."""

    file: str
    line: int | None
    probes: Mapping[str, int | None]


@dataclass(frozen=True, slots=True)
class Target:
    """A ServiceEntry that is wanted, and the probes that prove it.

    `entry_name` is the object's name on the Kubernetes cluster; `namespace` is None where the
    target leaves it to the command line; `spec` is Istio's, verbatim.
    """

    name: str
    entry_name: str
    namespace: str | None
    spec: Mapping[str, Any]
    probes: tuple[Probe, ...]
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    origin: Origin | None = field(default=None, compare=False)
    """Where it stands, of what stands in a file."""
    listed_on: str = ""
    """The day of the oldest list that its addresses are from, as YYYY-MM-DD; empty where they are from none."""


_SEVERITY = {verdict: index for index, verdict in enumerate(Verdict)}


def worst_verdict(verdicts: tuple[Verdict, ...]) -> Verdict:
    """Return the worst of the verdicts; `inconclusive` where there is none."""
    return max(verdicts, key=_SEVERITY.__getitem__, default=Verdict.INCONCLUSIVE)


@lru_cache(maxsize=1024)
def _speech_over_tls(origin: str) -> Speech:
    return Speech(tls=True, server_name=_server_name(urlsplit(origin).hostname or ""), protocols=("h2", "http/1.1"))


def _server_name(host: str) -> str:
    """Return the host as a TLS handshake names it: an address is not named, nor is the root's dot (RFC 6066, section 3)."""
    return "" if parse_address(host) else host.lower().removesuffix(".")
