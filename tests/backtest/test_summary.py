"""The sum of a driven day: trades, win rate and P&L by engine, with fees."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from wsb_snake.backtest.summary import DayResult, Trade, by_engine, table


def trade(engine: str, gross: str, fees: str) -> Trade:
    return Trade(
        symbol="SPY261124C00670000",
        engine=engine,
        setup="made_up",
        qty=2,
        opened_et="10:00:00",
        closed_et="10:05:00",
        entry=Decimal("1.00"),
        exit=Decimal("1.20"),
        gross=Decimal(gross),
        fees=Decimal(fees),
        net=Decimal(gross) - Decimal(fees),
        r_multiple=1.0,
        reason="target",
    )


TRADES = (
    trade("spy_scalper", "40", "2.60"),
    trade("spy_scalper", "-30", "2.60"),
    trade("orchestrator", "2", "2.60"),
)


def day(trades: tuple[Trade, ...] = TRADES) -> DayResult:
    return DayResult(
        day=date(2026, 11, 24),
        trades=trades,
        closed_positions=len(trades),
        orders=(),
        alerts=0,
        eod_run_et="2026-11-24T15:55:00",
        eod_flat_proven=True,
        open_0dte=0,
        synthetic_bars=False,
        engines=by_engine(trades, {"spy_scalper": 2, "orchestrator": 1, "leaps_engine": 1}),
        standing=("SLV280121C00060000",),
        too_dear=("QQQ", "SPY"),
    )


def test_each_engine_has_its_trades_wins_and_fees() -> None:
    rows = {each.engine: each for each in day().engines}
    assert sorted(rows) == ["leaps_engine", "orchestrator", "spy_scalper"]
    scalper = rows["spy_scalper"]
    assert (scalper.entered, scalper.trades, scalper.wins) == (2, 2, 1)
    assert (scalper.gross, scalper.fees, scalper.net) == (Decimal(10), Decimal("5.20"), Decimal("4.80"))
    assert rows["orchestrator"].wins == 0  # fees took what it made
    assert (rows["leaps_engine"].entered, rows["leaps_engine"].trades) == (1, 0)


def test_the_engines_add_up_to_the_day() -> None:
    summary = day().as_json(7, 1.0)
    engines = summary["engines"]
    assert isinstance(engines, dict)
    assert sum(Decimal(each["pnl"]) for each in engines.values()) == Decimal(str(summary["pnl"]))
    assert sum(each["trades"] for each in engines.values()) == summary["trades"]


def test_the_table_shows_engines_what_stands_and_what_was_too_dear() -> None:
    text = table(day())
    (scalper,) = [line for line in text.splitlines() if line.startswith("spy_scalper")]
    assert scalper.split() == ["spy_scalper", "2", "2", "50%", "+10.00", "5.20", "+4.80"]
    assert "Held overnight: SLV280121C00060000" in text
    assert "Too dear for a trade: QQQ, SPY" in text


@pytest.mark.parametrize(
    ("recorded", "said"), [(True, "which flatters what trades on bars"), (False, "plays scenes")]
)
def test_a_day_says_last_what_it_does_not_prove(recorded: bool, said: str) -> None:
    result = replace(day(), synthetic_bars=recorded)
    for told in (table(result).splitlines()[-1], str(result.as_json(7, 1.0)["note"])):
        assert said in told and told.endswith(" no edge.")


def test_a_day_without_trades_has_a_table_too() -> None:
    assert "0 trades, net $0.00" in table(day(()))
