"""Say of a namespace that it does not exist, where nothing was found in it: only then is it asked."""

from __future__ import annotations

from difflib import get_close_matches

from egressctl.errors import CouldNotAsk, NotFound
from egressctl.kube.rest import Api, resource_path
from egressctl.runtime.sanitize import quote


def require_namespace(api: Api, namespace: str) -> None:
    """Raise NotFound, with the nearest name, where there is no such namespace; nothing where that may not be known."""
    try:
        if api.find(resource_path("v1", None, "namespaces", namespace)) is not None:
            return
    except CouldNotAsk:
        return
    try:
        names = [str(each["metadata"]["name"]) for each in api.list(resource_path("v1", None, "namespaces"))["items"]]
    except CouldNotAsk:
        names = []
    near = get_close_matches(namespace, names, cutoff=0.7)
    guess = f": did you mean {' or '.join(near)}?" if near else ""
    hint = f"kubectl get namespaces shows which there are; kubectl create namespace {quote(namespace)} makes it"
    raise NotFound(f"there is no namespace {namespace}{guess}", name=namespace, hint=hint)
