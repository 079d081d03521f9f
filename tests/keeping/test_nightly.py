"""The ``backup`` command: one line, and the owner's phone when something went wrong."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import SecretStr

from tests.notifications.bot_api import BAD_TOKEN, CHAT, TOKEN, BotApi
from wsb_snake.config import Settings
from wsb_snake.core.clock import VirtualClock
from wsb_snake.db.database import Database
from wsb_snake.keeping.backup import backups_in
from wsb_snake.keeping.copies import Contents
from wsb_snake.keeping.nightly import carry, nightly

CLOCK = VirtualClock(datetime(2026, 11, 24, 22, 30, tzinfo=UTC))


@pytest.fixture
def api() -> Iterator[BotApi]:
    made = BotApi()
    yield made
    made.close()


@pytest.fixture
def settings(make_settings: Callable[..., Settings], api: BotApi) -> Settings:
    return make_settings(
        telegram_bot_token=TOKEN,
        telegram_chat_id=CHAT,
        telegram_base_url=api.url,
        backup_copy_command="false",
    )


def refused(_: Path, target: Path) -> Contents:
    raise OSError(28, "No space left on device", str(target))


def test_a_good_night_is_quiet(
    make_settings: Callable[..., Settings], settings: Settings, database: Database, api: BotApi
) -> None:
    told = nightly(settings.model_copy(update={"backup_copy_command": None}), CLOCK)
    assert told.ok and told.line.startswith("backup ") and "verified; 1 kept" in told.line
    assert api.taken == []


def test_a_failed_backup_reaches_the_phone_without_the_daemon(
    settings: Settings, database: Database, api: BotApi
) -> None:
    told = nightly(settings, CLOCK, refused)
    assert not told.ok
    assert told.line.startswith("backup failed: ") and told.line.endswith("; there is no older one")
    (message,) = api.taken
    assert (message.chat, message.silent) == (CHAT, False)
    assert message.text == f"{told.line}. Trading is not affected."


def test_a_backup_that_stays_on_the_machine_is_told_and_is_good(
    settings: Settings, database: Database, api: BotApi
) -> None:
    told = nightly(settings, CLOCK)
    assert not told.ok and "verified" in told.line
    assert told.line.endswith("BACKUP_COPY_COMMAND failed with code 1")
    assert [text.startswith(told.line) for text in api.texts] == [True]


def test_a_backup_is_carried_off_later_on(
    settings: Settings, database: Database, api: BotApi, tmp_path: Path
) -> None:
    here = settings.model_copy(update={"backup_copy_command": None})
    nightly(here, CLOCK)
    (made,) = backups_in(settings.backups)
    assert carry(here, made).ok
    told = carry(settings, made)
    assert (told.ok, told.line) == (False, f"backup {made}; BACKUP_COPY_COMMAND failed with code 1")
    away = tmp_path / "away.db"
    copying = settings.model_copy(update={"backup_copy_command": SecretStr(f"cp {{}} {away}")})
    assert carry(copying, made).ok and away.read_bytes() == made.read_bytes()
    assert "no such file" in carry(copying, tmp_path / "none.db").line
    assert backups_in(settings.backups) == [made]


def test_a_chat_that_refuses_fails_nothing_more(settings: Settings, database: Database, api: BotApi) -> None:
    api.usual = BAD_TOKEN
    told = nightly(settings, CLOCK)
    assert not told.ok and "verified" in told.line
    assert "(not told by Telegram: Telegram refuses the bot token" in told.line
    assert TOKEN not in told.line


def test_without_a_chat_the_line_alone_says_it(settings: Settings, database: Database, api: BotApi) -> None:
    told = nightly(settings.model_copy(update={"telegram_chat_id": None}), CLOCK, refused)
    assert not told.ok and "Telegram" not in told.line
    assert api.taken == []
