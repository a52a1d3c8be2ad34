"""Compare what a sidecar has in force with what a ServiceEntry says.

istiod spreads an entry over the port's listener, one filter chain a block, and a listener of its own for each plain
address, so it is their union that is compared; and chains come and go after their Envoy cluster does.
"""

from __future__ import annotations

from collections.abc import Iterator

from egressctl.envoy.config import (
    PASSTHROUGH_CHAIN,
    VIRTUAL_OUTBOUND,
    FilterChain,
    Listener,
    ProxyConfig,
    parse_outbound_name,
)
from egressctl.errors import ProxyUnreadable
from egressctl.istio.listing import UNBLOCKED, listed_blocks, single_address, tcp_ports
from egressctl.manifests.formats import HTTP_PROTOCOLS, OPAQUE_PROTOCOLS, TLS_PROTOCOLS
from egressctl.model.blocks import parse_block, parse_blocks
from egressctl.model.entry import Port, ServiceEntry

_WILDCARDS = {"0.0.0.0", "::"}  # noqa: S104 - what Envoy listens on, not this program


def missing_blocks(config: ProxyConfig, entry: ServiceEntry) -> tuple[str, ...]:
    """Name what the entry lists and the sidecar does not lead to an Envoy cluster of the entry's hosts, as `BLOCK:PORT`.

    An entry without addresses gives `any address:PORT`. What Envoy refused is missing, whatever it had before. A TLS port is
    there once each host has its filter chain, an HTTP port once each host has its routes; where these were not read, once
    the port's listener is. UDP is never missing: a sidecar gets none of it.
    """
    lacking: list[str] = []
    for port in tcp_ports(entry):
        there = _present_blocks(config, entry, port)
        absent = (each for each in listed_blocks(entry) if each not in there or refusal_of_block(config, each, port))
        lacking += [f"{block}:{port.number}" for block in absent]
    return tuple(lacking)


def blocks_nobody_holds(config: ProxyConfig, entry: ServiceEntry, number: int, version: int) -> Iterator[str]:
    """Name the blocks that the entry lists by address on a port of it, and that no filter chain or listener has, of any entry.

    Only those of an IP version, for a pod may have but one. None where HTTP has the port's listener, which it shares, or keeps
    from TCP.
    """
    shared = [each for ip in _WILDCARDS for each in config.by_address.get((ip, number), ())]
    if any(chain.http for listener in shared for chain in listener.chains):
        return
    tables = [listener.table.values() for listener in shared]
    for block in parse_blocks(entry.addresses):
        own = block.is_one_address and (block.address, number) in config.by_address
        held = not block.length or own or any(block in blocks for table in tables for blocks in table)
        if block.version == version and not held:
            yield str(block)


def listener_refusal(config: ProxyConfig, entry: ServiceEntry) -> str:
    """Return what Envoy said when it refused a listener that holds one of the entry's own blocks; "" where it refused none."""
    if not config.errors:
        return ""
    refusals = (refusal_of_block(config, block, port) for port in tcp_ports(entry) for block in listed_blocks(entry))
    return next((said or "Envoy did not say why" for _, said in filter(None, refusals)), "")


def remains_of_entry(config: ProxyConfig, entry: ServiceEntry) -> tuple[str, ...]:
    """Name what the sidecar still has of the entry: `BLOCK:PORT`, `any address:PORT`, `HOST:PORT` (HTTP), `Envoy cluster NAME`.

    An Envoy cluster counts where a filter chain or a route that was read leads to it. Another entry of the same host accounts for
    some of it where one is left. Raises ProxyUnreadable where the dump does not show the sidecar's outbound listeners, from which
    nothing follows.
    """
    if config.listener(VIRTUAL_OUTBOUND) is None:
        raise ProxyUnreadable(f"the sidecar's config_dump does not show the listener {VIRTUAL_OUTBOUND}")
    ports = tcp_ports(entry)
    blocks: list[str] = []
    for port in ports:
        led = {block for block, _, _ in _chains_of_entry(config, entry, port)}
        blocks += [f"{block}:{port.number}" for block in listed_blocks(entry) if block in led]
        if port.protocol.upper() in HTTP_PROTOCOLS:
            domains = _domains(config, port)
            blocks += [f"{host}:{port.number}" for host in entry.hosts if host.lower() in domains]
    numbers = {port.number for port in ports}
    named = [
        name
        for name in sorted(config.envoy_clusters or ())
        if (to := parse_outbound_name(name)) and to.host in entry.hosts and to.port in numbers
    ]
    # An istiod that pushes one deletion as the next arrives may forget the Envoy cluster of that (seen with 1.31): nothing leads
    # to it any more, and it stays until istiod sends everything again.
    used = _destinations(config) if named else set()
    return (*blocks, *(f"Envoy cluster {name}" for name in named if name in used))


def _destinations(config: ProxyConfig) -> set[str]:
    """Name what filter chains, and the routes that were read, lead to."""
    chains = [chain for listener in config.listeners or () for chain in listener.chains]
    read = [*(config.routes or {}).values(), *(chain.http.routes for chain in chains if chain.http and chain.http.routes)]
    found = {name for chain in chains for name in (chain.envoy_cluster, *chain.choices)}
    for each in read:
        found.update(
            name for host in each.virtual_hosts for route in host.routes for name in (route.envoy_cluster, *route.choices)
        )
    return found


def _present_blocks(config: ProxyConfig, entry: ServiceEntry, port: Port) -> set[str]:
    blocks = set(listed_blocks(entry))
    if port.protocol.upper() in HTTP_PROTOCOLS:
        routed = config.routes is None or {host.lower() for host in entry.hosts} <= _domains(config, port)
        return blocks if routed and any(listeners_on_port(config, port.number)) else set()
    led = list(_chains_of_entry(config, entry, port))
    if port.protocol.upper() not in TLS_PROTOCOLS:
        return {block for block, _, _ in led}
    named: dict[str, set[str]] = {}
    for block, chain, own in led:
        # In a listener of its own, an address needs no server name.
        names = chain.server_names or (entry.hosts if own else ())
        named.setdefault(block, set()).update(map(str.lower, names))
    return {block for block, names in named.items() if {host.lower() for host in entry.hosts} <= names}


def _domains(config: ProxyConfig, port: Port) -> set[str]:
    """Name the hosts for which the port has HTTP routes, in lower case."""
    found: set[str] = set()
    for listener in listeners_on_port(config, port.number):
        for chain in listener.chains:
            if chain.http is None:
                continue
            routes = chain.http.routes or (config.routes or {}).get(chain.http.route_name)
            found.update(domain.lower() for host in (routes.virtual_hosts if routes else ()) for domain in host.domains)
    return found


def _chains_of_entry(config: ProxyConfig, entry: ServiceEntry, port: Port) -> Iterator[tuple[str, FilterChain, bool]]:
    """Name the blocks of the port that lead to the entry's hosts, by which filter chain, and if in a listener of their own.

    It is `any address` for a filter chain without a block.
    """
    number = port.number
    listening = ((each, ip) for each in listeners_on_port(config, number) for ip, other in each.addresses if other == number)
    for listener, address in listening:
        own = address not in _WILDCARDS
        for chain in listener.chains:
            to = parse_outbound_name(chain.envoy_cluster)
            if to is None or to.port != port.number or to.host not in entry.hosts or chain.name == PASSTHROUGH_CHAIN:
                continue
            if (chain.criteria or chain.server_names) and port.protocol.upper() in OPAQUE_PROTOCOLS:
                continue  # Another entry's of the same host: TLS, by server name.
            if config.envoy_clusters is not None and chain.envoy_cluster not in config.envoy_clusters:
                continue
            # istiod writes 0.0.0.0/0 as a chain without a block.
            unblocked = (str(parse_block(address)),) if own else UNBLOCKED
            yield from ((block, chain, own) for block in (map(str, chain.blocks) if chain.blocks else unblocked))


def listeners_on_port(config: ProxyConfig, number: int) -> Iterator[Listener]:
    """Yield the listeners behind the entrance that have a port."""
    for listener in config.listeners or ():
        if listener.internal and any(port == number for _, port in listener.addresses):
            yield listener


def refusal_of_block(config: ProxyConfig, block: str, port: Port) -> tuple[str, str] | None:
    """Return the name of the listener that a block belongs to, and what Envoy said of it, where Envoy refused that."""
    own = single_address(block)
    # HTTP shares the port's listener, whatever the addresses.
    shared = not own or port.protocol.upper() in HTTP_PROTOCOLS
    for name, said in config.errors.items():
        address, _, number = name.rpartition("_")
        refused = single_address(address.strip("[]"))
        if refused and number == str(port.number) and (refused == own or (shared and refused in _WILDCARDS)):
            return name, said
    return None
