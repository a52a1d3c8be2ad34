"""A lab for the whole session. Skipped nowhere: where no lab can run, its tests fail."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli import Cli, Odd, odd_pods, put_right
from egressctl.lab import control
from faults import FaultProxy
from forked import Forks
from labs import Lab


@pytest.fixture(scope="session")
def lab_home() -> Iterator[Path]:
    """A folder for labs, with a path that is short enough for sockets; every lab in it is stopped in the end."""
    home = Path(tempfile.mkdtemp(prefix="lab"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EGRESSCTL_LAB_HOME", str(home))
        yield home
        for lock in home.glob("*.lock"):
            control.down(lock.stem)
    shutil.rmtree(home)


@pytest.fixture(scope="session")
def lab(lab_home: Path) -> Iterator[Lab]:
    """One lab for all tests of a worker; each leaves it as it was: REGISTRY_ONLY, no ServiceEntries."""
    name = f"test-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
    yield Lab(control.up(name))
    control.down(name)


@pytest.fixture(scope="session")
def forks() -> Iterator[Forks | None]:
    """What makes processes of the command line fast; EGRESSCTL_TEST_FRESH=1 does without it."""
    if os.environ.get("EGRESSCTL_TEST_FRESH"):
        yield None
        return
    with Forks() as running:
        yield running


@pytest.fixture
def cli(lab: Lab, forks: Forks | None, tmp_path: Path) -> Iterator[Cli]:
    """egressctl on the worker's lab, which is put right afterwards."""
    yield Cli(lab.kubeconfig, tmp_path, forks)
    put_right(lab)


@pytest.fixture
def proxy(lab: Lab, tmp_path: Path) -> Iterator[FaultProxy]:
    """A proxy before the worker's lab, where faults can be put in."""
    with FaultProxy(lab.kubeconfig, tmp_path / "proxy") as running:
        yield running


@pytest.fixture
def odd(lab: Lab, tmp_path: Path) -> Iterator[Odd]:
    """The lab's pod, entered in another way."""
    with odd_pods(lab, tmp_path / "odd") as start:
        yield start
