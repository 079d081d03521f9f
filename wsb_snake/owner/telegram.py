"""The chat both ways, put together for one daemon."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from wsb_snake.config import Settings
from wsb_snake.core.lanes import Flag
from wsb_snake.daemon import Daemon
from wsb_snake.notifications.chat import Conversation
from wsb_snake.owner.commands import Commands
from wsb_snake.owner.strangers import Strangers
from wsb_snake.owner.telegram_lane import Inbound
from wsb_snake.owner.telegram_picture import DayPicture
from wsb_snake.owner.telegram_reading import Reading, Sources, risk_text
from wsb_snake.owner.telegram_talk import Owner, Parts, Talk
from wsb_snake.trading.broker import Account

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Around:
    """What the process lends: its log, its end, where to tell of what must not happen."""

    logged: Callable[[int], list[str]]
    stopping: Flag
    report: Callable[[str, Exception], None]


def owner_of(settings: Settings) -> Owner | None:
    """Whom the bot hears; None where the settings name nobody."""
    chat, user = settings.telegram_chat_id, settings.telegram_user_id
    try:
        return None if chat is None else Owner(int(chat), int(chat if user is None else user))
    except ValueError:  # @names are for sending only
        return None


def talk_of(daemon: Daemon, commands: Commands, room: Conversation, owner: Owner, around: Around) -> Talk:
    """The conversation between ``owner`` and ``daemon``."""
    executor, database = daemon.executor, daemon.world.database

    def account() -> Account | None:
        reading = executor.desk.pollers.account.latest
        return daemon.account if reading is None else reading.value

    sources = Sources(
        facts=daemon.facts,
        connect=database.get_connection,
        settings=daemon.world.settings,
        calendar=lambda: executor.desk.calendar,
        account=account,
        risk=lambda: risk_text(executor.desk, executor.day_pnl()),
        logged=around.logged,
    )
    clock = daemon.world.lanes.clock
    return Talk(
        Parts(
            room=room,
            commands=commands,
            reading=Reading(sources),
            facts=daemon.facts,
            owner=owner,
            settings=daemon.world.settings,
            clock=clock,
            stranger=Strangers(database.transact, clock).came,
        )
    )


def picture(daemon: Daemon, room: Conversation) -> DayPicture:
    """What sends the picture of the day."""
    lanes = daemon.world.lanes
    return DayPicture(daemon.world.database, room, lambda: daemon.executor.desk.calendar, lanes.clock)


def inbound(daemon: Daemon, commands: Commands, room: Conversation, around: Around) -> Inbound | None:
    """The thread that listens, not yet started; None where the settings name no one to listen to."""
    owner = owner_of(daemon.world.settings)
    if owner is None:
        log.warning("no command is heard: TELEGRAM_CHAT_ID or TELEGRAM_USER_ID is no number")
        return None
    if owner.user_id < 0:
        log.warning("no command is heard: in a group set TELEGRAM_USER_ID to your own number")
    talk = talk_of(daemon, commands, room, owner, around)
    return Inbound(
        room, talk, around.stopping, daemon.heartbeats.beat, around.report, daemon.executor.desk.alert
    )
