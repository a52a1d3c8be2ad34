"""Choose the filter chain of a listener that takes a connection, as Envoy does.

Envoy goes from one criterion to the next and never turns back: destination port; the longest block; server names, exact, then by
`*.` the longest first, then none; transport protocol; application protocols in the client's order, then none; and only then
direct source, source type, source and source port. Where nothing fits, the default filter chain takes it.
Source: FilterChainManagerImpl::findFilterChain and what it calls, source/common/listener_manager/filter_chain_manager_impl.cc.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from egressctl.envoy.config import FilterChain, FilterChainGroup, Listener
from egressctl.model.blocks import Block, IPAddress
from egressctl.model.probe import SILENT, Speech

# Criteria that come after all that are read here; others, of which nothing is known, may come before them.
_LATE_CRITERIA = {"direct_source_prefix_ranges", "source_type", "source_prefix_ranges", "source_ports"}


class InspectedConnection(NamedTuple):
    """What a sidecar sees of a connection before it chooses: it does not have what no inspector looks at.

    One that no inspector took for TLS is a raw_buffer (ActiveTcpSocket::newConnection, source/common/listener_manager).
    """

    transport_protocol: str = "raw_buffer"
    server_name: str = ""
    protocols: tuple[str, ...] = ()


class MatchStep(NamedTuple):
    """One criterion, the value it was compared with, and the filter chains that it left."""

    criterion: str
    value: str
    kept: tuple[FilterChain, ...]


class FilterChainChoice(NamedTuple):
    """The filter chain, None where there is none to take it, or where `unknown` says why it is not known.

    `block` and `server_name` are what the filter chain asked for and was met by, each empty for one that does not ask.
    """

    chain: FilterChain | None
    steps: tuple[MatchStep, ...]
    block: str = ""
    server_name: str = ""
    unknown: str = ""


def what_inspectors_see(entrance: Listener, listener: Listener, speech: Speech) -> tuple[tuple[InspectedConnection, ...], str]:
    """Return all that the sidecar may see of how a client speaks, and why it may be more than one, or why none is known.

    What virtualOutbound's inspectors see stays with a connection that it hands over. A curl that is built without HTTP/2 offers
    HTTP/1.1 alone. Source: source/extensions/filters/listener, tls_inspector.cc and http_inspector.cc.
    """
    sees_tls, sees_http = _either_sees(entrance.sees_tls, listener.sees_tls), _either_sees(entrance.sees_http, listener.sees_http)
    if speech == SILENT:
        if sees_tls is False and sees_http is False:
            return (InspectedConnection(),), ""
        return (), f"listener {listener.name} waits for what the client says first, and that is not known"
    seen = (
        InspectedConnection("tls", speech.server_name, speech.protocols)
        if speech.tls
        else InspectedConnection(protocols=speech.protocols)
    )
    looks = sees_tls if speech.tls else sees_http
    if looks is False:
        return (InspectedConnection(),), ""
    if looks is None:
        inspector = "tls_inspector" if speech.tls else "http_inspector"
        return (seen, InspectedConnection()), f"listener {listener.name} has a {inspector} with settings that are not understood"
    if speech.tls and "h2" in speech.protocols:
        without = tuple(each for each in speech.protocols if each != "h2")
        return (
            seen,
            InspectedConnection("tls", speech.server_name, without),
        ), "the path depends on whether the client offers HTTP/2"
    return (seen,), ""


def _either_sees(one: bool | None, other: bool | None) -> bool | None:
    return True if True in (one, other) else None if None in (one, other) else False


def choose_filter_chain(listener: Listener, address: IPAddress, port: int, sight: InspectedConnection) -> FilterChainChoice:
    """Choose the filter chain of this listener that takes a connection to the address and port."""
    # A chain that names the port rules out all that do not, even where its own block does not fit.
    blocks = listener.table.get(port) or listener.table.get(0) or {}
    steps = [MatchStep("destination port", str(port), listener.by_port.get(port) or listener.by_port.get(0) or ())]
    block, group = next(_blocks_containing(blocks, address), (None, None))
    steps.append(MatchStep("block", str(address), group.chains if group else ()))
    if block is None or group is None:
        return FilterChainChoice(listener.default_filter_chain, tuple(steps))
    if odd := sorted(group.criteria - _LATE_CRITERIA):
        return _unknown_choice(steps, f"the filter chain depends on {', '.join(odd)} as well")
    if group.mixed:
        # One of no block next to one of 0.0.0.0/0: which of them Envoy finds first is not said.
        return _unknown_choice(steps, f"several filter chains of listener {listener.name} match alike")
    name = next((key for key in _names_to_look_up(sight.server_name) if key in group.by_name), None)
    chains = group.by_name[name] if name is not None else ()
    steps.append(MatchStep("server name", sight.server_name, chains))
    exact = [chain for chain in chains if chain.transport_protocol == sight.transport_protocol]
    chains = tuple(exact or (chain for chain in chains if not chain.transport_protocol))
    steps.append(MatchStep("transport protocol", sight.transport_protocol, chains))
    chains = _chains_for_protocols(chains, sight.protocols)
    steps.append(MatchStep("application protocol", ", ".join(sight.protocols), chains))
    if not chains:
        return FilterChainChoice(listener.default_filter_chain, tuple(steps))
    if late := sorted({criterion for chain in chains for criterion in chain.criteria}):
        return _unknown_choice(steps, f"the filter chain depends on {', '.join(late)} as well")
    if len(chains) > 1:
        return _unknown_choice(steps, f"several filter chains of listener {listener.name} match alike")
    asked = name if name == sight.server_name else f"*{name}" if name else ""
    return FilterChainChoice(chains[0], tuple(steps), str(block) if chains[0].blocks else "", asked or "")


def _unknown_choice(steps: Sequence[MatchStep], why: str) -> FilterChainChoice:
    return FilterChainChoice(None, tuple(steps), unknown=why)


def _blocks_containing(blocks: Mapping[Block, FilterChainGroup], address: IPAddress) -> Iterator[tuple[Block, FilterChainGroup]]:
    """Give the blocks around the address, the longest first."""
    for length in range(address.max_prefixlen, -1, -1):
        block = Block.around(address.version, int(address), length)
        if group := blocks.get(block):
            yield block, group


def _names_to_look_up(server_name: str) -> Iterator[str]:
    """Give what a server name is looked up by: `www.a.org`, `.a.org`, `.org`, and nothing."""
    yield server_name
    at = server_name.find(".", 1)
    while -1 < at < len(server_name) - 1:
        yield server_name[at:]
        at = server_name.find(".", at + 1)
    yield ""


def _chains_for_protocols(chains: Sequence[FilterChain], protocols: Sequence[str]) -> tuple[FilterChain, ...]:
    for protocol in protocols:
        if found := tuple(chain for chain in chains if protocol in chain.application_protocols):
            return found
    return tuple(chain for chain in chains if not chain.application_protocols)
