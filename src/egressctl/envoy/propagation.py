"""Compare what a sidecar has in force with what a ServiceEntry says.

istiod spreads an entry over the port's listener, one filter chain a block, and a listener of its own for each plain
address, so it is their union that is compared; and chains come and go after their Envoy cluster does.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

from egressctl.envoy.config import (
    PASSTHROUGH_CHAIN,
    VIRTUAL_OUTBOUND,
    Listener,
    ProxyConfig,
    destination,
)
from egressctl.errors import ProxyUnreadable
from egressctl.model import Port, ServiceEntry
from egressctl.names import HTTP_PROTOCOLS, OPAQUE_PROTOCOLS, network

_ANY = "any address"
_WILDCARDS = {"0.0.0.0", "::"}  # noqa: S104 - what Envoy listens on, not this program


def missing(config: ProxyConfig, entry: ServiceEntry) -> tuple[str, ...]:
    """Name what the entry lists and the sidecar does not lead to an Envoy cluster of the entry's hosts, as `BLOCK:PORT`.

    An entry without addresses gives `any address:PORT`. What Envoy refused is missing, whatever it had before. An HTTP
    port is there once the port's listener is: its routes are not read. UDP is never missing: a sidecar gets none of it.
    """
    lacking: list[str] = []
    for port in _carried(entry):
        there = _there(config, entry, port)
        lacking += [
            f"{block}:{port.number}" for block in _blocks(entry) if block not in there or _refused(config, block, port.number)
        ]
    return tuple(lacking)


def present(config: ProxyConfig, entry: ServiceEntry) -> tuple[str, ...]:
    """Name what the sidecar still has of the entry: `BLOCK:PORT`, `any address:PORT`, `Envoy cluster NAME`.

    Another entry of the same host accounts for some of it where one is left. Raises ProxyUnreadable where the dump does
    not show the sidecar's outbound listeners, from which nothing follows.
    """
    if config.listener(VIRTUAL_OUTBOUND) is None:
        raise ProxyUnreadable(f"the sidecar's config_dump does not show the listener {VIRTUAL_OUTBOUND}")
    ports = _carried(entry)
    blocks: list[str] = []
    for port in ports:
        led = set(_led(config, entry, port))
        blocks += [f"{block}:{port.number}" for block in _blocks(entry) if block in led]
    numbers = {port.number for port in ports}
    envoy_clusters = [
        f"Envoy cluster {name}"
        for name in sorted(config.envoy_clusters or ())
        if (to := destination(name)) and to.host in entry.hosts and to.port in numbers
    ]
    return (*blocks, *envoy_clusters)


def _carried(entry: ServiceEntry) -> list[Port]:
    return [port for port in entry.ports if port.protocol.upper() != "UDP"]


def _blocks(entry: ServiceEntry) -> list[str]:
    """The entry's blocks without host bits, each once. What is no address is kept as it is, and so stays missing."""
    if not entry.addresses:
        return [_ANY]
    blocks = (network(address) for address in entry.addresses)
    return list(dict.fromkeys(str(block or address) for block, address in zip(blocks, entry.addresses, strict=True)))


def _there(config: ProxyConfig, entry: ServiceEntry, port: Port) -> set[str]:
    if port.protocol.upper() in HTTP_PROTOCOLS:
        return set(_blocks(entry)) if any(_on_port(config, port.number)) else set()
    return set(_led(config, entry, port))


def _on_port(config: ProxyConfig, number: int) -> Iterator[tuple[Listener, str]]:
    for listener in config.listeners or ():
        for address, port in listener.addresses:
            if listener.internal and port == number:
                yield listener, address


def _led(config: ProxyConfig, entry: ServiceEntry, port: Port) -> Iterator[str]:
    """Name the blocks of the port that lead to the entry's hosts; `any address` for a filter chain without a block."""
    for listener, address in _on_port(config, port.number):
        for chain in listener.chains:
            to = destination(chain.envoy_cluster)
            if to is None or to.port != port.number or to.host not in entry.hosts or chain.name == PASSTHROUGH_CHAIN:
                continue
            if chain.criteria and port.protocol.upper() in OPAQUE_PROTOCOLS:
                continue  # Another entry's of the same host: TLS, by server name.
            if config.envoy_clusters is not None and chain.envoy_cluster not in config.envoy_clusters:
                continue
            yield from map(str, chain.blocks)
            if chain.blocks:
                continue
            if address in _WILDCARDS:
                # istiod writes 0.0.0.0/0 as a chain without a block.
                yield from (_ANY, "0.0.0.0/0")
            else:
                yield str(network(address))


def _refused(config: ProxyConfig, block: str, number: int) -> bool:
    """Say whether Envoy refused the listener that the block belongs to."""
    parsed = network(block)
    own = str(parsed.network_address) if parsed is not None and parsed.prefixlen == parsed.max_prefixlen else ""
    for name in config.errors:
        address, _, port = name.rpartition("_")
        if port != str(number):
            continue
        try:
            refused = str(ip_address(address.strip("[]")))
        except ValueError:
            continue
        if refused == own or (not own and refused in _WILDCARDS):
            return True
    return False


def refusal(config: ProxyConfig, entry: ServiceEntry) -> str:
    """Return what Envoy said when it refused a listener of the entry's own, "" where it refused none."""
    for port in _carried(entry):
        for block in _blocks(entry):
            if _refused(config, block, port.number):
                return next(iter(config.errors.values()))
    return ""
