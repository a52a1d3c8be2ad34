"""Name another entry that leaves an entry without a filter chain for the connection, though it does not take it itself. Pure.

The reasons are functions as those of `diagnosis.py`, which asks them in its order.
"""

from __future__ import annotations

from egressctl.istio.hosts import covers_host
from egressctl.istio.listing import is_every_address, protocols_on
from egressctl.manifests.formats import HTTP_PROTOCOLS, TLS_PROTOCOLS
from egressctl.model.blocks import Block, parse_block, parse_blocks
from egressctl.model.cause import Cause, CauseCode
from egressctl.model.entry import ServiceEntry
from egressctl.verify.candidates import is_in_sidecar, show_command
from egressctl.verify.causes import Case, explain_cause


def nearer_block_cause(case: Case, entry: ServiceEntry) -> Cause | None:
    """Blame an entry whose block holds the address, is longer than this entry's, and has no filter chain for what is spoken.

    Envoy looks for the longest block before the server name, and does not come back to a shorter one.
    """
    address, number, tls = parse_block(case.outcome.remote_ip), case.probe.port, case.probe.speech.tls
    if address is None or not _is_refused_or_let_out(case):
        return None
    declared = protocols_on(entry, number)
    # HTTP is routed by its host, and has no filter chain of a block.
    own = max((block.length for block in _blocks(entry) if block.holds(address) and not declared & HTTP_PROTOCOLS), default=-1)
    for other in case.around.entries if case.around else ():
        protocols = protocols_on(other, number)
        longer = [block for block in _blocks(other) if block.holds(address) and block.length > own]
        if other == entry or not longer or not is_in_sidecar(case.around, case.source, other, number):
            continue
        block = max(longer, key=lambda each: each.length)
        by_name = bool(protocols & TLS_PROTOCOLS) and not block.is_one_address
        misses = not tls or not any(covers_host(host, case.probe.host) for host in other.hosts)
        if by_name and misses:
            names = " or ".join(other.hosts[:4])
            said = (
                f"ServiceEntry {other} lists {block} on port {number} for the server name {names} alone, and Envoy looks for the "
                f"longest block first: what {entry} says is never asked; the sidecar sends {case.address} to {case.leads_to}"
            )
            return explain_cause(CauseCode.RIVAL_ENTRY, case, said, show_command("serviceentry", str(other)))
    return None


def shared_endpoints_cause(case: Case, entry: ServiceEntry) -> Cause | None:
    """Blame an entry of the same namespace and host whose endpoints istiod takes for this one's, which has none of its own.

    It makes a listener for each endpoint then, none for a name, and no listener for every address any more: whoever sees the
    other entry (`ServiceEndpointsByPort` in `buildSidecarOutboundListeners`).
    """
    number = case.probe.port
    declared = protocols_on(entry, number)
    if entry.resolution != "NONE" or entry.addresses or declared & HTTP_PROTOCOLS or not _is_refused_or_let_out(case):
        return None
    for other in case.around.entries if case.around else ():
        beside = other.namespace == entry.namespace and other.name != entry.name and other.resolution != "NONE"
        common = [host for host in entry.hosts if host in other.hosts]
        if beside and common and any(port.number == number for port in other.ports):
            said = (
                f"ServiceEntry {other} has the same host {common[0]} and endpoints for port {number} ({other.resolution}), which "
                f"Istio takes for those of {entry} too, and so makes no listener for every address on that port; "
                f"the sidecar sends {case.address} to {case.leads_to}"
            )
            return explain_cause(CauseCode.RIVAL_ENTRY, case, said, show_command("serviceentry", str(other)))
    return None


def _is_refused_or_let_out(case: Case) -> bool:
    walk = case.evidence.walk
    return walk is not None and not walk.absent and "|" not in (walk.envoy_cluster or "")


def _blocks(entry: ServiceEntry) -> list[Block]:
    """Return the entry's blocks for which there are filter chains of their own."""
    return parse_blocks(each for each in entry.addresses if not is_every_address(each))
