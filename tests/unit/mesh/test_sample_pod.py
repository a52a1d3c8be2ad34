"""The source pod that --with-source starts."""

from __future__ import annotations

from egressctl.mesh.sample_pod import sample_manifests
from egressctl.mesh.source_pod import ANY_SOURCE, DEFAULT_SELECTOR, choose_source

LABELS = {"app": "sleep", "app.kubernetes.io/managed-by": "egressctl", "egressctl.dev/run-id": "r1"}


def test_the_sample_is_istios_without_a_controller() -> None:
    assert sample_manifests("web", "r1") == (
        (
            "serviceaccounts",
            {
                "apiVersion": "v1",
                "kind": "ServiceAccount",
                "metadata": {"name": "sleep", "namespace": "web", "labels": LABELS},
            },
        ),
        (
            "pods",
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": "sleep", "namespace": "web", "labels": LABELS},
                "spec": {
                    "serviceAccountName": "sleep",
                    "terminationGracePeriodSeconds": 0,
                    "containers": [
                        {
                            "name": "sleep",
                            "image": "curlimages/curl",
                            "command": ["/bin/sleep", "infinity"],
                            "imagePullPolicy": "IfNotPresent",
                        }
                    ],
                },
            },
        ),
    )


def test_the_samples_pod_is_one_that_a_probe_is_sent_from() -> None:
    (_, account), (_, pod) = sample_manifests("web", "r1")
    assert pod["metadata"]["labels"]["app"] in DEFAULT_SELECTOR
    assert pod["spec"]["serviceAccountName"] == account["metadata"]["name"]
    ready = {**pod, "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}
    source = choose_source([ready], ANY_SOURCE, "web")
    assert (source.namespace, source.pod, source.container, source.proxy) == ("web", "sleep", "sleep", None)
