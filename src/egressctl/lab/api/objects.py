"""Create, replace, patch and delete objects, with the API server's checks, in the order it makes them."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from egressctl.lab.api import admission, patch
from egressctl.lab.api.apply import apply, with_managed_fields
from egressctl.lab.api.request import ApiAnswer, Call, invalid_option, is_set
from egressctl.lab.api.resources import ALL, NAMESPACES, PODS, Resource
from egressctl.lab.api.status import (
    ApiError,
    Object,
    bad_request_error,
    conflict_error,
    invalid_error,
    not_found_error,
    object_details,
    object_error,
)
from egressctl.lab.api.store import Store

_SET_ONCE = ("uid", "creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds", "name", "namespace")
_PRECONDITIONS = (("uid", "UID", "deleted and then recreated"), ("resourceVersion", "ResourceVersion", "modified"))


def current_time() -> str:
    """Return the time as Kubernetes writes it, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class ObjectHandler:
    """Change the objects of a store as the API server would; every refusal is an ApiError."""

    def __init__(self, store: Store, now: Callable[[], str] = current_time) -> None:
        self.store, self.now = store, now

    def get(self, call: Call) -> Object:
        """Return the object that a call names; raise ApiError 404 where it is not there."""
        found = self.store.get(call.resource, call.at.namespace, call.at.name)
        if found is None:
            raise not_found_error(call.names)
        return found

    def create(self, call: Call, body: Object) -> ApiAnswer:
        """Answer a POST."""
        call.check_type(body)
        metadata = body["metadata"]
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = f"{metadata['generateName']}{uuid.uuid4().hex[:5]}"
        new, warnings = call.drop_unknown_fields(body)
        return self._create(call, new, warnings)

    def replace(self, call: Call, body: Object) -> ApiAnswer:
        """Answer a PUT."""
        call.check_type(body)
        live = self.get(call)
        call.check_name(body)
        new, warnings = call.drop_unknown_fields(body)
        if call.resource.group and not new["metadata"].get("resourceVersion"):
            message = "Invalid value: 0: must be specified for an update"
            raise call.invalid("FieldValueInvalid", message, "metadata.resourceVersion")
        return self._change(call, live, new, warnings)

    def patch(self, call: Call, body: Any) -> ApiAnswer:
        """Answer a PATCH of any kind."""
        if call.media_type == patch.APPLY:
            return self._apply(call, body)
        if "force" in call.query:
            message = "Forbidden: may not be specified for non-apply patch"
            raise invalid_option("PatchOptions", "force", "FieldValueForbidden", message)
        # Kubernetes' own merge patch knows the Go types of core kinds, and no others.
        kinds: dict[str, Callable[[Any, Any], Any]] = {patch.JSON: patch.json_patch, patch.MERGE: patch.merge_patch}
        if not call.resource.group:
            kinds[patch.STRATEGIC] = patch.strategic_merge_patch
        if call.media_type not in kinds:
            supported = f"accepted media types include: {', '.join((*kinds, patch.APPLY))}"
            got = f" (got {call.media_type!r})" if call.media_type else ""
            message = f"the body of the request was in an unknown format - {supported}{got}"
            raise ApiError(415, "UnsupportedMediaType", message, {})
        live = self.get(call)
        new = kinds[call.media_type]({"apiVersion": call.api_version, "kind": call.resource.kind, **live}, body)
        call.check_type(new)
        call.check_name(new)
        new, warnings = call.drop_unknown_fields(new)
        return self._change(call, live, new, warnings)

    def _apply(self, call: Call, config: Object) -> ApiAnswer:
        if not call.query.get("fieldManager"):
            message = "Required value: is required for apply patch"
            raise invalid_option("PatchOptions", "fieldManager", "FieldValueRequired", message)
        call.check_object(config)
        if (config.get("apiVersion"), config.get("kind")) != (call.api_version, call.resource.kind):
            raise bad_request_error("invalid object type")
        call.check_metadata(config)
        metadata = config["metadata"]
        if metadata.get("managedFields"):
            raise bad_request_error("metadata.managedFields must be nil")
        call.check_name(config)
        if call.at.subresource != "status" and "status" in call.resource.subresources:
            config.pop("status", None)
        live = self.store.get(call.resource, call.at.namespace, call.at.name)
        if live is None:
            if call.at.subresource:
                raise not_found_error(call.names)
            if metadata.get("uid"):
                why = f"uid mismatch: the provided object specified uid {metadata['uid']}, and no existing object was found"
                raise conflict_error(call.names, why)
            return self._create(call, config, [], applying=True)
        call.check_version(live, metadata)
        writer, force = call.writer(self.now()), is_set(call.query, "force")
        new = apply(live, config, call.resource.schema, writer, force=force)
        return self._keep(call, live, self._settled(call, live, new), [])

    def delete(self, call: Call, options: Object) -> ApiAnswer:
        """Answer a DELETE of one object."""
        call.check_object(options)
        live = self.get(call)
        own, wanted = live["metadata"], options.get("preconditions") or {}
        for field, name, happened in _PRECONDITIONS:
            if wanted.get(field, own[field]) != own[field]:
                why = f"the {name} in the precondition ({wanted[field]}) does not match the {name} in record ({own[field]})"
                names = call.resource.group, call.resource.kind, call.at.name
                raise conflict_error(names, f"{why}. The object might have been {happened}")
        if not call.is_dry_run(options, kind="DeleteOptions"):
            live = self.remove(call.resource, live)
        if call.resource.returns_object or own.get("finalizers"):
            return ApiAnswer(200, live)
        about = {**object_details(*call.names), "uid": own["uid"]}
        return ApiAnswer(200, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": about})

    def remove(self, resource: Resource, live: Object) -> Object:
        """Remove an object, and with a namespace all that is in it; one with finalizers only starts to go."""
        if live["metadata"].get("finalizers"):
            marked = {"deletionTimestamp": self.now(), "deletionGracePeriodSeconds": 0, **live["metadata"]}
            return self.store.put(resource, {**live, "metadata": marked})
        if resource is NAMESPACES:
            for other in ALL:
                for obj in self.store.select(other, lambda obj: obj["metadata"].get("namespace") == live["metadata"]["name"]):
                    self.store.drop(other, obj)
        return self.store.drop(resource, live)

    def _create(self, call: Call, new: Object, warnings: list[str], *, applying: bool = False) -> ApiAnswer:
        resource, metadata = call.resource, new["metadata"]
        name = metadata.setdefault("name", call.at.name)
        if not name:
            causes = [("FieldValueRequired", "Required value: name or generateName is required", "metadata.name")]
            causes += [admission.RULES_NOT_CHECKED] if resource.group else []
            raise invalid_error(resource.group, resource.kind, "", causes)
        if applying:
            # Before the namespace is filled in, so that messages name the object as it was sent.
            new = apply({}, new, resource.schema, call.writer(self.now()))
            metadata = new["metadata"]
        if resource.namespaced:
            if metadata.setdefault("namespace", call.at.namespace) != call.at.namespace:
                raise bad_request_error("the namespace of the provided object does not match the namespace sent on the request")
            if not self.store.get(NAMESPACES, "", call.at.namespace):
                raise not_found_error(("", "namespaces", call.at.namespace))
        if self.store.get(resource, call.at.namespace, name):
            raise object_error(409, "AlreadyExists", (resource.group, resource.plural, name), "already exists")
        new = {field: value for field, value in new.items() if field != "status"}
        admission.validate(call, new)
        if not applying:
            new = with_managed_fields({}, new, resource.schema, call.writer(self.now()))
        new = _without_type(admission.admit_object(call, new, self.store))
        generation = {"generation": 1} if resource.group or resource is PODS else {}
        new["metadata"].update(uid=str(uuid.uuid4()), creationTimestamp=self.now(), **generation)
        new["metadata"].pop("resourceVersion", None)
        if not call.is_dry_run():
            new = self.store.put(resource, new)
            admission.follow_up(call, new, self.store, self.now())
        return ApiAnswer(201, new, (*warnings, *admission.webhook_warnings(call, new)))

    def _change(self, call: Call, live: Object, new: Object, warnings: list[str]) -> ApiAnswer:
        new = self._settled(call, live, new)
        call.check_version(live, new["metadata"])
        admission.validate(call, new)
        new = with_managed_fields(live, new, call.resource.schema, call.writer(self.now()))
        return self._keep(call, live, new, warnings)

    def _settled(self, call: Call, live: Object, new: Object) -> Object:
        """Return `new` with what this request cannot change as it was; raise ApiError 409 for another object's uid."""
        was, wanted = live["metadata"], new["metadata"]
        if wanted.get("uid", was["uid"]) != was["uid"]:
            why = f"Precondition failed: UID in precondition: {wanted['uid']}, UID in object meta: {was['uid']}"
            raise conflict_error(call.names, why)
        if call.at.subresource == "status":
            managed = {name: wanted[name] for name in ("managedFields", "resourceVersion") if name in wanted}
            return {**live, "metadata": {**was, **managed}, "status": new.get("status", {})}
        fixed = {name: was[name] for name in _SET_ONCE if name in was}
        metadata = {**{name: value for name, value in wanted.items() if name not in _SET_ONCE}, **fixed}
        settled = {**new, "metadata": metadata}
        if "status" in call.resource.subresources:
            settled.pop("status", None)
            settled |= {"status": live["status"]} if "status" in live else {}
        return settled

    def _keep(self, call: Call, live: Object, new: Object, warnings: list[str]) -> ApiAnswer:
        admission.validate(call, new)
        admission.validate_change(call, live, new)
        told = (*warnings, *admission.webhook_warnings(call, new))
        new, was = _without_type(copy.deepcopy(new)), live["metadata"]
        new["metadata"]["resourceVersion"] = was["resourceVersion"]
        if new == live:
            return ApiAnswer(200, live, told)
        if "generation" in was and {**new, "metadata": 0, "status": 0} != {**live, "metadata": 0, "status": 0}:
            new["metadata"]["generation"] = was["generation"] + 1
        if call.is_dry_run():
            return ApiAnswer(200, new, told)
        if was.get("deletionTimestamp") and not new["metadata"].get("finalizers"):
            return ApiAnswer(200, self.store.drop(call.resource, live), told)
        return ApiAnswer(200, self.store.put(call.resource, new), told)


def _without_type(obj: Object) -> Object:
    """Return the object as it is kept: the version that a client asks for is put on when it is shown."""
    return {name: value for name, value in obj.items() if name not in ("apiVersion", "kind")}
