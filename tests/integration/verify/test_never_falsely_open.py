"""Whatever changes while probes are under way, and whoever else sends: `open` is what Envoy's access log says as well.

Verifications follow one another while rivals of the entry come and go at moments of chance, the control plane stands still now
and then, and other traffic moves the entry's counts. EGRESSCTL_TEST_SEED gives other moments, EGRESSCTL_TEST_VERDICTS more
verdicts.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import pytest

from cli import entry, made, put_right, start_object
from egressctl.catalog import lookup
from egressctl.kube.config import ConnectOptions, connect
from egressctl.manifests.egress_target import probe_from_url
from egressctl.mesh.client import Mesh
from egressctl.mesh.curl import DEFAULT_LIMITS
from egressctl.mesh.sidecar import Sidecar
from egressctl.mesh.source_pod import ANY_SOURCE, find_source
from egressctl.model.probe import Verdict
from egressctl.model.result import ProbeResult
from egressctl.runtime.progress import SilentProgress
from egressctl.verify.select import VerifyTarget
from egressctl.verify.verify import ProbeOptions, verify
from examples import EVERYTHING
from integration.verify.test_noise import noise
from labs import Lab, Logged, eventually, now

PLACES = ("lab", "istiod")
VERDICTS: dict[str, int] = {"lab": 300, "istiod": 50} if EVERYTHING else dict.fromkeys(PLACES, 20)
"""How many are asked for in a place, by all tests of it together."""
AT_ONCE = 4
URL, ADDRESS = "https://www.wikipedia.org", "208.80.154.224"
OURS = "outbound|443||wikipedia.org"
TARGET = lookup.get_target("wikipedia")
TCP = [{"number": 443, "name": "tcp", "protocol": "TCP"}]
SEED = "EGRESSCTL_TEST_SEED"
TESTS = 5
"""Those below, which share the number of verdicts."""


@pytest.fixture
def disturbed(lab: Lab) -> Iterator[Lab]:
    """A lab with the entry in force, and other traffic of the pod to where it leads."""
    made(lab)
    with noise(lab, f"{ADDRESS}:443"):
        yield lab
    lab.resume()
    put_right(lab)


# What comes and goes


def a_listener_of_its_own(lab: Lab, chance: random.Random) -> None:
    come_and_go(lab, chance, entry("rival", hosts=["rival.example"], addresses=[ADDRESS], ports=TCP))


def a_longer_block(lab: Lab, chance: random.Random) -> None:
    come_and_go(lab, chance, entry("rival", hosts=["rival.example"], addresses=[f"{ADDRESS}/28"], ports=TCP))


def a_route(lab: Lab, chance: random.Random) -> None:
    spec = {
        "hosts": ["wikipedia.org"],
        "tcp": [{"route": [{"destination": {"host": "detour.example", "port": {"number": 443}}}]}],
    }
    start_object(lab, "VirtualService", "rival", spec)
    pause(chance)
    lab.api("DELETE", "/apis/networking.istio.io/v1/namespaces/default/virtualservices/rival")


def a_stall(lab: Lab, chance: random.Random) -> None:
    """The control plane stands still, and then gives at once what came meanwhile."""
    rival = entry("rival", hosts=["rival.example"], addresses=[ADDRESS], ports=TCP)
    lab.stall()
    lab.create(rival)
    pause(chance)
    lab.resume()
    pause(chance)
    lab.delete(rival)


def come_and_go(lab: Lab, chance: random.Random, rival: dict[str, Any]) -> None:
    lab.create(rival)
    pause(chance)
    lab.delete(rival)


def pause(chance: random.Random) -> None:
    time.sleep(chance.uniform(0.01, 0.12))


@contextmanager
def coming_and_going(lab: Lab, chance: random.Random, what: Sequence[Callable[[Lab, random.Random], None]]) -> Iterator[None]:
    ended = threading.Event()

    def disturb() -> None:
        while not ended.is_set():
            chance.choice(what)(lab, chance)
            pause(chance)

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(disturb)
        try:
            yield
        finally:
            ended.set()
        running.result()


# What is said, and what was so


def verdicts(lab: Lab) -> list[ProbeResult]:
    """Verify the entry again and again, a few at a time, each by a connection of its own."""
    wanted_number = int(os.environ.get("EGRESSCTL_TEST_VERDICTS") or VERDICTS["istiod" if lab.fed_by else "lab"])
    api = connect(ConnectOptions(kubeconfig=str(lab.kubeconfig)))
    mesh, source = Mesh(api), find_source(api, "default", ANY_SOURCE)
    manifest = mesh.entry("default", TARGET.entry_name)
    wanted = VerifyTarget("wikipedia", "default", TARGET.entry_name, manifest, (probe_from_url(URL),))

    def once(_: int) -> ProbeResult:
        [target] = verify(mesh, Sidecar(api, source), [wanted], ProbeOptions(DEFAULT_LIMITS), SilentProgress())
        [probe] = target.probes
        return probe

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(once, range(wanted_number // TESTS)))


def carriers(lab: Lab, began: datetime, found: Sequence[ProbeResult]) -> list[set[str]]:
    """Name by the access log what may have carried each probe: none where its line is not there."""

    def lines() -> list[Logged]:
        return [line for line in lab.logged(began) if line.bound_for == f"{ADDRESS}:443"]

    ports = {str(each.outcome.local_port) for each in found if each.verdict is Verdict.OPEN and each.outcome}
    # Envoy flushes its log once a second.
    eventually(lambda: ports <= {line.client_port for line in lines()})
    by_port: dict[str, set[str]] = {}
    for line in lines():
        by_port.setdefault(line.client_port, set()).add(line.envoy_cluster)
    return [by_port.get(str(each.outcome.local_port), set()) if each.outcome else set() for each in found]


@pytest.mark.parametrize(
    "what",
    [[a_listener_of_its_own], [a_longer_block], [a_route], [a_listener_of_its_own, a_longer_block, a_route, a_stall]],
    ids=["listener", "block", "route", "all"],
)
def test_open_is_what_the_access_log_says(disturbed: Lab, what: Sequence[Callable[[Lab, random.Random], None]]) -> None:
    seed = int(os.environ.get(SEED) or random.randrange(1 << 32))
    if what == [a_route]:
        disturbed.create(entry("detour", hosts=["detour.example"], addresses=["192.0.2.0/24"], ports=TCP))
    began = now()
    with coming_and_going(disturbed, random.Random(seed), what):
        found = verdicts(disturbed)
    seen = Counter[str]()
    for each, carried in zip(found, carriers(disturbed, began, found), strict=True):
        seen[each.verdict] += 1
        if each.verdict is Verdict.OPEN:
            assert OURS in carried, f"{SEED}={seed}: carried by {carried or 'nobody'}: {each}"
            seen["known"] += carried == {OURS}
    assert seen["known"] >= seen[Verdict.OPEN] * 0.9, seen


def test_where_nothing_changes_almost_all_is_proved(disturbed: Lab) -> None:
    found = Counter(each.verdict for each in verdicts(disturbed))
    assert found.keys() <= {Verdict.OPEN, Verdict.UNPROVEN}
    assert found[Verdict.UNPROVEN] * 10 <= found.total(), found
