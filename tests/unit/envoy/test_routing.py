"""Which HTTP route takes a request: the virtual host by its authority, then the first route that matches."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import recordings
from egressctl.envoy.config import ProxyConfig
from egressctl.envoy.dump import parse_config, parse_routes
from egressctl.envoy.walk import route_names, walk_config
from egressctl.model.evidence import Walk
from egressctl.model.probe import Probe, Speech
from sidecars import ABORT, FAULT, HTTP_INSPECTOR, ROUTER, chain, host, http_chain, route, sidecar

IP = "192.0.2.1"
ASKED = Probe("p", "http://www.wikipedia.org/wiki/Main_Page?action=raw").speech


def asking(authority: str = "www.wikipedia.org", path: str = "/wiki/Main_Page") -> Speech:
    return ASKED._replace(authority=authority, path=path)


def on_80(*hosts: dict[str, Any], **manager: Any) -> ProxyConfig:
    match = {"transport_protocol": "raw_buffer", "application_protocols": ["http/1.1", "h2c"]}
    chains = [http_chain(*hosts, match=match, **manager)]
    return sidecar({"0.0.0.0_80": chains}, chain("BlackHoleCluster"), [HTTP_INSPECTOR])


def taken(config: ProxyConfig, speech: Speech = ASKED) -> Walk:
    return walk_config(config, IP, 80, speech)


def led(config: ProxyConfig, speech: Speech = ASKED) -> str | None:
    way = taken(config, speech)
    assert not way.unknown, way.unknown
    return way.envoy_cluster


def unsure(config: ProxyConfig, speech: Speech = ASKED) -> str:
    way = taken(config, speech)
    assert (way.envoy_cluster, way.choices, way.direct_status) == (None, (), 0)
    return way.unknown


# Virtual hosts


@pytest.mark.parametrize(
    ("authority", "to"),
    [
        ("www.wikipedia.org", "exact"),
        ("WWW.Wikipedia.ORG", "exact"),
        ("en.wikipedia.org", "wikipedia"),
        ("fr.mozilla.org", "org"),
        (".org", "any"),
        ("www.wikimedia.com", "www"),
        ("www.", "any"),
        ("example.com", "any"),
    ],
)
def test_the_virtual_host_is_found_exactly_then_by_suffix_then_by_prefix_the_longest_first(authority: str, to: str) -> None:
    domains = {
        "any": ["*"],
        "www": ["www.*", "ww.*"],
        "org": ["*.org"],
        "wikipedia": ["*.wikipedia.org"],
        "exact": ["x.example", "www.Wikipedia.org"],
    }
    config = on_80(*(host(name, domains=each) for name, each in domains.items()))
    assert led(config, asking(authority)) == to


def test_a_port_counts_unless_the_configuration_leaves_it_out() -> None:
    plain, ported = host("plain", domains=["a.example"]), host("ported", domains=["a.example:8080"])
    speech = asking("a.example:8080")
    assert led(on_80(plain, ported), speech) == "ported"
    assert taken(on_80(plain), speech).direct_status == 404
    ignoring = {"name": "80", "virtual_hosts": [plain], "ignore_port_in_host_matching": True}
    assert led(on_80(route_config=ignoring), speech) == "plain"


def test_without_a_virtual_host_or_a_route_the_sidecar_answers_404() -> None:
    way = taken(on_80(host("other.example")))
    assert (way.envoy_cluster, way.direct_status, way.http_route) == (None, 404, "80")
    way = taken(on_80(host("*"), host("www.wikipedia.org", route("a", {"prefix": "/w/"}))))
    assert (way.envoy_cluster, way.direct_status, way.http_route) == (None, 404, "80 / www.wikipedia.org"), (
        "and there is no way back"
    )


# Routes


@pytest.mark.parametrize(
    ("match", "path", "matches"),
    [
        ({"prefix": "/"}, "/wiki", True),
        ({"prefix": "/wiki"}, "/wikipedia?a=/x", True),
        ({"prefix": "/Wiki"}, "/wiki", False),
        ({"prefix": "/Wiki", "case_sensitive": False}, "/wiki", True),
        ({"path": "/wiki"}, "/wiki?action=raw", True),
        ({"path": "/wiki"}, "/wiki/", False),
        ({"path_separated_prefix": "/wiki"}, "/wiki/a", True),
        ({"path_separated_prefix": "/wiki"}, "/wiki", True),
        ({"path_separated_prefix": "/wiki"}, "/wikipedia", False),
        ({"safe_regex": {"regex": "/wiki/[^/]+"}}, "/wiki/a", True),
        ({"safe_regex": {"regex": "/wiki/[^/]+"}}, "/wiki/a/b", False),
        ({"safe_regex": {"regex": "/wiki.*"}}, "/wiki/a/b", True),
        ({"safe_regex": {"regex": "/.*.*.*b"}}, f"/{'a' * 200}b", True),
        ({"safe_regex": {"regex": "/.*.*b"}}, f"/{'a' * 2000}", False),
        ({"prefix": "/", "grpc": {}}, "/", False),
        ({"connect_matcher": {}}, "/", False),
        ({"prefix": "/", "headers": [{"name": ":authority", "string_match": {"exact": "www.wikipedia.org"}}]}, "/", True),
        (
            {"prefix": "/", "headers": [{"name": ":authority", "string_match": {"suffix": ".ORG", "ignore_case": True}}]},
            "/",
            True,
        ),
        ({"prefix": "/", "headers": [{"name": ":method", "exact_match": "POST"}]}, "/", False),
        ({"prefix": "/", "headers": [{"name": ":method", "exact_match": "POST", "invert_match": True}]}, "/", True),
        ({"prefix": "/", "headers": [{"name": ":path", "string_match": {"contains": "action=raw"}}]}, "/?action=raw", True),
        ({"prefix": "/", "headers": [{"name": "end-user", "string_match": {"exact": "jason"}}]}, "/", False),
        ({"prefix": "/", "headers": [{"name": "end-user", "present_match": True}]}, "/", False),
        ({"prefix": "/", "headers": [{"name": "end-user", "present_match": True, "invert_match": True}]}, "/", True),
        ({"prefix": "/", "headers": [{"name": "end-user"}]}, "/", False),
        (
            {
                "prefix": "/",
                "headers": [
                    {
                        "name": "end-user",
                        "string_match": {"exact": "jason"},
                        "invert_match": True,
                        "treat_missing_header_as_empty": True,
                    }
                ],
            },
            "/",
            True,
        ),
        ({"prefix": "/w", "query_parameters": [{"name": "a"}]}, "/a", False),
    ],
)
def test_the_first_route_that_matches_is_taken(match: dict[str, Any], path: str, matches: bool) -> None:
    config = on_80(host("www.wikipedia.org", route("a", match), route("b")))
    assert led(config, asking(path=path)) == ("a" if matches else "b")


@pytest.mark.parametrize(
    ("match", "path", "depends"),
    [
        ({"prefix": "/wiki"}, "/a/../wiki", "the path"),
        ({"prefix": "/wiki"}, "//wiki", "the path"),
        ({"prefix": "/wiki"}, "/w%69ki", "the path"),
        ({"prefix": "/"}, "/wiki%2Fa", "the path"),
        ({"safe_regex": {"regex": "(a|b)*"}}, "/", "the path"),
        ({"safe_regex": {"regex": r"/\pL"}}, "/", "the path"),
        ({"safe_regex": {"regex": "a*a*a*a*"}}, "/", "the path"),
        ({"safe_regex": {"regex": "/.*.*.*b"}}, f"/{'a' * 2000}", "the path"),
        ({"path_match_policy": {}}, "/", "the path"),
        ({"prefix": "/", "headers": [{"name": "user-agent", "present_match": True}]}, "/", "the header user-agent"),
        ({"prefix": "/", "headers": [{"name": "x-request-id", "present_match": True}]}, "/", "the header x-request-id"),
        ({"prefix": "/", "headers": [{"name": ":scheme", "exact_match": "http"}]}, "/", "the header :scheme"),
        ({"prefix": "/", "headers": [{"name": "a", "exact_match": "b", "invert_match": True}]}, "/", "the header a"),
        (
            {"prefix": "/", "headers": [{"name": "a", "present_match": True, "treat_missing_header_as_empty": True}]},
            "/",
            "the header a",
        ),
        ({"prefix": "/", "headers": [{"name": ":method", "range_match": {"start": 1}}]}, "/", "the header :method"),
        ({"prefix": "/", "query_parameters": [{"name": "a"}]}, "/", "query_parameters"),
        ({"prefix": "/", "runtime_fraction": {"default_value": {"numerator": 10}}}, "/", "runtime_fraction"),
        ({"prefix": "/", "a_field_of_tomorrow": {}}, "/", "a_field_of_tomorrow"),
    ],
)
def test_what_cannot_be_held_against_a_route_makes_it_and_all_after_it_unknown(
    match: dict[str, Any], path: str, depends: str
) -> None:
    first = on_80(host("www.wikipedia.org", route("a", match), route("b")))
    assert unsure(first, asking(path=path)).endswith(f"depends on {depends}")
    later = on_80(host("www.wikipedia.org", route("b"), route("a", match)))
    if "%2" not in path:
        assert led(later, asking(path=path)) == "b"


def test_a_route_is_named_with_its_virtual_host_and_its_virtualservice() -> None:
    noted = {"filter_metadata": {"istio": {"config": "/apis/networking.istio.io/v1/namespaces/default/virtual-service/detour"}}}
    way = taken(on_80(host("www.wikipedia.org", route("a", name="default", metadata=noted))))
    assert (way.http_route, way.virtual_service) == ("80 / www.wikipedia.org / default", "default/detour")
    assert taken(on_80(host("www.wikipedia.org", route("a", {"path": "/"}), route("b")))).http_route.endswith(" / route 2")


def routed_by(*names: str) -> list[dict[str, Any]]:
    """Routes for paths that nobody asks for, each of a VirtualService, or of none."""
    made = "/apis/networking.istio.io/v1/namespaces/default/virtual-service/"
    noted = [{"metadata": {"filter_metadata": {"istio": {"config": made + name}}}} if name else {} for name in names]
    return [route(f"r{index}", {"prefix": "/no/"}, **each) for index, each in enumerate(noted)]


@pytest.mark.parametrize(
    ("made_by", "named"), [(("detour", "detour"), "default/detour"), (("detour", "other"), ""), (("detour", ""), "")]
)
def test_a_virtualservice_that_has_no_route_for_a_request_is_named(made_by: tuple[str, ...], named: str) -> None:
    way = taken(on_80(host("www.wikipedia.org", *routed_by(*made_by))))
    assert (way.unrouted, way.direct_status, way.virtual_service, way.envoy_cluster) == (True, 404, named, None)


@pytest.mark.parametrize(
    ("rewritten", "authority"),
    [("en.wikipedia.org", "en.wikipedia.org"), ("WWW.wikipedia.org", ""), ("www.wikipedia.org:80", ""), ("", "")],
)
def test_a_route_that_asks_for_another_host_says_which(rewritten: str, authority: str) -> None:
    led_to = route("a")
    led_to["route"] |= {"host_rewrite_literal": rewritten} if rewritten else {}
    assert taken(on_80(host("www.wikipedia.org", led_to))).authority == authority


def test_a_route_to_a_backend_that_istiod_does_not_know_leads_nowhere() -> None:
    way = taken(replace(on_80(host("www.wikipedia.org", route("UnknownService"))), envoy_clusters={}))
    assert (way.envoy_cluster, way.absent, way.unknown) == ("UnknownService", True, "")


# Where routes lead


@pytest.mark.parametrize(
    ("ends", "status"),
    [
        ({"direct_response": {"status": 502}}, 502),
        ({"redirect": {"https_redirect": True}}, 301),
        ({"redirect": {"response_code": "TEMPORARY_REDIRECT"}}, 307),
    ],
)
def test_the_sidecar_may_answer_by_itself(ends: dict[str, Any], status: int) -> None:
    way = taken(on_80(host("www.wikipedia.org", route(**ends))))
    assert (way.envoy_cluster, way.direct_status, way.unknown) == (None, status, "")


def test_weights_are_choices_unless_all_is_on_one() -> None:
    def weighing(**weights: int) -> Walk:
        clusters = [{"name": name, "weight": weight} for name, weight in weights.items()]
        return taken(on_80(host("www.wikipedia.org", route(route={"weighted_clusters": {"clusters": clusters}}))))

    assert (weighing(a=50, b=50).envoy_cluster, weighing(a=50, b=50).choices) == (None, ("a", "b"))
    assert (weighing(a=0, b=100).envoy_cluster, weighing(a=0, b=100).choices) == ("b", ())


@pytest.mark.parametrize(("code", "status"), [({}, 503), ({"cluster_not_found_response_code": "NOT_FOUND"}, 404)])
def test_an_envoy_cluster_that_does_not_exist_is_answered_for(code: dict[str, str], status: int) -> None:
    name = "outbound|80||nowhere.example"
    config = on_80(host("www.wikipedia.org", route(route={"cluster": name, **code})))
    assert led(config) == name
    way = taken(replace(config, envoy_clusters={}))
    assert (way.envoy_cluster, way.absent, way.direct_status, way.unknown) == (name, True, status, "")


def test_one_that_istiod_does_not_make_is_not_called_absent() -> None:
    assert "none that istiod makes" in unsure(replace(on_80(host("www.wikipedia.org")), envoy_clusters={}))


@pytest.mark.parametrize(
    ("ends", "says"),
    [
        ({"route": {"cluster_header": "x"}}, "cluster_header"),
        ({"route": {"cluster": "a", "internal_redirect_policy": {}}}, "internal_redirect_policy"),
        ({"route": {"weighted_clusters": {"clusters": [{"cluster_header": "x", "weight": 1}]}}}, "cluster_header"),
        ({"route": {"weighted_clusters": {"clusters": [], "header_name": "x"}}}, "header_name"),
        ({"route": {}}, "names no Envoy cluster"),
        ({"filter_action": {}}, "filter_action"),
        ({"route": {"cluster": "a"}, "typed_per_filter_config": {"envoy.filters.http.fault": {}}}, "envoy.filters.http.fault"),
        ({"redirect": {"response_code": "OF_TOMORROW"}}, "OF_TOMORROW"),
    ],
)
def test_a_route_that_is_not_understood_makes_the_way_unknown(ends: dict[str, Any], says: str) -> None:
    config = on_80(host("www.wikipedia.org", route(match={"prefix": "/w/"}, **ends), route("b")))
    assert led(config) == "b"
    assert says in unsure(config, asking(path="/w/"))


@pytest.mark.parametrize(
    ("manager", "says"),
    [
        ({"http_filters": []}, "router"),
        ({"http_filters": [ROUTER, FAULT]}, "router"),
        ({"http_filters": [{"name": "envoy.filters.http.ext_authz"}, ROUTER]}, "ext_authz"),
        ({"http_filters": [ABORT, ROUTER]}, "abort"),
        ({"scoped_routes": {}, "route_config": None}, "scoped_routes"),
        ({"strip_any_host_port": True}, "strip_any_host_port"),
        ({"local_reply_config": {}}, "local_reply_config"),
        ({"codec_type": "HTTP2"}, "HTTP2"),
        ({"route_config": None}, "does not say where its routes are"),
        ({"route_config": None, "rds": {"route_config_name": "80"}}, "80 was not read"),
        ({"route_config": {"name": "80", "vhds": {}}}, "vhds"),
        ({"route_config": {"virtual_hosts": [host("*", require_tls="ALL")]}}, "wants TLS"),
        ({"route_config": {"virtual_hosts": [host("*", matcher={})]}}, "matcher"),
    ],
)
def test_a_manager_that_is_not_understood_makes_the_way_unknown(manager: dict[str, Any], says: str) -> None:
    assert says in unsure(on_80(host("*"), **manager))


def test_filters_that_answer_nothing_by_themselves_do_no_harm() -> None:
    assert led(on_80(host("*"), http_filters=[FAULT, ROUTER])) == "*"


def test_a_request_to_connect_is_not_understood() -> None:
    assert "CONNECT" in unsure(on_80(host("*")), ASKED._replace(method="CONNECT"))


# Routes that are read by themselves


def test_routes_are_those_of_their_name() -> None:
    config = on_80(route_config=None, rds={"route_config_name": "80"})
    (other,) = on_80(host("*")).listeners[1].filter_chains  # type: ignore[index]
    assert other.http
    assert other.http.routes
    assert route_names(config, IP, 80, ASKED) == {"80"}
    assert route_names(config, IP, 80, Probe("p", "https://www.wikipedia.org:80/").speech) == frozenset()
    assert led(replace(config, routes={"80": other.http.routes})) == "*"
    assert "has no route configuration 80" in unsure(replace(config, routes={}))


def test_a_dump_of_the_routes_alone_holds_what_a_whole_one_does() -> None:
    dump = json.loads(recordings.load("http-80").config_dump or "")
    whole = next(config for config in dump["configs"] if "dynamic_route_configs" in config)["dynamic_route_configs"]
    kind = {"@type": "type.googleapis.com/envoy.admin.v3.RoutesConfigDump.DynamicRouteConfig"}
    found = parse_routes(json.dumps({"configs": [{**kind, **each} for each in whole]}))
    assert found == parse_config(recordings.load("http-80").config_dump or "").routes
    assert list(found) == ["80"]
    masked = {**kind, "version_info": "7", "last_updated": "2026-11-25T21:16:15Z", "route_config": {"name": "80"}}
    assert parse_routes(json.dumps({"configs": [masked]}))["80"].version == "7 2026-11-25T21:16:15Z"
    assert parse_routes("{}") == {}


# All together: against the longest match, written down again


DOMAINS = st.sampled_from(["*", "a.b", "*.b", "*b", "x.*", "x*", "*.a.b", "x.a.b"])


@given(st.lists(DOMAINS, unique=True, max_size=6), st.sampled_from(["a.b", "x.a.b", "y.a.b", "x.c", "c", "b", "xb"]))
def test_the_virtual_host_is_that_of_the_model(domains: list[str], authority: str) -> None:
    config = on_80(*(host(each) for each in domains))

    def rank(domain: str) -> tuple[int, int] | None:
        if domain == "*":
            return 0, 0
        if domain == authority:
            return 3, 0
        if domain[0] == "*" and authority.endswith(domain[1:]) and authority != domain[1:]:
            return 2, len(domain)
        if domain[-1] == "*" and authority.startswith(domain[:-1]) and authority != domain[:-1]:
            return 1, len(domain)
        return None

    fitting = [each for each in domains if rank(each)]
    expected = max(fitting, key=lambda each: rank(each) or (0, 0), default=None)
    assert led(config, asking(authority)) == expected
