"""A family of targets: one file, and a target for each part of a published list, such as aws/s3/eu-west-1. Pure.

Its kind is EgressTargetFamily. `spec.parts` names what the words behind the family's name are, `spec.templates` holds the spec
of the targets with `{part}` in place of these words, and `spec.published` the blocks, each under the words of its target.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from egressctl.errors import InvalidInput, Problem
from egressctl.manifests import published
from egressctl.manifests.egress_target import API_VERSION, TARGET_KIND
from egressctl.manifests.formats import is_label
from egressctl.manifests.problems import ProblemCollector
from egressctl.manifests.published import PublishedSource
from egressctl.manifests.yaml_reader import Document, ValuePath
from egressctl.manifests.yaml_writer import write_yaml

KIND = "EgressTargetFamily"
_TEMPLATE_FIELDS = ("for", "serviceEntry", "probes")


class Template(NamedTuple):
    """The spec of the targets whose words match `pattern`, of which `*` is every one."""

    pattern: str
    spec: Mapping[str, Any]


class Family(NamedTuple):
    """A family as its file says it; the targets are called NAME/WORD/WORD."""

    name: str
    parts: tuple[str, ...]
    templates: tuple[Template, ...]
    sources: tuple[PublishedSource, ...]

    @property
    def members(self) -> tuple[str, ...]:
        """The words of each target, such as s3/eu-west-1, sorted: the names of ranges that a template is for."""
        names = {each.name for source in self.sources for each in source.ranges}
        return tuple(sorted(name for name in names if _template_of(self, name)))


def is_family(document: Document) -> bool:
    """Distinguish a family from a target."""
    return document.value.get("kind") == KIND


def read_family(document: Document) -> Family:
    """Read a family's file; raise InvalidInput with all its problems."""
    found = ProblemCollector(document.place)
    value = document.value
    found.fields(value, (), ("apiVersion", "kind", "metadata", "spec"))
    if value.get("apiVersion") != API_VERSION:
        found.add(("apiVersion",), f"is no version of {KIND}", f"write {API_VERSION}")
    metadata = found.mapping(value.get("metadata"), ("metadata",), ("name",), "a mapping such as {name: aws}")
    name = metadata.get("name")
    if not is_label(name):
        found.add(("metadata", "name"), "the family has no name that it could have", "small letters, digits and inner hyphens")
    spec = found.mapping(value.get("spec"), ("spec",), ("parts", "templates", "published"), "parts, templates and published")
    parts = tuple(part for _, part in found.listed(spec, ("spec",), "parts", str, "names of parts, such as region"))
    templates = tuple(
        _read_template(found, item, at) for at, item in found.listed(spec, ("spec",), "templates", dict, "templates")
    )
    sources = published.read_published(found, spec.get("published", []), ("spec", "published"))
    family = Family(str(name), parts, templates, sources)
    for needed, there in (("parts", parts), ("templates", templates), ("published", family.members)):
        if not there and not found.problems:
            found.add(("spec", needed), f"there is nothing in {needed}", "a family needs parts, templates, and published ranges")
    _check_members(found, family)
    if found.problems:
        raise InvalidInput(problems=found.problems)
    return family


def _read_template(found: ProblemCollector, item: Mapping[str, Any], path: ValuePath) -> Template:
    found.fields(item, path, _TEMPLATE_FIELDS)
    pattern = item.get("for", "*")
    if "serviceEntry" not in item:
        found.add((*path, "serviceEntry"), "the template has no serviceEntry", "the spec of a ServiceEntry in Istio's words")
    else:
        found.is_a(dict, item["serviceEntry"], (*path, "serviceEntry"), "the spec of a ServiceEntry in Istio's words")
    if not found.is_a(str, pattern, (*path, "for"), "a pattern such as s3/*"):
        pattern = "*"
    return Template(pattern, {key: item[key] for key in ("serviceEntry", "probes") if key in item})


def _check_members(found: ProblemCollector, family: Family) -> None:
    for index, source in enumerate(family.sources):
        for name in dict.fromkeys(each.name for each in source.ranges):
            path = ("spec", "published", index, "ranges", name)
            words = name.split("/")
            if len(words) != len(family.parts) or not all(map(is_label, words)):
                found.add(path, "is no name of a target of the family", f"one word for each of {', '.join(family.parts)}")


def _template_of(family: Family, member: str) -> Template | None:
    return next((each for each in family.templates if fnmatchcase(member, each.pattern)), None)


def target_text(family: Family, member: str) -> str:
    """Return the file of one of the family's targets, as a target's own file would be. Raises InvalidInput."""
    template = _template_of(family, member)
    if template is None or not sources_of_member(family, member):
        raise InvalidInput(problems=[Problem(f"the family {family.name} has no {member}")])
    words = dict(zip(family.parts, member.split("/"), strict=True))
    spec = _fill_placeholders(template.spec, words)
    spec["published"] = [published.source_as_data(each) for each in sources_of_member(family, member)]
    name = f"{family.name}-{member.replace('/', '-')}"
    return write_yaml({"apiVersion": API_VERSION, "kind": TARGET_KIND, "metadata": {"name": name}, "spec": spec})


def sources_of_member(family: Family, member: str) -> tuple[PublishedSource, ...]:
    """Return the sources that have ranges of one of the targets, each with these alone."""
    narrowed = (
        each._replace(
            ranges=tuple(block for block in each.ranges if block.name == member),
            retired=tuple(block for block in each.retired if block.name == member),
        )
        for each in family.sources
    )
    return tuple(each for each in narrowed if each.ranges)


def _fill_placeholders(value: Any, words: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _fill_placeholders(each, words) for key, each in value.items()}
    if isinstance(value, list):
        return [_fill_placeholders(each, words) for each in value]
    if isinstance(value, str):
        for part, word in words.items():
            value = value.replace(f"{{{part}}}", word)
    return value
