"""Each cause that another object of the mesh, or the entry itself, can be: by the command line, with real traffic."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from cli import Cli, entry, start_object
from labs import Lab, eventually

PORTAL = "https://www.wikipedia.org"
Judged = tuple[str, str | None]
OPEN: Judged = ("open", None)


def port(number: int, protocol: str, **more: Any) -> list[dict[str, Any]]:
    return [{"number": number, "name": "port", "protocol": protocol, **more}]


def tcp_route(*hosts: str) -> dict[str, Any]:
    route = [{"destination": {"host": host, "port": {"number": 443}}, "weight": 100 // len(hosts)} for host in hosts]
    return {"hosts": ["wikipedia.org"], "tcp": [{"route": route}]}


def other() -> dict[str, Any]:
    return entry("other-ext", hosts=["other.example"], addresses=["198.51.100.0/24"])


class Asking:
    """Verify the wikipedia entry by one URL, until that is judged as it must come to be."""

    def __init__(self, cli: Cli, lab: Lab) -> None:
        self.cli, self.lab = cli, lab

    def verify(self, url: str) -> dict[str, Any]:
        [probe] = self.cli("verify", "wikipedia", "--probe", url, "-o", "json").probes
        return dict(probe)

    def comes(self, url: str, *judged: Judged) -> str:
        """Return the cause's message."""
        seen: list[Judged] = []
        message = ""

        def holds() -> bool:
            nonlocal message
            probe = self.verify(url)
            cause = probe["cause"] or {"code": None, "message": ""}
            seen.append((probe["verdict"], cause["code"]))
            message = cause["message"]
            return seen[-1] in judged

        assert eventually(holds), seen
        return message


@pytest.fixture
def asking(cli: Cli, lab: Lab) -> Asking:
    return Asking(cli, lab)


# What the entry says


def test_by_server_name(asking: Asking) -> None:
    asking.lab.create(entry(hosts=["www.wikipedia.org"], addresses=[], ports=port(443, "TLS")))
    asking.comes(PORTAL, OPEN)
    message = asking.comes("https://en.wikipedia.org", ("blocked", "host-not-listed"))
    assert "lists the host www.wikipedia.org on port 443" in message


def test_by_a_plain_address_whatever_the_server_name(asking: Asking) -> None:
    asking.lab.create(
        entry(hosts=["en.wikipedia.org", "www.wikipedia.org"], addresses=["208.80.154.224"], ports=port(443, "TLS"))
    )
    asking.comes(PORTAL, OPEN)


def test_by_http_host(asking: Asking) -> None:
    asking.lab.create(entry(hosts=["outside.example"], addresses=[], ports=port(80, "HTTP")))
    asking.comes("http://outside.example", OPEN)
    message = asking.comes("http://www.wikipedia.org", ("blocked", "host-not-listed"))
    assert "lists the host outside.example on port 80" in message


def test_a_protocol_that_is_not_spoken(asking: Asking) -> None:
    asking.lab.create(entry(hosts=["www.wikipedia.org"], addresses=[], ports=port(443, "HTTP")))
    message = asking.comes(PORTAL, ("blocked", "protocol-mismatch"))
    assert "declares it HTTP, and the probe speaks TLS" in message


def test_no_endpoints(asking: Asking) -> None:
    asking.lab.create(entry(resolution="STATIC"))
    message = asking.comes(PORTAL, ("blocked", "no-endpoints"))
    assert "it is STATIC and lists no endpoints" in message


def test_a_port_that_envoy_refuses(asking: Asking) -> None:
    asking.lab.create(entry(ports=port(15001, "TCP")))
    message = asking.comes(f"{PORTAL}:15001", ("blocked", "rejected-by-proxy"))
    assert "Envoy refused the listener" in message


# What other objects do


def test_a_port_that_the_first_entry_of_the_host_does_not_have(asking: Asking) -> None:
    first = entry("first-ext", ports=port(8443, "TCP"), exportTo=["."])
    asking.lab.create(entry())
    asking.comes(PORTAL, OPEN)
    asking.lab.create(first)
    message = asking.comes(PORTAL, ("blocked", "rival-entry"))
    assert message == (
        "ServiceEntry default/first-ext has the same host wikipedia.org, comes first, whose exportTo names fewer namespaces, and "
        "has no port 443: the sidecar gets no Envoy cluster for port 443 of default/wikipedia-ext"
    )


def test_a_route_to_another_host(asking: Asking) -> None:
    asking.lab.create(entry())
    asking.lab.create(other())
    start_object(asking.lab, "VirtualService", "detour", tcp_route("other.example"))
    message = asking.comes(PORTAL, ("bypassed", "rerouted"))
    assert message.startswith("VirtualService default/detour sends 208.80.154.224:443 to outbound|443||other.example")


def test_a_route_to_a_host_that_nobody_knows(asking: Asking) -> None:
    asking.lab.create(entry())
    start_object(asking.lab, "VirtualService", "detour", tcp_route("nowhere.example"))
    message = asking.comes(PORTAL, ("blocked", "rerouted"))
    assert "an Envoy cluster that the sidecar does not have" in message


def test_of_a_weighted_route_each_probe_is_judged_by_the_way_that_it_took(asking: Asking) -> None:
    asking.lab.create(entry())
    asking.lab.create(other())
    start_object(asking.lab, "VirtualService", "detour", tcp_route("wikipedia.org", "other.example"))
    asking.comes(PORTAL, ("bypassed", "rerouted"))
    asking.comes(PORTAL, OPEN)


def test_an_address_of_a_family_that_the_pod_does_not_have(cli: Cli) -> None:
    url = "https://[2620:0:861:ed1a::1]/"
    asked = cli("verify", url, "-o", "json")
    assert (asked.code, asked.judged) == (1, [("failed", "ip-family")])
    told = cli("explain", url, "-o", "json").report
    assert json.dumps("ip-family") in json.dumps(told)
    assert asked.probes[0]["cause"]["message"] in json.dumps(told)
    assert "pod sleep has IPv4 alone" in asked.probes[0]["cause"]["message"]


def test_tls_inside_tls(asking: Asking) -> None:
    asking.lab.create(entry())
    rule = {"host": "wikipedia.org", "trafficPolicy": {"tls": {"mode": "SIMPLE"}}}
    start_object(asking.lab, "DestinationRule", "tls", rule)
    message = asking.comes(PORTAL, ("failed", "rerouted"))
    assert message.startswith("DestinationRule default/tls adds TLS to every connection")


def test_a_sidecar_resource(asking: Asking) -> None:
    asking.lab.create(entry())
    start_object(asking.lab, "Sidecar", "limit", {"egress": [{"hosts": ["istio-system/*"]}]})
    message = asking.comes(PORTAL, ("blocked", "hidden-by-sidecar"))
    assert "Sidecar default/limit lets the pod import istio-system/*" in message


def test_a_sidecar_resource_that_lets_everything_out(asking: Asking) -> None:
    asking.lab.create(entry())
    egress = {"egress": [{"hosts": ["istio-system/*"]}], "outboundTrafficPolicy": {"mode": "ALLOW_ANY"}}
    start_object(asking.lab, "Sidecar", "limit", egress)
    asking.comes(PORTAL, ("bypassed", "hidden-by-sidecar"))


def test_an_exact_host_in_a_sidecar_resource_keeps_one_of_several_blocks(asking: Asking) -> None:
    asking.lab.create(entry(addresses=["208.80.154.224/27", "203.0.113.0/24"]))
    start_object(asking.lab, "Sidecar", "limit", {"egress": [{"hosts": ["./wikipedia.org"]}]})
    judged = []
    for url in (PORTAL, "https://outside.example"):
        asking.comes(url, OPEN, ("blocked", "hidden-by-sidecar"))
        probe = asking.verify(url)
        judged.append((probe["verdict"], (probe["cause"] or {}).get("code")))
    assert sorted(map(str, judged)) == sorted(map(str, [OPEN, ("blocked", "hidden-by-sidecar")]))


# What the control plane has not done


@pytest.fixture
def stalled(asking: Asking) -> Iterator[Asking]:
    """The entry is in the sidecar, and nothing comes after it."""
    asking.lab.create(entry())
    asking.comes(PORTAL, OPEN)
    asking.lab.stall()
    yield asking
    asking.lab.resume()


def test_an_entry_that_is_gone_and_that_the_sidecar_still_has(stalled: Asking) -> None:
    stalled.lab.delete(entry())
    stalled.comes(PORTAL, ("bypassed", "entry-missing"))


def test_an_address_that_is_gone_and_that_the_sidecar_still_has(stalled: Asking) -> None:
    stalled.lab.delete(entry())
    stalled.lab.create(entry(addresses=["192.0.2.0/24"]))
    stalled.comes(PORTAL, ("bypassed", "address-not-listed"))


def test_a_block_that_has_not_come(stalled: Asking) -> None:
    stalled.lab.delete(entry())
    stalled.lab.create(entry(addresses=["208.80.154.224/27", "203.0.113.0/24"]))
    message = stalled.comes("https://outside.example", ("blocked", "not-propagated"))
    assert "the control plane has not pushed it" in message


def test_a_new_entry_whose_other_block_has_not_come_does_not_own_what_the_old_one_had(stalled: Asking) -> None:
    stalled.lab.delete(entry())
    stalled.lab.create(entry(addresses=["208.80.154.224/27", "203.0.113.0/24"]))
    message = stalled.comes(PORTAL, ("unproven", "not-propagated"))
    assert "the sidecar's configuration does not match default/wikipedia-ext: no filter chain has 203.0.113.0/24" in message
    stalled.lab.resume()
    stalled.comes(PORTAL, OPEN)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"resolution": "STATIC", "endpoints": [{"address": "203.0.113.10"}]}, "its resolution is STATIC"),
        (
            {"ports": [*port(443, "TCP"), {**port(8443, "TCP")[0], "name": "another"}]},
            "outbound|8443||wikipedia.org is not there",
        ),
        ({"exportTo": ["elsewhere"]}, "its exportTo does not include namespace default"),
    ],
    ids=["resolution", "port", "exportTo"],
)
def test_what_was_changed_since_does_not_own_what_is_in_force(stalled: Asking, spec: dict[str, Any], said: str) -> None:
    stalled.lab.delete(entry())
    stalled.lab.create(entry(**spec))
    assert said in stalled.comes(PORTAL, ("unproven", "not-propagated"))


def test_a_new_entry_that_says_what_the_old_one_said_owns_it(stalled: Asking) -> None:
    stalled.lab.delete(entry())
    stalled.lab.create(entry())
    stalled.comes(PORTAL, OPEN)
