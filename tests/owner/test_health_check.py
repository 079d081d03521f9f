import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.owner.sample import facts
from tests.owner.test_web import serving
from wsb_snake import config
from wsb_snake.owner.health_check import Verdict, address, check, judge, settings_file, unreachable
from wsb_snake.owner.status import health_json, status_json

MONDAY = datetime(2026, 11, 23, 16, 0, tzinfo=UTC)
SUNDAY = datetime(2026, 11, 22, 16, 0, tzinfo=UTC)
THANKSGIVING = datetime(2026, 11, 26, 16, 0, tzinfo=UTC)
AFTER_CLOSE = datetime(2026, 11, 23, 21, 0, tzinfo=UTC)
LATE = datetime(2026, 11, 23, 20, 56, tzinfo=UTC)
EVENING = datetime(2026, 11, 23, 21, 5, tzinfo=UTC)


def bodies(**changes: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    told = facts(**changes)
    return dict(health_json(told)), dict(status_json(told))


def verdict(**changes: Any) -> Verdict:
    return judge(*bodies(**changes), MONDAY)


@pytest.mark.parametrize(
    ("changes", "code", "says"),
    [
        ({}, 0, "healthy: paper, 0 open"),
        ({"pause_reasons": (("stream", "x"),), "trading_paused": True}, 1, "entries paused (stream)"),
        ({"db_writable": False}, 2, "unhealthy: the database cannot be written"),
        ({"now": AFTER_CLOSE}, 2, "EOD did NOT run today, last run 2026-11-20T15:55:00"),
        ({"now": AFTER_CLOSE, "last_eod_run_et": None}, 2, "EOD did NOT run today, last run never"),
        ({"now": AFTER_CLOSE, "last_eod_run_et": "2026-11-23T15:55:00"}, 0, "healthy"),
        ({"now": EVENING, "last_eod_run_et": None, "started_at": LATE}, 2, "EOD did NOT run today"),
        ({"now": EVENING, "last_eod_run_et": None, "started_at": AFTER_CLOSE}, 0, "healthy"),
        ({"session": None, "db_writable": False}, 0, "quiet, no session today (unhealthy)"),
    ],
)
def test_each_state_has_its_code_and_one_line(changes: dict[str, Any], code: int, says: str) -> None:
    got = verdict(**{"market_open": "now" not in changes, **changes})
    assert got.code == code
    assert says in got.line and "\n" not in got.line


@pytest.mark.parametrize(("writable", "code"), [(False, 2), (True, 0)])
def test_unhushed_it_says_what_health_says_on_any_day(writable: bool, code: int) -> None:
    health, status = bodies(session=None, market_open=False, db_writable=writable)
    for told in (status, {}):
        got = judge(health, told, SUNDAY, hush=False)
        assert (got.code, got.line.partition(":")[0]) == (code, health["status"])


def test_without_the_detail_the_calendar_of_the_library_says_whether_it_is_over() -> None:
    health, _ = bodies(market_open=False)
    assert judge(health, {}, AFTER_CLOSE).code == 2
    assert judge(health, {}, MONDAY).code == 0
    assert judge(health, {}, THANKSGIVING).line.startswith("quiet")


@pytest.mark.parametrize(("at", "code"), [(MONDAY, 2), (SUNDAY, 0), (THANKSGIVING, 0)])
def test_a_dead_daemon_is_trouble_on_session_days_only(at: datetime, code: int) -> None:
    assert unreachable("nobody", at).code == code


def test_over_the_wire() -> None:
    with serving(lambda: facts(chat_up=False)) as url:
        assert check("127.0.0.1", int(url.rpartition(":")[2]), MONDAY).code == 1
    assert check("127.0.0.1", int(url.rpartition(":")[2]), MONDAY).line.startswith("UNREACHABLE: no daemon")


@contextmanager
def answering(code: int, body: bytes) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(code)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.mark.parametrize(
    ("code", "body"), [(200, b"<html>"), (404, b"{}"), (200, b"[]"), (200, b'{"status": "fine"}')]
)
def test_another_server_on_the_port_is_unknown(code: int, body: bytes) -> None:
    with answering(code, body) as port:
        got = check("127.0.0.1", port, MONDAY)
    assert got.code == 3 and "is not the daemon" in got.line


AWKWARD = (
    "",
    "#WSB_SNAKE_HTTP_PORT=1\nWSB_SNAKE_HTTP_PORT=8123\n",
    "WSB_SNAKE_HTTP_PORT=8123 # the page\n",
    "WSB_SNAKE_HTTP_PORT=8123#the page\n",
    "WSB_SNAKE_HTTP_PORT='8123' # the page\nWSB_SNAKE_HTTP_HOST=\"127.0.0.2\"#mine\n",
    'export WSB_SNAKE_HTTP_PORT="8123"\nWSB_SNAKE_HTTP_HOST = localhost\n',
    "BASE=81\nWSB_SNAKE_HTTP_PORT=${BASE}23\nWSB_SNAKE_HTTP_HOST=127.0.0.${LAST:-3}\n",
    "WSB_SNAKE_HTTP_PORT=${PORT_OF_THE_SHELL}\n",
    "BASE=81\nWSB_SNAKE_HTTP_PORT='${BASE}23'\n",
    "  WSB_SNAKE_HTTP_PORT  =  8123  \n",
    "wsb_snake_http_port=8123\nWSB_SNAKE_HTTP_PORT=8124\n",
    "WSB_SNAKE_HTTP_PORT=8123\nWSB_SNAKE_HTTP_PORT=8124\n",
    "WSB_SNAKE_HTTP_PORT\nWSB_SNAKE_HTTP_HOST=127.0.0.1\n",
    "WSB_SNAKE_HTTP_PORT=\n",
    "WSB_SNAKE_HTTP_HOST=0.0.0.0\n",
    "WSB_SNAKE_HTTP_PORT=70000\n",
    "WSB_SNAKE_HTTP_PORT=08123\nWSB_SNAKE_HTTP_HOST=127.0.0.9\n",
    "WSB_SNAKE_HTTP_PORT=8123.0\n",
    "WSB_SNAKE_HTTP_PORT=many\n",
    "WSB_SNAKE_HTTP_PORT=65535\n",
    'NOTE="WSB_SNAKE_HTTP_PORT=1\nWSB_SNAKE_HTTP_PORT=2"\nWSB_SNAKE_HTTP_PORT=8123\n',
    "WSB_SNAKE_HTTP_PORT=8123\n'a line that nobody understands\n",
    "WSB_SNAKE_HTTP_PORT=8123\r\nWSB_SNAKE_HTTP_HOST=127.0.0.1\r\n",
)


@pytest.mark.parametrize("text", AWKWARD)
@pytest.mark.parametrize(
    "environment",
    [{}, {"WSB_SNAKE_HTTP_PORT": "9000"}, {"wsb_snake_http_port": " 9001 "}, {"WSB_SNAKE_HTTP_PORT": ""}],
)
def test_the_address_is_read_as_the_daemon_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: Mapping[str, str], text: str
) -> None:
    for name in ("WSB_SNAKE_HTTP_HOST", "WSB_SNAKE_HTTP_PORT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"PORT_OF_THE_SHELL": "8125", **environment}.items():
        monkeypatch.setenv(name, value)
    file = tmp_path / ".env"
    file.write_text(text)
    try:
        settings = config.load(file)
    except config.ConfigError as error:
        with pytest.raises(ValueError, match=re.escape(str(error))):
            address(file)
    else:
        assert address(file) == (settings.wsb_snake_http_host, settings.wsb_snake_http_port)


def test_without_a_file_and_in_a_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert address(tmp_path / "none") == ("127.0.0.1", config.load(None).wsb_snake_http_port)
    for handed in (tmp_path / "nothing", tmp_path):
        (tmp_path / "wsb-snake.env").write_text("WSB_SNAKE_HTTP_PORT=8123 # the page\n")
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(handed))
        assert settings_file() == config.settings_file()
    assert address(settings_file()) == ("127.0.0.1", 8123)
