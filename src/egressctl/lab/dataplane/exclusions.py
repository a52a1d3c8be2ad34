"""Which of the pod's connections go around its sidecar: istio-iptables' excludeOutboundIPRanges and excludeOutboundPorts."""

from __future__ import annotations

import json
from dataclasses import dataclass

from egressctl.errors import InvalidInput
from egressctl.model.blocks import Block, parse_block


@dataclass(frozen=True, slots=True)
class Exclusions:
    """Blocks and ports that the redirect leaves out."""

    networks: tuple[Block, ...] = ()
    ports: tuple[int, ...] = ()

    def __str__(self) -> str:
        """One argument of a command line, for `parse`."""
        return json.dumps([",".join(map(str, self.networks)), ",".join(map(str, self.ports))])

    def annotations(self) -> dict[str, str]:
        """Return what a pod says for it on a mesh."""
        said = {"excludeOutboundIPRanges": self.networks, "excludeOutboundPorts": self.ports}
        return {f"traffic.sidecar.istio.io/{name}": ",".join(map(str, values)) for name, values in said.items() if values}

    @classmethod
    def parse(cls, text: str) -> Exclusions:
        """Read what `str` wrote."""
        networks, ports = json.loads(text)
        return parse_exclusions(networks, ports)


def parse_exclusions(networks: str, ports: str) -> Exclusions:
    """Read two lists with commas, as Istio's annotations of a pod have them. Raises InvalidInput."""
    return Exclusions(tuple(map(_network, _items(networks))), tuple(map(_port, _items(ports))))


def _items(text: str) -> list[str]:
    return [item for part in text.split(",") if (item := part.strip())]


def _network(text: str) -> Block:
    block = parse_block(text)
    if block is None:
        raise InvalidInput(f"{text!r} is no block to exclude: write one like 208.80.154.224/27")
    return block


def _port(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not 0 < int(text) < 65536:
        raise InvalidInput(f"{text!r} is no port to exclude: write a number from 1 to 65535")
    return int(text)
