"""The phone of a drill: what arrives, and what its sender learns."""

from datetime import UTC, datetime, timedelta

import pytest

from wsb_snake.backtest.campaign.drill_chat import Delivery, DrillChat
from wsb_snake.core.clock import VirtualClock
from wsb_snake.notifications.chat import ChatUnavailable, ChatUncertain

START = datetime(2026, 11, 24, 15, tzinfo=UTC)


def phone(*, down: bool = False, swallows: bool = False) -> DrillChat:
    made = DrillChat(VirtualClock(START))
    made.down_until = START + timedelta(seconds=down)
    made.swallows = swallows
    return made


def test_a_text_arrives() -> None:
    chat = phone()
    chat.take("hello #1")
    assert chat.delivered == [Delivery(START, "hello #1", True)]


def test_nothing_arrives_while_it_is_down() -> None:
    chat = phone(down=True)
    with pytest.raises(ChatUnavailable):
        chat.take("hello #1")
    assert chat.delivered == []


def test_an_outage_may_swallow_the_answer_only() -> None:
    chat = phone(down=True, swallows=True)
    with pytest.raises(ChatUncertain):
        chat.take("hello #1")
    assert chat.delivered == [Delivery(START, "hello #1", False)]
