"""The official client's modules, each imported without the rest of its package."""

from __future__ import annotations

import importlib.util
import sys
from typing import Any

_PACKAGES = ("kubernetes", "kubernetes.config", "kubernetes.utils")


def load_official(module: str) -> Any:
    """Import one module of the package `kubernetes`, such as `kubernetes.client.rest`.

    The packages themselves import OAuth, models, a dynamic client, watches and more: 0.2 s at every start and again as much
    for a login (measured with 37.0.2), for things that are not used here. So the packages stay unexecuted, and only their
    modules are. Raises ModuleNotFoundError where that module needs what is not installed.
    """
    for package in _PACKAGES:
        if package not in sys.modules:
            spec = importlib.util.find_spec(package)
            if spec is None:
                raise ModuleNotFoundError(f"No module named {package!r}", name=package)
            sys.modules[package] = importlib.util.module_from_spec(spec)
    return importlib.import_module(module)
