"""The fault-injecting proxy itself: what it passes on, what it records, and the harm it does."""

from __future__ import annotations

import http.client
import json
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import websocket
import yaml

from endpoint import ENTRIES, TestEndpoint
from faults import (
    Call,
    FaultProxy,
    Reset,
    ResetAfterForward,
    ResetDuringExec,
    Respond,
    Signal,
    Stall,
    faults,
    no_fault,
)

ENTRY = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "ServiceEntry",
    "metadata": {"name": "a"},
    "spec": {"hosts": ["a.example"]},
}
SLEEP = "/api/v1/namespaces/default/pods/sleep/exec?container=sleep&stdout=true"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestEndpoint]:
    with TestEndpoint(tmp_path_factory.mktemp("upstream")) as endpoint:
        yield endpoint


@pytest.fixture
def proxy(lab: TestEndpoint, tmp_path: Path) -> Iterator[FaultProxy]:
    with FaultProxy(lab.kubeconfig, tmp_path / "proxy") as standing:
        yield standing
    lab.request("DELETE", ENTRIES)


class Client:
    """A client that knows nothing but the proxy's kubeconfig."""

    def __init__(self, kubeconfig: Path) -> None:
        config = yaml.safe_load(kubeconfig.read_text())
        cluster = config["clusters"][0]["cluster"]
        self.server, self.authority = cluster["server"], cluster["certificate-authority"]
        self.headers = {"Authorization": f"Bearer {config['users'][0]['user']['token']}"}

    def ask(self, method: str, path: str, body: Any = None, timeout: float = 10) -> tuple[int, Any, http.client.HTTPMessage]:
        context = ssl.create_default_context(cafile=self.authority)
        connection = http.client.HTTPSConnection(self.server.removeprefix("https://"), timeout=timeout, context=context)
        try:
            sent = None if body is None else json.dumps(body)
            connection.request(method, path, sent, {**self.headers, "Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read()), answer.headers
        finally:
            connection.close()

    def exec(self, *argv: str) -> websocket.WebSocket:
        query = "".join(f"&command={word}" for word in argv)
        return websocket.create_connection(
            self.server.replace("https", "wss") + SLEEP + query,
            timeout=10,
            header=[f"{name}: {value}" for name, value in self.headers.items()],
            subprotocols=["v5.channel.k8s.io"],
            sslopt={"ca_certs": self.authority},
        )


@pytest.fixture
def client(proxy: FaultProxy) -> Client:
    return Client(proxy.kubeconfig)


def shut(socket: websocket.WebSocket) -> None:
    socket.shutdown()  # type: ignore[no-untyped-call]


def frames(socket: websocket.WebSocket) -> list[bytes]:
    """Return the frames until the API closes; raise what the connection's end raises."""
    found: list[bytes] = []
    while True:
        opcode, data = socket.recv_data()
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            # websocket-client's close() does nothing once the other side said so.
            shut(socket)
            return found
        found.append(data)


def test_without_rules_everything_passes_and_is_recorded_in_order(proxy: FaultProxy, client: Client, lab: TestEndpoint) -> None:
    status, made, _ = client.ask("POST", f"{ENTRIES}?fieldManager=m", ENTRY)
    assert status == 201
    assert client.ask("GET", f"{ENTRIES}/a")[1] == lab.request("GET", f"{ENTRIES}/a").body
    assert made["spec"] == ENTRY["spec"]
    assert proxy.calls == [Call(0, "POST", ENTRIES, "fieldManager=m"), Call(1, "GET", f"{ENTRIES}/a", "")]


def test_headers_of_the_answer_pass(client: Client) -> None:
    tcp = {"hosts": ["a.example"], "ports": [{"name": "a", "number": 443, "protocol": "TCP"}]}
    headers = client.ask("POST", ENTRIES, {**ENTRY, "spec": tcp})[2]
    assert headers["Warning"].startswith('299 - "addresses are required')


def test_a_watch_passes_event_by_event(client: Client, lab: TestEndpoint) -> None:
    context = ssl.create_default_context(cafile=client.authority)
    connection = http.client.HTTPSConnection(client.server.removeprefix("https://"), timeout=10, context=context)
    connection.request("GET", f"{ENTRIES}?watch=true&timeoutSeconds=20", headers=client.headers)
    answer = connection.getresponse()
    for name in ("x", "y"):
        lab.request("POST", ENTRIES, {**ENTRY, "metadata": {"name": name}})
        assert json.loads(answer.readline())["object"]["metadata"]["name"] == name
    answer.close()
    connection.close()


def test_an_exec_passes_both_ways(proxy: FaultProxy, client: Client) -> None:
    got = frames(client.exec("echo", "hello"))
    assert got[0] == b"\x01hello\n"
    assert json.loads(got[-1][1:])["status"] == "Success"
    assert proxy.calls[0].is_exec


def test_respond_answers_without_asking(proxy: FaultProxy, client: Client, lab: TestEndpoint) -> None:
    proxy.rules = [Respond(429, "TooManyRequests", headers={"Retry-After": "1"}), None]
    status, body, headers = client.ask("POST", ENTRIES, ENTRY)
    assert (status, body["kind"], body["reason"], headers["Retry-After"]) == (429, "Status", "TooManyRequests", "1")
    assert lab.request("GET", f"{ENTRIES}/a").status == 404
    assert client.ask("POST", ENTRIES, ENTRY)[0] == 201


def test_reset_drops_before_the_api_hears_of_it(proxy: FaultProxy, client: Client, lab: TestEndpoint) -> None:
    proxy.rules = faults(Reset(), method="POST")
    with pytest.raises((ConnectionError, ssl.SSLError)):
        client.ask("POST", ENTRIES, ENTRY)
    assert lab.request("GET", f"{ENTRIES}/a").status == 404
    assert client.ask("POST", ENTRIES, ENTRY)[0] == 201


def test_reset_after_forward_drops_when_the_api_has_done_it(proxy: FaultProxy, lab: TestEndpoint, tmp_path: Path) -> None:
    answered: list[int] = []

    def pid() -> int:
        answered.append(lab.request("GET", f"{ENTRIES}/a").status)
        return os.getpid()

    # A second proxy before the first: the one behind notes when the API has answered.
    proxy.rules = faults(Signal(pid, signal.SIGCONT, "after"), method="POST")
    with FaultProxy(proxy.kubeconfig, tmp_path / "front", faults(ResetAfterForward())) as front:
        with pytest.raises((ConnectionError, ssl.SSLError)):
            Client(front.kubeconfig).ask("POST", ENTRIES, ENTRY)
        assert answered == [200]


@pytest.mark.parametrize("after", [0, 3, 9])
def test_reset_during_exec_cuts_the_stream_after_so_many_bytes(proxy: FaultProxy, client: Client, after: int) -> None:
    proxy.rules = faults(ResetDuringExec(after), path="/exec")
    # Two bytes of frame, one of channel, six of text: nine bytes are the whole first frame.
    socket = client.exec("sh", "-c", "echo+hello;+sleep+300")
    try:
        if after == 9:
            assert socket.recv() == b"\x01hello\n"
        with pytest.raises((ConnectionError, ssl.SSLError, websocket.WebSocketConnectionClosedException)):
            socket.recv()
    finally:
        shut(socket)


def test_stall_says_nothing(proxy: FaultProxy, client: Client, lab: TestEndpoint) -> None:
    proxy.rules = faults(Stall(), method="POST")
    with pytest.raises(TimeoutError):
        client.ask("POST", ENTRIES, ENTRY, timeout=0.2)
    assert lab.request("GET", f"{ENTRIES}/a").status == 404


@pytest.fixture
def victim() -> Iterator[subprocess.Popen[bytes]]:
    """A process that ends well when SIGTERM comes."""
    script = "import signal, sys; signal.signal(15, lambda *_: sys.exit(0)); print('up', flush=True); signal.pause()"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        yield process
        process.kill()


@pytest.mark.parametrize("when", ["before", "after", "later"])
def test_signal_signals_and_passes_the_request_on(
    proxy: FaultProxy, client: Client, lab: TestEndpoint, victim: subprocess.Popen[bytes], when: Any
) -> None:
    seen: list[int] = []

    def pid() -> int:
        # What the API knows at the moment of the signal tells before from after.
        seen.append(lab.request("GET", f"{ENTRIES}/a").status)
        return victim.pid

    proxy.rules = faults(Signal(pid, signal.SIGTERM, when), method="POST")
    assert client.ask("POST", ENTRIES, ENTRY)[0] == 201
    assert victim.wait(10) == 0
    assert seen == [404 if when == "before" else 200]


def test_a_signal_after_the_head_of_an_exec_lets_the_stream_go_on(
    proxy: FaultProxy, client: Client, victim: subprocess.Popen[bytes]
) -> None:
    proxy.rules = faults(Signal(lambda: victim.pid, signal.SIGTERM, "after"), path="/exec")
    assert frames(client.exec("echo", "hello"))[0] == b"\x01hello\n"
    assert victim.wait(10) == 0


def test_faults_chooses_by_method_path_and_count(proxy: FaultProxy) -> None:
    rule = faults(Reset(), method="GET", path="/pods", skip=1, times=2)
    calls = [Call(index, method, path, "") for index, (method, path) in enumerate(
        [("GET", "/api/v1/pods"), ("POST", "/api/v1/pods"), ("GET", "/api"), *[("GET", "/api/v1/pods")] * 3]
    )]  # fmt: skip
    assert [rule(call) is not None for call in calls] == [False, False, False, True, True, False]
    assert no_fault(calls[0]) is None


def test_a_client_that_leaves_an_exec_takes_the_command_with_it(client: Client) -> None:
    socket = client.exec("sh", "-c", "echo+$$;+sleep+300")
    pid = int(socket.recv()[1:])
    shut(socket)
    deadline = time.monotonic() + 20
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < deadline, "the command lives on"
