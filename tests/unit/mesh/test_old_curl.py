"""What a curl from before 7.75 is asked, and what becomes of what it writes."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egressctl.mesh import curl, old_curl
from egressctl.mesh.curl import DEFAULT_LIMITS, LONGEST_QUERY, query_length
from egressctl.model.evidence import CurlOutcome
from egressctl.model.probe import Expectation, Probe

PORTAL = Probe("portal", "https://www.wikipedia.org")
ARTICLES = Probe("articles", "https://en.wikipedia.org/wiki/Main_Page", extract={"articles": "([0-9,]+) articles"})
DERIVED = Probe("https", "https://de.wikipedia.org", Expectation(status=None))
MARK = "egressctl-0123456789abcdef"
MIDDLE = "200\t000\t208.80.154.224\t443\t10.244.0.5\t40001\t5\t1\t0.001\t0.002\t0.010\t0.020"
REPORT = f"\n{MARK}\t{MIDDLE}\thttps://www.wikipedia.org/\n"
REFUSED = REPORT.replace("\t200\t", "\t000\t")
END = f"\n{MARK}\t000\t000\t\t0\t\t0\t0\t0\t0.000000\t0.000000\t0.000000\t0.000004\tfile:///dev/null\n"
RESET = "curl: (35) OpenSSL SSL_connect: SSL_ERROR_SYSCALL in connection to www.wikipedia.org:443\n"
NO_TCP6 = "curl: (37) Couldn't open file /proc/net/tcp6\n"
TABLE = "  sl  local_address rem_address   st tx_queue rx_queue\n   3: 0100007F:3A99 0500F40A:9C41 01 0 0\n"


def heard(stdout: str, probe: Probe = PORTAL) -> CurlOutcome | None:
    return old_curl.parse_probes([probe], stdout.encode(), MARK).outcomes[0]


# What it is asked


def test_one_probe() -> None:
    fields = (
        r"%{http_code}\t%{http_connect}\t%{remote_ip}\t%{remote_port}\t%{local_ip}\t%{local_port}\t%{size_download}"
        r"\t%{num_connects}\t%{time_namelookup}\t%{time_connect}\t%{time_appconnect}\t%{time_total}\t%{url_effective}"
    )
    end = "-o /dev/null file:///dev/null"
    assert shlex.join(old_curl.probe_argv([PORTAL], DEFAULT_LIMITS, "egressctl")) == (
        rf"curl -q -gsS --connect-timeout 5 --max-time 10 --stderr - -w '\negressctl\t{fields}\n' "
        f"-o /dev/null https://www.wikipedia.org {end} "
        f"--next -gs -o - file:///proc/net/tcp -o - file:///proc/net/tcp6 {end}"
    )


def test_probes_of_one_kind_share_their_options_and_each_has_an_end_of_its_own() -> None:
    words = old_curl.probe_argv([PORTAL, PORTAL, DERIVED], DEFAULT_LIMITS, MARK)
    assert (words.count("--next"), words.count("-I"), words.count("file:///dev/null")) == (2, 1, 4)


def test_a_body_goes_to_stdout_and_its_end_nowhere() -> None:
    words = old_curl.probe_argv([ARTICLES], DEFAULT_LIMITS, MARK)
    at = words.index(ARTICLES.url)
    assert (words[at - 2 : at], words[at + 1 : at + 3]) == (("-o", "-"), ("-o", "/dev/null"))


def test_after_each_five_places_the_socket_table_is_read() -> None:
    probes = [Probe(f"p{number}", "https://www.wikipedia.org", connect_ip=f"192.0.2.{number}") for number in range(10)]
    assert old_curl.probe_argv(probes, DEFAULT_LIMITS, MARK).count("file:///proc/net/tcp") == 2


@pytest.mark.parametrize(("probes", "unguessable"), [([PORTAL], False), ([PORTAL, ARTICLES], True)])
def test_only_where_a_body_is_read_a_report_has_a_name_that_cannot_be_guessed(probes: list[Probe], unguessable: bool) -> None:
    assert old_curl.mark(probes, "x1") == ("egressctl-x1" if unguessable else "egressctl")


@given(st.integers(1, 120))
def test_as_many_probes_as_fit_into_a_request_line_share_an_exec(count: int) -> None:
    probes = [Probe(f"p{number}", f"https://www.wikipedia.org/status/200?{number:040}") for number in range(count)]
    parts = old_curl.split_to_fit(probes, DEFAULT_LIMITS)
    assert [probe for part in parts for probe in part] == probes
    assert all(query_length(old_curl.probe_argv(part, DEFAULT_LIMITS, MARK)) <= LONGEST_QUERY for part in parts)


def test_companions_share_an_exec() -> None:
    words = old_curl.companion_argv([("192.0.2.1", 443), ("2001:db8::1", 80)], DEFAULT_LIMITS)
    assert [word for word in words if word.startswith("telnet:")] == ["telnet://192.0.2.1:443", "telnet://[2001:db8::1]:80"]
    assert words[words.index("--max-time") + 1] == "2"
    without_telnet = old_curl.companion_argv([("2001:db8::1", 80)], DEFAULT_LIMITS, curl.FTP)
    assert [word for word in without_telnet if "2001" in word] == ["ftp://[2001:db8::1]:80"]


@pytest.mark.parametrize(
    ("stderr", "old"),
    [
        ("", False),
        ("\negressctl 0\t0\t200\t\n", False),
        ("\negressctl 0\tcurl: unknown --write-out variable: 'exitcode'\n", True),
        ("curl: unknown --write-out variable: 'stderr'\n", True),
        ("curl: option --next: is unknown\ncurl: try 'curl --help' for more information\n", True),
        (RESET, False),
    ],
    ids=["nothing", "a new one", "7.63 to 7.74", "before 7.63", "before 7.36", "a failure"],
)
def test_an_old_curl_is_known_by_what_it_complains_of(stderr: str, old: bool) -> None:
    assert old_curl.is_old(stderr.encode()) is old


# What it writes


def test_a_good_report_is_exit_code_zero() -> None:
    outcome = heard(REPORT + END + TABLE)
    assert outcome is not None
    assert (outcome.curl_exit, outcome.error, outcome.http_status, outcome.local_port) == (0, "", 200, 40001)


@pytest.mark.parametrize("text", [RESET + REFUSED + END, REFUSED + RESET + END], ids=["before the report", "after it"])
def test_a_failure_is_the_one_that_stands_next_to_the_report(text: str) -> None:
    outcome = heard(text)
    assert outcome is not None
    assert (outcome.curl_exit, outcome.error) == (35, RESET.strip().removeprefix("curl: (35) "))


@pytest.mark.parametrize("before", [True, False])
def test_each_of_several_probes_has_its_own_failure(before: bool) -> None:
    failed = RESET + REFUSED if before else REFUSED + RESET
    stdout = REPORT + END + failed + END + REPORT + END + TABLE
    answer = old_curl.parse_probes([PORTAL] * 3, stdout.encode(), MARK)
    assert [each and each.curl_exit for each in answer.outcomes] == [0, 35, 0]
    assert answer.table == TABLE


def test_of_a_failure_with_advice_the_first_line_is_kept() -> None:
    advice = "curl: (60) SSL certificate problem: certificate has expired\nMore details here: https://x\n\ncurl x\n"
    outcome = heard(REFUSED + advice + END)
    assert outcome is not None
    assert (outcome.curl_exit, outcome.error) == (60, "SSL certificate problem: certificate has expired")


def test_that_there_is_no_socket_table_of_ipv6_is_no_failure_of_the_next_probe() -> None:
    probes = [Probe(f"p{number}", "https://www.wikipedia.org", connect_ip=f"192.0.2.{number}") for number in range(6)]
    stdout = (REPORT + END) * 5 + TABLE + NO_TCP6 + REPORT + END + TABLE + NO_TCP6
    answer = old_curl.parse_probes(probes, stdout.encode(), MARK)
    assert [each and each.curl_exit for each in answer.outcomes] == [0] * 6
    assert {answer.table, *answer.earlier.values()} == {TABLE + NO_TCP6}


@pytest.mark.parametrize("before", [True, False])
def test_a_body_is_cut_off_by_its_size_and_its_words_are_no_failure(before: bool) -> None:
    body = "curl: (60) not mine\n7,012 articles" + END.replace(MARK, "egressctl")
    report = REPORT.replace("\t5\t1\t", f"\t{len(body)}\t1\t").replace("\t200\t", "\t404\t")
    broken = "curl: (18) transfer closed with outstanding read data remaining\n"
    stdout = body + (broken + report if before else report + broken) + END + TABLE
    answer = old_curl.parse_probes([ARTICLES], stdout.encode(), MARK)
    assert answer.bodies == {0: body.encode()}
    assert [each and each.curl_exit for each in answer.outcomes] == [18]
    assert answer.table == TABLE


def test_no_body_can_pass_for_a_report_or_a_socket_table() -> None:
    """A server knows how a report looks, and not by which name it goes in this exec."""
    forged = (REPORT + END).replace(MARK, "egressctl") + TABLE
    report = REPORT.replace("\t5\t1\t", f"\t{len(forged)}\t1\t").replace("40001", "40002")
    answer = old_curl.parse_probes([ARTICLES], (forged + report + END).encode(), MARK)
    assert [each and each.local_port for each in answer.outcomes] == [40002]
    assert answer.table == ""


@pytest.mark.parametrize(
    "text",
    [
        "",
        RESET,
        REPORT,
        REFUSED + RESET,
        REPORT + REPORT,
        REFUSED + RESET + "curl: (28) Operation timed out\n" + END,
        END + END,
        REPORT.replace(MARK, "egressctl") + END,
        REPORT + END[:-20],
        REPORT.replace("\t5\t1\t", "\t-1\t1\t") + END,
    ],
    ids=["nothing", "no report", "no end", "no end after a failure", "a report for an end", "two failures", "no report but ends",
         "another name", "cut", "no size"],
)  # fmt: skip
def test_what_is_not_certain_is_no_outcome(text: str) -> None:
    assert heard(text) is None


def test_what_comes_before_a_loss_is_kept() -> None:
    stdout = (REPORT + END + REFUSED + RESET).encode()
    answer = old_curl.parse_probes([PORTAL, PORTAL], stdout, MARK)
    assert [each and each.curl_exit for each in answer.outcomes] == [0, None]
    assert answer.table == ""


def test_a_table_behind_which_all_is_lost_may_be_cut_and_has_no_last_line() -> None:
    probes = [Probe(f"p{number}", "https://www.wikipedia.org", connect_ip=f"192.0.2.{number}") for number in range(6)]
    answer = old_curl.parse_probes(probes, ((REPORT + END) * 5 + TABLE).encode(), MARK)
    assert answer.earlier[0] == TABLE.removesuffix("\n")
    assert [each is None for each in answer.outcomes] == [False] * 5 + [True]


def test_a_companion_is_read_the_same_way() -> None:
    stdout = (REFUSED + "curl: (28) Time-out\n" + END + TABLE).replace(MARK, "egressctl")
    answer = old_curl.parse_companion([("208.80.154.224", 443)], stdout.encode())
    assert [each and (each.curl_exit, each.remote_ip) for each in answer.outcomes] == [(28, "208.80.154.224")]
    assert answer.table == TABLE


@given(
    st.binary() | st.lists(st.sampled_from([REPORT, REFUSED, END, RESET, TABLE, "x"])).map(lambda parts: "".join(parts).encode())
)
def test_whatever_it_writes_reading_it_never_fails(stdout: bytes) -> None:
    probes = [PORTAL, ARTICLES, DERIVED]
    assert len(old_curl.parse_probes(probes, stdout, MARK).outcomes) == 3
    assert len(old_curl.parse_companion([("192.0.2.1", 443)] * 2, stdout).outcomes) == 2
    assert isinstance(old_curl.parse_probes(probes, stdout, MARK), curl.ExecOutput)
