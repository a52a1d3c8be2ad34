from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

import recordings
from egressctl.mesh.socket_table import capture_in_table
from egressctl.model.evidence import Capture

POD, SITE = "10.244.0.5", "208.80.154.224"
ESTABLISHED, SYN_SENT, FIN_WAIT1, TIME_WAIT, CLOSE_WAIT, LISTEN = 0x01, 0x02, 0x04, 0x06, 0x08, 0x0A
HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode".ljust(149) + "\n"
HEAD6 = "  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"  # fmt: skip  # noqa: E501


@dataclass(frozen=True)
class Row:
    local: str
    local_port: int
    remote: str
    remote_port: int
    state: int = ESTABLISHED


def end(ip: str, port: int) -> str:
    raw = ip_address(ip).packed
    return "".join(raw[i : i + 4][::-1].hex().upper() for i in range(0, len(raw), 4)) + f":{port:04X}"


def line(slot: int, row: Row) -> str:
    rest = "00000000:00000000 02:0000176B 00000000  1337        0 1471762 3 00000000048b0272 20 4 29 13 -1"
    return f"{slot:4d}: {end(row.local, row.local_port)} {end(row.remote, row.remote_port)} {row.state:02X} {rest}"


def table(*rows: Row) -> str:
    """Write rows as the kernel does: IPv4 ones, padded, then IPv6 ones, each numbered from 0."""
    four = [row for row in rows if ":" not in row.local]
    six = [row for row in rows if ":" in row.local]
    first = "".join(f"{line(slot, row):149}\n" for slot, row in enumerate(four))
    return HEAD + first + HEAD6 + "".join(f"{line(slot, row)}\n" for slot, row in enumerate(six))


def ask(text: str, local_port: int = 56754) -> Capture:
    return capture_in_table(text, local_ip=POD, local_port=local_port, remote_ip=SITE, remote_port=443)


OWN = Row(POD, 56754, SITE, 443)
SIDECAR = Row("127.0.0.1", 15001, POD, 56754)
LISTENER = Row("0.0.0.0", 15001, "0.0.0.0", 0, LISTEN)
OUTWARDS = Row(POD, 56760, SITE, 443)


def state(row: Row, value: int) -> Row:
    return Row(row.local, row.local_port, row.remote, row.remote_port, value)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("open", Capture.CAPTURED),
        ("passthrough", Capture.CAPTURED),
        ("not-captured", Capture.NOT_CAPTURED),
        ("blocked", Capture.UNKNOWN),
    ],
)
def test_recorded_tables(name: str, expected: Capture) -> None:
    report, _, text = recordings.socket_table(name).partition("\n")
    _, _, _, remote_ip, remote_port, local_ip, local_port, *_ = report.split("\t")
    found = capture_in_table(
        text, local_ip=local_ip, local_port=int(local_port), remote_ip=remote_ip, remote_port=int(remote_port)
    )
    assert found is expected


def test_the_companion_of_a_blocked_probe_leaves_the_sidecars_end() -> None:
    assert ask(recordings.socket_table("blocked-companion"), 56780) is Capture.CAPTURED


def test_a_connection_that_its_client_closed_first_proves_nothing() -> None:
    # In `blocked`, port 56754 is left of the probe of `open`: it was captured, and the sidecar's end is gone.
    _, _, text = recordings.socket_table("blocked").partition("\n")
    assert ask(text, 56754) is Capture.UNKNOWN


def test_the_sidecars_end_shows_a_captured_connection() -> None:
    assert ask(table(LISTENER, OUTWARDS, SIDECAR, OWN)) is Capture.CAPTURED


@pytest.mark.parametrize("loopback", ["::ffff:127.0.0.1", "::1"])
def test_the_sidecars_end_may_be_written_as_ipv6(loopback: str) -> None:
    assert ask(table(OWN, Row(loopback, 15001, f"::ffff:{POD}", 56754))) is Capture.CAPTURED


def test_an_ipv6_connection_is_found_as_well() -> None:
    own, sidecar = Row("fd00::5", 40000, "2620:0:861:ed1a::1", 443), Row("::1", 15001, "fd00::5", 40000)
    arguments = {"local_ip": "fd00::5", "local_port": 40000, "remote_ip": "2620:0:861:ED1A::1", "remote_port": 443}
    assert capture_in_table(table(own, sidecar), **arguments) is Capture.CAPTURED
    assert capture_in_table(table(own), **arguments) is Capture.NOT_CAPTURED


@pytest.mark.parametrize(
    "other",
    [
        Row("127.0.0.1", 15001, POD, 56755),
        Row("127.0.0.1", 15001, "10.244.0.6", 56754),
        Row("127.0.0.1", 15006, POD, 56754),
        Row(POD, 15001, POD, 56754),
        Row("127.0.0.1", 15001, POD, 56754, LISTEN),
        Row("127.0.0.1", 15001, POD, 56754, TIME_WAIT),
    ],
)
def test_no_other_row_passes_for_the_sidecars_end_of_a_held_connection(other: Row) -> None:
    assert ask(table(LISTENER, other, OWN)) is not Capture.CAPTURED


def test_a_held_connection_without_another_end_was_not_captured() -> None:
    assert ask(table(LISTENER, OWN, Row("127.0.0.1", 15002, "127.0.0.1", 56754))) is Capture.NOT_CAPTURED
    assert ask(table(LISTENER, state(OWN, CLOSE_WAIT))) is Capture.NOT_CAPTURED


@pytest.mark.parametrize("value", [SYN_SENT, FIN_WAIT1, TIME_WAIT])
def test_a_connection_that_is_not_alive_never_shows_that_it_was_not_captured(value: int) -> None:
    assert ask(table(LISTENER, state(OWN, value))) is Capture.UNKNOWN


@pytest.mark.parametrize("own", [None, FIN_WAIT1, TIME_WAIT, CLOSE_WAIT])
def test_once_the_connection_closes_a_waiting_end_of_the_sidecar_counts(own: int | None) -> None:
    rows = [state(SIDECAR, TIME_WAIT), *([] if own is None else [state(OWN, own)])]
    assert ask(table(*rows)) is Capture.CAPTURED


@pytest.mark.parametrize(
    "other_end", [Row(SITE, 443, POD, 56754), Row("127.0.0.1", 16001, POD, 56754), state(SIDECAR, TIME_WAIT)]
)
def test_another_end_that_is_not_understood_leaves_it_open(other_end: Row) -> None:
    assert ask(table(LISTENER, OWN, other_end)) is Capture.UNKNOWN


def test_a_sidecars_end_that_may_be_another_connections_proves_nothing() -> None:
    elsewhere = Row(POD, 56754, "203.0.113.10", 443)
    assert ask(table(OWN, elsewhere, SIDECAR)) is Capture.UNKNOWN
    assert ask(table(OWN, state(elsewhere, TIME_WAIT), SIDECAR)) is Capture.CAPTURED, "which is over, and has no end any more"
    assert ask(table(state(elsewhere, TIME_WAIT), state(SIDECAR, TIME_WAIT))) is Capture.UNKNOWN


def test_an_end_of_the_sidecar_that_belongs_to_nobody_may_be_this_connections() -> None:
    # The kernel gives a redirected connection another port where the conntrack table still knows its own.
    stray = Row("127.0.0.1", 15001, POD, 61000)
    assert ask(table(OWN, stray)) is Capture.UNKNOWN
    assert ask(table(OWN, stray, Row(POD, 61000, SITE, 443))) is Capture.NOT_CAPTURED
    assert ask(table(OWN, Row("127.0.0.1", 15001, "10.244.0.6", 61000))) is Capture.NOT_CAPTURED, "which is another address's"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: "",
        lambda text: text.replace(HEAD6, ""),
        lambda text: text[len(HEAD) :],
        lambda text: text.removesuffix("\n"),
        lambda text: text.replace("   1: ", "   2: "),
        lambda text: text + "curl: (23) failed\n",
        lambda text: text.replace(HEAD6, "not a row\n" + HEAD6),
        lambda text: text + HEAD,
    ],
)
def test_a_table_that_is_not_whole_never_shows_that_it_was_not_captured(spoil: object) -> None:
    assert callable(spoil)
    whole = table(LISTENER, OUTWARDS, OWN)
    assert ask(whole) is Capture.NOT_CAPTURED
    assert ask(spoil(whole)) is Capture.UNKNOWN


@pytest.mark.parametrize(
    "change",
    [
        {"local_ip": ""},
        {"remote_ip": "www.wikipedia.org"},
        {"local_ip": "127.0.0.1"},
        {"remote_ip": "127.0.0.1"},
        {"remote_ip": "::1"},
    ],
)
def test_addresses_that_are_none_or_loopback_are_not_judged(change: dict[str, str]) -> None:
    where = {"local_ip": POD, "remote_ip": SITE} | change
    rows = table(LISTENER, OWN, SIDECAR, Row("127.0.0.1", 15001, "127.0.0.1", 56754))
    assert capture_in_table(rows, local_port=56754, remote_port=443, **where) is Capture.UNKNOWN


def rows_of_others() -> st.SearchStrategy[Row]:
    """Rows of connections that have nothing to do with the probe's, each end of the sidecar with the other end."""
    ports = st.integers(1024, 56000)
    sites = st.sampled_from(["203.0.113.10", "198.51.100.7", SITE])
    states = st.sampled_from([ESTABLISHED, TIME_WAIT, CLOSE_WAIT, FIN_WAIT1])
    return st.builds(Row, st.just(POD), ports, sites, st.sampled_from([443, 8443]), states)


@given(st.lists(rows_of_others(), max_size=6, unique_by=lambda row: row.local_port), st.booleans(), st.randoms())
def test_whatever_else_the_pod_does_the_row_decides(others: list[Row], redirected: bool, random: object) -> None:
    ends = [Row("127.0.0.1", 15001, row.local, row.local_port, row.state) for row in others]
    rows = [LISTENER, OWN, *others, *ends, *([SIDECAR] if redirected else [])]
    random.shuffle(rows)  # type: ignore[attr-defined]
    assert ask(table(*rows)) is (Capture.CAPTURED if redirected else Capture.NOT_CAPTURED)


@given(st.lists(rows_of_others(), max_size=3), st.data())
def test_a_table_cut_anywhere_never_denies_a_capture(others: list[Row], data: st.DataObject) -> None:
    text = table(LISTENER, *others, SIDECAR, OWN, Row("::", 15020, "::", 0, LISTEN))
    cut = text[: data.draw(st.integers(0, len(text)))]
    assert ask(cut) is not Capture.NOT_CAPTURED


ENDS = [end("127.0.0.1", 15001), end(POD, 56754), end(SITE, 443)]
PIECES = st.sampled_from([HEAD, HEAD6, "\n", line(0, OWN), line(1, SIDECAR), *ENDS, " 01 ", "   0: ", "\t"])


@given(st.lists(PIECES | st.text(max_size=5), max_size=12).map("".join))
def test_garbage_is_unknown_unless_the_row_is_in_it(text: str) -> None:
    found = ask(text)
    sidecars_end = re.escape(f"{end('127.0.0.1', 15001)} {end(POD, 56754)}")
    if found is Capture.CAPTURED:
        assert re.search(sidecars_end, text)
    if found is Capture.NOT_CAPTURED:
        assert f"{end(POD, 56754)} {end(SITE, 443)}" in text
        assert not re.search(sidecars_end, text)
