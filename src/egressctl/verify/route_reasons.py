"""Name the routes, the TLS and the Sidecar listeners that keep a connection from the target's Envoy cluster, or spoil it. Pure.

The reasons are functions as those of `diagnosis.py`, which asks them in its order; what spoilt a connection that was let out is
asked by `verdict_no_answer.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from egressctl.envoy.config import OF_POLICY, parse_outbound_name
from egressctl.istio.gateway_api import Origin, names_as_parent, origin_of_route, origin_of_rule
from egressctl.istio.hosts import covers_host, hosts_overlap
from egressctl.istio.listing import protocols_on, tcp_ports
from egressctl.istio.sidecar_listeners import EgressListener, egress_listeners
from egressctl.manifests.formats import HTTP_PROTOCOLS, TLS_PROTOCOLS
from egressctl.model.cause import Cause, CauseCode
from egressctl.model.entry import Manifest, Port, ServiceEntry
from egressctl.model.json_values import list_at, mapping_at, mappings_at, text_at, texts_at, value_at
from egressctl.verify.candidates import object_name, show_command, sidecar_of_pod
from egressctl.verify.causes import Case, explain_cause

_HTTPS, _HTTP = 443, 80


# Why a connection is not sent by the target's Envoy cluster


def rerouted_cause(case: Case) -> Cause | None:
    """Blame a route of the host that was asked for, which leads to another host's Envoy cluster, or asks for another host."""
    walk, to, host = case.evidence.walk, parse_outbound_name(case.leads_to), case.probe.host
    if walk is None or not walk.virtual_service or to is None:
        return None
    if walk.authority:
        origin = origin_of_route(walk.virtual_service, case.around)
        said = f"{origin} asks the server for the host {walk.authority} in place of {host} (rewrite), through {case.leads_to}"
        return explain_cause(CauseCode.REROUTED, case, said, origin.show_command)
    if covers_host(to.host, host):
        return None
    written = case.around.virtual_services if case.around else ()
    hosts = next((texts_at(each, "spec", "hosts") for each in written if object_name(each) == walk.virtual_service), (host,))
    return explain_cause(CauseCode.REROUTED, case) if any(covers_host(each, host) for each in hosts) else None


def is_moved_to_another_port(case: Case) -> bool:
    """Say whether a route leads to another port than was asked for."""
    walk, to = case.evidence.walk, parse_outbound_name(case.leads_to)
    return walk is not None and bool(walk.virtual_service) and to is not None and to.port != case.probe.port


def own_port_cause(case: Case, entry: ServiceEntry) -> Cause | None:
    """Blame a Sidecar resource whose listeners have ports of their own, by which the pod gets nothing of the entry there."""
    number, sidecar = case.probe.port, sidecar_of_pod(case.around, case.source)
    if sidecar is None or not _is_left_to_policy(case):
        return None
    listeners = egress_listeners(sidecar)
    ports = list(dict.fromkeys(str(each.port) for each in listeners if each.port))
    own = [each for each in listeners if each.port == number]
    name = object_name(sidecar)
    if own:
        what = _what_listener_lacks(case, entry, own)
        said = f"Sidecar {name} has an egress listener of its own for port {number}, which {what}" if what else ""
    elif ports and all(each.port for each in listeners):
        which = f"port{'s' if len(ports) > 1 else ''} {', '.join(ports)}"
        said = f"Sidecar {name} has egress listeners for {which} only, so the pod gets nothing of {entry} on port {number}"
    else:
        said = ""
    if not said:
        return None
    said = f"{said}; the sidecar sends {case.address} to {case.leads_to}"
    return explain_cause(CauseCode.HIDDEN_BY_SIDECAR, case, said, show_command("sidecar", name))


def _what_listener_lacks(case: Case, entry: ServiceEntry, own: Sequence[EgressListener]) -> str:
    """Say in half a sentence why a port's own listeners do not send the probe by the entry, "" where they would.

    A listener without a port adds nothing to a port that has one.
    """
    importing = [each for each in own if each.imports(entry, case.source.namespace)]
    if not importing:
        hosts = ", ".join(host for each in own for host in each.hosts[:4]) or "no hosts"
        return f"imports {hosts}, and so not {entry}"
    first, tls = importing[0], case.probe.speech.tls
    if not any(each.takes(case.outcome.remote_ip) for each in importing):
        where = first.bind or "127.0.0.1"
        how = "" if first.captured else ", and not what is redirected to the sidecar (captureMode NONE)"
        return f"takes only what goes to {where}{how}"
    if first.protocol in (TLS_PROTOCOLS if not tls else HTTP_PROTOCOLS):
        return f"declares it {first.protocol}, and the probe speaks {'TLS' if tls else 'plain HTTP'}"
    return ""


def server_name_cause(case: Case, entry: ServiceEntry) -> Cause | None:
    """Blame a VirtualService that gives the entry's port TLS routes, none of them for the server name that was asked for.

    istiod makes its filter chains in place of the entry's own, where one of its hosts is the entry's, or within it.
    """
    around, speech = case.around, case.probe.speech
    if around is None or not speech.tls or not protocols_on(entry, case.probe.port) & TLS_PROTOCOLS:
        return None
    if not _is_left_to_policy(case):
        return None
    if not any(covers_host(host, case.probe.host) for host in entry.hosts):
        return None
    for route in (*around.virtual_services, *around.gateway_routes):
        names = _server_names_in_place(case, entry, route)
        if names and not any(covers_host(each, speech.server_name) for each in names):
            origin = Origin(text_at(route, "kind"), *object_name(route).split("/", 1))
            said = (
                f"{origin} has no route for the server name {speech.server_name or '(none)'} on port {case.probe.port}: it has "
                f"those for {', '.join(names[:4])}, in place of what {entry} asks for; "
                f"the sidecar sends {case.address} to {case.leads_to}"
            )
            return explain_cause(CauseCode.REROUTED, case, said, origin.show_command)
    return None


def _server_names_in_place(case: Case, entry: ServiceEntry, route: Manifest) -> list[str]:
    """Return the server names for which a route has filter chains in place of the entry's own, on the probe's port."""
    if text_at(route, "kind") == "TLSRoute":
        return list(texts_at(route, "spec", "hostnames")) if names_as_parent(route, entry, case.probe.port) else []
    hosts, gateways = texts_at(route, "spec", "hosts"), texts_at(route, "spec", "gateways")
    related = any(hosts_overlap(each, own) for each in hosts for own in entry.hosts)
    if text_at(route, "kind") != "VirtualService" or not related or (gateways and "mesh" not in gateways):
        return []
    return list(dict.fromkeys(_server_names(route, case.probe.port, case.source.labels, case.source.namespace)))


def _server_names(route: Manifest, port: int, labels: Mapping[str, str], namespace: str) -> Iterator[str]:
    """Give the server names for which a VirtualService makes filter chains on a port, for a pod (`matchTLS`)."""
    for rule in mappings_at(route, "spec", "tls"):
        for match in mappings_at(rule, "match") if list_at(rule, "route") else ():
            gateways = texts_at(match, "gateways")
            of_pod = mapping_at(match, "sourceLabels").items() <= labels.items()
            here = text_at(match, "sourceNamespace") in ("", namespace)
            if value_at(match, "port") in (None, 0, port) and (not gateways or "mesh" in gateways) and of_pod and here:
                yield from texts_at(match, "sniHosts")


def no_endpoints_cause(case: Case) -> Cause:
    """Blame the entry whose Envoy cluster has no hosts: for a URL, the one whose it is."""
    entry = _entry_behind(case)
    return explain_cause(CauseCode.NO_ENDPOINTS, replace(case, entry=entry) if entry else case)


# What spoilt a connection that was let out


def is_sent_plain_to_tls(case: Case) -> bool:
    """Say whether plain HTTP goes, by a route or a targetPort, to another port of the server, where it would have to be TLS."""
    walk, server_port = case.evidence.walk, case.evidence.upstream_port
    if walk is None or not walk.http_route or case.evidence.destination_rule or server_port in (0, case.probe.port):
        return False
    return _is_tls_port(case, server_port)


def wrong_tls_cause(case: Case, cause: Cause) -> Cause | None:
    """Blame what makes the sidecar speak TLS to a port of the server that speaks plain text, or the reverse.

    `cause` is what is known of the failure alone.
    """
    if case.evidence.destination_rule and not case.probe.speech.tls:
        return _tls_of_rule_cause(case, cause)
    if is_sent_plain_to_tls(case) and cause.code in (CauseCode.HTTP_STATUS, CauseCode.RESET):
        what = f"plain HTTP to port {case.evidence.upstream_port} of the server, a port for TLS"
        return _other_port_cause(case, what, f", and no DestinationRule adds TLS (trafficPolicy.tls); then {cause.message}")
    return _tls_to_plain_cause(case, cause)


def _tls_of_rule_cause(case: Case, cause: Cause) -> Cause | None:
    """Blame the DestinationRule that adds TLS for a connection that did not come about, alone where no TLS is to be expected."""
    counts, port = case.evidence.counts, case.evidence.upstream_port or case.probe.port
    if counts is None or not counts.connect_failed:
        return None
    rule = origin_of_rule(case.evidence.destination_rule, case.around)
    field = " (trafficPolicy.tls)" if rule.kind == "DestinationRule" else ""
    said = f"{rule} adds TLS to every connection of {case.leads_to}{field}, and none could be made to port {port}"
    if _is_tls_port(case, port):
        return cause._replace(
            message=f"{said} of the server: it refused the connection, or its certificate ({_curl(case)})", hint=rule.show_command
        )
    return explain_cause(
        CauseCode.REROUTED, case, f"{said} of the server, which speaks plain text there or does not listen", rule.show_command
    )


def _tls_to_plain_cause(case: Case, cause: Cause) -> Cause | None:
    """Blame what leads TLS of the client's own to another port of the server, on which none is spoken."""
    port = case.evidence.upstream_port
    if not case.probe.speech.tls or port in (0, case.probe.port) or cause.code not in (CauseCode.TLS_HANDSHAKE, CauseCode.RESET):
        return None
    plain = port == _HTTP or any(each.number == port and each.protocol.upper() in HTTP_PROTOCOLS for each in _ports(case))
    if not plain:
        return None
    return _other_port_cause(case, f"TLS to port {port} of the server", f", which speaks plain text there; then {cause.message}")


def _other_port_cause(case: Case, what: str, more: str) -> Cause:
    """Blame what leads to another port of the server than was asked for: a route, else the entry's `targetPort`."""
    walk = case.evidence.walk
    if walk is not None and is_moved_to_another_port(case):
        origin = origin_of_route(walk.virtual_service, case.around)
        return explain_cause(CauseCode.REROUTED, case, f"{origin} sends {what}{more}", origin.show_command)
    entry = _entry_behind(case)
    said = f"{entry or 'the ServiceEntry'} has a targetPort, by which port {case.probe.port} leads as {what}{more}"
    step = show_command("serviceentry", str(entry)) if entry else ""
    return explain_cause(CauseCode.PROTOCOL_MISMATCH, case, said, step)


def _is_tls_port(case: Case, number: int) -> bool:
    usual = number % 1000 == _HTTPS  # 443, 8443, 9443, ...
    return usual or any(port.number == number and port.protocol.upper() in TLS_PROTOCOLS for port in _ports(case))


def _is_left_to_policy(case: Case) -> bool:
    """Say whether the way leads to no entry's Envoy cluster."""
    return case.leads_to in (*OF_POLICY, "no Envoy cluster")


def _entry_behind(case: Case) -> ServiceEntry | None:
    """Return the entry that was named, or for a URL the one whose Envoy cluster it is."""
    owner = case.evidence.owner
    return case.entry or (owner.entry if owner else None)


def _ports(case: Case) -> list[Port]:
    entry = _entry_behind(case)
    return tcp_ports(entry) if entry else []


def _curl(case: Case) -> str:
    outcome = case.outcome
    return f"HTTP {outcome.http_status}" if outcome.http_status else f"curl exit {outcome.curl_exit}"
