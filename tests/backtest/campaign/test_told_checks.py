"""How what stood at the close must have been told: in time, as many as were held, and to the end."""

from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from tests.sim.bench import SPY_CALL, SPY_PUT, Bench
from wsb_snake.backtest.campaign.told_checks import Gap, Holdings, Telling
from wsb_snake.core.events import Event, EventKind

EOD_S, CLOSE_S = 300.0, 600.0
"""Seconds from ten minutes before the close on."""

Word = tuple[float, int | None]
"""When something was said of the contract, and as how many; None: it was left out."""

EACH_MINUTE: tuple[Word, ...] = ((345, 5), (405, 5), (465, 5), (525, 5), (585, 5))


class Evening:
    """The last ten minutes of a day on which the account holds ``held`` of a contract, by second."""

    def __init__(self, *held: tuple[float, int]) -> None:
        self._bench = Bench("15:50")
        self.start = self._bench.clock.now()
        self.holdings = Holdings(self._bench.exchange)
        self.holdings.look()
        account = self._bench.exchange.account
        for second, qty in held:
            self._bench.clock.advance_to(second)
            account.trade(SPY_CALL, qty - account.qty(SPY_CALL), Decimal(1), 100)
            self.holdings.look()

    def at(self, second: float) -> datetime:
        return self.start + timedelta(seconds=second)

    def lacks(
        self, said: tuple[Word, ...], since: float = EOD_S, gaps: tuple[tuple[float, float], ...] = ()
    ) -> str:
        events = [self._event(second, qty) for second, qty in said]
        lost = [Gap(self.at(first), self.at(last)) for first, last in gaps]
        return Telling(events, self.holdings, lost, self.at(CLOSE_S)).lacks(SPY_CALL, self.at(since))

    def _event(self, second: float, qty: int | None, why: str = "nobody bids for it") -> Event:
        rows = [] if qty is None else [{"symbol": SPY_CALL, "qty": qty, "why": why}]
        return Event(1, self.at(second), EventKind.EOD_NOT_FLAT, {"open": rows})


def test_what_was_held_from_when_on() -> None:
    evening = Evening((10, 4), (20, 1), (30, 3))
    assert evening.holdings.within(SPY_CALL, evening.at(0), evening.at(9)) == (0, 0)
    assert evening.holdings.within(SPY_CALL, evening.at(9), evening.at(10)) == (0, 4)
    assert evening.holdings.within(SPY_CALL, evening.at(12), evening.at(25)) == (1, 4)
    assert evening.holdings.within(SPY_CALL, evening.at(31), evening.at(40)) == (3, 3)
    assert evening.holdings.within(SPY_PUT, evening.at(0), evening.at(40)) == (0, 0)


def test_told_each_minute_to_the_close() -> None:
    assert Evening((0, 5)).lacks(EACH_MINUTE) == ""


@pytest.mark.parametrize(
    "said",
    [
        (),
        ((362, 5), *EACH_MINUTE[1:]),  # too late
        ((345, 4), *EACH_MINUTE[1:]),  # too few
        ((345, 6), *EACH_MINUTE[1:]),  # too many
        ((345, None), *EACH_MINUTE[1:]),  # left out
        ((345, 0), *EACH_MINUTE[1:]),  # put right three minutes later is too late
        ((310, None), (375, 5), *EACH_MINUTE[2:]),  # it was there all day
        EACH_MINUTE[:-2],  # the telling ends
        (*EACH_MINUTE[:-1], (585, 9)),
        (*EACH_MINUTE[:-1], (585, None)),
    ],
    ids=str,
)
def test_told_wrongly(said: tuple[Word, ...]) -> None:
    assert Evening((0, 5)).lacks(said) != ""


def test_a_word_without_a_reason_does_not_count() -> None:
    evening = Evening((0, 5))
    first = evening._event(345, 5, "")
    rest = [evening._event(second, qty) for second, qty in EACH_MINUTE[1:]]
    telling = Telling([first, *rest], evening.holdings, [], evening.at(CLOSE_S))
    assert telling.lacks(SPY_CALL, evening.at(EOD_S)) != ""


def test_a_word_of_before_it_was_there_does_not_count() -> None:
    evening = Evening((0, 5), (100, 0), (420, 5))
    early = ((300, 5), (345, 0), (405, 0))
    assert evening.lacks((*early, *EACH_MINUTE[2:]), since=420) == ""
    assert evening.lacks((*early, (482, 5), (542, 5), (590, 5)), since=420) != ""


@pytest.mark.parametrize(
    ("since", "said", "fine"),
    [
        (450, ((465, None), (525, None), (585, 5)), False),
        (450, ((465, None), (525, 5), (585, 5)), True),
        (450, ((465, None), (531, 5), (585, 5)), False),
        (462, ((465, None), (525, 5), (585, 5)), True),
        (462, ((465, None), (530, 5), (585, 5)), True),  # 68 s, yet the next word
        (440, ((465, None), (525, 5), (585, 5)), False),  # 25 s are known by then
    ],
    ids=str,
)
def test_a_word_that_could_not_know_yet_leaves_it_to_the_next_one(
    since: float, said: tuple[Word, ...], fine: bool
) -> None:
    early = ((345, None), (405, None))
    assert (Evening((since, 5)).lacks((*early, *said), since=since) == "") is fine


@pytest.mark.parametrize(("told", "fine"), [(5, True), (2, True), (3, True), (1, False), (6, False)])
def test_a_reading_may_be_some_seconds_old(told: int, fine: bool) -> None:
    evening = Evening((0, 5), (330, 3), (340, 2), (550, 5))
    said = ((345, told), (405, 2), (465, 2), (525, 2), (585, 5))
    assert (evening.lacks(said) == "") is fine


def test_of_the_last_word_too() -> None:
    evening = Evening((0, 5), (560, 2))
    assert evening.lacks((*EACH_MINUTE[:-1], (575, 5))) == ""
    assert evening.lacks((*EACH_MINUTE[:-1], (581, 5))) != ""


def test_what_comes_too_late_to_be_told_need_not_be() -> None:
    evening = Evening((595, 5))
    said = tuple((second, None) for second, _ in EACH_MINUTE)
    assert evening.lacks(said, since=595) == ""
    assert Evening((530, 5)).lacks(said, since=530) != ""


@pytest.mark.parametrize(
    ("gap", "said", "fine"),
    [
        ((340.0, 360.0), ((419, 5), *EACH_MINUTE[2:]), True),  # it died with what it had said
        ((340.0, 360.0), ((422, 5), *EACH_MINUTE[2:]), False),
        ((200.0, 299.0), EACH_MINUTE[1:], False),
        ((362.0, 370.0), EACH_MINUTE[1:], False),
        ((350.0, 370.0), EACH_MINUTE[1:], True),
        ((550.0, 590.0), EACH_MINUTE[:-1], True),
        ((500.0, 530.0), EACH_MINUTE[:-2], False),
        ((550.0, 590.0), (*EACH_MINUTE[:-2], (525, 4)), False),
    ],
    ids=str,
)
def test_what_died_with_its_process_was_not_said(
    gap: tuple[float, float], said: tuple[Word, ...], fine: bool
) -> None:
    assert (Evening((0, 5)).lacks(said, gaps=(gap,)) == "") is fine
