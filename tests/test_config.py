import os
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from wsb_snake import config
from wsb_snake.config import (
    ALERT_KINDS,
    NEVER_OFF,
    PROJECT_ROOT,
    SHORTEST_TOKEN,
    ConfigError,
    Settings,
    is_loopback,
    load,
)
from wsb_snake.core.events import EventKind

LOOPBACK = {
    "ALPACA_TRADING_URL": "http://127.0.0.1:9001",
    "ALPACA_DATA_URL": "http://localhost:9001",
    "ALPACA_STREAM_URL": "ws://127.0.0.1:9001/stream",
}


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.lower() in Settings.model_fields:
            monkeypatch.delenv(name)


def given(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Settings:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return load(env_file=None)


def test_the_defaults_are_paper_and_the_limits_of_the_design() -> None:
    settings = load(env_file=None)
    assert settings.mode == "paper"
    assert settings.trading_url == config.PAPER_TRADING_URL
    assert settings.stream_url == "wss://paper-api.alpaca.markets/stream"
    assert (settings.wsb_snake_http_host, settings.wsb_snake_http_port) == ("127.0.0.1", 8080)
    assert settings.wsb_snake_max_trade_dollars == 1500
    assert settings.wsb_snake_max_trade_equity == Decimal("0.05")
    assert settings.wsb_snake_max_day_dollars == 6000
    assert settings.wsb_snake_max_engine_dollars == 1500
    assert settings.wsb_snake_max_overnight_dollars == 2000
    assert (settings.wsb_snake_max_positions, settings.wsb_snake_max_overnight_positions) == (5, 1)
    assert settings.wsb_snake_max_ticker_dollars == 2000
    assert settings.wsb_snake_max_sector_dollars == 3000
    assert settings.wsb_snake_max_daily_loss_dollars == 600
    assert settings.wsb_snake_max_daily_loss_equity == Decimal("0.03")
    assert (settings.wsb_snake_max_orders_minute, settings.wsb_snake_max_orders_day) == (6, 60)
    assert settings.wsb_snake_max_entries_per_signal == 2
    assert settings.wsb_snake_trade_dollars == 500
    assert settings.wsb_snake_scalp_target == Decimal("0.20")
    assert settings.wsb_snake_scalp_stop == Decimal("0.15")
    assert settings.wsb_snake_scalp_minutes == 45
    assert settings.wsb_snake_cutoff_flatten is True
    assert settings.wsb_snake_half_day_entries is False


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / ".env"
    file.write_text("WSB_SNAKE_MAX_POSITIONS=3\nWSB_SNAKE_HTTP_PORT=9000\nSOMEONE_ELSES=1\n")
    monkeypatch.setenv("WSB_SNAKE_HTTP_PORT", "9100")
    settings = load(file, wsb_snake_max_orders_day=10)
    assert settings.wsb_snake_max_positions == 3
    assert settings.wsb_snake_http_port == 9100
    assert settings.wsb_snake_max_orders_day == 10


def test_a_blank_value_is_an_unset_one(monkeypatch: pytest.MonkeyPatch) -> None:
    blank = given(
        monkeypatch,
        ALPACA_API_KEY=" ",
        TELEGRAM_CHAT_ID="",
        ALPACA_OPTION_STREAM_URL="",
        ALPACA_STREAM_URL="",
    )
    assert blank.alpaca_api_key is None
    assert blank.telegram_chat_id is None
    assert blank.alpaca_option_stream_url is None
    assert blank.stream_url == "wss://paper-api.alpaca.markets/stream"


@pytest.mark.parametrize(
    ("variables", "complaint"),
    [
        ({"ALPACA_OPTION_FEED": "free"}, "ALPACA_OPTION_FEED: Input should be 'opra' or 'indicative'"),
        ({"WSB_SNAKE_HTTP_PORT": "99999"}, "WSB_SNAKE_HTTP_PORT: .*less than or equal to 65535"),
        ({"WSB_SNAKE_HTTP_HOST": "0.0.0.0"}, "WSB_SNAKE_HTTP_HOST: not an address of this machine alone"),
        ({"WSB_SNAKE_HTTP_HOST": "192.168.1.5"}, "WSB_SNAKE_HTTP_HOST: not an address of this machine"),
        ({"WSB_SNAKE_CONTROL_TOKEN": "abc"}, "WSB_SNAKE_CONTROL_TOKEN: shorter than 12 characters"),
        ({"WSB_SNAKE_HTTP_PORT": ""}, "WSB_SNAKE_HTTP_PORT: .*valid integer"),
        ({"WSB_SNAKE_MAX_TRADE_DOLLARS": "-5"}, "WSB_SNAKE_MAX_TRADE_DOLLARS: .*greater than 0"),
        ({"WSB_SNAKE_MAX_TRADE_DOLLARS": "nan"}, "WSB_SNAKE_MAX_TRADE_DOLLARS: .*finite"),
        ({"WSB_SNAKE_ALERTS": "fill=quiet"}, "WSB_SNAKE_ALERTS: fill is loud or silent or off, not 'quiet'"),
        ({"WSB_SNAKE_ALERTS": "fills=off"}, "WSB_SNAKE_ALERTS: there is no alert 'fills'; name some of "),
        ({"WSB_SNAKE_ALERTS": "fill"}, "WSB_SNAKE_ALERTS: fill is loud or silent or off, not ''"),
        ({"WSB_SNAKE_ALERTS": "eod_not_flat=off"}, "WSB_SNAKE_ALERTS: eod_not_flat cannot be off"),
        ({"WSB_SNAKE_SCALP_STOP": "15"}, "WSB_SNAKE_SCALP_STOP: .*less than 1"),
        ({"ALPACA_LIVE_TRADING": "sure"}, "ALPACA_LIVE_TRADING: .*valid boolean"),
        ({"ALPACA_DATA_URL": ""}, "ALPACA_DATA_URL: not a URL that starts with https://"),
        ({"ALPACA_DATA_URL": "data.alpaca.markets"}, "ALPACA_DATA_URL: not a URL"),
        ({"ALPACA_TRADING_URL": "https://api.alpaca.markets/v2"}, "ALPACA_TRADING_URL: leave out the path"),
        ({"ALPACA_STREAM_URL": "https://api.alpaca.markets/stream"}, "ALPACA_STREAM_URL: .*wss://"),
        ({"ALPACA_DATA_URL": "http://[::1"}, "ALPACA_DATA_URL: "),
        ({"ALPACA_LIVE_TRADING": "true"}, "ALPACA_ACCOUNT_NUMBER is missing"),
        (
            {"WSB_SNAKE_MAX_POSITIONS": "6"},
            "WSB_SNAKE_MAX_POSITIONS is above 5; lower it, or set WSB_SNAKE_RAISE_LIMITS=yes",
        ),
    ],
)
def test_a_mistake_gives_one_line_that_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], complaint: str
) -> None:
    with pytest.raises(ConfigError, match=complaint) as caught:
        given(monkeypatch, **variables)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", config.LIMITS)
def test_each_limit_may_be_lowered_freely_and_raised_only_with_the_word(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    default = Settings.model_fields[name].default
    step = 1 if isinstance(default, int) else Decimal("0.01")
    monkeypatch.setenv(name.upper(), str(default - step))
    assert getattr(load(env_file=None), name) == default - step
    monkeypatch.setenv(name.upper(), str(default + step))
    for word in ("", "no", "true", "YES "):
        monkeypatch.setenv("WSB_SNAKE_RAISE_LIMITS", word)
        with pytest.raises(ConfigError, match=f"{name.upper()} is above"):
            load(env_file=None)
    monkeypatch.setenv("WSB_SNAKE_RAISE_LIMITS", "yes")
    assert getattr(load(env_file=None), name) == default + step


def test_even_raised_limits_have_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="WSB_SNAKE_MAX_TRADE_EQUITY"):
        given(monkeypatch, WSB_SNAKE_RAISE_LIMITS="yes", WSB_SNAKE_MAX_TRADE_EQUITY="1.5")


def test_live_needs_the_word_and_the_account(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = given(monkeypatch, ALPACA_LIVE_TRADING="true", ALPACA_ACCOUNT_NUMBER="123456789")
    assert settings.mode == "live"
    assert settings.trading_url == config.LIVE_TRADING_URL
    assert settings.stream_url == "wss://api.alpaca.markets/stream"


def test_embedded_means_that_every_broker_url_is_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    assert given(monkeypatch, **LOOPBACK).mode == "embedded"
    for name, outside in (
        ("ALPACA_TRADING_URL", "https://paper-api.alpaca.markets"),
        ("ALPACA_DATA_URL", "https://data.alpaca.markets"),
        ("ALPACA_STREAM_URL", "wss://paper-api.alpaca.markets/stream"),
        ("ALPACA_OPTION_STREAM_URL", "wss://stream.data.alpaca.markets/v1beta1/indicative"),
    ):
        with monkeypatch.context() as patch:
            assert given(patch, **{name: outside}).mode == "paper"


def test_the_stream_follows_the_trading_url(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = given(monkeypatch, ALPACA_TRADING_URL="http://127.0.0.1:9001/")
    assert settings.trading_url == "http://127.0.0.1:9001"
    assert settings.stream_url == "ws://127.0.0.1:9001/stream"


@pytest.mark.parametrize("text", ["broker", "2026-11-24T09:25:00-05:00", "2026-11-24T14:25:00Z"])
def test_a_clock_start_is_taken_with_loopback_urls(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    settings = given(monkeypatch, **LOOPBACK, WSB_SNAKE_CLOCK_START=text)
    assert settings.wsb_snake_clock_start == text
    if text != "broker":
        assert datetime.fromisoformat(text) == datetime(2026, 11, 24, 14, 25, tzinfo=UTC)


@pytest.mark.parametrize("text", ["2026-11-24T09:25:00", "yesterday", "09:25"])
def test_a_clock_start_without_offset_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    with pytest.raises(ConfigError, match="WSB_SNAKE_CLOCK_START is neither 'broker' nor an instant"):
        given(monkeypatch, **LOOPBACK, WSB_SNAKE_CLOCK_START=text)


@pytest.mark.parametrize("left_out", LOOPBACK)
def test_a_clock_start_is_refused_beside_any_real_broker_url(
    monkeypatch: pytest.MonkeyPatch, left_out: str
) -> None:
    urls = LOOPBACK | {"ALPACA_STREAM_URL": "wss://paper-api.alpaca.markets/stream"}
    if left_out != "ALPACA_STREAM_URL":
        urls = {name: url for name, url in LOOPBACK.items() if name != left_out}
    with pytest.raises(ConfigError, match="WSB_SNAKE_CLOCK_START is for the embedded exchange"):
        given(monkeypatch, **urls, WSB_SNAKE_CLOCK_START="broker")


def test_secrets_never_print(monkeypatch: pytest.MonkeyPatch) -> None:
    names = (
        "ALPACA_API_KEY",
        "ALPACA_SECRET_KEY",
        "POLYGON_API_KEY",
        "TELEGRAM_BOT_TOKEN",
        "WSB_SNAKE_CONTROL_TOKEN",
    )
    settings = given(monkeypatch, **{name: f"hush-{name}" for name in names})
    for text in (repr(settings), str(settings), settings.model_dump_json()):
        assert "hush" not in text
    assert settings.secrets() == tuple(f"hush-{name}" for name in names)
    assert settings.require_keys() == ("hush-ALPACA_API_KEY", "hush-ALPACA_SECRET_KEY")


def test_a_mistake_elsewhere_does_not_print_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError) as caught:
        given(
            monkeypatch,
            ALPACA_SECRET_KEY="hush",
            ALPACA_TRADING_URL="https://user:hush@x/v2",
            ALPACA_LIVE_TRADING="hush",
        )
    assert "hush" not in str(caught.value)
    assert caught.value.__cause__ is None and caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("present", "complaint"),
    [
        ((), "ALPACA_API_KEY and ALPACA_SECRET_KEY not set"),
        (("ALPACA_API_KEY",), "^ALPACA_SECRET_KEY not set"),
        (("ALPACA_SECRET_KEY",), "^ALPACA_API_KEY not set"),
    ],
)
def test_missing_keys_are_named(
    monkeypatch: pytest.MonkeyPatch, present: tuple[str, ...], complaint: str
) -> None:
    settings = given(monkeypatch, **dict.fromkeys(present, "k"))
    with pytest.raises(ConfigError, match=complaint):
        settings.require_keys()


def test_relative_places_are_found_from_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load(env_file=None)
    assert settings.data_dir == PROJECT_ROOT / "wsb_snake_data"
    assert settings.db_path == PROJECT_ROOT / "wsb_snake_data" / "wsb_snake.db"
    assert settings.session_learnings_path == PROJECT_ROOT / "wsb_snake_data" / "session_learnings.json"
    assert settings.backups == PROJECT_ROOT / "backups"
    elsewhere = given(monkeypatch, WSB_SNAKE_DATA_DIR=str(tmp_path / "state"))
    assert elsewhere.data_dir == tmp_path / "state"
    assert elsewhere.data_dir == config.DATA_DIR
    assert elsewhere.db_path == config.DB_PATH
    assert elsewhere.session_learnings_path == config.SESSION_LEARNINGS_PATH


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("http://127.0.0.1:8080", True),
        ("http://127.9.9.9", True),
        ("http://[::1]:8080", True),
        ("ws://localhost:1/stream", True),
        ("http://127.0.0.1@example.com", False),
        ("http://localhost.example.com", False),
        ("http://127.0.0.1.example.com", False),
        ("http://0.0.0.0", False),
        ("https://paper-api.alpaca.markets", False),
        ("", False),
    ],
)
def test_loopback_is_a_literal_address_or_localhost(url: str, loopback: bool) -> None:
    assert is_loopback(url) is loopback


def test_the_example_file_explains_every_setting_and_no_other() -> None:
    lines = (PROJECT_ROOT / ".env.example").read_text().splitlines()
    assert all(line.startswith("#") or not line for line in lines), "the example sets nothing"
    listed = [line[1:].split("=")[0] for line in lines if line[1:2].isupper() and "=" in line]
    assert sorted(listed) == sorted(name.upper() for name in Settings.model_fields)


def test_the_example_file_tells_how_long_a_token_must_be() -> None:
    told = (PROJECT_ROOT / ".env.example").read_text().replace("\n# ", " ")
    assert f"at least {SHORTEST_TOKEN} characters" in told


def test_the_example_file_shows_the_real_defaults(tmp_path: Path) -> None:
    lines = (PROJECT_ROOT / ".env.example").read_text().splitlines()
    file = tmp_path / ".env"
    file.write_text("\n".join(line[1:] for line in lines if line[1:2].isupper() and "=" in line))
    assert load(file) == load(env_file=None)


def test_the_heartbeat_url_is_a_secret_too() -> None:
    url = "https://hc.example/ping/c0ffee"
    assert url in load(env_file=None, wsb_snake_heartbeat_url=url).secrets()
    assert load(env_file=None).secrets() == ()


def test_passwords_in_addresses_and_in_the_copy_command_are_secrets() -> None:
    settings = load(
        env_file=None,
        telegram_base_url="https://owner:hush-one@chat.example",
        backup_copy_command="rclone --password=hush-two copy {} hush-three:there",
    )
    told = settings.secrets()
    assert {"owner:hush-one", "hush-one", "hush-two", "hush-three:there"} <= set(told)
    assert not {"copy", "{}", "rclone", ""} & set(told)


def test_alerts_have_levels_of_the_owner_s() -> None:
    settings = load(env_file=None, wsb_snake_alerts="fill=off, exit_sent=loud fill=silent")
    assert settings.alert_levels == {"fill": "silent", "exit_sent": "loud"}
    assert load(env_file=None).alert_levels == {}


def test_the_kinds_of_alerts_are_those_of_the_journal() -> None:
    quiet = {EventKind.SIGNAL, EventKind.ENTRY_REFUSED, EventKind.RECONCILED}  # which give no alert
    assert {*ALERT_KINDS} == {kind.value for kind in set(EventKind) - quiet}
    assert {*NEVER_OFF} < {*ALERT_KINDS}
