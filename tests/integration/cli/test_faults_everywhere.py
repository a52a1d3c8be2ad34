"""Every fault at every call of every command: no traceback, no wrong verdict, and no object lost sight of.

What stands between egressctl and the API does the harm, so one endpoint suffices.
"""

from __future__ import annotations

import pytest

from cli import Cli, made, owned, put_right
from examples import EVERYTHING
from faults import Action, Call, FaultProxy, Reset, ResetAfterForward, Respond, StallInBody
from labs import Lab

EVERY_CALL = EVERYTHING
"""Do each fault to each call, as .ci/run has it; else to one in eighteen, by turns."""

FAULTS: dict[str, Action] = {
    "401": Respond(401, "Unauthorized"),
    "403": Respond(403, "Forbidden"),
    "409": Respond(409, "Conflict"),
    "429": Respond(429, "TooManyRequests", headers={"Retry-After": "0"}),
    "500": Respond(500, "InternalError"),
    "503": Respond(503, "ServiceUnavailable"),
    "reset": Reset(),
    "reset-after": ResetAfterForward(),
    "stall": StallInBody(),
    "not-json": Respond(200, body=b"<html>all is well</html>", headers={"Content-Type": "text/html"}),
}
COMMANDS = {
    "create": ("create", "wikipedia"),
    "verify": ("verify", "wikipedia", "-o", "json"),
    "cleanup": ("cleanup", "wikipedia", "-o", "json"),
    "run": ("run", "wikipedia", "-o", "json"),
    "list": ("list",),
    "doctor": ("doctor",),
}
NEEDS_AN_ENTRY = ("verify", "cleanup", "list")
LIMIT = ("--request-timeout", "2s")
UNDISTURBED: dict[str, list[Call]] = {}
"""What each command asks where no fault comes; a few calls more or fewer each time, since it polls."""


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_fault_at_any_call_is_survived(cli: Cli, lab: Lab, proxy: FaultProxy, command: str, fault: str) -> None:
    argv, other = (*COMMANDS[command], *LIMIT), cli.at(proxy.kubeconfig)
    if command not in UNDISTURBED:
        if command in NEEDS_AN_ENTRY:
            made(lab)
        assert other(*COMMANDS[command]).code == 0
        UNDISTURBED[command] = list(proxy.calls)
        put_right(lab)
    done = 0
    calls = UNDISTURBED[command]
    for call in calls if EVERY_CALL else calls[7 * list(FAULTS).index(fault) % min(18, len(calls)) :: 18]:
        # A command under way is waited for longer than a request.
        if call.is_exec and fault in ("stall", "reset-after"):
            continue
        if command in NEEDS_AN_ENTRY:
            made(lab)
        _one(other, lab, proxy, argv, call.index, FAULTS[fault])
        put_right(lab)
        done += 1
    assert done or not EVERY_CALL


def _one(other: Cli, lab: Lab, proxy: FaultProxy, argv: tuple[str, ...], index: int, fault: Action) -> None:
    first = len(proxy.calls)
    met: list[Call] = []

    def once(call: Call) -> Action | None:
        if call.index != first + index:
            return None
        met.append(call)
        return fault

    proxy.rules = once
    ran = other(*argv)
    proxy.rules = lambda _: None
    told = (ran, fault, met)
    assert ran.code in (0, 1, 3, 4, 5), told
    left = owned(lab)
    if argv[0] in ("verify", "run") and ran.stdout:
        assert {verdict for verdict, _ in ran.judged} <= {"open", "unproven", "inconclusive"}, told
        closure = [
            probe["verdict"] for target in ran.report["targets"] for probe in (target.get("closure") or {}).get("probes", [])
        ]
        assert set(closure) <= {"blocked", "unproven", "inconclusive"}, told
    if argv[0] == "run":
        assert left == [] or (ran.code == 5 and "kubectl delete" in ran.stderr), told
        assert ran.code != 0 or [verdict for verdict, _ in ran.judged] == ["open"] * 2, told
    if argv[0] == "create":
        assert (left == ["serviceentry/wikipedia-ext"] and "wikipedia-ext" in ran.stdout + ran.stderr) or left == [], told
        assert ran.code != 0 or left, told
    if argv[0] == "cleanup":
        assert left == [] or ran.code != 0, told
    assert ran.code == 0 or ran.told("error") or '"verdict"' in ran.stdout or "✘" in ran.stdout, told
