"""Text forms: nothing is lost, and the order of texts is the order of moments."""

import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsb_snake.core.events import EventKind
from wsb_snake.db.values import instant, instant_text, json_text, money, money_text

ZONES = [UTC, timezone(timedelta(hours=-5)), timezone(timedelta(hours=13))]
moments = st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.sampled_from(ZONES))


@given(moments)
def test_a_moment_survives_its_text(moment: datetime) -> None:
    text = instant_text(moment)
    assert instant(text) == moment
    assert instant(text).tzinfo is UTC


@given(moments, moments)
def test_texts_sort_as_moments_do(one: datetime, other: datetime) -> None:
    assert (instant_text(one) < instant_text(other)) == (one < other)
    assert len(instant_text(one)) == len(instant_text(other))


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        instant_text(datetime(2026, 11, 24))


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_money_survives_its_text_without_an_exponent(amount: Decimal) -> None:
    text = money_text(amount)
    assert money(text) == amount
    assert "E" not in text


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no amount"):
        money_text(Decimal(text))


def test_an_empty_column_stays_empty() -> None:
    assert instant_text(None) is instant(None) is money_text(None) is money(None) is None


def test_json_keeps_money_and_moments_as_text() -> None:
    at = datetime(2026, 11, 24, 9, 30, tzinfo=ZONES[1])
    data = {
        "price": Decimal("1.20"),
        "at": at,
        "expiry": date(2026, 11, 24),
        "kind": EventKind.FILL,
        "legs": MappingProxyType({"qty": 2}),
        "why": "Ärger",
    }
    assert json.loads(json_text(data)) == {
        "price": "1.20",
        "at": "2026-11-24T14:30:00.000000+00:00",
        "expiry": "2026-11-24",
        "kind": "fill",
        "legs": {"qty": 2},
        "why": "Ärger",
    }


@pytest.mark.parametrize("value", [{1, 2}, object(), float("nan")])
def test_json_refuses_what_has_no_form(value: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        json_text({"value": value})
