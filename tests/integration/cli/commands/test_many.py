"""More probes than execs at once: those of one place share a connection, and each still gets its own verdict."""

from __future__ import annotations

from collections import Counter

import yaml

from cli import Cli, entry, made, sidecar_leads_to
from egressctl.mesh.curl import EXECS_AT_ONCE
from faults import FaultProxy
from labs import Lab, eventually

PLACE = "https://www.wikipedia.org"
PLAIN = [{"number": 8080, "name": "tcp", "protocol": "TCP"}]


def targets(cli: Cli, *urls: str) -> str:
    """Write a file with the wikipedia entry and a probe for each URL."""
    manifest = yaml.safe_load(cli("render", "wikipedia").stdout)
    probes = [{"name": f"p{index}", "url": url} for index, url in enumerate(urls)]
    return cli.file(
        yaml.safe_dump(
            {
                "apiVersion": "egressctl.dev/v1alpha1",
                "kind": "EgressTarget",
                "metadata": {"name": "wikipedia"},
                "spec": {"serviceEntry": manifest["spec"], "probes": probes},
            }
        )
    )


def curls(proxy: FaultProxy) -> int:
    """Count the execs of curl, but those of probes that are asked again, which have local ports of their own.

    That comes where the kernel gave a connection another port towards the sidecar.
    """
    queries = [call.query for call in proxy.calls if call.is_exec]
    return sum("command=curl" in query and "local-port" not in query for query in queries)


def test_two_hundred_are_proved_with_a_few_execs(cli: Cli, lab: Lab, proxy: FaultProxy) -> None:
    made(lab)
    file = targets(cli, *(f"{PLACE}/status/200?{index}" for index in range(200)))
    ran = cli.at(proxy.kubeconfig)("verify", "-f", file, "-o", "json")
    assert (ran.code, Counter(ran.judged)) == (0, {("open", None): 200})
    assert 0 < curls(proxy) <= EXECS_AT_ONCE
    assert {tuple(sorted(probe["evidence"]["methods"])) for probe in ran.probes} == {("captured", "counted", "owned", "static")}


def test_each_has_its_own_verdict(cli: Cli, lab: Lab) -> None:
    made(lab)
    good = [f"{PLACE}/status/200?{index}" for index in range(30)]
    bad = [f"{PLACE}/status/503?1", "https://untrusted.example", "https://outside.example"]
    ran = cli("verify", "-f", targets(cli, *good[:10], bad[0], *good[10:20], bad[1], *good[20:], bad[2]), "-o", "json")
    assert ran.code == 1
    assert Counter(ran.judged[:10] + ran.judged[11:21] + ran.judged[22:32]) == {("open", None): 30}
    assert [ran.judged[index] for index in (10, 21, 32)] == [
        ("failed", "http-status"),
        ("failed", "tls-certificate"),
        ("blocked", "address-not-listed"),
    ]


def test_ten_places_share_an_exec_and_each_is_seen_in_the_socket_table(cli: Cli, lab: Lab, proxy: FaultProxy) -> None:
    lab.create(entry("wide-ext", hosts=["wide.example"], addresses=["100.80.0.0/16"], ports=PLAIN))
    assert eventually(lambda: sidecar_leads_to(lab, "wide.example", 8080))
    urls = [word for index in range(20) for word in ("--probe", f"http://100.80.{index}.10:8080")]
    ran = cli.at(proxy.kubeconfig)("verify", "se/wide-ext", *urls, "-o", "json")
    assert (ran.code, Counter(ran.judged)) == (0, {("open", None): 20})
    assert curls(proxy) == 2


def test_where_all_is_blocked_all_are(cli: Cli) -> None:
    ran = cli("verify", "-f", targets(cli, *(f"{PLACE}/?{index}" for index in range(20))), "--expect", "blocked", "-o", "json")
    assert (ran.code, {verdict for verdict, _ in ran.judged}) == (0, {"blocked"})
