"""The sentence and the next command for each cause: data in, words out."""

from __future__ import annotations

import re
from dataclasses import dataclass

from egressctl.kube.rbac import EXEC, grant_command_for_right
from egressctl.manifests.service_entry import LABEL_TARGET
from egressctl.manifests.validation import MAX_ITEMS
from egressctl.model.cause import Cause, CauseCode
from egressctl.model.entry import MeshObjects, ServiceEntry
from egressctl.model.evidence import CurlOutcome, Evidence, Source
from egressctl.model.probe import Probe


@dataclass(frozen=True, slots=True)
class Case:
    """Everything that a judgement is made of: what was asked, from where, and what came of it.

    `entry` is the target's ServiceEntry as it is on the Kubernetes cluster, None where it is not there;
    `entry_name` is the name it has or should have, empty where no target was named (a bare URL). `around` is what else is
    on the Kubernetes cluster, None where that was not looked at.
    """

    probe: Probe
    source: Source
    outcome: CurlOutcome
    evidence: Evidence
    entry_name: str = ""
    entry: ServiceEntry | None = None
    around: MeshObjects | None = None

    @property
    def address(self) -> str:
        """The address that curl reports, or the URL's host where it reached none."""
        return f"{self.outcome.remote_ip or self.probe.host}:{self.outcome.remote_port or self.probe.port}"


def _exec_command(source: Source, command: str) -> str:
    return f"kubectl exec -n {source.namespace} {source.pod} -c {source.container} -- {command}"


def explain_cause(code: CauseCode, situation: Case, detail: str = "", step: str = "") -> Cause:
    """Put a cause into one sentence with its evidence, and name the next command to type.

    `detail` replaces the sentence and `step` the command, where the caller knows more than the code says.
    """
    message, hint = _words(code, situation)
    if code is CauseCode.EXEC_FORBIDDEN:
        who = re.match(r"user (\S+) may not", detail)
        hint = grant_command_for_right("create", EXEC, situation.source.namespace, who[1] if who else "")
    return Cause(code, detail or message, step or hint)


def _words(code: CauseCode, case: Case) -> tuple[str, str]:
    probe, source, outcome, evidence = case.probe, case.source, case.outcome, case.evidence
    entry, namespace = case.entry, case.entry.namespace if case.entry else source.namespace
    carried = evidence.walk.envoy_cluster if evidence.walk and evidence.walk.envoy_cluster else "no Envoy cluster"
    name = case.entry_name
    target = name.removesuffix("-ext")
    curl_says = f"curl exit {outcome.curl_exit}" + (f": {outcome.error}" if outcome.error else "")
    describe = f"kubectl get serviceentry -n {namespace} {name} -o yaml"
    match code:
        case CauseCode.BLACKHOLE:
            return (
                f"the outbound traffic policy is REGISTRY_ONLY and no ServiceEntry names {case.address}",
                f"egressctl create NAME --host {probe.host} --address {outcome.remote_ip or 'ADDRESS'} --port {probe.port}",
            )
        case CauseCode.PASSTHROUGH:
            return (
                f"the outbound traffic policy ALLOW_ANY let {case.address} out through {carried}; no ServiceEntry carried it",
                "name the target to prove: egressctl verify NAME",
            )
        case CauseCode.ENTRY_MISSING:
            return (
                f"ServiceEntry {name} is not in namespace {namespace}; {case.address} leads to {carried}",
                f"egressctl create {target} -n {namespace}",
            )
        case CauseCode.ADDRESS_NOT_LISTED if entry and not entry.addresses and entry.allocated:
            return (
                f"{probe.host} resolved to {outcome.remote_ip}, and {name} has the address that Istio gave it, "
                f"{', '.join(entry.allocated)}, with which only the sidecar's own DNS answers",
                _exec_command(source, f"nslookup {probe.host}"),
            )
        case CauseCode.ADDRESS_NOT_LISTED if entry and len(entry.addresses) > MAX_ITEMS:
            return (
                f"{probe.host} resolved to {outcome.remote_ip}, which is in none of the {len(entry.addresses)} blocks of the "
                f"ServiceEntries of {entry.part_of}",
                f"kubectl get serviceentry -n {namespace} -l {LABEL_TARGET}={entry.part_of} -o yaml",
            )
        case CauseCode.ADDRESS_NOT_LISTED:
            listed = ", ".join(entry.addresses[:4]) + (", ..." if len(entry.addresses) > 4 else "") if entry else ""
            return (
                f"{probe.host} resolved to {outcome.remote_ip}, which is in none of the blocks of {name} ({listed})",
                describe,
            )
        case CauseCode.PORT_NOT_LISTED:
            listed = ", ".join(str(port.number) for port in entry.ports) if entry else ""
            return f"{name} names port {listed or 'none'}, and the probe goes to {probe.port}", describe
        case CauseCode.HOST_NOT_LISTED:
            listed = ", ".join(entry.hosts[:4]) + (", ..." if len(entry.hosts) > 4 else "") if entry else ""
            return (
                f"{name} names the host {listed or 'none'} on port {probe.port}, where TLS and HTTP are led by host, and the "
                f"probe asks for {probe.host}; {outcome.remote_ip or 'it'} leads to {carried}",
                describe,
            )
        case CauseCode.PROTOCOL_MISMATCH:
            declared = ", ".join(f"{port.number} {port.protocol or 'unset'}" for port in entry.ports) if entry else "none"
            return f"the protocol of port {probe.port} ({name}: {declared}) does not fit what is spoken ({curl_says})", describe
        case CauseCode.HIDDEN_BY_SIDECAR:
            return (
                f"a Sidecar resource leaves {name} out of what pod {source.pod} may import; {case.address} leads to {carried}",
                f"kubectl get sidecars.networking.istio.io -n {source.namespace} -o yaml",
            )
        case CauseCode.REJECTED_BY_PROXY:
            said = f": {evidence.refused}" if evidence.refused else ""
            return (
                f"Envoy refused the listener of {name} in the sidecar of {source.pod}{said}",
                describe,
            )
        case CauseCode.REROUTED:
            return _words_for_reroute(case, carried)
        case CauseCode.NO_ENDPOINTS:
            why = "it is STATIC and lists no endpoints" if entry and entry.resolution == "STATIC" else "none could be resolved"
            return f"{carried} has no hosts to send {case.address} to: {why}", describe
        case CauseCode.RIVAL_ENTRY:
            rival = evidence.owner.rival if evidence.owner else None
            instead = f", not {namespace}/{name}" if name else ""
            if rival:
                return (
                    f"ServiceEntry {rival} holds {case.address}{instead}; it leads to {carried}",
                    f"kubectl get serviceentry -n {rival.namespace} {rival.name} -o yaml",
                )
            why = evidence.owner.reason if evidence.owner else "no ServiceEntry that may be read claims it"
            return (
                f"{case.address} leads to {carried}{instead}: {why}",
                "kubectl get serviceentries.networking.istio.io,virtualservices.networking.istio.io -A",
            )
        case CauseCode.NOT_EXPORTED:
            allowed = ", ".join(entry.export_to) if entry else ""
            return f"exportTo of {namespace}/{name} is {allowed}, which leaves out namespace {source.namespace}", describe
        case CauseCode.NOT_PROPAGATED:
            return (
                f"{namespace}/{name} lists {case.address}, and the sidecar leads it to {carried}: "
                "a Sidecar resource hides the entry, or the control plane has not pushed it",
                f"istioctl proxy-status; kubectl get sidecars.networking.istio.io -n {source.namespace}",
            )
        case CauseCode.NO_SIDECAR:
            return (
                f"pod {source.namespace}/{source.pod} has no sidecar (no container istio-proxy): no mesh stood in the way",
                f"kubectl label namespace {source.namespace} istio-injection=enabled, and start the pod again",
            )
        case CauseCode.NOT_CAPTURED if outcome.proxied:
            return (
                f"a proxy variable in the pod led curl to port {outcome.remote_port}, not to {probe.host}:{probe.port}",
                _exec_command(source, "env"),
            )
        case CauseCode.NOT_CAPTURED:
            return (
                f"the connection to {case.address} did not go through the sidecar: "
                f"the pod's socket table has no other end of it at port 15001{_hints_text(source)}",
                f"kubectl get pod -n {source.namespace} {source.pod} -o jsonpath='{{.metadata.annotations}}'",
            )
        case CauseCode.AMBIENT:
            return (
                "the pod is in an ambient mesh, where nothing tells an outside tool which path carried the answer",
                "use a pod with a sidecar: --pod NAME",
            )
        case CauseCode.NAME_RESOLUTION:
            return f"the pod cannot resolve {probe.host} ({curl_says})", _exec_command(source, f"nslookup {probe.host}")
        case CauseCode.CONNECT_REFUSED:
            return (
                f"the sidecar let it out through {carried}, and {case.address} refused the connection ({curl_says})",
                f"see whether anything listens on {case.address}",
            )
        case CauseCode.CONNECT_TIMEOUT:
            return (
                f"no connection to {case.address} within the time allowed ({curl_says})",
                "look for a firewall between the node and that address",
            )
        case CauseCode.TLS_CERTIFICATE:
            return f"the certificate of {probe.host} was not accepted ({curl_says})", _exec_command(
                source, f"curl -v {probe.url}"
            )
        case CauseCode.TLS_HANDSHAKE:
            return f"the TLS handshake with {case.address} failed ({curl_says})", _exec_command(source, f"curl -v {probe.url}")
        case CauseCode.TIMEOUT:
            return f"{case.address} took the connection and did not answer in time ({curl_says})", "--probe-timeout 30s"
        case CauseCode.RESET:
            return f"the sidecar let it out through {carried}, and the connection was cut ({curl_says})", _exec_command(
                source, f"curl -v {probe.url}"
            )
        case CauseCode.HTTP_STATUS:
            return f"HTTP status {outcome.http_status}, expected {probe.expect.status or 'any'}", _exec_command(
                source, f"curl -i {probe.url}"
            )
        case CauseCode.BODY_MISMATCH:
            return (
                f"the expression for {', '.join(outcome.unmatched) or 'extract'} found nothing in the body",
                _exec_command(source, f"curl -s {probe.url}"),
            )
        case CauseCode.PROXY_UNREADABLE:
            return (
                f"the sidecar of {source.namespace}/{source.pod} could not be read, so nothing shows which way the request took",
                f"kubectl exec -n {source.namespace} {source.pod} -c istio-proxy -- pilot-agent request GET config_dump",
            )
        case CauseCode.EVIDENCE_LOST:
            return f"the evidence for {case.address} is not sufficient ({curl_says})", "ask again: --retries 2"
        case CauseCode.SIDECAR_NOT_READY:
            state = source.proxy_state or "its status says so"
            return (
                f"the sidecar of {source.namespace}/{source.pod} is not ready ({state}), so nothing can be said of its way",
                f"kubectl describe pod -n {source.namespace} {source.pod}",
            )
        case CauseCode.NO_SOURCE_POD:
            return "there is no pod to send the probe from", "egressctl create ... --with-source, or name one: --pod NAME"
        case CauseCode.NO_CURL:
            return (
                f"container {source.container} of pod {source.namespace}/{source.pod} has no curl",
                "name another with -c CONTAINER or --pod NAME, or start one: egressctl create ... --with-source",
            )
        case CauseCode.EXEC_FORBIDDEN:
            return (
                f"no right to exec into pod {source.namespace}/{source.pod}",
                "",
            )
        case CauseCode.EXEC_FAILED:
            return f"curl could not be run in pod {source.namespace}/{source.pod}", _exec_command(source, "curl --version")


def _hints_text(source: Source) -> str:
    return f" (perhaps: {'; '.join(source.hints)})" if source.hints else ""


def _words_for_reroute(case: Case, carried: str) -> tuple[str, str]:
    walk, evidence = case.evidence.walk, case.evidence
    if walk and walk.virtual_service:
        namespace, _, name = walk.virtual_service.partition("/")
        to = carried
        if walk.absent:
            to = f"{carried}, an Envoy cluster that the sidecar does not have"
        elif walk.direct_status:
            to = f"an answer of the sidecar's own, HTTP {walk.direct_status}"
        elif walk.choices:
            to = f"{carried}, one of {', '.join(walk.choices)}"
        return (
            f"VirtualService {walk.virtual_service} leads {case.address} to {to}",
            f"kubectl get virtualservice -n {namespace} {name} -o yaml",
        )
    namespace, _, name = evidence.destination_rule.partition("/")
    if not name:
        return (
            f"a VirtualService or DestinationRule sends {case.address} elsewhere, to {carried}",
            "kubectl get virtualservices.networking.istio.io,destinationrules.networking.istio.io -A",
        )
    return (
        f"DestinationRule {evidence.destination_rule} wraps every connection of {carried} in TLS (trafficPolicy.tls), and the "
        "probe speaks TLS already",
        f"kubectl get destinationrule -n {namespace} {name} -o yaml",
    )
