"""What `run` asks of the API server first: little of the program is needed for it, so that the rest is imported meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from egressctl.kube.access import require_rights
from egressctl.kube.exec import import_websocket
from egressctl.kube.rbac import UNDO
from egressctl.mesh.client import Mesh
from egressctl.model.probe import Target
from egressctl.runtime.concurrency import start_call


def namespaces_of(targets: Sequence[Target], namespace: str) -> list[str]:
    """Name the namespaces that targets are created in; those that name none in this one."""
    return list(dict.fromkeys(target.namespace or namespace for target in targets))


def ask_ahead(mesh: Mesh, targets: Sequence[Target], namespace: str) -> Callable[[], None]:
    """Begin to ask whether what a run makes may be taken back, and return what waits for it: it raises Forbidden, CouldNotAsk.

    Which versions of ServiceEntries are served is asked too, and known to the mesh from then on.
    """
    start_call(lambda: mesh.api_version)
    allowed = start_call(partial(require_rights, mesh.api, UNDO, namespaces_of(targets, namespace)))
    start_call(import_websocket)
    return allowed
