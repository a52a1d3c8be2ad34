"""Search a text with regular expressions that anyone may have written, in a process that can be ended.

Some expressions search some texts for years, which no look at the expression tells, and Python's `re` lets neither a thread nor
a signal stop it. The kernel ends a process whatever it is at.
"""

from __future__ import annotations

import gc
import os
import re
import select
import signal
import threading
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack, suppress
from fcntl import F_GETFL, F_SETFL, F_SETOWN, fcntl
from functools import partial
from io import FileIO
from pathlib import Path
from typing import NamedTuple, Never

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


class SearchResult(NamedTuple):
    """What the expressions took, by their names, and why the search was given up: a sentence, empty where it was not."""

    found: Mapping[str, str]
    given_up: str = ""


def search_text(patterns: Mapping[str, str], text: bytes, limits: SearchLimits = DEFAULT_LIMITS) -> SearchResult:
    """Search UTF-8 text for expressions of one group each, given by name.

    What costs more than the limits is given up, and the expressions after it are not searched for. Raises CouldNotAsk where the
    process does not start, or something else ends it.
    """
    code, lines = _search_in_process(patterns.values(), text, limits)
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


def _search_in_process(patterns: Collection[str], text: bytes, limits: SearchLimits) -> tuple[int, list[str]]:
    """Search in a process of its own, and return how it ended and the lines it wrote, one for each expression."""
    with _AT_ONCE, ExitStack() as pipes:
        try:
            (lives, ours), (answer, theirs) = _open_pipe(pipes), _open_pipe(pipes)
            child = _fork(partial(_search, patterns, text, limits, _memory_limit(limits), lives, theirs, ours))
        except OSError as error:
            raise CouldNotAsk(f"{_NOT_SEARCHED}: {error}") from error
        theirs.close()
        said = None
        try:
            said = _read_to_end(answer, time.monotonic() + limits.patience)
        finally:
            if said is None:  # its time is up, or a signal's exception leaves
                os.kill(child, signal.SIGKILL)
            code = _wait_for(child)
    if said is None:
        raise CouldNotAsk(f"{_NOT_SEARCHED} within {limits.patience:g} s")
    lines = said.decode().split()
    # No exit code is left for who began with SIGCHLD ignored.
    return code if code is not None else -1 if len(lines) < len(patterns) else 0, lines


def _fork(work: Callable[[], Never]) -> int:
    """Run `work` in a process that shares all that is in memory, and return its pid: starting an interpreter takes 15 ms more.

    No signal is heard there, lest its exception run on into what is the parent's alone.
    """
    heard = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        child = os.fork()
        if child == 0:
            try:
                work()
            finally:
                os._exit(os.EX_SOFTWARE)
        return child
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, heard)


def _search(
    patterns: Collection[str],
    text: bytes,
    limits: SearchLimits,
    limit_memory: Callable[[], None],
    lives: FileIO,
    answer: FileIO,
    ours: FileIO,
) -> Never:
    """Write a line for each expression, in the child, where other threads are gone and their locks may be held for good.

    SIGPROF ends it at the end of its time, and SIGIO where `ours` is closed, since egressctl has gone: both without a word of
    Python's, which is busy.
    """
    gc.disable()  # what it would end is the parent's
    os.setsid()  # a terminal's signals are for the parent, which may have to finish something
    ours.close()
    for number in (signal.SIGIO, signal.SIGPROF):
        signal.signal(number, signal.SIG_DFL)
    fcntl(lives, F_SETOWN, os.getpid())
    fcntl(lives, F_SETFL, fcntl(lives, F_GETFL) | os.O_ASYNC | os.O_NONBLOCK)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGIO, signal.SIGPROF))
    if lives.read(1) is not None:
        os._exit(os.EX_SOFTWARE)  # it had gone before SIGIO was asked for
    with suppress(OSError, ValueError):
        limit_memory()
    signal.setitimer(signal.ITIMER_PROF, limits.seconds)
    try:
        body = text.decode("utf-8", "replace")
        for pattern in patterns:
            match = re.search(pattern, body)
            found = match and match[1]
            line = "-" if found is None else "+" if len(found) > LONGEST_FOUND else "=" + found.encode().hex()
            answer.write(f"{line}\n".encode())
    except MemoryError:
        os._exit(_OUT_OF_MEMORY)
    os._exit(os.EX_OK)


def _memory_limit(limits: SearchLimits) -> Callable[[], None]:
    """Return what limits a child's memory to as much more than there is now; it imports nothing there."""
    import resource  # imported late: 1 ms

    pages = int(Path("/proc/self/statm").read_bytes().split()[5]) if os.path.exists("/proc/self/statm") else 0
    memory = pages * resource.getpagesize() + (limits.megabytes << 20)
    return partial(resource.setrlimit, resource.RLIMIT_DATA, (memory, resource.getrlimit(resource.RLIMIT_DATA)[1]))


def _open_pipe(pipes: ExitStack) -> tuple[FileIO, FileIO]:
    reading, writing = os.pipe()
    return pipes.enter_context(FileIO(reading)), pipes.enter_context(FileIO(writing, "w"))


def _read_to_end(answer: FileIO, ends: float) -> bytes | None:
    """Read what is written until the other side ends, or return None where it has not by then."""
    waiting, said = select.poll(), b""
    waiting.register(answer, select.POLLIN)
    while (left := ends - time.monotonic()) > 0:
        if waiting.poll(left * 1000):
            if not (piece := answer.read(1 << 16)):
                return said
            said += piece
    return None


def _wait_for(child: int) -> int | None:
    try:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    except ChildProcessError:
        return None
