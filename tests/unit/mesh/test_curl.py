"""The command line of curl that a probe is, and what its report means."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import recordings
from egressctl.mesh import curl
from egressctl.mesh.curl import (
    BODY_LIMIT,
    CONNECTIONS_PER_EXEC,
    EXECS_AT_ONCE,
    REFUSAL_EXITS,
    TransferLimits,
    cause_of,
    companion_argv,
    looks_reset,
    parse_companion,
    parse_probes,
    probe_argv,
    split_into_execs,
)
from egressctl.mesh.send_probes import capture_of
from egressctl.model.cause import CauseCode
from egressctl.model.evidence import Capture, CurlOutcome
from egressctl.model.probe import Expectation, Probe
from egressctl.runtime.query import encode_query
from examples import examples

PORTAL = Probe("portal", "https://www.wikipedia.org")
ARTICLES = Probe("articles", "https://en.wikipedia.org/wiki/Main_Page", extract={"articles": r"([0-9,]+) articles"})
DERIVED = Probe("derived", "https://wikipedia.org:8443/{a}[1-2]?x=$(id);&y='z'", Expectation(status=None))

FIELDS = (
    "exitcode", "http_code", "http_connect", "remote_ip", "remote_port", "local_ip", "local_port",
    "size_download", "num_connects", "time_namelookup", "time_connect", "time_appconnect", "time_total", "errormsg",
)  # fmt: skip
WRITE_OUT = r"\t".join(f"%{{{name}}}" for name in FIELDS) + r"\n"

TABLE = recordings.socket_table("open").partition("\n")[2].encode()


def report_line(index: int, **fields: object) -> str:
    """What curl writes for one transfer: the answer of a good one, unless fields say otherwise."""
    values: dict[str, object] = {
        "exitcode": 0, "http_code": 200, "http_connect": 0, "remote_ip": "208.80.154.224", "remote_port": 443,
        "local_ip": "10.244.0.5", "local_port": 40000 + index, "size_download": 0, "num_connects": 1, "time_namelookup": "0.001",
        "time_connect": "0.002", "time_appconnect": "0.010", "time_total": "0.020", "errormsg": "",
    } | fields  # fmt: skip
    return f"\negressctl {index}\t" + "\t".join(str(values[name]) for name in FIELDS) + "\n"


def the_one(probe: Probe, **fields: object) -> CurlOutcome | None:
    return parse_probes([probe], TABLE, report_line(0, **fields).encode()).outcomes[0]


# The command line: fixed, so that one rule in a SIEM suffices


def test_the_command_line_is_the_documented_one() -> None:
    limited = ["-gsS", "--connect-timeout", "5", "--max-time", "10", "-w"]
    assert probe_argv([PORTAL, ARTICLES, DERIVED], TransferLimits()) == (
        "curl", "-q",
        *limited, rf"%{{stderr}}\negressctl 0\t{WRITE_OUT}", "-o", "/dev/null", PORTAL.url, "--next",
        *limited, rf"%{{stderr}}\negressctl 1\t{WRITE_OUT}", "--max-filesize", str(BODY_LIMIT), ARTICLES.url, "--next",
        *limited, rf"%{{stderr}}\negressctl 2\t{WRITE_OUT}", "-o", "/dev/null", "-I", DERIVED.url, "--next",
        "-gs", "file:///proc/net/tcp", "--next", "-gs", "file:///proc/net/tcp6",
    )  # fmt: skip


def test_the_companions_command_line_is_the_documented_one() -> None:
    limited = ["-gsS", "--connect-timeout", "0.5", "--max-time", "2", "-w"]
    quiet = ["--noproxy", "*", "-o", "/dev/null"]
    assert companion_argv([("208.80.154.224", 443), ("2620:0:861:ed1a::1", 80)], TransferLimits(0.5, 10)) == (
        "curl", "-q",
        *limited, rf"%{{stderr}}\negressctl 0\t{WRITE_OUT}", *quiet, "telnet://208.80.154.224:443", "--next",
        *limited, rf"%{{stderr}}\negressctl 1\t{WRITE_OUT}", *quiet, "telnet://[2620:0:861:ed1a::1]:80", "--next",
        "-gs", "file:///proc/net/tcp", "--next", "-gs", "file:///proc/net/tcp6",
    )  # fmt: skip


def test_a_companion_is_never_given_longer_than_two_seconds_nor_longer_than_a_probe() -> None:
    for total, given_ in ((10.0, "2"), (1.5, "1.5")):
        argv = companion_argv([("192.0.2.1", 443)], TransferLimits(5, total))
        assert argv[argv.index("--max-time") + 1] == given_


def places(count: int) -> list[Probe]:
    return [Probe("x", f"https://{index}.example") for index in range(count)]


def test_more_places_than_curl_keeps_connections_for_are_refused() -> None:
    for probes, most in (([], 5), ([*places(5), ARTICLES], 5), (places(11), 10)):
        with pytest.raises(ValueError, match=f"1 to {most} hosts and ports"):
            probe_argv(probes, TransferLimits())


def test_after_each_five_places_the_socket_table_is_read() -> None:
    limited = ["-gsS", "--connect-timeout", "5", "--max-time", "10", "-w"]
    table = ["--next", "-gs", "file:///proc/net/tcp", "--next", "-gs", "file:///proc/net/tcp6"]
    first, second = ([word for each in part for word in ("-o", "/dev/null", each.url)] for part in (places(7)[:5], places(7)[5:]))
    assert probe_argv(places(7), TransferLimits()) == (
        "curl", "-q", *limited, rf"\negressctl %{{urlnum}}\t{WRITE_OUT}", *first, *table,
        "--next", *limited, rf"\negressctl 5+%{{urlnum}}\t{WRITE_OUT}", *second, *table,
    )  # fmt: skip


def test_many_probes_of_one_place_share_their_options() -> None:
    limited = ["-gsS", "--connect-timeout", "5", "--max-time", "10", "-w"]
    assert probe_argv([PORTAL] * 6, TransferLimits()) == (
        "curl", "-q", *limited, rf"\negressctl %{{urlnum}}\t{WRITE_OUT}", *["-o", "/dev/null", PORTAL.url] * 6,
        "--next", "-gs", "file:///proc/net/tcp", "--next", "-gs", "file:///proc/net/tcp6",
    )  # fmt: skip


def test_five_probes_are_taken() -> None:
    assert probe_argv([PORTAL] * 5, TransferLimits()).count(PORTAL.url) == 5


def test_the_configuration_file_in_the_pod_is_ignored() -> None:
    assert (
        probe_argv([PORTAL], TransferLimits())[:2] == companion_argv([("192.0.2.1", 1)], TransferLimits())[:2] == ("curl", "-q")
    )


def test_no_redirect_is_followed_and_no_url_is_expanded() -> None:
    argv = probe_argv([PORTAL, ARTICLES, DERIVED], TransferLimits())
    assert not {"-L", "--location", "-k", "--insecure"} & set(argv)
    segments = " ".join(argv).split(" --next ")
    assert len(segments) == 5
    assert all("-gs" in segment for segment in segments)


def test_a_url_goes_through_as_it_is_and_needs_no_shell() -> None:
    assert DERIVED.url in probe_argv([DERIVED], TransferLimits())
    assert not any(word in ("sh", "-c", "bash", "/bin/sh") for word in probe_argv([DERIVED], TransferLimits()))


def test_the_socket_table_is_read_last() -> None:
    assert probe_argv([PORTAL], TransferLimits())[-5:] == ("-gs", curl.TABLE_URLS[0], "--next", "-gs", curl.TABLE_URLS[1])


# The report


def test_the_report_of_many_probes_of_one_place_stands_before_the_table() -> None:
    probes = [PORTAL] * 6
    told = "".join(report_line(index, local_port=40000, num_connects=int(index == 0)) for index in range(6))
    answer = parse_probes(probes, told.encode() + TABLE, b"curl: (6) nothing of this\n" + report_line(0, http_code=404).encode())
    assert [(each.http_status, each.reused) for each in answer.outcomes if each] == [(200, False)] + [(200, True)] * 5
    assert answer.table == TABLE.decode()


@pytest.mark.parametrize("cut", range(0, 400, 7))
def test_a_report_of_many_that_was_cut_has_neither_what_is_missing_nor_a_table(cut: int) -> None:
    told = "".join(report_line(index) for index in range(6)).encode()[:cut]
    answer = parse_probes([PORTAL] * 6, told, b"")
    assert answer.outcomes[-1] is None
    assert answer.table == ""


# Two parts in one exec, each with its own table

SEVEN = places(7)
FIRST, SECOND = TABLE, TABLE.replace(b"0100007F:3A99", b"0100007F:3A98")


def part(start: int, numbers: Iterable[int], **fields: object) -> bytes:
    """The reports of a part; each connection has a local port of its own."""
    mark = f"egressctl {start}+" if start else "egressctl "
    lines = (report_line(number, local_port=40000 + number, **fields).replace("egressctl ", mark) for number in numbers)
    return "".join(lines).encode()


@pytest.mark.parametrize("numbers", [(7, 8), (0, 1)], ids=["curl counts on", "curl begins anew"])
def test_each_part_has_its_reports_and_its_table(numbers: tuple[int, int]) -> None:
    answer = parse_probes(SEVEN, part(0, range(5)) + FIRST + part(5, numbers) + SECOND, b"")
    assert [each.local_port for each in answer.outcomes if each] == [40000 + number for number in (*range(5), *numbers)]
    assert answer.table == SECOND.decode() != FIRST.decode()
    assert answer.earlier == dict.fromkeys(range(5), FIRST.decode())


def test_of_a_part_that_lost_a_report_none_is_known() -> None:
    """Where curl's numbers begin is not known, so which one is lost is not either."""
    told = part(0, range(5)) + FIRST + part(5, [8]) + SECOND
    assert [each is not None for each in parse_probes(SEVEN, told, b"").outcomes] == [True] * 5 + [False] * 2
    told = part(0, [0, 1, 3, 4]) + FIRST + part(5, [7, 8]) + SECOND
    assert [each is not None for each in parse_probes(SEVEN, told, b"").outcomes] == [True, True, False, *[True] * 4]


@pytest.mark.parametrize("forged", [part(5, [7]), part(5, [9]), b"\n" + SECOND, part(0, [6]), SECOND + part(5, [7, 8])])
def test_a_message_with_lines_in_it_takes_no_place_of_another_part(forged: bytes) -> None:
    first = part(0, range(4)) + part(0, [4], exitcode=35, errormsg="bad").rstrip(b"\n") + forged + b"\n"
    answer = parse_probes(SEVEN, first + FIRST + part(5, [7, 8]) + SECOND, b"")
    assert [each.local_port for each in answer.outcomes[5:] if each] in ([], [40007, 40008])
    assert answer.table == SECOND.decode()
    assert set(answer.earlier.values()) <= {FIRST.decode(), ""}


@given(st.integers(0, len(part(0, range(5)) + FIRST + part(5, (7, 8)) + SECOND)))
@example(len(part(0, range(5)) + FIRST + b"\negressctl"))
def test_what_was_cut_is_missing_and_nothing_else_changes(cut: int) -> None:
    whole = part(0, range(5)) + FIRST + part(5, (7, 8)) + SECOND
    answer, complete = parse_probes(SEVEN, whole[:cut], b""), parse_probes(SEVEN, whole, b"")
    for index, (each, outcome) in enumerate(zip(answer.outcomes, complete.outcomes, strict=True)):
        # The words at a line's end are curl's, and end where they end.
        assert each is None or outcome is None or each == outcome or each.error != outcome.error, index
    assert SECOND.decode().startswith(answer.table)
    assert FIRST.decode().startswith(answer.earlier[0])
    # A table that may be cut is never given as whole: from what it lacks something would follow.
    if not whole[:cut].endswith(SECOND):
        assert answer.table != SECOND.decode()
    if b"\negressctl 5+" not in whole[:cut]:
        assert not answer.earlier[0].endswith("\n")


def test_a_whole_report_is_read() -> None:
    stderr = report_line(0) + report_line(1, size_download=28, http_code=200)
    body = b"English 7,012,345 articles\r\n"
    answer = parse_probes([PORTAL, ARTICLES], body + TABLE, stderr.encode())
    assert answer.outcomes == (
        CurlOutcome(
            curl_exit=0, http_status=200, remote_ip="208.80.154.224", remote_port=443, local_ip="10.244.0.5", local_port=40000,
            seconds={"lookup": 0.001, "connect": 0.002, "tls": 0.01, "total": 0.02},
        ),
        CurlOutcome(
            curl_exit=0, http_status=200, remote_ip="208.80.154.224", remote_port=443, local_ip="10.244.0.5", local_port=40001,
            seconds={"lookup": 0.001, "connect": 0.002, "tls": 0.01, "total": 0.02},
        ),
    )  # fmt: skip
    assert answer.bodies == {1: body}
    assert answer.table == TABLE.decode()


@pytest.mark.parametrize(
    ("name", "expected"),
    [("open", Capture.CAPTURED), ("passthrough", Capture.CAPTURED), ("not-captured", Capture.NOT_CAPTURED)],
)
def test_recorded_socket_tables_come_through_behind_a_body(name: str, expected: Capture) -> None:
    head, _, table = recordings.socket_table(name).partition("\n")
    _, exit_code, status, remote_ip, remote_port, local_ip, local_port, *_ = head.split("\t")
    stderr = report_line(
        0, exitcode=exit_code, http_code=status, remote_ip=remote_ip, remote_port=remote_port, local_ip=local_ip,
        local_port=local_port, size_download=9,
    )  # fmt: skip
    answer = parse_probes([ARTICLES], b"some body" + table.encode(), stderr.encode())
    assert answer.table == table
    outcome = answer.outcomes[0]
    assert outcome is not None
    assert capture_of(answer.table, outcome) is expected


def test_the_companions_report_is_read() -> None:
    table = recordings.socket_table("blocked-companion")
    stderr = report_line(0, http_code=0, local_port=56780, remote_ip="208.80.154.224", remote_port=443)
    answer = parse_companion([("208.80.154.224", 443), ("192.0.2.1", 80)], table.encode(), stderr.encode())
    assert answer.outcomes[0] is not None
    assert answer.outcomes[0].local_port == 56780
    assert answer.outcomes[1] is None
    assert answer.table == table


def test_a_companion_to_another_port_than_http_is_not_taken_for_a_proxied_one() -> None:
    answer = parse_companion([("192.0.2.1", 8443)], b"", report_line(0, remote_port=8443).encode())
    assert answer.outcomes[0] is not None
    assert not answer.outcomes[0].proxied


def test_a_message_with_tabs_in_it_is_kept_whole() -> None:
    outcome = the_one(PORTAL, exitcode=35, errormsg="Recv failure:\treset\tby peer ")
    assert outcome is not None
    assert outcome.error == "Recv failure:\treset\tby peer"


def test_times_in_another_locale_are_read() -> None:
    outcome = the_one(PORTAL, time_total="0,250000")
    assert outcome is not None
    assert outcome.seconds["total"] == 0.25


# What a body, or a broken stream, cannot do

FORGED_TABLE = TABLE.replace(b"0100007F:3A99", b"0100007F:3A98")


def test_a_body_that_is_a_socket_table_does_not_pass_for_one() -> None:
    answer = parse_probes([ARTICLES], FORGED_TABLE + TABLE, report_line(0, size_download=len(FORGED_TABLE)).encode())
    assert answer.table == TABLE.decode()
    assert FORGED_TABLE != TABLE


def test_a_body_that_is_a_socket_table_does_not_pass_where_the_real_one_was_lost() -> None:
    assert parse_probes([ARTICLES], TABLE, report_line(0, size_download=len(TABLE)).encode()).table == ""


def test_a_body_that_is_a_socket_table_does_not_pass_where_its_report_was_lost() -> None:
    assert parse_probes([ARTICLES], TABLE + TABLE, b"").table == ""


def test_report_lines_in_a_body_count_for_nothing() -> None:
    forged = report_line(0, exitcode=0, http_code=200).encode()
    stderr = report_line(0, exitcode=35, http_code=0, size_download=len(forged)).encode()
    outcome = parse_probes([ARTICLES], forged + TABLE, stderr).outcomes[0]
    assert outcome is not None
    assert (outcome.curl_exit, outcome.http_status) == (35, 0)


def test_report_lines_in_a_message_spoil_only_themselves() -> None:
    """A message is not escaped by curl: a server that could get a line into it must not get a probe passed."""
    stderr = report_line(0, exitcode=35, errormsg="bad" + report_line(1)) + report_line(1, exitcode=35, http_code=0)
    first, second = parse_probes([PORTAL, PORTAL], TABLE, stderr.encode()).outcomes
    assert first is not None
    assert first.curl_exit == 35
    assert second is None


@pytest.mark.parametrize("times", [2, 3])
def test_an_index_seen_more_than_once_is_nobodys(times: int) -> None:
    answer = parse_probes([ARTICLES], TABLE, (report_line(0) * times).encode())
    assert answer.outcomes == (None,)
    assert answer.table == ""


def test_a_lost_line_is_none_and_takes_the_table_with_it() -> None:
    answer = parse_probes([PORTAL, ARTICLES, PORTAL], TABLE, (report_line(0) + report_line(2)).encode())
    assert [outcome is None for outcome in answer.outcomes] == [False, True, False]
    assert answer.table == ""


def test_behind_a_lost_line_nothing_is_left_to_extract_from() -> None:
    """Where one body ends cannot be told then, and another's words must not be taken."""
    body = b"7 articles"
    stderr = report_line(1, size_download=len(body))
    assert parse_probes([ARTICLES, ARTICLES], body + body + TABLE, stderr.encode()).bodies == {1: b""}


def test_a_stream_that_was_cut_has_no_table() -> None:
    body = b"x" * 100
    stderr = report_line(0, size_download=len(body)).encode()
    for end in range(len(body) + 10):
        assert parse_probes([ARTICLES], (body + TABLE)[:end], stderr).table == ""


def test_a_curl_that_knows_no_exitcode_gives_no_outcome() -> None:
    """Before 7.75 the field is empty, and curl complains of it."""
    assert the_one(PORTAL, exitcode="") is None


@pytest.mark.parametrize("size", ["", "-1", "nan", "1e3", "1.5", "-0"])
def test_a_size_that_is_no_size_gives_no_outcome_and_no_table(size: str) -> None:
    answer = parse_probes([ARTICLES], b"abc" + TABLE, report_line(0, size_download=size).encode())
    assert answer.outcomes == (None,)
    assert answer.table == ""


@pytest.mark.parametrize("number", ["nan", "inf", "-inf", "1e999", "", "-", "0x1", "many"])
@pytest.mark.parametrize("field", ["http_code", "http_connect", "remote_port", "local_port", "time_total"])
def test_a_number_that_is_none_counts_as_zero(field: str, number: str) -> None:
    outcome = the_one(PORTAL, **{field: number})
    assert outcome is not None
    zeros = {
        "http_code": outcome.http_status,
        "http_connect": int(outcome.proxied),
        "remote_port": outcome.remote_port,
        "local_port": outcome.local_port,
        "time_total": outcome.seconds["total"],
    }
    assert zeros[field] == 0


def test_a_port_of_no_connection_is_zero() -> None:
    outcome = the_one(PORTAL, exitcode=6, http_code=0, remote_ip="", remote_port=-1, local_ip="", local_port=-1)
    assert outcome is not None
    assert (outcome.remote_port, outcome.local_port, outcome.proxied) == (0, 0, False)


BYTES = st.one_of(st.binary(max_size=300), st.sampled_from([TABLE, report_line(0).encode(), report_line(1).encode()]))
ODD = st.text(alphabet="0123456789.,-+eEnaif xX\t\n%{}", max_size=8)


@examples(150)
@given(st.lists(BYTES, max_size=4).map(b"".join), st.lists(BYTES, max_size=4).map(b"".join))
def test_whatever_comes_reading_it_never_raises(stdout: bytes, stderr: bytes) -> None:
    answer = parse_probes([PORTAL, ARTICLES], stdout, stderr)
    assert len(answer.outcomes) == 2
    assert len(parse_companion([("192.0.2.1", 443)], stdout, stderr).outcomes) == 1


@examples(150)
@given(st.dictionaries(st.sampled_from(FIELDS), ODD))
def test_whatever_the_fields_say_reading_them_never_raises(fields: Mapping[str, str]) -> None:
    answer = parse_probes([ARTICLES], TABLE, report_line(0, **fields).encode())
    for outcome in answer.outcomes:
        assert outcome is None or all(map(math.isfinite, outcome.seconds.values()))


@examples(150)
@given(st.lists(st.binary(max_size=60), min_size=1, max_size=5), st.integers(-70, 70), st.data())
def test_there_is_no_table_where_the_sizes_do_not_add_up(bodies: list[bytes], off: int, data: st.DataObject) -> None:
    wrong = data.draw(st.integers(0, len(bodies) - 1))
    sizes = [len(body) + (off if index == wrong else 0) for index, body in enumerate(bodies)]
    stderr = "".join(report_line(index, size_download=size) for index, size in enumerate(sizes))
    answer = parse_probes([ARTICLES] * len(bodies), b"".join(bodies) + TABLE, stderr.encode())
    assert answer.table == ("" if off else TABLE.decode())


# A proxy variable


@pytest.mark.parametrize(
    ("fields", "proxied"),
    [
        ({}, False),
        ({"remote_port": 3128}, True),
        ({"http_connect": 200}, True),
        ({"http_connect": 403, "exitcode": 56}, True),
        ({"remote_port": -1, "exitcode": 6}, False),
        ({"remote_port": 0, "exitcode": 6}, False),
    ],
)
def test_a_transfer_that_a_proxy_variable_led_elsewhere_is_told(fields: Mapping[str, object], proxied: bool) -> None:
    outcome = the_one(PORTAL, **fields)
    assert outcome is not None
    assert outcome.proxied is proxied


def test_the_port_of_the_url_is_no_proxy() -> None:
    outcome = the_one(DERIVED, remote_port=8443)
    assert outcome is not None
    assert not outcome.proxied


# What an exit code says, where the mesh let the transfer out

MEANINGS = {
    5: CauseCode.NAME_RESOLUTION, 6: CauseCode.NAME_RESOLUTION, 7: CauseCode.CONNECT_REFUSED, 16: CauseCode.RESET,
    18: CauseCode.RESET, 22: CauseCode.HTTP_STATUS, 51: CauseCode.TLS_CERTIFICATE, 52: CauseCode.RESET,
    55: CauseCode.RESET, 56: CauseCode.RESET, 58: CauseCode.TLS_CERTIFICATE, 60: CauseCode.TLS_CERTIFICATE,
    63: CauseCode.BODY_MISMATCH, 77: CauseCode.TLS_CERTIFICATE, 83: CauseCode.TLS_CERTIFICATE,
    90: CauseCode.TLS_CERTIFICATE, 91: CauseCode.TLS_CERTIFICATE, 92: CauseCode.RESET, 95: CauseCode.RESET,
}  # fmt: skip


@pytest.mark.parametrize(("exit_code", "code"), MEANINGS.items())
def test_an_exit_code_names_what_went_wrong(exit_code: int, code: CauseCode) -> None:
    assert cause_of(CurlOutcome(exit_code)) is code


def test_every_other_exit_code_names_nothing() -> None:
    named = {number for number in range(-1, 128) if cause_of(CurlOutcome(number)) is not None}
    assert named == set(MEANINGS) | {28, 35}


def test_a_time_out_is_of_the_connection_until_there_is_one() -> None:
    assert cause_of(CurlOutcome(28, seconds={"connect": 0.0})) is CauseCode.CONNECT_TIMEOUT
    assert cause_of(CurlOutcome(28, seconds={"connect": 0.01})) is CauseCode.TIMEOUT


RESETS = (
    "OpenSSL SSL_connect: SSL_ERROR_SYSCALL in connection to www.wikipedia.org:443 ",
    "OpenSSL SSL_connect: Connection reset by peer in connection to www.wikipedia.org:443 ",
    "Recv failure: Connection reset by peer",
    "",
)
TLS_ANSWERS = (
    "OpenSSL/3.0.15: error:0A000410:SSL routines::sslv3 alert handshake failure",
    "error:0A00010B:SSL routines::wrong version number",
    "GnuTLS, handshake failed: An unexpected TLS packet was received. packet length",
    "error:0A000102:SSL routines::unsupported protocol",
    "error:1408F10B:SSL routines:ssl3_get_record:unknown protocol",
)


@pytest.mark.parametrize("error", RESETS)
def test_exit_35_without_a_word_of_tls_is_a_reset(error: str) -> None:
    assert looks_reset(CurlOutcome(35, error))
    assert cause_of(CurlOutcome(35, error)) is CauseCode.RESET


@pytest.mark.parametrize("error", TLS_ANSWERS)
def test_exit_35_with_a_word_of_tls_is_somebodys_answer(error: str) -> None:
    assert not looks_reset(CurlOutcome(35, error))
    assert cause_of(CurlOutcome(35, error)) is CauseCode.TLS_HANDSHAKE


@pytest.mark.parametrize("exit_code", range(100))
def test_only_some_exits_can_be_a_refusal_by_the_sidecar(exit_code: int) -> None:
    assert looks_reset(CurlOutcome(exit_code)) is (exit_code in REFUSAL_EXITS)


def test_after_a_handshake_or_an_answer_nothing_is_a_refusal() -> None:
    assert not looks_reset(CurlOutcome(56, seconds={"tls": 0.01}))
    assert not looks_reset(CurlOutcome(56, http_status=502))


def test_the_recorded_refusals_look_like_one() -> None:
    blocked = [case for case in recordings.cases() if recordings.load(case).truth["envoy_cluster"] == "BlackHoleCluster"]
    assert len(blocked) > 5
    for case in blocked:
        probe = recordings.load(case).probe
        tls = {"tls": probe["time_appconnect"]}
        assert looks_reset(CurlOutcome(probe["exitcode"], probe["errormsg"], probe["http_code"], seconds=tls)), case


# Dealing probes out to execs

URLS = st.builds(
    "{}://{}{}/{}".format,
    st.sampled_from(["http", "https"]),
    st.sampled_from(["a.example", "b.example", "c.example", "d.example", "e.example", "f.example"]),
    st.sampled_from(["", ":80", ":443", ":8443"]),
    st.sampled_from(["", "x"]),
)


@examples(100)
@given(st.lists(URLS, max_size=40))
def test_all_are_dealt_five_at_most_and_never_two_of_one_place(urls: Sequence[str]) -> None:
    probes = [Probe(str(index), url) for index, url in enumerate(urls)]
    dealt = split_into_execs(enumerate(probes), alone=True)
    assert split_into_execs(enumerate(probes)) == dealt or len(urls) > EXECS_AT_ONCE
    assert sorted(pair for chunk in dealt for pair in ((index, probe.url) for index, probe in chunk)) == list(enumerate(urls))
    for chunk in dealt:
        places = [(probe.host, probe.port) for _, probe in chunk]
        assert 0 < len(chunk) <= CONNECTIONS_PER_EXEC
        assert len(set(places)) == len(places)


@examples(100)
@given(st.lists(URLS, min_size=EXECS_AT_ONCE + 1, max_size=300), st.sets(st.integers(0, 300), max_size=9))
def test_many_share_connections_and_no_exec_has_more_than_curl_keeps(urls: Sequence[str], extracting: set[int]) -> None:
    probes = [Probe(str(n), url, extract={"x": "(x)"} if n in extracting else {}) for n, url in enumerate(urls)]
    dealt = split_into_execs(enumerate(probes))
    assert sorted(index for chunk in dealt for index, _ in chunk) == list(range(len(urls)))
    for chunk in dealt:
        assert sum(bool(probe.extract) for _, probe in chunk) <= CONNECTIONS_PER_EXEC
        argv = probe_argv([probe for _, probe in chunk], TransferLimits())
        assert len(encode_query(("command", word) for word in argv)) < 8000
        connections = set[tuple[str, int]]()
        by_url = {probe.url: (probe.host, probe.port) for _, probe in chunk}
        for word in argv:
            connections = set() if word == curl.TABLE_URLS[0] else connections | ({by_url[word]} if word in by_url else set())
            assert len(connections) <= CONNECTIONS_PER_EXEC
    if not extracting:
        assert len(dealt) <= 2 * EXECS_AT_ONCE


def test_a_thousand_of_one_place_fit_into_few_execs_and_each_into_a_request_line() -> None:
    probes = [Probe(str(n), f"https://www.wikipedia.org/wiki/{n}") for n in range(1000)]
    dealt = split_into_execs(enumerate(probes))
    assert len(dealt) <= 12
    for chunk in dealt:
        words = probe_argv([probe for _, probe in chunk], TransferLimits())
        assert len(encode_query(("command", word) for word in words)) < 7200


def test_the_default_port_and_the_same_port_written_out_are_one_place() -> None:
    probes = [Probe("a", "https://a.example"), Probe("b", "https://a.example:443/x"), Probe("c", "http://a.example")]
    assert [[probe.name for _, probe in chunk] for chunk in split_into_execs(enumerate(probes))] == [["a", "c"], ["b"]]


def test_different_places_fill_an_exec() -> None:
    probes = [Probe(str(n), f"https://{n}.example") for n in range(11)]
    assert [len(chunk) for chunk in split_into_execs(enumerate(probes))] == [5, 5, 1]


# Local ports of its own


@pytest.mark.parametrize("chance", [0, 31])
def test_what_is_sent_again_comes_from_ports_that_linux_gives_to_nobody_by_itself(chance: int) -> None:
    ports = curl.unusual_ports(lambda below: min(chance, below - 1))
    assert len(ports) == 512
    assert set(ports) <= set(range(16384, 32768))


@given(st.integers(0, 1 << 20), st.integers(2, 2000))
def test_in_turn_no_port_comes_again_before_all_others_did(chance: int, size: int) -> None:
    count = len(curl.UNUSUAL_PORTS) // size
    dealt = list(itertools.islice(curl.unusual_ports_in_turn(lambda below: min(chance, below - 1), size), 2 * count))
    first = [port for ports in dealt[:count] for port in ports]
    assert len(first) == len(set(first)) == count * size
    assert set(first) <= set(curl.UNUSUAL_PORTS)
    assert dealt[count:] == dealt[:count]


def test_a_probe_and_its_companion_have_ports_of_their_own() -> None:
    limits = curl.DEFAULT_LIMITS._replace(local_ports=curl.unusual_ports(lambda _: 0))
    probe = curl.probe_argv([Probe("portal", "https://www.wikipedia.org")], limits)
    companion = curl.companion_argv([("208.80.154.224", 443)], limits)
    asked = [argv[argv.index("--local-port") + 1] for argv in (probe, companion)]
    assert asked == ["16384-16639", "16640-16895"]


def test_an_ordinary_probe_comes_from_any_port() -> None:
    assert "--local-port" not in curl.probe_argv([Probe("portal", "https://www.wikipedia.org")], curl.DEFAULT_LIMITS)
