"""A lab for the whole session, a real control plane for those tests that run against both, and how many ran against each.

Labs are skipped nowhere: where none can run, their tests fail. The tests against a real control plane are collected only where
EGRESSCTL_TEST_CLUSTER=required asks for them, and fail where its programs are missing.
"""

from __future__ import annotations

import gc
import os
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from cli import Cli, Odd, odd_pods, put_right
from cluster import binaries
from cluster.cluster import RealCluster
from cluster.istiod import Istiod
from differences import DIFFERENCES, PLACES, Place
from egressctl.lab import control
from egressctl.lab.state import locate
from examples import EVERYTHING, load_profile
from faults import FaultProxy
from forked import Forks
from labs import Lab, close_connections

CLUSTER = Path(binaries.__file__).parent
STEPS = {Path(__file__).parent / "integration": 6, Path(__file__).parent / "docs": 4}
"""How many cases of a test it is to the next one that is tried by default, by the folder of the test."""
ASKED = bool(os.environ.get(binaries.REQUIRED))
"""Whether the tests against a real control plane are asked for."""


gc.disable()
"""While tests are collected hardly anything dies, and looking for what did takes longer than the rest of it."""


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


def pytest_configure(config: pytest.Config) -> None:
    load_profile()
    config.addinivalue_line("markers", "kubernetes: runs against a real control plane; given to tests by where they are")
    config.addinivalue_line("markers", "mesh: runs against a real istiod")
    config.addinivalue_line("markers", "thorough: of such tests of a module the first is tried by default, in each place")
    config.addinivalue_line(
        "markers", "only(KEY): runs in those places only that KEY has in tests/differences.py, for the reason there"
    )


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many tests ran in each place, and which did not and why."""
    stats, ran, left_out = terminalreporter.stats, Counter[str](), Counter[str]()
    for report in (*stats.get("passed", ()), *stats.get("failed", ())):
        if place := _place_of(report.nodeid):
            ran[place] += report.when == "call"
    for report in stats.get("skipped", ()):
        if place := _place_of(report.nodeid):
            left_out[f"not with {PLACES[place]}: {report.longrepr[2].removeprefix('Skipped: ')}"] += 1
    if not ASKED:
        terminalreporter.write_line(
            "not collected: the tests with a real control plane; see `make test-cluster` and `make test-mesh`"
        )
    elif ran:
        counts = ", ".join(f"{ran[place]} with {name}" for place, name in PLACES.items())
        terminalreporter.write_line(f"tests with a mesh: {counts}")
        for reason, count in left_out.items():
            terminalreporter.write_line(f"{count} {reason}")


def _place_of(nodeid: str) -> Place | None:
    if found := re.search(rf"[\[-]({'|'.join(PLACES)})[-\]]", nodeid):
        return cast("Place", found[1])
    return "kubernetes" if "tests/cluster/" in nodeid else None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the tests of the commands in every place, and those of other modules where their PLACES say."""
    commands = metafunc.definition.path.parent.name == "commands"
    places = tuple(PLACES) if commands else getattr(metafunc.module, "PLACES", ())
    if "lab" in metafunc.fixturenames and places:
        asked = [place for place in places if ASKED or place == "lab"]
        metafunc.parametrize("lab", asked, indirect=True, scope="session")


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    return True if collection_path == CLUSTER and not ASKED else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what needs the real control plane, and leave it out where that is not asked for; so with most cases of one test."""
    for item in items:
        place = _place(item)
        if CLUSTER in item.path.parents or place == "kubernetes":
            item.add_marker("kubernetes")
        elif place == "istiod":
            item.add_marker("mesh")
        for mark in item.iter_markers("only"):
            difference = DIFFERENCES[mark.args[0]]
            if place not in difference.only:
                item.add_marker(pytest.mark.skip(reason=f"{difference.what} {difference.why}"))
    if not ASKED:
        real = ("kubernetes", "mesh")
        items[:] = [item for item in items if not (any(map(item.get_closest_marker, real)) or _has_no_place(item))]
    if not EVERYTHING and config.args_source is pytest.Config.ArgsSource.TESTPATHS:
        items[:] = some_cases(items)


def some_cases(items: list[pytest.Item]) -> list[pytest.Item]:
    """Return the tests with, of the cases of each that starts processes, the first and some after it.

    Of those of a module that are marked as thorough it is the first. CI tries all of them, and so does whoever names a folder, a
    file or a test.
    """
    met: Counter[object] = Counter()
    kept = []
    for item in items:
        thorough = item.get_closest_marker("thorough") is not None
        test = (item.path, "" if thorough else item.nodeid.partition("[")[0], _place(item))
        step = len(items) if thorough else next((step for folder, step in STEPS.items() if folder in item.path.parents), 1)
        if met[test] % step == 0:
            kept.append(item)
        met[test] += 1
    return kept


def _has_no_place(item: pytest.Item) -> bool:
    """Say whether a test is for the real places only, which leaves it none."""
    return any(str(mark.kwargs.get("reason", "")).startswith("got empty parameter set") for mark in item.iter_markers("skip"))


def _place(item: pytest.Item) -> object:
    return item.callspec.params.get("lab") if isinstance(item, pytest.Function) and hasattr(item, "callspec") else None


@pytest.fixture(scope="session")
def lab_home() -> Iterator[Path]:
    """A folder for labs, with a path that is short enough for sockets; every lab in it is stopped in the end."""
    home = Path(tempfile.mkdtemp(prefix="lab"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EGRESSCTL_LAB_HOME", str(home))
        yield home
        for lock in home.glob("*.lock"):
            control.down(lock.stem)
    close_connections()
    shutil.rmtree(home)


@pytest.fixture(scope="session")
def programs() -> binaries.Binaries:
    """The programs of a real control plane."""
    found = binaries.find()
    if isinstance(found, str):
        pytest.fail(found)
    return found


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory, programs: binaries.Binaries) -> Iterator[RealCluster]:
    """A real API server, one for all tests of a worker."""
    with RealCluster(tmp_path_factory.mktemp("real"), programs) as running:
        yield running


WORKER = os.environ.get("PYTEST_XDIST_WORKER", "main")


@pytest.fixture(scope="session")
def lab(request: pytest.FixtureRequest) -> Lab:
    """One lab for all tests of a worker; each leaves it as it was: REGISTRY_ONLY, no ServiceEntries.

    Each endpoint's is a fixture of its own, so that going from one to the other and back stops none.
    """
    found: Lab = request.getfixturevalue(f"lab_of_{getattr(request, 'param', 'lab')}")
    return found


@pytest.fixture(scope="session")
def lab_of_lab(lab_home: Path) -> Iterator[Lab]:
    name = f"test-{WORKER}"
    yield Lab(control.up(name))
    control.down(name)


@pytest.fixture(scope="session")
def lab_of_kubernetes(lab_home: Path, real: RealCluster) -> Iterator[Lab]:
    with real.data_plane(f"real-{WORKER}") as running:
        yield running


@pytest.fixture(scope="session")
def lab_of_istiod(lab_home: Path, tmp_path_factory: pytest.TempPathFactory, programs: binaries.Binaries) -> Iterator[Lab]:
    name = f"mesh-{WORKER}"
    with (
        RealCluster(tmp_path_factory.mktemp("mesh"), programs) as real,
        Istiod(real, locate(name)) as istiod,
        real.data_plane(name, istiod) as running,
    ):
        yield running


@pytest.fixture(scope="session")
def forking() -> Iterator[Forks]:
    """What makes processes of the command line fast."""
    with Forks() as running:
        yield running


@pytest.fixture(scope="session")
def forks(request: pytest.FixtureRequest) -> Forks | None:
    """The same, or None: EGRESSCTL_TEST_FRESH=1 does without it."""
    found: Forks | None = None if os.environ.get("EGRESSCTL_TEST_FRESH") else request.getfixturevalue("forking")
    return found


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
