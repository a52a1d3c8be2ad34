"""Ask the API server by dry run what `create` would change."""

from __future__ import annotations

from collections.abc import Sequence

from egressctl.create import How, rehearse
from egressctl.differences import Difference
from egressctl.mesh import Mesh
from egressctl.model import Manifest, Target
from egressctl.serviceentry import without_managed_fields

_MADE_UP = ("uid", "creationTimestamp")
"""What a dry run says of an object that it makes, and what would be another once it is made."""


def diff(mesh: Mesh, targets: Sequence[Target], how: How) -> list[Difference]:
    """Return for each target what `create` would change. Changes nothing; raises what `create` raises before it applies."""
    return [_difference(*each) for each in rehearse(mesh, targets, how)]


def _difference(target: Target, live: Manifest | None, merged: Manifest | None) -> Difference:
    wanted = without_managed_fields(merged) if merged is not None else None
    if live is None and wanted is not None:
        wanted["metadata"] = {key: value for key, value in wanted["metadata"].items() if key not in _MADE_UP}
        return Difference(target.name, None, wanted)
    return Difference(target.name, without_managed_fields(live) if live is not None else None, wanted)
