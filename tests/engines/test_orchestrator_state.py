"""What the orchestrator remembers survives its JSON; anything else is refused."""

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsb_snake.engines.orchestrator_state import OrchestratorState, TickerState
from wsb_snake.engines.setup_families import Family, Life, Stage
from wsb_snake.engines.state_machine import Machine, Phase
from wsb_snake.engines.types import Direction

AT = datetime(2026, 11, 24, 19, 0, tzinfo=UTC)

moments = st.none() | st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))
ways = st.none() | st.sampled_from(Direction)
counts = st.integers(0, 400)
prices = st.floats(0, 1e4)
machines = st.builds(
    Machine, st.sampled_from(Phase), moments, moments, moments, moments, ways, counts, prices, prices
)
lives = st.builds(
    Life,
    stage=st.sampled_from(Stage),
    since=moments,
    direction=ways,
    level=prices,
    best=prices,
    best_at=moments,
    held=counts,
    short=counts,
    lives=counts,
    signals=counts,
    watched=st.booleans(),
    struck=st.booleans(),
)
tickers = st.builds(
    TickerState,
    machines,
    st.dictionaries(st.sampled_from(Family), lives).map(lambda kept: tuple(sorted(kept.items()))),
)
states = st.builds(
    OrchestratorState,
    st.none() | st.dates(date(2026, 1, 1), date(2027, 1, 1)),
    st.dictionaries(st.sampled_from(("SPY", "QQQ", "SLS")), tickers).map(
        lambda kept: tuple(sorted(kept.items()))
    ),
)


@settings(max_examples=40)
@given(states)
def test_any_state_survives_its_json(state: OrchestratorState) -> None:
    assert OrchestratorState.from_json(state.to_json()) == state


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"day": null}',
        '{"day": "yesterday", "tickers": {}}',
        '{"day": null, "tickers": []}',
        '{"day": null, "tickers": {"SPY": {}}}',
        '{"day": null, "tickers": {"SPY": {"machine": {"phase": "asleep"}, "lives": {}}}}',
        '{"day": null, "tickers": {"SPY": {"machine": {"held": -1}, "lives": {}}}}',
        '{"day": null, "tickers": {"SPY": {"machine": {"since": "2026-11-24T19:00:00"}, "lives": {}}}}',
        '{"day": null, "tickers": {"SPY": {"machine": [], "lives": {"pin": {}}}}}',
    ],
)
def test_a_foreign_state_is_refused(text: str) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        OrchestratorState.from_json(text)


def test_a_quiet_day_costs_few_bytes() -> None:
    quiet = OrchestratorState(
        AT.date(), tuple((f"T{n:02}", TickerState(Machine(seen=AT))) for n in range(28))
    )
    assert len(quiet.to_json()) < 3000


def test_a_ticker_is_replaced_and_what_lived_is_told() -> None:
    born, slept = Life(lives=1), Life(stage=Stage.AWAKENING)
    both = TickerState(lives=((Family.CROWD_IGNITION, born), (Family.FALSE_BREAK_TRAP, slept)))
    state = OrchestratorState(AT.date()).with_ticker("SPY", TickerState()).with_ticker("SPY", both)
    state = state.with_ticker("IWM", TickerState())
    assert [name for name, _ in state.tickers] == ["IWM", "SPY"]
    assert state.ticker("SPY") == both
    assert state.ticker("GLD") == TickerState()
    assert list(state.lived()) == [("SPY", Family.CROWD_IGNITION, born)]
    assert list(replace(state, tickers=()).lived()) == []
