import logging
import random
import sqlite3
from collections import deque
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.notifications import bot_api
from tests.notifications.bot_api import CHAT, TOKEN, BotApi
from wsb_snake.core.clock import SystemClock, VirtualClock
from wsb_snake.core.events import EventKind
from wsb_snake.core.lanes import ThreadLanes
from wsb_snake.db import journal, writer
from wsb_snake.db.database import Database
from wsb_snake.db.errors import DatabaseUnavailable
from wsb_snake.notifications import outbox as module
from wsb_snake.notifications.chat import (
    ChatError,
    ChatFatal,
    ChatRefused,
    ChatRetryAfter,
    ChatUnavailable,
    ChatUncertain,
    ChatUnclear,
)
from wsb_snake.notifications.outbox import Outbox, OutboxState, enqueue, enqueue_at, split_text
from wsb_snake.notifications.telegram_bot import TelegramChat

START = datetime(2026, 11, 23, 16, 0, tzinfo=UTC)


class Killed(BaseException):
    """The process ends at this very instruction."""


class ScriptedChat:
    """Delivers, except where ``plan`` says otherwise; ``after`` errors come once the text is taken."""

    def __init__(self) -> None:
        self.plan: deque[BaseException | None] = deque()
        self.after: deque[BaseException | None] = deque()
        self.taken: list[str] = []
        self.silent: list[bool] = []

    def send(self, text: str, silent: bool) -> None:
        before = self.plan.popleft() if self.plan else None
        if before is not None:
            raise before
        self.taken.append(text)
        self.silent.append(silent)
        after = self.after.popleft() if self.after else None
        if after is not None:
            raise after


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(START)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    db = Database(tmp_path / "wsb_snake.db", ThreadLanes(SystemClock()))
    db.open()
    yield db
    db.close()


@pytest.fixture
def chat() -> ScriptedChat:
    return ScriptedChat()


@pytest.fixture
def outbox(database: Database, chat: ScriptedChat, clock: VirtualClock) -> Outbox:
    return Outbox(database, chat, clock)


def happen(database: Database, *whats: str, at: datetime = START) -> None:
    """One error event for each text, each of which gives one alert."""

    def write(conn: sqlite3.Connection) -> None:
        for what in whats:
            journal.append(conn, at, EventKind.ERROR, {"what": what, "detail": "d"})

    database.transact(write).result(10)
    consume(database)


def consume(database: Database) -> int:
    return journal.Consumer(database, "alerts", enqueue).catch_up()


def states(database: Database) -> list[str]:
    with database.get_connection() as conn:
        return [row["state"] for row in conn.execute("SELECT state FROM alerts ORDER BY number")]


def drain(outbox: Outbox, clock: VirtualClock, most: int = 2000) -> float:
    """Step as the daemon's lane does until nothing waits; the virtual seconds that it took."""
    began = clock.monotonic()
    for _ in range(most):
        wait = outbox.step()
        if wait is None:
            return clock.monotonic() - began
        clock.advance_to(clock.monotonic() + wait)
    raise AssertionError("the outbox never becomes empty")


def test_each_event_is_written_once_and_a_replay_leaves_no_gap(
    database: Database, outbox: Outbox, chat: ScriptedChat, clock: VirtualClock
) -> None:
    happen(database, "a", "b")
    database.transact(lambda conn: conn.execute("DELETE FROM offsets").rowcount).result(10)
    assert consume(database) == 2
    happen(database, "c")
    drain(outbox, clock)
    assert [text.rpartition(" ")[2] for text in chat.taken] == ["#1", "#2", "#3"]
    assert [text.split()[1] for text in chat.taken] == ["a:", "b:", "c:"]
    assert chat.taken[0] == "Error: a: d (11:00:00 ET) #1"
    assert states(database) == ["sent"] * 3
    assert outbox.pending() == 0


def test_the_owner_s_levels_win_and_what_is_off_uses_up_no_number(
    database: Database, outbox: Outbox, chat: ScriptedChat, clock: VirtualClock
) -> None:
    def write(conn: sqlite3.Connection) -> None:
        for kind in (EventKind.RESUMED, EventKind.ERROR, EventKind.RESUMED, EventKind.PAUSED):
            journal.append(conn, START, kind, {"what": "w", "detail": "d", "reason": "data"})

    database.transact(write).result(10)
    levels = enqueue_at({"resumed": "off", "error": "silent", "paused": "loud"})
    journal.Consumer(database, "alerts", levels).catch_up()
    drain(outbox, clock)
    assert [text.rpartition(" ")[2] for text in chat.taken] == ["#1", "#2"]
    assert chat.taken[0].startswith("Error: w") and chat.taken[1].startswith("Trading paused")
    assert chat.silent == [True, False]


def test_silence_follows_the_level(
    database: Database, outbox: Outbox, chat: ScriptedChat, clock: VirtualClock
) -> None:
    happen(database, "loud")
    data = {"symbol": "SPY261123C00600000", "side": "buy", "qty": 1, "price": "1.25"}
    data |= {"cumulative_qty": 1, "order_qty": 1}
    database.transact(lambda conn: journal.append(conn, START, EventKind.FILL, data)).result(10)
    consume(database)
    drain(outbox, clock)
    assert chat.silent == [False, True]


def test_the_pace_is_one_a_second_and_twenty_a_minute(
    database: Database, outbox: Outbox, chat: ScriptedChat, clock: VirtualClock
) -> None:
    happen(database, *(f"e{number}" for number in range(45)))
    assert outbox.step() == 1.0
    assert outbox.step() == 1.0  # asked too early: nothing goes out
    assert len(chat.taken) == 1
    assert outbox.pending() == 44
    assert drain(outbox, clock) == 124.0  # 20 in 19 s, 20 more from the 60th, five from the 120th on
    assert len(chat.taken) == 45


def test_in_a_hurry_there_is_no_pace(
    database: Database, outbox: Outbox, chat: ScriptedChat, clock: VirtualClock
) -> None:
    happen(database, *(f"e{number}" for number in range(45)))
    outbox.hurry()
    assert drain(outbox, clock) == 0.0
    assert len(chat.taken) == 45


def test_unavailable_backs_off_and_nothing_is_marked(
    database: Database, outbox: Outbox, chat: ScriptedChat, clock: VirtualClock
) -> None:
    happen(database, "a", "b")
    chat.plan.extend([ChatUnavailable("down")] * 8)
    waits = []
    for _ in range(8):
        wait = outbox.step()
        assert wait is not None
        waits.append(wait)
        clock.advance_to(clock.monotonic() + wait)
        assert outbox.chat_up() is False
        assert outbox.trouble() == "down"
        assert states(database)[0] == "pending"
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]
    drain(outbox, clock)
    assert chat.taken == [
        "late by 3 min: Error: a: d (11:00:00 ET) #1",
        "late by 3 min: Error: b: d (11:00:00 ET) #2",
    ]
    assert outbox.chat_up() is True
    assert outbox.trouble() == ""


def test_the_back_off_starts_anew_after_a_success(
    database: Database, outbox: Outbox, chat: ScriptedChat, clock: VirtualClock
) -> None:
    happen(database, "a", "b")
    down = ChatUnavailable("down")
    chat.plan.extend([down, down, None, down])
    assert drain(outbox, clock) == 1 + 2 + 1 + 1


def test_late_begins_after_a_minute(
    database: Database, outbox: Outbox, chat: ScriptedChat, clock: VirtualClock
) -> None:
    happen(database, "on time", at=START - timedelta(seconds=60))
    happen(database, "late", at=START - timedelta(seconds=121))
    drain(outbox, clock)
    assert chat.taken[0].startswith("Error: on time")
    assert chat.taken[1].startswith("late by 2 min: Error: late")


def test_a_lost_answer_is_repeated_and_says_so(
    database: Database, outbox: Outbox, chat: ScriptedChat, clock: VirtualClock
) -> None:
    happen(database, "a", "b")
    chat.after.extend([ChatUncertain("no answer"), ChatUncertain("no answer")])
    drain(outbox, clock)
    assert chat.taken == [
        "Error: a: d (11:00:00 ET) #1",
        "(repeat) Error: a: d (11:00:00 ET) #1",
        "(repeat) Error: a: d (11:00:00 ET) #1",
        "Error: b: d (11:00:00 ET) #2",
    ]


def test_throttling_waits_as_told_and_is_no_outage(
    database: Database, outbox: Outbox, chat: ScriptedChat, clock: VirtualClock
) -> None:
    happen(database, "a")
    chat.plan.append(ChatRetryAfter(37))
    assert outbox.step() == 37.0
    assert outbox.chat_up() is True
    assert states(database) == ["pending"]
    drain(outbox, clock)
    assert chat.taken == ["Error: a: d (11:00:00 ET) #1"]


def test_a_refused_text_is_left_and_the_next_goes_out(
    database: Database,
    outbox: Outbox,
    chat: ScriptedChat,
    clock: VirtualClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    happen(database, "a", "b")
    chat.plan.append(ChatRefused("empty"))
    drain(outbox, clock)
    assert states(database) == ["failed", "sent"]
    assert [text[-2:] for text in chat.taken] == ["#2"]
    assert "alert 1 failed: empty" in caplog.text


def test_a_wrong_token_is_reported_once_and_tried_again_after_minutes(
    database: Database,
    outbox: Outbox,
    chat: ScriptedChat,
    clock: VirtualClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    happen(database, "a", "b")
    chat.plan.append(ChatFatal("check TELEGRAM_BOT_TOKEN"))
    chat.plan.append(ChatFatal("check TELEGRAM_BOT_TOKEN"))
    assert outbox.step() == module.FATAL_AGAIN_S
    happen(database, "c")
    clock.advance_to(module.FATAL_AGAIN_S)
    assert outbox.step() == module.FATAL_AGAIN_S
    assert outbox.step() == module.FATAL_AGAIN_S  # asked too early: nothing is tried
    assert not chat.plan
    assert (outbox.state(), outbox.trouble()) == (OutboxState.DOWN, "check TELEGRAM_BOT_TOKEN")
    assert outbox.chat_up() is False
    assert outbox.pending() == 3
    assert chat.taken == []
    assert [record.levelno for record in caplog.records if "check TELEGRAM" in record.message] == [
        logging.ERROR
    ]
    drain(outbox, clock)
    assert [text[-2:] for text in chat.taken] == ["#1", "#2", "#3"]
    assert not any("repeat" in text for text in chat.taken)
    assert (outbox.state(), outbox.trouble()) == (OutboxState.UP, "")


WHICH = ChatUnclear("something that nobody has seen yet")


def test_a_refusal_that_may_be_the_chat_s_costs_the_text_once_another_text_goes(
    database: Database,
    outbox: Outbox,
    chat: ScriptedChat,
    clock: VirtualClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    happen(database, "a", "b", "c")
    chat.plan.extend([WHICH, WHICH, WHICH, None, WHICH, WHICH, WHICH, None])  # two such texts in a row
    assert drain(outbox, clock) >= 4 * module.FATAL_AGAIN_S
    assert states(database) == ["failed", "failed", "sent"]
    told = "Alert {} could not be sent: the chat refuses its text and takes this one."
    assert chat.taken[:2] == [told.format(1), told.format(2)]
    assert [text[-2:] for text in chat.taken[2:]] == ["#3"]
    assert "alert 1 failed: the chat refuses its text: something that nobody" in caplog.text
    assert (outbox.state(), outbox.trouble()) == (OutboxState.UP, "")


@pytest.mark.parametrize(
    ("trouble", "after_s"),
    [
        (None, 0.0),
        (ChatRetryAfter(7), 7.0),
        (ChatUnavailable("x"), module.BACK_OFF_S[0]),
        (ChatUncertain("x"), module.BACK_OFF_S[0]),
    ],
)
def test_the_text_of_our_own_keeps_the_pace_and_counts_only_once_it_is_judged(
    database: Database,
    outbox: Outbox,
    chat: ScriptedChat,
    clock: VirtualClock,
    trouble: ChatError | None,
    after_s: float,
) -> None:
    happen(database, "a", "b")
    chat.plan.extend([WHICH] * 3)
    for _ in range(2):
        assert outbox.step() == module.FATAL_AGAIN_S
        clock.advance_to(clock.monotonic() + module.FATAL_AGAIN_S)
    assert outbox.step() == module.GAP_S
    assert (chat.taken, states(database)) == ([], ["pending", "pending"])
    clock.advance_to(clock.monotonic() + module.GAP_S)
    if trouble is not None:
        chat.plan.append(trouble)
        assert outbox.step() == after_s
        assert (chat.taken, states(database)) == ([], ["pending", "pending"])
        clock.advance_to(clock.monotonic() + after_s)
    assert outbox.step() == module.GAP_S
    assert states(database) == ["failed", "pending"]
    assert [text[:8] for text in chat.taken] == ["Alert 1 "]
    assert drain(outbox, clock) >= module.GAP_S
    assert states(database) == ["failed", "sent"]


@pytest.mark.parametrize("between", [ChatUnavailable("x"), ChatFatal("x")])
def test_a_chat_that_refuses_every_text_loses_none(
    database: Database, outbox: Outbox, chat: ScriptedChat, clock: VirtualClock, between: ChatError
) -> None:
    happen(database, "a", "b")
    chat.plan.extend([WHICH, WHICH, between, WHICH, WHICH])  # not three in a row
    chat.plan.extend([WHICH] * 2)  # the third, and the text of our own
    chat.plan.extend([WHICH] * 2)  # counted anew
    drain(outbox, clock)
    assert not chat.plan
    assert states(database) == ["sent", "sent"]
    assert [text[-2:] for text in chat.taken] == ["#1", "#2"]


def test_without_a_chat_alerts_are_unsent_by_choice(database: Database, clock: VirtualClock) -> None:
    outbox = Outbox(database, None, clock)
    assert outbox.step() is None
    happen(database, "a", "b")
    assert outbox.step() is None
    assert states(database) == ["unsent", "unsent"]
    assert (outbox.pending(), outbox.chat_up(), outbox.state()) == (0, None, OutboxState.OFF)


@pytest.mark.parametrize("delivered", [True, False])
def test_killed_while_sending_is_repeated_by_the_next_process_and_says_so(
    database: Database, outbox: Outbox, chat: ScriptedChat, clock: VirtualClock, delivered: bool
) -> None:
    happen(database, "a", "b")
    (chat.after if delivered else chat.plan).append(Killed())
    with pytest.raises(Killed):
        outbox.step()
    drain(Outbox(database, chat, clock), clock)
    assert chat.taken[delivered:] == ["(repeat) Error: a: d (11:00:00 ET) #1", "Error: b: d (11:00:00 ET) #2"]


def test_a_long_text_goes_out_in_parts_and_resumes_at_the_part_that_failed(
    database: Database, outbox: Outbox, chat: ScriptedChat, clock: VirtualClock
) -> None:
    happen(database, "\n".join(f"line {number:04}" for number in range(900)))
    chat.plan.extend([None, ChatUnavailable("down")])
    drain(outbox, clock)
    assert len(chat.taken) == 3
    assert all(len(text) <= 4096 for text in chat.taken)
    assert [text[-8:] for text in chat.taken] == ["(1/3) #1", "(2/3) #1", "(3/3) #1"]
    lines = "\n".join(text.removesuffix(f" ({part}/3) #1") for part, text in enumerate(chat.taken, 1))
    assert lines.count("line ") == 900
    assert states(database) == ["sent"]


def test_only_the_part_in_doubt_is_repeated(
    database: Database, outbox: Outbox, chat: ScriptedChat, clock: VirtualClock
) -> None:
    happen(database, "x" * 5000)
    chat.after.append(ChatUncertain("no answer"))
    drain(outbox, clock)
    marks = [(text.startswith("(repeat) "), text[-8:]) for text in chat.taken]
    assert marks == [(False, "(1/2) #1"), (True, "(1/2) #1"), (False, "(2/2) #1")]


def test_killed_between_two_parts_repeats_the_whole_and_says_so(
    database: Database, outbox: Outbox, chat: ScriptedChat, clock: VirtualClock
) -> None:
    happen(database, "x" * 5000)
    chat.plan.extend([None, ChatUnavailable("down")])
    assert outbox.step() == 1.0
    clock.advance_to(1.0)
    outbox.step()
    drain(Outbox(database, chat, clock), clock)
    marks = [(text.startswith("(repeat) "), text[-8:]) for text in chat.taken]
    assert marks == [(False, "(1/2) #1"), (True, "(1/2) #1"), (True, "(2/2) #1")]


def test_doubt_outlives_an_outage_and_the_process(
    database: Database, outbox: Outbox, chat: ScriptedChat, clock: VirtualClock
) -> None:
    happen(database, "a")
    chat.plan.extend([ChatUncertain("no answer"), ChatUnavailable("down")])
    outbox.step()
    clock.advance_to(1.0)
    outbox.step()
    drain(Outbox(database, chat, clock), clock)
    assert chat.taken == ["(repeat) Error: a: d (11:00:00 ET) #1"]


def test_splitting_loses_nothing() -> None:
    assert split_text("", 5) == ("",)
    assert split_text("ab\ncd\nef", 5) == ("ab\ncd", "ef")
    assert split_text("abcdefghijk", 5) == ("abcde", "fghij", "k")
    assert split_text("\nabcdefg", 5) == ("\nabcd", "efg")


def test_an_alert_waits_for_its_mark_and_a_stuck_disk_is_told_directly(
    database: Database,
    outbox: Outbox,
    chat: ScriptedChat,
    clock: VirtualClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MARK_WAIT_S", 0.02)
    happen(database, "a", "b")
    with closing(sqlite3.connect(database.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for _ in range(3):
            outbox.step()
        assert chat.taken == []
        monkeypatch.setattr(module, "STUCK_TOLD_S", 0.0)
        monkeypatch.setattr(writer, "STUCK_S", 0.0)
        for _ in range(3):
            outbox.step()
        assert chat.taken == [module.STUCK]
        assert states(database) == ["pending", "pending"]
        chat.taken.clear()
        monkeypatch.undo()
        other.execute("ROLLBACK")
    happen(database, "c")  # waits for the writer, which has caught up then
    drain(outbox, clock)
    assert [text[-2:] for text in chat.taken] == ["#1", "#2", "#3"]
    database.transact(lambda conn: None).result(10)
    assert states(database) == ["sent"] * 3


def test_a_database_that_cannot_be_read_is_tried_again(
    outbox: Outbox, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise DatabaseUnavailable("gone")

    monkeypatch.setattr(database, "get_connection", broken)
    assert outbox.step() == module.READ_AGAIN_S


@pytest.mark.parametrize("seed", range(20))
def test_whatever_happens_all_arrive_in_order_and_only_doubt_is_repeated(
    database: Database, clock: VirtualClock, seed: int
) -> None:
    luck = random.Random(seed)
    chat = ScriptedChat()
    outbox = Outbox(database, chat, clock)
    doubted: set[int] = set()
    count = 12

    def fault() -> BaseException:
        return luck.choice([ChatUnavailable("x"), ChatUncertain("x"), ChatRetryAfter(3), Killed()])

    for number in range(count):
        happen(database, f"e{number}", at=clock.now())
        for _ in range(3):
            chat.plan.append(fault() if luck.random() < 0.4 else None)
            chat.after.append(luck.choice([ChatUncertain("x"), Killed()]) if luck.random() < 0.2 else None)
    for _ in range(3000):
        first = next((i + 1 for i, state in enumerate(states(database)) if state not in {"sent"}), None)
        if first is None:
            break
        plans = (chat.plan[0] if chat.plan else None), (chat.after[0] if chat.after else None)
        left = len(chat.plan), len(chat.after)
        try:
            wait = outbox.step()
        except Killed:
            outbox = Outbox(database, chat, clock)
            wait = 0.0
        asked = left != (len(chat.plan), len(chat.after))
        struck = plans[0] if plans[0] is not None else plans[1]
        if asked and isinstance(struck, ChatUncertain | Killed):
            doubted.add(first)
        clock.advance_to(clock.monotonic() + (wait or 0.0))
    numbers = [int(text.rpartition("#")[2]) for text in chat.taken]
    assert sorted(set(numbers)) == list(range(1, count + 1))
    assert numbers == sorted(numbers)
    for number in range(1, count + 1):
        copies = [text for text in chat.taken if text.endswith(f"#{number}")]
        marked = ["(repeat) " in text for text in copies]
        assert all(marked[1:])
        assert not any(marked) or number in doubted
        assert len(copies) == 1 or number in doubted


def test_an_outage_of_telegram_loses_nothing(database: Database, clock: VirtualClock) -> None:
    """The real library against a Bot API that hangs, resets, throttles and refuses for a while."""
    api = BotApi()
    telegram = TelegramChat(TOKEN, CHAT, api.url, connect_timeout_s=1, read_timeout_s=0.1)
    telegram.start()
    try:
        outbox = Outbox(database, telegram, clock)
        happen(database, *(f"e{number}" for number in range(8)))
        api.plan.extend(
            [
                bot_api.OK,  # 1
                *[bot_api.HANG] * 2,
                bot_api.HTML_502,
                bot_api.OK,  # 2, after three answers that were lost or errors
                bot_api.THROTTLE,
                bot_api.bad_request("not enough rights to send text messages to the chat"),
                bot_api.OK,  # 3, once it may
                bot_api.TAKEN_THEN_HANG,  # 4, answer lost
                bot_api.OK,  # 4 again
                bot_api.TAKEN_THEN_RESET,  # 5, answer lost
                bot_api.OK,  # 5 again
                bot_api.MALFORMED,  # 6 is refused for good
            ]
        )
        drain(outbox, clock)
    finally:
        telegram.stop()
        api.close()
    told = [(int(text.rpartition("#")[2]), text.startswith("(repeat) ")) for text in api.texts]
    assert told == [
        (1, False),
        (2, True),
        (3, False),
        (4, False),
        (4, True),
        (5, False),
        (5, True),
        (7, False),
        (8, False),
    ]
    assert states(database) == ["sent"] * 5 + ["failed"] + ["sent"] * 2


def test_every_chat_error_is_handled() -> None:
    handled = {ChatRetryAfter, ChatUnavailable, ChatUncertain, ChatRefused, ChatFatal}
    assert set(ChatError.__subclasses__()) == handled
