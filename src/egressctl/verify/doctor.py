"""Look at everything that egressctl needs, from the kubeconfig to curl in the source pod, and say what is missing.

Each check is one line: ok, warning or error, why, and what to type. What cannot be looked at because of an earlier
error is left out; what may not be looked at is a warning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, partial

from egressctl.envoy.config import ProxyConfig
from egressctl.envoy.info import ProxyInfo
from egressctl.envoy.walk import listens_for, outbound_policy
from egressctl.errors import (
    EgressctlError,
    Forbidden,
    NoConfiguration,
    NotFound,
    NotTrusted,
    Unauthorized,
    Unreachable,
)
from egressctl.istio.export_to import SHOW_MESH_CONFIG
from egressctl.istio.versions import changes_until, parse_version
from egressctl.kube.access import denied_rights, user_name
from egressctl.kube.rbac import RIGHTS, grant_command, rules_needed
from egressctl.kube.rest import resource_path
from egressctl.manifests.service_entry import PLURAL
from egressctl.mesh import curl, old_curl
from egressctl.mesh.client import Mesh
from egressctl.mesh.namespaces import require_namespace
from egressctl.mesh.read_objects import read_mesh_settings
from egressctl.mesh.send_probes import NoCurl, curl_version
from egressctl.mesh.sidecar import Sidecar
from egressctl.mesh.source_pod import SourceChoice, find_source
from egressctl.model.blocks import ip_version
from egressctl.model.entry import GROUP, ROOT_NAMESPACE, Manifest
from egressctl.model.evidence import Source
from egressctl.model.json_values import list_at, text_at
from egressctl.runtime.sanitize import quote

CLOCK_SECONDS = 30.0
"""A clock that is further off than this is warned of: the Date header counts whole seconds, and an answer takes its time."""

_WEBHOOKS = resource_path("admissionregistration.k8s.io/v1", None, "validatingwebhookconfigurations")

_VERSION_LABEL = "app.kubernetes.io/version"
"""By which Istio's charts say what they installed."""

_KNOWN_SINCE = (1, 25)
"""Kubernetes that refuses unknown fields by `fieldValidation`, as egressctl asks it to: on by default since 1.25."""


class Status(StrEnum):
    """What a check found: all is well, egressctl works but something is odd, a command of egressctl would fail."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at; `hint` is what to type, "" where nothing has to be done."""

    name: str
    status: Status
    message: str
    hint: str = ""


def examine(connect: Callable[[], Mesh], namespace: str, choice: SourceChoice) -> Iterator[Check]:
    """Yield the checks one by one, each as soon as it is known; raises nothing of errors.py.

    `connect` is called first and may raise; `namespace` "" is the context's.
    """
    try:
        mesh = connect()
    except EgressctlError as failure:
        yield _failed_check("kubeconfig", failure)
        return
    namespace = namespace or mesh.api.namespace or "default"
    yield _ok_check("kubeconfig", f"context {mesh.api.context or '(none)'}, API server {mesh.api.server}, namespace {namespace}")
    reachable = _run_check("api-server", partial(_check_api_server, mesh))
    yield reachable
    if reachable.status is Status.ERROR:
        return
    user = ""
    try:
        user = user_name(mesh.api)
        yield judge_credentials(user)
    except EgressctlError as failure:
        yield _failed_check("credentials", failure)
        if isinstance(failure, _HOPELESS):
            return
    yield judge_clock(mesh.api.clock_skew)
    yield _run_check("istio", partial(_check_istio, mesh))
    yield from _check_rights(mesh, namespace, user)
    there = _run_check("namespace", partial(_check_namespace, mesh, namespace), allowed_to_fail=True)
    yield there
    yield _run_check("validation", partial(_check_validation, mesh), allowed_to_fail=True)
    if there.status is Status.ERROR:
        return
    try:
        source = find_source(mesh.api, namespace, choice)
    except EgressctlError as failure:
        yield _failed_check("source-pod", failure)
        return
    yield from _check_source(mesh, source)


_HOPELESS = (NoConfiguration, Unreachable, NotTrusted, Unauthorized)


def _ok_check(name: str, message: str) -> Check:
    return Check(name, Status.OK, message)


def _failed_check(name: str, failure: EgressctlError) -> Check:
    return Check(name, Status.ERROR, str(failure), failure.hint)


def _run_check(name: str, ask: Callable[[], Check], *, allowed_to_fail: bool = False) -> Check:
    """Return the check, or the failure as one; of what egressctl can do without, that it may not be read is a warning."""
    try:
        return ask()
    except Forbidden as failure:
        return Check(name, Status.WARNING if allowed_to_fail else Status.ERROR, f"not looked at: {failure}", failure.hint)
    except EgressctlError as failure:
        return _failed_check(name, failure)


def _check_api_server(mesh: Mesh) -> Check:
    return judge_api_server(mesh.api.server_version(), mesh.api.warnings)


def judge_api_server(version: str, warnings: Sequence[str]) -> Check:
    """Judge the API server's version and what it warned of on the way."""
    numbers = version.removeprefix("v").split(".")[:2]
    if warnings:
        return Check("api-server", Status.WARNING, f"Kubernetes {version}, and it warns: {'; '.join(warnings)}")
    if all(each.isdecimal() for each in numbers) and tuple(map(int, numbers)) < _KNOWN_SINCE:
        what = f"Kubernetes {version} takes unknown fields of an entry without a word; {_version_text(_KNOWN_SINCE)} refuses them"
        return Check("api-server", Status.WARNING, what, "egressctl create TARGET --dry-run=client -o yaml shows what is sent")
    return _ok_check("api-server", f"Kubernetes {version}")


def judge_credentials(user: str) -> Check:
    """Judge the name by which the API server knows us, "" where it does not say."""
    if user == "system:anonymous":
        hint = "choose credentials with --context, --user or --token"
        return Check("credentials", Status.ERROR, "no credentials were sent: the API server sees system:anonymous", hint)
    return _ok_check(
        "credentials", f"the API server knows them as {user}" if user else "taken; the API server does not say whose"
    )


def judge_clock(skew: float | None) -> Check:
    """Judge how many seconds the API server's clock is ahead."""
    if skew is None:
        return Check("clock", Status.WARNING, "the API server's answers have no date: its clock cannot be compared")
    if abs(skew) < CLOCK_SECONDS:
        return _ok_check("clock", "this machine and the API server agree within the half minute")
    what = f"the API server's clock is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} this machine's"
    hint = "set this machine's clock (timedatectl): tokens and certificates may seem expired, and ages are wrong"
    return Check("clock", Status.WARNING, what, hint)


def _check_istio(mesh: Mesh) -> Check:
    versions = mesh.api.served_versions(GROUP)
    resources = mesh.api.get(f"/apis/{GROUP}/{versions[0]}").get("resources") or ()
    if PLURAL not in [each.get("name") for each in resources]:
        hint = "install Istio's CRDs (istioctl install, or the chart istio/base)"
        return Check("istio", Status.ERROR, f"{GROUP}/{versions[0]} has no {PLURAL}", hint)
    return _ok_check("istio", f"ServiceEntries are served as {GROUP} {', '.join(versions)}")


def _check_rights(mesh: Mesh, namespace: str, user: str) -> Iterator[Check]:
    try:
        denied = {(verb, resource) for verb, resource, _ in denied_rights(mesh.api, rules_needed(RIGHTS), [namespace])}
    except EgressctlError as failure:
        yield _failed_check("rights", failure)
        return
    for command in RIGHTS:
        yield judge_rights(command, denied, namespace, user)


def judge_rights(command: str, denied: set[tuple[str, str]], namespace: str, user: str) -> Check:
    """Judge whether a command has its rights: `denied` holds verb and resource of those that are not there."""
    name = f"may {command}"
    missing = [f"{verb} {rule.resource}" for rule in RIGHTS[command] for verb in rule.verbs if (verb, rule.resource) in denied]
    if missing:
        what = f"{user or 'these credentials'} may not {', '.join(missing)} in namespace {namespace}"
        return Check(name, Status.ERROR, what, grant_command([command], namespace, user))
    return _ok_check(name, f"all its rights are there in namespace {namespace}")


def _check_namespace(mesh: Mesh, name: str) -> Check:
    try:
        manifest = mesh.api.get(resource_path("v1", None, "namespaces", name))
    except NotFound:
        require_namespace(mesh.api, name)
        raise
    return judge_injection(manifest)


def judge_injection(namespace: Manifest) -> Check:
    """Judge a Namespace by whether its new pods get a sidecar (Istio's labels: `istio-injection` goes before `istio.io/rev`)."""
    metadata = namespace["metadata"]
    name, labels = metadata["name"], metadata.get("labels") or {}
    injected, revision = labels.get("istio-injection"), labels.get("istio.io/rev")
    if metadata.get("deletionTimestamp"):
        what = f"namespace {name} is being deleted, and takes nothing new"
        return Check("namespace", Status.ERROR, what, f"kubectl get namespace {quote(name)} -o yaml shows what it waits for")
    if injected == "enabled":
        return _ok_check("namespace", f"pods of {name} get a sidecar (istio-injection=enabled)")
    if injected is None and revision:
        return _ok_check("namespace", f"pods of {name} get a sidecar of revision {revision} (istio.io/rev)")
    label = f"kubectl label namespace {quote(name)} --overwrite istio-injection=enabled"
    if injected is None and labels.get("istio.io/dataplane-mode") == "ambient":
        return Check("namespace", Status.WARNING, f"{name} is in the ambient mesh: its pods have no sidecar, and no proof", label)
    why = f"istio-injection={injected}" if injected else "no label asks for one"
    return Check("namespace", Status.WARNING, f"new pods of {name} get no sidecar ({why})", label)


def _check_validation(mesh: Mesh) -> Check:
    try:
        return judge_validation(mesh.api.list(_WEBHOOKS)["items"])
    except NotFound:
        what = "this API server has no webhooks: whether Istio's rules are kept cannot be seen"
        return Check("validation", Status.WARNING, what, "egressctl create TARGET --dry-run=server shows what it refuses")


def judge_validation(webhooks: Sequence[Manifest]) -> Check:
    """Judge by the ValidatingWebhookConfigurations whether Istio checks what is applied."""
    policies = {
        str(hook.get("failurePolicy") or "Fail"): f"{each['metadata']['name']}"
        for each in webhooks
        for hook in each.get("webhooks") or ()
        if any({GROUP, "*"} & set(rule.get("apiGroups") or ()) for rule in hook.get("rules") or ())
    }
    if "Fail" in policies:
        return _ok_check("validation", f"webhook {policies['Fail']} checks every entry (failurePolicy Fail)")
    if policies:
        policy, name = next(iter(policies.items()))
        what = f"webhook {name} has failurePolicy {policy}: while istiod is away, wrong entries are taken"
        hint = f"kubectl get validatingwebhookconfiguration {quote(name)} -o yaml; istiod sets Fail once it is ready"
        return Check("validation", Status.WARNING, what, hint)
    what = "no webhook checks Istio's objects: what its CRDs cannot express is taken, and the sidecar ignores it"
    return Check("validation", Status.WARNING, what, "kubectl get validatingwebhookconfigurations; istioctl install brings it")


def _check_source(mesh: Mesh, source: Source) -> Iterator[Check]:
    others = f", the newest of {source.chosen_of}" if source.chosen_of > 1 else ""
    yield _ok_check("source-pod", f"{source.namespace}/{source.pod}, container {source.container}{others}")
    info = cache(Sidecar(mesh.api, source).info)
    sidecar = _run_check("sidecar", partial(_check_sidecar, source, info))
    yield sidecar
    shown = info().istio if source.proxy is not None and sidecar.status is not Status.ERROR else ""
    yield from _what_istio_does(mesh, shown)
    if source.proxy is not None and sidecar.status is not Status.ERROR:
        config = cache(Sidecar(mesh.api, source).config)
        yield _run_check("outbound-policy", lambda: judge_outbound_policy(config()))
        if len(source.families) > 1:
            yield _run_check("ip-families", lambda: judge_ip_families(source, config()))
    try:
        yield judge_curl(source, curl_version(mesh.api, source))
    except NoCurl as failure:
        start = f"egressctl create TARGET -n {quote(source.namespace)} --with-source"
        hint = f"name a pod or a container that has it (--pod, -c), or: {start}"
        yield Check("curl", Status.ERROR, str(failure), hint)
    except EgressctlError as failure:
        yield _failed_check("curl", failure)


def _what_istio_does(mesh: Mesh, sidecar: str) -> Iterator[Check]:
    """Yield what is known of Istio's version, and of those settings of the mesh that change who sees an entry."""
    try:
        pods = mesh.api.list(resource_path("v1", ROOT_NAMESPACE, "pods"), label_selector="app=istiod")["items"]
    except EgressctlError:
        pods = []  # Few may look there, and nothing depends on it.
    if check := judge_istio_version(sidecar, versions_of_istiods(pods)):
        yield check
    if read_mesh_settings(mesh, ROOT_NAMESPACE).visibility is not None:
        what = "the mesh's serviceEntryVisibility limits to whom ServiceEntries are shown, whatever their exportTo says"
        yield Check("visibility", Status.WARNING, what, SHOW_MESH_CONFIG)


def versions_of_istiods(pods: Sequence[Manifest]) -> tuple[str, ...]:
    """Name the versions of istiod's pods, each once: by their label, else by the tag of their image."""
    found = []
    for pod in pods:
        images = [text_at(each, "image") for each in list_at(pod, "spec", "containers") if text_at(each, "name") == "discovery"]
        tags = [image.partition("@")[0].rpartition("/")[2].partition(":")[2] for image in images]
        told = (text_at(pod, "metadata", "labels", _VERSION_LABEL), *tags)
        found.append(next((each for each in told if parse_version(each)), ""))
    return tuple(sorted({*found} - {""}))


def judge_istio_version(sidecar: str, istiods: Sequence[str]) -> Check | None:
    """Say which Istio it is, and what of it matters to egress; None where no version is known. What istiod can do decides."""
    versions = [each for each in map(parse_version, istiods or [sidecar]) if each]
    if not versions:
        return None
    told = [f"sidecar {sidecar}" if sidecar else "", f"istiod {', '.join(istiods)}" if istiods else ""]
    changes = changes_until(min(versions))
    matters = f"; what of it matters to egress: {'; '.join(changes)}" if changes else ""
    return _ok_check("istio-version", ", ".join(each for each in told if each) + matters)


def _check_sidecar(source: Source, ask: Callable[[], ProxyInfo]) -> Check:
    if source.proxy is None and source.ambient:
        what = "none: the pod is in the ambient mesh, where there is no proof"
        return Check("sidecar", Status.WARNING, what, "name a pod with a sidecar: --pod NAME")
    if source.proxy is None:
        name = source.namespace
        hint = f"kubectl label namespace {quote(name)} istio-injection=enabled, then start the pod again; or --pod NAME"
        return Check("sidecar", Status.ERROR, f"pod {source.pod} has none: nothing can be proved from there", hint)
    return judge_sidecar(source, ask())


def judge_sidecar(source: Source, info: ProxyInfo) -> Check:
    """Judge what the sidecar says of itself."""
    versions = f"Envoy {info.envoy or 'of unknown version'}" + (f", Istio {info.istio}" if info.istio else "")
    if info.state != "LIVE":
        hint = f"kubectl logs -n {quote(source.namespace)} {quote(source.pod)} -c {quote(str(source.proxy))}"
        return Check("sidecar", Status.WARNING, f"{versions} is {info.state or 'in an unknown state'}, not LIVE", hint)
    return _ok_check("sidecar", f"{versions}, LIVE")


def judge_outbound_policy(config: ProxyConfig) -> Check:
    """Judge the outbound traffic policy that the sidecar has in force."""
    match outbound_policy(config):
        case "REGISTRY_ONLY":
            return _ok_check("outbound-policy", "REGISTRY_ONLY: what no ServiceEntry lists is refused")
        case "ALLOW_ANY":
            return _ok_check(
                "outbound-policy", "ALLOW_ANY: what no ServiceEntry lists leaves as well, through PassthroughCluster"
            )
        case "ALLOW_ANY_DYNAMIC_DNS":
            what = (
                "ALLOW_ANY_DYNAMIC_DNS: what no ServiceEntry lists leaves as well, plain HTTP through AllowAnyDynamicDNSCluster, "
            )
            return _ok_check("outbound-policy", f"{what}all else through PassthroughCluster")
        case _:
            what = "the sidecar's catch-all chain is neither REGISTRY_ONLY's nor ALLOW_ANY's: a Sidecar resource may set it"
            return Check("outbound-policy", Status.WARNING, what, "kubectl get sidecars.networking.istio.io -A")


def judge_ip_families(source: Source, config: ProxyConfig) -> Check:
    """Judge whether the sidecar of a dual-stack pod listens for every IP family that the pod has."""
    missed = sorted({f"IPv{ip_version(ip)}" for ip in source.addresses if listens_for(config, ip) is False})
    if not missed:
        return _ok_check("ip-families", "the pod has IPv4 and IPv6, and its sidecar listens for both")
    what = f"the pod has IPv4 and IPv6, and its sidecar listens for no {missed[0]}: no ServiceEntry holds for that"
    return Check("ip-families", Status.WARNING, what, f"kubectl set env -n {ROOT_NAMESPACE} deploy/istiod --list")


def judge_curl(source: Source, text: str) -> Check:
    """Judge what `curl --version` printed in the source's container."""
    found = curl.parse_version(text)
    if not found:
        hint = f"kubectl exec -n {quote(source.namespace)} {quote(source.pod)} -c {quote(source.container)} -- curl --version"
        return Check("curl", Status.ERROR, f"container {source.container} did not print a version of curl", hint)
    if found < old_curl.OLDEST:
        what = f"curl {_version_text(found)} in container {source.container} reports too little for a proof"
        hint = f"name a container with curl {_version_text(old_curl.OLDEST)} or newer: --pod NAME, -c NAME"
        return Check("curl", Status.ERROR, what, hint)
    if found < curl.OLDEST:
        what = (
            f"curl {_version_text(found)} in container {source.container} is old: its first probes are sent twice, in two forms"
        )
        return Check(
            "curl", Status.WARNING, what, f"name a container with curl {_version_text(curl.OLDEST)} or newer: --pod NAME, -c NAME"
        )
    return _ok_check("curl", f"curl {_version_text(found)} in container {source.container}")


def _version_text(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
