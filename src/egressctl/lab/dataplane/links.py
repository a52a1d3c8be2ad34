"""The networks of the lab: two pods, each linked to the internet, where every address is local.

With its sidecar's redirect, nothing of a pod's but what is excluded from it crosses the link.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping

from egressctl.lab.dataplane import netlink
from egressctl.lab.dataplane.names import POD_ADDRESS

SIDECAR_POD, BARE_POD, INTERNET = POD_ADDRESS, "10.244.0.6", "10.244.0.1"
"""Addresses of the pod with a sidecar, of one without, and what the internet's own connections come from."""
_GATEWAY, _NAME = "169.254.1.1", "eth0"


def set_up_internet(pods: Mapping[str, int]) -> None:
    """Make this network namespace the internet, linked to pods: address -> file descriptor of a network namespace."""
    netlink.link_up()
    netlink.add_address(INTERNET)
    netlink.make_all_addresses_local(INTERNET)
    for number, (address, namespace) in enumerate(pods.items()):
        name = f"pod{number}"
        netlink.add_veth(name, _NAME, namespace)
        index = socket.if_nametoindex(name)
        netlink.link_up(index)
        # More precise than the route by which every address is local here.
        netlink.add_route(address, index)


def set_up_pod(address: str) -> None:
    """Make this network namespace, which has its link already, a pod of that address."""
    netlink.link_up()
    index = socket.if_nametoindex(_NAME)
    netlink.add_address(address, index)
    netlink.link_up(index)
    netlink.add_default_route(_GATEWAY, index)
