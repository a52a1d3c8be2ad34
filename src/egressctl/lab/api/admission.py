"""What becomes of an object on its way in: checks, defaults, injection, and what controllers then do about it."""

from __future__ import annotations

import uuid
from typing import Any

from egressctl.istio.admission.object_meta import metadata_faults
from egressctl.istio.admission.structural import has_blocking_fault, schema_faults
from egressctl.istio.admission.webhook import validate_service_entry
from egressctl.lab.api import pods
from egressctl.lab.api.request import Call
from egressctl.lab.api.resources import NAMESPACES, PODS, SERVICE_ACCOUNTS, SERVICE_ENTRIES
from egressctl.lab.api.status import Object, invalid_error, object_error
from egressctl.lab.api.store import Store

RULES_NOT_CHECKED = (
    "FieldValueInvalid",
    "Invalid value: null: some validation rules were not checked because the object was invalid; "
    "correct the existing errors to complete validation",
    "<nil>",
)

_POD_FIXED = (
    "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def validate(call: Call, obj: Object) -> None:
    """Raise ApiError 422 with everything that is wrong with an object."""
    by_schema = schema_faults(obj, call.resource.schema)
    causes = [fault[:3] for fault in (*metadata_faults(obj["metadata"]), *by_schema)]
    if has_blocking_fault(by_schema):
        causes.append(RULES_NOT_CHECKED)
    if causes:
        raise invalid_error(call.resource.group, call.resource.kind, obj["metadata"]["name"], causes)


def validate_change(call: Call, live: Object, new: Object) -> None:
    """Raise ApiError 422 where a change touches what may not change."""
    if call.resource is PODS and _fixed_fields(new["spec"]) != _fixed_fields(live["spec"]):
        raise call.invalid("FieldValueForbidden", _POD_FIXED, "spec")


def _fixed_fields(spec: Object) -> Object:
    def without_image(field: str) -> list[Any]:
        return [{**container, "image": ""} for container in spec.get(field, [])]

    kept = {name: value for name, value in spec.items() if name not in ("tolerations", "activeDeadlineSeconds")}
    return {**kept, "containers": without_image("containers"), "initContainers": without_image("initContainers")}


def webhook_warnings(call: Call, obj: Object) -> list[str]:
    """Return what istiod's webhook warns of in an object that it accepts."""
    warnings = validate_service_entry(obj).warnings if call.resource is SERVICE_ENTRIES else ()
    return list(dict.fromkeys(warning.message for warning in warnings))


def admit_object(call: Call, new: Object, store: Store) -> Object:
    """Return a new object with its defaults, a pod with its sidecar; raise ApiError 403 for an account that is not there."""
    metadata = new["metadata"]
    if call.resource is NAMESPACES:
        labels = {**(metadata.get("labels") or {}), "kubernetes.io/metadata.name": metadata["name"]}
        return {**new, "metadata": {**metadata, "labels": labels}, "status": {"phase": "Active"}}
    namespace = store.get(NAMESPACES, "", metadata.get("namespace", ""))
    if call.resource is not PODS or namespace is None:
        return new
    pod = pods.admit_pod(new, namespace)
    account = pod["spec"]["serviceAccountName"]
    if not store.get(SERVICE_ACCOUNTS, metadata["namespace"], account):
        why = f'error looking up service account {metadata["namespace"]}/{account}: serviceaccount "{account}" not found'
        raise object_error(403, "Forbidden", ("", "pods", metadata["name"]), f"is forbidden: {why}")
    return {**pod, "status": {"phase": "Pending", "qosClass": "BestEffort"}}


def follow_up(call: Call, new: Object, store: Store, now: str) -> None:
    """Do what the controllers of a Kubernetes cluster do about a new object, at once."""
    if call.resource is PODS:
        store.put(PODS, pods.schedule_pod(new, now, ipv6=store.pods_have_ipv6))
    elif call.resource is NAMESPACES:
        account = {"name": "default", "namespace": new["metadata"]["name"], "uid": str(uuid.uuid4()), "creationTimestamp": now}
        store.put(SERVICE_ACCOUNTS, {"metadata": account})
