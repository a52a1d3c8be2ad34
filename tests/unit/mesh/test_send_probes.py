"""What comes back of a command in a container: the answer, or why there is none."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

import recordings
from egressctl.errors import ProxyUnreadable
from egressctl.kube.exec import ExecResult, is_program_missing
from egressctl.mesh import curl
from egressctl.mesh.proxy_admin import is_cut, proxy_answer, without_log_lines
from egressctl.mesh.send_probes import capture_of, last_socket_table, search_bodies
from egressctl.model.evidence import Capture, CurlOutcome, Source
from egressctl.model.probe import Probe
from egressctl.runtime.text_search import SearchResult

SOURCE = Source("default", "sleep", "sleep", "istio-proxy")
PATH = "clusters?format=json"
JSON = '{"cluster_statuses": [\n {}\n]}'


# A program that is not there

RUNC = (
    "Internal error occurred: error executing command in container: failed to exec in container: OCI runtime exec failed: "
    'exec failed: unable to start container process: exec: "curl": {}: unknown'
)


COMMAND = "curl -q -gsS --connect-timeout 5 -o /dev/null https://www.wikipedia.org --next -gs file:///proc/net/tcp"
IN_THE_STATUS = [
    # runc before 1.0, and through two layers that quote
    r'container_linux.go:345: starting container process caused "exec: \"curl\": executable file not found in $PATH": unknown',
    r"container_linux.go:346: starting container process caused \"exec: \\\"curl\\\": executable file not found in $PATH\"",
    'exec: "/usr/bin/curl": stat /usr/bin/curl: no such file or directory',
    "exec /usr/bin/curl: no such file or directory",
    # Kata: an agent in a virtual machine
    r'failed to start exec "e9a1": Others("Caused by: 0: rpc status: code: INTERNAL message: \"the file curl was not found\""',
    "rpc error: code = Internal desc = ENOENT: No such file or directory: failed to start exec /usr/bin/curl: ENOENT",
    # gVisor
    f'executing processes for container: executing command [{COMMAND}] in sandbox: error finding executable "curl" in PATH '
    "[/usr/local/sbin /usr/bin /bin]: no such file or directory",
    f"executing command [{COMMAND}]: failed to load curl: no such file or directory",
    # crun, krun, youki
    "crun: executable file `curl` not found in $PATH: No such file or directory: OCI runtime attempted to invoke a command",
    "Couldn't execute 'curl' inside the vm: No such file or directory",
    "exec process failed with error executable 'curl' for container process not found in PATH",
    "youki: exec failed: No such file or directory (os error 2)",
    # Windows
    f"hcs::System::CreateProcess: {COMMAND}: The system cannot find the file specified.: unknown",
    f"hcs::System::CreateProcess: {COMMAND}: Das System kann die angegebene Datei nicht finden. (0x2)",
    r"exec: \"curl.exe\": executable file not found in %PATH%",
]
ON_STDERR = [
    "sh: 1: curl: not found\n",
    "/bin/sh: exec: line 1: curl: not found\n",
    "env: 'curl': No such file or directory\n",
    "/usr/bin/env: \u2018curl\u2019: No such file or directory\n",
    "nsenter: failed to execute curl: No such file or directory\n",
    "zsh: command not found: curl\n",
    "bash: Zeile 1: curl: Kommando nicht gefunden.\n",
    "nsenter: failed to execute curl: Datei oder Verzeichnis nicht gefunden\n",
    "",
]
OTHERS_IN_THE_STATUS = [
    'container not found ("curl")',
    "failed to load task: no running task found: task 4f2a not found: not found",
    RUNC.format("x").replace('exec: "curl": x', 'chdir to cwd ("/srv/app") set in config.json failed: no such file or directory'),
    "failed to retrieve OCI runtime exec internal pid: open /run/containerd/x-internal.pid: no such file or directory: unknown",
    'exec: "curl": failed to create fifo /run/containerd/fifo/1-stdout: no such file or directory',
    "container_linux.go:348: starting container process caused open /proc/self/fd: no such file or directory",
    "failed to exec in container: failed to create exec io: no such file or directory",
    f"hcs::System::CreateProcess: {COMMAND}: The system cannot find the path specified. (0x3)",
    "dial unix /run/containerd/containerd.sock: connect: no such file or directory",
    'exec: "wget": executable file not found in $PATH',
]
OTHERS_ON_STDERR = [
    "curl: error while loading shared libraries: libcurl.so.4: cannot open shared object file: No such file or directory\n",
    "Error loading shared library libcurl.so.4: No such file or directory (needed by /usr/bin/curl)\n",
    "/usr/local/bin/curl: line 2: jq: command not found\n",
    "/usr/local/bin/curl: line 3: /etc/pki/ca.crt: No such file or directory\n",
    "env: 'python3': No such file or directory\n",
    "/usr/local/bin/curl: Zeile 2: jq: Kommando nicht gefunden.\n",
    "curl: symbol lookup error: curl: undefined symbol: curl_mime_addpart\n",
    "Error relocating /usr/bin/curl: curl_mime_addpart: symbol not found\n",
    "curl: Fehler beim Laden gemeinsam genutzter Bibliotheken: libcurl.so.4: kann Datei nicht \u00f6ffnen\n",
]


@pytest.mark.parametrize(
    "ran",
    [
        ExecResult(None, b"", b"", RUNC.format("executable file not found in $PATH")),
        ExecResult(None, b"", b"", RUNC.format("stat /usr/bin/curl: no such file or directory")),
        ExecResult(None, b"", b"", "executable file `curl` not found in $PATH: No such file or directory"),
        ExecResult(None, b"", b"", 'executable file "curl" not found in $PATH: No such file or directory'),
        ExecResult(126, RUNC.format("executable file not found in $PATH").encode(), b"", "exit code 126"),
        ExecResult(127, b"", b"time=x level=error msg=exec failed: executable file `curl` not found in $PATH", "exit code 127"),
        ExecResult(127, b"", b"sh: curl: not found\n"),
        ExecResult(127, b"", b"bash: line 1: curl: command not found\n"),
        ExecResult(127, b"", b"curl: applet not found\n"),
        ExecResult(None, b"", b"", 'error finding executable "curl" in PATH [/bin]: no such file or directory'),
        *(ExecResult(None, b"", b"", said) for said in IN_THE_STATUS),
        *(ExecResult(127, b"", said.encode()) for said in ON_STDERR),
        *(ExecResult(code, RUNC.format("executable file not found in $PATH").encode(), b"") for code in (126, 128, 255)),
    ],
)
def test_runtimes_say_in_their_own_ways_that_a_program_is_missing(ran: ExecResult) -> None:
    assert is_program_missing(ran, "curl")


@pytest.mark.parametrize(
    "ran",
    [
        ExecResult(0, b"", b""),
        ExecResult(6, b"", b"curl: (6) Could not resolve host: executable file not found in $PATH"),
        ExecResult(None, b"executable file not found in $PATH", b"", "the connection was lost before the command ended"),
        ExecResult(None, b"", b"", 'container not found ("sleep")'),
        ExecResult(None, b"", b"", RUNC.format("permission denied")),
        ExecResult(None, b"", b"", "executable file `wget` not found in $PATH: No such file or directory"),
        ExecResult(127, b"", b"error while loading shared libraries: libcurl.so.4: cannot open shared object file"),
        *(ExecResult(None, b"", b"", said) for said in OTHERS_IN_THE_STATUS),
        *(ExecResult(127, b"", said.encode()) for said in OTHERS_ON_STDERR),
        ExecResult(255, b"", b"Error: dial unix /etc/istio/proxy/curl.sock: connect: no such file or directory"),
        ExecResult(137, b"", b""),
        ExecResult(77, b"", b"curl: (77) error setting certificate file: /etc/ca.crt: No such file or directory"),
    ],
)
def test_what_else_goes_wrong_is_not_held_for_that(ran: ExecResult) -> None:
    assert not is_program_missing(ran, "curl")


# The socket table


@pytest.mark.parametrize(
    ("ran", "capture"),
    [
        (ExecResult(0, b"", b""), Capture.NOT_CAPTURED),
        (ExecResult(37, b"", b""), Capture.NOT_CAPTURED),
        (ExecResult(None, b"", b"", "the connection was lost before the command ended"), Capture.UNKNOWN),
        (ExecResult(None, b"", b"", "the output is longer than 8 bytes", truncated=True), Capture.UNKNOWN),
    ],
)
def test_a_table_that_may_be_cut_shows_what_it_has_and_not_what_it_lacks(ran: ExecResult, capture: Capture) -> None:
    line, _, table = recordings.socket_table("not-captured").partition("\n")
    fields = line.split("\t")
    outcome = CurlOutcome(0, remote_ip=fields[3], remote_port=int(fields[4]), local_ip=fields[5], local_port=int(fields[6]))
    assert capture_of(last_socket_table(curl.ExecOutput((outcome,), table), ran), outcome) is capture


# pilot-agent's answer


@pytest.mark.parametrize(
    "ran",
    [
        ExecResult(0, JSON.encode(), b""),
        ExecResult(0, JSON.encode(), b"ERROR failed to set GOMEMLIMIT: cannot read cgroup\n"),
        ExecResult(None, JSON.encode(), b"", "the command's status cannot be read"),
    ],
    ids=["as it should be", "errors on stderr", "without an exit code"],
)
def test_what_stands_on_stdout_is_the_answer(ran: ExecResult) -> None:
    assert proxy_answer(SOURCE, PATH, ran) == JSON


@pytest.mark.parametrize(
    ("ran", "says"),
    [
        (
            ExecResult(255, b"", b"x\nError: unsuccessful status code 400\n"),
            f"the sidecar of sleep did not answer {PATH}: Error: ",
        ),
        (ExecResult(0, b" \n", b""), f"the sidecar of sleep did not answer {PATH}: nothing"),
        (
            ExecResult(None, b"", b"", "the connection was lost"),
            f"the sidecar of sleep did not answer {PATH}: the connection was",
        ),
        (ExecResult(None, b"{", b"", "", truncated=True), f"the sidecar of sleep answered {PATH} with more than 64 MiB"),
        (ExecResult(None, b"", b"", "no end", timed_out=True), f"the sidecar of sleep did not answer {PATH}: no end"),
        (
            ExecResult(None, b"", b"", RUNC.replace("curl", "pilot-agent").format("executable file not found in $PATH")),
            "container istio-proxy of pod default/sleep has no pilot-agent, by which the sidecar is read",
        ),
    ],
)
def test_where_there_is_no_answer_it_is_said_why(ran: ExecResult, says: str) -> None:
    with pytest.raises(ProxyUnreadable) as unreadable:
        proxy_answer(SOURCE, PATH, ran)
    assert str(unreadable.value).startswith(says)


PRETTY = json.dumps({"configs": [{"a": {"b": "}"}}, {}]}, indent=1) + "\n"
LINE = json.dumps({"stats": [{"name": "a"}, {"name": "b"}]})


@pytest.mark.parametrize("answer", [PRETTY, LINE, "warn one\n" + LINE, "{}"])
def test_json_that_ends_is_whole_and_every_part_of_it_is_cut(answer: str) -> None:
    assert not is_cut(answer.encode())
    begun = answer.index("{") + 1
    assert all(is_cut(answer[:length].encode()) for length in range(begun, len(answer.rstrip())))


@pytest.mark.parametrize("answer", ["", "\n", "warn {", "no such path\n"])
def test_what_is_no_json_is_not_cut(answer: str) -> None:
    assert not is_cut(answer.encode())


def test_of_a_cut_answer_it_is_said_how_much_came_and_what_was_its_end() -> None:
    cut = ExecResult(None, PRETTY[:30].encode(), b"", "the connection was lost before the command ended")
    with pytest.raises(ProxyUnreadable) as unreadable:
        proxy_answer(SOURCE, PATH, cut)
    assert str(unreadable.value) == (
        f"the answer of the sidecar of sleep to {PATH} was cut on its way, twice: 30 bytes came, which end in "
        """'{ "configs": [ { "a": {'; the connection was lost before the command ended"""
    )


def test_a_sidecar_that_is_not_ready_is_said_to_be() -> None:
    source = Source("default", "sleep", "sleep", "istio-proxy", proxy_ready=False, proxy_state="ended with exit code 1 (Error)")
    with pytest.raises(ProxyUnreadable, match=r"\(it is not ready: ended with exit code 1 \(Error\)\)$"):
        proxy_answer(source, PATH, ExecResult(255, b"", b"connection refused"))


def test_an_admin_port_of_its_own_is_named() -> None:
    source = Source("default", "sleep", "sleep", "istio-proxy", admin_port=15100)
    with pytest.raises(ProxyUnreadable, match="asked at port 15100 as the pod says: connection refused"):
        proxy_answer(source, PATH, ExecResult(255, b"", b"connection refused"))


@pytest.mark.parametrize(
    "before",
    [
        "",
        "\n",
        "2026-11-23T04:00:00.1Z\twarn\tsomething odd\n",
        "warn one\nwarn {two}\n\r\n",
        '{"level":"warn","time":"2026-11-23T04:00:00Z","msg":"odd"}\n',
        '{"level":"warn","msg":"odd"}\nwarn two\n{"severity":"WARNING"}\n',
    ],
)
def test_lines_that_were_logged_before_the_json_are_left_out(before: str) -> None:
    assert json.loads(without_log_lines(before + JSON)) == json.loads(JSON)


@pytest.mark.parametrize("text", ["", "\n", "Failed to convert protobuf message to JSON string: x", "warn\nwarn", "warn {}"])
def test_where_there_is_no_json_the_words_stay(text: str) -> None:
    assert without_log_lines(text) == text


def test_a_log_alone_is_no_answer() -> None:
    assert without_log_lines('{"level":"warn","msg":"odd"}\n') == '{"level":"warn","msg":"odd"}\n'


@given(st.lists(st.text().filter(lambda line: not line.startswith("{") and line == "".join(line.splitlines()))))
def test_whatever_was_logged_the_json_is_found(lines: list[str]) -> None:
    assert without_log_lines("".join(f"{line}\n" for line in lines) + JSON) == JSON


# What is searched for in a body

COUNT = Probe("articles", "https://a.example", extract={"articles": "([0-9]+) articles", "since": "since ([0-9]+)"})


def searched(result: SearchResult, curl_exit: int = 0) -> CurlOutcome:
    answer = curl.ExecOutput((None, CurlOutcome(curl_exit)), "", bodies={1: b"7 articles"})
    _, outcome = search_bodies([COUNT, COUNT], answer, lambda patterns, text: result).outcomes
    assert outcome is not None
    return outcome


def test_an_expression_that_finds_nothing_is_named() -> None:
    outcome = searched(SearchResult({"articles": "7"}))
    assert (outcome.extracted, outcome.unmatched, outcome.given_up) == ({"articles": "7"}, ("since",), "")


def test_a_search_that_was_given_up_is_told_with_what_was_found_before() -> None:
    outcome = searched(SearchResult({"articles": "7"}, "the expression for since was given up"))
    assert (outcome.extracted, outcome.unmatched) == ({"articles": "7"}, ("since",))
    assert outcome.given_up == "the expression for since was given up"


def test_nothing_is_searched_for_in_what_came_of_a_transfer_that_failed() -> None:
    outcome = searched(SearchResult({"articles": "7", "since": "2001"}), curl_exit=63)
    assert (outcome.extracted, outcome.unmatched) == ({}, ("articles", "since"))
