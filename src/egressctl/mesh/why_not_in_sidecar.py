"""Say why a sidecar does not have what a ServiceEntry lists, and whether waiting for it is of any use. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from egressctl.envoy.config import FilterChain, ProxyConfig, parse_outbound_name
from egressctl.istio.export_to import PUBLIC, SHOW_MESH_CONFIG, is_exported_to_namespace, limit_told
from egressctl.istio.listing import UNBLOCKED, is_opaque_on, lists_block, single_address
from egressctl.istio.precedence import entry_that_pods_get, first_entry_in_sidecar
from egressctl.manifests.formats import RESERVED_PORTS
from egressctl.mesh.propagation import listeners_on_port, refusal_of_block
from egressctl.model.blocks import parse_block
from egressctl.model.cause import CauseCode
from egressctl.model.entry import ServiceEntry
from egressctl.runtime.sanitize import quote

CROWDED = 1000
"""Filter chains on one port from which on istiod takes seconds to add some: 0.4 s with 500, 5 s with 2,000, 24-39 s
with 5,000 (measured, 2026-11)."""

NOT_PUSHED_HINT = "istioctl proxy-status"
"""What to type where nothing is known to stand in the way."""


@dataclass(frozen=True, slots=True)
class Delay:
    """Why a block is not there: a clause with the object to blame, and the next command.

    `certain` says that waiting is of no use as long as nobody changes that object.
    """

    reason: str
    hint: str
    certain: bool = False
    code: CauseCode = CauseCode.NOT_PROPAGATED


HiddenBy = Callable[[ServiceEntry, int], str]
"""Given an entry and one of its ports, say by which Sidecar resource, `namespace/name`, the pod does not have it; "" for none."""


def why_missing(
    config: ProxyConfig,
    entry: ServiceEntry,
    lacking: str,
    pod_namespace: str,
    others: Sequence[ServiceEntry],
    *,
    hidden_by: HiddenBy = lambda _, __: "",
    unseen: str = "",
    default: Sequence[str] | None = None,
) -> Delay:
    """Say why the sidecar does not have `lacking` (`BLOCK:PORT`, as `missing_blocks` names it) of an entry on the API server.

    `others` are the ServiceEntries next to it; `unseen` says what could not be looked at, as half a sentence. `default` is what
    the mesh makes of an absent exportTo, None where that is not known.
    """
    block, _, number = lacking.rpartition(":")
    port = int(number)
    if refusal := refusal_of_block(config, block, next(each for each in entry.ports if each.number == port)):
        name, said = refusal
        told = f"Envoy refused the listener {name}: {' '.join(said.split()) or 'it does not say why'}"
        return Delay(told, _show_command(entry), certain=True, code=CauseCode.REJECTED_BY_PROXY)
    if port in RESERVED_PORTS:
        return Delay(f"a sidecar gets no listener for port {port}, {RESERVED_PORTS[port]}", _show_command(entry), certain=True)
    if (limit := limit_told(entry, default or PUBLIC)) and not is_exported_to_namespace(entry, pod_namespace, default or PUBLIC):
        told = f"{limit}, whatever its exportTo says"
        return Delay(told, SHOW_MESH_CONFIG, certain=True, code=CauseCode.NOT_EXPORTED)
    chain = _chain_with_block(config, block, port)
    delay = (
        _reroute_delay(chain)
        or _conflict_delay(chain, entry, block, port, others, default)
        or _other_namespace_delay(entry, pod_namespace, others, default)
    )
    if delay:
        return delay
    if sidecar := hidden_by(entry, port):
        namespace, _, name = sidecar.partition("/")
        show = f"kubectl get sidecar -n {quote(namespace)} {quote(name)} -o yaml"
        return Delay(f"Sidecar {sidecar} hides it from the pod", show, code=CauseCode.HIDDEN_BY_SIDECAR)
    chains = sum(len(listener.chains) for listener in listeners_on_port(config, port))
    if chains >= CROWDED:
        return Delay(
            f"port {port} has {chains:,} filter chains, and the more there are, the longer istiod needs to add one: "
            "with 5,000 half a minute",
            "wait longer: --timeout 2m",
        )
    return Delay(f"istiod has not pushed it{f' ({unseen})' if unseen else ''}", NOT_PUSHED_HINT)


def summarise_delays(delays: Sequence[Delay]) -> Delay:
    """Return one for all that is missing, those that are certain first; it is certain where each of them is."""
    ordered = sorted(dict.fromkeys(delays), key=lambda each: not each.certain)
    told = [each.reason for each in ordered[:2]] + ([f"{len(ordered) - 2} more reasons"] if len(ordered) > 2 else [])
    return Delay("; ".join(told), ordered[0].hint, all(each.certain for each in delays), ordered[0].code)


def _chain_with_block(config: ProxyConfig, block: str, port: int) -> FilterChain | None:
    """Return the filter chain that has exactly this block on this port, whosever it is."""
    own = single_address(block)
    for listener in listeners_on_port(config, port):
        mine = own and any(str(parse_block(address)) == str(parse_block(own)) for address, _ in listener.addresses)
        for chain in listener.filter_chains:
            if chain.criteria or chain.server_names or chain.transport_protocol or chain.application_protocols:
                continue
            whole = not chain.blocks and (block in UNBLOCKED or mine)
            if whole or block in map(str, chain.blocks):
                return chain
    return None


def _reroute_delay(chain: FilterChain | None) -> Delay | None:
    if chain is None or not chain.route:
        return None
    namespace, _, name = chain.route.partition("/")
    to = chain.envoy_cluster or "several Envoy clusters"
    show = f"kubectl get virtualservice -n {quote(namespace)} {quote(name)} -o yaml"
    return Delay(f"VirtualService {chain.route} routes it to {to}", show, code=CauseCode.REROUTED)


def _conflict_delay(
    chain: FilterChain | None,
    entry: ServiceEntry,
    block: str,
    port: int,
    others: Sequence[ServiceEntry],
    default: Sequence[str] | None,
) -> Delay | None:
    to = parse_outbound_name(chain.envoy_cluster) if chain else None
    if not is_opaque_on(entry, port) or chain is None or to is None or to.host in entry.hosts:
        return None
    for other in others:
        if (
            _is_same_entry(other, entry)
            or to.host not in other.hosts
            or not (is_opaque_on(other, port) and lists_block(other, block))
        ):
            continue
        first, why = first_entry_in_sidecar(entry, other, default)
        why = "" if first is not other else f", because it is {why}" if why.startswith("the ") else f", {why}"
        told = f"ServiceEntry {other} takes it{why}: the sidecar sends it to {chain.envoy_cluster}"
        return Delay(told, _show_command(other), first is other, CauseCode.RIVAL_ENTRY)
    told = f"another entry takes it: the sidecar sends it to {chain.envoy_cluster}"
    return Delay(told, "kubectl get serviceentries -A", code=CauseCode.RIVAL_ENTRY)


def _other_namespace_delay(
    entry: ServiceEntry, pod_namespace: str, others: Sequence[ServiceEntry], default: Sequence[str] | None
) -> Delay | None:
    """Name the entry of another namespace that has this one's host: a sidecar gets only one namespace's (measured)."""
    if entry.namespace == pod_namespace:
        return None
    for other in others:
        if other.namespace == entry.namespace or not set(other.hosts) & set(entry.hosts):
            continue
        if not is_exported_to_namespace(other, pod_namespace, default or PUBLIC):
            continue
        first, why = entry_that_pods_get(entry, other, pod_namespace, default or PUBLIC)
        if first is other:
            why = "the pod's own namespace's" if other.namespace == pod_namespace else why
            return Delay(
                f"ServiceEntry {other} has the same host, and a sidecar gets only one namespace's entries: {why}",
                _show_command(other),
                certain=entry_that_pods_get(entry, other, pod_namespace, default)[0] is other,
                code=CauseCode.RIVAL_ENTRY,
            )
    return None


def _is_same_entry(one: ServiceEntry, other: ServiceEntry) -> bool:
    return (one.namespace, one.name) == (other.namespace, other.name)


def _show_command(entry: ServiceEntry) -> str:
    return f"kubectl get serviceentry -n {quote(entry.namespace)} {quote(entry.name)} -o yaml"
