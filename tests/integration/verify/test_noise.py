"""Other traffic of the pod, 50 connections a second, makes no verdict another, however often it is asked for."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cli import made, put_right
from egressctl.catalog import lookup
from egressctl.kube.config import ConnectOptions, connect
from egressctl.lab import control
from egressctl.manifests.egress_target import probe_from_url
from egressctl.mesh.client import Mesh
from egressctl.mesh.curl import DEFAULT_LIMITS
from egressctl.mesh.sidecar import Sidecar
from egressctl.mesh.source_pod import ANY_SOURCE, find_source
from egressctl.model.probe import Verdict
from egressctl.runtime.progress import SilentProgress
from egressctl.verify.select import VerifyTarget
from egressctl.verify.verify import ProbeOptions, verify
from examples import EVERYTHING
from labs import Lab

PLACES = ("lab", "istiod")
TIMES = int(os.environ.get("EGRESSCTL_TEST_NOISE") or ("25" if EVERYTHING else "5"))
"""Verifications in a row, of each of the four kinds."""
NOISE = Path(__file__).with_name("noise.py")
ELSEWHERE = ("203.0.113.10:443", "203.0.113.10:80", "203.0.113.10:8443")
"""What no entry lists: BlackHoleCluster under REGISTRY_ONLY, PassthroughCluster under ALLOW_ANY."""
TARGET = lookup.get_target("wikipedia")


@contextmanager
def noise(lab: Lab, *places: str) -> Iterator[None]:
    argv, env = control.exec_argv(lab.name, (sys.executable, str(NOISE), *places))
    with subprocess.Popen(argv, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as making:
        assert making.stdin is not None
        assert making.stdout is not None
        assert making.stdout.readline() == "started\n"
        try:
            yield
            assert making.poll() is None
        finally:
            making.stdin.close()
            making.wait()


@pytest.fixture
def noisy(lab: Lab, request: pytest.FixtureRequest) -> Iterator[str]:
    """A lab under a policy, with an entry in it and with noise elsewhere."""
    policy: str = request.param
    lab.set_policy(policy)
    yield policy
    lab.set_policy("REGISTRY_ONLY")
    put_right(lab)


def verdicts(lab: Lab, url: str, *, times: int) -> list[tuple[Verdict, str]]:
    """Verify one URL that often, one after the other."""
    mesh = Mesh(connect(ConnectOptions(kubeconfig=str(lab.kubeconfig))))
    source = find_source(mesh.api, "default", ANY_SOURCE)
    manifest = mesh.entry("default", TARGET.entry_name)
    wanted = VerifyTarget("wikipedia", "default", TARGET.entry_name, manifest, (probe_from_url(url),))
    found = []
    for _ in range(times):
        [target] = verify(mesh, Sidecar(mesh.api, source), [wanted], ProbeOptions(DEFAULT_LIMITS), SilentProgress())
        [probe] = target.probes
        found.append((probe.verdict, probe.cause.code if probe.cause else ""))
    return found


@pytest.mark.parametrize("noisy", ["REGISTRY_ONLY", "ALLOW_ANY"], indirect=True)
@pytest.mark.parametrize(
    ("url", "refused", "let_out"),
    [
        ("https://www.wikipedia.org", ("open", ""), ("open", "")),
        ("https://outside.example", ("blocked", "address-not-listed"), ("bypassed", "address-not-listed")),
    ],
)
def test_the_same_verdict_every_time(lab: Lab, noisy: str, url: str, refused: tuple[str, str], let_out: tuple[str, str]) -> None:
    made(lab)
    with noise(lab, *ELSEWHERE):
        found = verdicts(lab, url, times=TIMES)
    assert set(found) == {refused if noisy == "REGISTRY_ONLY" else let_out}
