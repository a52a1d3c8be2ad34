"""Which pod and container a probe is sent from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from egressctl.errors import InvalidInput, NoSourcePod
from egressctl.mesh.source_pod import ANY_SOURCE, SourceChoice, choose_source, is_ready
from egressctl.model.evidence import Source

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
    assert choose_source([a_pod()], ANY_SOURCE, "default") == Source("default", "sleep-1", "sleep", "istio-proxy")


def test_of_several_ready_pods_the_newest_is_taken_and_they_are_counted() -> None:
    pods = [a_pod("a"), a_pod("b", created="2026-11-23T05:00:00Z"), a_pod("c"), a_pod("late", created="2027", status={})]
    source = choose_source(pods, ANY_SOURCE, "default")
    assert (source.pod, source.chosen_of) == ("b", 3)


def test_of_pods_of_the_same_second_the_choice_is_always_the_same() -> None:
    pods = [a_pod("a"), a_pod("b"), a_pod("c")]
    assert {choose_source(order, ANY_SOURCE, "default").pod for order in (pods, pods[::-1])} == {"c"}


def test_a_native_sidecar_is_one() -> None:
    assert choose_source([a_pod(containers=["app"], native=["istio-proxy"])], ANY_SOURCE, "default").proxy == "istio-proxy"


def test_an_init_container_that_ends_is_no_sidecar() -> None:
    assert choose_source([a_pod(containers=["app"])], ANY_SOURCE, "default") == Source("default", "sleep-1", "app", None)


@pytest.mark.parametrize(("value", "ambient"), [("enabled", True), ("disabled", False)])
def test_a_pod_that_ztunnel_redirects_is_ambient(value: str, ambient: bool) -> None:
    pod = a_pod(containers=["app"], annotations={"ambient.istio.io/redirection": value})
    assert choose_source([pod], ANY_SOURCE, "default").ambient is ambient


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
    assert choose_source([a_pod(containers=containers, **metadata)], ANY_SOURCE, "default").container == chosen


def test_a_container_may_be_named() -> None:
    pods = [a_pod(containers=["one", "two", "istio-proxy"])]
    assert choose_source(pods, SourceChoice(container="two"), "default").container == "two"


def test_a_container_that_is_not_there_is_refused_with_those_that_are() -> None:
    pods = [a_pod(containers=["one", "two", "istio-proxy"])]
    with pytest.raises(InvalidInput, match="pod sleep-1 has no container three") as refused:
        choose_source(pods, SourceChoice(container="three"), "default")
    assert refused.value.hint == "it has: one, two"


@pytest.mark.parametrize("containers", [["one", "istio-proxy"], ["one"]])
def test_the_sidecar_itself_is_no_source(containers: list[str]) -> None:
    with pytest.raises(InvalidInput, match="the sidecar's own traffic is not captured") as refused:
        choose_source([a_pod(containers=containers)], SourceChoice(container="istio-proxy"), "default")
    assert refused.value.hint == "name the application's container: one"


@pytest.mark.parametrize("choice", [ANY_SOURCE, SourceChoice(container="app")])
def test_a_pod_that_is_a_proxy_and_nothing_else_is_no_source(choice: SourceChoice) -> None:
    """A gateway's pod."""
    with pytest.raises(InvalidInput, match="pod gateway has no container but the sidecar"):
        choose_source([a_pod("gateway", containers=["istio-proxy"])], choice, "default")


@pytest.mark.parametrize(
    "metadata", [{"labels": {"istio.io/rev": "canary"}}, {"annotations": {"istio.io/rev": "canary"}}], ids=["label", "annotation"]
)
def test_a_revision_may_be_asked_for(metadata: dict[str, Any]) -> None:
    pods = [a_pod("old"), a_pod("new", **metadata, created="2026-01-01T00:00:00Z")]
    source = choose_source(pods, SourceChoice(revision="canary"), "default")
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
        choose_source([pod], ANY_SOURCE, "default")


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
        choose_source([], choice, "web")
    assert str(missing.value) == says
    assert "egressctl create TARGET -n web --with-source" in missing.value.hint


def test_pods_that_are_not_ready_are_named_with_their_state() -> None:
    waiting = {"phase": "Pending", "conditions": [{"message": ""}, {"message": "0/3 nodes are available"}]}
    pods = [a_pod("a", status=waiting), a_pod("b", status={}), a_pod("c", deletionTimestamp="now"), a_pod("d", status={})]
    with pytest.raises(NoSourcePod) as missing:
        choose_source(pods, ANY_SOURCE, "web")
    assert str(missing.value) == (
        "no pod with labels app in (sleep,curl) in namespace web is ready: "
        "a (Pending: 0/3 nodes are available), b (unknown), c (Terminating)"
    )


def test_a_pod_without_anything_said_of_it_is_read() -> None:
    with pytest.raises(NoSourcePod):
        choose_source([{"metadata": {"name": "bare"}}], ANY_SOURCE, "default")


# A sidecar that is not ready

CRASHING = {"name": "istio-proxy", "ready": False, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
AGAIN = {**CRASHING, "lastState": {"terminated": {"exitCode": 255}}}
ENDED = {"name": "istio-proxy", "ready": False, "state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}
STARTING = {"name": "istio-proxy", "ready": False, "state": {"running": {}}}
RUNS = {"name": "sleep", "ready": True, "state": {"running": {}}}


def unready(*states: dict[str, Any], **status: Any) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": "False", "message": "containers with unready status: [istio-proxy]"}]
    return {"phase": "Running", "conditions": conditions, "containerStatuses": list(states), **status}


NAMED = SourceChoice(pod="sleep-1")


@pytest.mark.parametrize(
    ("state", "why"),
    [
        (CRASHING, "waiting to be started (CrashLoopBackOff)"),
        (AGAIN, "waiting to be started again after exit code 255 (CrashLoopBackOff)"),
        (ENDED, "ended with exit code 137 (OOMKilled)"),
        (STARTING, "running, and its readiness probe fails"),
    ],
    ids=["crashing", "again", "ended", "starting"],
)
@pytest.mark.parametrize("named", ["sleep-1", "pod/sleep-1"])
def test_a_named_pod_whose_sidecar_is_not_ready_serves_and_says_why(state: dict[str, Any], why: str, named: str) -> None:
    source = choose_source([a_pod(status=unready(RUNS, state))], SourceChoice(pod=named), "default")
    assert (source.pod, source.container, source.proxy) == ("sleep-1", "sleep", "istio-proxy")
    assert (source.proxy_ready, source.proxy_state, source.chosen_of) == (False, why, 1)


def test_a_native_sidecar_may_be_the_one_that_is_not_ready() -> None:
    status = unready(RUNS, initContainerStatuses=[CRASHING])
    assert not choose_source([a_pod(containers=["sleep"], native=["istio-proxy"], status=status)], NAMED, "default").proxy_ready


def test_a_status_that_says_nothing_of_the_sidecar_holds_nothing_against_it() -> None:
    for status in (READY, *({**READY, "containerStatuses": [each]} for each in (RUNS, {"name": "istio-proxy"}))):
        source = choose_source([a_pod(status=status)], NAMED, "default")
        assert (source.proxy_ready, source.proxy_state) == (True, "")


@pytest.mark.parametrize("choice", [ANY_SOURCE, SourceChoice(pod="deploy/sleep"), SourceChoice(selector="app=sleep")])
def test_a_pod_that_nobody_named_has_to_be_ready(choice: SourceChoice) -> None:
    with pytest.raises(NoSourcePod, match=r"sleep-1 \(Running: containers with unready status: \[istio-proxy\]\)"):
        choose_source([a_pod(status=unready(RUNS, CRASHING))], choice, "default")


@pytest.mark.parametrize(
    "pod",
    [
        a_pod(status=unready({**RUNS, "ready": False}, {**STARTING, "ready": True})),
        a_pod(status=unready({"name": "sleep", "ready": False, "state": {"waiting": {}}}, CRASHING)),
        a_pod(status={**unready(RUNS, CRASHING), "phase": "Pending"}),
        a_pod(status=unready(RUNS, CRASHING), deletionTimestamp="2026-11-23T04:00:00Z"),
        a_pod(containers=["sleep"], status=unready({**RUNS, "ready": False})),
    ],
    ids=["the application is not", "no command can be run", "it does not run yet", "it is going", "it has none"],
)
def test_a_named_pod_in_which_something_else_is_not_ready_does_not_serve(pod: dict[str, Any]) -> None:
    with pytest.raises(NoSourcePod):
        choose_source([pod], NAMED, "default")


# A sidecar of another name

RENAMED = {"sidecar.istio.io/status": '{"initContainers":["istio-init"],"containers":["mesh-proxy"],"revision":"default"}'}


@pytest.mark.parametrize(("containers", "native"), [(["sleep", "mesh-proxy"], []), (["sleep"], ["mesh-proxy"])])
def test_a_sidecar_of_another_name_is_found_by_what_the_injector_says(containers: list[str], native: list[str]) -> None:
    source = choose_source([a_pod(containers=containers, native=native, annotations=RENAMED)], ANY_SOURCE, "default")
    assert (source.proxy, source.container, source.others) == ("mesh-proxy", "sleep", ())


@pytest.mark.parametrize("wanted", ["mesh-proxy", "istio-proxy"])
def test_a_sidecar_of_another_name_is_no_source_either(wanted: str) -> None:
    with pytest.raises(InvalidInput, match=f"--container {wanted}: the sidecar's own traffic is not captured") as refused:
        choose_source([a_pod(containers=["sleep", "mesh-proxy"], annotations=RENAMED)], SourceChoice(container=wanted), "default")
    assert refused.value.hint == "name the application's container: sleep"


def test_of_several_injected_containers_the_sidecar_is_the_one_that_serves_as_one() -> None:
    pod = a_pod(
        containers=["sleep", "tracer", "mesh-proxy"],
        annotations={"sidecar.istio.io/status": '{"containers":["tracer","mesh-proxy"]}'},
    )
    pod["spec"]["containers"][2]["args"] = ["proxy", "sidecar", "--domain"]
    source = choose_source([pod], ANY_SOURCE, "default")
    assert (source.proxy, source.others) == ("mesh-proxy", ("tracer",))


@pytest.mark.parametrize(
    "status",
    [
        '{"containers":["istio-proxy"]}',
        '{"containers":["tracer","istio-proxy"]}',
        '{"containers":null,"initContainers":["istio-init"]}',
        '{"containers":["gone"]}',
        '{"containers":[1],"initContainers":"istio-proxy"}',
        "[]",
        "no JSON",
        "",
    ],
)
def test_else_the_sidecar_is_known_by_its_name(status: str) -> None:
    pods = [a_pod(containers=["sleep", "tracer", "istio-proxy"], annotations={"sidecar.istio.io/status": status})]
    assert choose_source(pods, ANY_SOURCE, "default").proxy == "istio-proxy"


def test_a_pod_with_a_sidecar_is_not_in_ambient_whatever_its_annotation_says() -> None:
    source = choose_source([a_pod(annotations={"ambient.istio.io/redirection": "enabled"})], ANY_SOURCE, "default")
    assert (source.ambient, source.proxy) == (False, "istio-proxy")
    assert source.hints == (
        "annotation ambient.istio.io/redirection is enabled, and Istio leaves a pod with a sidecar out of ambient",
    )
