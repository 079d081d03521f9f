import io
import logging
from collections.abc import Iterator

import pytest

from wsb_snake.core import logs

TOKEN = "1234567:AAExampleOfABotToken"
SHORT = "AAExample"


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The root logger, put back afterwards."""
    found = logging.getLogger()
    before = found.handlers[:], found.level
    yield found
    found.handlers[:], level = before
    found.setLevel(level)


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
