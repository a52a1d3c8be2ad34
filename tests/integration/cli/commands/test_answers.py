"""An answer of 200 that is not the Kubernetes API's own: it is told at once, and nothing counts as done or as gone by it.

What stands between egressctl and the API does the harm, so one endpoint suffices. What else may come is in test_kube_answers.py.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from cli import CREATED, DELETED, ENTRIES, Cli, entry, made, nothing_is_left, owned
from egressctl.errors import ApiFailure
from egressctl.kube.config import ConnectOptions, connect
from faults import Action, Call, FaultProxy, Respond, faults
from labs import Lab

ENTRY = "/serviceentries/wikipedia-ext"
OURS = ["serviceentry/wikipedia-ext"]
SUCCESS = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
FAILURE = {**SUCCESS, "status": "Failure", "message": "etcd is away", "code": 500}
PAGE = b"<!doctype html>\n<html><head><title>Sign\n in</title></head><body>Welcome</body></html>"
SOMETHING_ELSE = {
    "a page": (PAGE, 'an HTML page, "Sign in"'),
    "nothing": (b"", "an empty body"),
    "the beginning of an answer": (b'{"kind": "Status", "sta', 'what is not JSON, "{"kind": "Status", "sta"'),
    "an empty object": (b"{}", "a JSON object without kind and apiVersion"),
    "a failure": (json.dumps(FAILURE).encode(), 'a Status of failure, "etcd is away"'),
}
anything_else = pytest.mark.parametrize(("body", "came"), SOMETHING_ELSE.values(), ids=SOMETHING_ELSE)
FOREVER = ("--timeout", "1h")
"""Whoever waits fails by this."""


def said(body: object, status: int = 200) -> Respond:
    return Respond(status, body=body if isinstance(body, bytes) else json.dumps(body).encode())


def on(method: str, end: str, action: Action) -> Callable[[Call], Action | None]:
    return lambda call: action if call.method == method and call.path.endswith(end) else None


def live(lab: Lab) -> dict[str, Any]:
    status, found = lab.api("GET", f"{ENTRIES}/wikipedia-ext")
    assert status == 200
    return dict(found)


def with_metadata(manifest: dict[str, Any], **metadata: object) -> dict[str, Any]:
    return {**manifest, "metadata": {**manifest["metadata"], **metadata}}


def not_the_api(proxy: FaultProxy, asked: str, came: str) -> str:
    return f"what answered at 127.0.0.1:{proxy.port} is not the Kubernetes API: asked {asked}, it gave 200 and {came}"


DELETE = 'to delete serviceentries.networking.istio.io "wikipedia-ext" in namespace default'


class TestADeletion:
    @anything_else
    def test_that_something_else_answered_is_none(self, cli: Cli, lab: Lab, proxy: FaultProxy, body: bytes, came: str) -> None:
        made(lab)
        proxy.rules = on("DELETE", ENTRY, said(body))
        ran = cli.at(proxy.kubeconfig)("cleanup", *FOREVER)
        assert ran.code == 5
        told = not_the_api(proxy, DELETE, came)
        assert ran.error.startswith(f"perhaps left on the Kubernetes cluster: ServiceEntry default/wikipedia-ext ({told}")
        assert ran.error.endswith("; whether it was done is not known)")
        assert ran.hint == "remove it with: kubectl delete serviceentry -n default wikipedia-ext"
        assert DELETED not in ran.stdout
        assert owned(lab) == OURS

    @pytest.mark.parametrize("other", [{"name": "other"}, {"uid": "0f"}], ids=str)
    def test_of_another_object_is_none(self, cli: Cli, lab: Lab, proxy: FaultProxy, other: dict[str, object]) -> None:
        manifest = with_metadata(made(lab), **other)
        proxy.rules = on("DELETE", ENTRY, said(manifest))
        ran = cli.at(proxy.kubeconfig)("cleanup", *FOREVER)
        assert (ran.code, DELETED in ran.stdout) == (5, False)
        assert "it gave 200 and another ServiceEntry, " in ran.error
        assert owned(lab) == OURS

    def test_in_a_run_is_tried_once_more_at_its_end(self, cli: Cli, lab: Lab, proxy: FaultProxy) -> None:
        proxy.rules = faults(said(PAGE), method="DELETE", path=ENTRY)
        ran = cli.at(proxy.kubeconfig)("run", "wikipedia", "-o", "json", *FOREVER)
        assert (ran.code, ran.judged) == (3, [("open", None)] * 2)
        assert ran.error.startswith("removed at the second try only, and not proved closed; at the first: perhaps left on ")
        assert not_the_api(proxy, DELETE, 'an HTML page, "Sign in"') in ran.error
        assert ran.hint == "nothing is left; run it again to have its closure proved"
        assert nothing_is_left(lab)

    def test_in_a_run_that_something_else_always_answers_is_told_as_left(self, cli: Cli, lab: Lab, proxy: FaultProxy) -> None:
        proxy.rules = on("DELETE", ENTRY, said(PAGE))
        ran = cli.at(proxy.kubeconfig)("run", "wikipedia", *FOREVER)
        assert ran.code == 5
        assert not_the_api(proxy, DELETE, 'an HTML page, "Sign in"') in ran.error
        assert "kubectl delete" in ran.hint
        assert owned(lab) == OURS

    @pytest.mark.parametrize(("form", "status"), [("success", 202), ("object", 200)])
    def test_that_was_done_is_one(self, cli: Cli, lab: Lab, proxy: FaultProxy, form: str, status: int) -> None:
        manifest = made(lab)

        def rules(call: Call) -> Action | None:
            if call.method != "DELETE":
                return None
            lab.delete(manifest)
            return said(manifest if form == "object" else SUCCESS, status)

        proxy.rules = rules
        ran = cli.at(proxy.kubeconfig)("cleanup", *FOREVER)
        assert (ran.code, ran.stdout.startswith(DELETED)) == (0, True)

    @pytest.mark.parametrize(("form", "status"), [("success", 200), ("success", 202), ("object", 200)])
    def test_that_was_taken_and_not_begun_is_no_finalizers_fault(
        self, cli: Cli, lab: Lab, proxy: FaultProxy, form: str, status: int
    ) -> None:
        manifest = made(lab)
        proxy.rules = on("DELETE", ENTRY, said(manifest if form == "object" else SUCCESS, status))
        ran = cli.at(proxy.kubeconfig)("cleanup", *FOREVER)
        assert (ran.code, DELETED in ran.stdout) == (5, False)
        assert ran.error == (
            "left on the Kubernetes cluster: ServiceEntry default/wikipedia-ext "
            "(its deletion was accepted and has not begun: it is there as before, without a deletionTimestamp)"
        )
        assert owned(lab) == OURS

    def test_that_lasts_blames_a_finalizer_only_where_there_is_one(self, cli: Cli, lab: Lab, proxy: FaultProxy) -> None:
        manifest = with_metadata(made(lab), deletionTimestamp="2026-11-01T00:00:00Z")
        proxy.rules = lambda call: said(manifest) if call.path.endswith(ENTRY) else None
        ran = cli.at(proxy.kubeconfig)("cleanup", "--timeout", "100ms")
        assert ran.code == 5
        assert "still there after 0.1s: it is being deleted, and no finalizer blocks it" in ran.error

    def test_of_what_was_replaced_meanwhile_leaves_the_other(self, cli: Cli, lab: Lab, proxy: FaultProxy) -> None:
        manifest = made(lab)

        def rules(call: Call) -> None:
            if call.method == "DELETE" and owned(lab):
                lab.delete(manifest)
                lab.create(entry())

        proxy.rules = rules
        ran = cli.at(proxy.kubeconfig)("cleanup", "--no-verify", *FOREVER)
        assert (ran.code, ran.stdout.startswith(DELETED)) == (0, True), ran
        assert live(lab)["metadata"]["uid"] != manifest["metadata"]["uid"]


class TestTheEndOfAnObject:
    """The DELETE is answered as the API does, and not carried out; what is then asked whether it is gone is not the API."""

    @anything_else
    def test_is_nothing_that_something_else_says(self, cli: Cli, lab: Lab, proxy: FaultProxy, body: bytes, came: str) -> None:
        made(lab)
        ran = self.cleaned_up(cli, proxy, said(body))
        assert ran[:2] == (5, False)
        assert not_the_api(proxy, DELETE.replace("delete", "get", 1), came) in ran[2]
        assert "not known" not in ran[2]
        assert owned(lab) == OURS

    @pytest.mark.parametrize("body", [PAGE, b"404 page not found\n", b'{"message": "no route"}'], ids=repr)
    def test_is_no_404_of_something_else(self, cli: Cli, lab: Lab, proxy: FaultProxy, body: bytes) -> None:
        made(lab)
        code, deleted, error = self.cleaned_up(cli, proxy, said(body, 404))
        assert (code, deleted, "finalizer" in error) == (5, False, False)
        assert owned(lab) == OURS

    @staticmethod
    def cleaned_up(cli: Cli, proxy: FaultProxy, seen: Respond) -> tuple[int, bool, str]:
        sent = []

        def rules(call: Call) -> Action | None:
            if not call.path.endswith(ENTRY):
                return None
            if call.method == "DELETE":
                sent.append(call)
                return said(SUCCESS)
            return seen if sent else None

        proxy.rules = rules
        ran = cli.at(proxy.kubeconfig)("cleanup", *FOREVER)
        return ran.code, DELETED in ran.stdout, ran.error


@pytest.mark.parametrize(
    ("argv", "method", "end", "asked"),
    [
        (("create", "wikipedia"), "GET", ENTRY, "to get serviceentries"),
        (("create", "wikipedia"), "GET", "/pods", "to list pods in"),
        (("create", "wikipedia"), "PATCH", ENTRY, "to patch serviceentries"),
        (("run", "wikipedia"), "PATCH", ENTRY, "to patch serviceentries"),
        (("run", "wikipedia"), "POST", "/selfsubjectaccessreviews", "to create selfsubjectaccessreviews"),
        (("list",), "GET", "/serviceentries", "to list serviceentries"),
        (("list",), "GET", "/networking.istio.io", "what it serves"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else value.strip("/").replace("/", "-"),
)
@pytest.mark.parametrize("kind", ["a page", "an empty object"])
def test_any_other_request_that_something_else_answered_has_one_error(
    cli: Cli, lab: Lab, proxy: FaultProxy, argv: tuple[str, ...], method: str, end: str, asked: str, kind: str
) -> None:
    body, came = SOMETHING_ELSE[kind]
    proxy.rules = on(method, end, said(body))
    ran = cli.at(proxy.kubeconfig)(*argv)
    assert ran.code == 3
    assert ran.error.startswith(f"what answered at 127.0.0.1:{proxy.port} is not the Kubernetes API: asked {asked}"), ran
    assert f", it gave 200 and {came}" in ran.error
    assert ran.error.endswith("; whether it was done is not known") == (method != "GET")
    assert ran.hint == "check --server and the proxy settings: is this a Kubernetes API server?"
    assert CREATED not in ran.stdout
    assert owned(lab) == []


def test_a_page_in_place_of_the_sidecars_log_is_none(proxy: FaultProxy) -> None:
    api = connect(ConnectOptions(kubeconfig=str(proxy.kubeconfig)))
    page = Respond(200, body=PAGE, headers={"Content-Type": "text/html; charset=utf-8"})
    proxy.rules = on("GET", "/log", page)
    with pytest.raises(
        ApiFailure, match='is not the Kubernetes API: asked to get pods/log "sleep" in namespace default, it gave 200'
    ):
        api.text("/api/v1/namespaces/default/pods/sleep/log")
    api.close()
