"""Which way headlines point, and which of them are recent."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsb_snake.core.types import Headline
from wsb_snake.engines.headlines import recent, tone

NOW = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)


def at(minutes_ago: float, text: str = "news") -> Headline:
    return Headline(NOW - timedelta(minutes=minutes_ago), text, "wire", ("XYZ",))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("XYZ beats estimates and raises its outlook", 1),
        ("XYZ UPGRADED to buy", 1),
        ("Stocks rally after Fed cuts rates", 1),
        ("Surprise rate cut", 1),
        ("Tariffs paused for 90 days", 1),
        ("XYZ misses estimates, cuts forecast", -1),
        ("XYZ plunges on fraud probe", -1),
        ("Fed raises rates", -1),
        ("XYZ announces $2 billion share offering", -1),
        ("XYZ to present at an industry conference", 0),
        ("XYZ beats estimates but warns", 0),
        ("", 0),
        ("Swarm of beatboxers in Winnipeg", 0),  # words, not parts of words
    ],
)
def test_tone(text: str, expected: int) -> None:
    assert tone(text) == expected


@given(st.text())
def test_any_text_has_a_tone(text: str) -> None:
    assert tone(text) in (-1, 0, 1)
    assert tone(text.upper()) == tone(text.upper().lower())


def test_recent_is_after_the_window_began_and_not_later_than_now() -> None:
    items = [at(-0.1), at(0), at(29.9), at(30), at(90)]
    assert recent(items, NOW, 30) == (items[2], items[1])


def test_the_same_item_on_two_lists_counts_once() -> None:
    assert len(recent([at(1), at(1), at(1, "other")], NOW, 30)) == 2
