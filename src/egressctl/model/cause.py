"""Why a verdict is not `open`: each cause with its code, meaning, sentence and next command, and a cause as it was found."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

_SHOW_ENTRY = "kubectl get serviceentry -n {namespace} {name} -o yaml"
_NOT_SUFFICIENT = "the evidence for {address} is not sufficient ({curl})"
_EXEC = "kubectl exec -n {pod_namespace} {pod} -c {container} -- "


class Wording(NamedTuple):
    """The words for a cause: a sentence and the next command, as templates of the fields that `verify/causes.py` fills in.

    `when` names the field that must not be empty for it; without one it always fits.
    """

    sentence: str
    step: str
    when: str = ""


class CauseCode(StrEnum):
    """Why a verdict is not `open`: a stable code, what it means, and its wordings, of which the first that fits is shown.

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
        "The outbound traffic policy is REGISTRY_ONLY, and no ServiceEntry that may be read could serve the URL by its host, "
        "address or port. Only a URL was given, no target.",
        Wording(
            "the outbound traffic policy is REGISTRY_ONLY ({policy_set_by}), and no ServiceEntry lists {address}{unread_entries}",
            "{create}",
        ),
    )
    PASSTHROUGH = (
        "passthrough",
        "The outbound traffic policy is ALLOW_ANY or ALLOW_ANY_DYNAMIC_DNS, and PassthroughCluster or AllowAnyDynamicDNSCluster "
        "sent the request. No ServiceEntry that may be read could serve the URL. Only a URL was given, no target.",
        Wording(
            "the outbound traffic policy {policy} ({policy_set_by}) let {address} out through {leads_to}; "
            "no ServiceEntry lists it{unread_entries}",
            "{create}",
        ),
    )
    ENTRY_MISSING = (
        "entry-missing",
        "The ServiceEntry of this target does not exist in the namespace where egressctl looked for it.",
        Wording(
            "ServiceEntry {name} does not exist in namespace {namespace}; the sidecar sends {address} to {leads_to}",
            "{create}",
        ),
    )
    ADDRESS_NOT_LISTED = (
        "address-not-listed",
        "The name resolved to an address that is in none of the entry's blocks, so the entry does not apply to the connection.",
        Wording(
            "{host} resolved to {ip}, but Istio gave {named} the address {allocated}, and only the sidecar's own DNS answers "
            "with it",
            _EXEC + "nslookup {host}",
            when="allocated",
        ),
        Wording(
            "{host} resolved to {ip}, which is in none of the {block_count} blocks of the ServiceEntries of {part_of}",
            "kubectl get serviceentry -n {namespace} -l egressctl.dev/target={part_of} -o yaml",
            when="several_entries",
        ),
        Wording(
            "{host} resolved to {ip}, which is {family}, and {named} lists {other_family} alone ({blocks})",
            _SHOW_ENTRY,
            when="other_family",
        ),
        Wording("{host} resolved to {ip}, which is in none of the blocks of {named} ({blocks})", _SHOW_ENTRY),
    )
    PORT_NOT_LISTED = (
        "port-not-listed",
        "The entry does not list the port that the probe goes to.",
        Wording("{named} lists port {ports}, but the probe goes to {port}", _SHOW_ENTRY),
    )
    HOST_NOT_LISTED = (
        "host-not-listed",
        "The entry does not list the probe's host. On a TLS or HTTP port the sidecar chooses by host. Or the entry takes the "
        "connection by its address or port, and Envoy sends it to the entry's own host.",
        Wording(
            "{named} lists the host {hosts} on port {port}, where TLS and HTTP are routed by host, but the probe asks for "
            "{host}; the sidecar sends {ip_or_it} to {leads_to}",
            _SHOW_ENTRY,
        ),
    )
    PROTOCOL_MISMATCH = (
        "protocol-mismatch",
        "The client does not speak the protocol that the entry declares for the port.",
        Wording("the protocol of port {port} ({named}: {protocols}) is not what the client speaks ({curl})", _SHOW_ENTRY),
    )
    NOT_EXPORTED = (
        "not-exported",
        "The entry's `exportTo` does not include the namespace of the source pod, or the mesh's `serviceEntryVisibility` limits "
        "it, so this sidecar does not get the entry.",
        Wording("exportTo of {namespace}/{name} is {export_to}, which does not include namespace {pod_namespace}", _SHOW_ENTRY),
    )
    HIDDEN_BY_SIDECAR = (
        "hidden-by-sidecar",
        "A Sidecar resource hides the entry, or the block that the probe needs, from the pod's sidecar.",
        Wording(
            "a Sidecar resource hides {named} from pod {pod}; the sidecar sends {address} to {leads_to}",
            "kubectl get sidecars.networking.istio.io -n {pod_namespace} -o yaml",
        ),
    )
    NOT_PROPAGATED = (
        "not-propagated",
        "The entry is on the Kubernetes cluster and should reach this sidecar, but the sidecar does not have it, or has an older "
        "version of it.",
        Wording(
            "{namespace}/{name} lists {address}, but the sidecar sends it to {leads_to}: a Sidecar resource hides the entry, or "
            "the control plane has not pushed it",
            "istioctl proxy-status; kubectl get sidecars.networking.istio.io -n {pod_namespace}",
        ),
    )
    REJECTED_BY_PROXY = (
        "rejected-by-proxy",
        "Envoy refused the listener that the entry needs. The sidecar works without it, or with an older one.",
        Wording("Envoy refused the listener of {named} in the sidecar of {pod}{refused}", _SHOW_ENTRY),
    )
    RIVAL_ENTRY = (
        "rival-entry",
        "A conflicting entry: another ServiceEntry takes the traffic to this address and port, and sends or refuses it.",
        Wording(
            "ServiceEntry {rival} takes the traffic to {address}{not_ours}; the sidecar sends it to {leads_to}",
            "kubectl get serviceentry -n {rival_namespace} {rival_name} -o yaml",
            when="rival",
        ),
        Wording(
            "the sidecar sends {address} to {leads_to}{not_ours}: {owner_reason}",
            "kubectl get serviceentries.networking.istio.io,virtualservices.networking.istio.io -A",
        ),
    )
    REROUTED = (
        "rerouted",
        "A VirtualService, or a route of the Gateway API, sends the connection to another place than the entry's Envoy cluster, "
        "or has no route for the request. Or a DestinationRule, or a BackendTLSPolicy, adds TLS to a connection that is TLS "
        "already, or whose server does not speak TLS.",
        Wording(
            "{route} has no route for {no_route_for}: the sidecar answers HTTP 404 by itself",
            "{show_route}",
            when="no_route_for",
        ),
        Wording("{route} sends {address} to {routed_to}", "{show_route}", when="route"),
        Wording(
            "{rule} adds TLS to every connection of {leads_to}{by_field}, but the probe speaks TLS already",
            "{show_rule}",
            when="rule",
        ),
        Wording(
            "a VirtualService or DestinationRule sends {address} elsewhere, to {leads_to}",
            "kubectl get virtualservices.networking.istio.io,destinationrules.networking.istio.io -A",
        ),
    )
    NO_ENDPOINTS = (
        "no-endpoints",
        "The connection goes to the entry's Envoy cluster, which has no host to send it to.",
        Wording(
            "{leads_to} has no hosts to send {address} to: the workloadSelector of {named} takes no WorkloadEntry and no pod of "
            "namespace {namespace}",
            "kubectl get workloadentries.networking.istio.io,pods -n {namespace} --show-labels",
            when="selects",
        ),
        Wording("{leads_to} has no hosts to send {address} to: it is STATIC and lists no endpoints", _SHOW_ENTRY, when="static"),
        Wording("{leads_to} has no hosts to send {address} to: no name could be resolved", _SHOW_ENTRY),
    )
    NO_SIDECAR = (
        "no-sidecar",
        "The source pod has no sidecar. The request did not go through the mesh, so the answer proves nothing about a "
        "ServiceEntry.",
        Wording(
            "pod {pod_namespace}/{pod} has no sidecar (no container istio-proxy): the request did not go through the mesh",
            "kubectl label namespace {pod_namespace} istio-injection=enabled, then start the pod again",
        ),
    )
    NOT_CAPTURED = (
        "not-captured",
        "This connection did not go through the sidecar, although the pod has one.",
        Wording(
            "a proxy variable in the pod sent curl to port {led_to_port}, not to {host}:{port}", _EXEC + "env", when="proxied"
        ),
        Wording(
            "the connection to {address} did not go through the sidecar, which listens for no {family}: istiod gives it a second "
            "IP family only if it is set to, as by ISTIO_DUAL_STACK",
            "kubectl set env -n istio-system deploy/istiod --list",
            when="deaf",
        ),
        Wording(
            "the connection to {address} did not go through the sidecar: the pod's socket table does not show its other end at "
            "port 15001{perhaps}",
            "kubectl get pod -n {pod_namespace} {pod} -o jsonpath='{{.metadata.annotations}}'",
        ),
    )
    AMBIENT = (
        "ambient",
        "The pod is in an ambient mesh: ztunnel sends its traffic, not a sidecar. egressctl cannot prove which path an answer "
        "took.",
        Wording(
            "the pod is in an ambient mesh, where an outside tool cannot see which path the answer took",
            "use a pod with a sidecar: --pod NAME",
        ),
    )
    NAME_RESOLUTION = (
        "name-resolution",
        "The pod cannot resolve the probe's host, so it made no connection.",
        Wording("the pod cannot resolve {host} ({curl})", _EXEC + "nslookup {host}"),
    )
    IP_FAMILY = (
        "ip-family",
        "The address is of an IP family, IPv4 or IPv6, of which the pod has no address, and no connection was made.",
        Wording(
            "{address} is {family}, and pod {pod} has {pod_families} alone: it can connect there only if its network translates "
            "between the two",
            "kubectl get pod -n {pod_namespace} {pod} -o yaml",
        ),
    )
    CONNECT_REFUSED = (
        "connect-refused",
        "The sidecar let the connection out, and the address refused it.",
        Wording(
            "the sidecar let it out through {leads_to}, and {address} refused the connection ({curl})",
            "check that something listens on {address}",
        ),
    )
    CONNECT_TIMEOUT = (
        "connect-timeout",
        "The mesh let the connection out, but the address did not accept it in time.",
        Wording(
            "no connection to {address} within the time limit ({curl})", "look for a firewall between the node and that address"
        ),
    )
    TLS_CERTIFICATE = (
        "tls-certificate",
        "The connection was made, but curl did not accept the server's certificate.",
        Wording("curl did not accept the certificate of {host} ({curl})", _EXEC + "curl -v {url}"),
    )
    TLS_HANDSHAKE = (
        "tls-handshake",
        "The connection was made and the server answered, but client and server did not agree on TLS.",
        Wording("the TLS handshake with {address} failed ({curl})", _EXEC + "curl -v {url}"),
    )
    TIMEOUT = (
        "timeout",
        "The address accepted the connection, but did not answer in time.",
        Wording("{address} accepted the connection, but did not answer in time ({curl})", "--probe-timeout 30s"),
    )
    RESET = (
        "reset",
        "The sidecar let the connection out and it was made, but then it was cut.",
        Wording("the sidecar let it out through {leads_to}, but then the connection was cut ({curl})", _EXEC + "curl -v {url}"),
    )
    HTTP_STATUS = (
        "http-status",
        "The HTTP status of the answer is not the one that the probe expects.",
        Wording("HTTP status {status}, expected {expected}", _EXEC + "curl -i {url}"),
    )
    BODY_MISMATCH = (
        "body-mismatch",
        "The answer came, but an expression under the probe's `extract` found nothing in its body, took too long or too much of "
        "it, or the body was too long.",
        Wording(
            "{given_up}", "let no two neighbours in the expression match the same text, and give each * and + a limit", "given_up"
        ),
        Wording("the expression for {unmatched} found nothing in the body", _EXEC + "curl -s {url}"),
    )
    PROXY_UNREADABLE = (
        "proxy-unreadable",
        "The sidecar's configuration and counts could not be read, so nothing shows which path a request took.",
        Wording(
            "the sidecar of {pod_namespace}/{pod} could not be read, so nothing shows which path the request took{unread}",
            "kubectl exec -n {pod_namespace} {pod} -c istio-proxy -- pilot-agent request GET config_dump",
        ),
    )
    EVIDENCE_LOST = (
        "evidence-lost",
        "The evidence is not sufficient: a part is missing, contradicts the rest, or changed during the probe.",
        Wording(_NOT_SUFFICIENT, "{show_route}", when="stays_routed"),
        Wording(_NOT_SUFFICIENT, "egressctl explain {url} -n {pod_namespace}", when="stays"),
        Wording(_NOT_SUFFICIENT, "try again: --retries 2"),
    )
    NO_SOURCE_POD = (
        "no-source-pod",
        "There is no ready pod to send the probe from.",
        Wording(
            "there is no ready pod to send the probe from",
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
        "curl could not run in the pod, or it ended with a code that explains nothing.",
        Wording("curl could not run in pod {pod_namespace}/{pod}", _EXEC + "curl --version"),
    )
    SIDECAR_NOT_READY = (
        "sidecar-not-ready",
        "The pod's sidecar is not ready, so nobody knows what it would do with the connection.",
        Wording(
            "the sidecar of {pod_namespace}/{pod} is not ready ({proxy_state}), so the path through it is not known",
            "kubectl describe pod -n {pod_namespace} {pod}",
        ),
    )


class Cause(NamedTuple):
    """Why: a stable code, one sentence with the evidence in it, and the next command to type."""

    code: CauseCode
    message: str
    hint: str = ""
