"""The words of the product as frozen values: what is asked, what came back, what it proves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from ipaddress import ip_address
from typing import Any, NamedTuple
from urllib.parse import urlsplit

Manifest = Mapping[str, Any]
"""A Kubernetes object as JSON: `apiVersion`, `kind`, `metadata`, `spec`."""

SUFFIX = "-ext"
"""What a target's name gets on the Kubernetes cluster: `wikipedia-ext`; of several entries each gets more after it."""


class Verdict(StrEnum):
    """What a probe showed. In the order of a report's worst: the last one present wins."""

    OPEN = "open"
    UNPROVEN = "unproven"
    BYPASSED = "bypassed"
    FAILED = "failed"
    BLOCKED = "blocked"
    INCONCLUSIVE = "inconclusive"


class Method(StrEnum):
    """The four pieces of evidence that `open` needs, each of them."""

    CAPTURED = "captured"
    STATIC = "static"
    OWNED = "owned"
    COUNTED = "counted"


class CountSource(StrEnum):
    """What can show that an Envoy cluster carried a connection."""

    CLUSTERS = "clusters"
    """Its connection counts, from the sidecar's `clusters`: they account for it, beside others."""
    ACCESS_LOG = "access-log"
    """The connection's own line in the sidecar's access log."""


class CauseCode(StrEnum):
    """Why a verdict is not `open`; each code has a page in docs/causes/."""

    BLACKHOLE = "blackhole"
    PASSTHROUGH = "passthrough"
    ENTRY_MISSING = "entry-missing"
    ADDRESS_NOT_LISTED = "address-not-listed"
    PORT_NOT_LISTED = "port-not-listed"
    HOST_NOT_LISTED = "host-not-listed"
    PROTOCOL_MISMATCH = "protocol-mismatch"
    NOT_EXPORTED = "not-exported"
    HIDDEN_BY_SIDECAR = "hidden-by-sidecar"
    NOT_PROPAGATED = "not-propagated"
    REJECTED_BY_PROXY = "rejected-by-proxy"
    RIVAL_ENTRY = "rival-entry"
    REROUTED = "rerouted"
    NO_ENDPOINTS = "no-endpoints"
    NO_SIDECAR = "no-sidecar"
    NOT_CAPTURED = "not-captured"
    AMBIENT = "ambient"
    NAME_RESOLUTION = "name-resolution"
    CONNECT_REFUSED = "connect-refused"
    CONNECT_TIMEOUT = "connect-timeout"
    TLS_CERTIFICATE = "tls-certificate"
    TLS_HANDSHAKE = "tls-handshake"
    TIMEOUT = "timeout"
    RESET = "reset"
    HTTP_STATUS = "http-status"
    BODY_MISMATCH = "body-mismatch"
    PROXY_UNREADABLE = "proxy-unreadable"
    EVIDENCE_LOST = "evidence-lost"
    NO_SOURCE_POD = "no-source-pod"
    NO_CURL = "no-curl"
    EXEC_FORBIDDEN = "exec-forbidden"
    EXEC_FAILED = "exec-failed"
    SIDECAR_NOT_READY = "sidecar-not-ready"


@dataclass(frozen=True, slots=True)
class Cause:
    """Why: a stable code, one sentence with the evidence in it, and the next command to type."""

    code: CauseCode
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a probe should show. `status` None is content with any; `via` names an Envoy cluster's host."""

    verdict: Verdict = Verdict.OPEN
    status: int | None = 200
    via: str | None = None


@dataclass(frozen=True, slots=True)
class Speech:
    """How a client speaks on its connection, as far as a sidecar looks at that before it chooses a way.

    `protocols` are those that the TLS handshake offers (ALPN), in its order, or the one that plain text shows. A
    connection on which nothing is sent is `SILENT`.
    """

    tls: bool
    server_name: str = ""
    """The TLS handshake's (SNI), in lower case; empty in plain text, and for an address."""
    protocols: tuple[str, ...] = ()
    authority: str = ""
    """The Host header, with the port unless it is the scheme's own; empty where no HTTP can be seen."""
    path: str = "/"
    method: str = "GET"


SILENT = Speech(tls=False)
"""A bare connection, or a protocol in which the server speaks first."""


BARE = "tcp://"
"""The scheme of a probe that only connects: it is derived from an entry, and never asked for by a person."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One request to send from the source pod. `extract` maps a name to a regular expression with one group."""

    name: str
    url: str
    expect: Expectation = Expectation()
    extract: Mapping[str, str] = field(default_factory=dict)
    connect_ip: str = ""
    """The address to connect to in place of those that the URL's host resolves to; empty for those."""

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        parts = urlsplit(self.url)
        return parts.port or (443 if parts.scheme == "https" else 80)

    @property
    def bare(self) -> bool:
        """Whether it opens a connection and sends nothing over it."""
        return self.url.startswith(BARE)

    @property
    def speech(self) -> Speech:
        """What curl sends: over TLS only the handshake can be seen on the way."""
        if self.bare:
            return SILENT
        if self.url.startswith("https://"):
            return _over_tls(self.url[: self.url.find("/", len("https://"))] if self.url.count("/") > 2 else self.url)
        parts = urlsplit(self.url)
        host = f"[{self.host}]" if ":" in self.host else self.host
        return Speech(
            tls=False,
            protocols=("http/1.1",),
            authority=host if self.port == 80 else f"{host}:{self.port}",
            path=(parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
            method="HEAD" if self.expect.status is None else "GET",
        )


class Port(NamedTuple):
    """A port of a ServiceEntry, as Istio's `ServicePort`."""

    number: int
    protocol: str
    name: str


@dataclass(frozen=True, slots=True)
class ServiceEntry:
    """What a ServiceEntry says, read leniently from a manifest of any origin (see serviceentry.read)."""

    name: str
    namespace: str
    hosts: tuple[str, ...]
    addresses: tuple[str, ...]
    ports: tuple[Port, ...]
    resolution: str
    location: str
    export_to: tuple[str, ...]
    uid: str = ""
    created: str = ""
    """RFC 3339, as the API server says it; empty where it is not on a Kubernetes cluster."""
    run_id: str = ""
    """The run that made it; empty where egressctl did not."""
    owned: bool = False
    """Whether the label says that egressctl made it."""
    revision: str = ""
    """The one control plane that reads it (label `istio.io/rev`); empty for all of them."""
    allocated: tuple[str, ...] = ()
    """The addresses that Istio gave it (`status.addresses`), which only the sidecar's own DNS answers with."""
    part_of: str = ""
    """The target that its label and its name (`NAME-ext`, `NAME-ext-...`) say it is an entry of; empty for none."""
    labels: frozenset[tuple[str, str]] = frozenset()

    @property
    def family(self) -> tuple[str, str, bool, bool]:
        """What the entries of one target have in common: namespace, target, and whether egressctl made them."""
        return self.namespace, self.part_of or self.name, self.owned, bool(self.part_of)

    @property
    def is_part(self) -> bool:
        """Whether it is one of several entries of a target: only those are called after a part of the address space."""
        return bool(self.part_of) and self.name != self.part_of + SUFFIX

    def beside(self, other: ServiceEntry) -> bool:
        """Say whether the two are entries of one target, or one and the same."""
        return self.family == other.family

    @property
    def created_at(self) -> datetime | None:
        """When it was made; None where that is not known."""
        try:
            at = datetime.fromisoformat(self.created)
        except ValueError:
            return None
        return at if at.tzinfo else None

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is around a ServiceEntry. What could not be read is in `unread`, never taken for absent.

    Manifests have `apiVersion` and `kind`. `services` is empty where they were not asked for.
    """

    entries: tuple[ServiceEntry, ...] = ()
    sidecars: tuple[Manifest, ...] = ()
    virtual_services: tuple[Manifest, ...] = ()
    destination_rules: tuple[Manifest, ...] = ()
    services: tuple[Manifest, ...] = ()
    namespaces: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """The labels of each namespace."""
    unread: tuple[str, ...] = ()
    """One sentence for each kind that was not read everywhere."""
    root: str = "istio-system"
    """The mesh's root namespace (MeshConfig.rootNamespace)."""
    default_export_to: tuple[str, ...] | None = None
    """Where the mesh exports an entry that does not say (MeshConfig.defaultServiceExportTo); None where it was not read."""
    reach: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """By plural, the namespaces in which a kind was read, for those that were not read in all of them."""

    def saw(self, plural: str, namespace: str) -> bool:
        """Say whether the objects of a kind were read in a namespace: only then is what is not here not there."""
        return plural not in self.reach or namespace in self.reach[plural]


class Origin(NamedTuple):
    """Where a target stands in a file; lines count from 1. `probes` has the line of each probe, by its name."""

    file: str
    line: int | None
    probes: Mapping[str, int | None]


@dataclass(frozen=True, slots=True)
class Target:
    """A ServiceEntry that is wanted, and the probes that prove it.

    `entry_name` is the object's name on the Kubernetes cluster; `namespace` is None where the
    target leaves it to the command line; `spec` is Istio's, verbatim.
    """

    name: str
    entry_name: str
    namespace: str | None
    spec: Mapping[str, Any]
    probes: tuple[Probe, ...]
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    origin: Origin | None = field(default=None, compare=False)
    """Where it stands, of what stands in a file."""


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
    """The pod's annotations that lead by address and port past the sidecar, as interception.py reads them: hints as well."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """The pod's, by which a Sidecar resource may select it."""
    revision: str = ""
    """The control plane's revision that the sidecar was injected for; empty where the pod does not say."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What curl reported of one transfer. Times are seconds; addresses are empty where there was no connection."""

    curl_exit: int
    error: str = ""
    http_status: int = 0
    remote_ip: str = ""
    remote_port: int = 0
    local_ip: str = ""
    local_port: int = 0
    proxied: bool = False
    """A proxy variable led the transfer somewhere else than its URL says."""
    reused: bool = False
    """It went over the connection of an earlier transfer: the marks of `connect` and `tls` are not its own."""
    seconds: Mapping[str, float] = field(default_factory=dict)
    """`lookup`, `connect`, `tls`, `total`: curl's own marks, from the start of the transfer."""
    extracted: Mapping[str, str] = field(default_factory=dict)
    unmatched: tuple[str, ...] = ()
    """Names of `extract` whose expression found nothing in the body."""


class Capture(StrEnum):
    """Whether the sidecar had the other end of a connection."""

    CAPTURED = "captured"
    NOT_CAPTURED = "not-captured"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Sent:
    """One probe that was sent: its outcome and whether its connection was captured, or why there is neither."""

    outcome: Outcome | None
    capture: Capture = Capture.UNKNOWN
    connection: tuple[int, int] = (0, 0)
    """Which exec and which local port: two probes that share both shared a connection."""
    failure: CauseCode | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Walk:
    """Where the sidecar's configuration leads a connection.

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
    direct_status: int = 0
    """The HTTP status with which the sidecar answers by itself; 0 where it does not."""
    choices: tuple[str, ...] = ()
    """The Envoy clusters of a weighted route."""
    absent: bool = False
    """The Envoy cluster is named and does not exist in the sidecar, which then closes the connection (NC)."""


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


class Counts(NamedTuple):
    """Connections of one upstream host of an Envoy cluster, or the difference of two readings of it."""

    opened: int = 0
    connect_failed: int = 0
    pending: int = 0
    requests: int = 0
    """Requests, or connections passed through; over a connection that is used again, only these move."""


class Logged(NamedTuple):
    """What a sidecar's access log says of one connection: the Envoy cluster, empty for none, and Envoy's response flags."""

    envoy_cluster: str
    flags: str = ""

    def __str__(self) -> str:
        name = self.envoy_cluster or "no Envoy cluster"
        return f"{name} with the flags {self.flags}" if self.flags else name

    def carried_by(self, envoy_cluster: str | None) -> bool:
        """Say whether it shows that this Envoy cluster carried the connection, and not only failed to.

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
    policy: str = ""
    """The outbound traffic policy as the sidecar has it: REGISTRY_ONLY, ALLOW_ANY, or empty."""
    methods: tuple[Method, ...] = ()
    refused: str = ""
    """What Envoy said when it refused the listener of the target's entry; empty where it did not."""
    destination_rule: str = ""
    """The DestinationRule (`namespace/name`) by which the Envoy cluster wraps its connections in TLS; empty for none."""
    endpoints: int | None = None
    """How many hosts the Envoy cluster has of its own; None where it connects to the address asked for, or is not known."""
    logged: Logged | None = None
    """What the access log says of this connection; None where it was not read, or does not have it."""
    sources: tuple[CountSource, ...] = ()
    """What showed that the Envoy cluster carried it, where `counted` holds."""


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """A probe, what came of it, and the judgement. `held` says whether the expectation did."""

    probe: Probe
    source: Source | None
    verdict: Verdict
    held: bool
    cause: Cause | None = None
    outcome: Outcome | None = None
    evidence: Evidence | None = None


class PartResult(NamedTuple):
    """One of several ServiceEntries of a target, and how many addresses it lists.

    `in_force` says whether the sidecar had all of them, None where that was not looked at or could not be read; `cause` is why
    not. `action` is what was done to it, empty for a look.
    """

    name: str
    addresses: int
    action: str = ""
    in_force: bool | None = None
    cause: Cause | None = None


class NotProbed(NamedTuple):
    """Why nothing was sent for a ServiceEntry, in half a sentence, and the next command to type.

    `meant` is False where it ought to have been asked and could not be.
    """

    reason: str
    hint: str = ""
    meant: bool = True


@dataclass(frozen=True, slots=True)
class TargetResult:
    """A target's probes. `step` is set where a report holds several looks at one target.

    `closure` holds the probes that were sent after the entry was removed (`run`, `cleanup`). `parts` is empty for a target of
    one ServiceEntry. `not_probed` says why there are no probes where every entry was to be verified.
    """

    name: str
    namespace: str
    service_entries: tuple[str, ...]
    probes: tuple[ProbeResult, ...]
    step: str = ""
    action: str = ""
    """What was done to the entry: `created`, `configured`, `unchanged`, `deleted`; empty for a look."""
    closure: tuple[ProbeResult, ...] = ()
    parts: tuple[PartResult, ...] = ()
    not_probed: NotProbed | None = None

    @property
    def shaky(self) -> tuple[PartResult, ...]:
        """The parts that were looked for in the sidecar, and not seen in force."""
        return tuple(part for part in self.parts if not part.action and not part.in_force)

    @property
    def verdict(self) -> Verdict:
        """The worst of its probes, of its closure's where there are none: no better than unproven with a part that is shaky."""
        verdicts = tuple(probe.verdict for probe in self.probes or self.closure)
        return worst((*verdicts, Verdict.UNPROVEN) if verdicts and self.shaky else verdicts)


class KubernetesInfo(NamedTuple):
    """Which Kubernetes cluster was asked."""

    context: str
    server: str
    version: str


class Failure(NamedTuple):
    """Why a command stopped: one sentence, and the next command to type."""

    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that a command found, for every output format. Times: RFC 3339 and seconds."""

    command: str
    run_id: str
    started_at: str
    duration: float
    exit_code: int
    kubernetes: KubernetesInfo | None
    targets: tuple[TargetResult, ...]
    warnings: tuple[str, ...] = ()
    error: Failure | None = None
    """Why nothing, or not everything, could be asked or finished."""
    allow_unproven: bool = False
    """Whether an answer without a proof passes, with a warning."""


def worst(verdicts: tuple[Verdict, ...]) -> Verdict:
    """Return the worst of the verdicts; `inconclusive` where there is none."""
    order = list(Verdict)
    return max(verdicts, key=order.index, default=Verdict.INCONCLUSIVE)


@lru_cache(maxsize=1024)
def _over_tls(origin: str) -> Speech:
    return Speech(tls=True, server_name=_server_name(urlsplit(origin).hostname or ""), protocols=("h2", "http/1.1"))


def _server_name(host: str) -> str:
    """Return the host as a TLS handshake names it: an address is not named, nor is the root's dot (RFC 6066, section 3)."""
    try:
        ip_address(host)
    except ValueError:
        return host.lower().removesuffix(".")
    return ""
