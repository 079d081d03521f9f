"""What was learnt is a function of the journal, counted once, and handed out as an immutable snapshot."""

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import FrozenInstanceError, replace
from datetime import time, timedelta

import pytest

from tests.learning.world import (
    Trade,
    at,
    consume,
    dump,
    forget,
    handle,
    new_database,
    write_close,
    write_report,
    write_trade,
)
from wsb_snake.core.events import EventKind
from wsb_snake.core.orders import PositionState
from wsb_snake.db import journal
from wsb_snake.learning import learnt
from wsb_snake.learning.learning_memory import PRIOR
from wsb_snake.learning.pattern_memory import LENGTH

WINDOW = tuple(round((-1) ** n * LENGTH**-0.5, 4) for n in range(LENGTH))


@pytest.fixture
def conn() -> Iterator[sqlite3.Connection]:
    with closing(new_database()) as made:
        yield made


def evidence(luck: random.Random) -> dict[str, object]:
    return {
        **{name: round(luck.uniform(0, 100), 1) for name in PRIOR},
        "family": luck.choice(["snap", "magnet"]),
        "window": [round(luck.gauss(0, 0.3), 4) for _ in range(LENGTH)],
        "regime": "normal",
        "regime_settling": luck.random() < 0.2,
    }


def live_through(conn: sqlite3.Connection, seed: int, days: int = 12) -> None:
    """Days of trades and reports, each event learnt when it comes; some ends are corrected later."""
    luck = random.Random(seed)
    seq = 0
    for day in range(days):
        for number in range(luck.randrange(5)):
            trade = Trade(
                name=f"p{day}-{number}",
                opened_at=at(day, time(luck.choice([10, 11, 13, 14]), luck.randrange(60))),
                exit_price=f"{luck.uniform(1.6, 2.5):.2f}",
                engine=luck.choice(["orchestrator", "spy_scalper"]),
                setup=luck.choice(["a", "b"]),
                evidence=evidence(luck) if luck.random() < 0.8 else None,
            )
            write_close(conn, trade)
            if luck.random() < 0.7:  # else the consumer lags and reads two ends of one position at once
                seq = consume(conn, seq)
            if luck.random() < 0.3:
                write_trade(conn, replace(trade, state=PositionState.OPEN))
                if luck.random() < 0.5:
                    seq = consume(conn, seq)
                again = replace(
                    trade, exit_price=f"{luck.uniform(1.6, 2.5):.2f}", minutes=luck.randrange(6, 90)
                )
                write_close(conn, again)
                seq = consume(conn, seq)
        if luck.random() < 0.8:
            write_report(conn, day)
            seq = consume(conn, seq)
    consume(conn, seq)


@pytest.mark.parametrize("seed", range(12))
def test_replaying_the_journal_gives_the_same_bytes(conn: sqlite3.Connection, seed: int) -> None:
    live_through(conn, seed)
    lived, version = dump(conn), learnt.version(conn)
    assert "vwap" not in lived
    assert lived.count("report ") > 0
    forget(conn)
    assert dump(conn) != lived
    consume(conn)
    assert (dump(conn), learnt.version(conn)) == (lived, version)
    consume(conn)  # and once more on top of it
    assert dump(conn) == lived


def test_the_learner_may_follow_the_recorder_at_a_distance(conn: sqlite3.Connection) -> None:
    """Two consumers: every outcome is there before the first lesson."""
    live_through(conn, seed=3)
    lived = dump(conn)
    for name in ("model_weights", "pattern_memory", "time_performance"):
        conn.execute(f"DELETE FROM {name}")
    for event in journal.read(conn, 0, 100_000):
        learnt.learn(conn, event)
    assert dump(conn) == lived


def test_a_position_that_is_closed_twice_counts_once(conn: sqlite3.Connection) -> None:
    trade = Trade(
        "p1", at(0, time(10, 5)), "2.40", evidence={"ignition": 90.0, "surge": 10.0, "window": WINDOW}
    )
    seq = consume(conn, write_close(conn, trade) - 1)
    first = learnt.load(conn)
    write_trade(conn, replace(trade, state=PositionState.OPEN))
    write_close(conn, replace(trade, exit_price="1.70", minutes=30))
    consume(conn, seq)
    second = learnt.load(conn)
    assert (first.everything.trades, second.everything.trades) == (1, 1)
    assert first.everything.total > 1 > -1 > second.everything.total
    assert conn.execute("SELECT COUNT(*), MIN(net_r) < -1 FROM pattern_memory").fetchone() == (1, 1)
    versions = "SELECT COUNT(DISTINCT version), MAX(trades) FROM model_weights"
    assert conn.execute(versions).fetchone() == (1, 1)
    assert second.weights["ignition"] < PRIOR["ignition"] < first.weights["ignition"]


def test_an_end_that_is_read_when_the_position_is_open_again_waits(conn: sqlite3.Connection) -> None:
    trade = Trade("p1", at(0, time(10, 5)))
    write_close(conn, trade)
    write_trade(conn, replace(trade, state=PositionState.OPEN))
    consume(conn)
    assert (learnt.load(conn).everything.trades, learnt.version(conn)) == (0, 0)


def test_without_an_outcome_the_learner_is_loud(conn: sqlite3.Connection) -> None:
    write_close(conn, Trade("p1", at(0, time(10, 5))))
    (event,) = journal.read(conn, 0)
    with pytest.raises(LookupError, match="p1"):
        learnt.learn(conn, event)


def test_an_end_before_the_last_one_waits_for_the_recorder(conn: sqlite3.Connection) -> None:
    """The recorder saw the first end while the position was open again, and has not come to the second."""
    trade = Trade("p1", at(0, time(10, 5)))
    write_close(conn, trade)
    write_close(conn, replace(trade, exit_price="1.70", minutes=30))
    first, second = journal.read(conn, 0)
    learnt.learn(conn, first)
    assert learnt.version(conn) == 0
    with pytest.raises(LookupError, match="p1"):
        learnt.learn(conn, second)


def test_an_unknown_result_teaches_nothing(conn: sqlite3.Connection) -> None:
    known = Trade("p1", at(0, time(10, 5)), evidence={"ignition": 90.0, "surge": 1.0, "window": WINDOW})
    seq = consume(conn, write_close(conn, known) - 1)
    assert learnt.load(conn).everything.trades == 1
    write_close(conn, replace(known, with_price=False))
    consume(conn, seq)
    assert learnt.load(conn).everything.trades == 0
    assert conn.execute("SELECT COUNT(*) FROM pattern_memory").fetchone() == (0,)
    assert conn.execute("SELECT COUNT(*) FROM model_weights").fetchone() == (0,)


def test_other_events_teach_nothing(conn: sqlite3.Connection) -> None:
    write_trade(conn, Trade("p1", at(0, time(10, 5))))
    for kind in set(EventKind) - {EventKind.POSITION_CLOSED, EventKind.DAILY_REPORT}:
        journal.append(conn, at(0, time(11)), kind, {"position_id": "p1"})
    consume(conn)
    assert learnt.version(conn) == 0
    assert dump(conn) == dump(new_database())


def filled(conn: sqlite3.Connection, count: int = 240) -> None:
    """``count`` trades at 10 that make 0.5 R on average, as many at 13 that lose it, with their run-ups."""
    for number in range(count):
        day, minute = divmod(number, 25)
        for hour, prices, setup in ((10, ("2.46", "1.86"), "good"), (13, ("2.14", "1.54"), "bad")):
            price = prices[number % 2]
            trade = Trade(f"{setup}{number}", at(day, time(hour, minute + 2)), price, "spy_scalper", setup)
            told: dict[str, object] = {"window": WINDOW if setup == "good" else [-value for value in WINDOW]}
            write_close(conn, replace(trade, evidence=told))
    consume(conn)


def test_boosts_of_a_signal(conn: sqlite3.Connection) -> None:
    filled(conn)
    known = learnt.load(conn)
    assert known.everything.trades == 480
    when = at(9, time(10, 12))
    boosts = known.boosts("spy_scalper", "good", None, "SPY", when, None, WINDOW)
    assert [boost.source for boost in boosts] == ["time", "pattern"]
    assert all(boost.points > 3 and boost.trades == 240 and boost.lifts for boost in boosts)
    assert boosts[0].why.endswith("from 240 trades in this hour and setup, shrunk to 56 %")
    raised, why = learnt.judged(62.0, boosts, 70.0)
    assert raised == 62.0 + boosts[0].points
    assert (
        why == f"{boosts[0].why}; {boosts[1].points:+.1f} by pattern not added: much of it is the same trades"
    )
    against = known.boosts("spy_scalper", "bad", None, "SPY", at(9, time(13, 5)), None, None)
    assert against[0].points < -3


def test_the_same_trades_in_two_cells_carry_a_signal_no_further_than_in_one(conn: sqlite3.Connection) -> None:
    filled(conn)
    known = learnt.load(conn, factor=0.5)
    boosts = known.boosts("spy_scalper", "good", None, "SPY", at(9, time(10, 12)), None, WINDOW)
    one = max(boost.points for boost in boosts)
    start = 70.0 - 1.5 * one
    assert learnt.judged(start, boosts, 70.0)[0] == pytest.approx(start + one)
    assert sum(boost.points for boost in boosts) > 1.5 * one


def test_what_the_owner_bought_by_hand_is_no_measure_of_the_engines(conn: sqlite3.Connection) -> None:
    """However it ends, and in whatever number: the engines' boosts stay as they were."""
    filled(conn)
    before = learnt.load(conn)
    for number in range(200):
        by_hand = Trade(f"hand{number}", at(number, time(12, 5)), "3.00", engine="adopted", setup="")
        write_close(conn, by_hand)
    consume(conn)
    after = learnt.load(conn)
    assert after.version > before.version
    assert (after.everything, dict(after.cells)) == (before.everything, dict(before.cells))


def test_a_signal_without_a_past_gets_nothing(conn: sqlite3.Connection) -> None:
    filled(conn, 20)
    known = learnt.load(conn)
    elsewhere = at(9, time(14, 12))
    assert known.boosts("spy_scalper", "good", None, "SPY", elsewhere, None, None) == ()
    assert known.boosts("orchestrator", "good", None, "SPY", at(9, time(10, 12)), None, WINDOW) == ()


def test_the_family_names_the_cell_where_there_is_one(conn: sqlite3.Connection) -> None:
    seq = 0
    for number in range(3):
        trade = Trade(f"p{number}", at(0, time(14, 5 + number)), setup="x", evidence={"family": "snap"})
        seq = consume(conn, write_close(conn, trade) - 1)
    assert seq > 0
    known, when = learnt.load(conn), at(5, time(14, 30))
    assert known.boosts("orchestrator", "y", "snap", "QQQ", when, None, None)[0].trades == 3
    assert known.boosts("orchestrator", "x", None, "QQQ", when, None, None) == ()


def test_a_new_regime_halves_what_is_handed_out(conn: sqlite3.Connection) -> None:
    filled(conn)
    when = at(9, time(10, 12))
    whole = learnt.load(conn).boosts("spy_scalper", "good", None, "SPY", when, None, None)[0]
    half = learnt.load(conn, factor=0.5).boosts("spy_scalper", "good", None, "SPY", when, None, None)[0]
    assert half.points == pytest.approx(whole.points / 2, abs=0.051)
    assert half.why.endswith("50 % of it in a new regime")


def test_switched_off_nothing_is_handed_out(conn: sqlite3.Connection) -> None:
    filled(conn)
    trade = Trade("p1", at(20, time(10, 5)), "2.40", evidence={"ignition": 90.0, "surge": 10.0})
    write_close(conn, trade)
    handle(conn, journal.read(conn, 0, 100_000)[-1])
    on, off = learnt.load(conn), learnt.load(conn, on=False)
    assert off.boosts("spy_scalper", "good", None, "SPY", at(9, time(10, 12)), None, WINDOW) == ()
    assert (dict(off.weights), off.version) == (dict(PRIOR), on.version)
    assert dict(on.weights) != dict(PRIOR)


def test_a_snapshot_never_changes(conn: sqlite3.Connection) -> None:
    filled(conn, 5)
    known = learnt.load(conn)
    with pytest.raises(FrozenInstanceError):
        known.version = 7  # type: ignore[misc]
    with pytest.raises(TypeError):
        known.weights["surge"] = 3.0  # type: ignore[index]
    with pytest.raises(ValueError, match="read-only"):
        known.patterns.windows["spy_scalper"][0, 0] = 9.0
    before = known.version
    write_close(conn, Trade("later", at(9, time(10, 5)) + timedelta(minutes=1)))
    handle(conn, journal.read(conn, 0, 100_000)[-1])
    assert learnt.version(conn) > before == known.version
