"""The official client's modules, each imported without the rest of its package."""

from __future__ import annotations

import importlib.util
import sys
from typing import Any


def load_official(module: str) -> Any:
    """Import one module of the package `kubernetes`, such as `kubernetes.client.rest`.

    The package itself imports OAuth, a dynamic client, watches and more: 0.2 s at every start (measured with 37.0.2), for
    things that are not used here. So the package stays unexecuted, and only its modules are.
    """
    if "kubernetes" not in sys.modules:
        spec = importlib.util.find_spec("kubernetes")
        if spec is None:
            raise ModuleNotFoundError("No module named 'kubernetes'", name="kubernetes")
        sys.modules["kubernetes"] = importlib.util.module_from_spec(spec)
    return importlib.import_module(module)
