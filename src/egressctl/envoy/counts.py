"""Read how many connections a sidecar's Envoy clusters have made, host by host, and what moved between two readings.

Istio's bootstrap hides `cluster.*` and `tcp.*` from Envoy's stats; `clusters?format=json` is not subject to that filter.
Source: envoy/admin/v3/clusters.proto, and OriginalDstCluster::LoadBalancer::chooseHost for the hosts' names.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import add
from types import MappingProxyType
from typing import Any, NamedTuple

from egressctl.envoy.admin import as_address, as_list, as_number, as_object, as_text, read_json
from egressctl.errors import ProxyUnreadable
from egressctl.model.blocks import parse_address
from egressctl.model.evidence import Counts

Address = tuple[str, int]


class HostCounts(NamedTuple):
    """The upstream hosts of one Envoy cluster by address and port.

    `original` says that it connects to the address that was asked for (ORIGINAL_DST), not to endpoints of its own.
    """

    hosts: Mapping[Address, Counts]
    original: bool
    active: int = 0
    """Connections of all its hosts that are open now (`cx_active`)."""
    nearby: int = 0
    """Further hosts, which are no addresses: pipes and internal listeners."""
    named: Mapping[str, Mapping[Address, Counts]] = MappingProxyType({})
    """By `NAME:PORT`, in lower case, the hosts that Envoy resolved a name to that a client asked for."""


ClusterCounts = Mapping[str, HostCounts]
"""By the Envoy cluster's name. One without hosts is there too."""


def parse_clusters(text: str) -> ClusterCounts:
    """Read the answer to `GET clusters?format=json`. Raises ProxyUnreadable where it is none, or of another shape."""
    statuses = read_json(text, "clusters?format=json").get("cluster_statuses")
    if statuses is None:
        raise ProxyUnreadable("the sidecar's list of Envoy clusters is empty")
    found: dict[str, HostCounts] = {}
    for item in as_list(statuses, "cluster_statuses"):
        status = as_object(item, "cluster_statuses[]")
        name = as_text(status.get("name"), "an Envoy cluster's name")
        found[name] = _host_counts(name, status)
    return found


def _host_counts(name: str, status: Mapping[str, Any]) -> HostCounts:
    what = f"Envoy cluster {name}"
    hosts: dict[Address, Counts] = {}
    named: dict[str, dict[Address, Counts]] = {}
    original, active, nearby = not status.get("eds_service_name"), 0, 0
    for item in as_list(status.get("host_statuses"), what):
        host = as_object(item, what)
        socket = as_object(as_object(host.get("address"), what).get("socket_address"), what)
        if not socket:  # A pipe or an internal listener: no connection over the network.
            original = False
            nearby += 1
            continue
        address = str(as_address(socket.get("address"), what)), as_number(socket.get("port_value"), what)
        # Envoy names the host that it makes for an original address after the Envoy cluster and that address.
        hostname, counts = as_text(host.get("hostname"), what), _counts(host, what)
        original = original and hostname.startswith(name)
        if not original and hostname.endswith(f":{address[1]}"):
            named.setdefault(hostname.lower(), {})[address] = counts
        hosts[address] = _sum(hosts.get(address, Counts()), counts)
        stats = (as_object(stat, what) for stat in as_list(host.get("stats"), what))
        active += sum(as_number(stat.get("value"), what) for stat in stats if stat.get("name") == "cx_active")
    return HostCounts(hosts, original, active, nearby, named)


def _counts(host: Mapping[str, Any], what: str) -> Counts:
    stats = [as_object(item, what) for item in as_list(host.get("stats"), what)]
    values = {as_text(stat.get("name"), what): as_number(stat.get("value"), f"a counter of {what}") for stat in stats}
    if "cx_total" not in values:
        raise ProxyUnreadable(f"the sidecar's answer is not understood: a host of {what} has no cx_total")
    return Counts(
        values["cx_total"], values.get("cx_connect_fail", 0), values.get("rq_pending_active", 0), values.get("rq_total", 0)
    )


def counts_between(before: ClusterCounts, after: ClusterCounts, envoy_cluster: str, ip: str, port: int) -> Counts:
    """Return how an Envoy cluster's counts for one address moved between two readings.

    Envoy drops the host of an original address 6-10 s after its last connection closed, and its counts with it: a host
    that came back counts from zero, one that is gone counts as zero. An Envoy cluster with endpoints of its own
    connects to those whatever address was asked for: there the hosts' differences are added up. Where it resolves the names
    that clients ask for, `ip` is the name, and only its hosts count.
    """
    old, new = before.get(envoy_cluster), after.get(envoy_cluster)
    if new is None:
        return Counts()
    earlier, hosts = (old.hosts if old else {}), new.hosts
    if parse_address(ip) is None:
        earlier, hosts = (_named(each, ip, port) for each in (old, new))
    elif new.original:
        place = str(as_address(ip, "the address")), port
        return _difference(earlier.get(place, Counts()), hosts.get(place, Counts()))
    total = Counts()
    for address, counts in hosts.items():
        total = _sum(total, _difference(earlier.get(address, Counts()), counts))
    return total


def _named(of: HostCounts | None, name: str, port: int) -> Mapping[Address, Counts]:
    return of.named.get(f"{name.lower().removesuffix('.')}:{port}", {}) if of else {}


def count_named(counts: ClusterCounts, envoy_cluster: str, name: str, port: int) -> int:
    """Count the addresses that Envoy has resolved a name to, for an Envoy cluster that resolves the names asked for."""
    return len(_named(counts.get(envoy_cluster), name, port))


def hosts_used(
    before: ClusterCounts, after: ClusterCounts, envoy_cluster: str, named: tuple[str, int] | None = None
) -> tuple[str, ...]:
    """Return the addresses of those hosts of an Envoy cluster whose counts moved between two readings, else of all its hosts.

    With `named`, of those alone that Envoy resolved this name to, for this port.
    """
    old, new = before.get(envoy_cluster), after.get(envoy_cluster)
    earlier, hosts = old.hosts if old else {}, new.hosts if new else {}
    if named:
        earlier, hosts = (_named(each, *named) for each in (old, new))
    differences = {at: _difference(earlier.get(at, Counts()), counts) for at, counts in hosts.items()}
    moved = [at for at, counts in differences.items() if counts.opened or counts.requests]
    return tuple(dict.fromkeys(ip for ip, _ in moved or hosts))


def _difference(before: Counts, after: Counts) -> Counts:
    if after.opened < before.opened or after.connect_failed < before.connect_failed:
        return after  # The host was dropped and made again in between.
    return Counts(*(max(0, now - then) for then, now in zip(before, after, strict=True)))


def _sum(one: Counts, other: Counts) -> Counts:
    return Counts(*map(add, one, other))
