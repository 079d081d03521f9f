"""Telling the owner by Telegram without the daemon, for commands that run by themselves at night."""

from collections.abc import Callable

from wsb_snake.config import Settings
from wsb_snake.notifications.chat import ChatError
from wsb_snake.notifications.telegram_bot import TelegramChat


def tell_owner(settings: Settings, text: str) -> str | None:
    """Send ``text`` (at most 4096 characters) once, where a chat is configured; why it did not work, or None.

    Takes some 25 s at most, and never fails.
    """
    return _tried(settings, lambda chat: chat.send(text, silent=False))


def bot_trouble(settings: Settings) -> str | None:
    """Why the bot of the settings does not answer, or None; as ``tell_owner``, and sends nothing."""
    return _tried(settings, TelegramChat.check)


def _tried(settings: Settings, work: Callable[[TelegramChat], None]) -> str | None:
    if settings.telegram_bot_token is None or settings.telegram_chat_id is None:
        return None
    chat = TelegramChat(
        settings.telegram_bot_token.get_secret_value(), settings.telegram_chat_id, settings.telegram_base_url
    )
    try:
        chat.start()
        work(chat)
    except ChatError as error:
        return str(error)
    finally:
        chat.stop()
    return None
