"""A sidecar's configuration in force, as far as it decides where an outbound connection goes.

What a listener or a filter chain holds beyond the plain outbound TCP that is understood here is kept as half a
sentence, `unknown`: Envoy adds fields over time, and one that was not read may decide where a connection goes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from egressctl.envoy.counts import ClusterCounts
from egressctl.envoy.routes import HttpConnectionManager, RouteConfig
from egressctl.model.blocks import Block

VIRTUAL_OUTBOUND = "virtualOutbound"
PASSTHROUGH = "PassthroughCluster"
BLACKHOLE = "BlackHoleCluster"
UNKNOWN_SERVICE = "UnknownService"
"""Where istiod leads a route of the Gateway API whose backend it does not know: no sidecar has it."""
RESOLVED_PASSTHROUGH = "AllowAnyDynamicDNSCluster"
"""What sends plain HTTP under ALLOW_ANY_DYNAMIC_DNS (Istio 1.31): to what it resolves the request's host to."""
LETS_OUT = (PASSTHROUGH, RESOLVED_PASSTHROUGH)
"""The Envoy clusters by which an outbound traffic policy lets out what no ServiceEntry lists."""
OF_POLICY = (BLACKHOLE, *LETS_OUT)
ALLOWING_POLICIES = ("ALLOW_ANY", "ALLOW_ANY_DYNAMIC_DNS")
CATCH_ALL = "virtualOutbound-catchall-tcp"
CATCH_ALL_HTTP = f"{CATCH_ALL}-http"
"""The filter chain of RESOLVED_PASSTHROUGH."""
PASSTHROUGH_CHAIN = "PassthroughFilterChain"
"""The default filter chain that istiod adds for the outbound traffic policy, also under REGISTRY_ONLY."""


_EVERYTHING = (Block(4, 0, 0), Block(6, 0, 0))


@dataclass(frozen=True, slots=True)
class FilterChain:
    """A filter chain of a listener.

    `destination_port` 0 and no `blocks`, `server_names`, `transport_protocol` or `application_protocols` mean any;
    `criteria` names what else it looks at. It leads to `envoy_cluster`, to one of `choices` by chance, or to the routes of
    `http`; to none of them where `unknown` says why. `route` is the VirtualService behind it (`namespace/name`).
    """

    name: str
    destination_port: int
    blocks: tuple[Block, ...]
    criteria: tuple[str, ...]
    envoy_cluster: str = ""
    unknown: str = ""
    route: str = ""
    server_names: tuple[str, ...] = ()
    transport_protocol: str = ""
    application_protocols: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    http: HttpConnectionManager | None = None


class FilterChainGroup(NamedTuple):
    """The filter chains of one destination port and block, in whole and by server name (`.example.org` for `*.example.org`).

    `criteria` are those of any of them. `mixed`: some have no block, and others that of every address.
    """

    chains: tuple[FilterChain, ...]
    by_name: Mapping[str, tuple[FilterChain, ...]]
    criteria: frozenset[str]
    mixed: bool


@dataclass(frozen=True)
class Listener:
    """A listener. `internal`: it binds no port and takes outbound connections that virtualOutbound hands over.

    `sees_tls` and `sees_http` say whether it looks at what the client says first (tls_inspector, http_inspector), None where
    that depends on something that is not understood.
    """

    name: str
    addresses: tuple[tuple[str, int], ...]
    internal: bool
    use_original_dst: bool
    filter_chains: tuple[FilterChain, ...]
    default_filter_chain: FilterChain | None
    unknown: str = ""
    sees_tls: bool | None = False
    sees_http: bool | None = False

    @property
    def chains(self) -> tuple[FilterChain, ...]:
        """All filter chains, the default one last."""
        return (*self.filter_chains, *((self.default_filter_chain,) if self.default_filter_chain else ()))

    @cached_property
    def table(self) -> Mapping[int, Mapping[Block, FilterChainGroup]]:
        """The filter chains by destination port and block; one without blocks is at 0.0.0.0/0 and ::/0, as in Envoy."""
        found: dict[int, dict[Block, list[FilterChain]]] = {}
        for chain in self.filter_chains:
            blocks = found.setdefault(chain.destination_port, {})
            for block in set(chain.blocks) or _EVERYTHING:
                blocks.setdefault(block, []).append(chain)
        return {port: {block: _group_of(chains) for block, chains in blocks.items()} for port, blocks in found.items()}

    @cached_property
    def by_port(self) -> Mapping[int, tuple[FilterChain, ...]]:
        """The filter chains by destination port."""
        found: dict[int, list[FilterChain]] = {}
        for chain in self.filter_chains:
            found.setdefault(chain.destination_port, []).append(chain)
        return {port: tuple(chains) for port, chains in found.items()}


def _group_of(chains: Sequence[FilterChain]) -> FilterChainGroup:
    by_name: dict[str, list[FilterChain]] = {}
    for chain in chains:
        for name in dict.fromkeys(each.lower() for each in chain.server_names) or ("",):
            by_name.setdefault(name[1:] if name.startswith("*.") else name, []).append(chain)
    return FilterChainGroup(
        chains=tuple(chains),
        by_name={name: tuple(each) for name, each in by_name.items()},
        criteria=frozenset(criterion for chain in chains for criterion in chain.criteria),
        mixed=len({bool(chain.blocks) for chain in chains}) > 1,
    )


DYNAMIC = "dynamic_forward_proxy"
"""The type of an Envoy cluster that connects to whatever the sidecar resolves the name to that was asked for: the server name
of TLS, the host of HTTP. istiod makes it of resolution DYNAMIC_DNS."""


class OriginService(NamedTuple):
    """What an Envoy cluster's metadata names as its origin. `name` of a ServiceEntry's is its host."""

    host: str
    namespace: str
    name: str


class EnvoyCluster(NamedTuple):
    """An Envoy cluster. `type` is Envoy's (`ORIGINAL_DST`, `EDS`, ...), "" for an extension's that is not known here; no
    `services` where the metadata names none.

    `tls`: it wraps what it sends in TLS, apart from mutual TLS to the mesh's own workloads, which wraps it unseen.
    `destination_rule` (`namespace/name`) and `subset` are what shaped it, empty for none.
    """

    name: str
    type: str
    services: tuple[OriginService, ...]
    tls: bool = False
    destination_rule: str = ""
    subset: str = ""
    updated: str = ""
    """Which version of it is in force, and since when by Envoy's clock."""
    endpoints: tuple[str, ...] = ()
    """The addresses and host names that it connects to, as the configuration holds them; empty where others say it (EDS)."""


class ListenerVersion(NamedTuple):
    """Which version of a listener is in force. Another `updated` means that Envoy has changed it since, to whatever."""

    name: str
    version: str
    updated: str


Versions = frozenset[ListenerVersion]
"""Of all dynamic listeners. What came and went between two of them does not show in them (see changes.py)."""


class Changes(NamedTuple):
    """How often listeners were added, modified and removed, and updates refused, since Envoy started; and how many warm up now.

    `envoy_clusters` counts the changes of these. Two that are equal mean that nothing was changed in between.
    """

    added: int
    modified: int
    removed: int
    refused: int
    warming: int
    envoy_clusters: int


@dataclass(frozen=True)
class ProxyConfig:
    """A sidecar's configuration in force.

    `listeners`, `envoy_clusters` and `routes` (by name) are None where they were not read. `errors` says by listener name what
    Envoy refused of its last update.
    """

    listeners: tuple[Listener, ...] | None
    envoy_clusters: Mapping[str, EnvoyCluster] | None
    errors: Mapping[str, str] = field(default_factory=dict)
    versions: Versions = frozenset()
    routes: Mapping[str, RouteConfig] | None = None

    @cached_property
    def by_address(self) -> Mapping[tuple[str, int], tuple[Listener, ...]]:
        """The listeners by address and port, each address in its shortest form."""
        found: dict[tuple[str, int], tuple[Listener, ...]] = defaultdict(tuple)
        for listener in self.listeners or ():
            for address in listener.addresses:
                found[address] += (listener,)
        return dict(found)

    def listener(self, name: str) -> Listener | None:
        """Return the listener of that name, None where there is none in force."""
        return next((listener for listener in self.listeners or () if listener.name == name), None)


class OutboundName(NamedTuple):
    """What the name of an outbound Envoy cluster says: `outbound|443|v1|wikipedia.org`."""

    port: int
    subset: str
    host: str


def parse_outbound_name(envoy_cluster: str) -> OutboundName | None:
    """Read the name of an Envoy cluster; None where it is not one that istiod makes for an outbound service."""
    parts = envoy_cluster.split("|")
    if len(parts) != 4 or parts[0] != "outbound" or not parts[3]:
        return None
    port = parts[1]
    return OutboundName(int(port), parts[2], parts[3]) if port.isascii() and port.isdigit() and len(port) <= 5 else None


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read of a sidecar; None is what was not, or could not be. `changes` are no later than `config`.

    `doubt` says, of a second reading, why what was in force since the first is not certain; empty where it is. `unread` says, of
    a second reading, why something of either could not be read.
    """

    config: ProxyConfig | None = None
    counts: ClusterCounts | None = None
    changes: Changes | None = None
    doubt: str = ""
    unread: str = ""


NOTHING_READ = Reading()
