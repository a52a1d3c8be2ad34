"""What a target opens that its name does not say."""

from __future__ import annotations

from datetime import date
from typing import Any

from egressctl.catalog.lookup import get_target
from egressctl.lifecycle.dangers import dangers_of_target
from egressctl.model.probe import Target

TODAY = date(2026, 11, 30)


def dangers(listed_on: str = "", **spec: Any) -> list[str]:
    ports = [{"number": 443, "name": "a", "protocol": "TCP"}]
    whole = {"hosts": ["far.example"], "addresses": ["192.0.2.0/24"], "ports": ports, **spec}
    return list(dangers_of_target(Target("far", "far-ext", None, whole, (), listed_on=listed_on), TODAY))


def test_a_network_of_a_million_addresses_is_one() -> None:
    assert dangers(addresses=["10.0.0.0/12"]) == ["far opens 1,048,576 addresses, no matter who owns them"]
    assert dangers(addresses=["10.0.0.0/13"]) == []


def test_a_list_of_years_ago_is_one() -> None:
    [told] = dangers("2023-02-16")
    assert told == "far opens addresses from a list of 2023-02-16; some may belong to others by now"
    assert dangers("2025-12-01") == []


def test_where_the_name_decides_the_addresses_do_not() -> None:
    tls = [{"number": 443, "name": "a", "protocol": "TLS"}]
    assert dangers("2020-01-01", addresses=["10.0.0.0/8"], ports=tls) == []


def test_the_catalogue_says_of_which_day_its_lists_are() -> None:
    assert get_target("google").listed_on == "2023-02-16"
    assert len(list(dangers_of_target(get_target("google"), TODAY))) == 2
    assert list(dangers_of_target(get_target("wikipedia"), TODAY)) == []
