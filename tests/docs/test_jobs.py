"""The pages of jobs: each begins with the line to type, fits on a screen, and is found by everyday words."""

from __future__ import annotations

import importlib.util
from types import ModuleType

import pytest

from docs.pages import REWRITE, ROOT, Page, read

JOBS = [read(path) for path in sorted((ROOT / "docs" / "jobs").glob("*.md"))]
LINES_OF_A_SCREEN = 45
"""Without blocks of YAML, which are files to look at, not to read."""


def _tool(name: str) -> ModuleType:
    """Load a script of tools, which is no package; one of the site's needs no MkDocs for what is asked of it here."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", JOBS, ids=lambda page: page.path.stem)
def test_a_job_begins_with_the_line_to_type_and_fits_on_a_screen(page: Page) -> None:
    first = page.blocks[0]
    assert first.language == "console"
    between = page.text[: first.start].partition(f"# {page.title}\n")[2]
    assert between == "\n```console\n"
    files = sum(block.body.count("\n") for block in page.blocks if block.language == "yaml")
    assert len(page.text.splitlines()) - files <= LINES_OF_A_SCREEN
    assert page.tags


def test_the_menu_and_the_readme_name_every_job() -> None:
    names = {f"jobs/{page.path.name}" for page in JOBS}
    menu = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    readme = read(ROOT / "README.md").links
    assert not [name for name in names if f": {name}\n" not in menu or f"docs/{name}" not in readme]


def test_no_two_jobs_have_the_same_tag() -> None:
    tags = [tag.lower() for page in JOBS for tag in page.tags]
    assert len(tags) == len(set(tags))


def test_the_picture_of_the_readme_is_what_its_script_draws() -> None:
    path = ROOT / "docs" / "pictures" / "proof.svg"
    drawn = _tool("proof_picture").picture()
    if REWRITE:
        path.write_text(drawn, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == drawn, "bring it up to date with EGRESSCTL_DOCS_REWRITE=1"
