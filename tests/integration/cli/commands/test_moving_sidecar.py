"""A sidecar that is still changing, and answers of it that are cut: what is said at the end is true, and says what came.

Each takes one short run of a command or two: they start no more than that.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from cli import Cli, Ran, made
from faults import Action, Call, ChangeExec, FaultProxy
from labs import Lab, eventually

pytestmark = pytest.mark.thorough

LISTENERS = "config_dump?resource=dynamic_listeners"
DUMP = f"{LISTENERS}&mask=name,active_state,error_state.details"


def asks_for(call: Call, what: str) -> bool:
    return call.is_exec and what in call.query.replace("%3F", "?").replace("%3D", "=")


def closure(ran: Ran) -> list[str]:
    return [probe["verdict"] for target in ran.report["targets"] for probe in target["closure"]["probes"]]


def is_curl(call: Call) -> bool:
    return call.is_exec and "command=curl" in call.query


@pytest.fixture
def stalled(lab: Lab) -> Iterator[Callable[[], None]]:
    """Return what resumes the lab's control plane, and do so at the end in any case. It is to be stalled by the test."""
    done = threading.Event()

    def resume() -> None:
        if not done.is_set():
            done.set()
            threading.Thread(target=lab.resume).start()

    yield resume
    lab.resume()


def lie_once(first: bytes) -> Callable[[Call], Action | None]:
    """Return rules that give the first question for the listeners this answer."""
    told = iter([ChangeExec(lambda _: first)])
    return lambda call: next(told, None) if asks_for(call, LISTENERS) else None


def test_a_closure_that_the_old_filter_chain_still_answers_is_asked_again(
    cli: Cli, lab: Lab, proxy: FaultProxy, stalled: Callable[[], None]
) -> None:
    """As where the workers, or a control plane that is behind, follow later than the dump that was read."""
    without = lab.admin_text(DUMP).encode()
    made(lab)
    lab.stall()
    lying, curls, looks = lie_once(without), [], []

    def rule(call: Call) -> Action | None:
        if is_curl(call):
            curls.append(call)
        elif len(curls) > 1 and asks_for(call, "stats"):
            # One follows the second probe, which found it open; what comes then waits for the sidecar.
            looks.append(call)
            if len(looks) > 2:
                stalled()
        return lying(call)

    proxy.rules = rule
    ran = cli.at(proxy.kubeconfig)("cleanup", "wikipedia", "-o", "json")
    assert (ran.code, closure(ran)) == (0, ["blocked", "blocked"]), ran
    assert len(looks) > 2, "it was asked until the sidecar had followed"


def test_a_closure_that_does_not_come_is_told_when_the_time_is_up(
    cli: Cli, lab: Lab, proxy: FaultProxy, stalled: Callable[[], None]
) -> None:
    without = lab.admin_text(DUMP).encode()
    made(lab)
    lab.stall()
    proxy.rules = lie_once(without)
    ran = cli.at(proxy.kubeconfig)("cleanup", "wikipedia", "--timeout", "3s")
    assert ran.code == 3
    assert "the ServiceEntry is deleted, but after" in ran.stderr
    assert "still has 91.198.174.192/27:443" in ran.stderr


class TestCutAnswers:
    def cut(self, call: Call) -> Action | None:
        return ChangeExec(lambda said: said[: len(said) // 2]) if asks_for(call, LISTENERS) else None

    @pytest.mark.parametrize("command", ["verify", "cleanup"])
    def test_one_that_is_cut_is_asked_for_once_more(self, cli: Cli, lab: Lab, proxy: FaultProxy, command: str) -> None:
        made(lab)
        cut = iter([ChangeExec(lambda said: said[: len(said) // 2])])
        proxy.rules = lambda call: next(cut, None) if asks_for(call, LISTENERS) else None
        ran = cli.at(proxy.kubeconfig)(command, "wikipedia")
        assert ran.code == 0, ran

    def test_where_it_stays_cut_the_cause_says_what_came(self, cli: Cli, lab: Lab, proxy: FaultProxy) -> None:
        made(lab)
        half = len(lab.admin_text(DUMP)) // 2
        proxy.rules = self.cut
        ran = cli.at(proxy.kubeconfig)("verify", "wikipedia", "-o", "json")
        assert (ran.code, ran.judged) == (4, [("unproven", "proxy-unreadable")] * 2)
        message = ran.probes[0]["cause"]["message"]
        assert "was cut on its way, twice: " in message
        assert f"{half:,} bytes came, which end in " in message

    def test_a_wait_that_stays_without_an_answer_says_so(self, cli: Cli, lab: Lab, proxy: FaultProxy) -> None:
        made(lab)
        proxy.rules = self.cut
        ran = cli.at(proxy.kubeconfig)("cleanup", "wikipedia")
        assert ran.code == 3
        assert "was cut on its way, twice: " in ran.stderr
        assert eventually(lambda: not lab.is_open())
