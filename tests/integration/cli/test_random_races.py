"""Two or three commands on one target at moments of chance: nothing of another run is touched, and what each says is true.

What came to be and went is read from a watch, in its order. EGRESSCTL_TEST_RACES is how many, EGRESSCTL_TEST_SEED gives others.
"""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import urllib3

from cli import ENTRIES, Cli, Ran, entry, made, put_right
from egressctl.kube.config import ConnectOptions, connect
from egressctl.manifests.service_entry import LABEL_MANAGED_BY, LABEL_RUN_ID
from examples import EVERYTHING
from forked import Forks
from labs import Lab, eventually

PLACES = ("lab", "kubernetes")
RACES = int(os.environ.get("EGRESSCTL_TEST_RACES") or ("40" if EVERYTHING else "3"))
SEED = os.environ.get("EGRESSCTL_TEST_SEED") or "0"
EARLIER = "0badcafe"
COMMANDS: dict[str, tuple[str, ...]] = {
    "create": ("create", "wikipedia"),
    "create at once": ("create", "wikipedia", "--no-wait"),
    "run": ("run", "wikipedia"),
    "run again": ("run", "wikipedia"),
    "cleanup": ("cleanup", "wikipedia", "--ignore-not-found"),
    "cleanup all": ("cleanup", "--all", "--no-verify"),
}
LATEST = (0.02, 0.2, 0.8)
"""Seconds after the first in which the others start, one by chance: next to at once, or about what a run takes."""
SLACK = 2.0
"""Seconds that a busy machine may need to hear of a change."""


@dataclass(frozen=True)
class Event:
    """A change of a ServiceEntry, as a watch tells it, and when that was heard."""

    heard: float
    kind: str
    uid: str
    name: str
    run_id: str
    spec: Any


@dataclass
class Watch:
    """Every change of the namespace's ServiceEntries, in its order."""

    events: list[Event] = field(default_factory=list)

    def read(self, response: urllib3.BaseHTTPResponse) -> None:
        with suppress(urllib3.exceptions.HTTPError):  # until it is shut down
            left = b""
            for piece in response.stream():
                *lines, left = (left + piece).split(b"\n")
                for line in lines:
                    told = json.loads(line)
                    metadata, spec = told["object"]["metadata"], told["object"].get("spec")
                    labels = metadata.get("labels") or {}
                    owner = labels.get(LABEL_RUN_ID, "") if labels.get(LABEL_MANAGED_BY) == "egressctl" else ""
                    self.events.append(Event(time.monotonic(), told["type"], metadata["uid"], metadata["name"], owner, spec))

    def up_to_now(self, lab: Lab) -> list[Event]:
        """Return what has happened so far: all that was before an object that is made for this."""
        lab.create(entry("mark", hosts=["mark.example"], addresses=["192.0.2.9"]))
        lab.delete({"metadata": {"namespace": "default", "name": "mark"}})
        assert eventually(lambda: any((each.name, each.kind) == ("mark", "DELETED") for each in self.events))
        found, self.events = self.events, []
        return [each for each in found if each.name != "mark"]


@contextmanager
def watched(lab: Lab) -> Iterator[Watch]:
    connection = connect(ConnectOptions(kubeconfig=str(lab.kubeconfig))).connection()
    version = lab.api("GET", ENTRIES)[1]["metadata"]["resourceVersion"]
    url = f"{connection.base}{ENTRIES}?watch=1&timeoutSeconds=3000&resourceVersion={version}"
    response = connection.pool.urlopen(
        "GET", url, headers=dict(connection.headers), preload_content=False, timeout=urllib3.Timeout(read=None)
    )
    watch = Watch()
    reading = threading.Thread(target=watch.read, args=[response])
    reading.start()
    yield watch
    response.shutdown()
    reading.join()
    response.close()


@dataclass(frozen=True)
class Racer:
    """A command of a race: when it starts, and when, if ever, it is interrupted; after it has ended, when it ran."""

    what: str
    starts: float
    interrupted: float | None
    ran: Ran | None = None
    began: float = 0.0
    ended: float = 0.0

    @property
    def result(self) -> Ran:
        assert self.ran is not None
        return self.ran

    @property
    def run_id(self) -> str:
        # What is interrupted before it begins has done nothing.
        return str(self.result.report["runId"]) if self.result.stdout or self.result.code != 130 else ""

    @property
    def action(self) -> str:
        return next((str(each.get("action")) for each in self.result.report["targets"]), "")

    def go(self, cli: Cli) -> Racer:
        time.sleep(self.starts)
        began = time.monotonic()
        running = cli.start(*COMMANDS[self.what], "-o", "json", "--timeout", "20s")
        timer = None
        if self.interrupted is not None:
            timer = threading.Timer(self.interrupted, _interrupt, [running.pid])
            timer.start()
        ran = running.end()
        if timer:
            timer.cancel()
        return Racer(self.what, self.starts, self.interrupted, ran, began, time.monotonic())


def _interrupt(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGINT)


def racers(chance: random.Random) -> list[Racer]:
    number = chance.choice((2, 2, 3))
    latest = chance.choice(LATEST)
    starts = sorted([0.0, *(chance.uniform(0, latest) for _ in range(number - 1))])
    found = [Racer(chance.choice(list(COMMANDS)), at, None) for at in starts]
    if chance.random() < 0.4:  # the later one
        last = found[-1]
        found[-1] = Racer(last.what, last.starts, chance.uniform(0.1, 1.5))
    return found


def test_what_each_says_and_leaves_is_right(lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outcomes: Counter[str] = Counter()
    put_right(lab)
    lab.create(entry("theirs", hosts=["theirs.example"], addresses=["192.0.2.0/29"]))
    before = lab.api("GET", f"{ENTRIES}/theirs")[1]["metadata"]
    with ExitStack() as stack:
        forks = [stack.enter_context(Forks()) for _ in range(3)]
        watch = stack.enter_context(watched(lab))
        pool = stack.enter_context(ThreadPoolExecutor(3))
        for index in range(RACES):
            chance = random.Random(f"{SEED}-{index}")
            earlier = chance.random() < 0.3
            if earlier:
                made(lab, run_id=EARLIER)
            started = [
                pool.submit(racer.go, Cli(lab.kubeconfig, tmp_path, each))
                for racer, each in zip(racers(chance), forks, strict=False)
            ]
            ended = [each.result() for each in started]
            told = f"race {SEED}-{index}", earlier, [(each, each.result.stderr) for each in ended]
            events = watch.up_to_now(lab)
            _judge(events, ended, told)
            outcomes.update(f"{each.what} {each.result.code}" for each in ended)
            for each in lab.api("GET", ENTRIES)[1]["items"]:
                if each["metadata"]["name"] != "theirs":
                    lab.delete(each)
            assert lab.api("GET", f"{ENTRIES}/theirs")[1]["metadata"]["resourceVersion"] == before["resourceVersion"], told
            watch.up_to_now(lab)
    put_right(lab)
    with capsys.disabled():
        print(f"\n{RACES} races with {lab.name}:", ", ".join(f"{number} x {what}" for what, number in sorted(outcomes.items())))


def _judge(events: Sequence[Event], ended: Sequence[Racer], told: object) -> None:
    """Hold what happened to the entry against what the commands said."""
    cleaning = any(each.what.startswith("cleanup") for each in ended)
    creators = {each.uid: each.run_id for each in events if each.kind == "ADDED"}
    alive = set(creators) - {each.uid for each in events if each.kind == "DELETED"}
    kept = {each.run_id for each in events if each.kind == "ADDED" and each.uid in alive}
    for event in events:
        first = next((each for each in events if each.uid == event.uid), event)
        assert (event.run_id, event.spec) == (first.run_id, first.spec), ("an entry was changed", told)
    by_run = {each.run_id: each for each in ended}
    assert set(creators.values()) <= {*by_run, EARLIER}, told
    for event in events:
        if event.kind != "DELETED" or cleaning:
            continue
        racer = by_run.get(event.run_id)
        assert racer is not None, ("what an earlier run made was deleted", told)
        assert racer.what.startswith("run") or racer.result.code != 0, ("what a create made was deleted", told)
    for racer in ended:
        ran = racer.result
        # What another changes while a probe is under way may leave it unproven (4).
        assert ran.code in (0, 1, 3, 4, 130), told
        was_made = racer.run_id in creators.values()
        if ran.code == 130 or (ran.code != 0 and racer.what.startswith("run")):
            assert racer.run_id not in kept, ("it is left", told)
        if ran.code == 1 and racer.what.startswith("create"):
            assert racer.run_id not in kept, ("it is left", told)
        if ran.code != 0:
            continue
        if racer.what.startswith("run"):
            assert (was_made, racer.run_id in kept) == (True, False), told
            assert {probe["verdict"] for probe in ran.probes} == {"open"}, told
        elif racer.what.startswith("create"):
            assert (racer.action == "created") == was_made, told
            assert cleaning or kept or _there_at(events, racer.ended), ("it is not there", told)
        else:
            assert _absent_within(events, racer.began, racer.ended + SLACK), ("it was there all the time", told)


def _there_at(events: Sequence[Event], moment: float) -> bool:
    """Say whether an entry was there at about a moment."""
    added = {each.uid: each.heard for each in events if each.kind == "ADDED"}
    deleted = {each.uid: each.heard for each in events if each.kind == "DELETED"}
    return any(at <= moment + SLACK and deleted.get(uid, moment) >= moment - SLACK for uid, at in added.items())


def _absent_within(events: Sequence[Event], begin: float, end: float) -> bool:
    """Say whether there was no entry at some moment between two."""
    there: set[str] = {each.uid for each in events if each.kind == "DELETED"} - {
        each.uid for each in events if each.kind == "ADDED"
    }
    last = float("-inf")
    for event in [*events, Event(float("inf"), "", "", "", "", None)]:
        if not there and max(last, begin) <= min(event.heard, end):
            return True
        there.discard(event.uid) if event.kind == "DELETED" else there.add(event.uid)
        last = event.heard
    return False
