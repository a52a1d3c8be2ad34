"""What a sidecar's Envoy says through its admin interface, and what follows from it. Pure: text in, values out.

`dump` reads a config_dump into the values of `config` and `routes`, `walk` follows them to the Envoy cluster that would carry
a connection, `trace` tells the stations of that way, `propagation` compares them with a ServiceEntry, `counts` reads the
connections that were counted, `info` which Envoy it is.
"""

from egressctl.envoy.config import (
    BLACKHOLE,
    CATCH_ALL,
    PASSTHROUGH,
    PASSTHROUGH_CHAIN,
    VIRTUAL_OUTBOUND,
    Destination,
    EnvoyCluster,
    FilterChain,
    Listener,
    ProxyConfig,
    Service,
    Versions,
    destination,
)
from egressctl.envoy.counts import ClusterCounts, HostCounts, moved, parse_clusters
from egressctl.envoy.dump import parse_config, parse_envoy_clusters, parse_routes, parse_versions
from egressctl.envoy.info import ProxyInfo, parse_info
from egressctl.envoy.propagation import missing, present, refusal
from egressctl.envoy.reading import NOTHING, Reading
from egressctl.envoy.routes import RouteConfig
from egressctl.envoy.walk import led_to, outbound_policy, route_names, walk

__all__ = [
    "BLACKHOLE",
    "CATCH_ALL",
    "NOTHING",
    "PASSTHROUGH",
    "PASSTHROUGH_CHAIN",
    "VIRTUAL_OUTBOUND",
    "ClusterCounts",
    "Destination",
    "EnvoyCluster",
    "FilterChain",
    "HostCounts",
    "Listener",
    "ProxyConfig",
    "ProxyInfo",
    "Reading",
    "RouteConfig",
    "Service",
    "Versions",
    "destination",
    "led_to",
    "missing",
    "moved",
    "outbound_policy",
    "parse_clusters",
    "parse_config",
    "parse_envoy_clusters",
    "parse_info",
    "parse_routes",
    "parse_versions",
    "present",
    "refusal",
    "route_names",
    "walk",
]
