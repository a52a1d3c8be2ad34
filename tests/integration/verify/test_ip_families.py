"""IPv6 and dual stack: each family that an entry lists is proved, and what keeps one from the sidecar is named.

A proxy that says two families (INSTANCE_IPS) gets listeners for both from an istiod with ISTIO_DUAL_STACK. `dual_lab` is the
lab's own imitation of that, `half` an istiod without it, where Istio's iptables leave the second family alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli import Cli, Ran, entry, put_right, sidecar_leads_to
from cluster.binaries import Binaries
from cluster.cluster import RealCluster
from cluster.istiod import Istiod
from egressctl.lab import control
from egressctl.lab.dataplane.exclusions import parse_exclusions
from egressctl.lab.state import locate
from labs import Lab, eventually

PLACES = ("dual", "dual_lab")
pytestmark = pytest.mark.mesh
IPV4, IPV6 = "208.80.154.224", "2620:0:861:ed1a::1"
BLOCKS = ("208.80.154.224/27", "2620:0:861:ed1a::/64")
WWW, LITERAL = "https://www.wikipedia.org", f"http://[{IPV6}]/"
ALL_FOUR = ["captured", "static", "owned", "counted"]


@pytest.fixture(scope="session")
def lab_of_dual(lab_home: Path, tmp_path_factory: pytest.TempPathFactory, programs: Binaries) -> Iterator[Lab]:
    with (
        RealCluster(tmp_path_factory.mktemp("dual"), programs) as real,
        Istiod(real, locate("dual"), {"ISTIO_DUAL_STACK": "true"}) as istiod,
        real.data_plane("dual", istiod, ipv6=True) as running,
    ):
        yield running


@pytest.fixture(scope="session")
def lab_of_dual_lab(lab_home: Path) -> Iterator[Lab]:
    yield Lab(control.up("six", ipv6=True))
    control.down("six")


@pytest.fixture(scope="module")
def half(lab_home: Path, tmp_path_factory: pytest.TempPathFactory, programs: Binaries) -> Iterator[Lab]:
    with (
        RealCluster(tmp_path_factory.mktemp("half"), programs) as real,
        Istiod(real, locate("half")) as istiod,
        real.data_plane("half", istiod, ipv6=True, excluded=parse_exclusions("::/0", "")) as running,
    ):
        yield running


def target(name: str, *addresses: str, port: int, protocol: str, url: str, **spec: Any) -> str:
    service_entry = {
        "hosts": ["wikipedia.org"],
        **({"addresses": list(addresses)} if addresses else {}),
        "ports": [{"number": port, "name": f"{protocol.lower()}-port", "protocol": protocol}],
        "location": "MESH_EXTERNAL",
        "resolution": "NONE",
        **spec,
    }
    made = {"serviceEntry": service_entry, "probes": [{"name": "portal", "url": url}]}
    return yaml.safe_dump(
        {"apiVersion": "egressctl.dev/v1alpha1", "kind": "EgressTarget", "metadata": {"name": name}, "spec": made}
    )


def closed_by(ran: Ran) -> list[str]:
    """Return the verdicts of the probes that a cleanup sent, which has succeeded."""
    assert ran.code == 0, ran.stdout
    return [each["verdict"] for each in ran.report["targets"][0]["closure"]["probes"]]


@pytest.mark.parametrize(
    ("protocol", "address"),
    [
        ("TCP", BLOCKS[1]),
        ("TCP", IPV6),
        ("TCP", "2620::/16"),
        ("TCP", "::/0"),
        ("TCP", "0.0.0.0/0"),
        ("HTTP", IPV6),
        ("HTTP", BLOCKS[1]),
    ],
)
def test_an_entry_of_ipv6_is_open_refused_without_it_and_closed_after_it(cli: Cli, protocol: str, address: str) -> None:
    file = cli.file(target("six", address, port=80, protocol=protocol, url=LITERAL))
    before = cli("verify", LITERAL, "-o", "json")
    assert (before.code, before.judged) == (1, [("blocked", "blackhole")])
    assert cli("create", "-f", file, "--yes", *(["--any-address"] if address.endswith("/0") else [])).code == 0
    found = cli("verify", "-o", "json")
    if (protocol, address) == ("HTTP", BLOCKS[1]):
        # Over HTTP it is the authority that decides, and this one is no host and no address of the entry.
        assert found.judged[0][0] == "blocked"
        return
    assert (found.code, found.judged) == (0, [("open", None)]), found.stdout
    [probe] = found.probes
    assert probe["outcome"]["remoteIp"] == IPV6
    assert probe["evidence"]["methods"] == ALL_FOUR
    assert cli("explain", LITERAL, "-o", "json").code == 0
    assert closed_by(cli("cleanup", "-o", "json")) == ["blocked"]


def test_a_target_of_both_families_is_proved_over_both_and_closed_for_both(cli: Cli) -> None:
    file = cli.file(target("both", *BLOCKS, port=443, protocol="TCP", url=WWW))
    assert cli("create", "-f", file).code == 0
    assert "the pod has IPv4 and IPv6, and its sidecar listens for both" in cli("doctor").stdout
    found = cli("verify", "--around", "-o", "json")
    assert found.code == 0, found.stdout
    told = [(each["name"], each["verdict"], each["outcome"]["remoteIp"]) for each in found.probes]
    assert told[:2] == [("portal", "open", IPV4), ("portal, IPv6", "open", IPV6)]
    assert [each["evidence"]["methods"] for each in found.probes[:2]] == [ALL_FOUR, ALL_FOUR]
    assert [each["evidence"]["filterChain"] or each["evidence"]["prefix"] for each in found.probes[:2]]
    assert [(name, verdict) for name, verdict, _ in told[2:]] == [
        ("portal, around: address", "blocked"),
        ("portal, IPv6, around: address", "blocked"),
    ]
    assert closed_by(cli("cleanup", "-o", "json")) == ["blocked", "blocked"]


@pytest.mark.parametrize("url", [LITERAL, "http://[2001:db8:f::10]:8080/"])
def test_a_url_of_an_address_is_opened_proved_and_closed_as_it_is_typed(cli: Cli, url: str) -> None:
    ran = cli("run", url, "-o", "json")
    assert (ran.code, ran.judged) == (0, [("open", None)]), ran.stdout
    assert cli("create", url).code == 0
    assert cli("verify", url, "-o", "json").judged == [("open", None)]
    assert closed_by(cli("cleanup", url, "-o", "json")) == ["blocked"]


def test_where_envoy_resolves_the_name_it_may_choose_either_family(cli: Cli) -> None:
    assert cli("create", "outside.example").code == 0
    found = cli("verify", "-o", "json")
    assert (found.code, found.judged) == (0, [("open", None)]), found.stdout
    assert closed_by(cli("cleanup", "-o", "json")) == ["blocked"]


def test_a_target_of_several_entries_has_both_families_among_them(cli: Cli) -> None:
    many = [f"203.{n // 256}.{n % 256}.0/24" for n in range(257)]
    file = cli.file(target("many", *BLOCKS, *many, port=443, protocol="TCP", url=WWW))
    made = cli("create", "-f", file, "-q")
    assert made.code == 0, made.stderr
    assert "many-ext-v6-0" in made.stdout
    assert cli("verify", "many", "-o", "json").judged == [("open", None), ("open", None)]
    assert closed_by(cli("cleanup", "many", "-o", "json")) == ["blocked", "blocked"]


def test_one_family_that_is_missing_is_told_of_that_family(cli: Cli) -> None:
    file = cli.file(target("both", BLOCKS[0], "2620:0:862::/48", port=443, protocol="TCP", url=WWW))
    assert cli("create", "-f", file).code == 0
    found = cli("verify", "-o", "json")
    assert (found.code, found.judged) == (1, [("open", None), ("blocked", "address-not-listed")])
    assert IPV6 in found.probes[1]["cause"]["message"]


def test_a_name_without_an_aaaa_record_is_told_and_no_failure(cli: Cli) -> None:
    url = "tcp://untrusted.example:443"
    file = cli.file(target("old", *BLOCKS, port=443, protocol="TCP", url=url))
    assert cli("create", "-f", file).code == 0
    found = cli("verify", "-o", "json")
    assert "not asked: untrusted.example over IPv6: pod default/sleep resolves the name to no such address" in found.stderr
    assert found.report["targets"][0]["unasked"] == ["untrusted.example over IPv6"]
    assert len(found.probes) == 1


def test_ipv4_that_is_written_as_ipv6_catches_nothing(cli: Cli, lab: Lab) -> None:
    lab.create(entry(addresses=[f"::ffff:{IPV4}", "203.0.113.0/24"]))
    assert eventually(lambda: sidecar_leads_to(lab))
    found = cli("verify", "wikipedia", "--probe", WWW, "-o", "json")
    assert (found.code, found.judged) == (1, [("blocked", "address-not-listed")]), found.stdout
    assert cli("lint", "serviceentry/wikipedia-ext").stdout.count("mapped-address") == 1


def test_listeners_on_every_address_have_both_families(cli: Cli, lab: Lab) -> None:
    """What the lab imitates is what istiod gives."""
    specs: list[tuple[str, dict[str, Any]]] = [
        ("a", {"addresses": [*BLOCKS, "203.0.113.7", "2001:db8:f::10"]}),
        ("b", {"hosts": ["b.example"], "ports": [{"number": 8443, "name": "tls", "protocol": "TLS"}]}),
        ("c", {"hosts": ["c.example"], "ports": [{"number": 8080, "name": "http", "protocol": "HTTP"}]}),
        ("d", {"hosts": ["d.example"], "ports": [{"number": 25, "name": "tcp", "protocol": "TCP"}]}),
        ("e", {"hosts": ["e.example"], "addresses": ["::/0"], "ports": [{"number": 26, "name": "tcp", "protocol": "TCP"}]}),
    ]
    ports = [{"number": 443, "name": "tcp", "protocol": "TCP"}]
    for name, more in specs:
        spec = {"hosts": ["a.example"], "ports": ports, "location": "MESH_EXTERNAL", "resolution": "NONE", **more}
        lab.create({"apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry",
                    "metadata": {"name": name, "namespace": "default"}, "spec": spec})  # fmt: skip
    wild = ["0.0.0.0", "::"]
    expected = {
        "0.0.0.0_443": wild,
        "0.0.0.0_8443": wild,
        "0.0.0.0_8080": wild,
        "0.0.0.0_25": wild,
        "0.0.0.0_26": wild,
        "203.0.113.7_443": ["203.0.113.7"],
        "2001:db8:f::10_443": ["2001:db8:f::10"],
        "virtualOutbound": wild,
    }
    assert eventually(lambda: expected.items() <= listeners(lab).items()), listeners(lab)


def listeners(lab: Lab) -> dict[str, list[str]]:
    """Return the addresses of each listener that is in use."""
    found = {}
    for each in lab.admin("config_dump?resource=dynamic_listeners").get("configs", []):
        if held := each.get("active_state", {}).get("listener"):
            places = [held, *held.get("additional_addresses", [])]
            found[held["name"]] = [place["address"]["socket_address"]["address"] for place in places]
    return found


@pytest.mark.mesh
def test_where_istiod_gives_one_family_the_other_goes_past_the_sidecar(half: Lab, tmp_path: Path) -> None:
    cli = Cli(half.kubeconfig, tmp_path)
    file = cli.file(target("both", *BLOCKS, port=443, protocol="TCP", url=WWW))
    assert cli("create", "-f", file).code == 0
    found, doctor = cli("verify", "-o", "json"), cli("doctor", "-o", "json")
    put_right(half)
    [families] = [each for each in doctor.report["checks"] if each["name"] == "ip-families"]
    assert (families["status"], "listens for no IPv6" in families["message"]) == ("warning", True)
    assert (found.code, found.judged) == (1, [("open", None), ("bypassed", "not-captured")])
    assert "which listens for no IPv6" in found.probes[1]["cause"]["message"]
    assert "ISTIO_DUAL_STACK" in found.probes[1]["cause"]["message"]
