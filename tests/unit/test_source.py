"""Which pod and container a probe is sent from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from egressctl.errors import InvalidInput, NoSourcePod
from egressctl.model import Source
from egressctl.source import ANY_SOURCE, SourceChoice, choose, is_ready

READY = {"phase": "Running", "conditions": [{"type": "Initialized", "status": "True"}, {"type": "Ready", "status": "True"}]}


def a_pod(
    name: str = "sleep-1",
    *,
    containers: Sequence[str] = ("sleep", "istio-proxy"),
    native: Sequence[str] = (),
    created: str = "2026-11-23T04:00:00Z",
    status: dict[str, Any] | None = None,
    **metadata: Any,
) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "default", "creationTimestamp": created, **metadata},
        "spec": {
            "containers": [{"name": each} for each in containers],
            "initContainers": [{"name": "istio-init"}, *({"name": each, "restartPolicy": "Always"} for each in native)],
        },
        "status": READY if status is None else status,
    }


def test_a_ready_pod_is_taken_with_its_container_and_sidecar() -> None:
    assert choose([a_pod()], ANY_SOURCE, "default") == Source("default", "sleep-1", "sleep", "istio-proxy")


def test_of_several_ready_pods_the_newest_is_taken_and_they_are_counted() -> None:
    pods = [a_pod("a"), a_pod("b", created="2026-11-23T05:00:00Z"), a_pod("c"), a_pod("late", created="2027", status={})]
    source = choose(pods, ANY_SOURCE, "default")
    assert (source.pod, source.chosen_of) == ("b", 3)


def test_of_pods_of_the_same_second_the_choice_is_always_the_same() -> None:
    pods = [a_pod("a"), a_pod("b"), a_pod("c")]
    assert {choose(order, ANY_SOURCE, "default").pod for order in (pods, pods[::-1])} == {"c"}


def test_a_native_sidecar_is_one() -> None:
    assert choose([a_pod(containers=["app"], native=["istio-proxy"])], ANY_SOURCE, "default").proxy == "istio-proxy"


def test_an_init_container_that_ends_is_no_sidecar() -> None:
    assert choose([a_pod(containers=["app"])], ANY_SOURCE, "default") == Source("default", "sleep-1", "app", None)


@pytest.mark.parametrize(("value", "ambient"), [("enabled", True), ("disabled", False)])
def test_a_pod_that_ztunnel_redirects_is_ambient(value: str, ambient: bool) -> None:
    pod = a_pod(containers=["app"], annotations={"ambient.istio.io/redirection": value})
    assert choose([pod], ANY_SOURCE, "default").ambient is ambient


@pytest.mark.parametrize(
    ("containers", "metadata", "chosen"),
    [
        (["one", "two"], {}, "one"),
        (["istio-proxy", "one"], {}, "one"),
        (["one", "sleep"], {}, "sleep"),
        (["one", "sleep", "curl"], {}, "curl"),
        (["one", "curl", "app"], {"labels": {"app": "app"}}, "app"),
        (
            ["one", "app", "two"],
            {"labels": {"app": "app"}, "annotations": {"kubectl.kubernetes.io/default-container": "two"}},
            "two",
        ),
        (["one", "two"], {"annotations": {"kubectl.kubernetes.io/default-container": "gone"}}, "one"),
        (["istio-proxy", "one"], {"annotations": {"kubectl.kubernetes.io/default-container": "istio-proxy"}}, "one"),
    ],
)
def test_the_container_is_the_one_that_kubectl_would_take_or_the_samples(
    containers: list[str], metadata: dict[str, Any], chosen: str
) -> None:
    assert choose([a_pod(containers=containers, **metadata)], ANY_SOURCE, "default").container == chosen


def test_a_container_may_be_named() -> None:
    pods = [a_pod(containers=["one", "two", "istio-proxy"])]
    assert choose(pods, SourceChoice(container="two"), "default").container == "two"


def test_a_container_that_is_not_there_is_refused_with_those_that_are() -> None:
    pods = [a_pod(containers=["one", "two", "istio-proxy"])]
    with pytest.raises(InvalidInput, match="pod sleep-1 has no container three") as refused:
        choose(pods, SourceChoice(container="three"), "default")
    assert refused.value.hint == "it has: one, two"


@pytest.mark.parametrize("containers", [["one", "istio-proxy"], ["one"]])
def test_the_sidecar_itself_is_no_source(containers: list[str]) -> None:
    with pytest.raises(InvalidInput, match="the sidecar's own traffic is not captured") as refused:
        choose([a_pod(containers=containers)], SourceChoice(container="istio-proxy"), "default")
    assert refused.value.hint == "name the application's container: one"


@pytest.mark.parametrize("choice", [ANY_SOURCE, SourceChoice(container="app")])
def test_a_pod_that_is_a_proxy_and_nothing_else_is_no_source(choice: SourceChoice) -> None:
    """A gateway's pod."""
    with pytest.raises(InvalidInput, match="pod gateway has no container but the sidecar"):
        choose([a_pod("gateway", containers=["istio-proxy"])], choice, "default")


@pytest.mark.parametrize(
    "metadata", [{"labels": {"istio.io/rev": "canary"}}, {"annotations": {"istio.io/rev": "canary"}}], ids=["label", "annotation"]
)
def test_a_revision_may_be_asked_for(metadata: dict[str, Any]) -> None:
    pods = [a_pod("old"), a_pod("new", **metadata, created="2026-01-01T00:00:00Z")]
    source = choose(pods, SourceChoice(revision="canary"), "default")
    assert (source.pod, source.chosen_of) == ("new", 1)


@pytest.mark.parametrize(
    "pod",
    [
        a_pod(status={}),
        a_pod(status={"phase": "Pending"}),
        a_pod(status={"phase": "Running", "conditions": [{"type": "Ready", "status": "False"}]}),
        a_pod(status={"phase": "Succeeded", "conditions": [{"type": "Ready", "status": "True"}]}),
        a_pod(deletionTimestamp="2026-11-23T04:00:00Z"),
    ],
)
def test_a_pod_that_is_not_ready_is_none(pod: dict[str, Any]) -> None:
    assert not is_ready(pod)
    with pytest.raises(NoSourcePod):
        choose([pod], ANY_SOURCE, "default")


def test_a_pod_that_is_ready_is_one() -> None:
    assert is_ready(a_pod())


@pytest.mark.parametrize(
    ("choice", "says"),
    [
        (ANY_SOURCE, "there is no pod with labels app in (sleep,curl) in namespace web"),
        (SourceChoice(selector="app=x"), "there is no pod with labels app=x in namespace web"),
        (SourceChoice(pod="deploy/x"), "there is no pod deploy/x in namespace web"),
        (SourceChoice(revision="canary"), "there is no pod with labels app in (sleep,curl) of revision canary in namespace web"),
    ],
)
def test_no_pod_says_what_was_looked_for_and_how_to_get_one(choice: SourceChoice, says: str) -> None:
    with pytest.raises(NoSourcePod) as missing:
        choose([], choice, "web")
    assert str(missing.value) == says
    assert "egressctl create TARGET -n web --with-source" in missing.value.hint


def test_pods_that_are_not_ready_are_named_with_their_state() -> None:
    waiting = {"phase": "Pending", "conditions": [{"message": ""}, {"message": "0/3 nodes are available"}]}
    pods = [a_pod("a", status=waiting), a_pod("b", status={}), a_pod("c", deletionTimestamp="now"), a_pod("d", status={})]
    with pytest.raises(NoSourcePod) as missing:
        choose(pods, ANY_SOURCE, "web")
    assert str(missing.value) == (
        "no pod with labels app in (sleep,curl) in namespace web is ready: "
        "a (Pending: 0/3 nodes are available), b (unknown), c (Terminating)"
    )


def test_a_pod_without_anything_said_of_it_is_read() -> None:
    with pytest.raises(NoSourcePod):
        choose([{"metadata": {"name": "bare"}}], ANY_SOURCE, "default")
