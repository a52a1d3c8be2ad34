"""Run a page's commands as its reader would, one shell a page, and hold what they print against the page."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

import egressctl
from egressctl.lab import control
from forked import Forks, Program

LAB_HOME = "/run/user/1000/egressctl-lab"
"""Where the pages have the lab's files."""

_PATIENCE_SECONDS = 90
_END = "\036"
_CHANGING = (
    (r"^waiting for .*\n", ""),
    (r"('?)\b[0-9a-f]{8}\b\1", "RUNID"),  # YAML quotes one of digits alone, of which there is one in forty
    (r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "TIME"),
    (r"local port \d+", "local port N"),
    (r"(127\.0\.0\.1|10\.244\.0\.5):\d{4,5}\b", r"\1:N"),
    (r"\b\d+\.\d+ s\b", "N s"),
    (r"(process +\w+) \d+", r"\1 N"),
    (r"\b\d+s$", "Ns"),
    (r"counted \+\d+", "counted +N"),
    # Which words OpenSSL and curl find for a refusal depends on their versions, and on who was quicker.
    (r"(curl exit \d+(?: after N s)?): .*", r"\1: WORDS"),
    (r'("error"): ".+"', r'\1: "WORDS"'),
    (r'("(?:duration|lookup|connect|tls|total)"): [0-9.e-]+', r"\1: N"),
    (r'("ageSeconds"): \d+', r"\1: N"),
    (r"\b(curl|Envoy) \d+\.\d+\.\d+", r"\1 VERSION"),
)


@dataclass(frozen=True)
class Ran:
    """What came of one command; `reports` are those of egressctl in it, as JSON, whatever of them it printed."""

    output: str
    code: int
    reports: str = ""


def same(expected: str, actual: str) -> bool:
    """Say whether an output is the expected one; a line `...` in the expected one stands for any number of lines."""
    parts = [_normal(part) for part in re.split(r"^\.\.\.\n", expected, flags=re.MULTILINE)]
    pattern = r"(?:.*\n)*".join(re.escape(part) for part in parts)
    return re.fullmatch(pattern, _normal(actual)) is not None


def _normal(text: str) -> str:
    for pattern, written in _CHANGING:
        text = re.sub(pattern, written, text, flags=re.MULTILINE)
    return text


class Reader:
    """Someone with a home, an empty folder to work in, and egressctl on the PATH."""

    def __init__(self, folder: Path, lab_home: Path, forks: Forks) -> None:
        self.work, self.lab_home = folder / "work", lab_home
        home, programs, self._reports = folder / "home", folder / "bin", folder / "reports"
        for each in (self.work, home, programs, self._reports):
            each.mkdir()
        self.program = Program(forks, programs / "egressctl", self._reports)
        (programs / "kubectl-egressctl").symlink_to("egressctl")
        self.environment = {
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "EGRESSCTL_LAB_HOME": str(lab_home),
            "PYTHONUNBUFFERED": "1",  # what is printed on stdout and stderr comes in the order in which it was printed
            "PYTHONPATH": str(Path(egressctl.__file__).parents[1]),
        }

    def use_lab(self, policy: str = "") -> None:
        """Start a lab and let KUBECONFIG lead to it."""
        self.environment["KUBECONFIG"] = str(control.up(policy=policy or None).kubeconfig)

    def type(self, lines: Sequence[str]) -> list[Ran]:
        """Run the lines in one shell, one after the other, whatever becomes of each."""
        kept = f"{shlex.quote(str(self._reports))}/*"
        after = f"printf '\\n\\036%d\\036' $code; cat {kept} 2>/dev/null; rm -f {kept}; printf '\\036'"
        script = "".join(f"{{\n{line}\n}} </dev/null\ncode=$?; {after}; (exit $code)\n" for line in lines)
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-c", script],
            cwd=self.work,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_PATIENCE_SECONDS,
            check=False,
        )
        parts = done.stdout.decode().split(_END)
        each = zip(parts[::3], parts[1::3], parts[2::3], strict=False)
        return [Ran(self._told(output), int(code), reports) for output, code, reports in each]

    def _told(self, output: str) -> str:
        """Return an output as a page may show it: with the reader's paths, not the test's."""
        text = output.strip("\n")
        for own, theirs in ((str(self.lab_home), LAB_HOME), (self.environment["HOME"], "/home/you")):
            text = text.replace(own, theirs)
        return text and f"{text}\n"


@contextmanager
def a_reader(folder: Path, forks: Forks) -> Iterator[Reader]:
    """Give a reader whose labs, all of them, are stopped in the end."""
    lab_home = Path(tempfile.mkdtemp(prefix="doc"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EGRESSCTL_LAB_HOME", str(lab_home))
        try:
            reader = Reader(folder, lab_home, forks)
            yield reader
            reader.program.close()
        finally:
            for lock in lab_home.glob("*.lock"):
                control.down(lock.stem)
            shutil.rmtree(lab_home)
