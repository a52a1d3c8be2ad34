"""Which filter chain takes a connection: each criterion in Envoy's order, and all of them against a model of their own."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egressctl.envoy.config import ProxyConfig
from egressctl.envoy.dump import parse_config
from egressctl.envoy.walk import walk_config
from egressctl.model.evidence import Walk
from egressctl.model.probe import SILENT, Speech
from sidecars import BOTH, HTTP_INSPECTOR, TLS_INSPECTOR, chain, dump, host, http_chain, sidecar, weighted_chain

IP = "192.0.2.1"
OFFERED = ("h2", "http/1.1")


def tls(server_name: str = "www.wikipedia.org", protocols: Sequence[str] = OFFERED) -> Speech:
    return Speech(tls=True, server_name=server_name, protocols=tuple(protocols))


PLAIN = Speech(tls=False, protocols=("http/1.1",), authority="www.wikipedia.org")


def on_443(
    *chains: dict[str, Any], default: dict[str, Any] | None = None, filters: Sequence[Mapping[str, Any]] = BOTH
) -> ProxyConfig:
    return sidecar({"0.0.0.0_443": chains}, default or chain("default"), filters)


def led(config: ProxyConfig, speech: Speech, ip: str = IP) -> str | None:
    way = walk_config(config, ip, 443, speech)
    assert not way.unknown, way.unknown
    return way.envoy_cluster


def unsure(config: ProxyConfig, speech: Speech) -> str:
    way = walk_config(config, IP, 443, speech)
    assert (way.envoy_cluster, way.choices, way.direct_status) == (None, (), 0)
    return way.unknown


# Server names


@pytest.mark.parametrize(
    ("name", "to"),
    [
        ("www.wikipedia.org", "exact"),
        ("en.wikipedia.org", "wikipedia"),
        ("a.en.wikipedia.org", "wikipedia"),
        ("www.mozilla.org", "org"),
        ("wikipedia.org", "org"),
        ("org", "none"),
        ("www.example.com", "none"),
        ("", "none"),
    ],
)
def test_server_names_are_tried_exactly_then_by_the_longest_wildcard_then_not_at_all(name: str, to: str) -> None:
    config = on_443(
        chain("none"),
        chain("org", server_names=["*.org"]),
        chain("wikipedia", server_names=["*.wikipedia.org", "*.wikimedia.org"]),
        chain("exact", server_names=["WWW.wikipedia.org"]),
    )
    assert led(config, tls(name)) == to


def test_the_server_name_that_matched_is_told() -> None:
    config = on_443(chain("a", server_names=["*.wikipedia.org"]), chain("b", server_names=["b.example"]), chain("c"))
    names = [walk_config(config, IP, 443, tls(name)).server_name for name in ("www.wikipedia.org", "b.example", "c.example")]
    assert names == ["*.wikipedia.org", "b.example", ""]


def test_an_exact_server_name_rules_out_wildcards_even_where_it_asks_for_more() -> None:
    config = on_443(
        chain("wild", server_names=["*.wikipedia.org"]),
        chain("h3", server_names=["www.wikipedia.org"], application_protocols=["h3"]),
    )
    assert led(config, tls()) == "default"


def test_the_longest_block_rules_out_a_shorter_one_that_has_the_server_name() -> None:
    config = on_443(chain("tcp", "192.0.2.0/28"), chain("tls", "192.0.2.0/24", server_names=["www.wikipedia.org"]))
    assert led(config, tls()) == "tcp"
    assert led(config, tls(), "192.0.2.99") == "tls"
    assert led(config, tls("en.wikipedia.org"), "192.0.2.99") == "default"


def test_on_one_block_a_filter_chain_by_server_name_goes_before_one_without() -> None:
    config = on_443(chain("tcp", "192.0.2.0/24"), chain("tls", "192.0.2.0/24", server_names=["www.wikipedia.org"]))
    assert (led(config, tls()), led(config, tls("en.wikipedia.org"))) == ("tls", "tcp")


# Transport and application protocols


def test_the_transport_protocol_is_tls_where_an_inspector_saw_it() -> None:
    config = on_443(chain("tls", transport_protocol="tls"), chain("raw", transport_protocol="raw_buffer"))
    assert (led(config, tls()), led(config, PLAIN)) == ("tls", "raw")


def test_a_transport_protocol_that_fits_rules_out_a_filter_chain_that_asks_for_none() -> None:
    config = on_443(chain("h3", transport_protocol="tls", application_protocols=["h3"]), chain("any"))
    assert (led(config, tls()), led(config, PLAIN)) == ("default", "any")


def test_application_protocols_are_tried_in_the_clients_order() -> None:
    config = on_443(chain("a", application_protocols=["a"]), chain("b", application_protocols=["b", "c"]), chain("none"))
    assert [led(config, tls(protocols=each)) for each in ("ab", "ba", "ca", "xb", "x", "")] == [
        "a",
        "b",
        "b",
        "b",
        "none",
        "none",
    ]


def test_plain_http_is_an_application_protocol_where_an_inspector_saw_it() -> None:
    istio = chain("http", transport_protocol="raw_buffer", application_protocols=["http/1.1", "h2c"])
    assert led(on_443(istio), PLAIN) == "http"
    assert led(on_443(istio, filters=[TLS_INSPECTOR]), PLAIN) == "default"
    assert led(on_443(istio), tls()) == "default", "TLS on a port declared HTTP"


# What is seen


def test_without_an_inspector_tls_is_a_raw_buffer_without_names() -> None:
    chains = [chain("tls", server_names=["www.wikipedia.org"]), chain("raw", transport_protocol="raw_buffer")]
    assert [led(on_443(*chains, filters=each), tls()) for each in ([], [HTTP_INSPECTOR], BOTH)] == ["raw", "raw", "tls"]


def test_what_the_entrance_saw_stays_with_the_connection() -> None:
    text = dump({"0.0.0.0_443": [chain("tls", server_names=["www.wikipedia.org"])]}, chain("default"))
    entrance = text["configs"][0]["dynamic_listeners"][0]["active_state"]["listener"]
    entrance["listener_filters"] = [TLS_INSPECTOR]
    assert led(parse_config(json.dumps(text)), tls()) == "tls"


@pytest.mark.parametrize(
    "inspector",
    [
        {**TLS_INSPECTOR, "filter_disabled": {"destination_port_range": {"start": 15006, "end": 15007}}},
        {**TLS_INSPECTOR, "typed_config": {**TLS_INSPECTOR["typed_config"], "close_connection_on_error": True}},  # type: ignore[dict-item]
    ],
)
def test_an_inspector_that_is_not_understood_matters_only_where_it_makes_a_difference(inspector: dict[str, Any]) -> None:
    by_name = on_443(chain("tls", server_names=["www.wikipedia.org"]), filters=[inspector])
    assert "tls_inspector with settings that are not understood" in unsure(by_name, tls())
    assert led(by_name, tls("en.wikipedia.org")) == "default"
    assert led(on_443(chain("tcp", "192.0.2.0/24"), filters=[inspector]), tls()) == "tcp"


def test_what_depends_on_http_2_is_unknown() -> None:
    """Whether the pod's curl was built with it is not known."""
    config = on_443(chain("h2", application_protocols=["h2"]), chain("h1", application_protocols=["http/1.1"]))
    assert unsure(config, tls()) == "the path depends on whether the client offers HTTP/2"
    both = on_443(chain("both", application_protocols=["h2", "http/1.1"]), chain("none"))
    assert led(both, tls()) == "both"


@pytest.mark.parametrize("inspectors", [[TLS_INSPECTOR], [HTTP_INSPECTOR], BOTH])
def test_where_the_client_says_nothing_an_inspector_waits(inspectors: Sequence[Mapping[str, Any]]) -> None:
    assert "waits for what the client says first" in unsure(on_443(chain("a"), filters=inspectors), SILENT)
    assert led(on_443(chain("a"), filters=[]), SILENT) == "a"


# What is not decided


@pytest.mark.parametrize(
    "criterion",
    [
        {"source_type": "EXTERNAL"},
        {"source_ports": [1]},
        {"source_prefix_ranges": [{"address_prefix": "10.0.0.0", "prefix_len": 8}]},
    ],
)
def test_a_criterion_of_the_source_is_unknown_only_where_it_is_reached(criterion: dict[str, Any]) -> None:
    config = on_443(chain("a", server_names=["www.wikipedia.org"], **criterion), chain("b"))
    assert next(iter(criterion)) in unsure(config, tls())
    assert led(config, tls("en.wikipedia.org")) == "b"


def test_a_criterion_of_tomorrow_makes_its_whole_block_unknown() -> None:
    config = on_443(chain("a", server_names=["www.wikipedia.org"], a_field_of_tomorrow=1), chain("b"))
    assert "a_field_of_tomorrow" in unsure(config, tls("en.wikipedia.org"))


def test_a_filter_chain_of_no_block_beside_one_of_every_address_is_not_decided() -> None:
    config = on_443(chain("a", server_names=["www.wikipedia.org"]), chain("b", "0.0.0.0/0"))
    assert "match alike" in unsure(config, tls())
    assert "match alike" in unsure(config, tls("en.wikipedia.org"))


# Weights, and the other ends


def test_weights_are_choices_unless_all_is_on_one() -> None:
    way = walk_config(on_443(weighted_chain(a=50, b=50, c=0)), IP, 443, tls())
    assert (way.envoy_cluster, way.choices, way.unknown) == (None, ("a", "b"), "")
    assert walk_config(on_443(weighted_chain(a=100, b=0)), IP, 443, tls()) == Walk("0.0.0.0_443", "", "a")


def test_tls_on_a_filter_chain_that_speaks_http_is_a_bad_request() -> None:
    config = on_443(http_chain(host("any", domains=["*"])), filters=[])
    way = walk_config(config, IP, 443, tls())
    assert (way.envoy_cluster, way.direct_status, way.unknown) == (None, 400, "")
    assert "what the client says is not known" in unsure(config, SILENT)


# All together


NAMES = ["a.b.c", "b.c", "x.b.c", "c", "y"]
PATTERNS = ["a.b.c", "*.b.c", "*.c", "b.c", "y"]
BLOCKS = ["192.0.2.0/24", "192.0.2.0/30", "192.0.2.1/32", "0.0.0.0/1", "198.51.100.0/24"]
MATCHES = st.fixed_dictionaries(
    {},
    optional={
        "port": st.sampled_from([443, 8443]),
        "blocks": st.lists(st.sampled_from(BLOCKS), min_size=1, max_size=2, unique=True),
        "server_names": st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=2, unique=True),
        "transport_protocol": st.sampled_from(["tls", "raw_buffer"]),
        "application_protocols": st.lists(st.sampled_from(["h1", "h3", "x"]), min_size=1, max_size=2, unique=True),
    },
)
SPEECHES = st.one_of(
    st.builds(tls, st.sampled_from([*NAMES, ""]), st.lists(st.sampled_from(["h1", "h3"]), max_size=2, unique=True)),
    st.builds(lambda protocols: Speech(tls=False, protocols=protocols, authority="a"), st.sampled_from([("h1",), ("x",), ()])),
)


def model(matches: Sequence[Mapping[str, Any]], ip: str, speech: Speech, *, sees_tls: bool, sees_http: bool) -> str:
    """Filter all filter chains by one criterion after the other, each time by the best value that any of them has."""
    address = ip_address(ip)
    names, protocols, transport = [""], [""], "raw_buffer"
    if speech.tls and sees_tls:
        labels = speech.server_name.split(".")
        names = [speech.server_name, *("*." + ".".join(labels[at:]) for at in range(1, len(labels))), ""]
        transport, protocols = "tls", [*speech.protocols, ""]
    elif not speech.tls and sees_http:
        protocols = [*speech.protocols, ""]
    nets = sorted((ip_network(each) for each in BLOCKS), key=lambda each: -each.prefixlen)
    blocks = [*(str(each) for each in nets if address in each), ""]
    left = list(enumerate(matches))
    for key, preferred in (
        ("port", [443, 0]),
        ("blocks", blocks),
        ("server_names", names),
        ("transport_protocol", [transport, ""]),
        ("application_protocols", protocols),
    ):

        def values(match: Mapping[str, Any], key: str = key) -> list[Any]:
            value = match.get(key) or (0 if key == "port" else "")
            return value if isinstance(value, list) else [value]

        left = next((kept for best in preferred if (kept := [each for each in left if best in values(each[1])])), [])
    return f"chain-{left[0][0]}" if len(left) == 1 else "default" if not left else "alike"


@given(
    st.lists(MATCHES, max_size=7),
    st.sampled_from(["192.0.2.1", "192.0.2.3", "203.0.113.9"]),
    SPEECHES,
    st.booleans(),
    st.booleans(),
)
def test_the_walk_is_that_of_the_model(
    matches: list[dict[str, Any]],
    ip: str,
    speech: Speech,
    sees_tls: bool,
    sees_http: bool,
) -> None:
    chains = [
        chain(f"chain-{number}", *match.get("blocks", ()), **{key: each for key, each in match.items() if key != "blocks"})
        for number, match in enumerate(matches)
    ]
    config = on_443(*chains, filters=[*[TLS_INSPECTOR] * sees_tls, *[HTTP_INSPECTOR] * sees_http])
    if speech == SILENT:
        return
    expected = model(matches, ip, speech, sees_tls=sees_tls, sees_http=sees_http)
    way = walk_config(config, ip, 443, speech)
    assert (way.envoy_cluster or "alike") == expected
    assert bool(way.unknown) == (expected == "alike")
