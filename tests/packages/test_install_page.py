"""Every command of the page on installing, run as it stands there, in a checkout and an account that has nothing."""

from __future__ import annotations

import pytest

from docs.pages import Block, read
from docs.shell import same
from packages.conftest import ROOT, Release, run

PAGE = read(ROOT / "docs" / "how-to" / "install.md")
BLOCKS = [block for block in PAGE.blocks if block.language == "console"]


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.commands[0].line)
def test_the_commands_of_the_page_do_what_it_says(release: Release, home: dict[str, str], block: Block) -> None:
    tools = release.checkout / "build" / "release"
    if not tools.exists():  # what `make release` would install once more
        tools.parent.mkdir(exist_ok=True)
        tools.symlink_to(ROOT / "build" / "release")
    for command in block.commands:
        ran = run("bash", "-c", command.line, cwd=release.checkout, env=home)
        assert ran.returncode == 0, (command.line, ran)
        assert same(command.output, ran.stdout), (command.line, ran)


def test_the_page_is_the_tags_version() -> None:
    assert "egressctl 1.2.3" in PAGE.text


def test_the_page_has_commands() -> None:
    assert len(BLOCKS) >= 6
