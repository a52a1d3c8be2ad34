"""The source pod that `--with-source` starts: image and command of Istio's sample, and no controller."""

from __future__ import annotations

from functools import partial
from typing import Any

from egressctl.errors import Conflict, Modified
from egressctl.kube.rest import Api, only_if_absent, resource_path
from egressctl.manifests.service_entry import LABEL_MANAGED_BY, LABEL_RUN_ID, MANAGER
from egressctl.mesh.client import MANAGED_SELECTOR, has_labels
from egressctl.model.entry import Manifest
from egressctl.runtime.concurrency import gather
from egressctl.runtime.sanitize import quote

NAME = "sleep"
IMAGE = "curlimages/curl"
"""Of Istio's samples/sleep/sleep.yaml and samples/curl/curl.yaml."""


def sample_manifests(namespace: str, run_id: str) -> tuple[tuple[str, dict[str, Any]], ...]:
    """Return the ServiceAccount and the Pod, each behind its plural, in the order in which they are made."""
    labels = {"app": NAME, LABEL_MANAGED_BY: MANAGER, LABEL_RUN_ID: run_id}
    metadata = {"name": NAME, "namespace": namespace, "labels": labels}
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}
    container = {"name": NAME, "image": IMAGE, "command": ["/bin/sleep", "infinity"], "imagePullPolicy": "IfNotPresent"}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"serviceAccountName": NAME, "terminationGracePeriodSeconds": 0, "containers": [container]},
    }
    return ("serviceaccounts", account), ("pods", pod)


def start_sample(api: Api, namespace: str, run_id: str) -> list[tuple[str, Manifest]]:
    """Make the sample's ServiceAccount and Pod, and return what of them was made, each behind its plural.

    What is there already and ours stays as it is. Raises Conflict for others'.
    """
    made: list[tuple[str, Manifest]] = []
    for plural, manifest in sample_manifests(namespace, run_id):
        path = resource_path("v1", namespace, plural, NAME)
        live = api.find(path)
        if live is None:
            try:
                _, live = api.apply(path, only_if_absent(manifest), field_manager=MANAGER)
            except Modified:  # somebody else made it at the same moment, or an earlier try whose answer was lost
                live = api.get(path)
            if has_labels(live, f"{LABEL_RUN_ID}={run_id}"):
                made.append((plural, live))
        if not has_labels(live, MANAGED_SELECTOR):
            kind = plural.removesuffix("s")
            raise Conflict(
                f"{kind} {namespace}/{NAME} is there already and egressctl did not make it",
                hint=f"name a pod: --pod NAME; or, if it may go: kubectl delete {kind} -n {quote(namespace)} {NAME}",
            )
    return made


def sample_objects(api: Api, namespace: str | None, selector: str = MANAGED_SELECTOR) -> list[tuple[str, Manifest]]:
    """List the sample's objects that egressctl made in a namespace, or in all (None), in the order in which they go."""
    plurals = ("pods", "serviceaccounts")
    calls = [partial(api.list, resource_path("v1", namespace, plural), label_selector=selector) for plural in plurals]
    found = gather(calls, at_most=len(calls))
    listed = [(plural, item) for plural, answer in zip(plurals, found, strict=True) for item in answer["items"]]
    return [(plural, item) for plural, item in listed if has_labels(item, selector)]


def find_sample_object(api: Api, plural: str, manifest: Manifest) -> Manifest | None:
    """Return what has the name of this object of the sample by now, None where nothing has: by the right to list alone."""
    metadata = manifest["metadata"]
    path = resource_path("v1", metadata["namespace"], plural)
    found = api.list(path, field_selector=f"metadata.name={metadata['name']}")["items"]
    return next((each for each in found if each["metadata"]["name"] == metadata["name"]), None)


def delete_sample_object(api: Api, plural: str, manifest: Manifest) -> bool:
    """Delete exactly this object of the sample, by its UID and as it was read; say whether it was still there."""
    metadata = manifest["metadata"]
    path = resource_path("v1", metadata["namespace"], plural, metadata["name"])
    return api.delete(path, uid=metadata["uid"], version=str(metadata.get("resourceVersion") or ""))
