"""One situation for each cause, judged and drawn by the product: the examples on the pages of docs/causes/."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from egressctl.catalog import lookup
from egressctl.manifests.service_entry import OFFLINE_VERSION, read_entry, render_entry
from egressctl.model.cause import CauseCode
from egressctl.model.entry import Manifest, MeshObjects, Port, ServiceEntry
from egressctl.model.evidence import Capture, Counts, CurlOutcome, Evidence, Owner, Ownership, Source, Walk
from egressctl.model.probe import Probe
from egressctl.model.result import ProbeResult
from egressctl.report.target_lines import draw_probe
from egressctl.verify.causes import Case
from egressctl.verify.evidence import Question, unsent_case
from egressctl.verify.verdict import judge

IP, IPV6, OUTSIDE = "208.80.154.224", "2620:0:861:ed1a::1", "192.0.2.10"
SOURCE = Source("default", "sleep", "sleep", "istio-proxy")
TARGET = lookup.get_target("wikipedia")
PORTAL, ARTICLES = TARGET.probes
ENTRY = read_entry(render_entry(TARGET, namespace="default", api_version=OFFLINE_VERSION, run_id="5f0c3a1e"))
OWN = Walk("0.0.0.0_443", "outbound|443||wikipedia.org", "outbound|443||wikipedia.org", "208.80.154.224/27")
CATCH_ALL = "catch-all (virtualOutbound-catchall-tcp)"
BLACKHOLE = Walk("virtualOutbound", "virtualOutbound-catchall-tcp", "BlackHoleCluster", matched=CATCH_ALL)
PASSTHROUGH = Walk("virtualOutbound", "virtualOutbound-catchall-tcp", "PassthroughCluster", matched=CATCH_ALL)
OWNED = Owner(Ownership.OWNED, "default/wikipedia-ext lists 208.80.154.224/27 on port 443 and the host wikipedia.org")
RIVAL = replace(ENTRY, name="mirror-ext", namespace="other", hosts=("mirror.example",), addresses=(f"{IP}/32",))
RIVALS_WALK = Walk("0.0.0.0_443", "outbound|443||mirror.example", "outbound|443||mirror.example", f"{IP}/32")

DEFAULT = Walk("0.0.0.0_443", "PassthroughFilterChain", "PassthroughCluster", matched="default (PassthroughFilterChain)")
DETOUR = Owner(Ownership.OTHERS, "it is the Envoy cluster of host mirror.example of namespace default")
TLS, HTTP = Port(443, "TLS", "tls"), Port(443, "HTTP", "http")
IMPORTS_LITTLE: Manifest = {
    "kind": "Sidecar",
    "metadata": {"namespace": "default", "name": "little"},
    "spec": {"egress": [{"hosts": ["istio-system/*"]}]},
}

ANSWER = CurlOutcome(
    0,
    http_status=200,
    remote_ip=IP,
    remote_port=443,
    local_ip="10.244.0.5",
    local_port=41030,
    seconds={"connect": 0.01, "total": 0.12},
)
CUT = replace(ANSWER, curl_exit=35, http_status=0, error="Recv failure: Connection reset by peer")
SILENT = replace(ANSWER, curl_exit=28, http_status=0, seconds={"connect": 0.01, "total": 10.0})
REFUSED = Evidence(capture=Capture.CAPTURED, companion=True, walk=BLACKHOLE, policy="REGISTRY_ONLY")
CARRIED = Evidence(capture=Capture.CAPTURED, walk=OWN, owner=OWNED, counted=True, counts=Counts(opened=1), policy="REGISTRY_ONLY")
LET_OUT = Evidence(capture=Capture.CAPTURED, walk=PASSTHROUGH, counted=True, counts=Counts(opened=1), policy="ALLOW_ANY")


def _at(
    outcome: CurlOutcome,
    evidence: Evidence,
    *,
    probe: Probe = PORTAL,
    source: Source = SOURCE,
    name: str = ENTRY.name,
    entry: ServiceEntry | None = ENTRY,
    around: MeshObjects | None = None,
) -> ProbeResult:
    return judge(Case(probe, source, outcome, evidence, name, entry, around))


def _never_asked(code: CauseCode) -> ProbeResult:
    return judge(unsent_case(Question(PORTAL, ENTRY.name, ENTRY), SOURCE, code, ""))


def _beyond(exit_code: int, error: str) -> ProbeResult:
    return _at(replace(ANSWER, curl_exit=exit_code, http_status=0, error=error), CARRIED)


RESULTS: Mapping[CauseCode, ProbeResult] = {
    CauseCode.BLACKHOLE: _at(CUT, REFUSED, name="", entry=None, around=MeshObjects()),
    CauseCode.PASSTHROUGH: _at(ANSWER, LET_OUT, name="", entry=None, around=MeshObjects()),
    CauseCode.ENTRY_MISSING: _at(CUT, REFUSED, entry=None),
    CauseCode.ADDRESS_NOT_LISTED: _at(replace(CUT, remote_ip=OUTSIDE), REFUSED),
    CauseCode.PORT_NOT_LISTED: _at(
        replace(CUT, remote_port=8443), REFUSED, probe=replace(PORTAL, url="https://www.wikipedia.org:8443")
    ),
    CauseCode.HOST_NOT_LISTED: _at(CUT, REFUSED, entry=replace(ENTRY, hosts=("en.wikipedia.org",), ports=(TLS,))),
    CauseCode.PROTOCOL_MISMATCH: _at(ANSWER, replace(LET_OUT, walk=DEFAULT), entry=replace(ENTRY, ports=(HTTP,))),
    CauseCode.HIDDEN_BY_SIDECAR: _at(CUT, REFUSED, around=MeshObjects(sidecars=(IMPORTS_LITTLE,))),
    CauseCode.REJECTED_BY_PROXY: _at(
        CUT, replace(REFUSED, refused="error adding listener '0.0.0.0_443': filter 'istio.alpn' is not known")
    ),
    CauseCode.REROUTED: _at(
        ANSWER,
        replace(CARRIED, walk=replace(RIVALS_WALK, prefix=OWN.prefix, virtual_service="default/detour"), owner=DETOUR),
    ),
    CauseCode.NO_ENDPOINTS: _at(CUT, replace(CARRIED, counted=False, endpoints=0), entry=replace(ENTRY, resolution="STATIC")),
    CauseCode.SIDECAR_NOT_READY: _at(
        CUT, Evidence(), source=replace(SOURCE, proxy_ready=False, proxy_state="running, and its readiness probe fails")
    ),
    CauseCode.RIVAL_ENTRY: _at(
        ANSWER,
        replace(CARRIED, walk=RIVALS_WALK, owner=Owner(Ownership.OTHERS, f"{RIVAL} lists {IP}/32 on port 443", RIVAL)),
    ),
    CauseCode.NO_SIDECAR: _at(ANSWER, Evidence(), source=replace(SOURCE, proxy=None)),
    CauseCode.NOT_EXPORTED: _at(CUT, REFUSED, entry=replace(ENTRY, namespace="other", export_to=(".",))),
    CauseCode.NOT_PROPAGATED: _at(CUT, REFUSED),
    CauseCode.NOT_CAPTURED: _at(ANSWER, replace(CARRIED, capture=Capture.NOT_CAPTURED)),
    CauseCode.AMBIENT: _at(ANSWER, Evidence(), source=replace(SOURCE, proxy=None, ambient=True)),
    CauseCode.NAME_RESOLUTION: _at(
        CurlOutcome(6, "Could not resolve host: www.wikipedia.org", seconds={"total": 0.01}), Evidence()
    ),
    CauseCode.IP_FAMILY: _at(
        CurlOutcome(7, f"Failed to connect to {IPV6} port 443 after 0 ms: Couldn't connect to server", seconds={"total": 0.0}),
        Evidence(),
        probe=replace(PORTAL, name="literal", url=f"https://[{IPV6}]/"),
        source=replace(SOURCE, addresses=("10.244.0.5",)),
    ),
    CauseCode.CONNECT_REFUSED: _at(CUT, replace(CARRIED, counts=Counts(opened=1, connect_failed=1))),
    CauseCode.CONNECT_TIMEOUT: _at(
        replace(SILENT, error="SSL connection timeout", seconds={"connect": 0.01, "total": 5.0}),
        replace(CARRIED, counts=Counts(opened=1, pending=1)),
    ),
    CauseCode.TLS_CERTIFICATE: _beyond(60, "SSL certificate problem: self-signed certificate"),
    CauseCode.TLS_HANDSHAKE: _beyond(35, "TLS connect error: tlsv1 alert protocol version"),
    CauseCode.TIMEOUT: _at(replace(SILENT, error="Operation timed out after 10001 milliseconds with 0 bytes received"), CARRIED),
    CauseCode.RESET: _at(CUT, CARRIED),
    CauseCode.HTTP_STATUS: _at(replace(ANSWER, http_status=503), CARRIED),
    CauseCode.BODY_MISMATCH: _at(replace(ANSWER, unmatched=("articles",)), CARRIED, probe=ARTICLES),
    CauseCode.PROXY_UNREADABLE: _at(ANSWER, Evidence(capture=Capture.CAPTURED)),
    CauseCode.EVIDENCE_LOST: _at(ANSWER, replace(CARRIED, capture=Capture.UNKNOWN)),
    CauseCode.NO_SOURCE_POD: replace(_never_asked(CauseCode.NO_SOURCE_POD), source=None),
    CauseCode.NO_CURL: _never_asked(CauseCode.NO_CURL),
    CauseCode.EXEC_FORBIDDEN: _never_asked(CauseCode.EXEC_FORBIDDEN),
    CauseCode.EXEC_FAILED: _never_asked(CauseCode.EXEC_FAILED),
}


def drawn(code: CauseCode) -> str:
    """Return the picture that `verify` draws of a cause's situation."""
    return "".join("".join(text for _, text in line).rstrip() + "\n" for line in draw_probe(RESULTS[code]))
