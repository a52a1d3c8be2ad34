"""Choose the HTTP route that a request takes, as Envoy does.

The virtual host is found by the request's authority: exactly, then by `*suffix` and by `prefix*`, the longest first, then `*`.
Its first route that matches is taken, and no other virtual host is tried. Where there is none, the sidecar answers 404 by itself.
Source: RouteMatcher::findVirtualHost and VirtualHostImpl::getRouteFromEntries, source/common/router/config_impl.cc;
HeaderUtility::matchHeaders, source/common/http/header_utility.cc.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from egressctl.envoy.routes import HeaderMatch, Route, RouteConfig, TextMatch, VirtualHost
from egressctl.model.probe import Speech

# Headers that curl sends, or a sidecar adds, with values that are not known here.
_NOT_KNOWN = re.compile(
    r":.*|host|user-agent|accept|connection|content-.*|transfer-encoding|range|te|upgrade|expect|date|via|http2-settings|b3|trace.*"
    r"|x-(?:envoy|forwarded|request-id|b3|ot|cloud|datadog|amzn|client|real|istio).*"
)
_PLAIN = re.compile(r"[A-Za-z0-9._~!$&'()*+,=:@/-]*")
_UNSAFE = re.compile(r"%(?:00|2f|5c)|\\", re.IGNORECASE)
# Of regular expressions those that Python and RE2 read alike; without groups each repetition multiplies the steps by a text's
# length, and no more.
_SIMPLE = re.compile(r"\^?(?:(?:[A-Za-z0-9/_~=,:@-]|\\[.+*?-]|\.|\[\^?[A-Za-z0-9/_.-]+\])[*+?]?)*\$?")


_MOST_STEPS = 10_000_000
"""So many steps take a tenth of a second: anyone may write a VirtualService, and a URL of 2,000 characters."""


@dataclass(frozen=True, slots=True)
class RouteChoice:
    """The route, None where there is none, or where `unknown` says why it is not known. `passed` did not match before it."""

    virtual_host: VirtualHost | None
    route: Route | None
    passed: tuple[Route, ...] = ()
    unknown: str = ""


def find_route(routes: RouteConfig, speech: Speech) -> RouteChoice:
    """Find the route that a request takes. A `speech` without HTTP is not asked for."""
    if routes.unknown:
        return RouteChoice(None, None, unknown=routes.unknown)
    host = _virtual_host(routes, speech.authority)
    if host is None:
        return RouteChoice(None, None)
    if host.unknown:
        return RouteChoice(host, None, unknown=host.unknown)
    for index, route in enumerate(host.routes):
        matches, why = _route_matches(route, speech)
        if matches is None:
            name = f"route {route.name}" if route.name else f"route {index + 1}"
            return RouteChoice(
                host, None, host.routes[:index], f"whether {name} of virtual host {host.name} matches depends on {why}"
            )
        if matches:
            return RouteChoice(host, route, host.routes[:index], route.unknown)
    return RouteChoice(host, None, host.routes)


def _virtual_host(routes: RouteConfig, authority: str) -> VirtualHost | None:
    name = authority.lower()
    if routes.ignore_port:
        name = re.sub(r"(?<=.):[0-9]*$", "", name) if not name.endswith("]") else name
    found: list[tuple[int, int, VirtualHost]] = []
    for host in routes.virtual_hosts:
        for domain in map(str.lower, host.domains):
            if domain == "*":
                found.append((3, 0, host))
            elif domain == name:
                found.append((0, 0, host))
            elif domain.startswith("*") and len(name) >= len(domain) and name.endswith(domain[1:]):
                found.append((1, -len(domain), host))
            elif domain.endswith("*") and len(name) >= len(domain) and name.startswith(domain[:-1]):
                found.append((2, -len(domain), host))
    return min(found, key=lambda each: each[:2])[2] if found else None


def _route_matches(route: Route, speech: Speech) -> tuple[bool | None, str]:
    """Say whether the route matches; None, and what that depends on, where it is not known."""
    if speech.method == "CONNECT":
        return None, "the method CONNECT"
    if route.never:
        return False, ""
    path = speech.path.partition("?")[0]
    results = [(_path_matches(route.path, path), "the path")]
    results += [(_header_matches(each, speech), f"the header {each.name}") for each in route.headers]
    results += [(None, each) for each in route.criteria]
    if any(result is False for result, _ in results):
        return False, ""
    return next(((None, why) for result, why in results if result is None), (True, ""))


def _path_matches(match: TextMatch, path: str) -> bool | None:
    if _UNSAFE.search(path) or not path.startswith("/"):
        return None
    if match.kind == "prefix" and match.value == "/":
        return True
    # A sidecar may normalise the path first, which leaves these as they are.
    segments = path.split("/")[1:]
    plain = _PLAIN.fullmatch(path) and "" not in segments[:-1] and not {".", ".."} & set(segments)
    return _text_matches(match, path) if plain else None


def _header_matches(match: HeaderMatch, speech: Speech) -> bool | None:
    known = {":authority": speech.authority, ":method": speech.method, ":path": speech.path}
    value = known.get(match.name)
    if match.name == ":path" and (_path_matches(TextMatch("prefix"), speech.path.partition("?")[0]) is None):
        return None
    if value is None and _NOT_KNOWN.fullmatch(match.name):
        return None
    if match.text is None:
        if value is None and match.missing_is_empty:
            return None
        return ((value is not None) == match.present) != match.invert
    if value is None and not match.missing_is_empty:
        return None if match.invert else False
    result = _text_matches(match.text, value or "")
    return None if result is None else result != match.invert


def _text_matches(match: TextMatch, text: str) -> bool | None:
    value = match.value
    if match.kind == "regex":
        repetitions = len(re.findall(r"[*+?]", value))
        if repetitions > 3 or not _SIMPLE.fullmatch(value) or (len(text) + 1) ** repetitions > _MOST_STEPS:
            return None
        return re.fullmatch(value, text, re.DOTALL) is not None
    if match.ignore_case:
        value, text = value.lower(), text.lower()
    if match.kind == "exact":
        return text == value
    if match.kind == "prefix":
        return text.startswith(value)
    if match.kind == "suffix":
        return text.endswith(value)
    if match.kind == "contains":
        return value in text
    if match.kind == "separated-prefix":
        return text == value or text.startswith(f"{value}/")
    return None
