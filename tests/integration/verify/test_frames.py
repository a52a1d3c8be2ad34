"""How far it is from a question to its verdict: the calls of ours between `verify` and where the sentence is made."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import FrameType
from typing import Any

import pytest

import egressctl
from cli import made, put_right
from egressctl.kube.config import ConnectOptions, connect
from egressctl.lab import control
from egressctl.mesh.client import Mesh
from egressctl.mesh.sidecar import Sidecar
from egressctl.mesh.source_pod import ANY_SOURCE, find_source
from egressctl.model.cause import Cause
from egressctl.model.evidence import Source
from egressctl.model.probe import Expectation, Probe, Verdict
from egressctl.model.result import ProbeResult
from egressctl.runtime.progress import SilentProgress
from egressctl.verify.select import VerifyTarget
from egressctl.verify.verify import ProbeOptions, verify
from labs import Lab

[OURS] = egressctl.__path__
INSIDE, OUTSIDE = "https://www.wikipedia.org", "https://outside.example"


@contextmanager
def counted() -> Iterator[list[tuple[str, ...]]]:
    """Give the calls of ours on the stack, from `verify` on, wherever a cause or a result is made."""
    stacks: list[tuple[str, ...]] = []

    def look(frame: FrameType, event: str, _: Any) -> None:
        if event != "call" or frame.f_code.co_name != "__init__":
            return
        if type(next(iter(frame.f_locals.values()), None)) not in (Cause, ProbeResult):
            return
        names: list[str] = []
        at: FrameType | None = frame.f_back
        while at is not None:
            if at.f_code.co_filename.startswith(OURS):
                names.insert(0, at.f_code.co_name)
            at = at.f_back
        if "verify" in names:
            stacks.append(tuple(names[names.index("verify") :]))

    sys.setprofile(look)
    try:
        yield stacks
    finally:
        sys.setprofile(None)


@pytest.fixture
def source(lab: Lab) -> Iterator[Source]:
    made(lab)
    yield find_source(connect(ConnectOptions(kubeconfig=str(lab.kubeconfig))), "default", ANY_SOURCE)
    control.set_policy(lab.name, "REGISTRY_ONLY")
    put_right(lab)


@pytest.mark.parametrize(
    ("verdict", "url", "changes", "at_most"),
    [
        (Verdict.OPEN, INSIDE, {}, 4),
        (Verdict.BLOCKED, OUTSIDE, {}, 8),
        (Verdict.BYPASSED, OUTSIDE, {"policy": "ALLOW_ANY"}, 7),
        (Verdict.FAILED, INSIDE, {"status": 204}, 6),
        (Verdict.UNPROVEN, INSIDE, {"proxy": "sleep"}, 6),
        (Verdict.INCONCLUSIVE, OUTSIDE, {"proxy": "sleep"}, 6),
    ],
)
def test_a_verdict_is_few_calls_away(
    lab: Lab, source: Source, verdict: Verdict, url: str, changes: dict[str, Any], at_most: int
) -> None:
    """At most half of the calls that there were before the judge held no client."""
    control.set_policy(lab.name, changes.get("policy", "REGISTRY_ONLY"))
    mesh = Mesh(connect(ConnectOptions(kubeconfig=str(lab.kubeconfig))))
    sidecar = Sidecar(mesh.api, replace(source, proxy=changes.get("proxy", source.proxy)))
    probe = Probe("p", url, Expectation(status=changes.get("status", 200)))
    wanted = VerifyTarget("wikipedia", "default", "wikipedia-ext", mesh.entry("default", "wikipedia-ext"), (probe,))
    with counted() as stacks:
        [target] = verify(mesh, sidecar, [wanted], ProbeOptions(), SilentProgress())
    assert target.probes[0].verdict is verdict
    longest = max(stacks, key=len)
    assert len(longest) <= at_most, longest
