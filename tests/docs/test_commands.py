"""Every command line of the pages does what its page says, in the page's order, on a lab of its own."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import tomllib
from pathlib import Path

import pytest
import yaml

from docs.pages import REWRITE, ROOT, Block, Command, Page, pages
from docs.shell import Ran, a_reader, same
from forked import Forks

_CHECKED_ONLY = ("make", "pip", "pipx", "git")
"""Commands that would call this test suite, or need an index or a forge: what they name is held instead."""

_RUN_ELSEWHERE = ("docs/how-to/install.md",)
"""Pages whose commands install things: tests/packages runs them."""


def _typed(page: Page) -> list[Command]:
    """Return what a test runs of a page: its console blocks, and the steps of its workflows."""
    found = [] if page.name in _RUN_ELSEWHERE else list(page.commands)
    for block in page.blocks:
        if block.remark == "workflow":
            found += [Command(line, "...\n", 0, 0) for line in _steps(block)]
    return found


def _steps(block: Block) -> list[str]:
    content = yaml.safe_load(block.body)
    steps = content if isinstance(content, list) else [step for job in content["jobs"].values() for step in job["steps"]]
    return [line for step in steps for line in step.get("run", "").splitlines()]


def _is_run(command: Command) -> bool:
    return command.line.split()[0] not in _CHECKED_ONLY


WITH_COMMANDS = [page for page in pages() if any(map(_is_run, _typed(page)))]


@pytest.mark.parametrize("page", WITH_COMMANDS, ids=lambda page: page.name)
def test_the_commands_of_a_page_do_what_it_says(page: Page, tmp_path: Path, forking: Forks) -> None:
    typed = [command for command in _typed(page) if _is_run(command)]
    cut = next(
        (i for i, each in enumerate(typed) if each.line.startswith("kubectl ") and not shutil.which("kubectl")), len(typed)
    )
    with a_reader(tmp_path, forking) as reader:
        applied = []
        for block in page.blocks:
            if block.remark.startswith("file "):
                name = block.remark.split()[1].rstrip(",")
                (reader.work / name).write_text(block.body)
                applied += [f"kubectl apply -f {name}"] * block.remark.endswith(", applied")
        if applied and not shutil.which("kubectl"):
            pytest.skip("kubectl is not installed, and the page's objects cannot be applied")
        if page.setting:
            reader.use_lab(*page.setting.split()[1:])
        ran = reader.type([*applied, *(command.line for command in typed[:cut])])
    assert not any(result.code for result in ran[: len(applied)]), ran
    del ran[: len(applied)]
    changes = []
    for index, (command, result) in enumerate(zip(typed, ran, strict=False)):
        assert "Traceback" not in result.output, _difference(command, result)
        if REWRITE and not same(command.output, result.output):
            changes.append((command.start, command.end, result.output))
        else:
            assert same(command.output, result.output), _difference(command, result)
        if result.code:
            following = typed[index + 1].line if index + 1 < len(typed) else ""
            said = f"`{command.line}` ended with {result.code}, and the page does not say so"
            assert following == "echo $?", f"{said}{_kept(result)}"
    if changes:
        page.rewrite(changes)
    if cut < len(typed):
        pytest.skip(f"kubectl is not installed: from `{typed[cut].line}` on, nothing was run")
    assert len(ran) == len(typed)


def _difference(command: Command, result: Ran) -> str:
    return f"`{command.line}` should print\n{command.output}\nand printed (exit {result.code})\n{result.output}{_kept(result)}"


def _kept(result: Ran) -> str:
    return f"\nIts report:\n{result.reports}" if result.reports else ""


def test_the_report_of_a_command_is_kept_beside_what_it_prints(tmp_path: Path, forking: Forks) -> None:
    with a_reader(tmp_path, forking) as reader:
        quiet, without = reader.type(["egressctl verify wikipedia -o name --kubeconfig nowhere", "true"])
    assert json.loads(quiet.reports)["exitCode"] == quiet.code != 0
    assert not without.reports


@pytest.mark.parametrize(
    "command", [each for page in pages() for each in _typed(page) if not _is_run(each)], ids=lambda command: command.line
)
def test_what_is_not_run_names_what_is_there(command: Command) -> None:
    program, *words = shlex.split(command.line)
    if program == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert words
        assert set(words) <= set(targets)
    elif program in ("pip", "pipx"):
        extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
        assert words[0] == "install"
        place = re.fullmatch(r"\.(?:/egressctl)?(?:\[(\w+)\])?", words[1])
        assert place
        assert place[1] is None or place[1] in extras
    else:
        assert words[0] == "clone"
