"""Where a probe's way ended: in the sidecar, or beyond it. Pure."""

from __future__ import annotations

from egressctl.envoy.config import BLACKHOLE
from egressctl.model.evidence import Capture
from egressctl.verify.causes import Case
from egressctl.verify.route_reasons import is_sent_plain_to_tls

GATEWAY_STATUS = (502, 503, 504)
"""What Envoy answers by itself where nothing came from beyond; a server may answer so as well."""
_ONLY_HTTP2 = ("HTTP2", "GRPC")


def answered_by_sidecar(case: Case) -> bool:
    """Say whether the sidecar itself gave this answer, or may have: then nothing came from beyond it.

    Envoy answers an HTTP request that it has a direct response for, and with 502, 503 or 504 one whose Envoy cluster has no
    hosts, could not be connected to, or broke off.
    """
    walk, status, counts = case.evidence.walk, case.outcome.http_status, case.evidence.counts
    if walk is None or not status or case.evidence.capture is not Capture.CAPTURED:
        return False
    if walk.direct_status:
        return status == walk.direct_status
    if not walk.http_route or status not in GATEWAY_STATUS:
        return False
    failed = case.evidence.endpoints == 0 or bool(counts and counts.connect_failed)
    return failed or declares_only_http2(case) or is_sent_plain_to_tls(case)


def declares_only_http2(case: Case) -> bool:
    """Say whether the sidecar speaks HTTP/2 beyond because the port is declared so, and the probe does not."""
    ports = case.entry.ports if case.entry else ()
    return any(port.number == case.probe.port and port.protocol.upper() in _ONLY_HTTP2 for port in ports)


def leads_nowhere(case: Case) -> bool:
    """Say whether nothing can come back by this way: no Envoy cluster, one that is not there, or one without hosts."""
    walk = case.evidence.walk
    return walk is not None and (walk.envoy_cluster in (None, BLACKHOLE) or walk.absent or case.evidence.endpoints == 0)


def describe_dead_end(case: Case) -> str:
    walk = case.evidence.walk
    if walk is None or walk.envoy_cluster is None:
        return f"an answer of its own, HTTP {walk.direct_status}" if walk and walk.direct_status else "nothing"
    if walk.absent:
        return f"{walk.envoy_cluster}, which it does not have"
    return f"{walk.envoy_cluster}, which has no hosts" if case.evidence.endpoints == 0 else walk.envoy_cluster
