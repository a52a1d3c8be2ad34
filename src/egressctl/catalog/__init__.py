"""The built-in targets: one YAML file each, with the source and date of every block."""

from __future__ import annotations

import difflib
from functools import cache
from importlib import resources

from egressctl.errors import InvalidInput
from egressctl.model import Target
from egressctl.target import load

_SUFFIX = ".yaml"


@cache
def names() -> tuple[str, ...]:
    """Return the names of the built-in targets, sorted."""
    files = resources.files(__package__).iterdir()
    return tuple(sorted(file.name.removesuffix(_SUFFIX) for file in files if file.name.endswith(_SUFFIX)))


@cache
def get(name: str) -> Target:
    """Return a built-in target; raise InvalidInput that names the nearest ones where there is none of the name."""
    if name not in names():
        near = difflib.get_close_matches(name.lower(), names(), 3, 0.5)
        offer = f"did you mean {' or '.join(near)}?" if near else f"there is {', '.join(names())}"
        message = f'the catalogue has no target "{name}": {offer}'
        raise InvalidInput(message, hint="make one of your own: -f FILE, or --host HOST --address BLOCK --port 443")
    return load(text(name), f"catalogue: {name}")[0]


def text(name: str) -> str:
    """Return the file of a built-in target as it stands, with the source of every block in its comments."""
    return resources.files(__package__).joinpath(name + _SUFFIX).read_text(encoding="utf-8")
