"""Telegram's server side as a black hole: connections are taken and read, and none is answered."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from wsb_snake.core.clock import Clock
from wsb_snake.sim.api import ApiReply, ApiRequest
from wsb_snake.sim.faults import ConnectionLost, Hung
from wsb_snake.sim.telegram_api import SentMessage, TelegramApi

SAID_LATE_S = 60.0
NUMBER = re.compile(r"#(\d+)$")


class BlackHole(TelegramApi):
    """While ``hanging`` no call is answered, while ``resetting`` each connection is reset.

    Of the sends that meet this, those in ``reach`` (counted from 1) get to the chat all the same: only
    their answers are lost.
    """

    def __init__(self, token: str, clock: Clock, reach: frozenset[int] = frozenset()) -> None:
        super().__init__(token, clock)
        self.hanging = self.resetting = False
        self.held = self.reset = 0  # calls of every kind
        self.sends = 0  # of them those that send a message
        self.lost: list[SentMessage] = []  # what is in the chat without an answer
        self._reach = reach

    def handle(self, request: ApiRequest) -> ApiReply:
        if not (self.hanging or self.resetting):
            return super().handle(request)
        if request.path.endswith("/sendMessage"):
            self.sends += 1
            if self.sends in self._reach:
                super().handle(request)
                self.lost.append(self.messages[-1])
        if self.hanging:
            self.held += 1
            raise Hung
        self.reset += 1
        raise ConnectionLost


def check(hole: BlackHole, alerts: Sequence[Sequence[Any]]) -> None:
    """``alerts`` are rows of the daemon's: number, at (ISO), state, ordered by number.

    Every one arrived, in order; one came again only where the answer to a send was lost, each repeat says
    that it is one, and what came late says so too.
    """
    made = {number: datetime.fromisoformat(at) for number, at, _ in alerts}
    assert {state for _, _, state in alerts} == {"sent"}
    arrived = [(int(found[1]), m) for m in hole.messages if (found := NUMBER.search(m.text))]
    numbers = [number for number, _ in arrived]
    assert list(dict.fromkeys(numbers)) == list(made)
    assert numbers == sorted(numbers)
    assert hole.lost, "no answer was lost, so nothing was shown"
    lost = [int(found[1]) for m in hole.lost if (found := NUMBER.search(m.text))]
    for number in made:
        texts = [m.text for n, m in arrived if n == number]
        assert len(texts) == 1 + lost.count(number), texts
        assert all(text.startswith("(repeat) ") for text in texts[1:]), texts
    late_s = [((message.at - made[number]).total_seconds(), message.text) for number, message in arrived]
    assert all("late by " in text for seconds, text in late_s if seconds > SAID_LATE_S + 5)
    assert not any("late by " in text for seconds, text in late_s if seconds < SAID_LATE_S - 5)
    assert max(late_s)[0] > SAID_LATE_S + 5, "nothing was late, so nothing was shown"
