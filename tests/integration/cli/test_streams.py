"""Standard streams that are closed, full or not to be read: a command ends as it promises, and never with a traceback."""

from __future__ import annotations

import shlex
import subprocess
import sys

import pytest

from cli import GUARD_SECONDS, Cli
from examples import EVERYTHING

pytestmark = pytest.mark.thorough

EVERY = [
    "version", "--help", "", "run wikipedia", "create wikipedia", "list", "list -o json", "doctor", "lint wikipedia -o json",
    "explain https://www.wikipedia.org", "render wikipedia", "diff wikipedia -o json", "verify wikipedia",
    "verify wikipedia -o junit",
    "catalog list", "catalog show aws", "rbac", "completion bash", "rule", "cause", "snapshot saved",
    "__complete verify ''", "cleanup wikipedia",
]  # fmt: skip
"""In an order in which each finds what it needs."""


ALL_CLOSED = "<&- >&- 2>&-"


def in_shell(cli: Cli, line: str, redirections: str, **environment: str) -> tuple[int, str, str]:
    script = f"set -o pipefail; {shlex.quote(sys.executable)} -m egressctl {line} {redirections}"
    ran = subprocess.run(
        ["bash", "-c", script],
        env={**cli.env, **environment},
        cwd=cli.home,
        capture_output=True,
        text=True,
        check=False,
        timeout=GUARD_SECONDS,
    )
    assert "Traceback" not in ran.stdout + ran.stderr, ran
    assert "a bug in egressctl" not in ran.stdout + ran.stderr, ran
    return ran.returncode, ran.stdout, ran.stderr


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ALL_CLOSED] if EVERYTHING else [ALL_CLOSED])
def test_a_closed_stream_is_one_that_nobody_reads(cli: Cli, closed: str) -> None:
    for line in EVERY if EVERYTHING and closed == ALL_CLOSED else ["doctor"]:
        code, _, _ = in_shell(cli, line, closed)
        assert code in ((0, 1) if line.startswith("diff") else (0,)), line
    code, printed, _ = in_shell(cli, "nonsense", closed)
    assert (code, printed) == (2, "")  # what is an error is not put in the place of the output


@pytest.mark.parametrize(
    ("line", "said"),
    [("create -f -", "holds no document"), ("lint -", "there is no ServiceEntry"), ("compare - a.json", "standard input")],
)
def test_a_closed_input_is_empty(cli: Cli, line: str, said: str) -> None:
    code, _, told = in_shell(cli, line, "<&-")
    assert code in (0, 2)
    assert said in told


@pytest.mark.parametrize("unbuffered", ["", "1"] if EVERYTHING else ["1"])
def test_a_full_disk_is_told_by_every_command(cli: Cli, unbuffered: str) -> None:
    for line in EVERY if EVERYTHING and not unbuffered else ["__complete verify ''"]:
        code, _, told = in_shell(cli, line, ">/dev/full", PYTHONUNBUFFERED=unbuffered)
        assert (code, "could not be written: No space left on device" in told) == (3, True), (line, told)


def test_errors_that_cannot_be_written_change_no_exit_code(cli: Cli) -> None:
    assert in_shell(cli, "nonsense", "2>/dev/full")[0] == 2
    assert in_shell(cli, "list", "2>/dev/full")[0] == 0


def test_a_reader_that_goes_away_has_what_it_wants(cli: Cli) -> None:
    for line in [*EVERY, "verify wikipedia -o json=/dev/stdout"] if EVERYTHING else ["catalog list -o json=/dev/stdout"]:
        code, _, told = in_shell(cli, line, "| head -c 1 >/dev/null")
        assert code in ((0, 1) if line.startswith(("diff", "verify")) else (0,)), (line, told)
