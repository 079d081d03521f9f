"""What an engine remembers by ticker."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsb_snake.engines.ticker_times import as_rows, from_rows, marked, within

NOON = datetime(2026, 11, 24, 17, tzinfo=UTC)
times = st.dictionaries(
    st.text("ABC", min_size=1, max_size=3),
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),
).map(lambda drawn: tuple(sorted(drawn.items())))


@given(times)
def test_what_is_stored_comes_back(held: tuple[tuple[str, datetime], ...]) -> None:
    assert from_rows(json.loads(json.dumps(as_rows(held)))) == held


def test_a_mark_takes_the_place_of_the_one_before() -> None:
    before = (("A", NOON), ("B", NOON))
    later = NOON + timedelta(minutes=5)
    assert marked(before, ("B", "C"), later) == (("A", NOON), ("B", later), ("C", later))
    assert marked(before, (), later) == before


def test_a_cooldown_ends_on_its_second() -> None:
    held = (("A", NOON),)
    assert within(held, NOON + timedelta(seconds=59.9), 60) == held
    assert within(held, NOON + timedelta(seconds=60), 60) == ()


@pytest.mark.parametrize(
    "rows",
    [
        None,
        {"A": "x"},
        "AB",
        [["A"]],
        [["A", "x"]],
        [[1, NOON.isoformat()]],
        [["A", 5]],
        [["A", "2026-11-24T12:00:00"]],
        [["A", NOON.isoformat(), 1]],
        [None],
    ],
)
def test_anything_else_is_refused(rows: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        from_rows(rows)
