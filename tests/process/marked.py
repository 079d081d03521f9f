"""An exchange whose keys are marked, and that can tell callers in each refusal all that they sent."""

import json
import secrets
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from urllib.parse import unquote_plus

from tests.process.venue import LiveMarket, _keep_time
from tests.sim.bench import AAPL_LATER
from wsb_snake.core.clock import ShiftedClock
from wsb_snake.sim.alpaca_api import AlpacaApi
from wsb_snake.sim.api import ApiReply, ApiRequest
from wsb_snake.sim.exchange import Exchange
from wsb_snake.sim.polygon_api import PolygonApi
from wsb_snake.sim.rules import Rules
from wsb_snake.sim.server import ExchangeServer
from wsb_snake.sim.telegram_api import TelegramApi

TELLING = 12
"""So many characters of a mark are as bad as all of it: texts get cut."""

NAMES = (
    "ALPACA_API_KEY",
    "ALPACA_SECRET_KEY",
    "ALPACA_TRADING_URL",
    "POLYGON_API_KEY",
    "TELEGRAM_BOT_TOKEN",
    "WSB_SNAKE_CONTROL_TOKEN",
    "WSB_SNAKE_HEARTBEAT_URL",
    "BACKUP_COPY_COMMAND",
    "TELEGRAM_BASE_URL",
)


@dataclass(frozen=True)
class Marks:
    """One mark for each secret setting, no two alike."""

    by_name: dict[str, str] = field(default_factory=lambda: {name: secrets.token_hex(16) for name in NAMES})

    def __getitem__(self, name: str) -> str:
        return self.by_name[name]

    def within(self, content: bytes) -> list[str]:
        """The settings of which something stands in ``content``, plain, reversed in case or in base64."""
        lower = content.lower()
        return [name for name, mark in self.by_name.items() if any(f in lower for f in _forms(mark))]


def _forms(mark: str) -> tuple[bytes, ...]:
    encoded = tuple(b64encode(b"." * shift + mark.encode())[4:-4].lower() for shift in range(3))
    return (mark[:TELLING].encode(), mark[-TELLING:].encode(), *encoded)


@dataclass
class Told:
    """What was asked while the exchange told all; ``status`` None: it answers as it should."""

    status: int | None = None
    telegram: int | None = None
    seen: list[bytes] = field(default_factory=list)

    def echo(self, request: ApiRequest, status: int) -> ApiReply:
        sent = f"you sent {request.headers} to {request.method} {request.path}?{request.query}"
        self.seen.append(sent.encode())
        body = {"message": sent[-900:], "error": sent, "code": 40010000, "ok": False, "description": sent}
        return ApiReply(status, json.dumps(body).encode())


class Alpaca(AlpacaApi):
    told: Told

    def handle(self, request: ApiRequest) -> ApiReply:
        if self.told.status is not None:
            return self.told.echo(request, self.told.status)
        return super().handle(request)


class Polygon(PolygonApi):
    told: Told

    def handle(self, request: ApiRequest) -> ApiReply:
        if self.told.status is not None:
            return self.told.echo(request, self.told.status)
        return super().handle(request)


class Telegram(TelegramApi):
    told: Told
    texts: list[str]

    def said(self) -> list[str]:
        """All that was sent to it, as people would read it."""
        return [unquote_plus(text) for text in self.texts]

    def handle(self, request: ApiRequest) -> ApiReply:
        if self.told.telegram is not None:
            return self.told.echo(request, self.told.telegram)
        self.texts.append(request.body.decode(errors="replace"))
        return super().handle(request)


@dataclass(frozen=True)
class MarkedExchange:
    told: Told
    telegram: Telegram
    environment: dict[str, str]


@contextmanager
def marked_exchange(marks: Marks, start_at: str) -> Iterator[MarkedExchange]:
    """Serve until the block ends; ``environment`` plants every mark."""
    clock = ShiftedClock(datetime.fromisoformat(start_at))
    exchange = Exchange(clock, LiveMarket(), 7, Rules(partial_fill_chance=0, fill_beats_cancel_chance=0))
    exchange.hold(AAPL_LATER, 1, Decimal("1.02"))  # what is held is asked for often
    alpaca = Alpaca(exchange, marks["ALPACA_API_KEY"], marks["ALPACA_SECRET_KEY"])
    polygon = Polygon(exchange, marks["POLYGON_API_KEY"])
    telegram = Telegram(f"4242:{marks['TELEGRAM_BOT_TOKEN']}", clock)
    told = alpaca.told = polygon.told = telegram.told = Told()
    telegram.texts = []
    server = ExchangeServer(exchange, alpaca, polygon, telegram)
    server.start()
    stop = threading.Event()
    keeper = threading.Thread(target=_keep_time, args=(exchange, stop), name="time")
    keeper.start()
    try:
        base = f"127.0.0.1:{server.port}"
        environment = server.environment() | {
            "WSB_SNAKE_CLOCK_START": "broker",
            "ALPACA_TRADING_URL": f"http://owner:{marks['ALPACA_TRADING_URL']}@{base}",
            "WSB_SNAKE_CONTROL_TOKEN": marks["WSB_SNAKE_CONTROL_TOKEN"],
            "WSB_SNAKE_HEARTBEAT_URL": f"http://{base}/ping/{marks['WSB_SNAKE_HEARTBEAT_URL']}",
            "TELEGRAM_BASE_URL": f"http://owner:{marks['TELEGRAM_BASE_URL']}@{base}",
            "BACKUP_COPY_COMMAND": (
                f"python3 -c 'import sys; sys.exit(sys.argv[1])' --password={marks['BACKUP_COPY_COMMAND']}"
            ),
        }
        yield MarkedExchange(told, telegram, environment)
    finally:
        stop.set()
        keeper.join()
        server.stop()
