"""The HTTP routes that a sidecar has, as far as they decide where a request goes.

As with listeners, what a route holds beyond what is understood here is kept as half a sentence, `unknown`.
Source: envoy/config/route/v3/route_components.proto.
"""

from __future__ import annotations

from typing import NamedTuple


class TextMatch(NamedTuple):
    """How a text must be. `kind`: exact, prefix, suffix, contains, regex, separated-prefix; empty where it is not understood."""

    kind: str
    value: str = ""
    ignore_case: bool = False


class HeaderMatch(NamedTuple):
    """What a route asks of a header, or of `:authority`, `:method`, `:path`. `text` None asks whether it is there."""

    name: str
    text: TextMatch | None
    present: bool = True
    invert: bool = False
    missing_is_empty: bool = False


class Route(NamedTuple):
    """A route of a virtual host: what it matches, and where it leads.

    It leads to `envoy_cluster`, to one of `choices` by chance, or is answered with `direct_status` by the sidecar itself; to none
    of them where `unknown` says why. `criteria` names what else it looks at. `never`: no plain request without a body matches it.
    `not_found_status` is the answer where the Envoy cluster does not exist.
    """

    name: str
    path: TextMatch
    headers: tuple[HeaderMatch, ...] = ()
    criteria: tuple[str, ...] = ()
    never: bool = False
    envoy_cluster: str = ""
    choices: tuple[str, ...] = ()
    direct_status: int = 0
    not_found_status: int = 503
    virtual_service: str = ""
    unknown: str = ""
    authority: str = ""
    """What it makes of the request's host; empty where it leaves that as it is."""


class VirtualHost(NamedTuple):
    """The routes of some host names (`domains`), of which the first that matches is taken."""

    name: str
    domains: tuple[str, ...]
    routes: tuple[Route, ...]
    unknown: str = ""


class RouteConfig(NamedTuple):
    """A route configuration: its virtual hosts. `ignore_port`: that of the request's authority does not count.

    Another `version` means that Envoy has changed it since, to whatever.
    """

    name: str
    virtual_hosts: tuple[VirtualHost, ...]
    ignore_port: bool = False
    unknown: str = ""
    version: str = ""


class HttpConnectionManager(NamedTuple):
    """The end of a filter chain that speaks HTTP: `routes` of its own, else those that are called `route_name`.

    `codec` is Envoy's: AUTO, HTTP1, HTTP2, HTTP3.
    """

    route_name: str
    routes: RouteConfig | None = None
    codec: str = "AUTO"
