"""Names of positions and orders."""

import random
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trading.samples import NOON
from wsb_snake.core.orders import Purpose
from wsb_snake.trading.order_ids import LETTERS, OrderIds, engine_of, order_id, position_of


@given(
    seed=st.integers(),
    engine=st.sampled_from(sorted(LETTERS)),
    purpose=st.sampled_from(Purpose),
    attempt=st.integers(1, 10_000),
)
def test_a_name_tells_its_position_and_engine(seed: int, engine: str, purpose: Purpose, attempt: int) -> None:
    position_id = OrderIds(random.Random(seed)).position(NOON, engine)
    name = order_id(position_id, purpose, attempt)
    assert name.startswith("wsb-20261124-")
    assert len(name) <= 48  # as much as the broker takes
    assert (position_of(name), engine_of(name)) == (position_id, engine)


def test_names_differ_by_leg_attempt_and_draw() -> None:
    ids = OrderIds(random.Random(1))
    positions = {ids.position(NOON, "spy_scalper") for _ in range(1000)}
    names = {order_id(p, purpose, n) for p in positions for purpose in Purpose for n in (1, 2, 11)}
    assert (len(positions), len(names)) == (1000, 6000)


def test_the_date_is_the_exchanges_not_that_of_utc() -> None:
    late = datetime(2026, 11, 25, 2, 0, tzinfo=UTC)  # 21:00 on the 24th in New York
    assert OrderIds(random.Random(1)).position(late, "adopted").startswith("20261124-a-")


def test_every_engine_has_a_letter_of_its_own() -> None:
    assert len(set(LETTERS.values())) == len(LETTERS)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "wsb-",
        "by-hand",
        "wsb-my-own-little-order-1",  # six parts, and no name of ours
        "wsb-20261124-s-aaaaaaaaaaaa-e",
        "wsb-20261124-s-aaaaaaaaaaaa-e-0",
        "wsb-20261124-s-aaaaaaaaaaaa-q-1",
        "wsb-20261124-s-aaaaaaaaaaaa-e-1-1",
        "wsb-20261124-s-aaaaaaaaaaaa-e-1\n",
        "WSB-20261124-s-aaaaaaaaaaaa-e-1",
        "3f0a1f7e-7d3e-4a2b-9c53-0d2a1d6d7f10",
    ],
)
def test_a_foreign_name_tells_nothing(name: str) -> None:
    assert (position_of(name), engine_of(name)) == (None, None)


def test_a_letter_of_no_engine_is_ours_without_an_engine() -> None:
    assert position_of("wsb-20261124-z-aaaaaaaaaaaa-e-1") == "20261124-z-aaaaaaaaaaaa"
    assert engine_of("wsb-20261124-z-aaaaaaaaaaaa-e-1") is None
