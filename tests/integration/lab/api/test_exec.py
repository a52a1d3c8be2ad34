"""Commands in containers: frames, exit codes, refusals, and what is left when a client goes away."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest

from egressctl.lab.api import exec as execution
from egressctl.lab.api.settings import Container, EnterPlan
from endpoint import LoopThread, TestEndpoint

V4, V5 = "v4.channel.k8s.io", "v5.channel.k8s.io"
SLEEP = "/api/v1/namespaces/default/pods/sleep/exec"


def enter(container: Container) -> EnterPlan | None:
    """Put commands behind `env` with a variable that tells where they run; nothing runs in a sidecar here."""
    if container.sidecar:
        return None
    return EnterPlan(("env", f"WHERE={container.pod}/{container.name}"), {"PATH": os.environ["PATH"], "GIVEN": "yes"})


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestEndpoint]:
    with TestEndpoint(tmp_path_factory.mktemp("exec"), enter=enter) as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def client() -> Iterator[LoopThread]:
    thread = LoopThread("client")
    yield thread
    thread.close()


class Ran:
    """What came of a command: bytes of each stream, its status, and the channels in the order of their frames."""

    def __init__(self) -> None:
        self.streams = {1: b"", 2: b"", 3: b""}
        self.channels: list[int] = []
        self.protocol: str | None = None

    def take(self, frame: bytes) -> None:
        self.channels.append(frame[0])
        self.streams[frame[0]] += frame[1:]

    @property
    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.streams[3])
        return found

    @property
    def out(self) -> bytes:
        return self.streams[1]


def session(lab: TestEndpoint) -> aiohttp.ClientSession:
    context = ssl.create_default_context(cafile=str(lab.authority))
    return aiohttp.ClientSession(
        lab.url,
        connector=aiohttp.TCPConnector(ssl=context, limit=0),
        headers={"Authorization": f"Bearer {lab.token}"},
    )


def query(argv: tuple[str, ...], **more: str) -> str:
    wanted = {"container": "sleep", "stdout": "true", "stderr": "true", **more}
    return urlencode([*wanted.items(), *(("command", word) for word in argv)])


async def ask(
    lab: TestEndpoint,
    *argv: str,
    stdin: bytes | None = None,
    protocol: str = V5,
    method: str = "GET",
    path: str = SLEEP,
    **more: str,
) -> Ran:
    more |= {"stdin": "true"} if stdin is not None else {}
    ran = Ran()
    async with (
        session(lab) as http,
        http.ws_connect(f"{path}?{query(argv, **more)}", protocols=[protocol], method=method) as socket,
    ):
        ran.protocol = socket.protocol
        if stdin is not None:
            await socket.send_bytes(b"\x00" + stdin)
            if protocol == V5:
                await socket.send_bytes(b"\xff\x00")
        async for message in socket:
            assert message.type is aiohttp.WSMsgType.BINARY
            ran.take(message.data)
    return ran


@pytest.fixture
def run(lab: TestEndpoint, client: LoopThread) -> Any:
    def runs(*argv: str, **options: Any) -> Ran:
        return client.run(ask(lab, *argv, **options))

    return runs


@pytest.mark.parametrize("protocol", [V4, V5])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_streams_come_apart_and_the_status_comes_last(run: Any, protocol: str, method: str) -> None:
    ran = run("sh", "-c", "echo out; echo err >&2; exit 3", protocol=protocol, method=method)
    assert ran.protocol == protocol
    assert (ran.out, ran.streams[2]) == (b"out\n", b"err\n")
    assert ran.channels[-1] == 3
    assert ran.channels.count(3) == 1
    assert ran.status == {
        "metadata": {},
        "status": "Failure",
        "message": "command terminated with non-zero exit code: command terminated with exit code 3",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": "3"}]},
    }


def test_success_has_no_causes(run: Any) -> None:
    assert run("true").status == {"metadata": {}, "status": "Success"}


def test_a_signal_counts_as_128_and_its_number(run: Any) -> None:
    assert run("sh", "-c", "kill -9 $$").status["details"]["causes"][0]["message"] == "137"


def test_the_command_runs_where_the_plan_says_with_its_environment_alone(run: Any) -> None:
    said = dict(line.split("=", 1) for line in run("env").out.decode().splitlines())
    assert said["WHERE"] == "sleep/sleep"
    assert said["GIVEN"] == "yes"
    assert "HOME" not in said


def test_arguments_arrive_as_they_are(run: Any) -> None:
    odd = ("a b", "$HOME", "&&", "ü\n", "", "-w", "%{json}")
    assert run("printf", "%s|", *odd).out.decode() == "|".join(odd) + "|"


def test_an_argument_may_be_long(run: Any) -> None:
    assert len(run("echo", "x" * 100_000).out) == 100_001


def test_without_stdin_the_command_reads_the_end_at_once(run: Any) -> None:
    assert run("cat").out == b""


def test_stdin_is_carried_and_closed_by_version_5(run: Any) -> None:
    assert run("cat", stdin=b"hello").out == b"hello"


def test_much_output_comes_whole(run: Any) -> None:
    assert len(run("head", "-c", "5000000", "/dev/zero").out) == 5_000_000


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ("no-such-program", "executable file not found in $PATH"),
        ("/no/such/program", "stat /no/such/program: no such file or directory"),
        ("/etc/passwd", "permission denied"),
    ],
)
def test_a_program_that_cannot_be_started_is_an_internal_error_of_the_runtime(run: Any, program: str, why: str) -> None:
    status = run(program).status
    assert (status["code"], status["reason"]) == (500, "InternalError")
    assert status["message"].startswith(
        "Internal error occurred: Internal error occurred: error executing command in container: "
        'failed to exec in container: failed to start exec "'
    )
    assert status["message"].endswith(
        f'OCI runtime exec failed: exec failed: unable to start container process: exec: "{program}": {why}: unknown'
    )
    assert not [cause for cause in status["details"]["causes"] if cause.get("reason") == "ExitCode"]


def test_where_there_is_no_such_place_the_container_is_not_found(run: Any) -> None:
    assert run("true", container="istio-proxy").status["message"] == (
        'unable to upgrade connection: container not found ("istio-proxy")'
    )


@pytest.mark.parametrize(
    ("path", "wanted", "status", "said"),
    [
        (SLEEP, {"container": "nope", "command": "true", "stdout": "true"}, 400, "container nope is not valid for pod sleep"),
        (SLEEP.replace("sleep", "gone"), {"command": "true", "stdout": "true"}, 404, 'pods "gone" not found'),
        (SLEEP, {"stdout": "true"}, 400, "you must specify at least one command for the container"),
        (SLEEP, {"command": "true"}, 400, "you must specify at least 1 of stdin, stdout, stderr"),
        (SLEEP, {"command": "true", "stdout": "true"}, 400, "Upgrade request required"),
    ],
)
def test_what_is_wrong_with_the_request_is_said_before_the_upgrade(
    lab: TestEndpoint, path: str, wanted: dict[str, Any], status: int, said: str
) -> None:
    answer = lab.request("GET", path, **wanted)
    assert (answer.status, answer.body["message"]) == (status, said)


def test_a_hundred_commands_at_once(lab: TestEndpoint, client: LoopThread) -> None:
    async def all_of_them() -> list[Ran]:
        return await asyncio.gather(*(ask(lab, "sh", "-c", f"echo {number}; exit {number}") for number in range(100)))

    found = client.run(all_of_them())
    assert [ran.out for ran in found] == [f"{number}\n".encode() for number in range(100)]
    codes = [ran.status.get("details", {}).get("causes", [{"message": "0"}])[0]["message"] for ran in found]
    assert codes == [str(number) for number in range(100)]


def alive(pid: int) -> bool:
    """Say whether a process runs; one that is dead and not yet waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def pids_then_leave(lab: TestEndpoint, script: str) -> list[int]:
    """Run a script that prints process ids, read them, and break the connection without a farewell."""
    async with session(lab) as http, http.ws_connect(f"{SLEEP}?{query(('sh', '-c', script))}", protocols=[V5]) as socket:
        said = b""
        while said.count(b"\n") < 1:
            said += (await socket.receive_bytes())[1:]
        # A crash says no farewell: end the connection itself, not the WebSocket.
        socket.get_extra_info("socket").shutdown(2)
    return [int(word) for word in said.split()]


def test_when_the_client_goes_away_the_whole_process_group_is_killed(lab: TestEndpoint, client: LoopThread) -> None:
    pids = client.run(pids_then_leave(lab, "sleep 300 & echo $$ $!; wait"))
    assert len(pids) == 2
    wait_until_dead(pids)


def wait_until_dead(pids: list[int]) -> None:
    """Return when none of the processes runs."""
    deadline = time.monotonic() + 20
    while any(map(alive, pids)):
        assert time.monotonic() < deadline, f"of {pids} some live on"


def test_closing_the_endpoint_kills_what_it_runs(tmp_path: Path, client: LoopThread) -> None:
    async def first_line(lab: TestEndpoint) -> tuple[aiohttp.ClientSession, aiohttp.ClientWebSocketResponse, int]:
        http = session(lab)
        socket = await http.ws_connect(f"{SLEEP}?{query(('sh', '-c', 'echo $$; sleep 300'))}", protocols=[V5])
        return http, socket, int((await socket.receive_bytes())[1:])

    with TestEndpoint(tmp_path) as endpoint:
        http, socket, pid = client.run(first_line(endpoint))
        assert alive(pid)
    wait_until_dead([pid])
    client.run(socket.close())
    client.run(http.close())


def written(pid: int) -> int:
    """Return how many bytes a process has written; raise FileNotFoundError when it is through."""
    counters = dict(line.split(": ") for line in Path(f"/proc/{pid}/io").read_text().splitlines())
    return int(counters["wchar"])


def test_a_client_that_does_not_read_holds_the_command_back(lab: TestEndpoint, client: LoopThread) -> None:
    async def read_a_little() -> int:
        script = "echo $$; exec head -c 400000000 /dev/zero"
        async with session(lab) as http, http.ws_connect(f"{SLEEP}?{query(('sh', '-c', script))}", protocols=[V5]) as socket:
            pid = int((await socket.receive_bytes())[1:].split(b"\n")[0])
            await socket.receive_bytes()
            seen = [written(pid)]
            # Every question goes once around the endpoint's loop, which would read on if it kept what is not read here.
            while len(seen) < 50 or len(set(seen[-50:])) > 1:
                assert (await asyncio.to_thread(lab.request, "GET", "/version")).status == 200
                seen.append(written(pid))
            return seen[-1]

    assert 0 < client.run(read_a_little()) < 100_000_000


@pytest.mark.parametrize(("code", "said"), [(0, None), (7, "7"), (-15, "143")])
def test_exit_codes_are_told_through_causes(code: int, said: str | None) -> None:
    causes = execution.exit_status(code).get("details", {}).get("causes", [{}])
    assert causes[0].get("message") == said
