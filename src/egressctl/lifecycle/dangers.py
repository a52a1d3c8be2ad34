"""What a new entry would open, or take, beyond what its maker may know: reported, and refused unless it is said to be meant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

from egressctl.envoy.config import LETS_OUT
from egressctl.envoy.counts import ClusterCounts
from egressctl.errors import Conflict, CouldNotAsk, InvalidInput
from egressctl.istio.export_to import PUBLIC, is_exported_to_namespace
from egressctl.istio.listing import host_of_whole_port, tcp_ports
from egressctl.lifecycle.plan import CreateOptions, EntryPlan
from egressctl.manifests.formats import OPAQUE_PROTOCOLS
from egressctl.manifests.service_entry import read_entry
from egressctl.manifests.typed_host import TypedHost
from egressctl.mesh.client import Mesh
from egressctl.mesh.sidecar import Sidecar
from egressctl.model.blocks import parse_blocks
from egressctl.model.entry import MeshObjects, ServiceEntry
from egressctl.model.evidence import Source
from egressctl.model.probe import Target
from egressctl.runtime.progress import Progress
from egressctl.runtime.sanitize import quote
from egressctl.runtime.sentence import first_names

MOST_ADDRESSES_OPENED = 1_000_000
"""More is a provider's whole network, and anyone who rents a machine there is open as well."""
MOST_NETWORKS_OPENED = 65_536
"""The same of IPv6, of which a site has a /48: a /32, which is what a provider is given."""
OLDEST_LIST = timedelta(days=2 * 365)
"""Blocks of an older list have other owners by now."""
_IF_MEANT = "if that is meant, the same command with --yes"


def refuse_dangers(
    mesh: Mesh,
    targets: Sequence[Target],
    plans: Sequence[EntryPlan],
    around: MeshObjects,
    source: Source | None,
    options: CreateOptions,
    progress: Progress,
) -> None:
    """Warn of what entries open or take beyond what they name; raise InvalidInput or Conflict where that is to be said first.

    `targets` are whole, `plans` those of their entries.

    With `options.accept_dangers`, in a dry run, and for an entry that is there already, it warns alone.
    """
    if not options.lone:  # a test opens its entry to its own namespace, for seconds
        known = {plan.target.name for plan in plans if plan.live is not None}
        found = [each for target in targets if target.name not in known for each in dangers_of_target(target)]
        _tell(found, InvalidInput, options, progress)
    new = [read_entry(plan.manifest) for plan in plans if plan.live is None]
    if _refuses(options):
        _refuse_name_of_another_host(plans)
        _refuse_second_of_host(new, around)
    ports = [(entry, port.number, host_of_whole_port(entry, port.number)) for entry in new for port in entry.ports]
    taken = [(entry, port, host) for entry, port, host in ports if host]
    if not taken:
        return
    for entry, port, host in taken:
        told = f"every connection of the pods to port {port}, to any address, goes to {host}"
        progress.warn(f"{entry}: {told}, logins included")
    passing = _passing_hosts(mesh, source)
    losers = [told for entry, port, _ in taken for told in _losers(entry, port, around, passing, options.namespace)]
    _tell(losers, Conflict, options, progress)


def _refuses(options: CreateOptions) -> bool:
    return options.dry_run == "none" and not options.accept_dangers


def _refuse_name_of_another_host(plans: Sequence[EntryPlan]) -> None:
    """Raise Conflict if the name that a typed host gives is that of an entry for another host: `a-b.example`, `a.b.example`."""
    for plan in plans:
        if plan.live is None:
            continue
        wanted, live = read_entry(plan.manifest), read_entry(plan.live)
        if set(wanted.hosts) & set(live.hosts) or len(wanted.hosts) != 1 or len(wanted.ports) != 1:
            continue
        host, port = wanted.hosts[0], wanted.ports[0].number
        if plan.target.name == TypedHost(host, port).target_name:
            raise Conflict(
                f"ServiceEntry {live} is there for {first_names(live.hosts, 3)}, and {host} gives the same name",
                hint=f"choose another: egressctl create NAME --host {quote(host)} --port {port}/{wanted.ports[0].protocol} "
                f"--resolution {quote(wanted.resolution)}; or replace it: the same command with --yes",
            )


def _refuse_second_of_host(new: Sequence[ServiceEntry], around: MeshObjects) -> None:
    """Raise Conflict for a second entry of ours for one host, with another port: istiod gives the sidecar those of the first."""
    for entry in new:
        for other in around.entries:
            host = next((host for host in entry.hosts if host in other.hosts), "")
            known = {port.number for port in other.ports}
            more = [port for port in entry.ports if port.number not in known]
            if not (host and more and other.owned) or other.namespace != entry.namespace or other.is_same_target_as(entry):
                continue
            words = " ".join(f"--port {port.number}/{quote(port.protocol or 'TCP')}" for port in (*other.ports, *more))
            raise Conflict(
                f"ServiceEntry {other} has the host {host} already, and a sidecar connects to a host by one entry only",
                hint=f"one for all its ports: egressctl create {quote(other.part_of or other.name)} -n {quote(other.namespace)} "
                f"--host {quote(host)} {words} --resolution {quote(other.resolution)}; "
                "or, if that is meant, the same command with --yes",
            )


def _tell(dangers: Sequence[str], kind: type[InvalidInput] | type[Conflict], options: CreateOptions, progress: Progress) -> None:
    if dangers and _refuses(options):
        raise kind("; ".join(dangers), hint=_IF_MEANT)
    for each in dangers:
        progress.warn(each)


def dangers_of_target(target: Target, today: date | None = None) -> Iterator[str]:
    """Say what a target opens that its name does not: a sentence each."""
    entry = read_entry({"metadata": {"name": target.entry_name}, "spec": target.spec})
    if not any(port.protocol.upper() in OPAQUE_PROTOCOLS for port in entry.ports):
        return
    opened = sum(2 ** (32 - block.length) for block in parse_blocks(entry.addresses) if block.version == 4)
    if opened > MOST_ADDRESSES_OPENED:
        yield f"{target.name} opens {opened:,} addresses, no matter who owns them"
    networks = sum(2 ** max(0, 48 - block.length) for block in parse_blocks(entry.addresses) if block.version == 6)
    if networks > MOST_NETWORKS_OPENED:
        yield f"{target.name} opens {networks:,} networks of IPv6 (/48), no matter who owns them"
    day = date.fromisoformat(target.listed_on) if target.listed_on else None
    if day and (today or datetime.now(UTC).date()) - day > OLDEST_LIST:
        yield f"{target.name} opens addresses from a list of {day}; some may belong to others by now"


def _passing_hosts(mesh: Mesh, source: Source | None) -> Mapping[tuple[str, int], object]:
    """Return the addresses and ports that connections of the source pod have gone to by the outbound traffic policy."""
    if source is None or source.proxy is None:
        return {}
    try:
        counts: ClusterCounts = Sidecar(mesh.api, source).counts()
    except CouldNotAsk:
        return {}
    return {at: counted for name in LETS_OUT if name in counts for at, counted in counts[name].hosts.items()}


def _losers(
    entry: ServiceEntry, port: int, around: MeshObjects, passing: Mapping[tuple[str, int], object], namespace: str
) -> Iterator[str]:
    default = around.default_export_to or PUBLIC
    others = [
        each
        for each in around.entries
        if (each.namespace, each.name) != (entry.namespace, entry.name)
        and any(known.number == port for known in tcp_ports(each))
        and is_exported_to_namespace(each, namespace, default)
    ]
    if others:
        yield f"{entry} would take port {port}, which ServiceEntry {first_names(list(map(str, others)), 3)} has"
    if seen := sorted(ip for ip, number in passing if number == port):
        yield f"{entry} would take port {port}, on which the sidecar has let out connections to {first_names(seen, 3)}"
