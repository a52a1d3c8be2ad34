"""A document as a target: an EgressTarget of ours, or a plain ServiceEntry, whose spec is checked in `catalog/validation`."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from egressctl.errors import InvalidInput, Problem
from egressctl.manifests.formats import MAX_ITEMS, is_label
from egressctl.manifests.probes import probe_name, probe_of_url, read_probes, url_fault
from egressctl.manifests.problems import ProblemCollector
from egressctl.manifests.service_entry import (
    ANNOTATION_FIELD_MANAGER,
    ANNOTATION_PROBES,
    LABEL_MANAGED_BY,
    LABEL_RUN_ID,
    LABEL_TARGET,
    MANAGER,
    derived_probes,
    read_entry,
    read_probes_annotation,
)
from egressctl.manifests.yaml_reader import MAX_BYTES, Document, InputPlace, ValuePath, kind_of, quote_text
from egressctl.model.entry import API_VERSIONS, KIND, SUFFIX
from egressctl.model.json_values import list_at, mapping_at, mappings_at, text_at
from egressctl.model.probe import Origin, Probe, Target

API_VERSION = "egressctl.dev/v1alpha1"
TARGET_KIND = "EgressTarget"

LONGEST_NAME_TO_SPLIT = 63 - len("-ext-255-255-255-255-32")
"""How long the name of a target of several entries may be: each entry's is a label."""
LONGEST_NAME_WITH_IPV6 = 63 - len("-ext-v6-0123456789abcdef-128")
"""The same where some of its addresses are of IPv6."""

_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_OWN_METADATA = ("name", "namespace", "labels", "annotations")
_SERVER_METADATA = (
    *("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "selfLink", "ownerReferences"),
    *("finalizers", "generateName", "deletionTimestamp", "deletionGracePeriodSeconds"),
)
_SUBDOMAIN = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*")


def split_large_targets(targets: Iterable[Target]) -> list[Target]:
    """Return the targets one a ServiceEntry: what lists more addresses than an entry may hold becomes its parts (split.py)."""
    found: list[Target] = []
    for target in targets:
        if len(target.spec.get("addresses") or ()) <= MAX_ITEMS:
            found.append(target)
            continue
        # Few targets need it.
        from egressctl.manifests.split import split_target  # imported late: 1 ms

        found += split_target(target)
    return found


def read_target_file(path: str) -> str:
    """Return the text of a file of at most 1 MiB, `-` for stdin; raise InvalidInput that says why it cannot be read."""
    source = "stdin" if path == "-" else path
    try:
        if path == "-":
            data = sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            with open(path, "rb") as file:
                data = file.read(MAX_BYTES + 1)
    except IsADirectoryError:
        raise _refusal(source, "is a directory", "name a file in it") from None
    except FileNotFoundError:
        remote = path.startswith(("http://", "https://"))
        raise _refusal(source, "is no file", "fetch it first, and give -f -" if remote else "check the path") from None
    except (OSError, ValueError) as error:
        reason = (error.strerror or "").lower() if isinstance(error, OSError) else "a path holds no NUL"
        raise _refusal(source, f"cannot be read: {reason or error}") from None
    if len(data) > MAX_BYTES:
        raise _refusal(source, "is larger than 1 MiB", "a target file is a few kilobytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise _refusal(source, "is not text in UTF-8", "a target file is YAML")
    return text


def probe_from_url(url: str, *, name: str | None = None, allow_internal: bool = False) -> Probe:
    """Make a probe as `probe_of_url` does, named after the host unless `name` says otherwise; raise InvalidInput."""
    if fault := url_fault(url, allow_internal=allow_internal):
        raise InvalidInput(problems=[Problem(fault[0], "--probe", fault[1])])
    return probe_of_url(url, name or probe_name(url))


def _refusal(source: str, message: str, remedy: str = "") -> InvalidInput:
    return InvalidInput(problems=[Problem(message, "", remedy, source)])


class ReadTarget(NamedTuple):
    """What one document says. `target` is None where not even its name can be said; `spec` is the ServiceEntry's, unchecked."""

    target: Target | None
    problems: list[Problem]
    spec: Any = None
    path: ValuePath = ()
    """The way to the spec."""
    is_own: bool = False
    blocks_unread: bool = False
    """Whether blocks are published and cannot be read, so that it is not known that the entry has no addresses."""


def read_target(document: Document, *, allow_internal: bool = False) -> ReadTarget:
    """Read one EgressTarget or ServiceEntry; its problems are all that is wrong with it but for the ServiceEntry's spec."""
    found = ProblemCollector(document.place)
    own = _is_egress_target(document.value, found)
    if own is None:
        return ReadTarget(None, found.problems)
    name, namespace, labels, annotations = _read_metadata(document.value, found, own)
    told = len(found.problems)
    spec = _read_spec(document.value, found, own)
    blocks_unread = len(found.problems) > told
    if own and spec is not None:
        check_name_for_split(found, name, spec, found.where(("metadata", "name")))
    probes = _probes_of_document(document, found, own, allow_internal)
    path: ValuePath = ("spec", "serviceEntry") if own else ("spec",)
    if not name or not isinstance(spec, dict):
        return ReadTarget(None, found.problems, spec, path, own, blocks_unread)
    kept_labels = {
        k: v for k, v in labels.items() if k not in (LABEL_RUN_ID, LABEL_TARGET) and (k, v) != (LABEL_MANAGED_BY, MANAGER)
    }
    ours = (ANNOTATION_PROBES, ANNOTATION_FIELD_MANAGER, _LAST_APPLIED)
    kept = {k: v for k, v in annotations.items() if k not in ours}
    target = Target(
        # One of several entries that were rendered is one of its target's still.
        name=(not own and read_entry(document.value).part_of) or name,
        entry_name=name + SUFFIX if own else name,
        namespace=namespace,
        spec=spec,
        probes=derived_probes(read_entry({"spec": spec})) if probes is None else probes,
        labels=kept_labels,
        annotations=kept,
        origin=_origin(document, own, probes or ()),
        listed_on=_oldest_list(document.value) if own else "",
    )
    return ReadTarget(target, found.problems, spec, path, own, blocks_unread)


def _origin(document: Document, own: bool, probes: Sequence[Probe]) -> Origin:
    """Say where the target stands, and each of its probes: those of an annotation where the annotation begins."""

    def line(index: int) -> int | None:
        path: ValuePath = ("spec", "probes", index) if own else ("metadata", "annotations", ANNOTATION_PROBES)
        return document.place(path).line

    name = document.place(("metadata", "name"))
    return Origin(name.source, name.line, {probe.name: line(index) for index, probe in enumerate(probes)})


def _is_egress_target(value: Mapping[str, Any], found: ProblemCollector) -> bool | None:
    """Distinguish an EgressTarget from a plain ServiceEntry; report what is neither, as None."""
    kind, version = value.get("kind"), value.get("apiVersion")
    accepted = f"accepted are {TARGET_KIND} ({API_VERSION}) and {KIND} ({API_VERSIONS[0]})"
    if kind not in (TARGET_KIND, KIND):
        message = f"{quote_text(kind)} is no kind of a target" if isinstance(kind, str) else "the document says no kind"
        found.add(("kind",), message, accepted)
        return None
    known = (API_VERSION,) if kind == TARGET_KIND else API_VERSIONS
    if version not in known:
        said = f"{quote_text(version)} is no version of {kind}" if isinstance(version, str) else "the document says no version"
        found.add(("apiVersion",), said, f"write {known[0]}")
    found.fields(value, (), ("apiVersion", "kind", "metadata", "spec") + (() if kind == TARGET_KIND else ("status",)))
    return bool(kind == TARGET_KIND)


def _read_metadata(
    value: Mapping[str, Any], found: ProblemCollector, own: bool
) -> tuple[str, str | None, Mapping[str, str], Mapping[str, str]]:
    path: ValuePath = ("metadata",)
    if "metadata" not in value:
        found.add((*path, "name"), "the target has no name", "such as metadata: {name: wikipedia}")
        return "", None, {}, {}
    known = (*_OWN_METADATA, *(() if own else _SERVER_METADATA))
    metadata = found.mapping(value["metadata"], path, known, "a mapping such as {name: wikipedia}")
    name, namespace = metadata.get("name"), metadata.get("namespace")
    if isinstance(value["metadata"], dict) and "name" not in metadata:
        found.add((*path, "name"), "the target has no name", "such as name: wikipedia")
    elif "name" in metadata and found.is_a(str, name, (*path, "name"), "a name, in quotes where it looks like something else"):
        check_target_name(found, str(name), (*path, "name"), None) if own else _check_entry_name(
            found, str(name), (*path, "name")
        )
    if "namespace" in metadata and not is_label(namespace):
        found.add((*path, "namespace"), f"is no name of a namespace: {kind_of(namespace)}", "such as default")
    for field in ("labels", "annotations"):
        found.check_texts(metadata, path, field)
    labels, annotations = (
        {key: value for key, value in mapping_at(metadata, field).items() if isinstance(value, str)}
        for field in ("labels", "annotations")
    )
    return text_at(metadata, "name"), namespace if is_label(namespace) else None, labels, annotations


def check_name_for_split(found: ProblemCollector, name: str, spec: object, at: InputPlace) -> None:
    """Report a name that leaves no room for those of the target's several entries."""
    addresses = list_at(spec, "addresses")
    longest = LONGEST_NAME_WITH_IPV6 if any(":" in str(each) for each in addresses) else LONGEST_NAME_TO_SPLIT
    if len(addresses) > MAX_ITEMS and len(name) > longest:
        told = f"{quote_text(name)} is too long for a target of {len(addresses)} addresses, "
        told += "whose several entries are called after it"
        found.problems.append(Problem(told, at.field, f"at most {longest} characters", at.source, at.line))


def check_target_name(found: ProblemCollector, name: str, path: ValuePath, place: InputPlace | None) -> None:
    if not is_label(name) or len(name) > 63 - len(SUFFIX):
        at = place or found.where(path)
        rule = f"small letters, digits and inner hyphens, at most {63 - len(SUFFIX)}"
        found.problems.append(Problem(f"{quote_text(name)} is no name of a target", at.field, rule, at.source, at.line))


def _check_entry_name(found: ProblemCollector, name: str, path: ValuePath) -> None:
    if not _SUBDOMAIN.fullmatch(name) or len(name) > 63:
        found.add(
            path,
            f"{quote_text(name)} is no name that egressctl can use",
            "small letters, digits, inner hyphens and dots, at most 63",
        )


def _read_spec(value: Mapping[str, Any], found: ProblemCollector, own: bool) -> Any:
    """Give the ServiceEntry's spec, None where there is none (which is reported here)."""
    if not own:
        if value.get("spec") is None:
            found.add(("spec",), "the ServiceEntry has no spec", "see istio.io, ServiceEntry")
        return value.get("spec")
    if value.get("spec") is None:
        found.add(("spec",), "the target has no spec", "spec holds serviceEntry and probes")
        return None
    spec = found.mapping(value["spec"], ("spec",), ("serviceEntry", "probes", "published"), "serviceEntry and probes")
    if isinstance(value["spec"], dict) and spec.get("serviceEntry") is None:
        found.add(
            ("spec", "serviceEntry"),
            "the target has no serviceEntry",
            "the spec of a ServiceEntry in Istio's words: hosts, addresses, ports",
        )
    return _with_published_addresses(found, spec) if "published" in spec else spec.get("serviceEntry")


def _oldest_list(document: Mapping[str, Any]) -> str:
    """Return the day of the oldest list whose blocks are the target's addresses; empty where it lists its own."""
    if list_at(document, "spec", "serviceEntry", "addresses"):
        return ""
    days = [text_at(source, "checked") for source in mappings_at(document, "spec", "published") if source.get("ranges")]
    return min((day for day in days if day), default="")


def _with_published_addresses(found: ProblemCollector, spec: Mapping[str, Any]) -> Any:
    """Give the ServiceEntry's spec, with the published blocks as its addresses where it names none of its own."""
    from egressctl.manifests import published  # imported late: 2 ms

    sources = published.read_published(found, spec["published"], ("spec", "published"))
    entry = spec.get("serviceEntry")
    blocks = published.addresses_of_sources(sources)
    if not isinstance(entry, dict) or "addresses" in entry or not blocks:
        return entry
    hosts = {"hosts": entry["hosts"]} if "hosts" in entry else {}
    return hosts | {"addresses": blocks} | {name: value for name, value in entry.items() if name != "hosts"}


def _probes_of_document(document: Document, found: ProblemCollector, own: bool, allow_internal: bool) -> tuple[Probe, ...] | None:
    """Read the probes of the spec or of the annotation; None where neither is there."""
    at: ValuePath = ("metadata", "annotations", ANNOTATION_PROBES)
    spec, annotated = mapping_at(document.value, "spec"), mapping_at(document.value, "metadata", "annotations")
    if own and "probes" in spec:
        if ANNOTATION_PROBES in annotated:
            found.add(at, "the probes are here and under spec.probes", "keep those under spec.probes")
        return read_probes(found, spec["probes"], ("spec", "probes"), allow_internal=allow_internal)
    asked = annotated.get(ANNOTATION_PROBES)
    if not isinstance(asked, str):
        return None
    inner = ProblemCollector(lambda path: document.place(at + path))
    probes = read_probes_annotation(inner, asked, allow_internal=allow_internal)
    found.problems += inner.problems
    return probes
