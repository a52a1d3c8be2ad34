"""The pages hold together: links lead somewhere, examples are valid, commands in the prose can be typed."""

from __future__ import annotations

import re
import shlex
from functools import cache
from pathlib import Path

import pytest
import typer

from docs.pages import ROOT, Block, Page, pages, read
from egressctl.catalog import families
from egressctl.catalog.targets import load_targets
from egressctl.cli.kubectl_flags import normalise_arguments
from egressctl.cli.registry import COMMANDS, build_app
from egressctl.errors import InvalidInput
from egressctl.manifests.yaml_reader import parse_yaml

PAGES = pages()
LANGUAGES = {"console", "text", "yaml", "json"}


def test_links_lead_to_files_and_headings_that_are_there() -> None:
    for page, link in ((each, link) for each in PAGES for link in each.links if not link.startswith("https://")):
        path, _, anchor = link.partition("#")
        target = (page.path.parent / path).resolve() if path else page.path
        assert target.exists(), (page.name, link)
        assert target.is_relative_to(ROOT), (page.name, link)
        assert not anchor or anchor in anchors(target), (page.name, link)


@cache
def anchors(path: Path) -> set[str]:
    return read(path).anchors


def test_every_page_of_docs_can_be_reached_from_the_readme() -> None:
    seen, waiting = set(), [ROOT / "README.md"]
    while waiting:
        path = waiting.pop()
        if path in seen or path.suffix != ".md":
            continue
        seen.add(path)
        waiting += [(path.parent / link.partition("#")[0]).resolve() for link in read(path).links if "://" not in link]
    assert {page.path for page in PAGES} <= seen


def test_commands_stand_in_console_blocks_where_they_are_run() -> None:
    for page, block in ((each, block) for each in PAGES for block in each.blocks):
        assert block.language in LANGUAGES, (page.name, block)
        assert block.language == "console" or not re.search(r"^\$ ", block.body, re.MULTILINE), (page.name, block)


OF_OTHERS = ("workflow", "gitlab", "pre-commit", "lint ")
"""Remarks of blocks of YAML that are no targets: files of CI servers, and what a page of a rule of lint has as its example.

`file NAME, object` is the file of another object of Istio's than a ServiceEntry. With `, applied` the page begins after kubectl
has applied it.
"""
TARGETS = [
    (page, block)
    for page in PAGES
    for block in page.blocks
    if block.language == "yaml" and not block.remark.startswith(OF_OTHERS) and ", object" not in block.remark
]


@pytest.mark.parametrize(("page", "block"), TARGETS, ids=lambda part: part.name if isinstance(part, Page) else "")
def test_target_files_on_the_pages_are_what_they_are_said_to_be(page: Page, block: Block) -> None:
    if block.remark.endswith(", wrong"):
        with pytest.raises(InvalidInput):
            load_targets(block.body, page.name)
    elif f"kind: {families.KIND}" in block.body:
        [document] = parse_yaml(block.body, page.name).documents
        family = families.read_family(document)
        assert [load_targets(families.target_text(family, member), page.name) for member in family.members]
    else:
        assert load_targets(block.body, page.name)


def test_command_lines_in_the_prose_can_be_typed() -> None:
    in_prose = {piece: page.name for page in PAGES for piece in page.code if re.match(r"(kubectl )?egressctl [a-z]", piece)}
    assert in_prose
    for line, name in in_prose.items():
        try:
            type_it(line)
        except Exception as error:
            pytest.fail(f"{name}: `{line}`: {error!r}")


def type_it(line: str) -> None:
    """Let the command line read a line, without running it. Raises where it does not understand it."""
    words = normalise_arguments(shlex.split(line.removeprefix("kubectl ").partition(" | ")[0])[1:])
    command = next(each for each in COMMANDS if each[0] == words[0])
    group = typer.main.get_command(build_app(*command))
    context = group.make_context("egressctl", list(words[:1]), resilient_parsing=True)
    while hasattr(group, "resolve_command"):
        name, found, words = group.resolve_command(context, words)
        assert found is not None
        group = found
        if hasattr(group, "resolve_command") and not words:
            return
        if not hasattr(group, "resolve_command") and words:
            group.make_context(name, list(words), parent=context)


def test_a_cluster_is_a_kubernetes_cluster_or_an_envoy_cluster() -> None:
    bare = re.compile(r".{0,40}(?<!Kubernetes )(?<!Envoy )\bclusters?\b")
    assert not {page.name: found for page in PAGES if (found := bare.findall(" ".join(page.prose.split())))}


def test_the_suites_of_tests_are_all_named_in_contributing() -> None:
    told = read(ROOT / "CONTRIBUTING.md").text
    for folder in (ROOT / "tests").iterdir():
        if folder.is_dir() and any(folder.rglob("test_*.py")):
            assert f"tests/{folder.name}" in told


def test_contributing_names_every_target_of_make_and_every_variable_of_the_tests_and_is_read_in_minutes() -> None:
    told = read(ROOT / "CONTRIBUTING.md").text
    targets = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)[0].split()
    assert not [target for target in targets if target not in ("help", "clean") and f"`make {target}`" not in told]
    tests = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py"))
    variables = set(re.findall(r'"EGRESSCTL_(TEST|DOCS)(_[A-Z]+)"', tests))
    assert variables
    assert not [end for start, end in variables if f"EGRESSCTL_{start}{end}" not in told and f"`{end}`" not in told]
    assert len(told.encode()) <= 8192
