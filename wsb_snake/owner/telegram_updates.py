"""What a raw update of Telegram's says. Pure; whatever has an unknown form is nothing."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Said:
    """A message with text. ``at`` is Telegram's time, whole seconds since 1970."""

    chat_id: int
    user_id: int
    at: int
    text: str


@dataclass(frozen=True, slots=True)
class Tapped:
    """A tap on a button of ours; ``message_id`` is the message that carries it."""

    chat_id: int
    user_id: int
    tap_id: str
    message_id: int
    data: str


@dataclass(frozen=True, slots=True)
class Arrived:
    """A raw update, with when Telegram handed it over: by its own clock (whole seconds since 1970), and by
    our monotonic one. So its age needs no clock of ours that is right, where Telegram told the time."""

    update: object
    told_at: int
    here_at: float

    def age_s(self, sent_at: int, monotonic: float) -> float:
        """Seconds since Telegram got what was sent at ``sent_at`` by its clock."""
        return self.told_at - sent_at + monotonic - self.here_at


def update_id(update: object) -> int | None:
    """The number of the update; None when it has none."""
    return _whole(_at(update, "update_id"))


def heard(update: object) -> Said | Tapped | None:
    """The message or tap in ``update``. Edited, forwarded and channel messages are none."""
    message = _at(update, "message")
    if isinstance(message, Mapping):
        return _said(message)
    query = _at(update, "callback_query")
    return _tapped(query) if isinstance(query, Mapping) else None


def _said(message: Mapping[str, object]) -> Said | None:
    chat, user, at = (
        _whole(_at(_at(message, "chat"), "id")),
        _whole(_at(_at(message, "from"), "id")),
        _whole(_at(message, "date")),
    )
    text = _at(message, "text")
    forwarded = any(name in message for name in ("forward_origin", "forward_date", "via_bot"))
    if chat is None or user is None or at is None or forwarded:
        return None
    return Said(chat, user, at, text if isinstance(text, str) else "")


def _tapped(query: Mapping[str, object]) -> Tapped | None:
    message = _at(query, "message")
    chat, user, number = (
        _whole(_at(_at(message, "chat"), "id")),
        _whole(_at(_at(query, "from"), "id")),
        _whole(_at(message, "message_id")),
    )
    tap_id, data = _at(query, "id"), _at(query, "data")
    if chat is None or user is None or number is None or not isinstance(tap_id, str):
        return None
    return Tapped(chat, user, tap_id, number, data if isinstance(data, str) else "")


def _at(held: object, name: str) -> object:
    return held.get(name) if isinstance(held, Mapping) else None


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
