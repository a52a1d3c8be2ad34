"""Why a verdict is not `open`: each cause with its code, meaning, sentence and next command, and a cause as it was found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

_SHOW_ENTRY = "kubectl get serviceentry -n {namespace} {name} -o yaml"
_EXEC = "kubectl exec -n {pod_namespace} {pod} -c {container} -- "


class Wording(NamedTuple):
    """How a cause is told: a sentence and the next command, as templates of the fields that `verify/causes.py` fills in.

    `when` names the field that must not be empty for it; without one it always fits.
    """

    sentence: str
    step: str
    when: str = ""


class CauseCode(StrEnum):
    """Why a verdict is not `open`: a stable code, what it means, and its wordings, of which the first that fits is told.

    Each has a page in docs/causes/.
    """

    meaning: str
    wordings: tuple[Wording, ...]

    def __new__(cls, code: str, meaning: str = "", *wordings: Wording) -> CauseCode:
        """Make the member whose value is its code."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.meaning, member.wordings = meaning, wordings
        return member

    BLACKHOLE = (
        "blackhole",
        "The outbound traffic policy is REGISTRY_ONLY, no ServiceEntry names this address and port, and no target was named, "
        "only a URL.",
        Wording(
            "the outbound traffic policy is REGISTRY_ONLY and no ServiceEntry names {address}",
            "egressctl create {to_create} -n {pod_namespace}",
        ),
    )
    PASSTHROUGH = (
        "passthrough",
        "The outbound traffic policy is ALLOW_ANY, and PassthroughCluster carried the request; no target was named, only a URL.",
        Wording(
            "the outbound traffic policy ALLOW_ANY let {address} out through {leads_to}; no ServiceEntry carried it",
            "egressctl create {to_create} -n {pod_namespace}",
        ),
    )
    ENTRY_MISSING = (
        "entry-missing",
        "The ServiceEntry of this target is not on the Kubernetes cluster, in the namespace where it was looked for.",
        Wording(
            "ServiceEntry {name} is not in namespace {namespace}; {address} leads to {leads_to}",
            "egressctl create {target} -n {namespace}",
        ),
    )
    ADDRESS_NOT_LISTED = (
        "address-not-listed",
        "The name resolved to an address that is in none of the entry's blocks, so the entry does not apply to the connection.",
        Wording(
            "{host} resolved to {ip}, and {name} has the address that Istio gave it, {allocated}, with which only the sidecar's "
            "own DNS answers",
            _EXEC + "nslookup {host}",
            when="allocated",
        ),
        Wording(
            "{host} resolved to {ip}, which is in none of the {block_count} blocks of the ServiceEntries of {part_of}",
            "kubectl get serviceentry -n {namespace} -l egressctl.dev/target={part_of} -o yaml",
            when="several_entries",
        ),
        Wording("{host} resolved to {ip}, which is in none of the blocks of {name} ({blocks})", _SHOW_ENTRY),
    )
    PORT_NOT_LISTED = (
        "port-not-listed",
        "The entry names other ports than the one that the probe goes to.",
        Wording("{name} names port {ports}, and the probe goes to {port}", _SHOW_ENTRY),
    )
    HOST_NOT_LISTED = (
        "host-not-listed",
        "The probe's host is none of the entry's, and the entry's port is TLS or HTTP, where a sidecar chooses by host; or the "
        "entry takes the connection by its address or port, and Envoy sends it to the entry's own host.",
        Wording(
            "{name} names the host {hosts} on port {port}, where TLS and HTTP are led by host, and the probe asks for {host}; "
            "{ip_or_it} leads to {leads_to}",
            _SHOW_ENTRY,
        ),
    )
    PROTOCOL_MISMATCH = (
        "protocol-mismatch",
        "The protocol that the entry declares for the port does not fit what is spoken on it.",
        Wording("the protocol of port {port} ({name}: {protocols}) does not fit what is spoken ({curl})", _SHOW_ENTRY),
    )
    NOT_EXPORTED = (
        "not-exported",
        "The entry's `exportTo` leaves out the namespace of the source pod, so this sidecar is never told of it.",
        Wording("exportTo of {namespace}/{name} is {export_to}, which leaves out namespace {pod_namespace}", _SHOW_ENTRY),
    )
    HIDDEN_BY_SIDECAR = (
        "hidden-by-sidecar",
        "A Sidecar resource leaves the entry, or the one of its blocks that is asked for, out of what the pod's sidecar is "
        "given.",
        Wording(
            "a Sidecar resource leaves {name} out of what pod {pod} may import; {address} leads to {leads_to}",
            "kubectl get sidecars.networking.istio.io -n {pod_namespace} -o yaml",
        ),
    )
    NOT_PROPAGATED = (
        "not-propagated",
        "The entry is on the Kubernetes cluster and should reach this sidecar, and the sidecar's configuration has nothing of "
        "it, or not as it stands.",
        Wording(
            "{namespace}/{name} lists {address}, and the sidecar leads it to {leads_to}: a Sidecar resource hides the entry, or "
            "the control plane has not pushed it",
            "istioctl proxy-status; kubectl get sidecars.networking.istio.io -n {pod_namespace}",
        ),
    )
    REJECTED_BY_PROXY = (
        "rejected-by-proxy",
        "Envoy refused the listener that the entry needs, and the sidecar goes on without it, or with an older one.",
        Wording("Envoy refused the listener of {name} in the sidecar of {pod}{refused}", _SHOW_ENTRY),
    )
    RIVAL_ENTRY = (
        "rival-entry",
        "Another ServiceEntry holds this address and port, and carries or refuses the traffic that this target's entry is meant "
        "for.",
        Wording(
            "ServiceEntry {rival} holds {address}{not_ours}; it leads to {leads_to}",
            "kubectl get serviceentry -n {rival_namespace} {rival_name} -o yaml",
            when="rival",
        ),
        Wording(
            "{address} leads to {leads_to}{not_ours}: {owner_reason}",
            "kubectl get serviceentries.networking.istio.io,virtualservices.networking.istio.io -A",
        ),
    )
    REROUTED = (
        "rerouted",
        "A VirtualService sends the connection somewhere else than to the entry's Envoy cluster, or a DestinationRule wraps in "
        "TLS what is TLS already.",
        Wording(
            "VirtualService {virtual_service} leads {address} to {routed_to}",
            "kubectl get virtualservice -n {route_namespace} {route_name} -o yaml",
            when="virtual_service",
        ),
        Wording(
            "DestinationRule {destination_rule} wraps every connection of {leads_to} in TLS (trafficPolicy.tls), and the probe "
            "speaks TLS already",
            "kubectl get destinationrule -n {rule_namespace} {rule_name} -o yaml",
            when="destination_rule",
        ),
        Wording(
            "a VirtualService or DestinationRule sends {address} elsewhere, to {leads_to}",
            "kubectl get virtualservices.networking.istio.io,destinationrules.networking.istio.io -A",
        ),
    )
    NO_ENDPOINTS = (
        "no-endpoints",
        "The entry's Envoy cluster carries the connection and has no host to send it to.",
        Wording("{leads_to} has no hosts to send {address} to: it is STATIC and lists no endpoints", _SHOW_ENTRY, when="static"),
        Wording("{leads_to} has no hosts to send {address} to: none could be resolved", _SHOW_ENTRY),
    )
    NO_SIDECAR = (
        "no-sidecar",
        "The source pod has no sidecar, so no mesh stood in the way and the answer says nothing about any ServiceEntry.",
        Wording(
            "pod {pod_namespace}/{pod} has no sidecar (no container istio-proxy): no mesh stood in the way",
            "kubectl label namespace {pod_namespace} istio-injection=enabled, and start the pod again",
        ),
    )
    NOT_CAPTURED = (
        "not-captured",
        "This very connection did not go through the sidecar, although the pod has one.",
        Wording(
            "a proxy variable in the pod led curl to port {led_to_port}, not to {host}:{port}", _EXEC + "env", when="proxied"
        ),
        Wording(
            "the connection to {address} did not go through the sidecar: the pod's socket table has no other end of it at port "
            "15001{perhaps}",
            "kubectl get pod -n {pod_namespace} {pod} -o jsonpath='{{.metadata.annotations}}'",
        ),
    )
    AMBIENT = (
        "ambient",
        "The pod is in an ambient mesh, where ztunnel and not a sidecar carries its traffic, and egressctl cannot prove which "
        "way an answer came.",
        Wording(
            "the pod is in an ambient mesh, where nothing tells an outside tool which path carried the answer",
            "use a pod with a sidecar: --pod NAME",
        ),
    )
    NAME_RESOLUTION = (
        "name-resolution",
        "The pod cannot resolve the probe's host, so no connection was made at all.",
        Wording("the pod cannot resolve {host} ({curl})", _EXEC + "nslookup {host}"),
    )
    CONNECT_REFUSED = (
        "connect-refused",
        "The sidecar let the connection out, and the address refused it.",
        Wording(
            "the sidecar let it out through {leads_to}, and {address} refused the connection ({curl})",
            "see whether anything listens on {address}",
        ),
    )
    CONNECT_TIMEOUT = (
        "connect-timeout",
        "No connection to the address came about within the time allowed, although the mesh let it out.",
        Wording(
            "no connection to {address} within the time allowed ({curl})", "look for a firewall between the node and that address"
        ),
    )
    TLS_CERTIFICATE = (
        "tls-certificate",
        "The connection came about, and curl did not accept the server's certificate.",
        Wording("the certificate of {host} was not accepted ({curl})", _EXEC + "curl -v {url}"),
    )
    TLS_HANDSHAKE = (
        "tls-handshake",
        "The connection came about, the other side answered, and the two did not agree on TLS.",
        Wording("the TLS handshake with {address} failed ({curl})", _EXEC + "curl -v {url}"),
    )
    TIMEOUT = (
        "timeout",
        "The address took the connection and did not answer in time.",
        Wording("{address} took the connection and did not answer in time ({curl})", "--probe-timeout 30s"),
    )
    RESET = (
        "reset",
        "The sidecar let the connection out, it was made, and then it was cut.",
        Wording("the sidecar let it out through {leads_to}, and the connection was cut ({curl})", _EXEC + "curl -v {url}"),
    )
    HTTP_STATUS = (
        "http-status",
        "The answer came with another HTTP status than the probe expects.",
        Wording("HTTP status {status}, expected {expected}", _EXEC + "curl -i {url}"),
    )
    BODY_MISMATCH = (
        "body-mismatch",
        "The answer came, and an expression under the probe's `extract` found nothing in its body, or the body was too long.",
        Wording("the expression for {unmatched} found nothing in the body", _EXEC + "curl -s {url}"),
    )
    PROXY_UNREADABLE = (
        "proxy-unreadable",
        "The sidecar's own view, its configuration and its counts, could not be read, so nothing shows which way a request took.",
        Wording(
            "the sidecar of {pod_namespace}/{pod} could not be read, so nothing shows which way the request took",
            "kubectl exec -n {pod_namespace} {pod} -c istio-proxy -- pilot-agent request GET config_dump",
        ),
    )
    EVIDENCE_LOST = (
        "evidence-lost",
        "Evidence came, and it is not sufficient: a part is missing, contradicts the rest, or changed while the probe was under "
        "way.",
        Wording("the evidence for {address} is not sufficient ({curl})", "ask again: --retries 2"),
    )
    NO_SOURCE_POD = (
        "no-source-pod",
        "There is no ready pod to send the probe from.",
        Wording(
            "there is no pod to send the probe from",
            "egressctl create ... -n {pod_namespace} --with-source, or name one: --pod NAME",
        ),
    )
    NO_CURL = (
        "no-curl",
        "The container has no curl, so no probe could be sent from it.",
        Wording(
            "container {container} of pod {pod_namespace}/{pod} has no curl",
            "name another with -c CONTAINER or --pod NAME, or start one: egressctl create ... -n {pod_namespace} --with-source",
        ),
    )
    EXEC_FORBIDDEN = (
        "exec-forbidden",
        "The credentials may not exec into the source pod.",
        Wording("no right to exec into pod {pod_namespace}/{pod}", "{grant}"),
    )
    EXEC_FAILED = (
        "exec-failed",
        "curl could not be run in the pod, or ended in a way that names nothing.",
        Wording("curl could not be run in pod {pod_namespace}/{pod}", _EXEC + "curl --version"),
    )
    SIDECAR_NOT_READY = (
        "sidecar-not-ready",
        "The pod's sidecar is not ready, and what it would do with the connection cannot be said.",
        Wording(
            "the sidecar of {pod_namespace}/{pod} is not ready ({proxy_state}), so nothing can be said of its way",
            "kubectl describe pod -n {pod_namespace} {pod}",
        ),
    )


@dataclass(frozen=True, slots=True)
class Cause:
    """Why: a stable code, one sentence with the evidence in it, and the next command to type."""

    code: CauseCode
    message: str
    hint: str = ""
