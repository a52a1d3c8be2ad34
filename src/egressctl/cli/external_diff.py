"""Run the program that KUBECTL_EXTERNAL_DIFF names over two folders, by kubectl's rules: `pkg/cmd/diff/diff.go`."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from egressctl.errors import InvalidInput
from egressctl.manifests.diff_text import LIVE, MERGED, EntryDifference, sorted_yaml
from egressctl.runtime.signals import Interrupts

VARIABLE = "KUBECTL_EXTERNAL_DIFF"
_ARGUMENT = re.compile(r"[a-zA-Z0-9=-]+")
"""What kubectl takes of an argument; another it leaves out."""


class DiffProgram(NamedTuple):
    """A program with its arguments, and those that are left out because kubectl leaves them out."""

    name: str
    arguments: tuple[str, ...]
    left_out: tuple[str, ...]


def parse_program(text: str) -> DiffProgram:
    """Split the variable's value at its blanks. Raises InvalidInput where it names no program."""
    name, *arguments = text.split(" ")
    if not name:
        raise InvalidInput(f"{VARIABLE}={text!r} names no program", hint=f'such as {VARIABLE}="diff -u -N"')
    taken = [each for each in arguments if _ARGUMENT.fullmatch(each)]
    return DiffProgram(name, tuple(taken), tuple(each for each in arguments if each and each not in taken))


def run_program(wanted: DiffProgram, differences: Sequence[EntryDifference], interrupts: Interrupts) -> int:
    """Write both sides of every difference into two folders, run the program on them, and return its exit code: 0 or 1.

    The folders are this user's alone, and gone afterwards, whatever happens. Raises InvalidInput where the program cannot be
    run, or ends otherwise: that is its way of saying that it failed.
    """
    with ExitStack() as stack:
        folders = [_make_folder(side, stack, interrupts) for side in (LIVE, MERGED)]
        for each in differences:
            for folder, manifest in zip(folders, (each.live, each.merged), strict=True):
                # The name holds no slash: namespaces and objects have DNS names.
                (folder / each.name).write_text(sorted_yaml(manifest), encoding="utf-8")
        # Kubectl puts the folders before the program's own arguments, and programs count on it.
        argv = [wanted.name, *map(str, folders), *wanted.arguments]
        try:
            code = subprocess.run(argv, check=False).returncode
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            raise InvalidInput(f"{VARIABLE}: {wanted.name} could not be run: {why}") from None
    if code not in (0, 1):
        how = f"with exit code {code}" if code > 0 else f"by signal {-code}"
        raise InvalidInput(
            f"{VARIABLE}: {wanted.name} ended {how}",
            hint="0 says that there is no difference, 1 that there is one; unset the variable for the built-in form",
        )
    return code


def _make_folder(side: str, stack: ExitStack, interrupts: Interrupts) -> Path:
    """Make a temporary folder of this user's alone (mode 0700), which no signal keeps from being removed with the stack."""
    with interrupts.deferred():
        try:
            folder = tempfile.mkdtemp(prefix=f"{side}-")
        except OSError as error:
            raise InvalidInput(
                f"no temporary folder could be made: {error.strerror}", hint="TMPDIR names another place"
            ) from None
        stack.callback(_remove_folder, folder, interrupts)
    return Path(folder)


def _remove_folder(folder: str, interrupts: Interrupts) -> None:
    with interrupts.deferred():
        shutil.rmtree(folder, ignore_errors=True)
