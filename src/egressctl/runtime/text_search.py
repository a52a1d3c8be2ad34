"""Search a text with regular expressions that anyone may have written, in a process that can be ended.

Some expressions search some texts for years, which no look at the expression tells, and Python's `re` lets neither a thread nor
a signal stop it. The kernel ends a process whatever it is at.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from egressctl.errors import CouldNotAsk

LONGEST_FOUND = 65_536
"""Characters that one expression may take out of a text."""


class SearchLimits(NamedTuple):
    """What the search of one text may cost, all expressions together."""

    seconds: float = 1.0
    """Of the processor's time, so that a busy machine ends no harmless search."""
    megabytes: int = 256
    patience: float = 60.0
    """Seconds on the clock, after which something is wrong with this machine."""


DEFAULT_LIMITS = SearchLimits()

_AT_ONCE = threading.Semaphore(2)
"""So many processes may search at a time, whatever the number of threads: each may need its megabytes."""

_OUT_OF_MEMORY = 3
_NOT_SEARCHED = "the body could not be searched for `extract`"

_PROGRAM = """
import re, resource, sys
from fcntl import F_GETFL, F_SETFL, F_SETOWN, fcntl
from os import O_ASYNC, O_NONBLOCK, getpid, read
from signal import ITIMER_PROF, SIGIO, SIGPROF, SIG_DFL, setitimer, signal

alive, seconds, (memory, longest, out_of_memory) = int(sys.argv[1]), float(sys.argv[2]), map(int, sys.argv[3:])
for number in (SIGIO, SIGPROF):
    signal(number, SIG_DFL)
fcntl(alive, F_SETOWN, getpid())
fcntl(alive, F_SETFL, fcntl(alive, F_GETFL) | O_ASYNC | O_NONBLOCK)
try:
    resource.setrlimit(resource.RLIMIT_DATA, (memory, resource.getrlimit(resource.RLIMIT_DATA)[1]))
except (OSError, ValueError):
    pass
patterns, _, body = sys.stdin.buffer.read().partition(b"\\n\\n")
try:
    sys.exit(read(alive, 1))  # it had gone before SIGIO was asked for
except BlockingIOError:
    pass
setitimer(ITIMER_PROF, seconds)
try:
    text = body.decode("utf-8", "replace")
    for pattern in patterns.split():
        match = re.search(bytes.fromhex(pattern.decode()).decode("utf-8", "surrogatepass"), text)
        found = match and match[1]
        line = "-" if found is None else "+" if len(found) > longest else "=" + found.encode().hex()
        print(line, flush=True)
except MemoryError:
    sys.exit(out_of_memory)
"""
"""Its arguments: a pipe that closes as egressctl ends, and the limits. Its input: the expressions in hex, and the text.

It prints a line for each expression. At the end of its time SIGPROF ends it, and SIGIO where egressctl has gone: both without
a word of Python's, which is busy.
"""


class SearchResult(NamedTuple):
    """What the expressions took, by their names, and why the search was given up: a sentence, empty where it was not."""

    found: Mapping[str, str]
    given_up: str = ""


def search_text(patterns: Mapping[str, str], text: bytes, limits: SearchLimits = DEFAULT_LIMITS) -> SearchResult:
    """Search UTF-8 text for expressions of one group each, given by name.

    What costs more than the limits is given up, and the expressions after it are not searched for. Raises CouldNotAsk where the
    process does not start, or something else ends it.
    """
    import signal  # imported late: 1 ms

    code, lines = _run_program(patterns.values(), text, limits)
    marked = dict(zip(patterns, lines, strict=False))
    found = {name: bytes.fromhex(line[1:]).decode() for name, line in marked.items() if line.startswith("=")}
    names = list(patterns)
    if code == 0:
        long = next((name for name in names if marked.get(name) == "+"), "")
        taken = f"the expression for {long} took more than {LONGEST_FOUND:,} characters: {patterns.get(long)}"
        return SearchResult(found, long and taken)
    spent = {-signal.SIGPROF: f"{limits.seconds:g} s", _OUT_OF_MEMORY: f"{limits.megabytes} MB of memory"}.get(code)
    if spent is None or len(lines) >= len(names):
        raise CouldNotAsk(f"{_NOT_SEARCHED}: the process for it ended with {code}")
    at = names[len(lines)]
    return SearchResult(found, f"the expression for {at} was given up after {spent}: {patterns[at]}")


def _run_program(patterns: Iterable[str], text: bytes, limits: SearchLimits) -> tuple[int, list[str]]:
    """Run the program over a text, and return how it ended and the lines it wrote."""
    import subprocess  # imported late: 5 ms

    hexed = b"\n".join(pattern.encode("utf-8", "surrogatepass").hex().encode() for pattern in patterns)
    with _AT_ONCE:
        theirs, ours = os.pipe()
        words = (theirs, limits.seconds, limits.megabytes << 20, LONGEST_FOUND, _OUT_OF_MEMORY)
        try:
            ran = subprocess.run(
                [sys.executable, "-I", "-S", "-c", _PROGRAM, *map(str, words)],
                input=hexed + b"\n\n" + text,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                pass_fds=(theirs,),
                start_new_session=True,  # a terminal's signals are for egressctl, which may have to finish something
                timeout=limits.patience,
                check=False,
            )
        except OSError as error:
            raise CouldNotAsk(f"{_NOT_SEARCHED}: {error}") from error
        except subprocess.TimeoutExpired:
            raise CouldNotAsk(f"{_NOT_SEARCHED} within {limits.patience:g} s") from None
        finally:
            os.close(theirs)
            os.close(ours)
    return ran.returncode, ran.stdout.decode().split()
