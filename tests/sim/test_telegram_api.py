"""The bot API with python-telegram-bot's own application, and its refusals."""

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
import requests
from telegram import BotCommand, InlineKeyboardButton, InlineKeyboardMarkup, Update
from telegram.error import BadRequest, Conflict, InvalidToken
from telegram.ext import (
    Application,
    ApplicationBuilder,
    CallbackQueryHandler,
    CommandHandler,
    ContextTypes,
    MessageHandler,
    filters,
)

from tests.sim.serving import BOT_TOKEN, World, served, wait_until
from wsb_snake.core.clock import VirtualClock
from wsb_snake.sim.api import ApiRequest
from wsb_snake.sim.telegram_api import CHAT_ID, TelegramApi

App = Application[Any, Any, Any, Any, Any, Any]
Context = ContextTypes.DEFAULT_TYPE


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with served() as world:
        yield world


def application(world: World, token: str = BOT_TOKEN) -> App:
    return ApplicationBuilder().token(token).base_url(f"{world.http}/bot").job_queue(None).build()


def run(world: World, work: Callable[[App], Awaitable[None]]) -> None:
    """``work`` with a started application that polls."""

    async def main() -> None:
        app = application(world)
        async with app:
            await app.start()
            assert app.updater is not None
            await app.updater.start_polling(timeout=20)
            await work(app)
            await app.updater.stop()
            await app.stop()

    asyncio.run(asyncio.wait_for(main(), 30))


async def until(ready: Callable[[], object]) -> None:
    await asyncio.to_thread(wait_until, ready)


def test_commands_reach_the_bot_and_its_answers_the_chat(world: World) -> None:
    async def answer(update: Update, context: Context) -> None:
        assert update.message is not None
        await update.message.reply_text(f"{context.args} <b>flat</b>", parse_mode="HTML")

    async def work(app: App) -> None:
        app.add_handler(CommandHandler("status", answer, filters=filters.Chat(CHAT_ID)))
        await app.bot.set_my_commands([BotCommand("status", "how it is")])
        world.telegram.say("/status now", chat_id=666)
        world.telegram.say("/status now")
        await until(lambda: world.telegram.messages)

    run(world, work)
    (sent,) = world.telegram.messages
    assert (sent.chat_id, sent.text, sent.at) == (CHAT_ID, "['now'] flat", world.clock.now())


def test_two_taps_on_inline_buttons() -> None:
    with served() as world:

        async def tapped(update: Update, _: Context) -> None:
            query = update.callback_query
            assert query is not None
            await query.answer("noted")
            await query.edit_message_text(f"you said {query.data}")

        async def work(app: App) -> None:
            app.add_handler(CallbackQueryHandler(tapped))
            keyboard = InlineKeyboardMarkup([[InlineKeyboardButton("Yes", callback_data="yes")]])
            sent = await app.bot.send_message(CHAT_ID, "sure?", reply_markup=keyboard)
            shown = world.telegram.messages[0]
            assert shown.reply_markup == {"inline_keyboard": [[{"text": "Yes", "callback_data": "yes"}]]}
            assert shown.message_id == sent.message_id
            world.telegram.tap(shown, "yes")
            await until(lambda: world.telegram.edits)

        run(world, work)
        (edit,) = world.telegram.edits
        assert (edit.message_id, edit.text, edit.reply_markup) == (1, "you said yes", None)
        assert [text for _, text in world.telegram.answers] == ["noted"]
        assert len(world.telegram.messages) == 1


def test_pictures_and_their_captions() -> None:
    with served() as world:

        async def work(app: App) -> None:
            photo = await app.bot.send_photo(CHAT_ID, bytes(range(256)) * 50, caption="chart of µ")
            assert photo.photo
            document = await app.bot.send_document(CHAT_ID, b"a,b\n", filename="trades.csv")
            assert document.document is not None

        run(world, work)
        assert [message.text for message in world.telegram.messages] == ["chart of µ", ""]


def test_an_update_ends_the_long_poll_at_once(world: World) -> None:
    url = f"{world.http}/bot{BOT_TOKEN}/getUpdates"
    replies: list[Any] = []
    poll = threading.Thread(
        target=lambda: replies.append(requests.post(url, data={"timeout": 60}, timeout=90).json())
    )
    poll.start()
    wait_until(world.polled)
    world.telegram.say("hello")
    poll.join(10)
    assert [row["message"]["text"] for row in replies[0]["result"]] == ["hello"]
    confirmed = replies[0]["result"][-1]["update_id"] + 1
    assert requests.post(url, data={"offset": confirmed}, timeout=10).json()["result"] == []
    assert requests.post(url, data={}, timeout=10).json()["result"] == []


def test_a_short_long_poll_ends_empty(world: World) -> None:
    reply = requests.get(f"{world.http}/bot{BOT_TOKEN}/getUpdates?timeout=1", timeout=10)
    assert reply.json() == {"ok": True, "result": []}


def test_a_second_poller_ends_the_first() -> None:
    with served() as world:

        async def main() -> None:
            async with application(world) as one, application(world) as two:
                first = asyncio.create_task(one.bot.get_updates(timeout=20))
                await until(world.polled)
                second = asyncio.create_task(two.bot.get_updates(timeout=20))
                with pytest.raises(Conflict):
                    await first
                world.telegram.say("for the second")
                assert len(await second) == 1

        asyncio.run(asyncio.wait_for(main(), 30))


def test_old_updates_can_be_dropped_at_the_start() -> None:
    with served() as world:
        world.telegram.say("/kill")
        taken: list[str] = []

        async def take(update: Update, _: Context) -> None:
            assert update.message is not None
            assert update.message.text is not None
            taken.append(update.message.text)

        async def main() -> None:
            app = application(world)
            app.add_handler(MessageHandler(filters.ALL, take))
            async with app:
                await app.start()
                assert app.updater is not None
                await app.updater.start_polling(drop_pending_updates=True)
                world.telegram.say("fresh")
                await until(lambda: taken)
                await app.updater.stop()
                await app.stop()

        asyncio.run(asyncio.wait_for(main(), 30))
        assert taken == ["fresh"]


def test_a_wrong_token_is_refused(world: World) -> None:
    async def main() -> None:
        bot = application(world, "7:wrong").bot
        with pytest.raises(InvalidToken):
            await bot.initialize()
        await bot.shutdown()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("text", "parse_mode", "error"),
    [
        ("x" * 4097, None, "message is too long"),
        ("&lt;" * 4097, "HTML", "message is too long"),
        (" ", None, "message text is empty"),
        ("1 < 2", "HTML", "can't parse entities"),
        ("<b>bold", "HTML", "can't parse entities: Can't find end tag"),
        ("<b><i>x</b></i>", "HTML", "can't parse entities: Unexpected end tag"),
        ("<h1>x</h1>", "HTML", "can't parse entities: Unsupported start tag"),
        ("x" * 4096, None, None),
        ("&lt;" * 4096, "HTML", None),
        ('<a href="http://x/?a=1&b=2">x</a> R&D <code>P &amp; L</code>', "HTML", None),
        ("1 < 2 <b>", None, None),
    ],
)
def test_texts_are_checked_as_telegram_does(
    world: World, text: str, parse_mode: str | None, error: str | None
) -> None:
    async def main() -> None:
        async with application(world) as app:
            if error is None:
                await app.bot.send_message(CHAT_ID, text, parse_mode=parse_mode)
            else:
                with pytest.raises(BadRequest, match=f"(?i){error}"):
                    await app.bot.send_message(CHAT_ID, text, parse_mode=parse_mode)

    asyncio.run(main())


def call(api: TelegramApi, method: str, body: object) -> Any:
    headers = {"content-type": "application/json"}
    request = ApiRequest("POST", f"/bot{BOT_TOKEN}/{method}", {}, headers, json.dumps(body).encode())
    reply = api.handle(request)
    shape = json.loads(reply.body)
    assert (reply.status == 200) is shape["ok"]
    return shape


def test_json_bodies_and_refusals(world: World) -> None:
    api = TelegramApi(BOT_TOKEN, VirtualClock(world.clock.now()))
    assert call(api, "sendMessage", {"chat_id": CHAT_ID, "text": "hi"})["result"]["text"] == "hi"
    assert call(api, "sendMessage", {"text": "hi"})["description"] == "Bad Request: chat_id is empty"
    assert call(api, "sendMessage", {"chat_id": "me", "text": "hi"})["error_code"] == 400
    assert call(api, "sendPhoto", {"chat_id": CHAT_ID})["error_code"] == 400
    assert call(api, "editMessageText", {"message_id": 9, "text": "x"})["error_code"] == 400
    same = {"message_id": 1, "text": "hi"}
    assert "not modified" in call(api, "editMessageText", same)["description"]
    assert call(api, "getUpdates", {"offset": "soon"})["error_code"] == 400
    assert call(api, "makeCoffee", {})["error_code"] == 404
    assert len(api.messages) == 1
