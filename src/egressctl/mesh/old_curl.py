"""Ask a curl from before 7.75 in the form that it understands, and complete its report. Pure.

It knows neither `%{exitcode}` nor `%{errormsg}`, and says so on stderr in the middle of the report. It is asked
without them, with one probe an exec: what curl says of a failure, `curl: (N) words`, is then that probe's. Before 7.63 there
is no `%{stderr}`, and the report cannot be distinguished from a body. Source: curl's changelog and src/tool_writeout.c.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

OLDEST = (7, 63, 0)
"""The first curl that can write its report to stderr."""

_UNKNOWN = b"unknown --write-out variable: "
_NO_OPTION = re.compile(rb"^curl: option .{1,80} is unknown", re.MULTILINE)
_LEFT_OUT = ("%{exitcode}", "%{errormsg}")
_SAID = re.compile(rb"^curl: \(([0-9]{1,3})\) ?([^\r\n]*)", re.MULTILINE)
_NO_TABLE = b"37"
"""A file that cannot be read (CURLE_FILE_COULDNT_READ_FILE): without IPv6 there is no /proc/net/tcp6. No URL gives it."""
_REPORT = re.compile(rb"^egressctl 0\t\t(.*\t)$", re.MULTILINE)


def is_old(stderr: bytes) -> bool:
    """Say whether curl did not know a field of its report."""
    return _UNKNOWN in stderr


def is_too_old(stderr: bytes) -> bool:
    """Say whether curl knew an option or the report's own place not at all."""
    return _UNKNOWN + b"'stderr'" in stderr or bool(_NO_OPTION.search(stderr))


def old_curl_argv(words: Sequence[str]) -> tuple[str, ...]:
    """Return a command line of curl without the fields that an old one does not know."""
    found = []
    for word in words:
        for each in _LEFT_OUT:
            word = word.replace(each, "")
        found.append(word)
    return tuple(found)


def complete_report(stderr: bytes, *, ended: bool) -> bytes:
    """Return what the one probe's curl wrote to stderr, with exit code and words put into the report's places.

    A report without a failure next to it is exit code 0 only where the command was seen to end: curl may write the failure
    last. Left as it is, and so not to be read, where that is not so, or where more than one failure is reported.
    """
    failures = [(found[1], found[2]) for found in _SAID.finditer(stderr) if found[1] != _NO_TABLE]
    reports = [found[1] for found in _REPORT.finditer(stderr)]
    if len(reports) != 1 or len(failures) > 1 or not (failures or ended):
        return stderr
    code, words = failures[0] if failures else (b"0", b"")
    return b"\n".join((b"", b"egressctl 0\t" + code + b"\t" + reports[0] + words, b""))
