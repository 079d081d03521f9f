"""Calls to vendors beside each other, in a few lanes: waiting overlaps, computing does not."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import TypeVar

from wsb_snake.collectors.market_data import DataError, DataUnavailable
from wsb_snake.core.lanes import Lanes, Promise

WIDTH = 4
"""Lanes at a time: enough for thirty chains in two seconds, few enough to leave the exits their turns."""

BEGIN_WITHIN_S = 20.0
"""No call begins later than this after the first, so that a vendor that hangs ends the pass in time."""

ANSWER_WITHIN_S = 60.0

T = TypeVar("T")


def overlapped(lanes: Lanes, calls: Sequence[Callable[[], T]]) -> list[T | DataError]:
    """What each of ``calls`` gave, in their order: an answer, or the DataError that it raised.

    Raises what else a call raises, and TimeoutError when one neither answers nor fails.
    """
    waiting = deque((call, Promise[T](lanes, f"fetch {number}")) for number, call in enumerate(calls))
    promises = [promise for _, promise in waiting]
    until = lanes.clock.monotonic() + BEGIN_WITHIN_S

    def fetch() -> None:
        while True:
            try:
                call, promise = waiting.popleft()
            except IndexError:  # the other lanes took the rest
                return
            try:
                if lanes.clock.monotonic() > until:
                    raise DataUnavailable("not asked: the calls before it took too long")
                promise.resolve(call())
            except Exception as error:  # carried to whoever waits for the answer
                promise.fail(error)

    if len(calls) == 1:
        fetch()
    else:
        for number in range(min(WIDTH, len(calls))):
            lanes.spawn(f"fetch-{number}", fetch)
    answers: list[T | DataError] = []
    for promise in promises:
        try:
            answers.append(promise.result(ANSWER_WITHIN_S))
        except DataError as error:
            answers.append(error)
    return answers
