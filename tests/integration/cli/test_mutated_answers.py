"""No answer is trusted to have a shape: whatever stands in one, a command ends as it promises, and touches nothing of others.

One answer of chance is changed by chance in each command. EGRESSCTL_TEST_SEED gives other changes, EGRESSCTL_TEST_MUTATIONS says
how many are tried.
"""

from __future__ import annotations

import os
import random

from cli import OURS, Cli, entry, made, put_right
from examples import EVERYTHING
from faults import Action, Call, FaultProxy, Mutate
from labs import Lab
from mutations import mutate

SEED = "EGRESSCTL_TEST_SEED"
NUMBER = int(os.environ.get("EGRESSCTL_TEST_MUTATIONS") or (300 if EVERYTHING else 6))
EXITS = (0, 1, 2, 3, 4, 5)
COMMANDS: dict[str, tuple[str, ...]] = {
    "create": ("create", "wikipedia"),
    "create-source": ("create", "wikipedia", "--with-source", "-l", "app=none", "--no-wait"),
    "create-dry": ("create", "wikipedia", "--dry-run", "server"),
    "verify": ("verify", "wikipedia", "-o", "json"),
    "verify-all": ("verify", "--all"),
    "verify-url": ("verify", "https://www.wikipedia.org"),
    "verify-pod": ("verify", "wikipedia", "--pod", "sleep", "-o", "junit"),
    "cleanup": ("cleanup", "wikipedia"),
    "cleanup-all": ("cleanup", "--all", "-A", "--yes"),
    "run": ("run", "wikipedia", "-o", "json"),
    "list": ("list", "-A"),
    "explain": ("explain", "https://www.wikipedia.org", "--address", "208.80.154.224"),
    "explain-target": ("explain", "serviceentry/others", "-o", "json"),
    "diff": ("diff", "wikipedia"),
    "doctor": ("doctor",),
    "lint": ("lint",),
    "snapshot": ("snapshot", "saved"),
    "complete": ("__complete", "verify", ""),
    "complete-pod": ("__complete", "verify", "--pod", ""),
    "complete-container": ("__complete", "verify", "--container", ""),
    "complete-namespace": ("__complete", "verify", "-n", ""),
}
NEEDS_AN_ENTRY = ("verify", "verify-all", "verify-pod", "cleanup", "cleanup-all", "list", "diff")
LIMITS = ("--request-timeout", "3s")
OTHERS = entry("others", hosts=["others.example"], addresses=["192.0.2.1"])
ASKED: dict[str, list[tuple[str, str]]] = {}
"""What each command asks where nothing is changed: methods and paths."""


def test_a_changed_answer_is_no_bug(cli: Cli, lab: Lab, proxy: FaultProxy) -> None:
    seed = int(os.environ.get(SEED) or 0)
    chance = random.Random(seed)
    names = list(COMMANDS)
    chance.shuffle(names)
    failed = []
    for number in range(NUMBER):
        name = names[number % len(names)]
        one = chance.randrange(1 << 32)
        try:
            _try(cli.at(proxy.kubeconfig), lab, proxy, name, random.Random(one))
        except AssertionError as wrong:
            failed.append(f"{SEED}={seed}, number {number}, {name}, {one}: {wrong}")
    assert not failed, f"{len(failed)} of {NUMBER}:\n" + "\n\n".join(failed)


def _try(other: Cli, lab: Lab, proxy: FaultProxy, name: str, chance: random.Random) -> None:
    argv = COMMANDS[name]
    if name in NEEDS_AN_ENTRY:
        made(lab)
    lab.create(OTHERS)
    before = _others(lab)
    if name not in ASKED:
        first = len(proxy.calls)
        other(*argv)
        # An exec is not JSON.
        ASKED[name] = [(call.method, call.path) for call in proxy.calls[first:] if not call.is_exec]
        put_right(lab)
        _try(other, lab, proxy, name, chance)
        return
    place = chance.randrange(len(ASKED[name]))
    wanted, skip = ASKED[name][place], ASKED[name][:place].count(ASKED[name][place])
    status, always = chance.choice((*[0] * 17, 201, 299, 404)), chance.random() < 0.4
    met: list[Call] = []

    def change(body: bytes) -> bytes:
        return mutate(body, chance)

    def rule(call: Call) -> Action | None:
        if (call.method, call.path) != wanted:
            return None
        met.append(call)
        return Mutate(change, status) if len(met) == skip + 1 or (always and len(met) > skip) else None

    proxy.rules = rule
    try:
        ran = other("--debug", *argv, *LIMITS) if argv[0] != "__complete" else other(*argv)
        after = _others(lab)
    finally:
        proxy.rules = lambda _: None
        put_right(lab)
    told = (ran, wanted, skip)
    assert ran.code in EXITS, told
    assert "a bug in egressctl" not in ran.stderr, told
    assert before == after, told


def _others(lab: Lab) -> set[str]:
    """Return the UIDs of what is not ours."""
    paths = ("/apis/networking.istio.io/v1/serviceentries", "/api/v1/pods", "/api/v1/serviceaccounts")
    every = {each["metadata"]["uid"] for path in paths for each in lab.api("GET", path)[1]["items"]}
    ours = {each["metadata"]["uid"] for path in paths for each in lab.api("GET", f"{path}?{OURS}")[1]["items"]}
    return every - ours
