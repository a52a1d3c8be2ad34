"""Read a sidecar's config_dump: its listeners, its routes and its Envoy clusters.

Only what is in force is read: `active_state`, not what is draining or warming.
Source: envoy/admin/v3/config_dump_shared.proto.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from egressctl.envoy.admin import as_list, as_object, as_text, extension_type, istio_object_name, read_istio_metadata, read_json
from egressctl.envoy.config import DYNAMIC, EnvoyCluster, Listener, ListenerVersion, OriginService, ProxyConfig
from egressctl.envoy.http import read_routes
from egressctl.envoy.listeners import read_listener
from egressctl.envoy.routes import RouteConfig
from egressctl.errors import ProxyUnreadable

_RAW_BUFFER = "type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer"
_DYNAMIC = "type.googleapis.com/envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig"
_ADMIN = "type.googleapis.com/envoy.admin.v3."


def parse_config(text: str) -> ProxyConfig:
    """Read the answer to `GET config_dump`, whole or with `?resource=dynamic_listeners` and any mask.

    Raises ProxyUnreadable where there is no such thing in it: an empty body, Envoy's one line of error text, a dump
    without listeners and Envoy clusters, or one of another shape.
    """
    listeners: list[Listener] | None = None
    envoy_clusters: dict[str, EnvoyCluster] | None = None
    routes: dict[str, RouteConfig] | None = None
    errors: dict[str, str] = {}
    versions: list[ListenerVersion] = []
    for kind, element in _elements(text):
        if kind in ("StaticListener", "DynamicListener"):
            listeners = listeners or []
            state = as_object(element.get("active_state"), "active_state") if kind == "DynamicListener" else element
            if state.get("listener") is not None:
                listeners.append(read_listener(as_object(state["listener"], "listener")))
            _note_error(errors, element)
            versions += _listener_version(element)
        elif kind == "Cluster":
            found = _envoy_cluster(element)
            envoy_clusters = envoy_clusters or {}
            envoy_clusters[found.name] = found
        elif kind == "Routes":
            routes = routes or {}
            if element:
                config = _route_config(element)
                routes[config.name] = config
    if listeners is None and envoy_clusters is None:
        raise ProxyUnreadable("the sidecar's config_dump has neither listeners nor Envoy clusters")
    return ProxyConfig(None if listeners is None else tuple(listeners), envoy_clusters, errors, frozenset(versions), routes)


def parse_routes(text: str) -> Mapping[str, RouteConfig]:
    """Read the answer to `GET config_dump?resource=dynamic_route_configs`, by name. Raises ProxyUnreadable.

    A mask may leave out all but names and versions.
    """
    found = (_route_config(element) for kind, element in _elements(text) if kind == "Routes" and element)
    return {each.name: each for each in found}


def _route_config(element: Mapping[str, Any]) -> RouteConfig:
    return read_routes(as_object(element.get("route_config"), "route_config"), _version(element))


def _version(element: Mapping[str, Any]) -> str:
    return " ".join(as_text(element.get(key), key) for key in ("version_info", "last_updated"))


def parse_envoy_clusters(text: str) -> Mapping[str, EnvoyCluster]:
    """Read the answer to `GET config_dump?resource=dynamic_active_clusters`, by name. Raises ProxyUnreadable."""
    found = (_envoy_cluster(element) for kind, element in _elements(text) if kind == "Cluster")
    return {each.name: each for each in found}


_NESTED = {
    "static_listeners": "StaticListener",
    "dynamic_listeners": "DynamicListener",
    "static_clusters": "Cluster",
    "dynamic_active_clusters": "Cluster",
    # Static ones are listed here as well, by whatever name: they belong to the listener that holds them.
    "dynamic_route_configs": "Routes",
}
_ALONE = {
    "ListenersConfigDump.DynamicListener": "DynamicListener",
    "ClustersConfigDump.DynamicCluster": "Cluster",
    "ClustersConfigDump.StaticCluster": "Cluster",
    "RoutesConfigDump.DynamicRouteConfig": "Routes",
}


def _elements(text: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Flatten a dump: a whole one nests its listeners and Envoy clusters, one that was asked by resource does not."""
    for item in as_list(read_json(text, "config_dump").get("configs"), "configs"):
        config = as_object(item, "configs[]")
        kind = as_text(config.get("@type"), "@type").removeprefix(_ADMIN)
        if kind in _ALONE:
            yield _ALONE[kind], config
        elif kind in ("ListenersConfigDump", "ClustersConfigDump", "RoutesConfigDump"):
            if kind == "RoutesConfigDump":
                yield "Routes", {}  # That there are none is known as well.
            for key, of in _NESTED.items():
                for element in as_list(config.get(key), key):
                    yield of, as_object(element, f"{key}[]")


def _listener_version(element: Mapping[str, Any]) -> Iterator[ListenerVersion]:
    """Give the version of a dynamic listener, none for one that is still warming up."""
    state = as_object(element.get("active_state"), "active_state")
    if state:
        version, updated = (as_text(state.get(key), key) for key in ("version_info", "last_updated"))
        yield ListenerVersion(as_text(element.get("name"), "name"), version, updated)


def _note_error(errors: dict[str, str], element: Mapping[str, Any]) -> None:
    error = as_object(element.get("error_state"), "error_state")
    if not error:
        return
    # Envoy lists a rejected listener twice, once without its name.
    refused = as_object(error.get("failed_configuration"), "failed_configuration")
    if name := as_text(element.get("name") or refused.get("name"), "name"):
        errors.setdefault(name, as_text(error.get("details"), "details"))


def _envoy_cluster(element: Mapping[str, Any]) -> EnvoyCluster:
    raw = as_object(element.get("cluster"), "cluster")
    name = as_text(raw.get("name"), "an Envoy cluster's name")
    what = f"Envoy cluster {name}"
    noted = read_istio_metadata(raw, what)
    services = (as_object(each, what) for each in as_list(noted.get("services"), what))
    return EnvoyCluster(
        name=name,
        # A type of an extension's own has `cluster_type` instead; protobuf leaves out STATIC, which is zero.
        type=as_text(raw.get("type"), what) or (_extension_of(raw, what) if "cluster_type" in raw else "STATIC"),
        services=tuple(
            OriginService(*(as_text(each.get(key), what) for key in ("host", "namespace", "name"))) for each in services
        ),
        tls=_wraps_in_tls(raw, what),
        destination_rule=istio_object_name(raw, "destination-rule", what),
        subset=as_text(noted.get("subset"), what),
        updated=_version(element),
        endpoints=tuple(_endpoint_addresses(as_object(raw.get("load_assignment"), what), what)),
    )


def _extension_of(raw: Mapping[str, Any], what: str) -> str:
    """Return the type of an Envoy cluster that is an extension's, "" for one that is not known here."""
    return DYNAMIC if extension_type(as_object(raw["cluster_type"], what), what) == _DYNAMIC else ""


def _endpoint_addresses(assignment: Mapping[str, Any], what: str) -> Iterator[str]:
    for locality in as_list(assignment.get("endpoints"), what):
        for each in as_list(as_object(locality, what).get("lb_endpoints"), what):
            address = as_object(as_object(as_object(each, what).get("endpoint"), what).get("address"), what)
            if named := as_text(as_object(address.get("socket_address"), what).get("address"), what):
                yield named


def _wraps_in_tls(raw: Mapping[str, Any], what: str) -> bool:
    if "transport_socket" in raw and not _is_plaintext(as_object(raw["transport_socket"], what), what):
        return True
    matches = (as_object(each, what) for each in as_list(raw.get("transport_socket_matches"), what))
    return any(
        # Only endpoints that have Istio's own labels, sidecars and ztunnels of the mesh, match these.
        as_object(each.get("match"), what) not in ({"tlsMode": "istio"}, {"tunnel": "http"})
        and not _is_plaintext(as_object(each.get("transport_socket"), what), what)
        for each in matches
    )


def _is_plaintext(raw: Mapping[str, Any], what: str) -> bool:
    return extension_type(raw, what) in (_RAW_BUFFER, "envoy.transport_sockets.raw_buffer")
