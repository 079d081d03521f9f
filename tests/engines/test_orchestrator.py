"""Passes over whole days: a strike by hand, seeded days for everything that must hold on any day."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta

import pytest

from tests.engines.slow_market import SEEDED_DAYS, chains_of, cut_off, passes, seeded, with_chains
from tests.engines.tapes import DAY, OPEN, SESSION, bar, flat, history, line, mirrored, timed
from wsb_snake.core.calendar import Session
from wsb_snake.core.clock import from_eastern
from wsb_snake.core.types import Bar, Headline
from wsb_snake.engines import ignition, pressure, surge
from wsb_snake.engines.day_tape import BAR
from wsb_snake.engines.orchestrator import (
    ENGINE,
    OrchestratorRules,
    closed,
    scan,
    traded,
    wants_execution,
)
from wsb_snake.engines.orchestrator_state import OrchestratorState
from wsb_snake.engines.probability import MOVED, fuse
from wsb_snake.engines.setup_families import TABLE, Family, Stage
from wsb_snake.engines.state_machine import Phase
from wsb_snake.engines.types import Direction, MarketView, Signal
from wsb_snake.learning.boosts import MAX_POINTS

PASS = timedelta(minutes=10)
RULES = OrchestratorRules()


def wave(minutes: int, low: float, high: float) -> list[Bar]:
    turns = (0, 1, 2, 3, 4, 3, 2, 1)
    return [bar(low + (high - low) * turns[n % 8] / 4) for n in range(minutes)]


def expansion(at: int = 275, volume: float = 6.0) -> list[Bar]:
    """A narrow day that breaks out ``at`` minutes after the open: 14:05."""
    leave = [bar(100.05 + 0.06 * (n + 1), 100.05 + 0.06 * n, volume) for n in range(16)]
    return [*wave(150, 99.8, 100.2), *wave(at - 150, 99.98, 100.02), *leave]


def view(
    bars: Mapping[str, Sequence[Bar]],
    now: datetime,
    daily: Sequence[Bar] | None = None,
    headlines: Sequence[datetime] = (),
) -> MarketView:
    past = history() if daily is None else daily
    news = {ticker: [Headline(at, "news", "wire", (ticker,)) for at in headlines] for ticker in bars}
    return MarketView(now, SESSION, "sip", bars, dict.fromkeys(bars, past), news=news)


def day(
    bars: Mapping[str, Sequence[Bar]],
    every: timedelta = PASS,
    weights: Mapping[str, float] | None = None,
    rules: OrchestratorRules = RULES,
    daily: Sequence[Bar] | None = None,
    headlines: Sequence[datetime] = (),
) -> tuple[list[Signal], OrchestratorState]:
    """All passes until the bars end."""
    last = max(each[-1].start + BAR for each in bars.values())
    signals: list[Signal] = []
    state = OrchestratorState()
    now = OPEN + every + timedelta(seconds=2)
    while now < last + timedelta(minutes=1):
        found, state = scan(view(bars, now, daily, headlines), state, rules, weights or {})
        signals += found
        now += every
    return signals, state


def test_a_late_expansion_is_watched_and_then_struck() -> None:
    signals, state = day({"SPY": timed(expansion())})
    assert [signal.at for signal in signals] == [
        from_eastern(DAY, time(14, 10)),
        from_eastern(DAY, time(14, 20)),
    ]
    watch, strike = signals
    assert watch.setup == strike.setup == Family.AFTERNOON_RANGE_EXPANSION
    assert strike.signal_id == f"{DAY}-{ENGINE}-SPY-afternoon_range_expansion-1420"
    assert strike.direction is Direction.LONG
    assert wants_execution(watch, watch.at, SESSION) == "SPY is in RATTLE, not in STRIKE"
    assert wants_execution(strike, strike.at, SESSION) is None
    assert state.ticker("SPY").machine.phase is Phase.STRIKE
    evidence = dict(strike.evidence)
    assert [evidence[need] for need in ("morning_compressed", "expanding", "volume")] == [1, 1, 1]
    assert evidence["minutes_aligned"] >= RULES.machine.persist_minutes
    for component in ("ignition", "pressure", "surge"):
        assert any(name.startswith(f"{component}.") for name in evidence)
    assert {"ignition_points", "pressure_points", "surge_points", "agreement_points"} <= set(evidence)
    assert {"win_probability", "regime_z", "chop_index", "level"} <= set(evidence)
    assert strike.confidence == max(evidence["score_at_strike"], evidence["score_now"])
    assert evidence["score_at_strike"] >= RULES.machine.strike_score
    assert dict(watch.evidence)["score_now"] == watch.confidence
    assert dict(watch.evidence)["score_at_strike"] == 0


def test_upside_down_it_is_a_fall() -> None:
    signals, _ = day({"SPY": timed(mirrored(expansion()))})
    assert [signal.direction for signal in signals] == [Direction.SHORT, Direction.SHORT]
    assert wants_execution(signals[-1], signals[-1].at, SESSION) is None


def test_without_volume_only_what_needs_none_comes_alive() -> None:
    _, state = day({"SPY": timed(expansion(volume=1.0))})
    assert {family for _, family, _ in state.lived()} == {Family.VOLATILITY_REGIME_SHIFT}


def test_before_the_family_s_hours_nothing_is_said() -> None:
    signals, state = day({"SPY": timed(expansion(at=175))})  # 12:25
    assert signals == []
    assert list(state.lived()) == []


def test_past_the_cutoff_a_family_only_alerts() -> None:
    bars = timed(expansion(at=315))  # 14:45
    signals, _ = day({"IWM": bars, "SPY": bars})
    late = [signal for signal in signals if signal.at == from_eastern(DAY, time(15, 0))]
    assert [signal.ticker for signal in late] == ["IWM", "SPY"]
    assert wants_execution(late[0], late[0].at, SESSION) == "0DTE entries in IWM ended at 14:50 ET"
    assert wants_execution(late[1], late[1].at, SESSION) is None
    assert (
        wants_execution(late[1], from_eastern(DAY, time(15, 5)), SESSION)
        == "0DTE entries in SPY ended at 15:05 ET"
    )


def test_learnt_weights_move_the_confidence() -> None:
    bars = {"SPY": timed(expansion())}
    usual, _ = day(bars)
    surging, _ = day(bars, weights={"surge": 3.0})
    assert surging[0].confidence != usual[0].confidence


def test_learnt_weights_move_the_confidence_by_ten_points_at_most() -> None:
    bars = {"SPY": timed(expansion())}
    usual, _ = day(bars)
    surging, _ = day(bars, weights={"surge": 3.0, "ignition": 0.1, "pressure": 0.1})
    assert [signal.signal_id for signal in surging] == [signal.signal_id for signal in usual]
    assert surging[-1].confidence == pytest.approx(usual[-1].confidence + 10)


STRUCK_EARLIER = ({"ignition": 3.0, "pressure": 0.1, "surge": 1.0}, {"ignition": 3.0, "surge": 3.0})
"""Learnt weights with which a day strikes on their account and says so only later, when they mean less."""


def by_prior(bars: Mapping[str, Sequence[Bar]], at: datetime, direction: Direction) -> float:
    """The score of SPY towards ``direction`` at that moment, if nothing had been learnt."""
    seen = view(bars, at)
    return fuse(*(part.score(seen, "SPY") for part in (ignition, pressure, surge))).towards(direction)


@pytest.mark.parametrize("upside_down", [False, True])
@pytest.mark.parametrize("weights", STRUCK_EARLIER)
def test_the_points_of_learnt_weights_are_those_of_the_confidence(
    weights: Mapping[str, float], upside_down: bool
) -> None:
    """Whether the confidence is that of the strike or of this moment, with and without a restart between."""
    made = [*expansion(), *line(101.05, 100.9, 12, volume=2)]
    bars = {"SPY": timed(mirrored(made) if upside_down else made)}
    earlier = 0
    for offset in range(10):
        state = OrchestratorState()
        for minute in range(270 + offset, 303, 10):
            seen = view(bars, OPEN + minute * BAR)
            signals, state = scan(seen, OrchestratorState.from_json(state.to_json()), RULES, weights)
            for signal in signals:
                evidence, struck = dict(signal.evidence), state.ticker("SPY").machine.since
                moved = evidence.get(MOVED, 0.0) * (-1 if upside_down else 1)
                moments = (
                    [signal.at] if evidence["score_at_strike"] == 0 or struck is None else [signal.at, struck]
                )
                prior = max(by_prior(bars, at, signal.direction) for at in moments)
                assert signal.confidence - moved == pytest.approx(prior)
                assert abs(moved) <= MAX_POINTS + 1e-9
                earlier += evidence["score_at_strike"] > evidence["score_now"]
    assert earlier > 0


def test_a_trade_holds_the_ticker_until_it_is_closed() -> None:
    bars = {"SPY": timed(expansion())}
    signals, state = day(bars)
    at = signals[-1].at
    state = traded(state, "SPY", at)
    assert state.ticker("SPY").machine.phase is Phase.CONSTRICT
    more = {"SPY": timed([*expansion(), *line(101.05, 102, 30, volume=6)])}
    later, held = scan(view(more, at + PASS), state)
    assert held.ticker("SPY").machine.phase is Phase.CONSTRICT
    assert all(wants_execution(signal, signal.at, SESSION) for signal in later)
    over = closed(held, "SPY", at + PASS)
    assert over.ticker("SPY").machine.phase is Phase.VENOM


def test_the_score_of_an_old_strike_is_forgotten() -> None:
    """A family that says something a while after the strike has only the score of that moment."""
    bars = timed([*expansion(), *line(101.05, 102, 30, volume=6)])
    said = {}
    for minutes in (291, 299):
        _, state = day({"SPY": bars[:minutes]})
        held = state.ticker("SPY")
        assert held.machine.phase is Phase.STRIKE
        machine = replace(held.machine, score=99.0)
        fresh = tuple((family, replace(life, struck=False, watched=False)) for family, life in held.lives)
        state = state.with_ticker("SPY", replace(held, machine=machine, lives=fresh))
        signals, _ = scan(view({"SPY": bars}, OPEN + (minutes + 1) * BAR), state)
        said[minutes] = [signal.confidence for signal in signals]
    assert said[291] == [99.0]
    assert len(said[299]) == 1
    assert said[299][0] < 99


def test_reasons_against_execution_are_one_clear_line() -> None:
    _, strike = day({"SPY": timed(expansion())})[0]
    weak = replace(strike, confidence=59.94)
    assert wants_execution(weak, weak.at, SESSION) == "tier B (confidence 59.9) is below A"
    late = strike.at + timedelta(seconds=RULES.max_signal_age_s)
    assert wants_execution(strike, late, SESSION) is None
    assert (
        wants_execution(strike, late + timedelta(seconds=1), SESSION)
        == "the signal is 241 s old, limit 240 s"
    )
    assert wants_execution(strike, OPEN - BAR, SESSION) == "the session has not begun"


def test_another_day_begins_with_nothing() -> None:
    _, state = day({"SPY": timed(expansion())})
    tomorrow = DAY + timedelta(days=1)
    session = Session(tomorrow, OPEN + timedelta(days=1), SESSION.close + timedelta(days=1))
    found, fresh = scan(MarketView(session.open + BAR, session, "sip", {}), state)
    assert (found, fresh) == ((), OrchestratorState(tomorrow))


def test_outside_of_the_session_nothing_is_said_and_nothing_forgotten() -> None:
    bars = {"SPY": timed(expansion())}
    _, state = day(bars)
    for moment in (OPEN - BAR, SESSION.close):
        assert scan(view(bars, moment), state) == ((), state)


def test_stale_bars_are_left_for_later() -> None:
    bars = {"SPY": timed(flat(20))}
    end = bars["SPY"][-1].start + BAR
    edge = timedelta(seconds=RULES.max_bar_age_s)
    assert scan(view(bars, end + edge), OrchestratorState())[1].tickers != ()
    assert scan(view(bars, end + edge + timedelta(seconds=1)), OrchestratorState())[1].tickers == ()


def test_a_pass_that_was_missed_is_not_made_up_beyond_a_quarter_of_an_hour() -> None:
    bars = {"SPY": timed(expansion())}
    first, state = scan(view(bars, OPEN + 60 * BAR), OrchestratorState())
    assert first == ()
    signals, after = scan(view(bars, OPEN + 291 * BAR), state)
    assert after.ticker("SPY").machine.seen == OPEN + 291 * BAR
    assert [signal.setup for signal in signals] != []


# seeded days

NAMES = ("SLS", "SPY", "TSLA")  # a name whose minutes are full of holes, the yardstick, and a single name
SEED = 1


@pytest.fixture(scope="module")
def seeded_days() -> dict[date, MarketView]:
    """Three days with daily bars, minutes and news of what came later left in."""
    return seeded(SEED, NAMES, history=1)


@pytest.mark.parametrize("seeded_day", SEEDED_DAYS)
def test_no_signal_depends_on_the_future(seeded_days: Mapping[date, MarketView], seeded_day: date) -> None:
    """At every minute of the day: with all that came later in hand, chains too, or only what was known."""
    whole = seeded_days[seeded_day]
    captured = chains_of(whole, SEED)
    loud = OrchestratorRules(alert=0)  # so that every family that lives says something
    states = [OrchestratorState(), OrchestratorState()]
    said: list[Signal] = []
    for now in passes(whole):
        future = with_chains(whole, captured, now)
        seeing, blind = scan(future, states[0], loud), scan(cut_off(future, now), states[1], loud)
        assert seeing == blind, f"at {now}"
        states = [seeing[1], blind[1]]
        said += seeing[0]
    assert any(dict(signal.evidence).get("pressure.chain_known") for signal in said)


def test_a_day_with_restarts_is_the_same_day(seeded_days: Mapping[date, MarketView]) -> None:
    whole = seeded_days[SEEDED_DAYS[0]]
    through, fresh = OrchestratorState(), OrchestratorState()
    now = whole.session.open + PASS
    while now < whole.session.close:
        one, through = scan(replace(whole, now=now), through)
        two, fresh = scan(replace(whole, now=now), OrchestratorState.from_json(fresh.to_json()))
        assert (one, through) == (two, fresh)
        now += PASS
    assert through.tickers != ()


def test_the_order_of_the_view_does_not_matter() -> None:
    bars = timed(expansion())
    one = day({"SPY": bars, "QQQ": bars, "IWM": bars})
    assert one == day({"IWM": bars, "QQQ": bars, "SPY": bars})
    assert [signal.ticker for signal in one[0][:3]] == ["IWM", "QQQ", "SPY"]


def test_passes_every_minute_and_every_ten_lead_the_same_lives() -> None:
    """Minute by minute is how the state goes; only what is said depends on the passes."""
    bars = {"SPY": timed(expansion())[:290]}
    _, ten = day(bars)
    _, one = day(bars, every=BAR)
    assert ten.ticker("SPY").machine == one.ticker("SPY").machine
    stages = [{family: life.stage for family, life in state.ticker("SPY").lives} for state in (ten, one)]
    assert stages[0] == stages[1]
    assert Stage.ALIVE in stages[0].values()


def test_a_family_says_at_most_three_things_a_day_of_a_ticker() -> None:
    ups = [*expansion(), *line(101.05, 101.02, 14), *line(101.02, 102.6, 50, volume=6)]
    signals, state = day({"SPY": timed(ups)}, every=3 * BAR)
    for row in TABLE:
        said = sum(signal.setup == row.family for signal in signals)
        assert said <= RULES.life.signals_a_day
    assert sum(life.signals for _, _, life in state.lived()) == len(signals) > 0
