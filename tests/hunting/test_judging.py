"""What becomes of a signal: traded, or not and why; and what of it is kept."""

import json
import math
import sqlite3
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.hunting.scripted import Scripted, host, signal
from tests.sim.bench import AAPL_CALL, DAY, SPY_CALL
from tests.trading.world import World, world
from wsb_snake.collectors.market_data import DataSilent, DataUnavailable
from wsb_snake.core.occ import build
from wsb_snake.core.signals import Signal
from wsb_snake.core.types import Bar, Right
from wsb_snake.db.meta import set_meta
from wsb_snake.hunting import judging
from wsb_snake.learning.facts import WINDOW
from wsb_snake.learning.time_learning import cell_of

QQQ_CALL = build("QQQ", DAY, Right.CALL, Decimal(600))


def seen(w: World, *signals: Signal, engine: Scripted | None = None) -> list[dict[str, Any]]:
    """The rows of ``signals`` after a pass of an engine that gave them."""
    engine = engine or Scripted()
    host(w, engine)
    engine.signals = list(signals)
    w.do(w.daemon.scan)
    w.run(30)
    rows = [w.rows(f"SELECT * FROM signals WHERE signal_id = '{each.signal_id}'")[0] for each in signals]
    return [{**row, "evidence": json.loads(row["evidence"])} for row in rows]


def of_four(w: World) -> list[Signal]:
    """Good signals of four names, the best first."""
    return [signal(w, 90 - n, name) for n, name in enumerate(("SPY", "QQQ", "IWM", "AAPL"))]


def test_a_traded_signal_keeps_what_was_seen_picked_and_allowed(tmp_path: Path) -> None:
    with world(tmp_path, "10:00") as w:
        (row,) = seen(w, signal(w))
        assert (row["verdict"], row["reason"]) == ("executed", "")
        evidence = row["evidence"]
        assert (evidence["base_points"], evidence["volume_ratio"]) == (60.0, 2.5)
        assert evidence["contract"] == SPY_CALL
        assert evidence["governor"] == "allowed 4 contracts at up to $1.05"
        assert w.position(row["position_id"]).signal_id == row["signal_id"]
        told = w.events("signal")[-1]
        assert (told["verdict"], told["signal_id"]) == ("executed", row["signal_id"])


def test_an_entry_is_never_durable_without_its_signal_and_the_engine_s_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world(tmp_path, "10:00") as w:
        engine = Scripted()
        host(w, engine)
        mine = signal(w)
        engine.signals = [mine]
        real = w.database.transact

        def lost(work: Any, *, urgent: bool = False) -> Any:
            mine = work.__module__ == judging.__name__
            return real((lambda conn: None) if mine else work, urgent=urgent)

        monkeypatch.setattr(w.database, "transact", lost)
        w.do(w.daemon.scan)
        w.until(lambda: w.watched)
        w.restart()
        rows = w.rows("SELECT signal_id, verdict, position_id FROM signals")
        assert rows == [
            {"signal_id": mine.signal_id, "verdict": "executed", "position_id": w.watched[0].position_id}
        ]
        assert w.rows("SELECT state FROM engine_state WHERE engine = 'spy_scalper'") == [
            {"state": "traded SPY"}
        ]


def test_a_memory_that_waits_does_not_replace_that_of_an_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world(tmp_path, "10:00") as w:
        engine = Scripted()
        host(w, engine)
        waiting: list[Any] = []
        real = w.database.transact

        def later(work: Any, *, urgent: bool = False) -> Any:
            if work.__module__ != judging.__name__:
                return real(work, urgent=urgent)
            waiting.append(work)
            return real(lambda conn: None)

        monkeypatch.setattr(w.database, "transact", later)
        w.do(w.daemon.scan)
        engine.signals = [signal(w)]
        w.run(30)
        w.do(w.daemon.scan)
        w.run(1)
        assert engine.state == "traded SPY"
        for work in waiting:
            w.do(real(work).result)
        state = w.rows("SELECT state FROM engine_state WHERE engine = 'spy_scalper'")
        assert state == [{"state": "traded SPY"}]


def test_a_signal_that_was_traded_and_speaks_again_stays_traded(tmp_path: Path) -> None:
    with world(tmp_path, "10:00") as w:
        engine = Scripted()
        mine = signal(w)
        (before,) = seen(w, mine, engine=engine)
        (after,) = seen(w, mine, engine=engine)
        assert after == before
        assert w.rows("SELECT * FROM paper_trades") == []
        assert len(w.events("signal")) == 1 and w.events("entry_refused") == []


def test_the_best_signal_of_a_pass_comes_first(tmp_path: Path) -> None:
    with world(tmp_path, "10:00") as w:
        seen(w, signal(w, 71, "SPY"), signal(w, 90, "AAPL"), signal(w, 90, "IWM"))
        assert [event["ticker"] for event in w.events("signal")] == ["AAPL", "IWM", "SPY"]


def test_what_is_below_the_bar_is_journalled_and_followed_on_paper(tmp_path: Path) -> None:
    with world(tmp_path, "10:00") as w:
        (row,) = seen(w, signal(w, 60))
        assert (row["verdict"], row["reason"]) == ("watched", "confidence 60 is too low")
        assert "governor" not in row["evidence"]
        assert w.events("signal")[-1]["reason"] == "confidence 60 is too low"
        (paper,) = w.rows("SELECT * FROM paper_trades")
        assert (paper["signal_id"], paper["symbol"]) == (row["signal_id"], SPY_CALL)
        w.price("1.50", "1.54")
        w.do(w.daemon.scan)
        w.run(1)
        assert w.rows("SELECT exit_reason FROM paper_trades") == [{"exit_reason": "target"}]
        assert w.own("buy") == []


def test_what_is_followed_on_paper_leaves_by_its_engine_s_own_rule(tmp_path: Path) -> None:
    with world(tmp_path, "10:00") as w:
        engine = Scripted()
        seen(w, signal(w, 60), engine=engine)
        assert w.rows("SELECT exit_reason FROM paper_trades") == [{"exit_reason": None}]
        engine.over = {"SPY": "back inside the area"}
        w.do(w.daemon.scan)
        w.run(1)
        assert w.rows("SELECT exit_reason FROM paper_trades") == [{"exit_reason": "engine"}]


def test_a_pause_and_the_governor_refuse_with_their_words(tmp_path: Path) -> None:
    with world(tmp_path, "10:00") as w:
        w.desk.pauses.set("manual", "the owner says so")
        (row,) = seen(w, signal(w))
        assert (row["verdict"], row["reason"]) == ("watched", "trading is paused: manual")
        w.desk.pauses.clear("manual")
        w.open(SPY_CALL)
        (row,) = seen(w, signal(w))
        assert row["reason"] == row["evidence"]["governor"] == f"{SPY_CALL} is already held"
        assert [event["reason"] for event in w.events("entry_refused")] == [row["reason"]]


def test_no_contract_and_a_dear_one_are_told_apart(tmp_path: Path) -> None:
    with world(tmp_path, "10:00") as w:
        w.price("0", "0.05", AAPL_CALL)
        w.price("9.00", "9.05", QQQ_CALL)
        nothing, dear = seen(w, signal(w, 80, "AAPL"), signal(w, 80, "QQQ"))
        assert (nothing["verdict"], dear["verdict"]) == ("watched", "too_dear")
        assert "cheapest near delta 0.45 costs $905, limit $420" in dear["reason"]
        assert nothing["reason"].startswith("no ")


def test_a_pass_stops_asking_for_chains_that_are_slow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world(tmp_path, "10:00") as w:
        engine = Scripted()
        host(w, engine)
        asked: list[str] = []

        def slow(ticker: str, *_: Any) -> tuple[()]:
            asked.append(ticker)
            w.hub.sleep(6)
            return ()

        monkeypatch.setattr(w.daemon.world.market, "chain", slow)
        rows = seen(w, *of_four(w), engine=engine)
        assert asked == ["SPY", "QQQ"]
        assert all(not row["reason"].startswith("not asked") for row in rows[:2])
        assert [row["reason"] for row in rows[2:]] == [
            "not asked for a contract: the chains before it took 12 s"
        ] * 2
        seen(w, signal(w), engine=engine)  # the next pass asks again
        assert asked == ["SPY", "QQQ", "SPY"]


def test_a_pass_stops_asking_after_the_first_chain_that_does_not_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world(tmp_path, "10:00") as w:
        engine = Scripted()
        host(w, engine)
        asked: list[str] = []

        def broken(ticker: str, *_: Any) -> None:
            asked.append(ticker)
            raise DataSilent("503")

        monkeypatch.setattr(w.daemon.world.market, "chain", broken)
        rows = seen(w, *of_four(w), signal(w, 60, "XYZ"), engine=engine)  # the last one for paper only
        assert asked == ["SPY"]
        assert [row["reason"] for row in rows] == [
            "no chain: 503",
            *["not asked for a contract: the chain of SPY did not come"] * 3,
            "confidence 60 is too low",
        ]
        seen(w, signal(w), engine=engine)  # the next pass asks again
        assert asked == ["SPY", "SPY"]


def test_a_chain_that_is_refused_for_its_name_ends_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world(tmp_path, "10:00") as w:
        engine = Scripted()
        host(w, engine)
        asked: list[str] = []

        def refused(ticker: str, *_: Any) -> None:
            asked.append(ticker)
            raise DataUnavailable("HTTP 400: invalid symbol")

        monkeypatch.setattr(w.daemon.world.market, "chain", refused)
        rows = seen(w, *of_four(w), engine=engine)
        assert len(asked) == len(set(asked)) == 4
        assert [row["reason"] for row in rows] == ["no chain: HTTP 400: invalid symbol"] * 4


@pytest.mark.parametrize(
    ("changes", "column"),
    [
        ({"evidence": (("volume_ratio", math.inf), ("base_points", 60.0))}, "volume_ratio"),
        ({"confidence": math.nan}, "confidence"),
        ({"price": math.inf}, "price"),
    ],
)
def test_a_signal_with_a_figure_that_is_no_number_is_refused_and_says_so(
    tmp_path: Path, changes: dict[str, Any], column: str
) -> None:
    with world(tmp_path, "10:00") as w:
        made = replace(signal(w, 90), **changes)
        (row,) = seen(w, made)
        assert (row["verdict"], row["reason"]) == ("watched", f"no finite number: {column}")
        assert row["evidence"][column] in {"inf", "nan"}
        assert w.events("signal")[-1]["reason"] == row["reason"]
        assert w.own("buy") == [] and w.rows("SELECT * FROM paper_trades") == []
        (after,) = seen(w, signal(w))  # and nothing is held up
        assert after["verdict"] == "executed"


def test_past_the_cut_off_nothing_is_entered_and_why_is_kept(tmp_path: Path) -> None:
    with world(tmp_path, "15:06") as w:
        (row,) = seen(w, signal(w))
        assert row["reason"] == "0DTE entries have ended for today"


def test_what_was_learnt_moves_the_confidence_and_says_so(tmp_path: Path) -> None:
    with world(tmp_path, "10:00") as w:
        engine = Scripted(bar=72)
        host(w, engine)
        now = signal(w, 70)
        good, poor = cell_of(now.engine, now.setup, now.at, w.desk.session()), "spy_scalper|other|13|lunch"

        def past(conn: sqlite3.Connection) -> None:
            for cell, trades, total, squares in ((good, 400, 200.0, 640.0), (poor, 600, -120.0, 560.0)):
                conn.execute(
                    "INSERT INTO time_performance (cell, trades, sum_r, sum_r2, at) VALUES (?, ?, ?, ?, '')",
                    (cell, trades, total, squares),
                )
            set_meta(conn, "learnt_seq", "1000")

        w.do(w.database.transact(past).result)
        (row,) = seen(w, now, engine=engine)
        learnt = row["evidence"]["learnt"]
        assert row["verdict"] == "executed", row["reason"]
        assert learnt["points"] > 2
        assert row["confidence"] == pytest.approx(70 + learnt["points"])
        assert "400 trades in this hour and setup" in learnt["words"]
        assert [each["source"] for each in learnt["boosts"]] == ["time"]
        assert learnt["version"] == 1000
        assert set(engine.weights[-1].values()) == {1.0}


def test_learning_that_is_switched_off_adds_nothing(tmp_path: Path) -> None:
    with world(tmp_path, "10:00", wsb_snake_learning=False) as w:
        cell = cell_of("spy_scalper", "made_up", w.clock.now(), w.desk.session())

        def past(conn: sqlite3.Connection) -> None:
            row = (cell, 400, 200.0, 640.0)
            conn.execute(
                "INSERT INTO time_performance (cell, trades, sum_r, sum_r2, at) VALUES (?, ?, ?, ?, '')", row
            )
            set_meta(conn, "learnt_seq", "1000")

        w.do(w.database.transact(past).result)
        (row,) = seen(w, signal(w, 60))
        assert row["confidence"] == 60
        assert "learnt" not in row["evidence"]


def test_a_battle_plan_raises_every_bar(tmp_path: Path) -> None:
    with world(tmp_path, "10:00") as w:
        w.daemon.hunt.raise_bar(5)
        low, high = seen(w, signal(w, 74), signal(w, 76, "AAPL"))
        assert low["reason"] == "confidence 74 is below the bar of 75, 5 of them of the battle plan"
        assert high["verdict"] == "executed"


def test_the_run_up_to_a_signal_is_kept_for_learning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with world(tmp_path, "10:00") as w:
        real = w.market.bars

        def rising(symbol: str, *rest: Any) -> list[Bar]:
            bars = real(symbol, *rest)
            return [
                Bar(b.symbol, b.start, 100 + n, 102 + n, 99 + n, 101 + n, 1000.0 + n * n, 100.5 + n)
                for n, b in enumerate(bars)
            ]

        monkeypatch.setattr(w.market, "bars", rising)
        (row,) = seen(w, signal(w))
        assert len(row["evidence"][WINDOW]) == 10
