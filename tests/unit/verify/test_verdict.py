"""Judging: outcome and evidence in, verdict with cause out. A false `open` is the worst that can happen here."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import recordings
from egressctl.envoy.config import BLACKHOLE, LETS_OUT, PASSTHROUGH, RESOLVED_PASSTHROUGH
from egressctl.istio.export_to import is_exported_to_namespace
from egressctl.istio.listing import lists_address
from egressctl.mesh import send_probes
from egressctl.mesh.curl import looks_reset
from egressctl.model.cause import CauseCode
from egressctl.model.entry import MeshObjects, Port, ServiceEntry
from egressctl.model.evidence import (
    Capture,
    Counts,
    CountSource,
    CurlOutcome,
    Evidence,
    LoggedConnection,
    Method,
    Owner,
    Ownership,
    Source,
    Walk,
)
from egressctl.model.probe import Expectation, Probe, Verdict
from egressctl.verify import verify
from egressctl.verify.causes import Case, explain_cause
from egressctl.verify.evidence import Question, unsent_case
from egressctl.verify.verdict import judge, proven_methods
from entries import WIKIPEDIA as ENTRY
from examples import examples
from judged import recorded

NAME = "outbound|443||wikipedia.org"
RIVAL = replace(ENTRY, name="rival-ext", namespace="other")
PROBE = Probe("portal", "https://www.wikipedia.org")
SOURCE = Source("default", "sleep", "sleep", "istio-proxy")

ANSWER = CurlOutcome(
    0, "", 200, "208.80.154.224", 443, "10.244.0.5", 40000, seconds={"connect": 0.01, "tls": 0.02, "total": 0.03}
)
REFUSAL = replace(ANSWER, curl_exit=35, error="Recv failure: Connection reset by peer", http_status=0, seconds={"connect": 0.01})
TIME_OUT = replace(ANSWER, curl_exit=28, error="Connection timed out", http_status=0, seconds={"connect": 0.01})

WALK = Walk("0.0.0.0_443", "", NAME, "208.80.154.224/27")
OURS = Owner(Ownership.OWNED, "default/wikipedia-ext lists it")
RIVALS = Owner(Ownership.OTHERS, "it is the Envoy cluster of other/rival-ext", RIVAL)
PROVEN = Evidence(Capture.CAPTURED, False, WALK, OURS, True, Counts(1), "REGISTRY_ONLY")


def leading_to(envoy_cluster: str | None, owner: Owner | None = None, **changes: object) -> Evidence:
    """The proven evidence, with a walk to another Envoy cluster."""
    return replace(PROVEN, walk=replace(WALK, envoy_cluster=envoy_cluster), owner=owner, **changes)  # type: ignore[arg-type]


def beyond(**counts: int) -> Evidence:
    return replace(PROVEN, counts=Counts(**counts))


@dataclass(frozen=True)
class Example:
    """One situation of the verdict table, told by what differs from the one that is open."""

    name: str
    verdict: Verdict
    cause: CauseCode | None = None
    outcome: CurlOutcome = ANSWER
    evidence: Evidence = PROVEN
    source: Source = SOURCE
    probe: Probe = PROBE
    entry_name: str = "wikipedia-ext"
    entry: ServiceEntry | None = ENTRY
    around: MeshObjects | None = None
    says: tuple[str, ...] = field(default_factory=tuple)

    @property
    def situation(self) -> Case:
        return Case(self.probe, self.source, self.outcome, self.evidence, self.entry_name, self.entry, self.around)


OPEN, BYPASSED, BLOCKED = Verdict.OPEN, Verdict.BYPASSED, Verdict.BLOCKED
FAILED, UNPROVEN, INCONCLUSIVE = Verdict.FAILED, Verdict.UNPROVEN, Verdict.INCONCLUSIVE
C = CauseCode
NO_SIDECAR, AMBIENT = replace(SOURCE, proxy=None), replace(SOURCE, ambient=True)
NOT_READY = replace(SOURCE, proxy_ready=False, proxy_state="running, and its readiness probe fails")
UNREAD = Evidence(Capture.CAPTURED)
REFUSED_BY_MESH = leading_to(BLACKHOLE)


def with_exit(number: int, **changes: object) -> CurlOutcome:
    return replace(ANSWER, curl_exit=number, http_status=0, error="what curl said", **changes)  # type: ignore[arg-type]


def speaking(protocol: str, *hosts: str, **changes: object) -> ServiceEntry:
    """The entry with its port declared otherwise."""
    return replace(ENTRY, ports=(Port(443, protocol, "port"),), hosts=hosts or ENTRY.hosts, **changes)  # type: ignore[arg-type]


def routed(envoy_cluster: str | None = NAME, **changes: object) -> Evidence:
    """The proven evidence of an HTTP request that a route takes."""
    walk = replace(WALK, prefix="", envoy_cluster=envoy_cluster, http_route="80 / www.wikipedia.org:80 / default")
    return replace(PROVEN, walk=replace(walk, **changes))  # type: ignore[arg-type]


def sidecar_resource(*hosts: str) -> MeshObjects:
    egress = [{"hosts": list(hosts)}]
    return MeshObjects(sidecars=({"metadata": {"namespace": "default", "name": "little"}, "spec": {"egress": egress}},))


def virtual_service(*hosts: str) -> MeshObjects:
    detour = {"metadata": {"namespace": "default", "name": "detour"}, "spec": {"hosts": list(hosts)}}
    return MeshObjects(virtual_services=(detour,))


HTTP_PROBE = replace(PROBE, url="http://www.wikipedia.org:443")
ANY_STATUS = replace(HTTP_PROBE, expect=Expectation(status=None))
DETOUR = replace(WALK, envoy_cluster="outbound|443||other.example", virtual_service="default/detour")
ELSEWHERE = Owner(Ownership.OTHERS, "it is the Envoy cluster of host other.example of namespace default")
WRAPPED = replace(PROVEN, destination_rule="default/tls", counts=Counts(1, 1))
WEB = speaking("HTTP", "www.wikipedia.org")
ALLOCATED = replace(ENTRY, addresses=(), allocated=("240.240.0.1",), resolution="DNS")

EXAMPLES = [
    # open
    Example("all four", OPEN),
    Example("any status, where none is expected", OPEN, outcome=replace(ANSWER, http_status=404),
            probe=replace(PROBE, expect=Expectation(status=None))),
    Example("another status, where it is the expected one", OPEN, outcome=replace(ANSWER, http_status=301),
            probe=replace(PROBE, expect=Expectation(status=301))),
    Example("a bare URL that some entry carries", OPEN, entry_name="", entry=None),
    Example("a route of HTTP", OPEN, evidence=routed(), probe=HTTP_PROBE, entry=WEB),
    Example("the entry's side of a weighted route", OPEN,
            evidence=replace(PROVEN, walk=replace(WALK, choices=(NAME, "outbound|443||other.example")))),
    # bypassed
    Example("TLS on a port declared HTTP falls to the policy", BYPASSED, C.PROTOCOL_MISMATCH, evidence=leading_to(PASSTHROUGH),
            entry=speaking("HTTP"), says=("declares it HTTP", "speaks TLS", PASSTHROUGH)),
    Example("plain text on a port declared TLS", BYPASSED, C.PROTOCOL_MISMATCH, evidence=leading_to(PASSTHROUGH),
            entry=speaking("TLS"), probe=HTTP_PROBE, says=("declares it TLS", "plain HTTP")),
    Example("a port declared UDP", BYPASSED, C.PROTOCOL_MISMATCH, evidence=leading_to(PASSTHROUGH), entry=speaking("UDP")),
    Example("another server name than the entry's", BYPASSED, C.HOST_NOT_LISTED, evidence=leading_to(PASSTHROUGH),
            entry=speaking("TLS", "en.wikipedia.org"), says=("en.wikipedia.org", "www.wikipedia.org")),
    Example("a server name that a wildcard names", BYPASSED, C.NOT_PROPAGATED, evidence=leading_to(PASSTHROUGH),
            entry=speaking("TLS", "*.wikipedia.org")),
    Example("a VirtualService leads elsewhere", BYPASSED, C.REROUTED, evidence=replace(PROVEN, walk=DETOUR, owner=ELSEWHERE),
            around=virtual_service("wikipedia.org"), says=("VirtualService default/detour", "other.example")),
    Example("a VirtualService that could not be read leads elsewhere", BYPASSED, C.REROUTED,
            evidence=replace(PROVEN, walk=DETOUR, owner=ELSEWHERE)),
    Example("another entry carried it, by a VirtualService of its own host", BYPASSED, C.RIVAL_ENTRY,
            evidence=replace(PROVEN, walk=DETOUR, owner=RIVALS), around=virtual_service("other.example")),
    Example("a Sidecar resource leaves it out, and lets everything out", BYPASSED, C.HIDDEN_BY_SIDECAR,
            evidence=leading_to(PASSTHROUGH), around=sidecar_resource("istio-system/*"),
            says=("Sidecar default/little", "istio-system/*")),
    Example("Envoy refused its listener", BYPASSED, C.REJECTED_BY_PROXY, says=("duplicate address",),
            evidence=replace(leading_to(PASSTHROUGH), refused="error adding listener: duplicate address")),
    Example("the mesh exports nothing by itself", BYPASSED, C.NOT_EXPORTED, evidence=leading_to(PASSTHROUGH),
            entry=replace(ENTRY, namespace="other"), around=MeshObjects(default_export_to=(".",)),
            says=("defaultServiceExportTo is .",)),
    Example("the control plane of another revision reads it", BYPASSED, C.NOT_PROPAGATED, evidence=leading_to(PASSTHROUGH),
            entry=replace(ENTRY, revision="canary"), source=replace(SOURCE, revision="stable"), around=MeshObjects(),
            says=("istio.io/rev=canary", "of revision stable")),
    Example("one of Istio's own ports", BYPASSED, C.NOT_PROPAGATED, evidence=leading_to(PASSTHROUGH), around=MeshObjects(),
            entry=replace(ENTRY, ports=(Port(15021, "TCP", "health"),)), says=("a sidecar gets no listener for port 15021",),
            probe=replace(PROBE, url="https://www.wikipedia.org:15021")),
    Example("the sidecar still has an address that the entry no longer lists", BYPASSED, C.ADDRESS_NOT_LISTED,
            entry=replace(ENTRY, addresses=("192.0.2.0/24",)), says=("192.0.2.0/24",),
            evidence=replace(PROVEN, owner=Owner(Ownership.OTHERS, "the sidecar has it, and the entry does not list it"))),
    Example("the sidecar still has a port that the entry no longer names", BYPASSED, C.PORT_NOT_LISTED,
            entry=replace(ENTRY, ports=(Port(8443, "TCP", "tcp-port"),)),
            evidence=replace(PROVEN, owner=Owner(Ownership.OTHERS, "the sidecar has it, and the entry does not name it"))),
    Example("resolved by another than the sidecar's DNS", BYPASSED, C.ADDRESS_NOT_LISTED, evidence=leading_to(PASSTHROUGH),
            entry=ALLOCATED, source=replace(SOURCE, dns_capture=True), says=("240.240.0.1", "the sidecar's own DNS")),
    Example("an address that Istio gave, and a sidecar that answers no DNS", BYPASSED, C.NOT_PROPAGATED,
            evidence=leading_to(PASSTHROUGH), entry=ALLOCATED),
    Example("let out by the policy, no target", BYPASSED, C.PASSTHROUGH, evidence=leading_to(PASSTHROUGH), entry_name="",
            entry=None, says=("ALLOW_ANY", "208.80.154.224:443", PASSTHROUGH)),
    Example("let out by the policy, no entry", BYPASSED, C.ENTRY_MISSING, evidence=leading_to(PASSTHROUGH), entry=None,
            says=("wikipedia-ext", "namespace default", PASSTHROUGH)),
    Example("the entry is gone, and the sidecar has it still", BYPASSED, C.ENTRY_MISSING, entry=None,
            evidence=leading_to(NAME), says=(NAME,)),
    Example("let out by the policy, address not listed", BYPASSED, C.ADDRESS_NOT_LISTED, evidence=leading_to(PASSTHROUGH),
            outcome=replace(ANSWER, remote_ip="208.80.153.99"), says=("208.80.153.99", "208.80.154.224/27")),
    Example("let out by the policy, port not listed", BYPASSED, C.PORT_NOT_LISTED, evidence=leading_to(PASSTHROUGH),
            probe=replace(PROBE, url="https://www.wikipedia.org:8443"), says=("443", "8443")),
    Example("let out by the policy, not exported", BYPASSED, C.NOT_EXPORTED, evidence=leading_to(PASSTHROUGH),
            entry=replace(ENTRY, namespace="other", export_to=(".",)), says=("exportTo of other/wikipedia-ext is .",)),
    Example("let out by the policy, not propagated", BYPASSED, C.NOT_PROPAGATED, evidence=leading_to(PASSTHROUGH),
            says=("default/wikipedia-ext", PASSTHROUGH)),
    Example("another entry carried it", BYPASSED, C.RIVAL_ENTRY, evidence=leading_to("outbound|443||other.example", RIVALS),
            says=("ServiceEntry other/rival-ext", "not default/wikipedia-ext")),
    Example("another route carried it", BYPASSED, C.RIVAL_ENTRY, says=("not default/wikipedia-ext", "the probe expects gw"),
            evidence=leading_to(NAME, Owner(Ownership.OTHERS, "the probe expects gw, and the connection goes to wikipedia.org"))),
    Example("another way than a bare URL's expectation names", BYPASSED, C.RIVAL_ENTRY, entry_name="", entry=None,
            evidence=leading_to(NAME, Owner(Ownership.OTHERS, "the probe expects gw, and the connection goes to wikipedia.org")),
            says=("the probe expects gw",)),
    Example("no sidecar", BYPASSED, C.NO_SIDECAR, source=NO_SIDECAR, evidence=Evidence(), says=("default/sleep",)),
    Example("not captured", BYPASSED, C.NOT_CAPTURED, evidence=replace(PROVEN, capture=Capture.NOT_CAPTURED), says=("15001",)),
    Example("led elsewhere by a proxy variable", BYPASSED, C.NOT_CAPTURED, says=("proxy variable", "3128"),
            outcome=replace(ANSWER, proxied=True, remote_port=3128)),
    # blocked
    Example("refused, no target", BLOCKED, C.BLACKHOLE, REFUSAL, REFUSED_BY_MESH, entry_name="", entry=None,
            says=("REGISTRY_ONLY", "208.80.154.224:443")),
    Example("refused, no entry", BLOCKED, C.ENTRY_MISSING, REFUSAL, REFUSED_BY_MESH, entry=None, says=(BLACKHOLE,)),
    Example("refused, the walk leads to nothing", BLOCKED, C.ENTRY_MISSING, REFUSAL, leading_to(None), entry=None,
            says=("no Envoy cluster",)),
    Example("refused, address not listed", BLOCKED, C.ADDRESS_NOT_LISTED, replace(REFUSAL, remote_ip="192.0.2.1"),
            REFUSED_BY_MESH),
    Example("refused, port not listed", BLOCKED, C.PORT_NOT_LISTED, REFUSAL, REFUSED_BY_MESH,
            entry=replace(ENTRY, ports=(Port(80, "TCP", "web"),)), says=("port 80", "443")),
    Example("refused, not exported", BLOCKED, C.NOT_EXPORTED, REFUSAL, REFUSED_BY_MESH, entry=replace(ENTRY, export_to=("prod",)),
            says=("prod", "namespace default")),
    Example("refused, not propagated", BLOCKED, C.NOT_PROPAGATED, REFUSAL, REFUSED_BY_MESH, says=(BLACKHOLE,)),
    Example("refused, another namespace's entry of the host stands in the way", BLOCKED, C.RIVAL_ENTRY, REFUSAL,
            leading_to(BLACKHOLE, RIVALS), says=("other/rival-ext",)),
    Example("refused, shown by a companion", BLOCKED, C.NOT_PROPAGATED, REFUSAL, replace(REFUSED_BY_MESH, companion=True)),
    Example("another server name than the entry's, refused", BLOCKED, C.HOST_NOT_LISTED, REFUSAL, REFUSED_BY_MESH,
            entry=speaking("TLS", "en.wikipedia.org")),
    Example("the sidecar answers a host that no entry names by itself", BLOCKED, C.HOST_NOT_LISTED,
            replace(ANSWER, http_status=502), routed(None, direct_status=502), probe=HTTP_PROBE, entry=speaking("HTTP")),
    Example("the same, where any status would do", BLOCKED, C.HOST_NOT_LISTED,
            replace(ANSWER, http_status=502), routed(None, direct_status=502), probe=ANY_STATUS, entry=speaking("HTTP")),
    Example("a VirtualService leads to an Envoy cluster that is not there", BLOCKED, C.REROUTED, REFUSAL,
            replace(PROVEN, walk=replace(DETOUR, absent=True), owner=None), says=("that the sidecar does not have",)),
    Example("a VirtualService that answers by itself", BLOCKED, C.REROUTED, replace(ANSWER, http_status=418),
            routed(None, direct_status=418, virtual_service="default/detour"), probe=HTTP_PROBE, entry=WEB, says=("HTTP 418",)),
    Example("a VirtualService has no route for the request", BLOCKED, C.REROUTED, replace(ANSWER, http_status=404),
            routed(None, direct_status=404, unrouted=True, virtual_service="default/detour"), probe=HTTP_PROBE, entry=WEB,
            says=("VirtualService default/detour has no route for the path / on port 443",)),
    Example("the entry's own Envoy cluster is not there yet", BLOCKED, C.NOT_PROPAGATED, REFUSAL,
            replace(PROVEN, walk=replace(WALK, absent=True), owner=None)),
    Example("a Sidecar resource leaves it out", BLOCKED, C.HIDDEN_BY_SIDECAR, REFUSAL, REFUSED_BY_MESH,
            around=sidecar_resource("~/*"), says=("Sidecar default/little",)),
    Example("a Sidecar resource keeps another of its blocks", BLOCKED, C.HIDDEN_BY_SIDECAR, REFUSAL, REFUSED_BY_MESH,
            entry=replace(ENTRY, addresses=("198.35.26.96/27", *ENTRY.addresses)), around=sidecar_resource("./wikipedia.org"),
            says=("names the host exactly", "only one of its blocks")),
    Example("a Sidecar resource imports it, and the control plane is slow", BLOCKED, C.NOT_PROPAGATED, REFUSAL, REFUSED_BY_MESH,
            around=sidecar_resource("./*"), says=("the control plane has not pushed it",)),
    Example("Envoy refused its listener, and the policy refuses", BLOCKED, C.REJECTED_BY_PROXY, REFUSAL,
            replace(REFUSED_BY_MESH, refused="duplicate address")),
    Example("another namespace's entry of the host, told by the others' list", BLOCKED, C.RIVAL_ENTRY, REFUSAL, REFUSED_BY_MESH,
            entry=replace(ENTRY, namespace="other"), around=MeshObjects(entries=(ENTRY,)), says=("default/wikipedia-ext has",)),
    Example("a 502 where the way leads nowhere", INCONCLUSIVE, C.EVIDENCE_LOST, replace(ANSWER, http_status=502),
            replace(routed(None), counts=Counts(connect_failed=1)), says=("curl met something else",)),
    Example("PassthroughCluster is not there", INCONCLUSIVE, C.EVIDENCE_LOST, REFUSAL,
            replace(PROVEN, owner=None, walk=replace(WALK, envoy_cluster=PASSTHROUGH, absent=True)), says=("does not have",)),
    Example("no endpoints", BLOCKED, C.NO_ENDPOINTS, REFUSAL, replace(PROVEN, counted=False, endpoints=0),
            entry=replace(ENTRY, resolution="STATIC"), says=(NAME, "lists no endpoints")),
    Example("no endpoints, of a selector", BLOCKED, C.NO_ENDPOINTS, REFUSAL, replace(PROVEN, counted=False, endpoints=0),
            entry=replace(ENTRY, resolution="STATIC", has_moving_endpoints=True), says=("takes no WorkloadEntry and no pod",)),
    Example("no endpoints, and the sidecar says so in HTTP", BLOCKED, C.NO_ENDPOINTS, replace(ANSWER, http_status=503),
            replace(routed(), endpoints=0), probe=ANY_STATUS, entry=replace(WEB, resolution="DNS"), says=("could be resolved",)),
    # failed
    Example("TLS inside TLS", FAILED, C.REROUTED, REFUSAL, WRAPPED, says=("DestinationRule default/tls", "TLS already")),
    Example("TLS inside TLS, and the other side says so", FAILED, C.REROUTED, evidence=replace(WRAPPED, counts=Counts(1)),
            outcome=replace(REFUSAL, error="OpenSSL/3.0.17: error:0A00010B:SSL routines::wrong version number")),
    Example("a VirtualService leads where nothing listens", FAILED, C.REROUTED, REFUSAL,
            replace(PROVEN, walk=DETOUR, owner=ELSEWHERE, counts=Counts(1, 1)), says=("default/detour", "refused")),
    Example("the sidecar could not connect, and says so in HTTP", FAILED, C.CONNECT_REFUSED, replace(ANSWER, http_status=503),
            replace(routed(), counts=Counts(3, 3)), probe=ANY_STATUS, entry=WEB),
    Example("a rule adds TLS where plain text is spoken", FAILED, C.REROUTED, replace(ANSWER, http_status=503),
            replace(routed(), counts=Counts(1, 1), destination_rule="default/tls", upstream_port=80), probe=ANY_STATUS, entry=WEB,
            says=("DestinationRule default/tls adds TLS", "port 80 of the server, which speaks plain text")),
    Example("a rule adds TLS where TLS is spoken", FAILED, C.CONNECT_REFUSED, replace(ANSWER, http_status=503),
            replace(routed(), counts=Counts(1, 1), destination_rule="default/tls", upstream_port=443),
            probe=ANY_STATUS, entry=WEB, says=("DestinationRule default/tls adds", "the connection, or its certificate")),
    Example("plain HTTP to the port for TLS, by targetPort", FAILED, C.PROTOCOL_MISMATCH, replace(ANSWER, http_status=503),
            replace(routed(), counts=Counts(1), upstream_port=443), probe=replace(ANY_STATUS, url="http://www.wikipedia.org"),
            entry=replace(WEB, ports=(Port(80, "HTTP", "http"),)),
            says=("has a targetPort, by which port 80 leads as plain HTTP to port 443", "no DestinationRule adds TLS")),
    Example("plain HTTP to the port for TLS, by a route", FAILED, C.REROUTED, replace(ANSWER, http_status=503),
            replace(routed(f"outbound|443||{WEB.hosts[0]}", virtual_service="default/up"), counts=Counts(1), upstream_port=443),
            probe=replace(ANY_STATUS, url="http://www.wikipedia.org"), entry=replace(WEB, ports=(Port(80, "HTTP", "http"),)),
            says=("VirtualService default/up sends plain HTTP to port 443",)),
    Example("TLS to a port for plain HTTP, by targetPort", FAILED, C.PROTOCOL_MISMATCH,
            replace(REFUSAL, error="OpenSSL/3.0.17: error:0A00010B:SSL routines::wrong version number"),
            replace(PROVEN, counts=Counts(1), upstream_port=80), says=("port 443 leads as TLS to port 80",)),
    Example("HTTP/2 to who speaks none", FAILED, C.PROTOCOL_MISMATCH, replace(ANSWER, http_status=502), routed(),
            probe=ANY_STATUS, entry=speaking("GRPC"), says=("declares it HTTP/2",)),
    Example("the name does not resolve", FAILED, C.NAME_RESOLUTION, with_exit(6, remote_ip="", remote_port=0), Evidence(),
            says=("www.wikipedia.org", "curl exit 6: what curl said")),
    Example("the name does not resolve, ambient", FAILED, C.NAME_RESOLUTION, with_exit(6), Evidence(), AMBIENT),
    Example("refused beyond", FAILED, C.CONNECT_REFUSED, REFUSAL, beyond(opened=1, connect_failed=1), says=(NAME,)),
    Example("given up beyond", FAILED, C.CONNECT_TIMEOUT, replace(REFUSAL, seconds={"total": 10.1}),
            beyond(opened=1, connect_failed=1)),
    Example("no connection beyond", FAILED, C.CONNECT_TIMEOUT, TIME_OUT, beyond(opened=1, pending=1)),
    Example("the sidecar is still connecting when curl is reset", FAILED, C.CONNECT_TIMEOUT, REFUSAL, beyond(pending=1)),
    Example("connected and silent", FAILED, C.TIMEOUT, TIME_OUT, beyond(opened=1)),
    Example("cut beyond", FAILED, C.RESET, REFUSAL, beyond(opened=1), says=(NAME,)),
    Example("the certificate", FAILED, C.TLS_CERTIFICATE, with_exit(60), says=("www.wikipedia.org", "curl exit 60")),
    Example("the handshake", FAILED, C.TLS_HANDSHAKE, replace(REFUSAL, error="sslv3 alert handshake failure")),
    Example("another status", FAILED, C.HTTP_STATUS, replace(ANSWER, http_status=404), says=("404", "200")),
    Example("another status, let out by the policy", FAILED, C.HTTP_STATUS, replace(ANSWER, http_status=404),
            leading_to(PASSTHROUGH)),
    Example("another body", FAILED, C.BODY_MISMATCH, replace(ANSWER, unmatched=("articles",)), says=("articles",)),
    Example("a search that was given up", FAILED, C.BODY_MISMATCH,
            replace(ANSWER, unmatched=("articles",), given_up="articles was given up after 1 s: (a|aa)+$"),
            says=("given up after 1 s: (a|aa)+$",)),
    Example("a body that is too long", FAILED, C.BODY_MISMATCH, with_exit(63)),
    Example("no sidecar, and refused", FAILED, C.CONNECT_REFUSED, with_exit(7), Evidence(), NO_SIDECAR),
    Example("no sidecar, and cut", FAILED, C.RESET, REFUSAL, Evidence(), NO_SIDECAR),
    Example("not captured, and refused", FAILED, C.NOT_CAPTURED, with_exit(7), replace(PROVEN, capture=Capture.NOT_CAPTURED),
            says=("did not go through the sidecar", "refused the connection")),
    Example("a proxy that refuses", FAILED, C.NOT_CAPTURED, with_exit(56, proxied=True, remote_port=3128), says=("3128",)),
    # unproven
    Example("ambient", UNPROVEN, C.AMBIENT, source=AMBIENT, evidence=Evidence()),
    Example("capture not known", UNPROVEN, C.EVIDENCE_LOST, evidence=replace(PROVEN, capture=Capture.UNKNOWN),
            says=("socket table",)),
    Example("sidecar not readable", UNPROVEN, C.PROXY_UNREADABLE, evidence=UNREAD, says=("default/sleep",)),
    Example("walk not understood", UNPROVEN, C.EVIDENCE_LOST, says=("depends on server_names",),
            evidence=replace(PROVEN, walk=replace(WALK, unknown="it depends on server_names"))),
    Example("an answer from BlackHoleCluster", UNPROVEN, C.EVIDENCE_LOST, evidence=leading_to(BLACKHOLE, OURS),
            says=("do not fit together",)),
    Example("an answer from nowhere", UNPROVEN, C.EVIDENCE_LOST, evidence=leading_to(None, OURS), says=("nothing",)),
    Example("owner not known", UNPROVEN, C.EVIDENCE_LOST, says=("two share it", NAME),
            evidence=replace(PROVEN, owner=Owner(Ownership.UNKNOWN, "two share it"))),
    Example("no owner", UNPROVEN, C.EVIDENCE_LOST, evidence=replace(PROVEN, owner=None), says=("no ServiceEntry",)),
    Example("not counted", UNPROVEN, C.EVIDENCE_LOST, evidence=replace(PROVEN, counted=False), says=("did not move",)),
    Example("not counted, and in the access log", OPEN, evidence=replace(PROVEN, counted=False, logged=LoggedConnection(NAME))),
    Example("no counts, and in the access log", OPEN,
            evidence=replace(PROVEN, counted=None, logged=LoggedConnection(NAME, "DC"))),
    Example("the access log says another", UNPROVEN, C.EVIDENCE_LOST,
            evidence=replace(PROVEN, logged=LoggedConnection(PASSTHROUGH)),
            says=("the sources disagree", NAME, "its access log says PassthroughCluster")),
    Example("the access log says none", UNPROVEN, C.EVIDENCE_LOST, evidence=replace(PROVEN, logged=LoggedConnection("", "NC")),
            says=("the sources disagree", "its access log says no Envoy cluster with the flags NC")),
    Example("the access log says that the Envoy cluster did not connect", UNPROVEN, C.EVIDENCE_LOST,
            evidence=replace(PROVEN, counted=None, logged=LoggedConnection(NAME, "UF,URX")),
            says=("the sources disagree", "UF,URX")),
    Example("the access log says ours, the configuration another", UNPROVEN, C.EVIDENCE_LOST,
            evidence=leading_to(PASSTHROUGH, logged=LoggedConnection(NAME)), says=("the sources disagree",)),
    Example("counts not readable", UNPROVEN, C.EVIDENCE_LOST, evidence=replace(PROVEN, counted=None), says=("not be read",)),
    Example("an answer that may be the sidecar's own", UNPROVEN, C.EVIDENCE_LOST, replace(ANSWER, http_status=503), routed(),
            probe=ANY_STATUS, entry=WEB, says=("may be the sidecar's own answer",)),
    Example("an answer from an Envoy cluster without hosts", UNPROVEN, C.EVIDENCE_LOST, evidence=replace(PROVEN, endpoints=0),
            says=("which has no hosts",)),
    Example("an answer from an Envoy cluster that is not there", UNPROVEN, C.EVIDENCE_LOST,
            evidence=replace(PROVEN, walk=replace(WALK, absent=True))),
    Example("another answer than the sidecar's own", UNPROVEN, C.EVIDENCE_LOST, evidence=routed(None, direct_status=502),
            probe=HTTP_PROBE, entry=WEB, says=("do not fit together",)),
    Example("chance decides, and the counts do not tell", UNPROVEN, C.EVIDENCE_LOST, says=("chance decides between",),
            evidence=replace(PROVEN, walk=replace(WALK, envoy_cluster=None, choices=(NAME, "outbound|443||other.example")))),
    # inconclusive
    Example("ambient, and no answer", INCONCLUSIVE, C.AMBIENT, REFUSAL, Evidence(), AMBIENT),
    Example("no answer, sidecar not readable", INCONCLUSIVE, C.PROXY_UNREADABLE, REFUSAL, UNREAD),
    Example("cut, and the counts are not readable", INCONCLUSIVE, C.PROXY_UNREADABLE, REFUSAL, replace(PROVEN, counts=None)),
    Example("cut, and the counts show nothing", INCONCLUSIVE, C.EVIDENCE_LOST, REFUSAL, beyond()),
    Example("no answer, walk not understood", INCONCLUSIVE, C.EVIDENCE_LOST, REFUSAL,
            replace(PROVEN, walk=replace(WALK, unknown="it depends on server_names"))),
    Example("refused, capture not known", INCONCLUSIVE, C.EVIDENCE_LOST, REFUSAL,
            replace(REFUSED_BY_MESH, capture=Capture.UNKNOWN), says=("nothing shows whether by the sidecar",)),
    Example("time-out, neither captured nor counted", INCONCLUSIVE, C.EVIDENCE_LOST, TIME_OUT,
            replace(beyond(opened=0), capture=Capture.UNKNOWN)),
    Example("time-out, its row gone and its connection counted", FAILED, C.TIMEOUT, TIME_OUT,
            replace(beyond(opened=1), capture=Capture.UNKNOWN)),
    Example("something else where the mesh refuses", INCONCLUSIVE, C.EVIDENCE_LOST, with_exit(60), REFUSED_BY_MESH),
    Example("a time-out where the mesh refuses", INCONCLUSIVE, C.EVIDENCE_LOST, TIME_OUT, REFUSED_BY_MESH),
    Example("a 502 where the mesh refuses", INCONCLUSIVE, C.EVIDENCE_LOST, replace(ANSWER, http_status=502), REFUSED_BY_MESH,
            says=("502",)),
    Example("exit 7 in front of a sidecar that could not be read", INCONCLUSIVE, C.PROXY_UNREADABLE, with_exit(7), UNREAD,
            says=("none listens yet",)),
    Example("exit 7 in front of a sidecar that listens", FAILED, C.NOT_CAPTURED, with_exit(7), says=("no sidecar took",)),
    Example("IPv6 from a pod that has none", FAILED, C.IP_FAMILY, with_exit(7, remote_ip="", local_ip="", seconds={}), UNREAD,
            replace(SOURCE, addresses=("10.244.0.5",), proxy_ready=False), replace(PROBE, url="https://[2620::1]"),
            says=("[2620::1]:443 is IPv6, and pod sleep has IPv4 alone",)),
    Example("a bare connection over IPv6 from a pod that has none", FAILED, C.IP_FAMILY,
            with_exit(7, remote_ip="", remote_port=0, seconds={}), source=replace(SOURCE, addresses=("10.244.0.5",)),
            probe=replace(PROBE, url="tcp://[2620::1]:25"), says=("[2620::1]:25 is IPv6",)),
    Example("IPv6 from a pod of which nothing is known", FAILED, C.NOT_CAPTURED, with_exit(7, remote_ip="", seconds={}),
            probe=replace(PROBE, url="https://[2620::1]"), says=("no sidecar took",)),
    Example("IPv6 redirected to a sidecar that listens for IPv4 alone", FAILED, C.NOT_CAPTURED,
            with_exit(7, remote_ip="2620::1"), replace(PROVEN, deaf=True), says=("[2620::1]:443", "listens for no IPv6")),
    Example("IPv6 past a sidecar that listens for IPv4 alone", BYPASSED, C.NOT_CAPTURED, replace(ANSWER, remote_ip="2620::1"),
            replace(PROVEN, capture=Capture.NOT_CAPTURED, deaf=True), says=("which listens for no IPv6", "ISTIO_DUAL_STACK")),
    Example("IPv6 that the entry does not list", BLOCKED, C.ADDRESS_NOT_LISTED, replace(REFUSAL, remote_ip="2620::1"),
            REFUSED_BY_MESH, says=("resolved to 2620::1, which is IPv6, and wikipedia-ext lists IPv4 alone",)),
    Example("exit 7, and the sidecar is not ready", INCONCLUSIVE, C.SIDECAR_NOT_READY, with_exit(7), source=NOT_READY,
            says=("its readiness probe fails",)),
    Example("no answer, and the sidecar is neither ready nor readable", INCONCLUSIVE, C.SIDECAR_NOT_READY, REFUSAL, UNREAD,
            NOT_READY),
    Example("an exit that names nothing", INCONCLUSIVE, C.EXEC_FAILED, with_exit(43), says=("curl exit 43",)),
]  # fmt: skip


@pytest.mark.parametrize("example", EXAMPLES, ids=[f"{each.verdict}: {each.name}" for each in EXAMPLES])
def test_by_example(example: Example) -> None:
    judged = judge(example.situation)
    assert (judged.verdict, judged.cause.code if judged.cause else None) == (example.verdict, example.cause)
    for words in example.says:
        assert judged.cause is not None
        assert words in judged.cause.message


def test_every_verdict_has_its_examples() -> None:
    assert {example.verdict for example in EXAMPLES} == set(Verdict)


def test_every_cause_is_some_situations() -> None:
    judged = {example.cause for example in EXAMPLES if example.cause}
    # What could not be sent is judged by nobody: those who tried to send it name the cause.
    tried = "".join(map(inspect.getsource, (send_probes, verify)))
    unsent = {CauseCode[name] for name in re.findall(r"CauseCode\.([A-Z_]+)", tried)}
    assert {C.NO_SOURCE_POD, C.NO_CURL, C.EXEC_FORBIDDEN, C.EXEC_FAILED} <= unsent
    assert judged | unsent == set(CauseCode)


@pytest.mark.parametrize("code", list(CauseCode))
def test_every_cause_has_a_sentence_and_a_next_step_even_where_nothing_is_known(code: CauseCode) -> None:
    unasked = judge(unsent_case(Question(PROBE), SOURCE, code, ""))
    assert unasked.verdict is INCONCLUSIVE
    assert not unasked.held
    for cause in (unasked.cause, explain_cause(code, EXAMPLES[0].situation)):
        assert cause is not None
        assert cause.code is code
        assert cause.message.strip()
        assert cause.hint.strip()
        assert "None" not in cause.message + cause.hint


def test_what_the_caller_knows_replaces_the_sentence_and_keeps_the_next_step() -> None:
    cause = explain_cause(C.EXEC_FAILED, EXAMPLES[0].situation, "the stream broke")
    assert (cause.message, cause.hint) == ("the stream broke", "kubectl exec -n default sleep -c sleep -- curl --version")


# Precedence: what makes a piece of evidence worthless goes before it


def verdict_of(**changes: object) -> tuple[Verdict, CauseCode | None]:
    judged = judge(replace(EXAMPLES[0].situation, **changes))  # type: ignore[arg-type]
    return judged.verdict, judged.cause.code if judged.cause else None


def test_an_ambient_pod_proves_nothing_whatever_the_rest_says() -> None:
    for source in (AMBIENT, replace(AMBIENT, proxy=None)):
        assert verdict_of(source=source) == (UNPROVEN, C.AMBIENT)


def test_without_a_sidecar_nothing_else_counts() -> None:
    assert verdict_of(source=NO_SIDECAR) == (BYPASSED, C.NO_SIDECAR)


@pytest.mark.parametrize("capture", list(Capture))
def test_a_proxied_transfer_is_never_open(capture: Capture) -> None:
    outcome, evidence = replace(ANSWER, proxied=True), replace(PROVEN, capture=capture)
    assert verdict_of(outcome=outcome, evidence=evidence) == (BYPASSED, C.NOT_CAPTURED)


def test_not_captured_goes_before_what_the_walk_and_the_counts_say() -> None:
    for evidence in (PROVEN, leading_to(PASSTHROUGH), leading_to(BLACKHOLE), UNREAD):
        assert verdict_of(evidence=replace(evidence, capture=Capture.NOT_CAPTURED)) == (BYPASSED, C.NOT_CAPTURED)


def test_unknown_capture_goes_before_passthrough() -> None:
    """A companion was never asked for after an answer: what is not known to be captured is not known to be let out."""
    assert verdict_of(evidence=leading_to(PASSTHROUGH, capture=Capture.UNKNOWN)) == (UNPROVEN, C.EVIDENCE_LOST)


def test_the_policys_envoy_cluster_is_bypassed_even_where_it_is_said_to_be_owned() -> None:
    assert verdict_of(evidence=leading_to(PASSTHROUGH, OURS)) == (BYPASSED, C.NOT_PROPAGATED)


def test_an_entry_that_is_gone_is_never_open() -> None:
    assert verdict_of(entry=None) == (BYPASSED, C.ENTRY_MISSING)


def test_the_port_goes_before_the_address_and_the_address_before_the_rival() -> None:
    other_port = replace(ENTRY, ports=(Port(80, "TCP", "web"),), addresses=("192.0.2.0/24",))
    evidence = leading_to("outbound|443||other.example", replace(RIVALS, rival=replace(RIVAL, hosts=("other.example",))))
    assert verdict_of(evidence=evidence, entry=other_port) == (BYPASSED, C.PORT_NOT_LISTED)
    other_address = replace(ENTRY, addresses=("192.0.2.0/24",))
    assert verdict_of(evidence=evidence, entry=other_address) == (BYPASSED, C.ADDRESS_NOT_LISTED)


def test_where_another_entry_of_the_host_sent_it_the_address_does_no_harm() -> None:
    evidence = leading_to("outbound|443||wikipedia.org", RIVALS)
    assert verdict_of(evidence=evidence, entry=replace(ENTRY, addresses=("192.0.2.0/24",))) == (BYPASSED, C.RIVAL_ENTRY)


def test_a_wrong_status_is_no_answer_that_proves_anything() -> None:
    assert verdict_of(outcome=replace(ANSWER, http_status=500)) == (FAILED, C.HTTP_STATUS)
    assert verdict_of(outcome=replace(ANSWER, http_status=0)) == (FAILED, C.HTTP_STATUS)


# The expectation


@pytest.mark.parametrize("expected", list(Verdict))
def test_an_expectation_holds_where_the_verdict_is_the_one_expected(expected: Verdict) -> None:
    for example in EXAMPLES:
        probe = replace(example.probe, expect=replace(example.probe.expect, verdict=expected))
        found = judge(replace(example.situation, probe=probe))
        assert found.held is (example.verdict is expected)
        assert (found.probe, found.source, found.outcome) == (probe, example.source, example.outcome)


def test_the_evidence_of_a_result_names_the_methods_that_hold() -> None:
    found = judge(EXAMPLES[0].situation)
    assert found.evidence is not None
    assert found.evidence.methods == (Method.CAPTURED, Method.STATIC, Method.OWNED, Method.COUNTED)


@pytest.mark.parametrize(
    ("evidence", "lacking"),
    [
        (replace(PROVEN, capture=Capture.UNKNOWN), Method.CAPTURED),
        (replace(PROVEN, capture=Capture.NOT_CAPTURED), Method.CAPTURED),
        (replace(PROVEN, walk=None), Method.STATIC),
        (replace(PROVEN, walk=replace(WALK, unknown="why")), Method.STATIC),
        (leading_to(None, OURS), Method.STATIC),
        (replace(PROVEN, owner=None), Method.OWNED),
        (replace(PROVEN, owner=RIVALS), Method.OWNED),
        (replace(PROVEN, counted=None), Method.COUNTED),
        (replace(PROVEN, counted=False), Method.COUNTED),
    ],
)
def test_a_method_holds_only_where_its_evidence_does(evidence: Evidence, lacking: Method) -> None:
    assert set(Method) - set(proven_methods(evidence)) == {lacking}


# What an entry lists and where it is exported to


@pytest.mark.parametrize(
    ("counted", "logged", "shown"),
    [
        (True, None, {CountSource.CLUSTERS}),
        (None, LoggedConnection(NAME), {CountSource.ACCESS_LOG}),
        (True, LoggedConnection(NAME), {CountSource.CLUSTERS, CountSource.ACCESS_LOG}),
        (True, LoggedConnection(PASSTHROUGH), set()),
        (False, None, set()),
    ],
)
def test_what_is_counted_says_which_source_showed_it(
    counted: bool | None, logged: LoggedConnection | None, shown: set[CountSource]
) -> None:
    evidence = judge(Example("", OPEN, evidence=replace(PROVEN, counted=counted, logged=logged)).situation).evidence
    assert evidence is not None
    assert set(evidence.sources) == shown
    assert (Method.COUNTED in evidence.methods) is bool(shown)


@pytest.mark.parametrize(
    ("addresses", "ip", "listed"),
    [
        (("208.80.154.224/27",), "208.80.154.224", True),
        (("208.80.154.224/27",), "208.80.155.0", False),
        (("208.80.154.230/27",), "208.80.154.225", True),
        (("208.80.154.224",), "208.80.154.224", True),
        (("2620:0:861::/48", "192.0.2.0/24"), "192.0.2.9", True),
        (("2620:0:861::/48",), "2620:0:861:ed1a::1", True),
        (("2620:0:861::/48",), "192.0.2.9", False),
        (("no address", "192.0.2.0/24"), "192.0.2.9", True),
        (("no address",), "192.0.2.9", False),
        (("192.0.2.0/24",), "", False),
        ((), "192.0.2.9", True),
        ((), "", True),
    ],
)
def test_an_address_is_listed_by_a_block_around_it(addresses: tuple[str, ...], ip: str, listed: bool) -> None:
    assert lists_address(replace(ENTRY, addresses=addresses), ip) is listed


@pytest.mark.parametrize(
    ("export_to", "namespace", "reached"),
    [
        ((), "anywhere", True),
        (("*",), "anywhere", True),
        ((".",), "default", True),
        ((".",), "other", False),
        (("prod", "test"), "test", True),
        (("prod",), "default", False),
        (("~",), "default", False),
    ],
)
def test_an_entry_reaches_the_namespaces_that_it_is_exported_to(
    export_to: tuple[str, ...], namespace: str, reached: bool
) -> None:
    assert is_exported_to_namespace(replace(ENTRY, export_to=export_to), namespace) is reached


# Over all combinations

NOTHING = st.none()
TEXT = st.sampled_from(["", "Recv failure: Connection reset by peer", "alert handshake failure", "no"])
IPS = st.sampled_from(["", "208.80.154.224", "192.0.2.1", "2620:0:861:ed1a::1", "not an address"])
SECONDS = st.fixed_dictionaries({}, optional={name: st.sampled_from([0.0, 0.01]) for name in ("connect", "tls", "total")})
OUTCOMES = st.builds(
    CurlOutcome,
    curl_exit=st.sampled_from([-1, 0, 0, 0, 1, 5, 6, 7, 16, 18, 22, 28, 35, 43, 51, 52, 55, 56, 60, 63, 92, 99, 255]),
    error=TEXT,
    http_status=st.sampled_from([0, 200, 200, 301, 404, 502]),
    remote_ip=IPS,
    remote_port=st.sampled_from([0, 443, 8443]),
    local_port=st.sampled_from([0, 40000]),
    proxied=st.sampled_from([False, False, True]),
    seconds=SECONDS,
    unmatched=st.sampled_from([(), (), ("articles",)]),
)
WALKS = st.builds(
    Walk,
    st.just("0.0.0.0_443"),
    st.just(""),
    st.sampled_from([None, BLACKHOLE, PASSTHROUGH, RESOLVED_PASSTHROUGH, NAME, NAME, "odd"]),
    st.sampled_from(["", "208.80.154.224/27"]),
    st.sampled_from(["", "", "", "it is not understood"]),
    virtual_service=st.sampled_from(["", "", "default/detour"]),
    http_route=st.sampled_from(["", "", "80 / all / default"]),
    direct_status=st.sampled_from([0, 0, 502]),
    choices=st.sampled_from([(), (), (NAME, PASSTHROUGH)]),
    absent=st.sampled_from([False, False, True]),
)
OWNERS = st.builds(Owner, st.sampled_from(list(Ownership)), st.just("why"), st.sampled_from([None, RIVAL]))
COUNTS = st.builds(Counts, st.integers(0, 2), st.integers(0, 2), st.integers(0, 2))
EVIDENCE = st.builds(
    Evidence,
    st.sampled_from([Capture.CAPTURED, *Capture]),
    st.booleans(),
    NOTHING | WALKS,
    NOTHING | OWNERS,
    st.sampled_from([True, True, False, None]),
    NOTHING | COUNTS,
    st.sampled_from(["REGISTRY_ONLY", "ALLOW_ANY", "ALLOW_ANY_DYNAMIC_DNS", ""]),
    # What came in is not believed: the methods are found anew.
    st.sampled_from([(), tuple(Method)]),
    st.sampled_from(["", "", "duplicate address"]),
    st.sampled_from(["", "", "default/tls"]),
    st.sampled_from([None, None, 0, 1]),
    st.sampled_from(
        [
            None,
            None,
            LoggedConnection(NAME),
            LoggedConnection(PASSTHROUGH),
            LoggedConnection(NAME, "UF,URX"),
            LoggedConnection("", "NC"),
        ]
    ),
    st.sampled_from([(), tuple(CountSource)]),
)
ENTRIES = st.builds(
    replace,
    st.just(ENTRY),
    addresses=st.sampled_from([(), ENTRY.addresses, ("192.0.2.0/24",), ("odd",)]),
    ports=st.sampled_from([(), ENTRY.ports, (Port(80, "HTTP", "web"),), (Port(443, "GRPC", "rpc"),)]),
    export_to=st.sampled_from([(), ("*",), (".",), ("prod",), ("~",)]),
    namespace=st.sampled_from(["default", "other"]),
)
NAMED_OR_BARE = st.one_of(
    st.tuples(st.just(""), NOTHING), st.tuples(st.just(""), NOTHING), st.tuples(st.just("wikipedia-ext"), NOTHING | ENTRIES)
)


@st.composite
def situations(draw: st.DrawFn) -> Case:
    name, entry = draw(NAMED_OR_BARE)
    probe = replace(
        PROBE,
        url=draw(st.sampled_from([PROBE.url, "https://www.wikipedia.org:8443"])),
        expect=Expectation(status=draw(st.sampled_from([200, 200, 404, None]))),
    )
    proxy, ambient = draw(st.sampled_from(["istio-proxy", "istio-proxy", None])), draw(st.sampled_from([False, False, True]))
    source = replace(SOURCE, proxy=proxy, ambient=ambient, proxy_ready=draw(st.sampled_from([True, True, False])))
    around = draw(NOTHING | st.sampled_from([MeshObjects(), sidecar_resource("~/*"), virtual_service("other.example")]))
    return Case(probe, source, draw(OUTCOMES), draw(EVIDENCE), name, entry, around)


_NOT_OURS = {C.ENTRY_MISSING, C.ADDRESS_NOT_LISTED, C.PORT_NOT_LISTED, C.HOST_NOT_LISTED, C.PROTOCOL_MISMATCH, C.NOT_EXPORTED,
             C.HIDDEN_BY_SIDECAR, C.NOT_PROPAGATED, C.REJECTED_BY_PROXY, C.RIVAL_ENTRY, C.REROUTED}  # fmt: skip
ALLOWED = {
    BLOCKED: {C.BLACKHOLE, C.NO_ENDPOINTS} | _NOT_OURS,
    BYPASSED: {C.PASSTHROUGH, C.NO_SIDECAR, C.NOT_CAPTURED} | _NOT_OURS,
    FAILED: {C.NAME_RESOLUTION, C.CONNECT_REFUSED, C.CONNECT_TIMEOUT, C.TLS_CERTIFICATE, C.TLS_HANDSHAKE, C.TIMEOUT, C.RESET,
             C.HTTP_STATUS, C.BODY_MISMATCH, C.NOT_CAPTURED, C.REROUTED, C.PROTOCOL_MISMATCH},
    UNPROVEN: {C.AMBIENT, C.PROXY_UNREADABLE, C.EVIDENCE_LOST},
    INCONCLUSIVE: {C.AMBIENT, C.PROXY_UNREADABLE, C.EVIDENCE_LOST, C.EXEC_FAILED, C.SIDECAR_NOT_READY},
}  # fmt: skip
"""Which causes may stand beside which verdict."""


@examples(600)
@given(situations())
def test_no_verdict_says_more_than_the_evidence(case: Case) -> None:
    judged = judge(case)
    assert judged.evidence is not None
    evidence, walk = judged.evidence, case.evidence.walk
    assert evidence.methods == proven_methods(case.evidence)
    led_to = walk.envoy_cluster if walk and not walk.unknown else "not known"
    by_itself = bool(walk and walk.direct_status and walk.direct_status == case.outcome.http_status)
    nowhere = led_to in (None, BLACKHOLE) or bool(walk and walk.absent) or case.evidence.endpoints == 0
    by_a_sidecar = case.source.proxy is not None and not case.source.ambient
    answered = case.outcome.curl_exit == 0 and case.outcome.http_status > 0
    match judged.verdict:
        case Verdict.OPEN:
            assert set(evidence.methods) == set(Method)
            assert case.evidence.counted or case.evidence.logged
            assert case.evidence.logged in (None, LoggedConnection(led_to or ""))
            assert by_a_sidecar
            assert answered
            assert led_to not in (*LETS_OUT, "not known")
            assert not nowhere
            assert not by_itself
            assert not case.outcome.proxied
            assert not case.outcome.unmatched
            assert case.probe.expect.status in (None, case.outcome.http_status)
            assert not case.entry_name or case.entry is not None
        case Verdict.BLOCKED:
            assert by_a_sidecar
            assert case.evidence.capture is Capture.CAPTURED
            assert led_to != "not known"
            assert nowhere
            assert (
                looks_reset(case.outcome)
                or by_itself
                or (case.evidence.endpoints == 0 and case.outcome.http_status in (502, 503, 504))
            )
            assert not case.outcome.proxied
        case Verdict.BYPASSED:
            assert answered
            elsewhere = case.evidence.capture is Capture.CAPTURED and led_to not in (None, BLACKHOLE, "not known")
            shown = (
                elsewhere or case.outcome.proxied or case.evidence.capture is Capture.NOT_CAPTURED or case.source.proxy is None
            )
            assert shown
            assert not case.source.ambient
        case Verdict.UNPROVEN:
            assert answered
        case Verdict.FAILED:
            assert not (nowhere and led_to != "not known" and by_a_sidecar and case.evidence.capture is Capture.CAPTURED) or (
                case.outcome.proxied
                or bool(walk and walk.choices)
                or (judged.cause is not None and judged.cause.code in (C.NAME_RESOLUTION, C.NOT_CAPTURED))
            )
    if judged.verdict is not OPEN:
        assert judged.cause is not None
        assert judged.cause.code in ALLOWED[judged.verdict]
        assert judged.cause.message.strip()
        assert judged.cause.hint.strip()
        assert "None" not in judged.cause.message
    else:
        assert judged.cause is None


@examples(150)
@given(situations(), st.sampled_from(["capture", "walk", "owner", "counted and logged"]))
def test_less_evidence_never_makes_open(case: Case, lost: str) -> None:
    nothing: dict[str, object] = {"capture": Capture.UNKNOWN}
    less = replace(case.evidence, **{each: nothing.get(each) for each in lost.split(" and ")})  # type: ignore[arg-type]
    assert judge(replace(case, evidence=less)).verdict is not OPEN


# The recordings of a real mesh


RECORDED: dict[str, tuple[Verdict, CauseCode | None]] = {
    "cidrs-60": (OPEN, None),
    "destinationrule-tls": (FAILED, C.REROUTED),
    "export-to-dot": (BLOCKED, C.NOT_EXPORTED),
    "http-80": (OPEN, None),
    "http-80-blocked": (BLOCKED, C.HOST_NOT_LISTED),
    "ip-over-cidr": (BYPASSED, C.RIVAL_ENTRY),
    "ipv6": (OPEN, None),
    "no-addresses": (OPEN, None),
    "no-addresses-and-cidr": (BYPASSED, C.ADDRESS_NOT_LISTED),
    "no-entry-allow-any": (BYPASSED, C.ENTRY_MISSING),
    "no-entry-registry-only": (BLOCKED, C.ENTRY_MISSING),
    "not-captured": (BYPASSED, C.NOT_CAPTURED),
    "outside-allow-any": (BYPASSED, C.ADDRESS_NOT_LISTED),
    "outside-registry-only": (BLOCKED, C.ADDRESS_NOT_LISTED),
    "overlapping-cidrs": (OPEN, None),
    "plain-ips": (OPEN, None),
    "port-15001": (OPEN, None),
    "port-15021": (OPEN, None),
    "port-not-listed": (BLOCKED, C.PORT_NOT_LISTED),
    "refused-beyond": (FAILED, C.CONNECT_REFUSED),
    "rejected-listener": (INCONCLUSIVE, C.PROXY_UNREADABLE),
    "same-cidr-older-rival": (BYPASSED, C.RIVAL_ENTRY),
    "same-cidr-two-entries": (OPEN, None),
    "same-host-other-namespace-address": (BLOCKED, C.ADDRESS_NOT_LISTED),
    "same-host-two-namespaces": (OPEN, None),
    "seed": (OPEN, None),
    "seed-allow-any": (OPEN, None),
    "sidecar-allow-any": (BYPASSED, C.ENTRY_MISSING),
    "sidecar-exact-host": (BLOCKED, C.HIDDEN_BY_SIDECAR),
    "sidecar-hides": (BLOCKED, C.HIDDEN_BY_SIDECAR),
    "static-endpoint": (OPEN, None),
    "tls-and-tcp-same-cidr": (BYPASSED, C.RIVAL_ENTRY),
    "tls-sni": (OPEN, None),
    "tls-sni-and-tcp-cidr": (OPEN, None),
    "tls-sni-other-name": (BLOCKED, C.HOST_NOT_LISTED),
    "two-hosts": (OPEN, None),
    "two-ports": (OPEN, None),
    "virtualservice-subset": (OPEN, None),
    "virtualservice-tcp": (BYPASSED, C.REROUTED),
    "virtualservice-tcp-weighted": (BYPASSED, C.REROUTED),
    "virtualservice-unknown-host": (BLOCKED, C.REROUTED),
    "zero-cidr": (BYPASSED, C.ADDRESS_NOT_LISTED),
}


def test_the_cause_names_the_envoy_cluster_of_a_weighted_route_that_sent_it() -> None:
    cause = recorded("virtualservice-tcp-weighted")[1].cause
    assert cause is not None
    assert "to outbound|443||other.example, which its weights chose this time" in cause.message
    assert "one of" not in cause.message


def test_every_recording_is_judged() -> None:
    assert set(RECORDED) == set(recordings.cases())


@pytest.mark.parametrize("case", recordings.cases())
def test_the_recordings_are_judged_as_the_access_log_says(case: str) -> None:
    at, judged = recorded(case)
    assert (judged.verdict, judged.cause.code if judged.cause else None) == RECORDED[case]
    truth = recordings.load(case).truth["envoy_cluster"] or ""
    if judged.verdict is OPEN:
        # Envoy's own log: one of the entry's hosts, on the probe's port, under no subset or one of it.
        assert at.entry is not None
        assert truth.split("|")[::3] == ["outbound", truth.split("|")[-1]]
        assert truth.split("|")[-1] in at.entry.hosts
        assert truth.split("|")[1] == str(at.probe.port)
    if judged.verdict is BLOCKED:
        assert truth in (BLACKHOLE, "-")
    if judged.verdict is FAILED:
        assert truth == at.evidence.walk.envoy_cluster if at.evidence.walk else False


@pytest.mark.parametrize("case", recordings.cases())
def test_no_recording_is_open_for_an_entry_that_did_not_carry_it(case: str) -> None:
    truth = recordings.load(case).truth["envoy_cluster"] or ""
    at, judged = recorded(case)
    theirs = [
        host for host in (at.entry.hosts if at.entry else ()) if truth.startswith("outbound|") and truth.endswith(f"|{host}")
    ]
    if not theirs:
        assert judged.verdict is not OPEN


@pytest.mark.parametrize("case", [case for case, (verdict, _) in RECORDED.items() if verdict is OPEN])
def test_no_recording_is_open_where_capture_is_not_known(case: str) -> None:
    at, _ = recorded(case)
    for capture, verdict in ((Capture.UNKNOWN, UNPROVEN), (Capture.NOT_CAPTURED, BYPASSED)):
        assert judge(replace(at, evidence=replace(at.evidence, capture=capture))).verdict is verdict


@pytest.mark.parametrize("case", [case for case, (verdict, _) in RECORDED.items() if verdict is BLOCKED])
def test_no_recording_is_blocked_where_capture_is_not_known(case: str) -> None:
    at, _ = recorded(case)
    assert judge(replace(at, evidence=replace(at.evidence, capture=Capture.UNKNOWN))).verdict is INCONCLUSIVE
