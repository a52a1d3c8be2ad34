"""The access log of real sidecars, and of any text that may stand between its lines."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

import recordings
from egressctl.envoy.access_log import ProbeConnection, find_connection
from egressctl.model.evidence import LoggedConnection

NAME = "outbound|443||wikipedia.org"
AT = ProbeConnection("10.244.0.5", 40000, "208.80.154.224", 443)
TO = LoggedConnection(NAME)


def text_line(
    *, name: str = NAME, flags: str = "-", client: str = "10.244.0.5:40000", to: str = "208.80.154.224:443", agent: str = "-"
) -> str:
    """A line in Istio's default format."""
    ends = f"10.244.0.5:57784 {to} {client} - -"
    return f'[2026-11-23T04:14:28.558Z] "- - -" 0 {flags} - - "-" 724 1654 46 - "-" "{agent}" "-" "-" "{to}" {name} {ends}\n'


def json_line(**changes: object) -> str:
    """A line with `accessLogEncoding: JSON`."""
    line = {
        "start_time": "2026-11-23T04:14:28.558Z",
        "response_flags": "-",
        "upstream_cluster": NAME,
        "downstream_local_address": "208.80.154.224:443",
        "downstream_remote_address": "10.244.0.5:40000",
        "route_name": None,
    }
    return json.dumps({**line, **changes}) + "\n"


LOGGED = [case for case in recordings.cases() if case != "not-captured"]


def recorded(case: str) -> ProbeConnection:
    probe = recordings.load(case).probe
    return ProbeConnection(probe["local_ip"], probe["local_port"], probe["remote_ip"], probe["remote_port"])


def test_nearly_every_recording_has_a_line() -> None:
    assert [case for case in recordings.cases() if recordings.load(case).access_log] == LOGGED


@pytest.mark.parametrize("case", LOGGED)
def test_the_line_of_a_recording_names_what_carried_it(case: str) -> None:
    recording = recordings.load(case)
    found = find_connection(recording.access_log or "", recorded(case))
    assert found is not None
    truth = recording.truth
    assert (found.envoy_cluster or "-", found.flags or "-") == (truth["envoy_cluster"], truth["response_flags"])


def test_among_the_lines_of_all_recordings_each_finds_its_own() -> None:
    everything = "".join(f"{recordings.load(case).access_log}\n" for case in LOGGED)
    alone = {case: find_connection(recordings.load(case).access_log or "", recorded(case)) for case in LOGGED}
    assert {case: find_connection(everything, recorded(case)) for case in LOGGED} == alone


@pytest.mark.parametrize("line", [text_line(), json_line()], ids=["text", "json"])
@pytest.mark.parametrize(
    "connection",
    [
        ProbeConnection("10.244.0.5", 4000, "208.80.154.224", 443),
        ProbeConnection("10.244.0.5", 40001, "208.80.154.224", 443),
        ProbeConnection("10.244.0.50", 40000, "208.80.154.224", 443),
        ProbeConnection("10.244.0.5", 40000, "208.80.154.22", 443),
        ProbeConnection("10.244.0.5", 40000, "208.80.154.224", 44),
        ProbeConnection("", 0, "", 0),
    ],
)
def test_the_line_of_another_connection_says_nothing(line: str, connection: ProbeConnection) -> None:
    assert find_connection(line, connection) is None
    assert find_connection(line, AT) == TO


@pytest.mark.parametrize("form", ["text", "json"])
def test_addresses_of_ipv6_are_found_in_any_spelling(form: str) -> None:
    client, to = "[fd00:0:0::5]:40000", "[2620:0:860:ed1a::1]:443"
    line = text_line(client=client, to=to) if form == "text" else json_line(
        downstream_remote_address=client, downstream_local_address=to
    )  # fmt: skip
    assert find_connection(line, ProbeConnection("fd00::5", 40000, "2620:0:860:ed1a:0:0:0:1", 443)) == TO


def test_an_ipv4_address_in_ipv6s_clothes_is_the_ipv4_address() -> None:
    assert find_connection(text_line(client="[::ffff:10.244.0.5]:40000"), AT) == TO


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-11-23T04:00:00Z info Envoy proxy is ready\n",
        '10.244.0.5:40000 -> 208.80.154.224:443 "outbound|443||wikipedia.org"\n',  # somebody's own format
        json_line(upstream_cluster=7),
        json_line(response_flags=["-"]),
        json_line(downstream_remote_address=None),
        json.dumps({"downstream_remote_address": "10.244.0.5:40000", "downstream_local_address": "208.80.154.224:443"}),
        text_line()[:-30],
        text_line()[30:],
        f"[{json_line().strip()}]\n",
    ],
)
def test_any_other_format_says_nothing(text: str) -> None:
    assert find_connection(text, AT) is None


def test_other_lines_between_do_no_harm() -> None:
    assert (
        find_connection(f"2026-11-23T04:00:00Z warn :40000\n{text_line()[:90]}\n{text_line()}{{:40000\n{json_line()}", AT) == TO
    )


def test_two_lines_that_disagree_say_nothing() -> None:
    assert find_connection(text_line() + text_line(name="PassthroughCluster"), AT) is None
    assert find_connection(text_line() + text_line(flags="UF"), AT) is None
    assert find_connection(text_line() + text_line(), AT) == TO


def test_too_few_lines_say_nothing() -> None:
    assert find_connection(text_line(), AT, at_least=2) is None
    assert find_connection(text_line() + text_line(), AT, at_least=2) == TO


def test_what_a_client_writes_into_its_header_does_not_pass_for_what_the_sidecar_says() -> None:
    forged = f'x" "-" "-" "208.80.154.224:443" {NAME} 10.244.0.5:1 208.80.154.224:443 10.244.0.5:40000 - -'
    assert find_connection(text_line(client="10.244.0.5:50000", name="PassthroughCluster", agent=forged), AT) is None
    # Its own line is not understood either, and says nothing.
    assert find_connection(text_line(name="PassthroughCluster", agent=forged), AT) is None


@pytest.mark.parametrize(
    ("logged", "name", "shown"),
    [
        (TO, NAME, True),
        (LoggedConnection(NAME, "DC"), NAME, True),
        (LoggedConnection(NAME, "UC,DC"), NAME, True),
        (TO, "PassthroughCluster", False),
        (LoggedConnection(NAME, "UF,URX"), NAME, False),
        (LoggedConnection(NAME, "UH"), NAME, False),
        (LoggedConnection(NAME, "XX"), NAME, False),
        (LoggedConnection(""), None, False),
        (LoggedConnection(""), "", False),
        (TO, None, False),
    ],
)
def test_carried_is_what_the_named_envoy_cluster_connected(logged: LoggedConnection, name: str | None, shown: bool) -> None:
    assert logged.shows_use_of(name) is shown


PORTS = st.integers(0, 65535)
ADDRESSES = st.sampled_from(["10.244.0.5", "10.244.0.50", "208.80.154.224", "fd00::5", ""])
CONNECTIONS = st.builds(ProbeConnection, ADDRESSES, PORTS, ADDRESSES, PORTS)
PIECES = st.sampled_from(
    [text_line(), json_line(), text_line()[:120], "{", "[", ":40000", '"', "null\n", '{"a":' * 2000, "1" * 5000]
)


@given(st.lists(PIECES | st.text(max_size=40), max_size=12).map("".join), CONNECTIONS | st.just(AT))
def test_no_text_makes_it_raise_and_only_a_line_of_the_connection_is_found(text: str, connection: ProbeConnection) -> None:
    found = find_connection(text, connection)
    assert found is None or connection == AT
    assert found in (None, TO)


@given(PORTS, PORTS, st.booleans())
def test_a_line_is_found_by_its_own_port_only(logged: int, asked: int, as_json: bool) -> None:
    client = f"10.244.0.5:{logged}"
    line = json_line(downstream_remote_address=client) if as_json else text_line(client=client)
    assert (find_connection(line, ProbeConnection("10.244.0.5", asked, "208.80.154.224", 443)) == TO) is (logged == asked)
