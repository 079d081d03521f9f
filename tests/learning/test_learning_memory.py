"""Weights of the components: bounded steps, decay, and the prior while outcomes are few."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import time
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.learning.world import Trade, at, consume, new_database, write_close, write_report
from wsb_snake.learning import learning_memory
from wsb_snake.learning.learning_memory import (
    DECAY,
    FEW,
    HIGH,
    LOW,
    PRIOR,
    RATE,
    Weights,
    after_outcome,
    after_report,
)

IGNITED = {"ignition": 90.0, "pressure": 10.0, "surge": 0.0}


@pytest.fixture
def conn() -> Iterator[sqlite3.Connection]:
    with closing(new_database()) as made:
        yield made


def weights(**raw: float) -> Weights:
    return Weights(MappingProxyType({**PRIOR, **raw}), 1000)


def test_a_step_by_hand() -> None:
    """Ignition gave 90 % where a third is fair: 1.5 x (0.9 - 1/3) = 0.85 of the rate, by half a risk."""
    moved = after_outcome(Weights(), IGNITED, 0.5)
    assert moved.raw["ignition"] == pytest.approx(0.30 * (1 + 0.05 * 0.5 * 0.85))
    assert moved.raw["pressure"] == pytest.approx(0.35 * (1 - 0.05 * 0.5 * 0.35))
    assert moved.raw["surge"] == pytest.approx(0.35 * (1 - 0.05 * 0.5 * 0.50))
    assert moved.trades == 1
    assert moved.mean_r == pytest.approx(0.5 / 21)


def test_a_loss_moves_the_other_way() -> None:
    moved = after_outcome(Weights(), IGNITED, -1.0)
    assert moved.raw["ignition"] < PRIOR["ignition"]
    assert moved.raw["surge"] > PRIOR["surge"]


def test_a_component_that_spoke_against_the_trade_is_trusted_less_after_a_win() -> None:
    moved = after_outcome(Weights(), {"ignition": 60.0, "pressure": -60.0, "surge": 90.0}, 1.0)
    assert moved.raw["pressure"] < PRIOR["pressure"] < moved.raw["surge"]


def test_unknown_components_are_left_alone() -> None:
    moved = after_outcome(Weights(), {"ignition": 80.0, "surge": 20.0}, 1.0)
    assert moved.raw["pressure"] == PRIOR["pressure"]
    assert moved.raw["ignition"] > PRIOR["ignition"]


def test_results_count_against_the_mean_of_trades() -> None:
    """Where every trade makes as much, none says anything about a component."""
    held = Weights(trades=1000, mean_r=0.4)
    assert after_outcome(held, IGNITED, 0.4).raw == PRIOR


@given(
    st.lists(st.tuples(st.floats(-20, 20), *(st.floats(-100, 100) for _ in PRIOR)), min_size=1, max_size=80)
)
def test_steps_and_weights_are_bounded(results: list[tuple[float, float, float, float]]) -> None:
    held = Weights()
    for net_r, *scores in results:
        moved = after_outcome(held, dict(zip(PRIOR, scores, strict=True)), net_r)
        for name, before in held.raw.items():
            assert LOW <= moved.raw[name] <= HIGH
            assert abs(moved.raw[name] - before) <= RATE * before * (1 + 1e-9)
            assert LOW <= moved.used()[name] <= HIGH
        held = moved


def test_the_bounds_are_reached_and_kept() -> None:
    held = Weights()
    for _ in range(2000):
        held = after_outcome(held, IGNITED, held.mean_r + 1)
    assert (held.raw["ignition"], held.raw["surge"]) == (HIGH, LOW)


def test_a_day_takes_a_twentieth_of_the_way_to_the_prior() -> None:
    moved = after_report(weights(ignition=1.2))
    assert moved.raw["ignition"] == pytest.approx(0.30 * 4**DECAY)
    assert moved.raw["surge"] == PRIOR["surge"]
    for _ in range(200):
        moved = after_report(moved)
    assert moved.raw["ignition"] == pytest.approx(0.30, rel=1e-3)


def test_with_few_outcomes_the_prior_wins() -> None:
    raw = MappingProxyType({**PRIOR, "ignition": 1.2})
    assert Weights(raw, 0).used()["ignition"] == pytest.approx(0.30)
    assert Weights(raw, 3).used()["ignition"] == pytest.approx(0.30, rel=0.15)
    assert Weights(raw, int(FEW)).used()["ignition"] == pytest.approx(0.60)
    assert Weights(raw, 3000).used()["ignition"] == pytest.approx(1.2, rel=0.02)


def history(conn: sqlite3.Connection) -> list[tuple[object, ...]]:
    query = "SELECT version, weight, raw, trades, cause, why FROM model_weights WHERE feature = 'ignition'"
    return conn.execute(f"{query} ORDER BY version").fetchall()


def test_each_version_says_what_made_it(conn: sqlite3.Connection) -> None:
    write_report(conn, 0)  # at the prior a day changes nothing and makes no version
    write_close(conn, Trade("p1", at(1, time(10, 5)), "2.30", evidence=IGNITED))
    write_report(conn, 1)
    consume(conn)
    (first, second) = history(conn)
    r_multiple = (30 - 0.13) / 30
    raw = 0.30 * (1 + 0.05 * 0.85 * r_multiple)
    assert first[:3] == (1, pytest.approx(0.30 * (raw / 0.30) ** (1 / 31)), pytest.approx(raw))
    assert first[3:] == (1, "p1", "+1.00 R against a mean of +0.00; its score was 90")
    assert second[2] == pytest.approx(0.30 * (raw / 0.30) ** 0.95)
    assert second[3:] == (1, "report 2026-03-03", "a day nearer to the prior")
    assert learning_memory.load(conn).raw["ignition"] == second[2]


def test_a_new_regime_halves_the_step(conn: sqlite3.Connection) -> None:
    def step(settling: bool) -> float:
        with closing(new_database()) as fresh:
            told = {**IGNITED, "regime_settling": settling}
            write_close(fresh, Trade("p1", at(1, time(10, 5)), "2.30", evidence=told))
            consume(fresh)
            return learning_memory.load(fresh).raw["ignition"] - PRIOR["ignition"]

    assert step(True) == pytest.approx(step(False) / 2)


@pytest.mark.parametrize(
    "evidence",
    [None, {}, {"ignition": "strong"}, {"ignition": True}, {"ignition": 0.0, "surge": 0}, {"ignition": 80.0}],
)
def test_trades_without_scores_make_no_version(conn: sqlite3.Connection, evidence: dict[str, object]) -> None:
    write_close(conn, Trade("p1", at(1, time(10, 5)), "2.30", evidence=evidence))
    consume(conn)
    assert history(conn) == []


def test_a_late_outcome_takes_its_place_in_time(conn: sqlite3.Connection) -> None:
    """Learnt after a later one, and the rows are those of learning in order."""
    early = Trade("early", at(1, time(10, 5)), "2.30", evidence=IGNITED)
    late = Trade("late", at(1, time(10, 30)), "1.70", evidence={"ignition": 20.0, "surge": 70.0})
    with closing(new_database()) as ordered:
        write_close(ordered, early)
        write_close(ordered, late)
        consume(ordered)
        expected = history(ordered)
    write_close(conn, late)
    write_close(conn, early, at(1, time(11)))
    consume(conn)
    assert history(conn) == expected
    assert [row[4] for row in expected] == ["early", "late"]
