"""What came back of a probe, and what is known of the way that its connection took."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from egressctl.model.blocks import ip_version
from egressctl.model.cause import CauseCode
from egressctl.model.entry import ServiceEntry


class Method(StrEnum):
    """The four pieces of evidence that `open` needs, each of them."""

    CAPTURED = "captured"
    STATIC = "static"
    OWNED = "owned"
    COUNTED = "counted"


class CountSource(StrEnum):
    """What can show that an Envoy cluster sent a connection."""

    CLUSTERS = "clusters"
    """Its connection counts, from the sidecar's `clusters`: they account for it, next to others."""
    ACCESS_LOG = "access-log"
    """The connection's own line in the sidecar's access log."""


@dataclass(frozen=True, slots=True)
class Source:
    """The pod and container that a probe is sent from.

    `proxy` is the name of the sidecar's container, None where the pod has none. `chosen_of`
    counts the ready pods that matched; a pod that was named counts also while its sidecar is not ready.
    """

    namespace: str
    pod: str
    container: str
    proxy: str | None
    chosen_of: int = 1
    ambient: bool = False
    """Whether ztunnel, not a sidecar, redirects the pod's traffic."""
    proxy_ready: bool = True
    """False where the pod's status says that the sidecar's container is not ready; then `proxy_state` says why."""
    proxy_state: str = ""
    """Half a sentence: `waiting to be started again after exit code 1 (CrashLoopBackOff)`."""
    admin_port: int = 0
    """The port of the sidecar's admin interface where the pod names another than Istio's own, else 0."""
    others: tuple[str, ...] = ()
    """The pod's other running containers, the sidecar's left out."""
    hints: tuple[str, ...] = ()
    """What the pod says of itself that can keep a connection from the sidecar, as half sentences: hints, never evidence."""
    interception: Mapping[str, str] = field(default_factory=dict)
    """The pod's annotations that lead by address and port past the sidecar (mesh/traffic_annotations.py): hints as well."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """The pod's, by which a Sidecar resource may select it."""
    revision: str = ""
    """The control plane's revision that the sidecar was injected for; empty where the pod does not say."""
    dns_capture: bool = False
    """Whether the sidecar answers the pod's DNS, and so leads it to the addresses that Istio gives entries."""
    addresses: tuple[str, ...] = ()
    """The pod's own, one an IP family; empty where its status does not say."""

    @property
    def families(self) -> frozenset[int]:
        """The IP versions of which the pod has an address; none where that is not known."""
        return frozenset(filter(None, map(ip_version, self.addresses)))

    def lacks_family_of(self, ip: str) -> bool:
        """Say whether the pod is known to have no address of the family of this one."""
        return bool(self.families and ip_version(ip)) and ip_version(ip) not in self.families


@dataclass(frozen=True, slots=True)
class CurlOutcome:
    """What curl reported of one transfer. Times are seconds; addresses are empty where there was no connection."""

    curl_exit: int
    error: str = ""
    http_status: int = 0
    remote_ip: str = ""
    remote_port: int = 0
    local_ip: str = ""
    local_port: int = 0
    proxied: bool = False
    """A proxy variable sent the transfer somewhere else than its URL says."""
    reused: bool = False
    """It went over the connection of an earlier transfer: the marks of `connect` and `tls` are not its own."""
    seconds: Mapping[str, float] = field(default_factory=dict)
    """`lookup`, `connect`, `tls`, `total`: curl's own marks, from the start of the transfer."""
    extracted: Mapping[str, str] = field(default_factory=dict)
    unmatched: tuple[str, ...] = ()
    """Names of `extract` whose expression found nothing in the body."""
    given_up: str = ""
    """Why the body was not searched to the end: a sentence; empty where it was."""


class Capture(StrEnum):
    """Whether the sidecar had the other end of a connection."""

    CAPTURED = "captured"
    NOT_CAPTURED = "not-captured"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ProbeSent:
    """One probe that was sent: its outcome and whether its connection was captured, or why there is neither."""

    outcome: CurlOutcome | None
    capture: Capture = Capture.UNKNOWN
    connection: tuple[int, int] = (0, 0)
    """Which exec and which local port: two probes that share both shared a connection."""
    failure: CauseCode | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Walk:
    """Where the sidecar's configuration sends a connection.

    `envoy_cluster` is None where the configuration leads nowhere (no chain matches, or the sidecar answers by itself),
    where `choices` says between which chance decides, or where `unknown` says, in half a sentence, what the walk does not
    understand. `prefix` is the block of the filter chain that matched (`208.80.154.224/27`), empty for a chain without
    addresses and for a listener of the address itself the address.
    """

    listener: str
    filter_chain: str
    envoy_cluster: str | None
    prefix: str = ""
    unknown: str = ""
    server_name: str = ""
    """The server name that the filter chain asks for, as it writes it (`*.wikipedia.org`); empty where it asks for none."""
    virtual_service: str = ""
    """The VirtualService whose route it took, `namespace/name`."""
    http_route: str = ""
    """For HTTP: route configuration, virtual host and route, `80 / www.wikipedia.org:80 / default`."""
    matched: str = field(default="", kw_only=True, compare=False)
    """By what the filter chain was chosen, in words: `server name www.wikipedia.org`; empty where none was."""
    direct_status: int = 0
    """The HTTP status with which the sidecar answers by itself; 0 where it does not."""
    choices: tuple[str, ...] = ()
    """The Envoy clusters of a weighted route."""
    absent: bool = False
    """The Envoy cluster is named and does not exist in the sidecar, which then closes the connection (NC)."""
    unrouted: bool = False
    """The request has no route: none of the virtual host's, which `virtual_service` made, matches it, and the answer is 404."""
    authority: str = ""
    """The host that the route asks the server for, in place of the request's own; empty where it is that."""


class Ownership(StrEnum):
    """Whether an Envoy cluster, reached by a certain filter chain, is the work of a certain ServiceEntry."""

    OWNED = "owned"
    OTHERS = "others"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose work the Envoy cluster is. `rival` is the entry that holds it where it is another's and known."""

    ownership: Ownership
    reason: str
    rival: ServiceEntry | None = None
    outdated: bool = False
    """It is UNKNOWN because the sidecar does not have the entry as it stands."""
    elsewhere: bool = False
    """It is OTHERS because the conflicting entry's Envoy cluster connects to its own host, whatever was asked for."""
    shared: bool = False
    """It is OTHERS because its filter chain leads to the Envoy cluster that the conflicting entry, of the same host, made."""
    entry: ServiceEntry | None = field(default=None, compare=False)
    """The entry that it is, where it is OWNED by one."""


class Counts(NamedTuple):
    """Connections of one upstream host of an Envoy cluster, or the difference of two readings of it."""

    opened: int = 0
    connect_failed: int = 0
    pending: int = 0
    requests: int = 0
    """Requests, or connections passed through; over a connection that is used again, only these move."""


class LoggedConnection(NamedTuple):
    """What a sidecar's access log says of one connection: the Envoy cluster, empty for none, and Envoy's response flags."""

    envoy_cluster: str
    flags: str = ""

    def __str__(self) -> str:
        name = self.envoy_cluster or "no Envoy cluster"
        return f"{name} with the flags {self.flags}" if self.flags else name

    def shows_use_of(self, envoy_cluster: str | None) -> bool:
        """Say whether it shows that this Envoy cluster sent the connection, and not only failed to.

        The flags DC and UC are those of one that had met its other end: the client, or the upstream host, ended it.
        """
        met = set(self.flags.split(",")) <= {"", "DC", "UC"}
        return bool(envoy_cluster) and self.envoy_cluster == envoy_cluster and met


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of the way that a connection took; None means that it could not be had."""

    capture: Capture = Capture.UNKNOWN
    companion: bool = False
    """Whether a second, bare connection to the same address and port showed the capture: a refusal leaves no trace."""
    walk: Walk | None = None
    owner: Owner | None = None
    counted: bool | None = None
    """True where the Envoy cluster's count accounts for this connection; None where it could not be read."""
    counts: Counts | None = None
    """How the counts of that Envoy cluster and address moved around the probes."""
    moved: tuple[str, ...] | None = field(default=None, kw_only=True)
    """Of a weighted route, the Envoy clusters whose counts moved around the probes; None where they could not be read."""
    policy: str = ""
    """The outbound traffic policy as the sidecar has it: REGISTRY_ONLY, ALLOW_ANY, ALLOW_ANY_DYNAMIC_DNS, or empty."""
    methods: tuple[Method, ...] = ()
    refused: str = ""
    """What Envoy said when it refused the listener of the target's entry; empty where it did not."""
    destination_rule: str = ""
    """The DestinationRule (`namespace/name`) by which the Envoy cluster wraps its connections in TLS; empty for none."""
    endpoints: int | None = None
    """How many hosts the Envoy cluster has of its own; None where it connects to the address asked for, or is not known."""
    logged: LoggedConnection | None = None
    """What the access log says of this connection; None where it was not read, or does not have it."""
    sources: tuple[CountSource, ...] = ()
    """What showed that the Envoy cluster sent it, where `counted` holds."""
    deaf: bool = False
    """Whether the sidecar's virtualOutbound listens on no address of the connection's IP family."""
    own_listeners: Collection[tuple[str, int]] | None = field(default=None, compare=False, repr=False)
    """The addresses and ports that have a listener of their own in the sidecar; None where that was not read."""
    upstream: tuple[str, ...] = ()
    """The addresses among which Envoy chose by itself where to connect to; empty where it connects to the address asked for."""
    upstream_port: int = 0
    """The port of those addresses; 0 where they have several, and where Envoy connects to the one asked for."""
