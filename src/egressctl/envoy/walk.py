"""Follow a sidecar's configuration to the Envoy cluster that would carry a connection.

A captured connection enters at the listener virtualOutbound, which hands it to the listener of its original address,
else to that of the port, else keeps it. There Envoy chooses a filter chain step by step and never turns back:
destination port, then the longest block, and only then server name, transport protocol, application protocols and
source; where nothing fits, the default filter chain. What needs more than port and block is said to be unknown.
Source: Envoy's listener_components.proto (FilterChainMatch) and ConnectionHandlerImpl::getBalancedHandlerByAddress.
"""

from __future__ import annotations

from ipaddress import ip_address

from egressctl.envoy.admin import IPAddress, plain
from egressctl.envoy.config import BLACKHOLE, CATCH_ALL, PASSTHROUGH, VIRTUAL_OUTBOUND, Block, FilterChain, Listener, ProxyConfig
from egressctl.model import Walk

# Listeners of the sidecar's bootstrap; a dump of the dynamic listeners does not show them.
_BOOTSTRAP_PORTS = {15021, 15090}


def walk(config: ProxyConfig, ip: str, port: int) -> Walk:
    """Say where the configuration leads a captured connection to `ip` and `port`.

    `unknown` is set where the way is not understood, and also, beside `envoy_cluster`, where that Envoy cluster does
    not exist in the sidecar, which then resets the connection.
    """
    try:
        address = plain(ip_address(ip))
    except ValueError:
        return Walk("", "", None, unknown=f"{ip!r} is no IP address")
    if config.listeners is None:
        return Walk("", "", None, unknown="the sidecar's listeners were not read")
    entrance = config.listener(VIRTUAL_OUTBOUND)
    if entrance is None:
        return Walk("", "", None, unknown=f"the sidecar has no listener {VIRTUAL_OUTBOUND}")
    if not entrance.use_original_dst:
        return Walk(entrance.name, "", None, unknown=f"listener {entrance.name} does not hand over by original destination")
    found, own = _listeners(config, address, port)
    if len(found) > 1:
        return Walk("", "", None, unknown=f"several listeners hold the address {ip} and port {port}")
    if not found and port in _BOOTSTRAP_PORTS:
        return Walk("", "", None, unknown=f"port {port} is one of the sidecar's own")
    listener = found[0] if found else entrance
    if listener is not entrance and not listener.internal:
        return Walk(listener.name, "", None, unknown=f"listener {listener.name} is one of the sidecar's own")
    if unknown := entrance.unknown or listener.unknown:
        return Walk(listener.name, "", None, unknown=unknown)
    return _through(config, listener, address, port, str(address) if own else "")


def _listeners(config: ProxyConfig, address: IPAddress, port: int) -> tuple[tuple[Listener, ...], bool]:
    """Return the listeners that the connection is handed to, and whether they are the address's own."""
    if own := config.by_address.get((str(address), port)):
        return own, True
    wildcard = "0.0.0.0" if address.version == 4 else "::"  # noqa: S104 - what Envoy listens on, not this program
    return config.by_address.get((wildcard, port), ()), False


def _through(config: ProxyConfig, listener: Listener, address: IPAddress, port: int, own: str) -> Walk:
    chains, block = _longest(listener, address, port)
    if criteria := sorted({criterion for chain in chains for criterion in chain.criteria}):
        return Walk(listener.name, "", None, own, unknown=f"the filter chain depends on {', '.join(criteria)} as well")
    if len(chains) > 1:
        return Walk(listener.name, "", None, own, unknown=f"several filter chains of listener {listener.name} match alike")
    chain = chains[0] if chains else listener.default_filter_chain
    if chain is None:
        return Walk(listener.name, "", None, own)
    prefix = block or own
    if chain.unknown:
        return Walk(listener.name, chain.name, None, prefix, chain.unknown)
    unknown = ""
    if config.envoy_clusters is not None and chain.envoy_cluster not in config.envoy_clusters:
        unknown = f"the Envoy cluster {chain.envoy_cluster} does not exist in the sidecar (NC)"
    return Walk(listener.name, chain.name, chain.envoy_cluster, prefix, unknown)


def _longest(listener: Listener, address: IPAddress, port: int) -> tuple[tuple[FilterChain, ...], str]:
    """Return the filter chains of the longest block around the address, and that block, "" for one of any address."""
    # A chain that names the port rules out all that do not, even where its own block does not fit.
    blocks = listener.table.get(port) or listener.table.get(0) or {}
    for length in range(address.max_prefixlen, -1, -1):
        block = Block.around(address.version, int(address), length)
        if chains := blocks.get(block):
            return chains, str(block) if chains[0].blocks else ""
    return (), ""


def outbound_policy(config: ProxyConfig) -> str:
    """Return the outbound traffic policy that this sidecar has: `REGISTRY_ONLY`, `ALLOW_ANY`, or "" where it is neither.

    The name of a listener's default filter chain says nothing: it is PassthroughFilterChain under REGISTRY_ONLY as well.
    """
    entrance = config.listener(VIRTUAL_OUTBOUND)
    chains = [chain for chain in entrance.filter_chains if chain.name == CATCH_ALL] if entrance else []
    if len(chains) != 1:
        return ""
    return {BLACKHOLE: "REGISTRY_ONLY", PASSTHROUGH: "ALLOW_ANY"}.get(chains[0].envoy_cluster, "")


def virtual_service(config: ProxyConfig, walk: Walk) -> str:
    """Name the VirtualService (`namespace/name`) whose route the walk took, "" where none did."""
    listener = config.listener(walk.listener)
    if listener is None:
        return ""
    whole = walk.prefix in ("", *(address for address, _ in listener.addresses))
    for chain in listener.chains:
        taken = walk.prefix in map(str, chain.blocks) if chain.blocks else whole
        if taken and chain.route and chain.envoy_cluster == (walk.envoy_cluster or ""):
            return chain.route
    return ""
