"""The thread that listens: what queued up is dropped, each update is heard once, trouble backs off."""

import logging
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from tests.owner.room import Room
from wsb_snake.core.clock import Clock, VirtualClock
from wsb_snake.core.hub import Hub
from wsb_snake.core.lanes import Flag
from wsb_snake.notifications.chat import ChatError, ChatFatal, ChatUncertain, Delivered
from wsb_snake.owner.telegram_lane import QUIET_S, Inbound
from wsb_snake.owner.telegram_talk import Talk
from wsb_snake.owner.telegram_updates import Arrived

NOW = datetime(2026, 11, 23, 15, tzinfo=UTC)
SENT = int(NOW.timestamp()) - 3600  # by Telegram's clock

Answer = list[object] | ChatError


@dataclass
class Server(Room):
    """Gives ``answers`` one after the other, then nothing after a wait."""

    hub: Hub | None = None
    answers: deque[Answer] = field(default_factory=deque)
    asked: list[tuple[int, int]] = field(default_factory=list)
    at: int | None = None

    def updates(self, offset: int, hold_s: int) -> Delivered:
        self.asked.append((offset, hold_s))
        if self.answers:
            answer = self.answers.popleft()
            if isinstance(answer, ChatError):
                raise answer
            return Delivered(answer, self.at)
        assert self.hub is not None
        self.hub.sleep(hold_s)
        return Delivered([], self.at)


class Heard(Talk):
    """Keeps what it is handed."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self.heard: list[object] = []
        self.dropped: list[object] = []
        self.ages: list[float] = []

    @property
    def clock(self) -> Clock:
        return self._hub.clock

    def hear(self, arrived: Arrived) -> None:
        self.heard.append(arrived.update)
        self.ages.append(arrived.age_s(SENT, self.clock.monotonic()))
        if arrived.update == {"update_id": 40}:
            self._hub.sleep(40)
        if arrived.update == {"update_id": 13}:
            raise RuntimeError("a defect")

    def drop(self, queued: list[Arrived]) -> None:
        self.dropped += [arrived.update for arrived in queued]


def number(*ids: int) -> list[object]:
    return [{"update_id": each} for each in ids]


@dataclass
class Bench:
    hub: Hub
    server: Server
    talk: Heard
    errors: list[str]

    def run(self, *answers: Answer, seconds: float = 60.0) -> None:
        self.server.answers.extend(answers)
        ends = self.hub.clock.monotonic() + seconds
        self.hub.run(lambda: self.hub.clock.monotonic() >= ends)


@pytest.fixture
def bench() -> Bench:
    hub = Hub(VirtualClock(NOW), 1)
    server, talk, errors = Server(hub=hub), Heard(hub), []
    lane = Inbound(
        server,
        talk,
        Flag(hub, "stop"),
        lambda _: None,
        lambda name, e: errors.append(f"{name} {e}"),
        lambda *_: None,
    )
    hub.spawn("chat-in", lane.run)
    return Bench(hub, server, talk, errors)


def test_what_queued_up_is_dropped_page_by_page_and_confirmed(bench: Bench) -> None:
    bench.run(number(7, 8), number(9), [], number(10))
    assert (bench.talk.dropped, bench.talk.heard) == (number(7, 8, 9), number(10))
    assert bench.server.asked[:5] == [(0, 0), (9, 0), (10, 0), (10, 25), (11, 25)]


def test_an_update_is_heard_once_however_often_it_comes(bench: Bench) -> None:
    bench.run([], number(1, 2), number(1, 2), number(2, 3), [{"no": "number"}, None, 5])
    assert bench.talk.heard == number(1, 2, 3)


def test_an_age_goes_by_telegram_s_clock_and_what_waits_gets_older(bench: Bench) -> None:
    bench.server.at = SENT + 10
    bench.run([], number(40, 41), seconds=120)
    assert bench.talk.ages == [10, 50]


def test_without_telegram_s_clock_an_age_goes_by_ours(bench: Bench) -> None:
    bench.run([], number(41))
    assert bench.talk.ages == [3600]


def test_an_outage_backs_off_and_nothing_that_came_meanwhile_is_lost(bench: Bench) -> None:
    trouble = [ChatUncertain("no answer")] * 6
    bench.run([], *trouble, number(4), seconds=80)
    assert bench.talk.heard == number(4)
    assert len(bench.server.asked) < 12


def test_a_start_without_the_chat_still_drops_what_came_before_it_is_back(bench: Bench) -> None:
    lost = ChatUncertain("down")
    bench.run(ChatFatal("bad token"), lost, number(1), lost, number(2), [], number(3), seconds=120)
    assert (bench.talk.dropped, bench.talk.heard) == (number(1, 2), number(3))


def test_a_defect_is_reported_and_the_next_is_heard(bench: Bench) -> None:
    bench.run([], number(12, 13, 14), number(15), seconds=60)
    assert bench.errors == ["chat-in a defect"]
    assert bench.talk.heard == number(12, 13, 14, 15)


def test_after_a_quiet_day_numbers_may_begin_anew(bench: Bench) -> None:
    bench.run([], number(900), seconds=60)
    bench.run(seconds=QUIET_S + 60)
    bench.run(number(5))
    assert bench.talk.heard == number(900, 5)


def test_an_outage_is_logged_once(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        bench.run([], *[ChatUncertain("no answer")] * 5)
    assert [r.message for r in caplog.records] == ["the chat cannot be heard: no answer"]
