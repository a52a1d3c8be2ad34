"""What stands between a connection and its ServiceEntry on a mesh stands there in the lab, with real traffic."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cli import await_no_entries, entry
from egressctl.errors import InvalidInput, LabFailed
from egressctl.lab import control
from egressctl.lab.dataplane.exclusions import Exclusions, parse_exclusions
from labs import Lab, eventually, now

PLACES = ("lab", "istiod")
ISTIO = "/apis/networking.istio.io/v1/namespaces"
PLURALS = {
    "ServiceEntry": "serviceentries",
    "Sidecar": "sidecars",
    "VirtualService": "virtualservices",
    "DestinationRule": "destinationrules",
}
ESTABLISHED, LOOPBACK = "01", "0100007F:"
"""A socket's state and address, as /proc/net/tcp writes them."""
OURS, OTHER = "outbound|443||wikipedia.org", "outbound|443||other.example"
PORTAL = "https://www.wikipedia.org/"


@dataclass(frozen=True)
class Seen:
    """What a probe met: curl's exit code and HTTP status, and the Envoy cluster and flags of Envoy's own log."""

    exit: int
    status: str
    envoy_cluster: str | None
    flags: str | None

    @property
    def carried(self) -> tuple[str, str | None]:
        return self.status, self.envoy_cluster


def probe(lab: Lab, url: str = PORTAL, *options: str) -> Seen:
    """Send a probe, and find its line in the access log by its local port, among the connections that began since.

    Two things can be in between, and then it is sent again: the kernel gave the connection another port towards the sidecar,
    and a command of an earlier test that was cut off there, not in the pod, is sending still.
    """
    write = "%{http_code} %{local_port}"
    argv = ["curl", "-q", "-s", "-o", "/dev/null", "-w", write, "-m", "20", "-H", "Connection: close", *options, url]
    found: list[Seen] = []

    def told_apart() -> bool:
        began = now()
        done = lab.run(*argv)
        status, port = done.stdout.split()
        assert eventually(lambda: lab.logged(began)), done
        found.extend(
            Seen(done.returncode, status, line.envoy_cluster, line.flags)
            for line in lab.logged(began)
            if line.client_port == port
        )
        return bool(found)

    assert eventually(told_apart)
    [seen] = found
    return seen


def an_object(kind: str, name: str, /, namespace: str = "default", **spec: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "networking.istio.io/v1", "kind": kind, "metadata": metadata, "spec": spec}


def virtual_service(**spec: Any) -> dict[str, Any]:
    return an_object("VirtualService", "detour", hosts=["wikipedia.org"], **spec)


def sidecar(*hosts: str, **spec: Any) -> dict[str, Any]:
    return an_object("Sidecar", "limit", egress=[{"hosts": list(hosts)}], **spec)


def port(number: int, protocol: str) -> list[dict[str, Any]]:
    return [{"number": number, "name": "port", "protocol": protocol}]


def other(**spec: Any) -> dict[str, Any]:
    return entry("other-ext", **{"hosts": ["other.example"], "addresses": ["198.51.100.0/24"], **spec})


Apply = Callable[..., None]


@pytest.fixture
def apply(lab: Lab) -> Iterator[Apply]:
    """Create objects, one after the other; they are removed afterwards."""
    yield from applying(lab)
    await_no_entries(lab)
    assert eventually(lab.is_blocked)


def applying(lab: Lab) -> Iterator[Apply]:
    created = []

    def create(*manifests: dict[str, Any]) -> None:
        for manifest in manifests:
            kind, namespace = manifest.get("kind", "ServiceEntry"), manifest["metadata"]["namespace"]
            path = f"{ISTIO}/{namespace}/{PLURALS[kind]}"
            status, answer = lab.api("POST", path, manifest)
            assert status == 201, answer
            created.append(f"{path}/{manifest['metadata']['name']}")

    yield create
    for path in reversed(created):
        lab.api("DELETE", path)


def reached(holds: Callable[[], Seen], carried: tuple[str, str | None]) -> Seen:
    """Probe until the answer is that, which it must become; return the probe."""
    last: list[Seen] = []

    def it_is() -> bool:
        last.append(holds())
        return last[-1].carried == carried

    assert eventually(it_is), last[-1]
    return last[-1]


# What a port says it speaks


def test_a_tls_entry_opens_for_its_own_name_and_no_other(lab: Lab, apply: Apply) -> None:
    apply(entry("tls-ext", hosts=["www.wikipedia.org"], addresses=[], ports=port(443, "TLS")))
    reached(lambda: probe(lab), ("200", "outbound|443||www.wikipedia.org"))
    refused = probe(lab, "https://en.wikipedia.org/wiki/Main_Page")
    assert refused == Seen(35, "000", "BlackHoleCluster", "UH")


def test_a_wildcard_of_tls_opens_for_every_name_below_it(lab: Lab, apply: Apply) -> None:
    apply(entry("tls-ext", hosts=["*.wikipedia.org"], addresses=[], ports=port(443, "TLS")))
    reached(lambda: probe(lab), ("200", "outbound|443||*.wikipedia.org"))
    assert probe(lab, "https://wikipedia.org/").envoy_cluster == "BlackHoleCluster"


def test_a_tls_entry_of_a_plain_address_takes_every_name(lab: Lab, apply: Apply) -> None:
    apply(entry("tls-ext", hosts=["www.wikipedia.org"], addresses=["208.80.154.224"], ports=port(443, "TLS")))
    reached(lambda: probe(lab), ("200", "outbound|443||www.wikipedia.org"))
    assert probe(lab, "https://en.wikipedia.org/wiki/Main_Page").envoy_cluster == "outbound|443||www.wikipedia.org"


def test_an_http_entry_opens_for_its_own_host_and_any_other_gets_502(lab: Lab, apply: Apply) -> None:
    apply(entry("http-ext", hosts=["outside.example"], addresses=[], ports=port(80, "HTTP")))
    reached(lambda: probe(lab, "http://outside.example/"), ("200", "outbound|80||outside.example"))
    assert probe(lab, "http://www.wikipedia.org/") == Seen(0, "502", "-", "-")


def test_another_host_passes_an_http_port_under_allow_any(lab: Lab, apply: Apply) -> None:
    lab.set_policy("ALLOW_ANY")
    try:
        apply(entry("http-ext", hosts=["outside.example"], addresses=[], ports=port(80, "HTTP")))
        reached(lambda: probe(lab, "http://outside.example/"), ("200", "outbound|80||outside.example"))
        assert probe(lab, "http://www.wikipedia.org/").carried == ("301", "PassthroughCluster")
    finally:
        lab.set_policy("REGISTRY_ONLY")


def test_tls_on_a_port_declared_http_falls_to_the_default_chain(lab: Lab, apply: Apply) -> None:
    apply(entry("http-ext", hosts=["www.wikipedia.org"], addresses=[], ports=port(443, "HTTP")))
    reached(lambda: probe(lab, "http://www.wikipedia.org:443/"), ("503", "outbound|443||www.wikipedia.org"))
    assert probe(lab) == Seen(35, "000", "BlackHoleCluster", "UH")


def test_http_entries_of_one_port_come_and_go_by_themselves(lab: Lab, apply: Apply) -> None:
    one = entry("one-ext", hosts=["outside.example"], addresses=[], ports=port(8080, "HTTP"))
    apply(one, entry("two-ext", hosts=["www.wikipedia.org"], addresses=[], ports=port(8080, "HTTP")))
    reached(lambda: probe(lab, "http://outside.example:8080/"), ("200", "outbound|8080||outside.example"))
    reached(lambda: probe(lab, "http://www.wikipedia.org:8080/"), ("301", "outbound|8080||www.wikipedia.org"))
    lab.delete(one)
    reached(lambda: probe(lab, "http://outside.example:8080/"), ("502", "-"))
    assert probe(lab, "http://www.wikipedia.org:8080/").envoy_cluster == "outbound|8080||www.wikipedia.org"


def test_a_name_that_the_sidecar_resolves_is_where_a_dns_entry_leads(lab: Lab, apply: Apply) -> None:
    apply(entry("dns-ext", hosts=["www.wikipedia.org"], addresses=[], ports=port(443, "TLS"), resolution="DNS"))
    reached(lambda: probe(lab), ("200", "outbound|443||www.wikipedia.org"))


def test_a_name_that_the_sidecar_cannot_resolve_leaves_no_endpoints(lab: Lab, apply: Apply) -> None:
    apply(entry("dns-ext", hosts=["nowhere.example"], addresses=[], ports=port(443, "TLS"), resolution="DNS"))
    there = ("--resolve", "nowhere.example:443:208.80.154.224")
    seen = reached(lambda: probe(lab, "https://nowhere.example/", *there), ("000", "outbound|443||nowhere.example"))
    assert (seen.exit, seen.flags) == (35, "UH")


# What sends it elsewhere


def test_a_tcp_route_leads_to_another_host(lab: Lab, apply: Apply) -> None:
    route = [{"destination": {"host": "other.example", "port": {"number": 443}}}]
    apply(entry(), other(), virtual_service(tcp=[{"match": [{"port": 443}], "route": route}]))
    reached(lambda: probe(lab), ("200", OTHER))


def test_a_tcp_route_to_a_host_that_is_unknown_leads_nowhere(lab: Lab, apply: Apply) -> None:
    apply(entry(), virtual_service(tcp=[{"route": [{"destination": {"host": "nowhere.example", "port": {"number": 443}}}]}]))
    assert reached(lambda: probe(lab), ("000", "-")) == Seen(35, "000", "-", "NC")


def test_a_weighted_route_leads_to_either(lab: Lab, apply: Apply) -> None:
    route = [
        {"destination": {"host": host, "port": {"number": 443}}, "weight": 50} for host in ("wikipedia.org", "other.example")
    ]
    apply(entry(), other(), virtual_service(tcp=[{"route": route}]))
    seen: set[str | None] = set()
    assert eventually(lambda: seen.add(probe(lab).envoy_cluster) or {OURS, OTHER} <= seen)  # type: ignore[func-returns-value]


def test_a_route_may_lead_to_a_subset(lab: Lab, apply: Apply) -> None:
    subset = [{"destination": {"host": "wikipedia.org", "subset": "v1", "port": {"number": 443}}}]
    rule = an_object("DestinationRule", "subsets", host="wikipedia.org", subsets=[{"name": "v1", "labels": {"a": "b"}}])
    apply(entry(), rule, virtual_service(tcp=[{"route": subset}]))
    reached(lambda: probe(lab), ("200", "outbound|443|v1|wikipedia.org"))


def test_a_tls_route_leads_a_name_elsewhere(lab: Lab, apply: Apply) -> None:
    tls = [
        {
            "match": [{"port": 443, "sniHosts": ["www.wikipedia.org"]}],
            "route": [{"destination": {"host": "other.example", "port": {"number": 443}}}],
        }
    ]
    detour = an_object("VirtualService", "detour", hosts=["www.wikipedia.org"], tls=tls)
    apply(entry("tls-ext", hosts=["www.wikipedia.org"], addresses=[], ports=port(443, "TLS")), other(), detour)
    reached(lambda: probe(lab), ("200", OTHER))


def test_an_http_route_leads_elsewhere_or_answers_by_itself(lab: Lab, apply: Apply) -> None:
    http = [
        {"match": [{"uri": {"prefix": "/status/"}}], "directResponse": {"status": 418}},
        {"route": [{"destination": {"host": "other.example", "port": {"number": 80}}}]},
    ]
    detour = an_object("VirtualService", "detour", hosts=["outside.example"], http=http)
    mine = entry("http-ext", hosts=["outside.example"], addresses=[], ports=port(80, "HTTP"))
    apply(mine, other(addresses=[], ports=port(80, "HTTP")), detour)
    reached(lambda: probe(lab, "http://outside.example/"), ("200", "outbound|80||other.example"))
    assert probe(lab, "http://outside.example/status/200").carried == ("418", "-")


def test_a_fault_answers_in_the_entrys_name(lab: Lab, apply: Apply) -> None:
    http = [
        {
            "fault": {"abort": {"httpStatus": 555, "percentage": {"value": 100}}},
            "route": [{"destination": {"host": "outside.example"}}],
        }
    ]
    mine = entry("http-ext", hosts=["outside.example"], addresses=[], ports=port(80, "HTTP"))
    apply(mine, an_object("VirtualService", "detour", hosts=["outside.example"], http=http))
    seen = reached(lambda: probe(lab, "http://outside.example/"), ("555", "outbound|80||outside.example"))
    assert seen.flags == "FI"


def test_a_destination_rule_wraps_tls_in_tls(lab: Lab, apply: Apply) -> None:
    apply(entry(), an_object("DestinationRule", "tls", host="wikipedia.org", trafficPolicy={"tls": {"mode": "SIMPLE"}}))
    assert eventually(lambda: (seen := probe(lab)).exit == 35 and seen.envoy_cluster == OURS)


def test_a_destination_rule_originates_tls(lab: Lab, apply: Apply) -> None:
    mine = entry(
        "http-ext",
        hosts=["www.wikipedia.org"],
        addresses=[],
        ports=[{"number": 80, "name": "http", "protocol": "HTTP", "targetPort": 443}],
        resolution="DNS",
    )
    apply(mine, an_object("DestinationRule", "tls", host="www.wikipedia.org", trafficPolicy={"tls": {"mode": "SIMPLE"}}))
    reached(lambda: probe(lab, "http://www.wikipedia.org/"), ("200", "outbound|80||www.wikipedia.org"))


# What hides it


def test_a_sidecar_hides_an_entry(lab: Lab, apply: Apply) -> None:
    apply(entry())
    reached(lambda: probe(lab), ("200", OURS))
    apply(sidecar("istio-system/*"))
    reached(lambda: probe(lab), ("000", "BlackHoleCluster"))


def test_an_exact_host_in_a_sidecar_keeps_one_of_several_blocks(lab: Lab, apply: Apply) -> None:
    apply(entry(addresses=["208.80.154.224/27", "203.0.113.0/24"]), sidecar("./wikipedia.org"))
    urls = (PORTAL, "https://outside.example/")
    assert eventually(lambda: {probe(lab, url).envoy_cluster for url in urls} == {OURS, "BlackHoleCluster"})


@pytest.mark.parametrize("hosts", ["*/wikipedia.org", "./*", "*/*"])
def test_any_other_way_to_name_it_keeps_all(lab: Lab, apply: Apply, hosts: str) -> None:
    apply(sidecar(hosts), entry(addresses=["208.80.154.224/27", "203.0.113.0/24"]))
    reached(lambda: probe(lab), ("200", OURS))
    assert probe(lab, "https://outside.example/").carried == ("200", OURS)


def test_a_sidecar_may_let_everything_out(lab: Lab, apply: Apply) -> None:
    apply(sidecar("istio-system/*", outboundTrafficPolicy={"mode": "ALLOW_ANY"}))
    reached(lambda: probe(lab), ("200", "PassthroughCluster"))


def test_export_to_keeps_an_entry_from_the_pod(lab: Lab, apply: Apply) -> None:
    apply(entry("away-ext", hosts=["other.example"], exportTo=["other"]), entry(addresses=["203.0.113.0/24"]))
    reached(lambda: probe(lab, "https://outside.example/"), ("200", OURS))
    assert probe(lab).envoy_cluster == "BlackHoleCluster"


def test_of_overlapping_blocks_the_longer_prefix_carries(lab: Lab, apply: Apply) -> None:
    apply(entry(), other(addresses=["208.80.154.0/24"]))
    reached(lambda: probe(lab, "https://www.wikipedia.org/", "--resolve", "www.wikipedia.org:443:208.80.154.3"), ("200", OTHER))
    assert probe(lab).envoy_cluster == OURS


# What goes around the sidecar


@pytest.fixture(scope="module")
def around(lab_home: Path) -> Iterator[Lab]:
    """A lab whose pod leaves a block and a port out of its redirect."""
    yield Lab(control.up("around", excluded=parse_exclusions("203.0.113.0/24", "8443")))
    control.down("around")


def held(lab: Lab, url: str) -> tuple[str, list[str]]:
    """Return curl's status, and where the pod's established connections led meanwhile, those within it left out."""
    done = lab.run(
        "curl", "-q", "-s", "-o", "/dev/null", "-w", "%{http_code}\n", url, "--next", "-q", "-s", "file:///proc/net/tcp"
    )
    status, _, *rows = done.stdout.splitlines()
    established = [remote for _, _, remote, state, *_ in map(str.split, rows) if state == ESTABLISHED]
    return status, [remote for remote in established if not remote.startswith(LOOPBACK)]


@pytest.mark.parametrize(
    ("url", "row"), [("https://outside.example/", "0A7100CB:01BB"), ("https://www.wikipedia.org:8443/", "E09A50D0:20FB")]
)
def test_what_is_excluded_leaves_no_trace_in_the_sidecar(around: Lab, url: str, row: str) -> None:
    began = now()
    # One row, the client's own: neither the sidecar's end nor the server's.
    assert held(around, url) == ("200", [row])
    assert around.is_blocked()
    assert eventually(lambda: around.logged(began))
    assert [(line.envoy_cluster, line.bound_for) for line in around.logged(began)] == [("BlackHoleCluster", "208.80.154.224:443")]


def test_the_pod_says_what_goes_around_as_on_a_mesh(around: Lab) -> None:
    _, pod = around.api("GET", "/api/v1/namespaces/default/pods/sleep")
    said = {name: value for name, value in pod["metadata"]["annotations"].items() if name.startswith("traffic.sidecar.istio.io/")}
    assert said == {
        "traffic.sidecar.istio.io/excludeOutboundIPRanges": "203.0.113.0/24",
        "traffic.sidecar.istio.io/excludeOutboundPorts": "8443",
    }


def test_what_goes_around_is_settled_at_the_start(around: Lab) -> None:
    found = control.up(around.name)
    assert found.excluded == parse_exclusions("203.0.113.0/24", "8443")
    assert control.status(around.name) == found
    with pytest.raises(LabFailed, match="decided when its pod starts"):
        control.up(around.name, excluded=Exclusions())


@pytest.mark.parametrize(
    ("networks", "ports"),
    [("wikipedia.org", ""), ("208.80.154.224/33", ""), ("2620::/129", ""), ("", "0"), ("", "65536"), ("", "x")],
)
def test_what_cannot_be_excluded_is_refused(networks: str, ports: str) -> None:
    with pytest.raises(InvalidInput, match="to exclude: write"):
        parse_exclusions(networks, ports)


# What the control plane does


def test_a_stalled_control_plane_tells_the_sidecar_nothing(lab: Lab, apply: Apply) -> None:
    lab.stall()
    try:
        apply(entry())
        assert lab.is_blocked()
        assert not [name for name in envoy_clusters(lab) if "wikipedia" in name]
    finally:
        lab.resume()
    assert eventually(lab.is_open)


@pytest.mark.only("orders")
def test_a_stalled_control_plane_takes_no_policy(lab: Lab) -> None:
    lab.stall()
    try:
        with pytest.raises(LabFailed, match="control plane is stalled"):
            lab.set_policy("ALLOW_ANY")
    finally:
        lab.resume()


def envoy_clusters(lab: Lab) -> set[str]:
    return {each["name"] for each in lab.admin("clusters?format=json")["cluster_statuses"]}


def test_a_resume_without_a_stall_is_no_error(lab: Lab) -> None:
    lab.resume()
    assert lab.is_blocked()


def test_a_proxy_that_restarts_has_its_configuration_and_counts_from_zero(lab: Lab, apply: Apply) -> None:
    http = entry("http-ext", hosts=["outside.example"], addresses=[], ports=port(80, "HTTP"))
    apply(entry(), http)
    reached(lambda: probe(lab), ("200", OURS))
    reached(lambda: probe(lab, "http://outside.example/"), ("200", "outbound|80||outside.example"))
    assert "cx_total" in hosts_of(lab, OURS)
    before = control.up(lab.name).pids
    control.restart_proxy(lab.name)
    assert hosts_of(lab, OURS) == "[]"
    after = control.up(lab.name).pids
    assert {role for role in before if before[role] != after[role]} == {"envoy"}
    assert probe(lab).carried == ("200", OURS)
    assert probe(lab, "http://outside.example/").carried == ("200", "outbound|80||outside.example")
    lab.delete(entry())
    reached(lambda: probe(lab), ("000", "BlackHoleCluster"))


def hosts_of(lab: Lab, envoy_cluster: str) -> str:
    statuses = lab.admin("clusters?format=json")["cluster_statuses"]
    return json.dumps(next(each.get("host_statuses", []) for each in statuses if each["name"] == envoy_cluster))


def test_changes_during_a_restart_reach_the_sidecar(lab: Lab, apply: Apply) -> None:
    with ThreadPoolExecutor(1) as aside:
        restarting = aside.submit(control.restart_proxy, lab.name)
        while not restarting.done():
            lab.create(entry())
            lab.delete(entry())
        restarting.result()
    assert eventually(lab.is_blocked)
    apply(entry())
    reached(lambda: probe(lab), ("200", OURS))


def test_a_refused_listener_is_told_twice_once_without_a_name(lab: Lab, apply: Apply) -> None:
    apply(entry(ports=port(15001, "TCP")))

    def states() -> list[str]:
        found = lab.admin("config_dump?resource=dynamic_listeners&mask=name,error_state.details")["configs"]
        return sorted(each.get("name", "") for each in found if "error_state" in each)

    assert eventually(lambda: states() == ["", "0.0.0.0_15001"]), states()
