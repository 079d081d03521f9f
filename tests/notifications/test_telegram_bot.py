import asyncio
import logging
import os
import socket
import sys
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.notifications import bot_api
from tests.notifications.bot_api import CHAT, TOKEN, BotApi, Message
from tests.process.pair import until
from wsb_snake.notifications import telegram_client
from wsb_snake.notifications.chat import (
    ChatError,
    ChatFatal,
    ChatRefused,
    ChatRetryAfter,
    ChatUnavailable,
    ChatUncertain,
    ChatUnclear,
)
from wsb_snake.notifications.telegram_bot import TelegramChat


@pytest.fixture
def api() -> Iterator[BotApi]:
    fake = BotApi()
    yield fake
    fake.close()


@pytest.fixture
def chat(api: BotApi) -> Iterator[TelegramChat]:
    telegram = TelegramChat(TOKEN, CHAT, api.url, connect_timeout_s=2, read_timeout_s=2)
    telegram.start()
    yield telegram
    telegram.stop()


def test_a_start_writes_nothing_into_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other threads are at work by then, and read it without a lock."""
    monkeypatch.delenv("PTB_TIMEDELTA", raising=False)
    before = dict(os.environ)
    telegram = TelegramChat(TOKEN, CHAT, "http://127.0.0.1:1")
    telegram.start()
    telegram.stop()
    assert dict(os.environ) == before


BROKEN = "raise ImportError('this installation is broken')"


@pytest.mark.parametrize(
    ("module", "variable", "value", "says"),
    [
        (BROKEN, None, "", "ImportError: this installation is broken"),
        ("Bot = ", None, "", "SyntaxError"),
        ("class Bot", None, "", "SyntaxError"),
        ("", None, "", "ImportError: cannot import name 'Bot'"),
        (None, "SSL_CERT_FILE", "/nowhere/certificates.pem", "FileNotFoundError"),
        (None, "ALL_PROXY", "socks5://192.0.2.1:1080", "RuntimeError"),
        (None, "ALL_PROXY", "other://user:password@192.0.2.1", "ValueError"),
        (None, "ALL_PROXY", "http://user:pass/word@192.0.2.1", "is no URL"),
    ],
)
def test_a_client_that_cannot_be_made_is_the_chats_own_trouble_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    module: str | None,
    variable: str | None,
    value: str,
    says: str,
) -> None:
    if module is not None:
        (tmp_path / "telegram.py").write_text(module)
        monkeypatch.syspath_prepend(str(tmp_path))
        ours = telegram_client.__name__
        for name in [each for each in sys.modules if each == ours or each.split(".")[0] == "telegram"]:
            monkeypatch.delitem(sys.modules, name)
    if variable is not None:
        monkeypatch.setenv(variable, value)
    telegram = TelegramChat(TOKEN, CHAT, "https://192.0.2.1")
    with pytest.raises(ChatUnavailable) as caught:
        telegram.start()
    with pytest.raises(ChatUnavailable) as later:
        telegram.send("x", silent=False)
    telegram.stop()
    text = str(caught.value)
    assert text == str(later.value)
    assert "\n" not in text and says in text and "restart" in text
    assert "pass" not in text


def test_a_thread_that_is_slow_to_run_is_used_as_soon_as_it_does(
    api: BotApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn = threading.Event()
    monkeypatch.setattr(asyncio, "set_event_loop", lambda _: turn.wait())
    telegram = TelegramChat(TOKEN, CHAT, api.url)
    telegram.start()
    with pytest.raises(ChatUnavailable, match="does not run"):
        telegram.send("too early", silent=False)
    turn.set()
    until(lambda: sent(telegram), "the loop runs")
    telegram.stop()
    assert api.texts == ["x"]


def sent(telegram: TelegramChat) -> bool:
    try:
        telegram.send("x", silent=False)
    except ChatUnavailable:
        return False
    return True


def test_plain_text_loud_and_silent(api: BotApi, chat: TelegramChat) -> None:
    text = "P&L <b>+5 %</b> *not bold* _x_ #1"
    chat.send(text, silent=False)
    chat.send("quiet", silent=True)
    assert api.taken == [Message(CHAT, text, False), Message(CHAT, "quiet", True)]
    assert api.paths == [f"/bot{TOKEN}/sendMessage"] * 2  # no getMe: a start needs no network


@pytest.mark.parametrize(
    ("act", "error", "says"),
    [
        (bot_api.MALFORMED, ChatRefused, "is too long"),
        (bot_api.NO_CHAT, ChatUnclear, "check TELEGRAM_CHAT_ID"),
        (bot_api.BLOCKED, ChatFatal, "blocked by the user"),
        (bot_api.BAD_TOKEN, ChatFatal, "check TELEGRAM_BOT_TOKEN"),
        (bot_api.HTML_403, ChatUnavailable, r"between here and Telegram refuses \(HTTP 403"),
        (bot_api.HTML_404, ChatUnavailable, r"between here and Telegram refuses \(HTTP 404"),
        (bot_api.GATEWAY_JSON, ChatUnavailable, "HTTP 403"),
        (bot_api.GATEWAY_TEXT, ChatUnavailable, "HTTP 403"),
        (bot_api.HTML_502, ChatUncertain, "Bad Gateway"),
        (bot_api.NOT_JSON, ChatUncertain, "Invalid server response"),
        (bot_api.TAKEN_THEN_RESET, ChatUncertain, "answer was lost"),
    ],
)
def test_each_answer_is_sorted_by_what_to_do_next(
    api: BotApi, chat: TelegramChat, act: str, error: type[ChatError], says: str
) -> None:
    api.plan.append(act)
    with pytest.raises(ChatError, match=says) as caught:
        chat.send("x", silent=False)
    assert TOKEN not in str(caught.value)
    assert type(caught.value) is error
    chat.send("y", silent=False)
    assert api.texts[-1] == "y"


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("message text is empty", ChatRefused),
        ("MESSAGE_TOO_LONG", ChatRefused),
        ("strings must be encoded in UTF-8", ChatRefused),
        ("can't parse entities: unsupported start tag", ChatRefused),
        ("not enough rights to send text messages to the chat", ChatUnclear),
        ("have no rights to send a message", ChatUnclear),
        ("need administrator rights in the channel chat", ChatUnclear),
        ("CHAT_WRITE_FORBIDDEN", ChatUnclear),
        ("CHAT_RESTRICTED", ChatUnclear),
        ("TOPIC_CLOSED", ChatUnclear),
        ("PEER_ID_INVALID", ChatUnclear),
        ("chat_id is empty", ChatUnclear),
        ("something that nobody has seen yet", ChatUnclear),
    ],
)
def test_of_what_telegram_says_with_400_only_what_is_about_the_text_costs_the_text(
    api: BotApi, chat: TelegramChat, words: str, error: type[ChatError]
) -> None:
    api.plan.append(bot_api.bad_request(words))
    with pytest.raises(ChatError) as caught:
        chat.send("x", silent=False)
    assert type(caught.value) is error
    assert ("what the bot may do in that chat" in str(caught.value)) is (error is ChatUnclear)


def test_throttling_tells_how_long(api: BotApi, chat: TelegramChat) -> None:
    api.plan.append(bot_api.THROTTLE)
    with pytest.raises(ChatRetryAfter) as caught:
        chat.send("x", silent=False)
    assert caught.value.seconds == 7.0


def test_an_answer_that_the_library_cannot_read_is_still_a_delivery(api: BotApi, chat: TelegramChat) -> None:
    api.plan.append(bot_api.OK_WITHOUT_MESSAGE)
    chat.send("x", silent=False)
    assert api.texts == ["x"]


@pytest.mark.parametrize("act", [bot_api.HANG, bot_api.TAKEN_THEN_HANG])
def test_a_time_out_is_uncertain(api: BotApi, act: str) -> None:
    chat = TelegramChat(TOKEN, CHAT, api.url, connect_timeout_s=1, read_timeout_s=0.1)
    chat.start()
    api.plan.append(act)
    with pytest.raises(ChatUncertain):
        chat.send("x", silent=False)
    chat.stop()


def test_a_budget_of_its_own_bounds_the_wait(
    api: BotApi, monkeypatch: pytest.MonkeyPatch, chat: TelegramChat
) -> None:
    monkeypatch.setattr(chat, "_budget_s", 0.05)
    api.plan.append(bot_api.HANG)
    with pytest.raises(ChatUncertain, match=r"no answer within 0\.05 s"):
        chat.send("x", silent=False)


def test_refused_connections_delivered_nothing() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        chat = TelegramChat(TOKEN, CHAT, f"http://127.0.0.1:{unused.getsockname()[1]}")
        chat.start()
        with pytest.raises(ChatUnavailable, match="ConnectError"):
            chat.send("x", silent=False)
        chat.stop()


def test_a_proxy_of_the_environment_is_not_used_for_loopback(
    api: BotApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    chat = TelegramChat(TOKEN, CHAT, api.url)
    chat.start()
    chat.send("x", silent=False)
    chat.stop()
    assert api.texts == ["x"]


def test_not_started_stopped_and_stopped_while_sending(api: BotApi) -> None:
    chat = TelegramChat(TOKEN, CHAT, api.url)
    with pytest.raises(ChatUnavailable):
        chat.send("x", silent=False)
    chat.start()
    api.usual = bot_api.HANG
    errors: list[ChatError] = []

    def sends() -> None:
        try:
            chat.send("x", silent=False)
        except ChatError as error:
            errors.append(error)

    sender = threading.Thread(target=sends)
    sender.start()
    for _ in range(1000):
        if api.paths:
            break
        sender.join(0.01)
    chat.stop()
    sender.join(10)
    assert [type(error) for error in errors] == [ChatUncertain]
    with pytest.raises(ChatUnavailable):
        chat.send("x", silent=False)
    chat.stop()
    unused = TelegramChat(TOKEN, CHAT, api.url)
    unused.stop()


def test_the_token_is_in_no_error_and_no_log(
    api: BotApi, chat: TelegramChat, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    plan = [
        bot_api.OK,
        bot_api.THROTTLE,
        bot_api.MALFORMED,
        bot_api.BAD_TOKEN,
        bot_api.BLOCKED,
        bot_api.HTML_502,
        bot_api.NOT_JSON,
        bot_api.OK_WITHOUT_MESSAGE,
        bot_api.TAKEN_THEN_RESET,
    ]
    api.plan.extend(plan)
    traces = []
    for _ in plan:
        try:
            chat.send("x", silent=False)
        except ChatError:
            traces.append(traceback.format_exc())
    assert len(traces) == 7
    assert not [trace for trace in traces if TOKEN in trace]
    assert TOKEN not in caplog.text
    assert not [record for record in caplog.records if TOKEN in repr(vars(record))]
    assert "telegram" in caplog.text  # the log was being watched
