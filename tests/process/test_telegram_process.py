"""The owner's phone against the real daemon: a process of its own, Telegram's server side on loopback."""

import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.process.pair import Pair, ended, pair, until
from tests.process.venue import MORNING, Venue, venue
from tests.sim.bench import SPY_CALL, SPY_LATER
from wsb_snake.owner.telegram_commands import COMMANDS
from wsb_snake.sim.orders import NewOrder
from wsb_snake.sim.telegram_api import CHAT_ID, SentMessage

pytestmark = pytest.mark.timeout(300)

STRANGER = 666


@dataclass
class Phone:
    """What the owner types, sees and taps."""

    room: Venue
    daemon: Pair

    def starts(self, positions: int, **settings: str) -> subprocess.Popen[bytes]:
        """Start the daemon; it watches what is held, and hears."""
        menus = self.room.telegram.menus
        before = len(menus)
        process = self.daemon.run(**settings)
        self.daemon.monitored(positions)
        until(lambda: len(menus) > before, "it hears")
        return process

    def seen(self) -> list[SentMessage]:
        return list(self.room.telegram.messages)

    def ask(self, text: str, ready: Callable[[str], object] = bool) -> SentMessage:
        """Type ``text``; the first answer that is no alert and satisfies ``ready``."""
        before = len(self.seen())
        self.room.telegram.say(text)

        def answer() -> SentMessage | None:
            fresh = (m for m in self.seen()[before:] if " #" not in m.text[-6:])  # alerts carry a number
            return next((m for m in fresh if ready(m.text)), None)

        found: SentMessage = until(answer, f"an answer to {text}")
        return found

    def button(self, message: SentMessage, label: str) -> str:
        assert message.reply_markup is not None
        (row,) = message.reply_markup["inline_keyboard"]
        return str(next(b["callback_data"] for b in row if b["text"] == label))

    def tap(self, message: SentMessage, data: str, user_id: int = CHAT_ID) -> str:
        """Tap; what the app shows on the spot."""
        before = len(self.room.telegram.answers)
        self.room.telegram.tap(message, data, user_id)
        answers = self.room.telegram.answers
        until(lambda: len(answers) > before, "an answer to the tap")
        return answers[before][1]

    def alerted(self, piece: str) -> None:
        until(lambda: any(piece in m.text for m in self.seen()), f"an alert with {piece!r}")


@contextmanager
def phone(tmp_path: Path, start_at: str = MORNING) -> Iterator[Phone]:
    with venue(start_at) as room, pair(tmp_path) as processes:
        processes.environment.update(room.environment)
        if start_at == MORNING:
            for symbol, qty in ((SPY_CALL, 3), (SPY_LATER, 2)):
                room.exchange.place(NewOrder(symbol, "buy", qty, "market", None))
        yield Phone(room, processes)


def test_every_command_is_answered_and_strangers_are_not(tmp_path: Path) -> None:
    with phone(tmp_path) as p:
        p.starts(2, WSB_SNAKE_CONTROL_TOKEN="planted-control-token", TELEGRAM_USER_ID=str(CHAT_ID))
        p.alerted("Started:")
        arguments = {"position": "SPY", "why": "SPY", "pause": "30", "close": "SPY", "dne": SPY_CALL}
        arguments["adopt"] = SPY_LATER
        for command in COMMANDS:
            told = p.ask(f"/{command.name} {arguments.get(command.name, '')}".strip()).text
            assert told.strip() and "there is no /" not in told, command.name
            assert "planted-control-token" not in told
            if command.confirmed:
                assert "Tap within 30 s" in told
        assert "WSB_SNAKE_CONTROL_TOKEN=(set, not shown)" in p.ask("/config").text
        assert "/flatten" in p.ask("/help").text
        before = len(p.seen())
        for _ in range(3):
            p.room.telegram.say("/flatten all", user_id=STRANGER, chat_id=STRANGER)
            p.room.telegram.say("/halt", user_id=STRANGER)
        p.alerted(f"user {STRANGER} in chat {STRANGER}")
        p.ask("/version")
        assert len([m for m in p.seen()[before:] if "stranger" in m.text]) == 1
        assert all(m.chat_id == CHAT_ID for m in p.seen())
        assert p.room.held() == {SPY_CALL: 3, SPY_LATER: 2}
        assert "Traceback" not in p.daemon.log()


def test_flatten_by_two_taps_and_no_tap_counts_twice(tmp_path: Path) -> None:
    with phone(tmp_path) as p:
        p.starts(2)
        until(lambda: "bid 1.00" in p.ask("/positions").text, "its price is known")
        shown = p.ask("/flatten")
        assert f"3 × {SPY_CALL}" in shown.text and SPY_LATER not in shown.text
        assert "At the bid that is about $300.00." in shown.text
        do_it = p.button(shown, "Do it")
        p.room.telegram.tap(shown, do_it, STRANGER)
        p.alerted(f"user {STRANGER} in chat {CHAT_ID}")
        assert p.room.telegram.answers == []
        assert p.room.held() == {SPY_CALL: 3, SPY_LATER: 2}
        assert "closing 1 positions" in p.tap(shown, do_it)
        until(lambda: p.room.held() == {SPY_LATER: 2}, "what expires today is sold")
        assert "answered this already" in p.tap(shown, do_it)
        everything = p.ask("/flatten all")
        assert "Nothing was done" in p.tap(everything, p.button(everything, "Leave it"))
        assert "answered this already" in p.tap(everything, p.button(everything, "Do it"))
        assert p.room.held() == {SPY_LATER: 2}
        assert p.room.telegram.edits[-1].reply_markup is None


def test_the_report_after_the_close_comes_with_its_picture(tmp_path: Path) -> None:
    with phone(tmp_path, "2026-11-23T16:14:50-05:00") as p:
        p.daemon.run()
        p.alerted("Daily report 2026-11-23: no trade.")
        p.alerted("Mon 23 Nov 2026: 0 trades, $0.00 after fees")
        texts = [m.text for m in p.seen()]
        report = next(n for n, text in enumerate(texts) if text.startswith("Daily report"))
        picture = next(n for n, text in enumerate(texts) if text.startswith("Mon 23 Nov 2026"))
        assert report < picture
        assert "Next session: Tuesday 24 Nov, 09:30-16:00 ET, EOD at 15:55 ET." in texts[report]


def test_what_queued_up_while_the_daemon_was_down_is_dropped_and_told(tmp_path: Path) -> None:
    with phone(tmp_path) as p:
        process = p.starts(2)
        shown = p.ask("/flatten all")
        assert "paused until" in p.ask("/pause 45").text
        ended(process, signal.SIGKILL)
        p.room.telegram.say("/resume")
        p.room.telegram.say("/flatten all")
        p.room.telegram.tap(shown, p.button(shown, "Do it"))
        p.starts(2)
        p.alerted("of your messages came while the daemon was not listening and were dropped: ")
        assert any("/resume, /flatten. Look at /status" in m.text for m in p.seen())
        assert "Entries: PAUSED" in p.ask("/status").text
        assert "Nothing was done" in p.tap(shown, p.button(shown, "Do it"))
        assert p.room.held() == {SPY_CALL: 3, SPY_LATER: 2}
        assert "resumed" in p.ask("/resume").text
