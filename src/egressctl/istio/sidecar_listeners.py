"""The egress listeners of a Sidecar resource, of which one with a port of its own decides what istiod makes of that port. Pure.

Source: `buildSidecarOutboundListeners` of istio/istio, pilot/pkg/networking/core/listener.go.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from egressctl.istio.sidecar_scope import ImportScope, read_imports
from egressctl.model.entry import Manifest, ServiceEntry
from egressctl.model.json_values import list_at, text_at, texts_at, value_at

_EVERYWHERE = ("", "0.0.0.0", "::")  # noqa: S104 - what a Sidecar says, not what is listened on here


class EgressListener(NamedTuple):
    """One egress listener. `port` 0 is every port that no other one has; `captured`: it takes what iptables redirect."""

    port: int
    hosts: tuple[str, ...]
    protocol: str = ""
    bind: str = ""
    captured: bool = True

    def imports(self, entry: ServiceEntry, namespace: str) -> bool:
        """Say whether it imports anything of an entry for pods of a namespace."""
        imports = read_imports(self.hosts, namespace)
        return any(imports.scope_of(host, entry.namespace) is not ImportScope.NOTHING for host in entry.hosts)

    def takes(self, ip: str) -> bool:
        """Say whether it takes a connection that the pod makes to this address."""
        return self.captured and self.bind in (*_EVERYWHERE, ip)

    def as_declared(self, entry: ServiceEntry) -> ServiceEntry:
        """Return an entry as istiod takes it here: with this listener's protocol and address in place of its own."""
        ports = tuple(
            each._replace(protocol=self.protocol) if each.number == self.port and self.protocol else each for each in entry.ports
        )
        return replace(entry, ports=ports, addresses=entry.addresses if self.bind in _EVERYWHERE else (self.bind,))


def egress_listeners(sidecar: Manifest) -> tuple[EgressListener, ...]:
    """Return the egress listeners of a Sidecar resource; of one without, none, which imports everything."""
    found = []
    for each in list_at(sidecar, "spec", "egress"):
        number = value_at(each, "port", "number")
        found.append(
            EgressListener(
                number if isinstance(number, int) else 0,
                texts_at(each, "hosts"),
                text_at(each, "port", "protocol").upper(),
                text_at(each, "bind"),
                text_at(each, "captureMode") != "NONE",
            )
        )
    return tuple(found)
