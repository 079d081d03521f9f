"""The institutional scalper: entries and exits of the half hours, its memory, and no look ahead."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from pathlib import Path

import pytest

from wsb_snake.backtest.noise_area_files import read_bars
from wsb_snake.core.calendar import MarketCalendar, Session
from wsb_snake.core.clock import from_eastern
from wsb_snake.core.types import Bar
from wsb_snake.engines.institutional_scalper import (
    InstitutionalRules,
    InstitutionalState,
    Said,
    Setup,
    entries_end,
    exits,
    scan,
    traded,
    wants_execution,
)
from wsb_snake.engines.noise_area import BAR
from wsb_snake.engines.types import Direction, MarketView, Signal
from wsb_snake.sim.market import SeededMarket

CALENDAR = MarketCalendar()
DAY = date(2026, 11, 24)
START = InstitutionalState()
LONG, SHORT = Direction.LONG, Direction.SHORT


def session_of(day: date) -> Session:
    session = CALENDAR.session(day)
    assert session is not None
    return session


SESSION = session_of(DAY)
OPEN = SESSION.open


def before(day: date, count: int = 14) -> list[Session]:
    found: list[Session] = []
    for _ in range(count):
        found.append(CALENDAR.previous_session(found[-1].day if found else day))
    return found[::-1]


def day_of_bars(session: Session, closes: Mapping[int, float], usual: float = 100.0) -> list[Bar]:
    """Opens at 100; the bar that ends after so many minutes closes at ``closes``, others at ``usual``.

    Each bar's VWAP is 100, so that the session's is.
    """
    bars = []
    for n in range((session.close - session.open) // BAR):
        close = closes.get(n + 1, usual)
        bars.append(
            Bar("", session.open + n * BAR, 100.0, max(close, 100), min(close, 100), close, 1000, 100)
        )
    return bars


PAST = [day_of_bars(session, {}, usual=101.0) for session in before(DAY)]
"""Sigma is 1 % at every minute but on half days, of which there is none here."""

DAILY = [Bar("", from_eastern(session.day, time()), 100, 102, 98, 100, 1e6, 100) for session in before(DAY)]
"""The previous close is 100, so that the area is 99 to 101."""


def view(
    closes: Mapping[int, float] | Sequence[Bar],
    minutes: float,
    tickers: Sequence[str] = ("SPY",),
    session: Session = SESSION,
    past: Sequence[Sequence[Bar]] = PAST,
    daily: Sequence[Bar] = DAILY,
) -> MarketView:
    """What is there so many minutes after the open; the day's later bars are in it too."""
    bars = day_of_bars(session, closes) if isinstance(closes, Mapping) else closes
    return MarketView(
        now=session.open + timedelta(minutes=minutes),
        session=session,
        feed="alpaca iex",
        bars=dict.fromkeys(tickers, bars),
        daily=dict.fromkeys(tickers, daily),
        sessions=dict.fromkeys(tickers, past),
    )


def found(looked_at: MarketView, state: InstitutionalState = START) -> list[Direction]:
    return [signal.direction for signal in scan(looked_at, state)[0]]


@pytest.mark.parametrize(
    ("close", "direction"),
    [(101.01, LONG), (101.0, None), (100.0, None), (99.0, None), (98.99, SHORT)],
)
def test_out_of_the_area_at_a_half_hour(close: float, direction: Direction | None) -> None:
    assert found(view({30: close}, 30)) == ([] if direction is None else [direction])


def test_between_the_half_hours_nothing_is_found() -> None:
    for minutes in (29, 31, 45, 59):
        assert found(view({minutes: 105}, minutes)) == []
    assert found(view({29: 105, 30: 100, 31: 105}, 31)) == []


def test_beyond_the_area_on_the_wrong_side_of_vwap_is_nothing() -> None:
    bars = [replace(bar, vwap=103.0) for bar in day_of_bars(SESSION, {30: 102})]
    assert found(view(bars, 30)) == []


def test_a_signal_says_when_what_and_why() -> None:
    signals, _ = scan(view({60: 101.25}, 60.5), START)
    (signal,) = signals
    assert signal.signal_id == "2026-11-24-institutional_scalper-SPY-noise_area_breakout-1030"
    assert (signal.at, signal.setup, signal.price) == (OPEN + 60 * BAR, Setup.BREAKOUT, 101.25)
    evidence = dict(signal.evidence)
    assert evidence["sigma"] == pytest.approx(0.01)
    assert (evidence["area_low"], evidence["area_high"]) == pytest.approx((99, 101))
    assert evidence["bands_beyond_area"] == pytest.approx(0.25)
    assert sum(value for name, value in signal.evidence if name.endswith("_points")) == pytest.approx(
        signal.confidence
    )


@pytest.mark.parametrize(
    ("close", "confidence"), [(101.05, 72), (101.25, 80), (101.5, 90), (109, 90), (98.75, 80), (91, 90)]
)
def test_confidence_grows_with_the_distance_to_a_bound(close: float, confidence: float) -> None:
    """A band is a dollar here; beyond the area VWAP is at least a band away: all of its 10 points."""
    signals, _ = scan(view({30: close}, 30), START)
    assert signals[0].confidence == pytest.approx(confidence)


def test_vwap_near_by_gives_fewer_points() -> None:
    bars = [replace(bar, vwap=101.0) for bar in day_of_bars(SESSION, {30: 101.25})]
    signals, _ = scan(view(bars, 30), START)
    assert signals[0].confidence == pytest.approx(72.5)
    assert dict(signals[0].evidence)["vwap_points"] == pytest.approx(2.5)


def test_an_area_without_width_gives_no_points_and_no_error() -> None:
    still = [day_of_bars(session, {}) for session in before(DAY)]
    signals, _ = scan(view({30: 100.5}, 30, past=still), START)
    assert [signal.confidence for signal in signals] == [60]


def test_its_names_in_a_fixed_order_and_no_other() -> None:
    looked_at = view({30: 102}, 30, ("IWM", "NVDA", "SPY", "QQQ"))
    assert [signal.ticker for signal in scan(looked_at, START)[0]] == ["SPY", "QQQ", "IWM"]
    rules = InstitutionalRules(tickers=("NVDA",))
    assert [signal.ticker for signal in scan(looked_at, START, rules)[0]] == ["NVDA"]


def test_half_days_in_the_history_do_not_blank_the_afternoon() -> None:
    """Friday after Thanksgiving is among the 14 sessions before 8 December 2026."""
    day = date(2026, 12, 8)
    session, past = session_of(day), [day_of_bars(each, {}, 101.0) for each in before(day)]
    assert sorted({len(bars) for bars in past}) == [210, 390]
    daily = [
        replace(bar, start=from_eastern(each.day, time()))
        for bar, each in zip(DAILY, before(day), strict=True)
    ]
    assert found(view({300: 102}, 300, session=session, past=past, daily=daily)) == [LONG]


def test_on_a_half_day_itself_the_hours_shrink() -> None:
    day = date(2026, 11, 27)
    session, past = session_of(day), [day_of_bars(each, {}, 101.0) for each in before(day)]
    daily = [
        replace(bar, start=from_eastern(each.day, time()))
        for bar, each in zip(DAILY, before(day), strict=True)
    ]
    everywhere = dict.fromkeys(range(30, 211, 30), 102.0)
    ends = [
        minutes
        for minutes in range(30, 241, 30)
        if found(view(everywhere, minutes, session=session, past=past, daily=daily))
    ]
    assert ends == [30, 60, 90, 120, 150]


@pytest.mark.parametrize(
    "lacking",
    [
        pytest.param(view(day_of_bars(SESSION, {30: 102})[:29], 30), id="the bar of the half hour"),
        pytest.param(view(day_of_bars(SESSION, {30: 102})[1:], 30), id="the opening bar"),
        pytest.param(view({30: 102}, 30, past=PAST[2:]), id="13 sessions"),
        pytest.param(view({30: 102}, 30, past=()), id="any session"),
        pytest.param(view({30: 102}, 30, daily=()), id="a previous close"),
        pytest.param(view({30: 102}, 30, daily=DAILY[:-1]), id="the close of the session before"),
        pytest.param(view({30: 102}, 30, past=[*PAST[:-1], ()]), id="the session before"),
        pytest.param(view({30: 102}, 30, tickers=()), id="the ticker"),
        pytest.param(view([], 30), id="bars"),
    ],
)
def test_nothing_is_said_without(lacking: MarketView) -> None:
    assert scan(lacking, START) == ((), START)
    assert exits(lacking, {"SPY": SHORT}) == ()


def test_thirteen_sessions_are_enough() -> None:
    assert found(view({30: 102}, 30, past=PAST[1:])) == [LONG]


def test_a_session_without_its_opening_bar_gives_no_value() -> None:
    headless = [bars[1:] for bars in PAST]
    assert found(view({30: 102}, 30, past=[headless[0], *PAST[1:]])) == [LONG]
    assert found(view({30: 102}, 30, past=[*headless[:2], *PAST[2:]])) == []


def test_bars_before_the_open_are_ignored() -> None:
    early = [Bar("", OPEN - n * BAR, 90, 90, 90, 90, 1e9, 90) for n in range(60, 0, -1)]
    with_early = view([*early, *day_of_bars(SESSION, {30: 101.25})], 30)
    past = [
        [*(replace(bar, start=bar.start - 60 * BAR, open=50, close=50) for bar in bars[:60]), *bars]
        for bars in PAST
    ]
    same = scan(view({30: 101.25}, 30), START)
    assert same[0]
    assert scan(with_early, START) == same
    assert scan(replace(with_early, sessions={"SPY": past}), START) == same


def test_a_bar_that_comes_late_is_waited_for_two_minutes() -> None:
    bars = day_of_bars(SESSION, {30: 102})
    _, state = scan(view(bars[:29], 30), START)
    assert found(view(bars, 32), state) == [LONG]
    assert found(view(bars, 32 + 1 / 60), state) == []


def passes(
    closes: Mapping[int, float], every: float = 0.5, trade: bool = False
) -> list[tuple[int, Direction]]:
    """Minutes and directions of the signals of a day, each traded or not."""
    state, spoken = START, []
    for n in range(int(390 / every)):
        signals, state = scan(view(closes, n * every), state)
        for signal in signals:
            spoken.append(((signal.at - OPEN) // BAR, signal.direction))
            if trade:
                state = traded(state, signal.ticker, OPEN + timedelta(minutes=n * every))
    return spoken


EXCURSIONS = {30: 102.0, 60: 102.0, 90: 100.0, 120: 102.0, 150: 98.0, 180: 98.0, 210: 102.0}


def test_a_half_hour_speaks_once_and_again_at_the_next_when_nothing_was_traded() -> None:
    all_of_them = [(30, LONG), (60, LONG), (120, LONG), (150, SHORT), (180, SHORT), (210, LONG)]
    assert passes(EXCURSIONS) == all_of_them


def test_an_excursion_is_traded_once() -> None:
    assert passes(EXCURSIONS, trade=True) == [(30, LONG), (120, LONG), (150, SHORT), (210, LONG)]


def test_a_trade_in_one_name_silences_no_other() -> None:
    _, state = scan(view({30: 102, 60: 102}, 30, ("SPY", "QQQ")), START)
    state = traded(state, "SPY", OPEN + 30 * BAR)
    signals, _ = scan(view({30: 102, 60: 102}, 60, ("SPY", "QQQ")), state)
    assert [signal.ticker for signal in signals] == ["QQQ"]


def test_a_stance_that_was_not_seen_in_time_is_remembered() -> None:
    """Traded at 30, away until 70, when the price had been back: the third excursion is a new one."""
    closes = {30: 102, 60: 100, 90: 102}
    _, state = scan(view(closes, 30), START)
    _, state = scan(view(closes, 70), traded(state, "SPY", OPEN + 30 * BAR))
    assert state.said == (Said("SPY", OPEN + 60 * BAR, None),)
    assert found(view(closes, 90), state) == [LONG]


def test_yesterday_is_forgotten() -> None:
    yesterday = InstitutionalState((Said("SPY", OPEN - timedelta(hours=18), LONG, True),))
    signals, state = scan(view({30: 102}, 30), yesterday)
    assert [signal.direction for signal in signals] == [LONG]
    assert state.said == (Said("SPY", OPEN + 30 * BAR, LONG),)
    assert scan(view({}, 5), yesterday) == ((), START)


def test_state_survives_its_json() -> None:
    _, state = scan(view({30: 102}, 30, ("SPY", "IWM", "QQQ")), START)
    state = traded(state, "IWM", OPEN + 30 * BAR)
    _, state = scan(view({30: 102, 60: 100}, 60), state)
    assert {each.direction for each in state.said} == {LONG, None}
    assert InstitutionalState.from_json(state.to_json()) == state
    assert InstitutionalState.from_json(START.to_json()) == START


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"said": [["SPY", "2026-11-24T10:00:00", null, false]]}',
        '{"said": [["SPY", "2026-11-24T10:00:00+00:00", "up", false]]}',
        '{"said": [["SPY", "2026-11-24T10:00:00+00:00", "long", 1]]}',
        '{"said": [[7, "2026-11-24T10:00:00+00:00", "long", true]]}',
        '{"said": [["SPY", "2026-11-24T10:00:00+00:00"]]}',
    ],
)
def test_a_foreign_state_is_refused(text: str) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        InstitutionalState.from_json(text)


@pytest.mark.parametrize(("ticker", "last"), [("SPY", 330), ("QQQ", 330), ("IWM", 300)])
def test_the_hunt_ends_with_the_0dte_entries(ticker: str, last: int) -> None:
    everywhere = dict.fromkeys(range(30, 391, 30), 102.0)
    ends = [minutes for minutes in range(30, 391, 30) if found(view(everywhere, minutes, (ticker,)))]
    assert ends[-1] == last
    assert entries_end(ticker, SESSION) > OPEN + last * BAR


# exits


@pytest.mark.parametrize(
    ("close", "held", "reason"),
    [
        (102.0, LONG, None),
        (98.0, SHORT, None),
        (101.0, LONG, "at 10:00 ET 101.00 is back inside the noise area of 99.00 to 101.00"),
        (99.0, SHORT, "at 10:00 ET 99.00 is back inside the noise area of 99.00 to 101.00"),
        (98.0, LONG, "at 10:00 ET 98.00 is below the noise area's 99.00 and VWAP"),
        (102.0, SHORT, "at 10:00 ET 102.00 is above the noise area's 101.00 and VWAP"),
    ],
)
def test_out_when_back_inside_or_on_the_other_side(close: float, held: Direction, reason: str | None) -> None:
    expected = () if reason is None else (("SPY", reason),)
    assert exits(view({30: close}, 30), {"SPY": held}) == expected


def test_out_through_vwap() -> None:
    bars = [replace(bar, vwap=103.0) for bar in day_of_bars(SESSION, {30: 102})]
    assert exits(view(bars, 30), {"SPY": LONG}) == (("SPY", "at 10:00 ET 102.00 is through VWAP at 103.00"),)


def test_an_exit_stands_until_the_next_half_hour_and_not_before_the_first() -> None:
    closes = dict.fromkeys(range(1, 30), 90.0) | {30: 100.0, 60: 102.0}
    said = [bool(exits(view(closes, minutes), {"SPY": LONG})) for minutes in (29, 30, 31, 59, 60, 61)]
    assert said == [False, True, True, True, False, False]


def test_exits_go_on_until_the_close() -> None:
    everywhere = dict.fromkeys(range(30, 391, 30), 100.0)
    assert exits(view(everywhere, 389), {"SPY": LONG})
    assert not exits(view(everywhere, 390), {"SPY": LONG})


def test_what_is_not_held_has_no_exit() -> None:
    looked_at = view({30: 100}, 30, ("SPY", "QQQ", "IWM"))
    assert [ticker for ticker, _ in exits(looked_at, {"QQQ": LONG, "IWM": SHORT})] == ["IWM", "QQQ"]
    assert exits(looked_at, {}) == ()


def test_a_minute_without_trades_goes_by_the_trade_before_it() -> None:
    """A minute later its bar will not come any more; what is older than five minutes says nothing."""
    bars = day_of_bars(SESSION, {})
    held = {"SPY": LONG}
    gap = [*bars[:25], *bars[30:]]
    assert exits(view(gap, 30.9), held) == ()
    assert exits(view(gap, 31), held) != ()
    assert exits(view([*bars[:24], *bars[30:]], 31), held) == ()


# may it be traded


def signal(ticker: str, minutes: float, confidence: float) -> Signal:
    at = OPEN + timedelta(minutes=minutes)
    return Signal("id", at, "institutional_scalper", Setup.BREAKOUT, ticker, LONG, confidence, 100.0, ())


def test_reasons_against_execution_are_one_clear_line() -> None:
    def why(now_minutes: float, ticker: str = "SPY", at: float = 330, confidence: float = 60) -> str | None:
        return wants_execution(signal(ticker, at, confidence), OPEN + timedelta(minutes=now_minutes), SESSION)

    assert why(332) is None
    assert why(334) == "the signal is 240 s old, limit 120 s"
    assert why(330, confidence=59.9) == "confidence 59.9 is below the bar of 60"
    assert why(335) == "0DTE entries in SPY ended at 15:05 ET"
    assert why(330, "IWM") == "0DTE entries in IWM ended at 14:50 ET"
    assert why(-1, at=-1) == "the session has not begun"


# no look ahead


def cut(whole: MarketView, now: datetime) -> MarketView:
    """``whole`` without anything that was not known at ``now``."""
    midnight = from_eastern(whole.session.day, time())
    return replace(
        whole,
        now=now,
        bars={ticker: [bar for bar in bars if bar.start + BAR <= now] for ticker, bars in whole.bars.items()},
        daily={ticker: [bar for bar in bars if bar.start < midnight] for ticker, bars in whole.daily.items()},
        sessions={
            ticker: [bars for bars in past if bars[0].start < midnight]
            for ticker, past in whole.sessions.items()
        },
    )


def check_no_look_ahead(whole: MarketView) -> tuple[int, int]:
    """Every minute once with all of the day and once with what was known; counts of entries and exits."""
    states, counts = [START, START], [0, 0]
    minutes = (whole.session.close - whole.session.open) // BAR
    for n in range(minutes + 1):
        now = whole.session.open + n * BAR
        views = [replace(whole, now=now), cut(whole, now)]
        passed = [scan(each, state) for each, state in zip(views, states, strict=True)]
        assert passed[0] == passed[1]
        states = [state for _, state in passed]
        counts[0] += len(passed[0][0])
        for direction in Direction:
            held = dict.fromkeys(whole.bars, direction)
            over = exits(views[0], held)
            assert over == exits(views[1], held)
            counts[1] += len(over)
    return counts[0], counts[1]


@pytest.fixture(scope="module")
def recorded(shared_dir: Path) -> dict[date, list[Bar]]:
    return read_bars(shared_dir / "data" / "spy_1min" / "SPY_1min_20231106_20241231.csv.gz")


def daily_bar(day: date, bars: Sequence[Bar]) -> Bar:
    return Bar("SPY", from_eastern(day, time()), bars[0].open, 0, 0, bars[-1].close, 1, 0)


@pytest.mark.parametrize("day", [date(2024, 8, 8), date(2024, 11, 20), date(2024, 12, 24)])
def test_no_signal_of_a_recorded_day_depends_on_the_future(
    recorded: dict[date, list[Bar]], day: date
) -> None:
    """The day itself and the days after it lie in the history as well; 24 December is a half day."""
    days = [each for each in recorded if day - timedelta(days=40) < each < day + timedelta(days=5)]
    session = session_of(day)
    whole = MarketView(
        now=session.open,
        session=session,
        feed="recorded",
        bars={"SPY": recorded[day]},
        daily={"SPY": [daily_bar(each, recorded[each]) for each in days]},
        sessions={"SPY": [recorded[each] for each in days]},
    )
    entries, over = check_no_look_ahead(whole)
    assert entries > 0
    assert over > 0


@pytest.mark.parametrize("day", [date(2026, 11, 23), DAY, date(2026, 11, 27)])
def test_no_signal_of_a_seeded_day_depends_on_the_future(day: date) -> None:
    names = ("SPY", "QQQ", "IWM")
    session = session_of(day)
    markets = [SeededMarket(each.day, 7) for each in [*before(day), session]]
    history = {
        name: [
            market.bars(name, market.session.open, market.session.close, market.session.close)
            for market in markets
        ]
        for name in names
    }
    whole = MarketView(
        now=session.open,
        session=session,
        feed="embedded",
        bars={name: history[name][-1] for name in names},
        daily={
            name: [daily_bar(market.day, bars) for market, bars in zip(markets, history[name], strict=True)]
            for name in names
        },
        sessions=history,
    )
    _, over = check_no_look_ahead(whole)
    assert over > 0
