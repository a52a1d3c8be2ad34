"""Type the main commands at a terminal, on a lab, and keep what it shows as pictures: `pictures.py FOLDER` writes the files."""

from __future__ import annotations

import os
import pty
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

WIDTH = 132
_UP, _ERASE_LINE, _CURSOR = "\x1b[1A", "\x1b[2K", re.compile(r"\x1b\[\?25[lh]")
_FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
ROOT = Path(__file__).parents[1]
EGRESSCTL = str(Path(sys.executable).with_name("egressctl"))

# In this order, on one lab that begins as a mesh under REGISTRY_ONLY with the sample pod in it.
SCENES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("verify-blocked", ("egressctl verify wikipedia",)),
    ("create", ("egressctl create wikipedia --export-to .",)),
    ("verify", ("egressctl verify",)),
    ("explain", ("egressctl explain https://www.wikipedia.org",)),
    ("verify-all", ("egressctl verify --all",)),
    ("lint", ("egressctl lint tests/manifests/document-of-2018.yaml",)),
    (
        "catalog-diff",
        (
            "egressctl catalog diff wikipedia --offline --entry tests/manifests/document-of-2018.yaml "
            "--published tests/data/published/wikimedia-geo-resources-2026",
        ),
    ),
    ("cleanup", ("egressctl cleanup",)),
    ("run", ("egressctl run wikipedia",)),
)


def main(folder: Path) -> None:
    """Write a picture of each scene into a folder, in place of those that are there."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.svg"):
        old.unlink()
    name = f"pictures-{os.getpid()}"
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "HOME": home, "EGRESSCTL_LAB_NAME": name, "TERM": "xterm-256color", "COLUMNS": str(WIDTH)}
        environment.pop("NO_COLOR", None)
        up = subprocess.run([EGRESSCTL, "lab", "up", "--name", name, "-q"], check=True, stdout=subprocess.PIPE, text=True)
        environment["KUBECONFIG"] = up.stdout.strip().removeprefix("export KUBECONFIG=")
        try:
            for scene, lines in SCENES:
                (folder / f"{scene}.svg").write_text(picture(lines, environment), encoding="utf-8")
        finally:
            subprocess.run([EGRESSCTL, "lab", "down", "--name", name], check=True, stdout=subprocess.DEVNULL)


def picture(lines: tuple[str, ...], environment: dict[str, str]) -> str:
    """Return the terminal as SVG after these lines were typed in it."""
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        console = Console(record=True, width=WIDTH, force_terminal=True, file=nowhere, highlight=False)
        for line in lines:
            console.print(Text.assemble(("$ ", "bold green"), (line, "bold")))
            console.print(Text.from_ansi(typed(shlex.split(line), environment)))
        # Without the fonts that rich would have the reader's browser fetch.
        return _FONTS.sub("", console.export_svg(title=lines[0]))


def typed(words: list[str], environment: dict[str, str]) -> str:
    """Run a command at a terminal of its own, and return all that it wrote there, live lines as they ended."""
    leader, follower = pty.openpty()
    with subprocess.Popen(
        [EGRESSCTL, *words[1:]],
        env=environment,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=follower,
        stderr=follower,
        close_fds=True,
    ) as process:
        os.close(follower)
        shown = bytearray()
        while True:
            try:
                piece = os.read(leader, 65536)
            except OSError:  # what Linux says once nobody has the other end any more
                break
            if not piece:
                break
            shown += piece
    os.close(leader)
    assert process.returncode in (0, 1), f"{shlex.join(words)} ended with {process.returncode}: {shown.decode()}"
    return _settled(shown.decode())


def _settled(text: str) -> str:
    """Take away what was shown for a while only: a live line, which is erased by going up to it and deleting it."""
    kept: list[str] = []
    for line in _CURSOR.sub("", text.replace("\r\n", "\n")).split("\n"):
        *erased, last = line.split(_ERASE_LINE)
        for part in erased:
            if part.endswith(_UP) and kept:
                kept.pop()
        kept.append(last.rsplit("\r", 1)[-1])
    return "\n".join(kept).strip("\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
