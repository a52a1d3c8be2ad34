"""What the use cases need of a mesh, said in Istio's words, on top of the Kubernetes API."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import Any
from urllib.parse import quote

from egressctl.envoy.config import EnvoyCluster, ProxyConfig, Versions
from egressctl.envoy.counts import ClusterCounts, parse_clusters
from egressctl.envoy.dump import parse_config, parse_envoy_clusters, parse_routes, parse_versions
from egressctl.envoy.info import ProxyInfo, parse_info
from egressctl.envoy.routes import RouteConfig
from egressctl.errors import Conflict, CouldNotAsk, Forbidden, InvalidInput, NotFound, ProxyUnreadable, Refused
from egressctl.kube.rbac import RbacRule, grant_command_for_right
from egressctl.kube.rest import Api, resource_path
from egressctl.manifests.service_entry import (
    GROUP,
    LABEL_MANAGED_BY,
    MANAGER,
    PLURAL,
    read_entry,
)
from egressctl.mesh import curl, sample_pod, send_probes, socket_table
from egressctl.mesh.proxy_admin import ask_proxy
from egressctl.mesh.source_pod import DEFAULT_SELECTOR, POD_KINDS, SourceChoice, choose_source
from egressctl.model.cause import CauseCode
from egressctl.model.entry import Manifest, ServiceEntry
from egressctl.model.evidence import Capture, CurlOutcome, ProbeSent, Source
from egressctl.model.probe import Probe
from egressctl.model.result import KubernetesInfo
from egressctl.runtime.concurrency import gather

MANAGED_SELECTOR = f"{LABEL_MANAGED_BY}={MANAGER}"

_LISTENERS = "config_dump?resource=dynamic_listeners"
_ROUTES = "config_dump?resource=dynamic_route_configs"
_LONGEST_PATTERN = 2000
_TIMED_OUT = 28
"""curl's exit where a connection stayed open until its time was up."""
_LOG_LINES, _LOG_BYTES = 20_000, 8 << 20
_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_WORKLOADS = {"deploy": "deployments", "deployment": "deployments", "deployments": "deployments"}


class Mesh:
    """Ask and change a mesh through its Kubernetes API. Thread-safe; errors are those of errors.py."""

    def __init__(self, api: Api, *, field_manager: str = MANAGER) -> None:
        self.api = api
        self.field_manager = field_manager
        self._execs = itertools.count()

    # ServiceEntries

    @cached_property
    def api_version(self) -> str:
        """The newest served version of Istio's networking API, such as `networking.istio.io/v1`."""
        return f"{GROUP}/{self.api.served_versions(GROUP)[0]}"

    def entry(self, namespace: str, name: str) -> Manifest | None:
        """Return the ServiceEntry of that name, None where there is none."""
        return self._found(self._path(namespace, name))

    def entries(self, namespace: str | None, selector: str = "") -> list[Manifest]:
        """List the ServiceEntries of one namespace, or of all (None)."""
        found = self.api.list(self._path(namespace), label_selector=selector or None)
        return [{"apiVersion": self.api_version, "kind": "ServiceEntry", **item} for item in found["items"]]

    def readable_entries(self, namespace: str) -> tuple[tuple[ServiceEntry, ...], bool]:
        """Return every ServiceEntry that may be read, and whether those are all of the mesh.

        Without the right to list all namespaces, those of the one namespace suffice to prove `open`.
        """
        try:
            return tuple(map(read_entry, self.entries(None))), True
        except Forbidden:
            return tuple(map(read_entry, self.entries(namespace))), False

    def apply(self, manifest: Manifest, *, manager: str, force: bool = False, dry_run: bool = False) -> tuple[int, Manifest]:
        """Apply a ServiceEntry server-side; return the HTTP status (201 made, 200 was there) and the object."""
        metadata = manifest["metadata"]
        path = self._path(metadata["namespace"], metadata["name"])
        return self.api.apply(path, dict(manifest), field_manager=manager, force=force, dry_run=dry_run)

    def withdraw(self, manifest: Manifest, *, manager: str) -> None:
        """Give up every field of a ServiceEntry that this manager owns: what it alone had set is gone, the rest is as it was."""
        metadata = {key: manifest["metadata"][key] for key in ("name", "namespace")}
        path = self._path(metadata["namespace"], metadata["name"])
        body = {"apiVersion": manifest["apiVersion"], "kind": manifest["kind"], "metadata": metadata}
        self.api.apply(path, body, field_manager=manager)

    def delete(self, manifest: Manifest, *, dry_run: bool = False) -> bool:
        """Delete exactly this ServiceEntry, by its UID; say whether it was still there."""
        metadata = manifest["metadata"]
        path = self._path(metadata["namespace"], metadata["name"])
        return self.api.delete(path, uid=metadata["uid"], dry_run=dry_run)

    def _path(self, namespace: str | None, name: str | None = None) -> str:
        return resource_path(self.api_version, namespace, PLURAL, name)

    def _found(self, path: str) -> Manifest | None:
        """Return the object at a path, None where the API server says that there is none of that name."""
        try:
            return self.api.get(path)
        except NotFound as missing:
            if not missing.name:
                raise
            return None

    # Rights

    def require(self, rules: Iterable[RbacRule], namespaces: Iterable[str]) -> None:
        """Ask whether these rights are there, all at once; raise Forbidden for the first that is not."""
        for verb, resource, namespace in self.denied(rules, namespaces)[:1]:
            raise Forbidden(
                f"these credentials may not {verb} {resource} in namespace {namespace}",
                verb=verb,
                resource=resource,
                namespace=namespace,
                hint=f"an administrator grants it: {grant_command_for_right(verb, resource, namespace, '')}",
            )

    def denied(self, rules: Iterable[RbacRule], namespaces: Iterable[str]) -> list[tuple[str, str, str]]:
        """Return the rights that are not there: verb, resource, namespace.

        Where the API server does not say, nothing is held against the credentials.
        """
        wanted = [(verb, rule.resource, each) for each in namespaces for rule in rules for verb in rule.verbs]
        answers = gather([partial(self._may, *each) for each in wanted], at_most=8)
        return [right for right, allowed in zip(wanted, answers, strict=True) if not allowed]

    def _may(self, verb: str, resource: str, namespace: str) -> bool:
        plural, _, group = resource.partition(".")
        plural, _, subresource = plural.partition("/")
        attributes = {"namespace": namespace, "verb": verb, "group": group, "resource": plural, "subresource": subresource}
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
        try:
            answer = self.api.create(_REVIEWS, {**review, "spec": {"resourceAttributes": attributes}})
        except (Forbidden, NotFound):
            return True
        return bool((answer.get("status") or {}).get("allowed"))

    def user(self) -> str:
        """Return the name by which the API server knows these credentials, "" where it does not say."""
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        try:
            answer = self.api.create("/apis/authentication.k8s.io/v1/selfsubjectreviews", review)
        except (Forbidden, NotFound):
            return ""
        return str(((answer.get("status") or {}).get("userInfo") or {}).get("username") or "")

    # What else is around

    def namespace(self, name: str) -> Manifest:
        """Return a Namespace. Raises NotFound."""
        return self.api.get(resource_path("v1", None, "namespaces", name))

    def validating_webhooks(self) -> list[Manifest]:
        """List the ValidatingWebhookConfigurations."""
        path = resource_path("admissionregistration.k8s.io/v1", None, "validatingwebhookconfigurations")
        found: list[Manifest] = self.api.list(path)["items"]
        return found

    # The source pod

    def source(self, namespace: str, choice: SourceChoice) -> Source:
        """Find the pod to send probes from. Raises NoSourcePod, NotFound, InvalidInput."""
        kind, _, name = choice.pod.rpartition("/")
        if kind in ("", *POD_KINDS) and name:
            pod = self._found(resource_path("v1", namespace, "pods", name))
            return choose_source([pod] if pod else [], choice, namespace)
        selector = choice.selector or DEFAULT_SELECTOR
        if name:
            selector = self._workload_selector(namespace, kind, name)
        pods = self.api.list(resource_path("v1", namespace, "pods"), label_selector=selector)["items"]
        return choose_source(pods, choice, namespace)

    def _workload_selector(self, namespace: str, kind: str, name: str) -> str:
        if kind not in _WORKLOADS:
            raise InvalidInput(f"--pod {kind}/{name}: a pod is named as NAME, pod/NAME or deploy/NAME")
        workload = self.api.get(resource_path("apps/v1", namespace, _WORKLOADS[kind], name))
        labels: dict[str, str] = workload["spec"]["selector"].get("matchLabels") or {}
        return ",".join(f"{key}={value}" for key, value in labels.items())

    def start_source(self, namespace: str, run_id: str) -> None:
        """Make the sample's ServiceAccount and Pod; what is there already and ours stays as it is."""
        for plural, manifest in sample_pod.sample_manifests(namespace, run_id):
            path = resource_path("v1", namespace, plural, sample_pod.NAME)
            live = self._found(path)
            if live is None:
                self.api.apply(path, manifest, field_manager=self.field_manager)
                continue
            if (live["metadata"].get("labels") or {}).get(LABEL_MANAGED_BY) != MANAGER:
                kind = plural.removesuffix("s")
                raise Conflict(
                    f"{kind} {namespace}/{sample_pod.NAME} is there already and egressctl did not make it",
                    hint=f"name a pod: --pod NAME; or, if it may go: kubectl delete {kind} -n {namespace} {sample_pod.NAME}",
                )

    def source_objects(self, namespace: str, selector: str = MANAGED_SELECTOR) -> list[tuple[str, Manifest]]:
        """List the sample's objects that egressctl made in a namespace, in the order in which they go."""
        found: list[tuple[str, Manifest]] = []
        for plural in ("pods", "serviceaccounts"):
            items = self.api.list(resource_path("v1", namespace, plural), label_selector=selector)["items"]
            found += [(plural, item) for item in items]
        return found

    def delete_source_object(self, plural: str, manifest: Manifest) -> bool:
        """Delete exactly this object of the sample, by its UID; say whether it was still there."""
        metadata = manifest["metadata"]
        return self.api.delete(resource_path("v1", metadata["namespace"], plural, metadata["name"]), uid=metadata["uid"])

    # The sidecar

    def proxy_config(self, source: Source) -> ProxyConfig:
        """Read the sidecar's listeners. Raises ProxyUnreadable, Forbidden."""
        # Not what was refused: where Envoy does not know a type in it, it writes no JSON at all, whichever names are asked for.
        return parse_config(self._ask_proxy(source, f"{_LISTENERS}&mask=name,active_state,error_state.details"))

    def listener_errors(self, source: Source) -> Mapping[str, str]:
        """Read by listener name what Envoy said when it refused an update. Raises ProxyUnreadable, Forbidden."""
        return parse_config(self._ask_proxy(source, f"{_LISTENERS}&mask=name,error_state.details")).errors

    def listener_versions(self, source: Source) -> Versions:
        """Read which version of each listener the sidecar has in force. Raises ProxyUnreadable, Forbidden."""
        fields = "name,active_state.version_info,active_state.last_updated,error_state.details"
        return parse_versions(self._ask_proxy(source, f"{_LISTENERS}&mask={fields}"))

    def route_versions(self, source: Source) -> Mapping[str, str]:
        """Read by name which version of each route configuration the sidecar has. Raises ProxyUnreadable, Forbidden."""
        answer = self._ask_proxy(source, f"{_ROUTES}&mask=version_info,last_updated,route_config.name")
        return {name: each.version for name, each in parse_routes(answer).items()}

    def routes(self, source: Source, names: Iterable[str]) -> Mapping[str, RouteConfig]:
        """Read those of the sidecar's route configurations that have these names. Raises ProxyUnreadable, Forbidden."""
        return parse_routes(self._ask_proxy(source, _path_with_names(_ROUTES, map(re.escape, names))))

    def routes_of_ports(self, source: Source, ports: Iterable[int]) -> Mapping[str, RouteConfig]:
        """Read the route configurations that istiod makes for these ports. Raises ProxyUnreadable, Forbidden."""
        # `80`, and `HOST:80` for a listener of an address.
        return parse_routes(self._ask_proxy(source, _path_with_names(_ROUTES, (f"(.*:)?{port}" for port in ports))))

    def envoy_clusters(self, source: Source, names: Iterable[str]) -> Mapping[str, EnvoyCluster]:
        """Read those of the sidecar's Envoy clusters that have these names. Raises ProxyUnreadable, Forbidden."""
        # A dot for whatever a pattern reads otherwise: that is short, and finds at most a few more.
        path = _path_with_names("config_dump?resource=dynamic_active_clusters", (re.sub(r"[^\w-]", ".", name) for name in names))
        return parse_envoy_clusters(self._ask_proxy(source, path))

    def proxy_counts(self, source: Source) -> ClusterCounts:
        """Read the sidecar's connection counts by Envoy cluster and host. Raises ProxyUnreadable, Forbidden."""
        return parse_clusters(self._ask_proxy(source, "clusters?format=json"))

    def proxy_info(self, source: Source) -> ProxyInfo:
        """Read which Envoy and which Istio the sidecar is. Raises ProxyUnreadable, Forbidden."""
        return parse_info(self._ask_proxy(source, "server_info"))

    def proxy_log(self, source: Source, seconds: int) -> str:
        """Read what the sidecar has logged in the last seconds, the newest lines of it. Raises CouldNotAsk."""
        path = resource_path("v1", source.namespace, "pods", source.pod) + "/log"
        newest = {"sinceSeconds": str(seconds), "tailLines": str(_LOG_LINES), "limitBytes": str(_LOG_BYTES)}
        try:
            return self.api.text(path, {"container": source.proxy or "", **newest})
        except Refused as error:  # 400: the container waits to be started, or its log is gone
            raise ProxyUnreadable(str(error)) from None

    def _ask_proxy(self, source: Source, path: str) -> str:
        return ask_proxy(self.api, source, path)

    # Probes

    def send(
        self, source: Source, probes: Iterable[tuple[int, Probe]], limits: curl.TransferLimits, *, alone: bool
    ) -> list[Callable[[], list[tuple[int, ProbeSent]]]]:
        """Return one call for each exec that the numbered probes need; each gives results with their numbers.

        `alone` gives each probe a connection of its own. The calls never raise CouldNotAsk.
        """
        numbered = list(probes)
        silent = [(index, probe) for index, probe in numbered if probe.bare]
        chunks = curl.split_into_execs(((index, probe) for index, probe in numbered if not probe.bare), alone=alone)
        # They take longest, so they begin first.
        calls = [partial(self._open_bare, source, index, probe, next(self._execs), limits) for index, probe in silent]
        return [*calls, *(partial(self._send_chunk, source, chunk, next(self._execs), limits) for chunk in chunks)]

    def _open_bare(
        self, source: Source, index: int, probe: Probe, number: int, limits: curl.TransferLimits
    ) -> list[tuple[int, ProbeSent]]:
        """Open a bare connection and hold it for a while, so that the socket table can be read meanwhile."""
        try:
            heard, tables = send_probes.watch_bare_connection(
                self.api, source, (probe.connect_ip or probe.host, probe.port), limits
            )
        except CouldNotAsk as failure:
            return [(index, _failed_probe(failure))]
        sent = self._probe_sent(heard, number)
        if sent.outcome is None or sent.capture is not Capture.UNKNOWN:
            return [(index, sent)]
        return [(index, replace(sent, capture=_capture_in_tables(tables, sent.outcome)))]

    def _send_chunk(
        self, source: Source, chunk: Sequence[tuple[int, Probe]], number: int, limits: curl.TransferLimits
    ) -> list[tuple[int, ProbeSent]]:
        try:
            heard = send_probes.send_in_one_exec(self.api, source, [probe for _, probe in chunk], limits)
        except CouldNotAsk as failure:
            return [(index, _failed_probe(failure)) for index, _ in chunk]
        return [(index, self._probe_sent(each, number)) for (index, _), each in zip(chunk, heard, strict=True)]

    @staticmethod
    def _probe_sent(heard: send_probes.CurlReport, number: int) -> ProbeSent:
        if heard.outcome is None:
            return ProbeSent(None, failure=CauseCode.EVIDENCE_LOST, detail=heard.lost)
        return ProbeSent(heard.outcome, capture_of(heard.table, heard.outcome), (number, heard.outcome.local_port))

    def companions(self, source: Source, addresses: Sequence[tuple[str, int]], limits: curl.TransferLimits) -> list[Capture]:
        """Open a bare connection to each address, after a refusal, and say whether the sidecar took it.

        What could not be asked is UNKNOWN. Addresses beyond five are asked in further execs.
        """
        found: list[Capture] = []
        for start in range(0, len(addresses), curl.CONNECTIONS_PER_EXEC):
            part = addresses[start : start + curl.CONNECTIONS_PER_EXEC]
            try:
                heard = send_probes.open_bare_connections(self.api, source, part, limits)
            except CouldNotAsk:
                found += [Capture.UNKNOWN] * len(part)
                continue
            found += [capture_of(each.table, each.outcome) if each.outcome else Capture.UNKNOWN for each in heard]
            waiting = [start + at for at, each in enumerate(heard) if each.outcome and each.outcome.curl_exit == _TIMED_OUT]
            again = [index for index in waiting if found[index] is Capture.UNKNOWN]
            held = gather([partial(self._capture_while_open, source, addresses[index], limits) for index in again], at_most=5)
            for index, seen in zip(again, held, strict=True):
                found[index] = seen
        return found

    def _capture_while_open(self, source: Source, address: tuple[str, int], limits: curl.TransferLimits) -> Capture:
        """Say whether the sidecar has the other end of a connection that stays open until curl ends it."""
        try:
            heard, tables = send_probes.watch_bare_connection(self.api, source, address, limits)
        except CouldNotAsk:
            return Capture.UNKNOWN
        return _capture_in_tables(tables, heard.outcome) if heard.outcome else Capture.UNKNOWN

    def curl_version(self, source: Source) -> str:
        """Return what the container's curl says of itself. Raises NoCurl, ExecFailed, Forbidden."""
        return send_probes.curl_version(self.api, source)

    def info(self) -> KubernetesInfo:
        """Say which Kubernetes cluster this is."""
        return KubernetesInfo(self.api.context, self.api.server, self.api.server_version())


def _path_with_names(path: str, patterns: Iterable[str]) -> str:
    """Ask for what has a name of one of these patterns, or for all where they are too many."""
    pattern = quote("|".join(sorted(patterns)), safe="")
    # It travels in the address of the exec, and some servers refuse lines of more than 8 KB.
    return f"{path}&name_regex={pattern}" if len(pattern) < _LONGEST_PATTERN else path


def _failed_probe(failure: CouldNotAsk) -> ProbeSent:
    code = CauseCode.EXEC_FORBIDDEN if isinstance(failure, Forbidden) else CauseCode.EXEC_FAILED
    return ProbeSent(None, failure=CauseCode.NO_CURL if isinstance(failure, send_probes.NoCurl) else code, detail=str(failure))


def _capture_in_tables(tables: Iterable[str], outcome: CurlOutcome) -> Capture:
    """Say what the first of several socket tables shows that shows anything."""
    seen = {capture_of(table, outcome) for table in tables}
    return next((each for each in (Capture.CAPTURED, Capture.NOT_CAPTURED) if each in seen), Capture.UNKNOWN)


def capture_of(table: str, outcome: CurlOutcome) -> Capture:
    """Say whether the sidecar had the other end of the connection that curl reports."""
    if not outcome.local_port or not outcome.remote_ip:
        return Capture.UNKNOWN
    return socket_table.capture_in_table(
        table,
        local_ip=outcome.local_ip,
        local_port=outcome.local_port,
        remote_ip=outcome.remote_ip,
        remote_port=outcome.remote_port,
    )


def kubectl_delete(manifest: Manifest | dict[str, Any]) -> str:
    """Return the command that removes an object by hand."""
    metadata = manifest["metadata"]
    kind = str(manifest.get("kind") or "serviceentry").lower()
    return f"kubectl delete {kind} -n {metadata.get('namespace', 'default')} {metadata['name']}"


def look_up_entries(mesh: Mesh, places: Sequence[tuple[str, str]]) -> list[Manifest | None]:
    """Read several ServiceEntries, by namespace and name, at the same time."""
    return gather([partial(mesh.entry, *place) for place in places], at_most=8)
