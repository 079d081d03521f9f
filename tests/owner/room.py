"""A chat in memory, and a phone that types and taps in it."""

from dataclasses import dataclass, field

from tests.trading.world import World
from wsb_snake.core.lanes import Flag
from wsb_snake.notifications.chat import Button, ChatUncertain, Delivered
from wsb_snake.owner.commands import Commands
from wsb_snake.owner.telegram import Around, talk_of
from wsb_snake.owner.telegram_talk import Owner, Talk
from wsb_snake.owner.telegram_updates import Arrived
from wsb_snake.owner.why import explainer

ME, CHAT = 4242, 4242


@dataclass
class Room:
    """Keeps what is said; ``down`` loses it."""

    said: list[tuple[str, tuple[Button, ...]]] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)
    rewritten: list[str] = field(default_factory=list)
    down: bool = False

    def listen(self) -> None:
        """Nothing was set before."""

    def updates(self, offset: int, hold_s: int) -> Delivered:
        return Delivered([], None)

    def say(self, text: str, buttons: tuple[Button, ...] = ()) -> None:
        if self.down:
            raise ChatUncertain("down")
        assert 0 < len(text) <= 4096
        self.said.append((text, buttons))

    def answer_tap(self, tap_id: str, text: str) -> None:
        self.shown.append(text)

    def rewrite(self, message_id: int, text: str) -> None:
        self.rewritten.append(text)

    def picture(self, png: bytes, caption: str) -> None:
        """Not looked at."""

    def offer(self, commands: tuple[tuple[str, str], ...]) -> None:
        """Not looked at."""


class Phone:
    """Types and taps on behalf of the owner, or of somebody else.

    ``ahead_s``: by how much the daemon's clock is ahead of Telegram's.
    """

    def __init__(self, w: World, ahead_s: int = 0) -> None:
        self.w = w
        self.ahead_s = ahead_s
        self.room = Room()
        around = Around(lambda n: ["a line"] * n, Flag(w.hub, "never"), lambda *_: None)
        commands = Commands(w.daemon, w.daemon.facts, explainer(w.database.path))
        self.talk: Talk = talk_of(w.daemon, commands, self.room, Owner(CHAT, ME), around)

    def arrived(self, update: object) -> Arrived:
        clock = self.w.clock
        return Arrived(update, int(clock.now().timestamp()) - self.ahead_s, clock.monotonic())

    def typed(self, text: str, user: int = ME, chat: int = CHAT, late_s: int = 0) -> Arrived:
        """The update of ``text``, which Telegram has had for ``late_s`` seconds."""
        at = int(self.w.clock.now().timestamp()) - self.ahead_s - late_s
        return self.arrived(
            {"message": {"chat": {"id": chat}, "from": {"id": user}, "date": at, "text": text}}
        )

    def hear(self, update: object) -> None:
        self.w.do(lambda: self.talk.hear(self.arrived(update)))

    def drop(self, *queued: Arrived) -> str:
        """What is said to what came while nobody listened."""
        before = len(self.room.said)
        self.w.do(lambda: self.talk.drop(list(queued)))
        return "\n".join(said for said, _ in self.room.said[before:])

    def type(self, text: str, user: int = ME, chat: int = CHAT, late_s: int = 0) -> str:
        """What is answered to ``text``; empty when nothing is."""
        before = len(self.room.said)
        arrived = self.typed(text, user, chat, late_s)
        self.w.do(lambda: self.talk.hear(arrived))
        return "\n".join(said for said, _ in self.room.said[before:])

    def buttons(self) -> dict[str, str]:
        return {button.label: button.data for button in self.room.said[-1][1]}

    def tap(self, data: str, user: int = ME, chat: int = CHAT) -> str:
        before = len(self.room.shown)
        message = {"chat": {"id": chat}, "message_id": 9}
        self.hear({"callback_query": {"id": "t", "from": {"id": user}, "message": message, "data": data}})
        return "\n".join(self.room.shown[before:])
