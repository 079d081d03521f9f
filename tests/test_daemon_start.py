"""What is settled at a start."""

from pathlib import Path

import pytest

from wsb_snake import config, daemon_start
from wsb_snake.core.process_lock import AlreadyRunning
from wsb_snake.daemon_start import account_lock, warnings_of


def settings(folder: Path) -> config.Settings:
    return config.load(env_file=None, alpaca_trading_url="http://127.0.0.1:1", wsb_snake_data_dir=folder)


def test_the_lock_of_an_account_is_the_same_for_a_service_and_a_shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemon_start, "LOCK_PLACES", (tmp_path / "none", tmp_path))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    service = account_lock(settings(tmp_path / "one"), "PA1")
    service.acquire()
    (tmp_path / "other").mkdir()
    for name in ("XDG_RUNTIME_DIR", "TMPDIR", "HOME"):
        monkeypatch.setenv(name, str(tmp_path / "other"))
    shell = account_lock(settings(tmp_path / "two"), "PA1")
    with pytest.raises(AlreadyRunning, match="account PA1 is in use by process"):
        shell.acquire()
    another = account_lock(settings(tmp_path / "two"), "PA2")
    another.acquire()
    another.release()
    service.release()
    shell.acquire()
    shell.release()


@pytest.mark.parametrize(
    ("chat", "user", "unheard"),
    [("-1001", None, True), ("@mine", None, True), ("-1001", "5", False), ("5", None, False)],
)
def test_a_group_without_the_owner_s_own_number_is_warned_of(
    chat: str, user: str | None, unheard: bool
) -> None:
    settings = config.load(env_file=None, telegram_chat_id=chat, telegram_user_id=user)
    told = [text for text in warnings_of(settings, chat=True) if "TELEGRAM_USER_ID" in text]
    assert bool(told) is unheard
