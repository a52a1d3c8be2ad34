"""Every wait has an end: a command whose question is never answered, or only drop by drop, ends in its time and says so.

No time is measured: what would not end keeps its process beyond the guard, which fails.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Callable, Iterable

import pytest

from cli import Cli, made
from examples import EVERYTHING
from faults import Action, Call, Drip, FaultProxy, PlayExec
from labs import Lab

pytestmark = pytest.mark.thorough

LIMITS = ("--request-timeout", "1s")
STDOUT = b"\x01"


def _nothing() -> Iterable[bytes]:
    return ()


def _without_end(piece: bytes, first: bytes = b"") -> Callable[[], Iterable[bytes]]:
    return lambda: itertools.chain((first,), itertools.repeat(piece))


EXECS: dict[str, Action] = {
    "silence": PlayExec(_nothing),
    "handshake": Drip("head"),
    "pings": PlayExec(_without_end(b"\x89\x00")),
    "frames": PlayExec(_without_end(b"\x82\x02" + STDOUT + b"x")),
    "gigabytes": PlayExec(_without_end(bytes(1 << 16), b"\x82\x7f" + struct.pack(">Q", 1 << 40) + STDOUT), pause=0),
}
COMMANDS = {
    "verify": ("verify", "wikipedia", "--probe-timeout", "1s"),
    "run": ("run", "wikipedia", "--probe-timeout", "1s", "--timeout", "2s"),
    "create": ("create", "wikipedia", "--timeout", "2s"),
    "cleanup": ("cleanup", "wikipedia", "--timeout", "2s"),
    "explain": ("explain", "https://www.wikipedia.org"),
    "doctor": ("doctor",),
    "list": ("list",),
    "diff": ("diff", "wikipedia"),
    "lint": ("lint", "wikipedia"),
    "snapshot": ("snapshot", "saved"),
}
RUN_IN_POD = ("verify", "run", "create", "cleanup", "explain", "doctor")
CASES = [(command, exec_) for command in RUN_IN_POD for exec_ in EXECS]


@pytest.mark.parametrize(("command", "exec_"), CASES if EVERYTHING else [("verify", "silence"), ("verify", "gigabytes")])
def test_commands_in_pods_that_never_end_are_given_up(cli: Cli, lab: Lab, proxy: FaultProxy, command: str, exec_: str) -> None:
    if command in ("verify", "cleanup"):
        made(lab)
    proxy.rules = lambda call: EXECS[exec_] if call.is_exec else None
    ran = cli.at(proxy.kubeconfig)(*COMMANDS[command], *LIMITS)
    assert ran.code in (3, 5), ran


@pytest.mark.parametrize("what", ["head", "body"])
@pytest.mark.parametrize("command", COMMANDS if EVERYTHING else ["list"])
def test_answers_that_drip_are_given_up(cli: Cli, lab: Lab, proxy: FaultProxy, command: str, what: str) -> None:
    drip = Drip("head" if what == "head" else "body")

    def rule(call: Call) -> Action | None:
        return None if call.is_exec else drip

    proxy.rules = rule
    ran = cli.at(proxy.kubeconfig)(*COMMANDS[command], *LIMITS)
    assert (ran.code, "did not answer in time" in ran.stderr + ran.stdout) == (3, True), ran
