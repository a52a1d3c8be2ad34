"""Istio's webhooks, as the API server calls them: one puts the sidecar into a pod, one validates ServiceEntries.

The first is served here, and schedules the pod as well. The second is istiod's own, served by the program of tests/istiod.
"""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from egressctl.lab.api import pods


def start(chain: Path, namespace_of: Callable[[str], dict[str, Any]]) -> ThreadingHTTPServer:
    """Serve on a free port of 127.0.0.1; `chain` holds key and certificate, `namespace_of` reads a namespace by its name."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            request = review["request"]
            answer = {"uid": request["uid"], **_injected(request, namespace_of)}
            body = json.dumps({"apiVersion": review["apiVersion"], "kind": review["kind"], "response": answer}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    Thread(target=server.serve_forever, name="webhooks", daemon=True).start()
    return server


def _injected(request: dict[str, Any], namespace_of: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
    pod = request["object"]
    pod["metadata"].setdefault("name", pod["metadata"].get("generateName", ""))
    injected = pods.admit_pod(pod, namespace_of(request["namespace"]))
    has_sidecar = pods.PROXY in [each["name"] for each in injected["spec"].get("initContainers", [])]
    if not has_sidecar or request["namespace"] == pods.SIDECAR_NAMESPACE:
        injected["spec"]["nodeName"] = pods.NODE
    patch = [{"op": "add", "path": "/spec", "value": injected["spec"]}]
    patch += [
        {"op": "add", "path": f"/metadata/{field}", "value": injected["metadata"][field]}
        for field in ("labels", "annotations")
        if field in injected["metadata"]
    ]
    return {"allowed": True, "patchType": "JSONPatch", "patch": base64.b64encode(json.dumps(patch).encode()).decode()}


def configurations(inject: int, validate: int, authority: str) -> dict[str, dict[str, Any]]:
    """Return the two configurations that lead to these ports, by their plural."""

    def hook(path: str, name: str, hook: str, rule: dict[str, Any]) -> dict[str, Any]:
        client = {"url": f"https://127.0.0.1:{path}", "caBundle": base64.b64encode(authority.encode()).decode()}
        rest = {"failurePolicy": "Fail", "sideEffects": "None", "admissionReviewVersions": ["v1"]}
        return {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "metadata": {"name": name},
            "webhooks": [{"name": hook, "clientConfig": client, "rules": [rule], **rest}],
        }

    created = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    changed = {
        "apiGroups": ["networking.istio.io"],
        "apiVersions": ["*"],
        "operations": ["CREATE", "UPDATE"],
        "resources": ["serviceentries"],
    }
    injector = hook(f"{inject}/inject", "istio-sidecar-injector", "namespace.sidecar-injector.istio.io", created)
    validator = hook(f"{validate}/validate", "istio-validator-istio-system", "rev.validation.istio.io", changed)
    return {"mutatingwebhookconfigurations": injector, "validatingwebhookconfigurations": validator}
