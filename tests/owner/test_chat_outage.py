"""The chat is a black hole for half an hour around a stop exit and the end of day."""

import re
from datetime import timedelta
from pathlib import Path

from tests.owner.room import CHAT, ME, Room
from tests.sim.bench import AAPL_CALL, SPY_CALL
from tests.trading.world import World
from wsb_snake.core.clock import eastern
from wsb_snake.notifications.chat import ChatUncertain, Delivered
from wsb_snake.owner.commands import Commands
from wsb_snake.owner.telegram import Around, talk_of
from wsb_snake.owner.telegram_lane import Inbound
from wsb_snake.owner.telegram_talk import Owner

GIVEN_UP_S = 20.0
NUMBER = re.compile(r"#(\d+)$")


class BlackHole(Room):
    """Answers in a moment; while ``hanging``, nothing comes back, and of every third text it is the
    answer only that is lost."""

    def __init__(self, w: World) -> None:
        super().__init__()
        self.w = w
        self.hanging = False
        self.tries = 0
        self.taken: list[str] = []
        self.lost: list[str] = []

    def send(self, text: str, silent: bool) -> None:
        self.tries += 1
        if self.hanging and self.tries % 3 == 0:
            self.taken.append(text)
            self.lost.append(text)
        if self.hanging:
            self.w.hub.sleep(GIVEN_UP_S)
            raise ChatUncertain("no answer within 20 s")
        self.w.hub.sleep(0.2)
        self.taken.append(text)

    def updates(self, offset: int, hold_s: int) -> Delivered:
        self.w.hub.sleep(hold_s + (GIVEN_UP_S if self.hanging else 0.1))
        if self.hanging:
            raise ChatUncertain("no answer")
        return Delivered([], None)


def test_exits_are_on_time_and_every_alert_comes_afterwards_in_order(tmp_path: Path) -> None:
    w = World(tmp_path, "15:05", wsb_snake_cutoff_flatten=False, wsb_snake_scalp_minutes=180)
    chat = w.chat = BlackHole(w)
    w.start()
    talk = talk_of(
        w.daemon,
        Commands(w.daemon, w.daemon.facts),
        chat,
        Owner(CHAT, ME),
        Around(lambda n: [], w.stopping, w._on_error),
    )
    lane = Inbound(chat, talk, w.stopping, w.daemon.heartbeats.beat, w._on_error, w.desk.alert)
    w.hub.spawn("chat-in", lane.run)
    try:
        w.by_hand(SPY_CALL, "buy", 2)
        w.by_hand(AAPL_CALL, "buy", 1)
        w.until(lambda: len(w.watched) == 2, 60)
        w.to("15:30:00")
        chat.hanging = True
        w.to("15:33:00")
        w.price("0.80", "0.84")
        fell_at = w.clock.now()
        w.until(lambda: w.held() == 0, 30)
        assert w.exits[0].created_at - fell_at < timedelta(seconds=8)
        w.until(lambda: w.desk.eod is not None and w.desk.eod.proven_at is not None, 3600)
        eod = w.desk.eod
        assert eod is not None and eod.ran_at is not None and eod.proven_at is not None
        assert f"{eastern(eod.ran_at):%H:%M:%S}" == "15:55:00"
        assert eod.proven_at - eod.ran_at < timedelta(seconds=60)
        assert w.held(AAPL_CALL) == 0
        assert not chat.said
        w.to("16:00:00")
        chat.hanging = False
        w.to("16:14:00")
        check(chat, w.rows("SELECT number, state FROM alerts ORDER BY number"))
        w.check()
    finally:
        w.crash()


def check(chat: BlackHole, rows: list[dict[str, object]]) -> None:
    """Each alert arrived, in order; only one whose answer was lost came again, and it says so."""
    assert {row["state"] for row in rows} == {"sent"}
    arrived = [(int(found[1]), text) for text in chat.taken if (found := NUMBER.search(text))]
    firsts = list(dict.fromkeys(number for number, _ in arrived))
    assert firsts == [row["number"] for row in rows]
    assert [number for number, _ in arrived] == sorted(number for number, _ in arrived)
    assert chat.lost, "no answer was lost, so nothing was shown"
    lost = {int(NUMBER.search(text)[1]) for text in chat.lost}  # type: ignore[index]
    for number in firsts:
        texts = [text for n, text in arrived if n == number]
        assert len(texts) == 1 or number in lost
        assert all(text.startswith("(repeat) ") for text in texts[1:])
    assert any("late by " in text for _, text in arrived)
