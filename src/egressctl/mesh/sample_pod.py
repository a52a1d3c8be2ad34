"""The source pod that `--with-source` starts: image and command of Istio's sample, and no controller."""

from __future__ import annotations

from typing import Any

from egressctl.manifests.service_entry import LABEL_MANAGED_BY, LABEL_RUN_ID, MANAGER

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
