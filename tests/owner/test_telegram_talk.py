"""The conversation, with the real daemon on a virtual clock and a room that keeps what is said."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.owner.room import CHAT, ME, Phone
from tests.sim.bench import SPY_CALL, SPY_LATER
from tests.trading.world import World, world
from wsb_snake.core.clock import eastern
from wsb_snake.core.lanes import Promise
from wsb_snake.owner.commands import Verb
from wsb_snake.owner.strangers import MOST
from wsb_snake.owner.telegram import owner_of
from wsb_snake.owner.telegram_commands import COMMANDS
from wsb_snake.owner.telegram_talk import Owner

STRANGER = 666
SECRET = "planted-secret"


@pytest.fixture
def day(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path, telegram_bot_token=SECRET, wsb_snake_control_token=SECRET) as w:
        yield w


@pytest.fixture
def phone(day: World) -> Phone:
    return Phone(day)


def test_every_reading_command_answers_on_an_empty_day(phone: Phone) -> None:
    for command in COMMANDS:
        if command.verb is None:
            told = phone.type(f"/{command.name}")
            assert told and SECRET not in told, command.name
    assert "TELEGRAM_BOT_TOKEN=(set, not shown)" in phone.type("/config")
    assert "ALPACA_API_KEY=(not set)" in phone.type("/config")


def test_answers_tell_of_the_day_s_trade(phone: Phone, day: World) -> None:
    day.open()
    assert f"4 × {SPY_CALL}" in phone.type("/positions")
    one = phone.type("/position spy")
    assert "target 1.26 (+26.0% away), stop 0.89 (-12.9% away)" in one
    assert "no position QQQ" in phone.type("/position QQQ")
    day.price("1.30", "1.34")
    day.until(day.outcomes)
    for name, piece in {
        "trades": f"4 × {SPY_CALL} 1.05 → 1.30 +$",
        "profit": "today: 1 trades, 100% won, +$",
        "performance": "target: 1, 100% won",
        "orders": f"[id {str(day.exits[0].broker_id).partition('-')[0][:12]}]",
        "risk": "entry premium today: $420.00 of $6,000.00",
        "balance": "options buying power $",
    }.items():
        assert piece in phone.type(f"/{name}"), (name, phone.type(f"/{name}"))


def test_what_is_no_command_is_said_to_be_none(phone: Phone) -> None:
    assert phone.type("hello") == "I understand commands only; /help lists them."
    assert "there is no /sell" in phone.type("/sell")
    assert "/trades takes a whole number" in phone.type("/trades many")
    assert "flatten takes 0dte" in phone.type("/flatten half")
    assert phone.type("/version@my_bot").startswith("WSB Snake")


def test_a_stranger_gets_silence_and_the_owner_one_alert(phone: Phone, day: World) -> None:
    day.open()
    for _ in range(3):
        for text in ("/flatten all", "/halt", "hi"):
            assert phone.type(text, user=STRANGER, chat=STRANGER) == ""
            assert phone.type(text, user=STRANGER) == ""  # in the owner's own chat
            assert phone.type(text, chat=STRANGER) == ""  # the owner, elsewhere
    day.run(1)
    told = [text for text in day.alerts() if "A stranger wrote" in text]
    assert [f"user {STRANGER}" in told[0], f"user {ME}" in told[1], len(told)] == [True, True, 2]
    for number in range(20):
        phone.type("hi", user=1000 + number)
    day.run(1)
    assert len(day.events("stranger")) == MOST
    assert not day.paused() and day.held() == 4


def test_flatten_needs_a_tap_and_a_tap_counts_once(phone: Phone, day: World) -> None:
    day.open()
    told = phone.type("/flatten all")
    assert f"• 4 × {SPY_CALL}" in told and "At the bid that is about $400.00." in told
    assert day.exits == []
    do_it = phone.buttons()["Do it"]
    assert phone.tap(do_it, user=STRANGER) == phone.tap(do_it, chat=STRANGER) == ""
    day.run(1)
    assert day.exits == [] and any(f"user {STRANGER}" in text for text in day.alerts())
    answer = (
        "closing 1 positions, and what the broker shows only when it is read again; "
        "watch status until they are gone"
    )
    assert phone.tap(do_it) == answer
    day.until(lambda: day.held() == 0)
    record = list(phone.room.rewritten)
    assert record == [f"/flatten all\n{answer}"]
    assert "answered this already" in phone.tap(do_it)
    assert "not known any more" in phone.tap("do:of-another-start")
    assert phone.room.rewritten == record
    assert len(day.exits) == 1


def test_a_tap_after_thirty_seconds_is_refused(phone: Phone, day: World) -> None:
    day.open()
    phone.type("/flatten all")
    day.run(30.1)
    assert "older than 30 s. Nothing was done" in phone.tap(phone.buttons()["Do it"])
    assert "Nothing was done" in phone.room.rewritten[-1]
    day.run(5)
    assert day.exits == []
    phone.type("/flatten all")
    day.run(29)
    assert "closing 1" in phone.tap(phone.buttons()["Do it"])


def test_a_tap_closes_what_the_question_listed_and_nothing_that_came_since(phone: Phone, day: World) -> None:
    day.open()
    assert SPY_LATER not in phone.type("/close spy")
    do_it = phone.buttons()["Do it"]
    day.by_hand(SPY_LATER, "buy", 3)
    day.until(lambda: any(p.symbol == SPY_LATER for p in day.daemon.facts().positions), 28)
    assert "closing 1 positions" in phone.tap(do_it)
    day.until(lambda: day.held() == 0)
    day.run(10)
    assert day.held(SPY_LATER) == 3


def test_a_token_of_one_question_does_not_answer_another(phone: Phone, day: World) -> None:
    day.open()
    phone.type("/cancel")
    cancel = phone.buttons()
    phone.type("/flatten all")
    assert "Nothing was done" in phone.tap(cancel["Leave it"])
    assert "answered this already" in phone.tap(cancel["Do it"])
    for forged in ("do:", "do:x", "", "leave:", cancel["Do it"][:-1]):
        assert "Nothing was done" in phone.tap(forged)
    assert day.exits == []


def test_a_command_that_comes_late_is_not_done_but_a_halt_is(phone: Phone, day: World) -> None:
    day.run(600)
    assert "came late" in phone.type("/resume", late_s=121)
    assert "came late" in phone.type("/flatten all", late_s=121)
    assert phone.type("/pause 5", late_s=700).endswith("Send it again if it still matters.")
    assert not day.paused()
    assert "halted" in phone.type("/halt", late_s=7000)
    assert day.paused() == {"manual"}


@pytest.mark.parametrize("ahead_s", [150, -150, 86400])
def test_a_wrong_clock_makes_no_command_late(day: World, ahead_s: int) -> None:
    phone = Phone(day, ahead_s)
    assert "halted" in phone.type("/halt")
    assert "resumed" in phone.type("/resume")
    assert "paused until" in phone.type("/pause 5", late_s=100)
    assert "came late" in phone.type("/resume", late_s=121)
    assert day.paused() == {"manual"}


def test_what_is_of_a_time_to_come_is_not_done_but_a_halt_is(phone: Phone, day: World) -> None:
    """Where Telegram gives no time our clock stands for it, and that may be behind."""
    assert "the clock here is behind" in phone.type("/pause 5", late_s=-6)
    assert "/halt works, and so does what waits" in phone.type("/resume", late_s=-3600)
    assert day.paused() == set()
    assert "halted" in phone.type("/halt", late_s=-3600)
    assert "resumed" in phone.type("/resume", late_s=-5)


@pytest.mark.parametrize("ahead_s", [6, 3600])
def test_what_waits_for_a_tap_is_asked_also_when_it_is_of_a_time_to_come(
    phone: Phone, day: World, ahead_s: int
) -> None:
    day.open()
    phone.type("/flatten all", late_s=-ahead_s)
    assert day.exits == []
    phone.tap(phone.buttons()["Do it"])
    day.until(lambda: not day.held(), 60)


def test_what_queued_up_is_not_done_and_is_told(phone: Phone, day: World) -> None:
    day.open()
    told = phone.drop(phone.typed("/pause 5", late_s=5), phone.typed("/flatten all", late_s=5))
    assert told.startswith("2 of your messages came while") and "/pause, /flatten. Look at" in told
    assert phone.drop(phone.typed("/halt", user=STRANGER, late_s=5)) == ""
    assert phone.drop(phone.typed("halt", late_s=5)).startswith("1 of your messages")
    assert not day.paused() and day.held() == 4


def test_a_young_halt_that_queued_up_counts_and_an_old_one_does_not(day: World) -> None:
    phone = Phone(day, ahead_s=150)
    told = phone.drop(phone.typed("/halt", late_s=601), phone.typed("/resume", late_s=1))
    assert "2 of your messages" in told and "/halt, /resume" in told
    assert not day.paused()
    told = phone.drop(phone.typed("/halt", late_s=599), phone.typed("/resume", late_s=1))
    assert told.startswith("Your /halt came while the daemon was not listening, and counts. halted")
    assert "1 of your messages" in told and "/resume" in told
    assert day.paused() == {"manual"}


def test_a_halt_of_this_process_s_life_counts_however_old(phone: Phone, day: World) -> None:
    day.run(900)
    assert "counts. halted" in phone.drop(phone.typed("/halt", late_s=890))
    assert day.paused() == {"manual"}


def test_a_pause_ends_by_itself_also_after_a_restart(phone: Phone, day: World) -> None:
    assert "paused until 2026-11-23 10:" in phone.type("/pause 30")
    assert day.enter() is None
    day.run(60)
    day.restart()
    assert day.paused() == {"manual"}
    day.until(lambda: not day.paused(), 30 * 60)
    assert any("This lasts until 10:30:" in text for text in day.alerts())
    assert any("Pause lifted: the time that you set is over" in text for text in day.alerts())
    assert day.enter() is not None
    day.run(40)


def test_a_pause_that_is_answered_survives_a_crash_at_once(phone: Phone, day: World) -> None:
    assert phone.type("/pause 60").startswith("paused until 2026-11-23 11:")
    day.restart()
    assert day.paused() == {"manual"}


def test_a_pause_that_the_disk_does_not_take_is_said_not_to_survive(
    phone: Phone, day: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(day.database, "transact", lambda *_, **__: Promise(day.hub, "never taken"))
    assert "ET, but not yet across a restart (the disk is slow or full): no new" in phone.type("/pause 60")
    assert day.paused() == {"manual"}


def test_a_pause_does_not_shorten_a_halt(phone: Phone, day: World) -> None:
    phone.type("/halt")
    assert "already paused until you send resume" in phone.type("/pause 1")
    day.run(120)
    assert day.paused() == {"manual"}
    assert "resumed" in phone.type("/resume")
    assert not day.paused()


def test_resume_says_what_it_lifts_and_what_not(phone: Phone, day: World) -> None:
    day.desk.pauses.set("daily_loss", "the day's loss is $700.00, the limit $600.00")
    stays = "Entries stay paused by daily_loss (the daily loss limit is reached, until the next session)"
    assert phone.type("/resume") == f"resumed: there was no pause of yours; resume lifts no other. {stays}"
    phone.type("/halt")
    assert phone.type("/resume") == f"resumed: your pause is lifted; resume lifts no other. {stays}"
    assert day.paused() == {"daily_loss"}
    day.desk.pauses.clear("daily_loss")
    assert phone.type("/resume") == "resumed: there was no pause of yours, entries may go"


def test_an_eod_lists_a_position_once_its_hour_has_come(phone: Phone, day: World) -> None:
    day.open()
    assert "At present there is nothing of that." in phone.type("/eod")
    (held,) = day.daemon.facts().positions
    assert held.day_end_at is not None and f"{eastern(held.day_end_at):%H:%M}" == "15:20"
    assert "EOD check ran" in phone.tap(phone.buttons()["Do it"])
    assert day.held() == 4


def test_a_runner_that_trails_tells_where_it_will_be_sold(phone: Phone, day: World) -> None:
    day.price("1.00", "1.02", SPY_LATER)
    day.by_hand(SPY_LATER, "buy", 2)
    day.until(lambda: day.events("position_adopted"), 40)
    phone.type(f"/adopt {SPY_LATER}")
    phone.tap(phone.buttons()["Do it"])
    assert "trails" not in phone.type(f"/position {SPY_LATER}")
    day.price("2.00", "2.02", SPY_LATER)
    day.until(lambda: day.held(SPY_LATER) == 1, 60)
    day.run(10)
    assert "trails: sold at a bid of 1.60 (-20.0% away)" in phone.type(f"/position {SPY_LATER}")


def test_adopt_is_confirmed_and_says_which_exits(phone: Phone, day: World) -> None:
    day.by_hand(SPY_LATER, "buy", 2)
    day.until(lambda: day.events("position_adopted"), 40)
    assert f"2 × {SPY_LATER}" in phone.type(f"/adopt {SPY_LATER} scalp")
    assert "target +20%, stop -15%, 45 minutes" in phone.tap(phone.buttons()["Do it"])


def test_before_an_adoption_the_phone_says_that_it_sells_at_once(phone: Phone, day: World) -> None:
    day.price("4.00", "4.10", SPY_LATER)
    day.by_hand(SPY_LATER, "buy", 2)
    day.until(lambda: day.events("position_adopted"), 40)
    assert "at once" not in phone.type(f"/adopt {SPY_LATER} scalp")
    day.price("6.00", "6.10", SPY_LATER)
    day.run(6)
    assert "It is beyond that already: it is sold at once." in phone.type(f"/adopt {SPY_LATER} scalp")


def test_a_chat_that_loses_answers_hinders_no_command(phone: Phone, day: World) -> None:
    phone.room.down = True
    assert phone.type("/halt") == ""
    assert day.paused() == {"manual"}


def test_an_edited_or_forwarded_message_is_no_command(phone: Phone, day: World) -> None:
    at = int(day.clock.now().timestamp())
    message: dict[str, Any] = {"chat": {"id": CHAT}, "from": {"id": ME}, "date": at, "text": "/halt"}
    for update in (
        {"edited_message": message},
        {"channel_post": message},
        {"message": {**message, "forward_origin": {"type": "user"}}},
        {"message": {**message, "via_bot": {"id": 1}}},
        {"message": {**message, "from": {"id": True}}},
    ):
        phone.hear(update)
    assert not day.paused() and phone.room.said == []


def test_who_is_heard_follows_the_settings(day: World) -> None:
    def told(**changes: object) -> Owner | None:
        return owner_of(day.settings.model_copy(update=changes))

    assert told(telegram_chat_id="77", telegram_user_id=None) == Owner(77, 77)
    assert told(telegram_chat_id="-100", telegram_user_id="5") == Owner(-100, 5)
    assert told(telegram_chat_id="@mine", telegram_user_id=None) is None
    assert told(telegram_chat_id=None) is None


# whatever arrives

LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
NAMES = st.sampled_from(
    [
        "message",
        "callback_query",
        "from",
        "chat",
        "id",
        "date",
        "text",
        "data",
        "message_id",
        "update_id",
        "x",
    ]
)
ANYTHING = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=6),
    max_leaves=20,
)
WORDS = st.sampled_from(
    [command.name for command in COMMANDS if command.verb in {None, Verb.WHY} or command.confirmed]
)
BROKEN = st.text(st.characters(categories=["Cs", "Lu"]), min_size=1, max_size=9)
"""With halves of surrogate pairs, which JSON may hold and UTF-8 may not."""

TEXT = st.text(max_size=40) | BROKEN
TYPED = st.text(max_size=60) | BROKEN | st.builds(lambda word, rest: f"/{word} {rest}", WORDS, TEXT)


def test_no_text_and_no_update_raises_or_changes_anything(phone: Phone, day: World) -> None:
    day.open()
    held, events = day.held(), len(day.rows("SELECT seq FROM events"))

    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    @given(typed=TYPED, update=ANYTHING, data=TEXT)
    @example(typed="/why \ud800", update=None, data="\udfff")
    def play(typed: str, update: object, data: str) -> None:
        changing = typed.strip().partition(" ")[0].lower().partition("@")[0] in {"/halt", "/pause", "/resume"}
        if not changing:
            phone.type(typed)
        phone.hear(update)
        phone.tap(data)

    play()
    assert (day.held(), day.paused(), day.exits) == (held, set(), [])
    assert len([e for e in day.rows("SELECT kind FROM events") if e["kind"] != "stranger"]) == events
