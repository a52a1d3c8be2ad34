"""A host is the name of a Kubernetes Service, which is not outside the mesh.

Sidecars know the Services of the Kubernetes cluster already, by these names. The entry competes with the Service for its host.
lint skips entries inside the mesh (MESH_INTERNAL).

    hosts: [db.shop.svc.cluster.local]

Write the host name that the service has outside, or remove the entry: a Service needs no entry.
"""

import re
from collections.abc import Iterator

from egressctl.lint.rule import LintedEntry, Rule, Severity, Told
from egressctl.manifests.formats import LOCATIONS

_SERVICE = re.compile(r"([^.]+\.){2,}svc(\.cluster\.local)?\.?", re.IGNORECASE)


def check(case: LintedEntry) -> Iterator[Told]:
    for index, host in enumerate(case.entry.hosts if case.entry.location == LOCATIONS[0] else ()):
        if _SERVICE.fullmatch(host):
            told = f"{host} is the name of a Kubernetes Service, which sidecars know without an entry"
            yield told, "name the host that the service has outside the mesh", ("spec", "hosts", index)


RULE = Rule("kubernetes-service-host", Severity.WARNING, __doc__, check)
