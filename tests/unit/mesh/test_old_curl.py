"""What a curl from before 7.75 is asked, and what becomes of its report."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egressctl.mesh import curl, old_curl
from egressctl.mesh.curl import DEFAULT_LIMITS, companion_argv, parse_companion, parse_probes, probe_argv
from egressctl.model.evidence import CurlOutcome
from egressctl.model.probe import Probe

PORTAL = Probe("portal", "https://www.wikipedia.org")
MIDDLE = "200\t000\t208.80.154.224\t443\t10.244.0.5\t40001\t5\t1\t0.001\t0.002\t0.010\t0.020"
REPORT = f"\negressctl 0\t\t{MIDDLE}\t\n"
REFUSED = REPORT.replace("200\t000", "000\t000")
RESET = "curl: (35) OpenSSL SSL_connect: SSL_ERROR_SYSCALL in connection to www.wikipedia.org:443"
COMPLAINT = "curl: unknown --write-out variable: 'exitcode'\n"


def heard(stderr: str, *, ended: bool = True) -> CurlOutcome | None:
    return parse_probes([PORTAL], b"", old_curl.complete_report(stderr.encode(), ended=ended)).outcomes[0]


def test_what_an_old_curl_does_not_know_is_left_out_and_nothing_else() -> None:
    new, old = probe_argv([PORTAL], DEFAULT_LIMITS), old_curl.old_curl_argv(probe_argv([PORTAL], DEFAULT_LIMITS))
    assert [(one, other) for one, other in zip(new, old, strict=True) if one != other] == [
        (word, word.replace("%{exitcode}", "").replace("%{errormsg}", "")) for word in new if word.startswith("%{stderr}")
    ]
    assert not [
        word for word in old_curl.old_curl_argv(companion_argv([("192.0.2.1", 443)], DEFAULT_LIMITS)) if "exitcode" in word
    ]


@pytest.mark.parametrize(
    ("stderr", "old", "too_old"),
    [
        ("", False, False),
        (REPORT.replace("\t\t", "\t0\t"), False, False),
        (f"\negressctl 0\t{COMPLAINT}\t{MIDDLE}\t{COMPLAINT.replace('exitcode', 'errormsg')}\n", True, False),
        (COMPLAINT.replace("exitcode", "stderr"), True, True),
        ("curl: option --next: is unknown\ncurl: try 'curl --help' for more information\n", False, True),
        (f"{RESET}\n", False, False),
    ],
    ids=["nothing", "a new one", "7.63 to 7.74", "before 7.63", "before 7.36", "a failure"],
)
def test_an_old_curl_is_known_by_what_it_complains_of(stderr: str, old: bool, too_old: bool) -> None:
    assert (old_curl.is_old(stderr.encode()), old_curl.is_too_old(stderr.encode())) == (old, too_old)


def test_a_good_report_is_exit_code_zero() -> None:
    outcome = heard(REPORT)
    assert outcome is not None
    assert (outcome.curl_exit, outcome.error, outcome.http_status, outcome.local_port) == (0, "", 200, 40001)


@pytest.mark.parametrize("text", [f"{RESET}\n{REFUSED}", f"{REFUSED}{RESET}\n"], ids=["before the report", "after it"])
def test_a_failure_is_the_one_that_curl_tells_beside_the_report(text: str) -> None:
    outcome = heard(text)
    assert outcome is not None
    assert (outcome.curl_exit, outcome.error) == (35, RESET.removeprefix("curl: (35) "))


def test_of_a_failure_with_advice_the_first_line_is_kept() -> None:
    outcome = heard(
        f"{REFUSED}curl: (60) SSL certificate problem: certificate has expired\nMore details here: https://x\n\ncurl x\n"
    )
    assert outcome is not None
    assert (outcome.curl_exit, outcome.error) == (60, "SSL certificate problem: certificate has expired")


def test_that_there_is_no_socket_table_of_ipv6_is_no_failure_of_the_probe() -> None:
    outcome = heard(f"{REPORT}curl: (37) Couldn't open file /proc/net/tcp6\n")
    assert outcome is not None
    assert outcome.curl_exit == 0


@pytest.mark.parametrize(
    ("text", "ended"),
    [
        (REPORT, False),
        ("", True),
        (f"{RESET}\n", True),
        (REPORT + REPORT, True),
        (f"{REFUSED}{RESET}\ncurl: (28) Operation timed out\n", True),
        (f"\negressctl 0\t{COMPLAINT}\t{MIDDLE}\t\n", True),
        (REPORT.replace("egressctl 0", "egressctl 1"), True),
        (REPORT[:-20], True),
    ],
    ids=["its end was lost", "nothing", "no report", "two reports", "two failures", "still not known", "another", "cut"],
)
def test_what_is_not_certain_is_no_outcome(text: str, ended: bool) -> None:
    assert heard(text, ended=ended) is None


def test_a_companion_is_read_the_same_way() -> None:
    stderr = old_curl.complete_report(f"{REFUSED}curl: (28) Operation timed out\n".encode(), ended=True)
    [outcome] = parse_companion([("208.80.154.224", 443)], b"", stderr).outcomes
    assert outcome is not None
    assert (outcome.curl_exit, outcome.remote_ip) == (28, "208.80.154.224")


@given(st.binary(), st.booleans())
def test_whatever_it_writes_reading_it_never_fails(stderr: bytes, ended: bool) -> None:
    curl.parse_probes([PORTAL], b"", old_curl.complete_report(stderr, ended=ended))
