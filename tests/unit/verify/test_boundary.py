"""The other half of the proof: which address is asked beside an entry, and what the answer says of it."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egressctl.envoy.config import BLACKHOLE, PASSTHROUGH
from egressctl.errors import InvalidInput
from egressctl.manifests.service_entry import read_entry
from egressctl.mesh.curl import TransferLimits, probe_argv, split_into_execs
from egressctl.model.blocks import parse_block
from egressctl.model.cause import CauseCode
from egressctl.model.entry import Manifest
from egressctl.model.evidence import Capture, Counts, CurlOutcome, Evidence, Owner, Ownership, Source, Walk
from egressctl.model.probe import Expectation, Probe, Verdict
from egressctl.model.result import ProbeResult, TargetResult
from egressctl.verify.boundary import (
    OTHER_NAME,
    _boundary_probes,
    _BoundaryProbe,
    _judge_boundary,
    first_address_outside,
    refuse_listed_address,
)
from egressctl.verify.causes import Case
from egressctl.verify.select import VerifyTarget
from egressctl.verify.verdict import judge

IP, OUTSIDE = "208.80.154.230", "208.80.155.0"
OWN = "outbound|443||wikipedia.org"
SOURCE = Source("default", "sleep", "sleep", "istio-proxy")
PORTAL = Probe("portal", "https://www.wikipedia.org", extract={"articles": "(a)"})
ANSWER = CurlOutcome(0, "", 200, IP, 443, "10.244.0.5", 40000)
CUT = replace(ANSWER, curl_exit=35, http_status=0, error="Recv failure: Connection reset by peer")
POLICY = Walk("virtualOutbound", "virtualOutbound-catchall-tcp", BLACKHOLE)
WAY = Walk("0.0.0.0_443", "", OWN, "208.80.154.224/27")
MINE = Owner(Ownership.OWNED, "it is")


def manifest(*addresses: str, protocol: str = "TCP") -> Manifest:
    spec = {
        "hosts": ["wikipedia.org"],
        "addresses": list(addresses),
        "ports": [{"number": 443, "name": "a", "protocol": protocol}],
    }
    return {"metadata": {"name": "wikipedia-ext", "namespace": "default"}, "spec": spec}


def wanted(entry: Manifest | None) -> VerifyTarget:
    return VerifyTarget("wikipedia", "default", "wikipedia-ext", entry, (PORTAL,))


def opened(verdict: Verdict = Verdict.OPEN) -> TargetResult:
    evidence = Evidence(Capture.CAPTURED, walk=WAY, owner=MINE, counted=True)
    shown = ProbeResult(PORTAL, SOURCE, verdict, verdict is Verdict.OPEN, None, ANSWER, evidence)
    return TargetResult("wikipedia", "default", ("wikipedia-ext",), (shown,))


# Which address


@pytest.mark.parametrize(
    ("ip", "prefix", "blocks", "expected"),
    [
        (IP, "208.80.154.224/27", (), "208.80.155.0"),
        (IP, "208.80.154.224/27", ("208.80.155.0/24",), "208.80.156.0"),
        (IP, "208.80.154.224/27", ("208.80.156.0/24", "208.80.155.0/24", "208.80.154.0/23"), "208.80.157.0"),
        (IP, "", (), "208.80.154.231"),
        (IP, "0.0.0.0/0", ("0.0.0.0/0",), "208.80.154.231"),
        ("9.255.255.255", "9.0.0.0/8", (), "11.0.0.0"),
        ("223.255.255.255", "", (), "1.0.0.0"),
        ("2620:0:860::1", "2620:0:860::/46", (), "2620:0:864::"),
        ("3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "", (), "2000::"),
        ("nonsense", "", (), ""),
        ("1.1.1.1", "", ("0.0.0.0/1", "128.0.0.0/1"), ""),
    ],
)
def test_the_first_public_address_after_the_block_that_no_entry_lists(
    ip: str, prefix: str, blocks: tuple[str, ...], expected: str
) -> None:
    found = [block for each in blocks if (block := parse_block(each))]
    assert first_address_outside(ip, prefix, found) == expected


BLOCKS = st.lists(
    st.ip_addresses(v=4).flatmap(lambda ip: st.integers(1, 32).map(lambda bits: parse_block(f"{ip}/{bits}"))), max_size=8
)


@given(st.ip_addresses(v=4), BLOCKS)
def test_whatever_the_blocks_it_is_public_and_in_none_of_them(ip: object, blocks: list[object]) -> None:
    networks = [block for each in blocks if (block := parse_block(str(each)))]
    found = first_address_outside(str(ip), "", networks)
    if found:
        assert ip_address(found).is_global
        assert all(ip_address(found) not in block for block in networks)
        assert found != str(ip)


# What is asked


def test_a_tcp_entry_is_asked_for_another_address_under_the_same_name() -> None:
    (asked,) = _boundary_probes(wanted(manifest("208.80.154.224/27")), opened(), [], "")
    assert asked.probe == Probe(
        "portal, around: address", PORTAL.url, Expectation(Verdict.BLOCKED, status=None), connect_ip=OUTSIDE
    )


def test_a_tls_entry_is_asked_for_another_name_at_the_same_address_too() -> None:
    _, asked = _boundary_probes(wanted(manifest("208.80.154.224/27", protocol="TLS")), opened(), [], "")
    assert (asked.probe.name, asked.probe.url, asked.probe.connect_ip) == ("portal, around: name", f"https://{OTHER_NAME}", IP)
    assert asked.probe.speech.server_name == OTHER_NAME


def test_an_entry_that_is_about_names_alone_is_asked_for_another_name_alone() -> None:
    (asked,) = _boundary_probes(wanted(manifest(protocol="TLS")), opened(), [], OUTSIDE)
    assert asked.name == OTHER_NAME
    assert [each.name for each in _boundary_probes(wanted(manifest()), opened(), [], OUTSIDE)] == [""]


def test_an_address_may_be_chosen() -> None:
    (asked,) = _boundary_probes(wanted(manifest("208.80.154.224/27")), opened(), [], "192.0.2.1")
    assert asked.probe.connect_ip == "192.0.2.1"


def test_an_address_that_the_entry_lists_is_refused() -> None:
    refuse_listed_address([wanted(manifest("208.80.154.224/27")), wanted(None)], OUTSIDE)
    refuse_listed_address([wanted(manifest())], IP)
    with pytest.raises(InvalidInput, match="default/wikipedia-ext lists it"):
        refuse_listed_address([wanted(manifest("208.80.154.224/27"))], IP)


def test_nothing_is_asked_beside_a_probe_that_was_not_open() -> None:
    assert list(_boundary_probes(wanted(manifest("208.80.154.224/27")), opened(Verdict.BYPASSED), [], "")) == []


def test_curl_connects_to_the_address_and_speaks_as_the_url_says() -> None:
    probe = replace(PORTAL, extract={}, connect_ip=OUTSIDE)
    argv = probe_argv([probe], TransferLimits())
    place = argv.index("--connect-to")
    assert argv[place : place + 3] == ("--connect-to", f"::{OUTSIDE}:", PORTAL.url)
    assert "::[2620:0:864::]:" in probe_argv([replace(probe, connect_ip="2620:0:864::")], TransferLimits())
    assert "--connect-to" not in probe_argv([PORTAL], TransferLimits())


def test_two_addresses_of_one_host_are_two_places_and_one_address_of_two_hosts_is_one() -> None:
    one, two = (replace(PORTAL, extract={}, connect_ip=f"192.0.2.{last}") for last in (1, 2))
    assert len(split_into_execs(enumerate([one, two]))) == 1
    assert len(split_into_execs(enumerate([one, replace(one, url="https://other.example")]))) == 2


# What it says


def told(outcome: CurlOutcome, evidence: Evidence, entry: Manifest | None, *, name: str = "") -> ProbeResult:
    url = f"https://{name}" if name else PORTAL.url
    asked = _BoundaryProbe(Probe("around", url, Expectation(Verdict.BLOCKED, status=None), connect_ip=OUTSIDE), name)
    found = read_entry(entry) if entry else None
    at = Case(asked.probe, SOURCE, replace(outcome, remote_ip=OUTSIDE), evidence, "wikipedia-ext", found)
    return _judge_boundary(judge(at), asked, found)


REFUSED = Evidence(Capture.CAPTURED, True, POLICY, policy="REGISTRY_ONLY")
LET_OUT = Evidence(Capture.CAPTURED, walk=replace(POLICY, envoy_cluster=PASSTHROUGH), policy="ALLOW_ANY")
THROUGH = Evidence(Capture.CAPTURED, walk=replace(WAY, prefix=""), owner=MINE, counted=True, policy="REGISTRY_ONLY")


def test_what_is_refused_is_as_it_is_to_be() -> None:
    found = told(CUT, REFUSED, manifest("208.80.154.224/27"))
    assert (found.verdict, found.held) == (Verdict.BLOCKED, True)
    assert found.cause is not None
    assert found.cause.message == f"{OUTSIDE}:443 is not what default/wikipedia-ext lists, and the mesh refused it"


def test_under_allow_any_it_is_let_out_and_that_is_told() -> None:
    for outcome in (ANSWER, replace(ANSWER, curl_exit=60, error="SSL: no alternative certificate subject name")):
        found = told(outcome, LET_OUT, manifest("208.80.154.224/27"))
        assert found.held
        assert found.cause is not None
        assert (found.verdict is Verdict.BLOCKED, found.cause.code) == (False, CauseCode.PASSTHROUGH)


def test_an_entry_that_takes_the_whole_port_fails_the_expectation() -> None:
    for entry in (manifest(), manifest("0.0.0.0/0", "208.80.154.224/27")):
        found = told(ANSWER, THROUGH, entry)
        assert (found.verdict, found.held) == (Verdict.OPEN, False)
        assert found.cause is not None
        assert found.cause.message.startswith("default/wikipedia-ext takes the whole port 443")


def test_what_is_let_out_and_fails_beyond_the_mesh_is_not_closed() -> None:
    certificate = replace(ANSWER, curl_exit=60, http_status=0, error="SSL certificate problem")
    found = told(certificate, replace(THROUGH, counts=Counts(opened=1)), manifest())
    assert (found.verdict, found.held) == (Verdict.FAILED, False)
    assert found.cause is not None
    assert "takes the whole port 443" in found.cause.message


def test_another_entry_that_carries_it_is_told() -> None:
    other = Owner(Ownership.OTHERS, "it is the Envoy cluster of other/any")
    found = told(ANSWER, replace(THROUGH, owner=other), manifest("208.80.154.224/27"))
    assert (found.verdict, found.held) == (Verdict.BYPASSED, False)
    assert found.cause is not None
    assert f"and {OWN} let it out" in found.cause.message


def test_another_name_that_is_let_out_is_told() -> None:
    found = told(ANSWER, THROUGH, manifest("208.80.154.224/27", protocol="TLS"), name=OTHER_NAME)
    assert found.cause is not None
    assert (found.held, found.cause.code) == (False, CauseCode.HOST_NOT_LISTED)
    assert f"server name {OTHER_NAME} at {OUTSIDE}:443" in found.cause.message


@pytest.mark.parametrize("policy", ["REGISTRY_ONLY", "ALLOW_ANY"])
def test_what_the_sidecar_never_had_says_nothing_of_the_policy(policy: str) -> None:
    found = told(ANSWER, replace(LET_OUT, capture=Capture.NOT_CAPTURED, policy=policy), manifest("208.80.154.224/27"))
    assert found.cause is not None
    assert (found.held, found.cause.code) == (False, CauseCode.NOT_CAPTURED)
