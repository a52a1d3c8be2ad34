"""What the pictures show of a path, on a mesh that a real istiod feeds: what matched, who answered, and which way was taken."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest

from cli import Cli, entry, start_object
from labs import Lab, eventually

PLACES = ("istiod",)
PORTAL, PLAIN = "https://www.wikipedia.org", "http://www.wikipedia.org"


def port(number: int, protocol: str) -> list[dict[str, Any]]:
    return [{"number": number, "name": "port", "protocol": protocol}]


NAMED = entry("named-ext", hosts=["www.wikipedia.org"], addresses=[], ports=port(443, "TLS"))
WEB = entry("web-ext", hosts=["www.wikipedia.org"], addresses=[], ports=port(80, "HTTP"))


@pytest.fixture
def drawn(cli: Cli) -> Callable[..., str]:
    """Draw the path that a request took, and that which `explain` shows, until all of these stand in it."""

    def draw(url: str, *told: str) -> str:
        pictures = [""]

        def holds() -> bool:
            ran, explained = cli("verify", "--probe", url, "--show-path"), cli("explain", url)
            pictures.append(f"{ran.stdout}\n{explained.stdout}")
            return all(each in pictures[-1] for each in told)

        assert eventually(holds), pictures[-1]
        for line in pictures[-1].splitlines():
            assert not re.search(r"✔ .*\bnone\b", line), line
        return pictures[-1]

    return draw


@pytest.mark.parametrize(
    ("made", "url", "matched"),
    [
        ([NAMED], PORTAL, "server name www.wikipedia.org"),
        ([entry()], PORTAL, "208.80.154.224/27"),
        ([entry(addresses=[])], PORTAL, "catch-all"),
        ([entry()], "https://outside.example", "default (PassthroughFilterChain)"),
        ([NAMED], "https://en.wikipedia.org", "default (PassthroughFilterChain)"),
        ([], PORTAL, "catch-all (virtualOutbound-catchall-tcp)"),
        ([WEB], PLAIN, "plain HTTP"),
    ],
    ids=["server name", "block", "no address", "another address", "another name", "nothing", "plain HTTP"],
)
def test_a_filter_chain_is_named_by_what_matched(
    drawn: Callable[..., str], lab: Lab, made: list[dict[str, Any]], url: str, matched: str
) -> None:
    for each in made:
        lab.create(each)
    drawn(url, f"✔ filter chain  {matched}\n", f"✔ filter chain  {matched}: ")


def test_a_request_without_a_route_is_answered_by_the_sidecar_and_not_closed(drawn: Callable[..., str], lab: Lab) -> None:
    lab.create(WEB)
    match = [{"uri": {"prefix": "/api/"}}]
    route = [{"destination": {"host": "www.wikipedia.org", "port": {"number": 80}}}]
    start_object(lab, "VirtualService", "wiki", {"hosts": ["www.wikipedia.org"], "http": [{"match": match, "route": route}]})
    picture = drawn(
        PLAIN,
        "✘ HTTP route    80 / www.wikipedia.org:80: no route matches\n",
        "✘ Envoy cluster none: the sidecar answers with HTTP 404 by itself\n",
        "from the sidecar itself\n",
        "✘ next          the sidecar answers with HTTP 404 by itself",
    )
    assert "closed" not in picture


def test_a_404_of_the_server_is_the_servers(drawn: Callable[..., str], lab: Lab) -> None:
    lab.create(WEB)
    picture = drawn(
        f"{PLAIN}/status/404", "✔ Envoy cluster outbound|80||www.wikipedia.org", "✔ address", "✘ answer        HTTP 404 in "
    )
    assert "the sidecar itself" not in picture
    assert "closed" not in picture


def test_of_a_weighted_route_the_way_is_drawn_that_the_sidecar_took(cli: Cli, lab: Lab) -> None:
    """Its access log says which: of ten requests each goes by one of two, and the picture of each by that one."""
    lab.create(entry())
    lab.create(entry("other-ext", hosts=["other.example"], addresses=["198.51.100.0/24"]))
    ways = [f"outbound|443||{host}" for host in ("wikipedia.org", "other.example")]
    route = [{"destination": {"host": way.rpartition("|")[2], "port": {"number": 443}}, "weight": 50} for way in ways]
    start_object(lab, "VirtualService", "split", {"hosts": ["wikipedia.org"], "tcp": [{"route": route}]})
    assert eventually(lambda: "perhaps" in cli("explain", PORTAL).stdout)
    for _ in range(10):
        began = datetime.now(UTC)
        picture = cli("verify", "wikipedia", "--probe", PORTAL, "--show-path").stdout
        [way] = re.findall(r"Envoy cluster (\S+), the only one of a weighted route's 2 whose counts moved", picture)
        assert eventually(partial(lab.logged, began))
        assert {line.envoy_cluster for line in lab.logged(began)} == {way}
