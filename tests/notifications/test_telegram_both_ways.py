"""Hearing and answering through the real client, against Telegram's server side on loopback."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.sim.serving import BOT_TOKEN, World, served, wait_until
from wsb_snake.notifications.chat import Button, ChatConflict, ChatError, ChatRefused, ChatUnavailable
from wsb_snake.notifications.telegram_bot import TelegramChat
from wsb_snake.owner.telegram_updates import Said, Tapped, heard, update_id
from wsb_snake.sim.telegram_api import CHAT_ID

PNG = b"\x89PNG\r\n\x1a\n" + bytes(50)


@pytest.fixture
def world() -> Iterator[World]:
    with served() as made:
        yield made


@pytest.fixture
def chat(world: World) -> Iterator[TelegramChat]:
    made = TelegramChat(BOT_TOKEN, str(CHAT_ID), world.http)
    made.start()
    yield made
    made.stop()


def test_what_people_type_and_tap_is_heard_once(world: World, chat: TelegramChat) -> None:
    world.telegram.say("/status now")
    chat.say("Sure?", (Button("Do it", "do:token"), Button("Leave it", "leave:token")))
    (question,) = world.telegram.messages
    world.telegram.tap(question, "do:token", user_id=5)
    delivered = chat.updates(0, 0)
    first, second = delivered.updates
    at = int(world.clock.now().timestamp())
    assert delivered.at == at  # the server's clock is not this machine's
    assert heard(first) == Said(CHAT_ID, CHAT_ID, at, "/status now")
    tapped = heard(second)
    assert isinstance(tapped, Tapped)
    assert (tapped.user_id, tapped.message_id, tapped.data) == (5, question.message_id, "do:token")
    number = update_id(second)
    assert number is not None and chat.updates(number + 1, 0).updates == []
    chat.answer_tap(tapped.tap_id, "done " + "x" * 300)
    assert world.telegram.answers == [(tapped.tap_id, ("done " + "x" * 300)[:200])]
    chat.rewrite(tapped.message_id, "Done.")
    assert (world.telegram.edits[-1].text, world.telegram.edits[-1].reply_markup) == ("Done.", None)


def test_no_markup_is_ever_interpreted(world: World, chat: TelegramChat) -> None:
    nasty = "<b>bold</b> *star* _under_ [link](http://x) `code` & < > <script> ~ | \\ #1"
    chat.send(nasty, silent=False)
    chat.say(nasty)
    assert [message.text for message in world.telegram.messages] == [nasty, nasty]


def test_a_poll_that_is_held_holds_up_no_alert(world: World, chat: TelegramChat) -> None:
    found: list[object] = []
    poll = threading.Thread(target=lambda: found.extend(chat.updates(0, 25).updates), daemon=True)
    poll.start()
    wait_until(world.polled)
    chat.send("alert", silent=False)
    assert world.telegram.messages[-1].text == "alert" and not found
    world.telegram.say("/help")
    poll.join(10)
    assert len(found) == 1


def test_a_second_listener_is_told_from_an_outage(world: World, chat: TelegramChat) -> None:
    errors: list[ChatError] = []

    def listen() -> None:
        try:
            chat.updates(0, 25)
        except ChatError as error:
            errors.append(error)

    poll = threading.Thread(target=listen, daemon=True)
    poll.start()
    wait_until(world.polled)
    other = TelegramChat(BOT_TOKEN, str(CHAT_ID), world.http)
    other.start()
    other.updates(0, 0)
    poll.join(10)
    other.stop()
    assert isinstance(errors[0], ChatConflict) and "another program or a webhook" in str(errors[0])


def test_a_stop_ends_a_held_poll(world: World) -> None:
    chat = TelegramChat(BOT_TOKEN, str(CHAT_ID), world.http)
    chat.start()
    errors: list[ChatError] = []

    def listen() -> None:
        try:
            chat.updates(0, 25)
        except ChatError as error:
            errors.append(error)

    poll = threading.Thread(target=listen, daemon=True)
    poll.start()
    wait_until(world.polled)
    chat.stop()
    poll.join(10)
    assert not poll.is_alive() and len(errors) == 1
    assert BOT_TOKEN not in str(errors[0])


def test_a_picture_and_the_list_of_commands(world: World, chat: TelegramChat) -> None:
    chat.picture(PNG, "the day")
    assert world.telegram.messages[-1].text == "the day"
    chat.offer((("status", "everything at a glance"), ("help", "this list")))


def test_an_edit_that_telegram_refuses_is_an_error_without_the_token(
    world: World, chat: TelegramChat
) -> None:
    with pytest.raises(ChatRefused, match="essage to edit not found") as caught:
        chat.rewrite(12345, "nothing")
    assert BOT_TOKEN not in str(caught.value)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", None),
        (b"<html>", None),
        (b"[]", None),
        (b"null", None),
        (b'{"ok": true}', None),
        (b"[" * 100_000, None),
        (b'{"result": 5}', []),
        (b'{"result": {"update_id": 1}}', []),
        (b'{"result": [1, "x", null, {"update_id": 3}]}', [1, "x", None, {"update_id": 3}]),
    ],
)
def test_an_answer_of_another_form_is_no_update_and_no_defect(body: bytes, told: list[object] | None) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    chat = TelegramChat(BOT_TOKEN, str(CHAT_ID), f"http://127.0.0.1:{server.server_address[1]}")
    chat.start()
    try:
        if told is None:
            with pytest.raises(ChatUnavailable, match="cannot be read"):
                chat.updates(0, 0)
        else:
            assert chat.updates(0, 0).updates == told
    finally:
        chat.stop()
        server.shutdown()
        server.server_close()
