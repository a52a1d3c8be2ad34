"""A signal at any moment of a command leaves nothing of it, neither in the API nor in the sidecar; or says what it leaves."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import Future
from itertools import cycle, product
from pathlib import Path

import pytest

from cli import EXITS, SIGNALS, Cli, Ran, hears_signals, interrupted, made, nothing_is_left, owned, without_sleep
from examples import EVERYTHING
from faults import Action, Call, FaultProxy, Reset, Signal, Stall
from forked import Forks
from labs import Lab

PARTS = 9
"""The calls of a run are dealt out to so many tests: several workers share them, and by default some of them are enough."""

READING = ("list", "doctor", "explain https://www.wikipedia.org", "snapshot folder", "lint", "diff wikipedia")

signals = pytest.mark.parametrize("signum", SIGNALS, ids=lambda signum: signum.name)
all_signals = pytest.mark.parametrize("signum", EXITS, ids=lambda signum: signum.name)
times = pytest.mark.parametrize("when", ["before", "after"])


def at(signum: int, when: str) -> Callable[[Future[int]], Action]:
    """Make the action that sends a signal `before` or `after` the API's answer."""
    return lambda pid: Signal(lambda: pid.result(10), signum, "before" if when == "before" else "after")


def nth(index: int) -> Callable[[Call], bool]:
    return lambda call: call.index == index


def is_apply(call: Call) -> bool:
    return call.method == "PATCH" and call.path.endswith("/serviceentries/wikipedia-ext")


def is_deletion(call: Call) -> bool:
    return call.method == "DELETE" and call.path.endswith("/serviceentries/wikipedia-ext")


def is_proxy_question(call: Call) -> bool:
    return call.is_exec and "pilot-agent" in call.query


def ended_well(ran: Ran, signum: signal.Signals) -> bool:
    """Say whether a command ended as one that was interrupted, and told so."""
    return ran.code == EXITS[signum] and ran.error == f"{ran.argv[0]} was interrupted"


@pytest.fixture(scope="module")
def calls(lab: Lab, forks: Forks | None, tmp_path_factory: pytest.TempPathFactory) -> int:
    """How many calls an undisturbed run makes; a few more or fewer each time, since it polls."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with FaultProxy(lab.kubeconfig, folder / "proxy") as proxy:
        assert Cli(proxy.kubeconfig, folder, forks)("run", "wikipedia").code == 0
        return len(proxy.calls)


class TestRun:
    @signals
    @pytest.mark.parametrize("part", range(PARTS))
    def test_after_any_call_nothing_is_left(
        self, cli: Cli, lab: Lab, tmp_path: Path, calls: int, signum: signal.Signals, part: int
    ) -> None:
        assert calls > 15
        for index in range(part, calls + 1, PARTS):
            with FaultProxy(lab.kubeconfig, tmp_path / f"proxy-{index}") as proxy:
                ran = interrupted(
                    cli, proxy, "run", "wikipedia", signum=signum,
                    when=nth(index), action=at(signum, "after"),
                )  # fmt: skip
                reached = len(proxy.calls) > index
            assert ended_well(ran, signum) if reached else ran.code == 0, (index, ran)
            assert nothing_is_left(lab), index

    @all_signals
    @pytest.mark.parametrize("call", [is_apply, is_deletion], ids=["apply", "delete"])
    def test_before_a_change_is_answered_nothing_is_left(
        self, cli: Cli, lab: Lab, proxy: FaultProxy, signum: signal.Signals, call: Callable[[Call], bool]
    ) -> None:
        ran = interrupted(cli, proxy, "run", "wikipedia", signum=signum, when=call, action=at(signum, "before"))
        assert ended_well(ran, signum), ran
        *_, deletion = (each.index for each in proxy.calls if is_deletion(each))
        assert call is is_deletion or any(map(is_proxy_question, proxy.calls[deletion:])), "the sidecar is waited for as well"
        assert nothing_is_left(lab)

    @signals
    def test_a_change_under_way_is_brought_to_its_end_first(
        self, cli: Cli, lab: Lab, proxy: FaultProxy, signum: signal.Signals
    ) -> None:
        def reset(pid: Future[int]) -> Action:
            os.kill(pid.result(10), signum)
            return Reset()

        # Whether a change whose answer was lost has been made is not known until it is asked for again.
        ran = interrupted(cli, proxy, "run", "wikipedia", signum=signum, when=is_apply, action=reset)
        [first, *others] = [call.index for call in proxy.calls if is_apply(call)]
        assert others == [first + 1]
        assert ended_well(ran, signum), ran
        assert nothing_is_left(lab)

    @signals
    @times
    @pytest.mark.parametrize("plural", ["serviceaccounts", "pods"])
    def test_the_source_pod_of_a_run_goes_as_well(
        self, cli: Cli, lab: Lab, proxy: FaultProxy, signum: signal.Signals, when: str, plural: str
    ) -> None:
        without_sleep(lab)

        def starts(call: Call) -> bool:
            return call.method == "PATCH" and call.path.endswith(f"/{plural}/sleep")

        ran = interrupted(cli, proxy, "run", "wikipedia", "--with-source", signum=signum, when=starts, action=at(signum, when))
        assert ended_well(ran, signum), ran
        assert nothing_is_left(lab)

    def test_what_was_there_before_is_left_alone(self, cli: Cli, lab: Lab, proxy: FaultProxy) -> None:
        made(lab, run_id="0badcafe")
        ran = interrupted(
            cli, proxy, "run", "wikipedia", signum=signal.SIGINT,
            when=nth(1), action=at(signal.SIGINT, "after"),
        )  # fmt: skip
        assert ran.code == 130
        assert owned(lab) == ["serviceentry/wikipedia-ext"]

    @signals
    def test_a_second_signal_stops_the_cleaning_up_and_says_what_is_left(
        self, cli: Cli, lab: Lab, proxy: FaultProxy, signum: signal.Signals
    ) -> None:
        pid: Future[int] = Future()

        def rules(call: Call) -> Action | None:
            if is_apply(call):
                return Signal(lambda: pid.result(10), signum, "after")
            if call.method == "DELETE":
                os.kill(pid.result(10), signum)
                return Stall()
            return None

        proxy.rules = rules
        running = cli.at(proxy.kubeconfig).start("run", "wikipedia")
        pid.set_result(running.pid)
        ran = running.end()
        assert ran.code == 5
        assert ran.error == "not cleaned up: ServiceEntry default/wikipedia-ext (interrupted)"
        assert re.fullmatch(
            r"remove it with: kubectl delete serviceentry -n default -l egressctl.dev/run-id=[0-9a-f]{8}", ran.hint
        )
        assert is_deletion(proxy.calls[-1]), "nothing more is asked"
        assert owned(lab) == ["serviceentry/wikipedia-ext"]


class TestCreate:
    @all_signals
    @pytest.mark.parametrize("call", [is_apply, is_proxy_question], ids=["applying", "waiting"])
    @times
    def test_nothing_is_left_of_a_create(
        self, cli: Cli, lab: Lab, proxy: FaultProxy, signum: signal.Signals, call: Callable[[Call], bool], when: str
    ) -> None:
        ran = interrupted(cli, proxy, "create", "wikipedia", signum=signum, when=call, action=at(signum, when))
        assert ended_well(ran, signum), ran
        assert nothing_is_left(lab)

    def test_while_the_sidecar_says_nothing(self, cli: Cli, lab: Lab, proxy: FaultProxy) -> None:
        def stall(pid: Future[int]) -> Action:
            os.kill(pid.result(10), signal.SIGTERM)
            return Stall()

        ran = interrupted(cli, proxy, "create", "wikipedia", signum=signal.SIGTERM, when=is_proxy_question, action=stall)
        assert ended_well(ran, signal.SIGTERM), ran
        assert nothing_is_left(lab)

    def test_an_entry_of_an_earlier_create_stays(self, cli: Cli, lab: Lab, proxy: FaultProxy) -> None:
        made(lab)
        ran = interrupted(
            cli, proxy, "create", "wikipedia", signum=signal.SIGINT, when=is_proxy_question, action=at(signal.SIGINT, "after")
        )  # fmt: skip
        assert ran.code == 130
        assert ran.hint == "what was being made is gone again; default/wikipedia-ext was there before, and stays"
        assert owned(lab) == ["serviceentry/wikipedia-ext"]
        assert lab.is_open()


@all_signals
def test_an_interrupted_verify_ends_at_once(cli: Cli, lab: Lab, proxy: FaultProxy, signum: signal.Signals) -> None:
    made(lab)

    def stall(pid: Future[int]) -> Action:
        os.kill(pid.result(10), signum)
        return Stall()

    ran = interrupted(cli, proxy, "verify", signum=signum, when=lambda call: call.is_exec, action=stall)
    assert ran.code == EXITS[signum]
    assert owned(lab) == ["serviceentry/wikipedia-ext"]


@pytest.mark.parametrize(("command", "signum"), list(product(READING, EXITS) if EVERYTHING else zip(READING, cycle(EXITS))))
def test_what_only_reads_ends_at_once(cli: Cli, lab: Lab, proxy: FaultProxy, command: str, signum: signal.Signals) -> None:
    def stall(pid: Future[int]) -> Action:
        os.kill(pid.result(10), signum)
        return Stall()

    ran = interrupted(cli, proxy, *command.split(), signum=signum, when=nth(0), action=stall)
    assert ran.code == EXITS[signum]


@all_signals
def test_an_interrupted_cleanup_does_not_hang(cli: Cli, lab: Lab, proxy: FaultProxy, signum: signal.Signals) -> None:
    made(lab)
    ran = interrupted(cli, proxy, "cleanup", signum=signum, when=is_deletion, action=at(signum, "after"))
    assert ran.code == EXITS[signum]
    assert nothing_is_left(lab)


def test_a_terminal_that_is_closed_leaves_nothing(cli: Cli, lab: Lab) -> None:
    leader, follower = pty.openpty()
    command = ["setsid", "--ctty", "--wait", sys.executable, "-m", "egressctl", "run", "wikipedia"]
    with subprocess.Popen(
        command, env=cli.env, stdin=follower, stdout=follower, stderr=follower, preexec_fn=hears_signals
    ) as process:
        os.close(follower)
        shown = b""
        while b"wikipedia-ext created" not in shown:
            shown += os.read(leader, 65536)
        os.close(leader)
    assert process.returncode == EXITS[signal.SIGHUP]
    assert nothing_is_left(lab)


@all_signals
def test_an_interrupted_demo_leaves_no_lab(tmp_path: Path, lab_home: Path, signum: signal.Signals) -> None:
    command = [sys.executable, "-m", "egressctl", "demo"]
    env = Cli(None, tmp_path).env
    null, pipe = subprocess.DEVNULL, subprocess.PIPE
    with subprocess.Popen(command, env=env, stdout=null, stderr=pipe, preexec_fn=hears_signals) as process:
        assert process.stderr
        for line in process.stderr:
            if line.startswith(b"the lab is up"):
                break
        process.send_signal(signum)
        assert b"Traceback" not in process.stderr.read()
    assert process.returncode == EXITS[signum]
    assert not list(lab_home.glob(f"demo-{process.pid}*"))
