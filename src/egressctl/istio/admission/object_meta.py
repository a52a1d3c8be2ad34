"""What an API server refuses or warns of in the metadata of an object: `ValidateObjectMeta` of k8s.io/apimachinery. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from egressctl.istio.admission.mistakes import Mistake
from egressctl.istio.admission.schema import ANY, METADATA, Schema
from egressctl.istio.admission.structural import DUPLICATE, INVALID, LONG, REQUIRED, TYPE, Fault, quote_value, type_faults
from egressctl.manifests.yaml_reader import ValuePath

INVALID_METADATA, LOOSE_METADATA = Mistake.INVALID_METADATA, Mistake.LOOSE_METADATA
_MOST_ANNOTATION_BYTES = 256 * 1024
_LONGEST_NAME = 253
_LONGEST_LABEL = 63
_LONGEST_GENERATE_NAME = 58
_STANDARD_FINALIZERS = ("orphan", "foregroundDeletion", "kubernetes")

_SUBDOMAIN = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
_NAME_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end "
    f"with an alphanumeric character (e.g. 'example.com', regex used for validation is '{_SUBDOMAIN}')"
)
_LABEL_VALUE = r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?"
_LABEL_RULE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end "
    f"with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '{_LABEL_VALUE}')"
)
_KEY = r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_KEY_RULE = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character "
    f"(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{_KEY}')"
)
_KEY_FORM = f"a valid label key {_KEY_RULE} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
_TIME = re.compile(r"(\d{4}-\d{2}-\d{2})T(\d{1,2}:\d{2}:\d{2})(?:[.,]\d+)?(?:Z|[+-]\d{2}:\d{2})", re.ASCII)
_TIMES = ("creationTimestamp", "deletionTimestamp")
_ZEROES: Mapping[str, Any] = {"object": {}, "array": [], "string": "", "integer": 0, "boolean": False}


def decode_metadata(metadata: object) -> Any:
    """Return metadata as Go's decoder leaves it: a null is as good as nothing."""
    return _decode_value(metadata, METADATA)


def _decode_value(value: object, schema: Schema) -> Any:
    if value is None:
        return _ZEROES.get(schema.type)
    if isinstance(value, dict):
        # The key of a map stays, and its value is then empty; a field is as if it were not there.
        kept = {name: item for name, item in value.items() if item is not None or schema.additional}
        return {name: _decode_value(item, schema.child(name) or ANY) for name, item in kept.items()}
    if isinstance(value, list) and schema.items:
        return [_decode_value(item, schema.items) for item in value]
    return value


def decode_faults(metadata: Any) -> list[Fault]:
    """Return what of decoded metadata cannot be read at all: wrong types, and times that are none."""
    found = type_faults(metadata, METADATA, "metadata")
    if found:
        return found
    times: list[tuple[ValuePath, str]] = [((name,), metadata[name]) for name in _TIMES if name in metadata]
    for index, entry in enumerate(metadata.get("managedFields", ())):
        times += [(("managedFields", index, "time"), entry["time"])] if "time" in entry else []
    return [
        _fault(path, f"{quote_value(text)} is no time of RFC 3339", reason=TYPE) for path, text in times if not _is_time(text)
    ]


def _is_time(text: str) -> bool:
    found = _TIME.fullmatch(text)
    try:
        return found is not None and bool(datetime.strptime(f"{found[1]} {found[2]}", "%Y-%m-%d %H:%M:%S"))
    except ValueError:
        return False


def metadata_faults(metadata: Mapping[str, Any]) -> list[Fault]:
    """Return everything that is wrong with decoded metadata."""
    return [
        *_name_faults(metadata),
        *(_fault(("labels",), text, key) for key in metadata.get("labels", {}) for text in _key_problems(key)),
        *(_fault(("labels",), text, key) for key, value in metadata.get("labels", {}).items() for text in label_problems(value)),
        *(_fault(("annotations",), text, key) for key in metadata.get("annotations", {}) for text in _annotation_problems(key)),
        *_annotations_size_faults(metadata.get("annotations", {})),
        *_owner_faults(metadata.get("ownerReferences", [])),
        *_finalizer_faults(metadata.get("finalizers", [])),
    ]


def finalizer_warnings(metadata: Mapping[str, Any]) -> list[Fault]:
    """Return what the API server warns of once the definition has accepted an object."""
    return [
        Fault(INVALID, f"metadata.finalizers: {quote_value(each)}: prefer a domain-qualified finalizer name to avoid accidental "
              "conflicts with other finalizer writers", "metadata.finalizers", ("metadata", "finalizers", index), LOOSE_METADATA)
        for index, each in enumerate(metadata.get("finalizers", []))
        if "/" not in each and each not in _STANDARD_FINALIZERS
    ]  # fmt: skip


def owner_warnings(metadata: Mapping[str, Any]) -> list[Fault]:
    """Return what the API server warns of as soon as it has decoded an object, whatever it says afterwards."""
    uids = [owner.get("uid", "") for owner in metadata.get("ownerReferences", [])]
    twice = sorted({uid for uid in uids if uids.count(uid) > 1})
    told = (
        ".metadata.ownerReferences contains duplicate entries; API server dedups owner references in 1.20+, and may reject "
        f"such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: {', '.join(twice)}"
    )
    here: ValuePath = ("metadata", "ownerReferences")
    return [Fault(DUPLICATE, told, "metadata.ownerReferences", here, LOOSE_METADATA)] if twice else []


def _fault(
    path: ValuePath, message: str, key: str | None = None, *, reason: str = INVALID, rule: str = INVALID_METADATA
) -> Fault:
    field = "metadata" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return Fault(reason, message, field, ("metadata", *path, *([] if key is None else [key])), rule)


def _name_faults(metadata: Mapping[str, Any]) -> Iterator[Fault]:
    prefix, name = metadata.get("generateName", ""), metadata.get("name", "")
    if prefix:
        # As the API server has it: a dash at the end stands for the character that will follow it.
        masked = prefix[:-2] + "a" if len(prefix) > 1 and prefix.endswith("-") else prefix
        for text in _name_problems(masked):
            yield _fault(("generateName",), f"Invalid value: {quote_value(prefix)}: {text}")
        name = name or f"{prefix[:_LONGEST_GENERATE_NAME]}xxxxx"
    if not name:
        yield _fault(("name",), "Required value: name or generateName is required", reason=REQUIRED)
        return
    for text in _name_problems(name):
        yield _fault(("name",), f"Invalid value: {quote_value(name)}: {text}")


def _name_problems(name: str) -> Iterator[str]:
    if len(name.encode("utf-8", "surrogatepass")) > _LONGEST_NAME:
        yield f"must be no more than {_LONGEST_NAME} bytes"
    if not re.fullmatch(_SUBDOMAIN, name):
        yield _NAME_RULE


def label_problems(value: str) -> Iterator[str]:
    """Yield what is wrong with a label's value, in the API server's words."""
    if len(value) > _LONGEST_LABEL:
        yield f"Invalid value: {quote_value(value)}: must be no more than {_LONGEST_LABEL} bytes"
    if not re.fullmatch(_LABEL_VALUE, value):
        yield f"Invalid value: {quote_value(value)}: {_LABEL_RULE}"


def _annotation_problems(key: str) -> Iterator[str]:
    # Upper case is forgiven in the prefix of an annotation's key, and in no label's.
    return _key_problems(key, key.lower())


def _key_problems(key: str, judged: str | None = None) -> Iterator[str]:
    for text in _qualified_name_problems(key if judged is None else judged):
        yield f"Invalid value: {quote_value(key)}: {text}"


def _qualified_name_problems(key: str) -> Iterator[str]:
    prefix, slash, name = key.rpartition("/")
    if "/" in prefix:
        yield _KEY_FORM
        return
    if slash and not prefix:
        yield "prefix part must be non-empty"
    elif slash:
        yield from (f"prefix part {text}" for text in _name_problems(prefix))
    if not name:
        yield "name part must be non-empty"
    elif len(name) > _LONGEST_LABEL:
        yield f"name part must be no more than {_LONGEST_LABEL} bytes"
    if not re.fullmatch(_KEY, name):
        yield f"name part {_KEY_RULE}"


def _annotations_size_faults(annotations: Mapping[str, str]) -> Iterator[Fault]:
    size = sum(len(text.encode("utf-8", "surrogatepass")) for item in annotations.items() for text in item)
    if size > _MOST_ANNOTATION_BYTES:
        yield _fault(("annotations",), f"Too long: may not be more than {_MOST_ANNOTATION_BYTES} bytes", reason=LONG)


def _owner_faults(owners: list[Mapping[str, Any]]) -> Iterator[Fault]:
    for index, owner in enumerate(owners):
        here: ValuePath = ("ownerReferences", index)
        version = owner.get("apiVersion", "")
        if version.count("/") > 1:
            shown = f"Invalid value: {quote_value(version)}: must be <group>/<version> or <version>"
            yield _fault((*here, "apiVersion"), shown)
        elif not version.rpartition("/")[2]:
            yield _fault((*here, "apiVersion"), "Required value: must not be empty", reason=REQUIRED)
        for name in ("kind", "name", "uid"):
            if not owner.get(name):
                yield _fault((*here, name), "Required value: must not be empty", reason=REQUIRED)
        if version.removeprefix("/") == "v1" and owner.get("kind") == "Event":
            yield _fault(here, "/v1, Kind=Event is disallowed from being an owner")
    if sum(owner.get("controller") is True for owner in owners) > 1:
        yield _fault(("ownerReferences",), "Only one reference can have Controller set to true")


def _finalizer_faults(finalizers: list[str]) -> Iterator[Fault]:
    for index, each in enumerate(finalizers):
        for text in _key_problems(each):
            yield Fault(INVALID, text, "metadata.finalizers", ("metadata", "finalizers", index), INVALID_METADATA)
    if {"orphan", "foregroundDeletion"} <= set(finalizers):
        yield _fault(("finalizers",), "finalizer orphan and foregroundDeletion cannot be both set")
