"""Several waits at once, without ever holding up the end of the process."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def gather(calls: Sequence[Callable[[], T]], *, at_most: int) -> list[T]:
    """Run the calls, `at_most` at a time, and return their results in the order of the calls.

    The calls must not depend on each other. When some raise, the others still run to their end and
    the exception of the first call that failed is raised. A signal's exception in the calling
    thread leaves at once: calls under way are abandoned, and those not begun never are.
    """
    # Not a ThreadPoolExecutor: its threads are joined when the interpreter exits, so that Ctrl-C
    # would wait for the slowest exec. Daemon threads die with the process.
    if len(calls) <= 1:
        return [call() for call in calls]
    waiting: queue.SimpleQueue[tuple[int, Callable[[], T]]] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[int, T | None, BaseException | None]] = queue.SimpleQueue()
    abandoned = threading.Event()

    def work() -> None:
        while not abandoned.is_set():
            try:
                index, call = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                done.put((index, call(), None))
            except BaseException as error:  # it belongs to the caller, whatever it is
                done.put((index, None, error))

    for indexed in enumerate(calls):
        waiting.put(indexed)
    for _ in range(max(1, min(at_most, len(calls)))):
        threading.Thread(target=work, daemon=True).start()
    try:
        ended = sorted((done.get() for _ in calls), key=lambda end: end[0])
    finally:
        abandoned.set()
    for _, _, error in ended:
        if error is not None:
            raise error
    return [result for _, result, _ in ended]  # type: ignore[misc]  # None only where a call gave it


def start_call(call: Callable[[], T]) -> Callable[[], T]:
    """Start a call, and return what waits for its result: questions of different kinds, asked at the same time.

    The call's exception is raised where the result is asked for.
    """
    done = _start_in_thread(call)
    return lambda: _result_or_raise(*done.get())


def call_within(seconds: float, call: Callable[[], T]) -> T:
    """Run a call that nothing can stop, as a resolver's, and wait for it that long at most; raise TimeoutError then.

    What is late is abandoned: it goes on without holding up the end of the process.
    """
    try:
        return _result_or_raise(*_start_in_thread(call).get(timeout=seconds))
    except queue.Empty:
        raise TimeoutError from None


def _start_in_thread(call: Callable[[], T]) -> queue.SimpleQueue[tuple[T | None, BaseException | None]]:
    done: queue.SimpleQueue[tuple[T | None, BaseException | None]] = queue.SimpleQueue()

    def work() -> None:
        try:
            done.put((call(), None))
        except BaseException as error:  # it belongs to the caller, whatever it is
            done.put((None, error))

    threading.Thread(target=work, daemon=True).start()
    return done


def _result_or_raise(value: T | None, error: BaseException | None) -> T:
    if error is not None:
        raise error
    return value  # type: ignore[return-value]  # None only where the call gave it
