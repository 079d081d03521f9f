import io
import json
import logging
import stat
import sys
import threading
import time
from collections.abc import Iterator
from logging.handlers import QueueHandler
from pathlib import Path

import pytest

from wsb_snake.core import logs

TOKEN = "1234567:AAExampleOfABotToken"
SHORT = "AAExample"


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The root logger, put back afterwards."""
    found = logging.getLogger()
    before = found.handlers[:], found.level
    hooks = sys.excepthook, threading.excepthook
    yield found
    found.handlers[:], level = before
    found.setLevel(level)
    sys.excepthook, threading.excepthook = hooks
    logging.captureWarnings(False)


def logged(root: logging.Logger, *secrets: str) -> tuple[logging.Logger, io.StringIO]:
    logs.set_up(secrets)
    (handler,) = root.handlers
    assert isinstance(handler, logging.StreamHandler)
    out = io.StringIO()
    handler.setStream(out)
    return logging.getLogger("some.module"), out


def test_secrets_are_redacted_in_messages_and_arguments(root: logging.Logger) -> None:
    log, out = logged(root, TOKEN)
    log.info("calling https://api.telegram.org/bot%s/getMe %r", TOKEN, {"key": TOKEN})
    assert TOKEN not in out.getvalue()
    assert "bot***/getMe {'key': '***'}" in out.getvalue()


def test_secrets_are_redacted_in_tracebacks_and_their_causes(root: logging.Logger) -> None:
    log, out = logged(root, TOKEN)
    try:
        try:
            raise ConnectionError(f"no route to /bot{TOKEN}")
        except ConnectionError as cause:
            raise RuntimeError(f"gave up on {TOKEN}") from cause
    except RuntimeError:
        log.exception("failed", stack_info=True)
    assert "ConnectionError" in out.getvalue() and "RuntimeError" in out.getvalue()
    assert TOKEN not in out.getvalue()


def test_a_secret_as_a_url_quotes_it_is_redacted(root: logging.Logger) -> None:
    log, out = logged(root, "a/b+c=")
    log.info("GET /v2?key=a%2Fb%2Bc%3D")
    assert "GET /v2?key=***" in out.getvalue()


def test_a_secret_within_another_leaves_nothing_of_the_longer(root: logging.Logger) -> None:
    log, out = logged(root, SHORT, TOKEN)
    log.info(TOKEN)
    assert "OfABotToken" not in out.getvalue()


def test_an_empty_secret_redacts_nothing(root: logging.Logger) -> None:
    log, out = logged(root, "")
    log.info("plain")
    assert out.getvalue().endswith("some.module: plain\n")


def test_times_are_utc(root: logging.Logger) -> None:
    made = logging.makeLogRecord({"name": "n", "levelname": "INFO", "msg": "m", "created": 1795532400.9})
    assert logs.RedactingFormatter(()).format(made) == "2026-11-24T15:00:00Z INFO    n: m"


def test_vendors_speak_from_warning_up(root: logging.Logger) -> None:
    _, out = logged(root)
    for name in ("httpx", "urllib3.connectionpool", "websockets.client", "telegram.ext"):
        logging.getLogger(name).info("chatter of %s", name)
        logging.getLogger(name).warning("warning of %s", name)
    assert "chatter" not in out.getvalue()
    assert out.getvalue().count("warning of") == 4


def test_a_json_line_holds_a_whole_traceback_without_the_secret(root: logging.Logger) -> None:
    awkward = 'with "quotes" and \\'
    logs.set_up((awkward,), as_json=True)
    (handler,) = root.handlers
    assert isinstance(handler, logging.StreamHandler)
    out = io.StringIO()
    handler.setStream(out)
    try:
        raise ValueError(f"bad {awkward}")
    except ValueError:
        logging.getLogger("some.module").exception("failed with %s", awkward)
    (line,) = out.getvalue().splitlines()
    told = json.loads(line)
    assert (told["level"], told["logger"], told["message"]) == ("ERROR", "some.module", "failed with ***")
    assert told["error"].endswith("ValueError: bad ***")
    assert "quotes" not in line


def test_a_file_turns_over_by_size_and_is_its_owners_alone(root: logging.Logger, tmp_path: Path) -> None:
    file = tmp_path / "logs" / "snake.log"
    logs.set_up((TOKEN,), file=logs.LogFile(file, 1, 2))
    (lines,) = (each for each in root.handlers if isinstance(each, QueueHandler))
    root.handlers[:] = [lines]
    for number in range(3_500):
        logging.getLogger("some.module").info("%d %s %s", number, TOKEN, "x" * 1_000)
    ends = time.monotonic() + 60
    while "3499 ***" not in file.read_text() and time.monotonic() < ends:
        time.sleep(0.01)
    kept = sorted(each.name for each in file.parent.iterdir())
    assert kept == ["snake.log", "snake.log.1", "snake.log.2"]
    for each in file.parent.iterdir():
        assert each.stat().st_size <= 1_000_000
        assert stat.S_IMODE(each.stat().st_mode) == 0o600
        assert TOKEN not in each.read_text()
    assert "3499 ***" in file.read_text()


def test_a_file_that_cannot_be_opened_is_told_of(root: logging.Logger, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    logs.set_up((), file=logs.LogFile(tmp_path / "taken" / "snake.log", 1, 1))
    assert len(root.handlers) == 1


def test_an_error_that_ends_a_thread_is_redacted(root: logging.Logger) -> None:
    _, out = logged(root, TOKEN)

    def fail() -> None:
        raise RuntimeError(f"no {TOKEN}")

    thread = threading.Thread(target=fail, name="reader")
    thread.start()
    thread.join()
    assert "thread reader ended by an error" in out.getvalue()
    assert "RuntimeError: no ***" in out.getvalue()


def test_a_line_that_cannot_be_formatted_is_said_without_its_arguments(
    root: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    log, _ = logged(root, TOKEN)
    log.info("%d orders", TOKEN)
    told = capsys.readouterr().err
    assert "a line of some.module could not be logged" in told and TOKEN not in told
