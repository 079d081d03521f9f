"""The scalper's setups on hand-made bars, its confidence, its hours and its memory."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from tests.engines.slow_market import SEEDED_DAYS, cut_off, passes, seeded
from wsb_snake.core.calendar import Session
from wsb_snake.core.clock import from_eastern
from wsb_snake.core.types import Bar
from wsb_snake.engines.spy_scalper import (
    BAR,
    ScalperRules,
    ScalperState,
    Setup,
    entries_end,
    scan,
    traded,
    wants_execution,
)
from wsb_snake.engines.types import Direction, Signal

DAY = date(2026, 11, 24)
OPEN = from_eastern(DAY, time(9, 30))
SESSION = Session(DAY, OPEN, from_eastern(DAY, time(16, 0)))
HALF_DAY = Session(DAY, OPEN, from_eastern(DAY, time(13, 0)))
VOLUME = 1000.0
RULES = ScalperRules()


def bar(
    close: float, *, opened: float | None = None, volume: float = 1.0, vwap: float = 0.0, wick: float = 0.01
) -> Bar:
    """``volume`` in multiples of the usual; the time is set by ``tape``."""
    opened = close if opened is None else opened
    high, low = max(opened, close) + wick, min(opened, close) - wick
    return Bar("", OPEN, opened, high, low, close, volume * VOLUME, vwap)


def tape(bars: Sequence[Bar], start: datetime = OPEN) -> list[Bar]:
    return [replace(item, start=start + n * BAR) for n, item in enumerate(bars)]


def mirrored(bars: Sequence[Bar]) -> list[Bar]:
    """The same bars upside down around 100."""
    return [
        replace(
            item,
            open=200 - item.open,
            high=200 - item.low,
            low=200 - item.high,
            close=200 - item.close,
            vwap=200 - item.vwap,
        )
        for item in bars
    ]


def look(
    bars: Sequence[Bar],
    ticker: str = "SPY",
    session: Session = SESSION,
    rules: ScalperRules = RULES,
) -> Signal | None:
    """What one pass says at the end of the last bar."""
    signals, _ = scan({ticker: bars}, bars[-1].start + BAR, session, ScalperState(), rules)
    return signals[0] if signals else None


# hand-made days; VWAP is what the bars say it is


def reclaim(volume: float = 1.4) -> list[Bar]:
    below = [bar(99.7, vwap=100) for _ in range(24)]
    return tape([*below, bar(100.05, opened=99.95, volume=volume, vwap=100)])


def rejection(before: float = 99.9, close: float = 99.88, opened: float = 99.97) -> list[Bar]:
    below = [bar(before, vwap=100) for _ in range(24)]
    return tape([*below, bar(close, opened=opened, vwap=100)])


def surge(volume: float = 1.6, move: float = 0.16) -> list[Bar]:
    calm = [bar(100, vwap=95) for _ in range(20)]
    climb = [bar(100 + move * n / 5, vwap=95) for n in range(1, 5)]
    return tape([*calm, *climb, bar(100 + move, volume=volume, vwap=95)])


def breakout(volume: float = 1.4, close: float = 100.05, vwap: float = 95.0, bars: int = 30) -> list[Bar]:
    calm = [bar(100, vwap=vwap) for _ in range(bars)]
    return tape([*calm, bar(close, opened=100, volume=volume, vwap=vwap)])


def failed_breakout(back_to: float = 99.98, calm_bars: int = 32) -> list[Bar]:
    calm = [bar(100, vwap=95) for _ in range(calm_bars)]
    poke = bar(100.05, opened=100, vwap=95)
    return tape([*calm, poke, bar(back_to, opened=100.04, vwap=95)])


def squeeze(quiet: float = 0.02, fire: float = 0.1) -> list[Bar]:
    wide = [bar(100, wick=0.04, vwap=95) for _ in range(20)]
    narrow = [bar(100, wick=quiet / 2, vwap=95) for _ in range(10)]
    return tape([*wide, *narrow, bar(100 + fire, opened=100, wick=0, vwap=95)])


@pytest.mark.parametrize(
    ("bars", "setup", "direction"),
    [
        (reclaim(), Setup.VWAP_RECLAIM, Direction.LONG),
        (rejection(), Setup.VWAP_REJECTION, Direction.SHORT),
        (mirrored(rejection()), Setup.VWAP_BOUNCE, Direction.LONG),
        (surge(), Setup.SURGE_LONG, Direction.LONG),
        (mirrored(surge(move=0.16)), Setup.SURGE_SHORT, Direction.SHORT),
        (breakout(), Setup.BREAKOUT, Direction.LONG),
        (mirrored(breakout()), Setup.BREAKDOWN, Direction.SHORT),
        (failed_breakout(), Setup.FAILED_BREAKOUT, Direction.SHORT),
        (mirrored(failed_breakout()), Setup.FAILED_BREAKDOWN, Direction.LONG),
        (squeeze(), Setup.SQUEEZE_FIRE, Direction.LONG),
        (mirrored(squeeze()), Setup.SQUEEZE_FIRE, Direction.SHORT),
    ],
)
def test_each_setup_fires_on_its_own_picture(bars: list[Bar], setup: Setup, direction: Direction) -> None:
    signal = look(bars)
    assert signal is not None
    assert (signal.setup, signal.direction) == (setup, direction)


@pytest.mark.parametrize(
    "bars",
    [
        pytest.param(reclaim(volume=1.3), id="reclaim needs more than 1.3 x"),
        pytest.param(reclaim(volume=0), id="reclaim without volume"),
        pytest.param(rejection(before=100.1), id="a rejection comes from below"),
        pytest.param(rejection(close=100.02, opened=99.97), id="a rejection ends below VWAP"),
        pytest.param(rejection(close=99.96, opened=99.95), id="a rejection is a falling bar"),
        pytest.param(rejection(opened=99.9), id="a rejection has touched VWAP"),
        pytest.param(mirrored(rejection(before=100.1)), id="a bounce comes from above"),
        pytest.param(mirrored(rejection(close=100.02, opened=99.97)), id="a bounce ends above VWAP"),
        pytest.param(mirrored(rejection(close=99.96, opened=99.95)), id="a bounce is a rising bar"),
        pytest.param(mirrored(rejection(opened=99.9)), id="a bounce has touched VWAP"),
        pytest.param(failed_breakout(calm_bars=31), id="a trap needs 30 bars before the break"),
        pytest.param(surge(volume=1.5), id="surge needs more than 1.5 x"),
        pytest.param(surge(move=0.14), id="surge needs 0.15 %"),
        pytest.param(mirrored(surge(volume=0)), id="surge without volume"),
        pytest.param(breakout(volume=1.3), id="breakout needs more than 1.3 x"),
        pytest.param(mirrored(breakout(volume=0)), id="breakdown without volume"),
        pytest.param(breakout(close=100.01), id="at the range's edge is no breakout"),
        pytest.param(breakout(bars=29), id="a range needs 30 bars before the judged one"),
        pytest.param(failed_breakout(back_to=100.02), id="still outside is no trap"),
        pytest.param(squeeze(quiet=0.07), id="no compression"),
        pytest.param(squeeze(fire=0.011), id="no expansion"),
    ],
)
def test_no_setup_without_its_conditions(bars: list[Bar]) -> None:
    assert look(bars) is None


def test_a_market_without_any_volume_gives_no_volume_setup() -> None:
    silent = [replace(item, volume=0.0) for item in breakout(volume=2)]
    assert look(silent) is None


def test_missing_bars_are_not_bars_without_volume() -> None:
    """Half the minutes of the morning are missing: the average is over those that exist."""
    bars = breakout(volume=1.4, bars=80)
    thinned = [item for n, item in enumerate(bars) if n % 2 == 0 or n > 70]
    signal = look(thinned)
    assert signal is not None
    assert dict(signal.evidence)["volume_ratio"] == pytest.approx(1.4)
    assert look([item for item in bars if item.start < OPEN + 60 * BAR or item is bars[-1]]) is None


@pytest.mark.parametrize(
    ("volume", "move_percent", "vwap", "confidence"),
    [
        (1.4, 0.1, 95, 65),
        (1.4, 0.1, 101, 60),
        (1.5, 0.1, 95, 70),
        (2.0, 0.1, 101, 70),
        (2.0, 0.1, 95, 75),
        (1.4, 0.21, 95, 70),
        (1.4, 0.31, 95, 73),
        (2.0, 0.31, 95, 83),
    ],
)
def test_confidence_adds_up(volume: float, move_percent: float, vwap: float, confidence: float) -> None:
    signal = look(breakout(volume, 100 + move_percent, vwap))
    assert signal is not None
    assert signal.setup is Setup.BREAKOUT  # preferred to the surge that is there as well
    assert signal.confidence == confidence
    given_points = [value for name, value in signal.evidence if name.endswith("_points")]
    assert sum(given_points) == confidence


def test_momentum_against_the_signal_gives_nothing() -> None:
    bars = failed_breakout()
    bars[-6] = replace(bars[-6], close=99.5, low=99.4)  # the last five bars rose, the trap is short
    signal = look(bars)
    assert signal is not None
    evidence = dict(signal.evidence)
    assert evidence["momentum"] > 0.003
    assert evidence["momentum_points"] == 0


def test_a_signal_says_when_what_and_why() -> None:
    signal = look(breakout())
    assert signal is not None
    assert signal.at == OPEN + 31 * BAR
    assert signal.signal_id == "2026-11-24-spy_scalper-SPY-breakout-1001"
    assert signal.price == 100.05
    assert dict(signal.evidence)["range_high"] == 100.01


def test_the_same_bar_gives_one_signal_whatever_the_number_of_passes() -> None:
    bars = breakout(volume=2, close=100.3)  # breakout and surge at once
    now = bars[-1].start + BAR
    first, state = scan({"SPY": bars}, now, SESSION, ScalperState())
    again, after = scan({"SPY": bars}, now + timedelta(seconds=30), SESSION, state)
    assert [signal.setup for signal in first] == [Setup.BREAKOUT]
    assert again == ()
    assert after == state


def test_passes_at_other_moments_give_the_same_signal() -> None:
    bars = breakout()
    late = bars[-1].start + BAR + timedelta(seconds=29)
    signals, _ = scan({"SPY": bars}, late, SESSION, ScalperState())
    assert signals == (look(bars),)


def test_the_order_of_the_view_does_not_matter() -> None:
    bars = breakout()
    now = bars[-1].start + BAR
    one = scan({"SPY": bars, "IWM": bars, "QQQ": bars}, now, SESSION, ScalperState())
    other = scan({"QQQ": bars, "IWM": bars, "SPY": bars}, now, SESSION, ScalperState())
    assert one == other
    assert [signal.ticker for signal in one[0]] == ["IWM", "QQQ", "SPY"]


def staircase(steps: int) -> list[Bar]:
    """A breakout every minute after the first half hour."""
    calm = [bar(100, vwap=95) for _ in range(30)]
    rise = [bar(100 + 0.05 * n, volume=1.4 * 1.05**n, vwap=95) for n in range(1, steps + 1)]
    return tape([*calm, *rise])


def breakouts_at(bars: list[Bar], trade: bool) -> list[int]:
    """Minutes after the half hour at which a breakout is signalled (and traded)."""
    state, found = ScalperState(), []
    for n in range(30, len(bars)):
        now = bars[n].start + BAR
        signals, state = scan({"SPY": bars}, now, SESSION, state)
        if any(signal.setup is Setup.BREAKOUT for signal in signals):
            found.append(n - 30)
            state = traded(state, "SPY", now) if trade else state
    return found


def test_the_same_setup_waits_five_minutes_and_after_a_trade_ten() -> None:
    assert breakouts_at(staircase(16), trade=False) == [0, 5, 10, 15]
    assert breakouts_at(staircase(16), trade=True) == [0, 10]


def test_a_trade_silences_its_ticker_only() -> None:
    bars = breakout()
    now = bars[-1].start + BAR
    signals, _ = scan({"SPY": bars, "QQQ": bars}, now, SESSION, traded(ScalperState(), "SPY", now))
    assert [signal.ticker for signal in signals] == ["QQQ"]


def test_a_second_trade_replaces_the_first() -> None:
    state = traded(traded(ScalperState(), "SPY", OPEN), "SPY", OPEN + BAR)
    assert state.last_trade_at == (("SPY", OPEN + BAR),)


def test_what_has_cooled_down_is_forgotten() -> None:
    bars = breakout()
    now = bars[-1].start + BAR
    _, state = scan({"SPY": bars}, now, SESSION, traded(ScalperState(), "QQQ", now))
    assert state != ScalperState()
    _, later = scan({}, now + timedelta(minutes=11), SESSION, state)
    assert later == ScalperState()


def test_state_survives_its_json() -> None:
    bars = breakout()
    now = bars[-1].start + BAR
    _, state = scan({"SPY": bars, "IWM": bars}, now, SESSION, ScalperState())
    state = traded(state, "SPY", now + timedelta(microseconds=1))
    assert ScalperState.from_json(state.to_json()) == state
    assert ScalperState.from_json(ScalperState().to_json()) == ScalperState()


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"last_signal_at": [], "last_trade_at": [["SPY", "2026-11-24"]]}']
)
def test_a_foreign_state_is_refused(text: str) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        ScalperState.from_json(text)


def test_bars_that_have_not_ended_are_not_judged() -> None:
    bars = breakout()
    early = bars[-1].start + BAR - timedelta(microseconds=1)
    assert scan({"SPY": bars}, early, SESSION, ScalperState())[0] == ()


def test_stale_bars_give_no_signal() -> None:
    bars = breakout()
    end = bars[-1].start + BAR
    assert scan({"SPY": bars}, end + timedelta(seconds=120), SESSION, ScalperState())[0]
    assert not scan({"SPY": bars}, end + timedelta(seconds=121), SESSION, ScalperState())[0]


def test_few_bars_give_no_signal() -> None:
    assert look(reclaim()[-20:]) is not None
    assert look(reclaim()[-19:]) is None
    assert scan({"SPY": []}, OPEN + BAR, SESSION, ScalperState()) == ((), ScalperState())


def test_bars_of_other_hours_are_ignored() -> None:
    """Yesterday's and the premarket's bars make neither a range nor a VWAP."""
    premarket = tape([bar(100, vwap=95) for _ in range(60)], OPEN - 60 * BAR)
    assert look([*premarket, *breakout(bars=10)]) is None
    with_history = look([*premarket, *breakout()])
    assert with_history == look(breakout())


def session_tail(session: Session, ticker: str, before_close: timedelta) -> Signal | None:
    bars = tape(breakout(), session.close - before_close - 31 * BAR)
    return look(bars, ticker, session=session)


@pytest.mark.parametrize("session", [SESSION, HALF_DAY])
@pytest.mark.parametrize(("ticker", "minutes"), [("SPY", 55), ("QQQ", 55), ("IWM", 70), ("NVDA", 70)])
def test_the_hunt_ends_with_the_0dte_entries(session: Session, ticker: str, minutes: int) -> None:
    assert session_tail(session, ticker, timedelta(minutes=minutes + 1)) is not None
    assert session_tail(session, ticker, timedelta(minutes=minutes)) is None
    assert entries_end(ticker, session) == session.close - timedelta(minutes=minutes)


def signal_at(moment: datetime, ticker: str, confidence: float) -> Signal:
    return Signal("id", moment, "spy_scalper", "breakout", ticker, Direction.LONG, confidence, 100.0, ())


@pytest.mark.parametrize(
    ("wall", "ticker", "bar_to_pass"),
    [
        (time(10, 45), "SPY", 70),
        (time(11, 59), "SPY", 70),
        (time(12, 0), "SPY", 75),
        (time(12, 59), "IWM", 75),
        (time(13, 0), "SPY", 70),
        (time(10, 45), "NVDA", 75),
        (time(12, 30), "RKLB", 80),
        (time(10, 45), "GLD", 70),
    ],
)
def test_the_bar_for_execution(wall: time, ticker: str, bar_to_pass: float) -> None:
    now = from_eastern(DAY, wall)
    assert wants_execution(signal_at(now, ticker, bar_to_pass), now, SESSION) is None
    why = wants_execution(signal_at(now, ticker, bar_to_pass - 1), now, SESSION)
    assert why is not None
    assert f"below the bar of {bar_to_pass:g}" in why


def test_reasons_against_execution_are_one_clear_line() -> None:
    def why(now: datetime, at: datetime, ticker: str = "SPY", confidence: float = 90) -> str | None:
        return wants_execution(signal_at(at, ticker, confidence), now, SESSION)

    lunch = from_eastern(DAY, time(12, 15))
    assert why(lunch, lunch, "NVDA", 79) == (
        "confidence 79 is below the bar of 80, 5 of them for lunch, 5 of them for a single name"
    )
    assert why(lunch, lunch, confidence=74) == "confidence 74 is below the bar of 75, 5 of them for lunch"
    noon = from_eastern(DAY, time(12, 0))  # now counts, not the signal's minute
    assert why(noon, noon - BAR, confidence=74) is not None
    end = from_eastern(DAY, time(15, 5))
    assert why(end, end) == "0DTE entries in SPY ended at 15:05 ET"
    assert why(end - BAR, end - BAR) is None
    assert why(end - BAR, end - BAR, "IWM") == "0DTE entries in IWM ended at 14:50 ET"
    assert why(lunch, lunch - timedelta(seconds=121)) == "the signal is 121 s old, limit 120 s"
    assert why(OPEN - BAR, OPEN - BAR) == "the session has not begun"


def test_rules_are_settings() -> None:
    assert look(breakout(), rules=ScalperRules(alert=66)) is None
    assert look(breakout(volume=1.2), rules=ScalperRules(break_volume=1.1)) is not None


steps = st.tuples(st.floats(-0.002, 0.002), st.floats(0, 3), st.booleans() | st.just(True) | st.just(True))


@settings(derandomize=True, max_examples=40, deadline=None)
@given(st.lists(steps, min_size=45, max_size=80), st.lists(steps, min_size=80, max_size=80))
def test_no_signal_depends_on_the_future(
    walk: list[tuple[float, float, bool]], other: list[tuple[float, float, bool]]
) -> None:
    """At every minute: all bars, only the ended ones, or another future give the same."""

    def drawn(moves: Sequence[tuple[float, float, bool]], price: float = 100.0) -> list[Bar]:
        bars = []
        for step, volume, _ in moves:
            bars.append(bar(price * (1 + step), opened=price, volume=volume))
            price = bars[-1].close
        return bars

    present = [n for n, (_, _, there) in enumerate(walk) if there]
    everything = tape(drawn(walk))
    full = [everything[n] for n in present]
    states = [ScalperState()] * 3
    for n in range(20, len(walk)):
        now = OPEN + n * BAR
        known = [item for item in full if item.start + BAR <= now]
        future = [item for item in tape(drawn(other)) if item.start + BAR > now]
        passes = [
            scan({"SPY": view}, now, SESSION, state)
            for view, state in zip((full, known, [*known, *future]), states, strict=True)
        ]
        assert passes[0] == passes[1] == passes[2]
        states = [state for _, state in passes]
        event("a signal was given" if passes[0][0] else "silence")


@pytest.mark.parametrize("seeded_day", SEEDED_DAYS)
def test_no_signal_of_a_seeded_day_depends_on_the_future(seeded_day: date) -> None:
    """At every minute, with the rest of the day and the next one in hand or only what was known by then."""
    names = ("NVDA", "QQQ", "SPY", "XLE")
    whole = seeded(1, names, history=1)[seeded_day]
    everything = {name: [bar for tape in whole.sessions[name] for bar in tape] for name in names}
    assert all(
        bars[0].start < whole.session.open < whole.session.close < bars[-1].start
        for bars in everything.values()
    )
    states = [ScalperState(), ScalperState()]
    said = 0
    for now in passes(whole):
        known = cut_off(whole, now).bars
        seeing, blind = (
            scan(bars, now, whole.session, state)
            for bars, state in zip((everything, known), states, strict=True)
        )
        assert seeing == blind, f"at {now}"
        states = [state for _, state in (seeing, blind)]
        for signal in seeing[0]:
            said += 1
            if wants_execution(signal, now, whole.session) is None:
                states = [traded(state, signal.ticker, now) for state in states]
    assert said > 10
