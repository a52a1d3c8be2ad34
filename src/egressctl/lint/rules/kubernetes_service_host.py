"""A host is the name of a Kubernetes Service, which is no service outside of the mesh.

Sidecars know the Services of the Kubernetes cluster already, under these names, and the entry competes with the Service for
its host. Entries within the mesh (MESH_INTERNAL) are left out.

    hosts: [db.shop.svc.cluster.local]

Name the host that the service has outside, or take the entry out: Services need none.
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
            yield told, "name the host that the service has outside of the mesh", ("spec", "hosts", index)


RULE = Rule("kubernetes-service-host", Severity.WARNING, __doc__, check)
