"""Runs campaign days until a promise is broken, and stops there."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from pytest import MonkeyPatch

from wsb_snake.backtest.campaign.day import DayPlan, run_campaign_day
from wsb_snake.backtest.campaign.run import DRILL_DAY
from wsb_snake.backtest.campaign.violation import Findings, Promise

Plant = Callable[[MonkeyPatch], None]


class Found(BaseException):
    """A promise was broken; ends the day at once, whichever lane noticed."""

    def __init__(self, at: datetime, text: str) -> None:
        super().__init__(text)
        self.at = at


class Over(BaseException):
    """The day has come as far as it was wanted."""


@dataclass(frozen=True, slots=True)
class Catch:
    """A bug was found on the ``days``-th day looked at, which has this ``number``."""

    days: int
    number: int
    at: datetime
    how: str


def plan(seed: int, number: int, profile: str = "all", *, crashes: bool = True) -> DayPlan:
    return DayPlan(DRILL_DAY, seed, number, profile, crashes)


def hunt(plant: Plant, promises: frozenset[Promise], seed: int, numbers: Iterable[int]) -> Catch | None:
    """The first of the days ``numbers`` on which one of ``promises`` is broken by what ``plant`` does."""
    for days, number in enumerate(numbers, 1):
        with MonkeyPatch.context() as patch:
            plant(patch)
            _stop_at(patch, promises, None)
            try:
                run_campaign_day(plan(seed, number))
            except Found as found:
                return Catch(days, number, found.at, str(found))
    return None


def broken_without(promises: frozenset[Promise], seed: int, catch: Catch) -> str | None:
    """What breaks one of ``promises`` on the day of ``catch``, up to that moment, without any bug."""
    with MonkeyPatch.context() as patch:
        _stop_at(patch, promises, catch.at)
        try:
            run_campaign_day(plan(seed, catch.number))
        except Found as found:
            return str(found)
        except Over:
            return None
    return None


def _stop_at(patch: MonkeyPatch, promises: frozenset[Promise], end: datetime | None) -> None:
    check = Findings.check

    def stopping(self: Findings, promise: Promise, kept: bool, text: str) -> None:
        now = self.clock.now()
        if end is not None and now > end:
            raise Over
        check(self, promise, kept, text)
        if not kept and promise in promises:
            raise Found(now, f"{promise} {text}")

    patch.setattr(Findings, "check", stopping)
