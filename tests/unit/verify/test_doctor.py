"""What the doctor makes of what it is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from egressctl.envoy.config import Listener, ProxyConfig
from egressctl.envoy.info import ProxyInfo, parse_info
from egressctl.errors import EgressctlError, NoConfiguration, ProxyUnreadable
from egressctl.mesh.client import Mesh
from egressctl.mesh.source_pod import SourceChoice
from egressctl.model.evidence import Source
from egressctl.verify import doctor
from egressctl.verify.doctor import Check, Status

SOURCE = Source(namespace="shop", pod="cart", container="cart", proxy="istio-proxy")


def failing(error: EgressctlError) -> Callable[[], Mesh]:
    def connect() -> Mesh:
        raise error

    return connect


def test_without_a_configuration_there_is_one_line() -> None:
    [found] = doctor.examine(failing(NoConfiguration("there is no kubeconfig", hint="write one")), "", SourceChoice())
    assert found == Check("kubeconfig", Status.ERROR, "there is no kubeconfig", "write one")


@pytest.mark.parametrize(
    ("version", "status"), [("v1.37.2", "ok"), ("v1.25.0", "ok"), ("v1.24.17-eks-1", "warning"), ("v1.24+", "ok"), ("", "ok")]
)
def test_an_api_server_that_takes_unknown_fields_is_warned_of(version: str, status: str) -> None:
    assert doctor.judge_api_server(version, ()).status == status


def test_what_the_connection_warns_of_is_told() -> None:
    found = doctor.judge_api_server("v1.37.2", ["the certificate of x is not checked"])
    assert (found.status, "is not checked" in found.message) == (Status.WARNING, True)


def an_istiod(image: str, **labels: str) -> dict[str, Any]:
    return {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "discovery", "image": image}, {"name": "other"}]}}


@pytest.mark.parametrize(
    ("pod", "versions"),
    [
        (an_istiod("docker.io/istio/pilot:1.31.1-distroless"), ("1.31.1-distroless",)),
        (an_istiod("registry:5000/istio/pilot:1.31.1@sha256:1a2b"), ("1.31.1",)),
        (an_istiod("istio/pilot:latest", **{"app.kubernetes.io/version": "1.29.0"}), ("1.29.0",)),
        (an_istiod("istio/pilot@sha256:1a2b"), ()),
        ({"metadata": {}}, ()),
    ],
)
def test_the_version_of_an_istiod_is_its_labels_or_its_images(pod: dict[str, Any], versions: tuple[str, ...]) -> None:
    assert doctor.versions_of_istiods([pod]) == versions


def test_what_of_an_istio_matters_is_what_its_istiod_can_do() -> None:
    found = doctor.judge_istio_version("1.31.0", ("1.29.2", "1.31.1"))
    assert found is not None
    assert found.message.startswith("sidecar 1.31.0, istiod 1.29.2, 1.31.1; what of it matters to egress: PILOT_IP_AUTOALLOCATE")
    assert "ALLOW_ANY_DYNAMIC_DNS" not in found.message
    alone = doctor.judge_istio_version("1.31.0", ())
    assert alone is not None
    assert "the policy ALLOW_ANY_DYNAMIC_DNS" in alone.message
    old = doctor.judge_istio_version("1.20.0", ())
    assert old == Check("istio-version", Status.OK, "sidecar 1.20.0")
    assert doctor.judge_istio_version("", ()) is None
    assert doctor.judge_istio_version("unknown", ()) is None


@pytest.mark.parametrize(("user", "status"), [("jane", "ok"), ("", "ok"), ("system:anonymous", "error")])
def test_credentials_that_were_not_sent_are_an_error(user: str, status: str) -> None:
    assert doctor.judge_credentials(user).status == status


@pytest.mark.parametrize(
    ("skew", "status", "words"),
    [
        (0.4, "ok", "agree"),
        (-29.0, "ok", "agree"),
        (31.0, "warning", "31 s ahead of this machine's"),
        (-3600.0, "warning", "3600 s behind this machine's"),
        (None, "warning", "no date"),
    ],
)
def test_a_clock_that_is_off_is_warned_of(skew: float | None, status: str, words: str) -> None:
    found = doctor.judge_clock(skew)
    assert (found.status, words in found.message) == (status, True)


def test_a_command_without_a_right_is_an_error_that_names_the_command_that_grants_it() -> None:
    denied = {("delete", "serviceentries.networking.istio.io"), ("create", "pods/exec")}
    found = doctor.judge_rights("cleanup", denied, "shop", "jane")
    assert found == Check(
        "may cleanup",
        Status.ERROR,
        "jane may not delete serviceentries.networking.istio.io, create pods/exec in namespace shop",
        "egressctl rbac cleanup -n shop --user jane | kubectl apply -f -",
    )
    assert doctor.judge_rights("list", denied, "shop", "jane").status is Status.OK


def test_a_service_account_is_named_as_rbac_names_it() -> None:
    found = doctor.judge_rights(
        "list", {("list", "serviceentries.networking.istio.io")}, "shop", "system:serviceaccount:ci:runner"
    )
    assert found.hint == "egressctl rbac list -n shop --serviceaccount ci:runner | kubectl apply -f -"


@pytest.mark.parametrize(
    ("labels", "status", "words"),
    [
        ({"istio-injection": "enabled"}, "ok", "istio-injection=enabled"),
        ({"istio.io/rev": "canary"}, "ok", "revision canary"),
        ({"istio-injection": "disabled", "istio.io/rev": "canary"}, "warning", "istio-injection=disabled"),
        ({"istio.io/dataplane-mode": "ambient"}, "warning", "ambient"),
        ({}, "warning", "no label asks for one"),
    ],
)
def test_a_namespace_is_judged_by_its_labels(labels: dict[str, str], status: str, words: str) -> None:
    found = doctor.judge_injection({"metadata": {"name": "shop", "labels": labels}})
    assert (found.status, words in found.message) == (status, True)
    assert (status == "ok") == (found.hint == "")


def test_a_namespace_that_is_going_away_is_an_error() -> None:
    metadata = {"name": "shop", "labels": {"istio-injection": "enabled"}, "deletionTimestamp": "2026-01-01T00:00:00Z"}
    assert doctor.judge_injection({"metadata": metadata}).status is Status.ERROR


def webhook(name: str, group: str, **hook: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "webhooks": [{"rules": [{"apiGroups": [group]}], **hook}]}


ISTIO = "networking.istio.io"


@pytest.mark.parametrize(
    ("webhooks", "status", "words"),
    [
        ([], "warning", "no webhook checks"),
        ([webhook("cert-manager", "cert-manager.io", failurePolicy="Fail")], "warning", "no webhook checks"),
        ([webhook("istio-validator", ISTIO, failurePolicy="Ignore")], "warning", "istio-validator has failurePolicy Ignore"),
        ([webhook("istio-validator", ISTIO, failurePolicy="Fail")], "ok", "istio-validator"),
        ([webhook("a", ISTIO, failurePolicy="Ignore"), webhook("b", ISTIO, failurePolicy="Fail")], "ok", "webhook b"),
        ([webhook("everything", "*")], "ok", "everything"),
    ],
)
def test_validation_is_as_strict_as_the_strictest_webhook(webhooks: list[Any], status: str, words: str) -> None:
    found = doctor.judge_validation(webhooks)
    assert (found.status, words in found.message) == (status, True)


def test_a_sidecar_that_is_not_live_is_warned_of() -> None:
    assert doctor.judge_sidecar(SOURCE, ProxyInfo("1.34.1", "1.31.1", "LIVE")).message == "Envoy 1.34.1, Istio 1.31.1, LIVE"
    found = doctor.judge_sidecar(SOURCE, ProxyInfo("1.34.1", "1.31.1", "DRAINING"))
    assert (found.status, found.hint) == (Status.WARNING, "kubectl logs -n shop cart -c istio-proxy")


def test_server_info_of_envoy_is_read() -> None:
    text = (
        '{"version": "c0ffee/1.34.1/Clean/RELEASE/BoringSSL", "state": "LIVE", "node": {"metadata": {"ISTIO_VERSION": "1.31.1"}}}'
    )
    assert parse_info(text) == ProxyInfo("1.34.1", "1.31.1", "LIVE")
    assert parse_info("{}") == ProxyInfo("", "", "")


@pytest.mark.parametrize("text", ["", "[]", "null", '{"node": 7}', '{"node": {"metadata": [7]}}', "<html>", "[" * 100_000])
def test_server_info_that_is_none_is_unreadable(text: str) -> None:
    with pytest.raises(ProxyUnreadable):
        parse_info(text)


@pytest.mark.parametrize(
    ("text", "status", "words"),
    [
        ("curl 8.11.1 (x86_64-alpine-linux-musl) libcurl/8.11.1\nRelease-Date: x", "ok", "curl 8.11.1 in container cart"),
        ("curl 7.75.0 (x)", "ok", "7.75.0"),
        ("curl 7.74.0 (x)", "warning", "7.74.0"),
        ("curl 7.51.0 (x)", "warning", "7.51.0"),
        ("curl 7.50.3 (x)", "error", "7.50.3"),
        ("BusyBox v1.37", "error", "did not print a version"),
        ("", "error", "did not print a version"),
    ],
)
def test_curl_is_judged_by_its_version(text: str, status: str, words: str) -> None:
    found = doctor.judge_curl(SOURCE, text)
    assert (found.status, words in found.message) == (status, True)
    assert (status == "ok") == (found.hint == "")


def test_the_policy_is_the_sidecars() -> None:
    found = doctor.judge_outbound_policy(ProxyConfig((), None))
    assert (found.status, "Sidecar resource" in found.message) == (Status.WARNING, True)


@pytest.mark.parametrize(
    ("hears", "status", "told"),
    [
        (("0.0.0.0", "::"), "ok", "listens for both"),
        (("0.0.0.0",), "warning", "listens for no IPv6: no ServiceEntry holds for that"),
        (("::",), "warning", "listens for no IPv4"),
    ],
)
def test_a_sidecar_that_listens_for_one_family_of_a_dual_stack_pod_is_warned_of(
    hears: tuple[str, ...], status: str, told: str
) -> None:
    entrance = Listener("virtualOutbound", tuple((ip, 15001) for ip in hears), False, True, (), None)
    source = replace(SOURCE, addresses=("10.244.0.5", "fd00:10:244::5"))
    found = doctor.judge_ip_families(source, ProxyConfig((entrance,), None))
    assert (found.name, found.status) == ("ip-families", status)
    assert told in found.message
