"""Put a lab's context into the user's kubeconfig, and take it out again, as kind does."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import yaml

from egressctl.errors import LabFailed

_LISTS = ("clusters", "users", "contexts")


def user_kubeconfig() -> Path:
    """Return the file that kubectl would write to: the first of KUBECONFIG, else ~/.kube/config."""
    named = [part for part in os.environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    return Path(named[0]).expanduser() if named else Path.home() / ".kube" / "config"


def add_lab_context(lab: Path) -> str:
    """Add the lab's context to the user's kubeconfig, in place of an earlier one of that name; return its name.

    The current context stays as it is. Raises LabFailed where the user's file cannot be read or written.
    """
    added = _read(lab)
    name = str(added["current-context"])
    target = user_kubeconfig()
    if target == lab:
        return name
    whole = _without_context(_read(target) if target.exists() else {"apiVersion": "v1", "kind": "Config"}, name)
    for key in _LISTS:
        whole[key] = [*(whole.get(key) or []), *added[key]]
    _write(target, whole)
    return name


def remove_lab_context(name: str) -> bool:
    """Take a context of that name out of the user's kubeconfig; say whether it was there. Raises LabFailed."""
    target = user_kubeconfig()
    if not target.exists():
        return False
    before = _read(target)
    if all(each.get("name") != name for each in before.get("contexts") or []):
        return False
    after = _without_context(before, name)
    if after.get("current-context") == name:
        after["current-context"] = ""
    _write(target, after)
    return True


def _without_context(whole: dict[str, Any], name: str) -> dict[str, Any]:
    kept = {key: [each for each in whole.get(key) or [] if each.get("name") != name] for key in _LISTS}
    return {**whole, **kept}


def _read(path: Path) -> dict[str, Any]:
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise LabFailed(f"the kubeconfig {path} cannot be read: {type(error).__name__}") from None
    if found is not None and not isinstance(found, dict):
        raise LabFailed(f"the kubeconfig {path} is no kubeconfig: it holds a {type(found).__name__}")
    return found or {}


def _write(path: Path, whole: dict[str, Any]) -> None:
    """Write another file and rename it, readable by its owner only: never a half-written kubeconfig."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor, beside = tempfile.mkstemp(dir=path.parent, prefix=".egressctl-")
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            yaml.safe_dump(whole, file, sort_keys=False)
        os.replace(beside, path.resolve())
    except OSError as error:
        raise LabFailed(f"the kubeconfig {path} cannot be written: {error.strerror}") from None
