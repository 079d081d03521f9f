"""What a day taught, in sentences, and that the plan can only be more careful."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path

import pytest

from tests.learning.world import FIRST_DAY, at, consume, new_database, write_close
from tests.learning.world import Trade as Closed
from wsb_snake.db.records import PaperTradeRecord, SignalRecord, insert_paper_trade, insert_signal
from wsb_snake.learning import session_learnings
from wsb_snake.learning.daily_lessons import (
    BAR_STEP,
    DayFacts,
    Trade,
    facts_of,
    learnings_after,
    lesson_of,
    next_plan,
    write_lessons,
)
from wsb_snake.learning.paper_trades import Missed
from wsb_snake.learning.session_learnings import Lesson, SessionLearnings

DAY = date(2026, 11, 24)
NOW = datetime(2026, 11, 24, 21, 15, tzinfo=UTC)


def trade(net_r: float | None, setup: str = "breakout", dollars: str = "10.00") -> Trade:
    return Trade("spy_scalper", setup, Decimal(dollars), net_r, "target")


BUSY = DayFacts(
    DAY,
    (trade(1.3, "breakout", "39.87"), trade(-1.0, "bounce", "-30.12"), trade(-0.2, "bounce", "-6.12")),
    (("confidence … is below the bar of …", 7), ("trading is paused: data", 2)),
    (Missed("orchestrator", 1, 1, 1.25), Missed("spy_scalper", 6, 2, -2.04)),
)


def test_the_lesson_of_a_day() -> None:
    assert lesson_of(BUSY) == Lesson(
        DAY,
        "3 trades, 1 won: +$3.63 and +0.1 R after fees."
        " Best was spy_scalper breakout (+1.3 R), worst spy_scalper bounce (-1.2 R)."
        " 9 signals not traded, most often (7): confidence … is below the bar of …."
        " On paper orchestrator missed 1 trade, 1 of them won, +1.2 R in all."
        " On paper spy_scalper missed 6 trades, 2 of them won, -2.0 R in all.",
    )


def test_a_day_without_anything() -> None:
    assert lesson_of(DayFacts(DAY)).text == "No trade was closed."
    assert next_plan(DayFacts(DAY)) == SessionLearnings(("Nothing changes.",))


def test_the_plan_names_what_lost_and_what_was_held_back() -> None:
    plan = next_plan(BUSY)
    assert plan.raise_bar == 0
    assert plan.battle_plan == (
        "Watch spy_scalper bounce: -1.2 R on 2026-11-24.",
        "Held back most: confidence … is below the bar of … (7).",
        "Held back most: trading is paused: data (2).",
    )


@pytest.mark.parametrize(
    ("losses", "raised"), [((-1.0, -1.9), 0.0), ((-1.0, -1.0, -1.0), BAR_STEP), ((), 0.0)]
)
def test_a_bad_day_raises_the_bar_of_the_next(losses: tuple[float, ...], raised: float) -> None:
    plan = next_plan(DayFacts(DAY, tuple(trade(loss) for loss in losses)))
    assert plan.raise_bar == raised
    told = "5 points higher: the engines lost 3.0 R on 2026-11-24"
    assert any(told in line for line in plan.battle_plan) is (raised > 0)


@pytest.mark.parametrize(
    ("engines", "by_hand", "raised"),
    [(0, ["1.66"] * 3, 0.0), (3, [], BAR_STEP), (3, ["3.00"] * 3, BAR_STEP)],
)
def test_what_the_owner_bought_by_hand_is_told_and_moves_no_bar(
    conn: sqlite3.Connection, engines: int, by_hand: list[str], raised: float
) -> None:
    """Neither do his losses raise it, nor his gains hide what the engines lost."""
    for number in range(engines):
        write_close(conn, Closed(f"e{number}", at(0, time(10, number)), "1.66", evidence={}))
    for number, price in enumerate(by_hand):
        write_close(conn, Closed(f"h{number}", at(0, time(11, number)), price, engine="adopted", setup=""))
    consume(conn)
    day = facts_of(conn, FIRST_DAY)
    assert len(day.trades) == engines + len(by_hand)
    assert lesson_of(day).text.startswith(f"{len(day.trades)} trades, ")
    assert next_plan(day).raise_bar == raised


def test_a_better_day_takes_the_raise_away_and_lessons_stay() -> None:
    bad = learnings_after(SessionLearnings(), DayFacts(date(2026, 11, 23), (trade(-4.0),)))
    good = learnings_after(bad, DayFacts(DAY, (trade(2.0),)))
    assert (bad.raise_bar, good.raise_bar) == (BAR_STEP, 0.0)
    assert [lesson.session for lesson in good.lessons] == [date(2026, 11, 23), DAY]


def test_the_file_is_written_and_its_directory_made(tmp_path: Path) -> None:
    path = tmp_path / "fresh" / "data" / "session_learnings.json"
    assert write_lessons(path, BUSY, NOW) is None
    assert write_lessons(path, BUSY, NOW) is None  # the report again: one lesson a session
    assert session_learnings.load(path, NOW).learnings == learnings_after(SessionLearnings(), BUSY)


def test_a_corrupt_file_is_set_aside_and_told(tmp_path: Path) -> None:
    path = tmp_path / "session_learnings.json"
    path.write_text("{")
    told = write_lessons(path, BUSY, NOW)
    assert told is not None
    assert "set aside" in told
    assert session_learnings.load(path, NOW).learnings.lessons == (lesson_of(BUSY),)


@pytest.fixture
def conn() -> Iterator[sqlite3.Connection]:
    with closing(new_database()) as made:
        yield made


def signal(name: str, reason: str, when: datetime) -> SignalRecord:
    return SignalRecord(
        signal_id=name,
        at=when,
        engine="spy_scalper",
        setup="breakout",
        ticker="SPY",
        direction="long",
        confidence=65,
        price=500.0,
        verdict="watched",
        reason=reason,
    )


def test_the_facts_of_a_day_and_no_other(conn: sqlite3.Connection) -> None:
    for day in (-1, 0, 1):
        write_close(conn, Closed(f"p{day}", at(day, time(10)), "2.30", evidence={}))
        for number, bar in enumerate((70, 75)):
            insert_signal(
                conn, signal(f"s{day}{number}", f"confidence 65 is below the bar of {bar}", at(day, time(11)))
            )
        insert_signal(conn, signal(f"t{day}", "the signal is 95 s old, limit 90 s", at(day, time(23, 59))))
    insert_paper_trade(
        conn,
        PaperTradeRecord(
            paper_id="x",
            signal_id="s00",
            symbol="SPY260302C00500000",
            opened_at=at(0, time(11)),
            entry_price=Decimal(2),
            closed_at=at(0, time(12)),
            why_not="",
            engine="spy_scalper",
            net_r=0.5,
        ),
    )
    consume(conn)
    facts = facts_of(conn, FIRST_DAY)
    assert [(each.engine, each.net_pnl, each.exit_reason) for each in facts.trades] == [
        ("orchestrator", Decimal("29.87"), "time")
    ]
    assert facts.blocked == (
        ("confidence … is below the bar of …", 2),
        ("the signal is … s old, limit … s", 1),
    )
    assert facts.missed == (Missed("spy_scalper", 1, 1, 0.5),)
