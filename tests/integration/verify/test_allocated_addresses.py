"""The addresses that Istio gives entries without any: by `status.addresses`, from whatever prefix it is told to take them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli import Cli, entry, put_right, start_object
from cluster.binaries import Binaries
from cluster.cluster import RealCluster
from cluster.istiod import Istiod
from egressctl.lab.state import locate
from forked import Forks
from labs import Lab, eventually

pytestmark = pytest.mark.mesh
PREFIX, URL = "100.96.0.0/16", "https://www.wikipedia.org"
PATH = "/apis/networking.istio.io/v1/namespaces/default/serviceentries/wikipedia-ext"
PLACES = ("istiod",)


@pytest.fixture(scope="module")
def lab(lab_home: Path, tmp_path_factory: pytest.TempPathFactory, programs: Binaries) -> Iterator[Lab]:
    """A mesh of its own, whose istiod allocates from another prefix."""
    name = "prefix"
    with (
        RealCluster(tmp_path_factory.mktemp("prefix"), programs) as real,
        Istiod(real, locate(name), {"PILOT_IP_AUTOALLOCATE_IPV4_PREFIX": PREFIX}) as istiod,
        real.data_plane(name, istiod) as running,
    ):
        yield running


@pytest.fixture
def cli(lab: Lab, forks: Forks | None, tmp_path: Path) -> Iterator[Cli]:
    yield Cli(lab.kubeconfig, tmp_path, forks)
    put_right(lab)


def by_dns(**spec: Any) -> dict[str, Any]:
    ports = [{"number": 443, "name": "tls", "protocol": "TLS"}]
    return entry(hosts=["www.wikipedia.org"], addresses=None, resolution="DNS", ports=ports, **spec)


def allocated(lab: Lab) -> str:
    """Return the address that Istio gives the entry."""
    found: list[str] = []

    def is_there() -> bool:
        given = lab.api("GET", PATH)[1].get("status", {}).get("addresses", [])
        found[:] = [each["value"] for each in given]
        return bool(found)

    assert eventually(is_there)
    return found[0]


def test_an_address_of_another_prefix_is_the_entrys_that_has_it(cli: Cli, lab: Lab) -> None:
    lab.create(by_dns())
    address = allocated(lab)
    assert address.startswith("100.96.")
    told = " ".join(cli("explain", URL, "--address", address).stdout.split())
    assert f"{address}:443, which Istio gave default/wikipedia-ext" in told


def test_an_entry_that_has_one_is_open_and_the_cause_is_what_hides_it_else(cli: Cli, lab: Lab) -> None:
    lab.create(by_dns())
    allocated(lab)
    asked = ("verify", "wikipedia", "--probe", URL, "-o", "json")
    assert eventually(lambda: cli(*asked).judged == [("open", None)])
    start_object(lab, "Sidecar", "narrow", {"egress": [{"hosts": ["istio-system/*"]}]})
    assert eventually(lambda: cli(*asked).judged == [("blocked", "hidden-by-sidecar")]), cli(*asked).stdout
