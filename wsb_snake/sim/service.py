"""The ``exchange`` command: the embedded exchange in real time, in a process of its own.

It serves one market day, the US/Eastern day of its first moment. When that day rolls over the
clock runs on and the market stays: past its session nothing trades. Daemons come and go as they like.
"""

import re
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TextIO

from wsb_snake.core.clock import Clock, ShiftedClock, SystemClock, eastern_date
from wsb_snake.core.occ import is_option, parse
from wsb_snake.core.types import Contract
from wsb_snake.sim.alpaca_api import AlpacaApi
from wsb_snake.sim.exchange import Exchange
from wsb_snake.sim.market import Market, SeededMarket
from wsb_snake.sim.polygon_api import PolygonApi
from wsb_snake.sim.recorded import DataError, RecordedMarket
from wsb_snake.sim.rules import Rules
from wsb_snake.sim.server import ExchangeServer, ServerError
from wsb_snake.sim.sessions import session_after, session_of
from wsb_snake.sim.telegram_api import SentMessage, TelegramApi

EXIT_STOPPED, EXIT_REFUSED = 0, 2
# not secrets: this exchange listens on loopback only and there is no money in it
KEY, SECRET, POLYGON_KEY, BOT_TOKEN = "embedded-key", "embedded-secret", "embedded-polygon", "4242:embedded"
_LONGEST_WAIT_S = 1.0
_NEIGHBOURS = 4
_HOLD = re.compile(r"(?P<symbol>[A-Z][A-Z0-9.]*)=(?P<qty>-?[0-9]+)@(?P<price>[0-9]+(?:\.[0-9]+)?)")
_TICKER = re.compile(r"[A-Z][A-Z.]{0,5}")


class ServiceError(Exception):
    """The exchange cannot begin; the text is one line for the user."""


@dataclass(frozen=True, slots=True)
class Hold:
    """A position that the account has from the start; ``price`` in dollars a share, ``qty`` < 0 is short."""

    symbol: str
    qty: int
    price: Decimal


def parse_hold(text: str) -> Hold:
    """``SPY261124C00600000=2@1.35``, ``AAPL=100@190.5``. Raises ValueError with one clear line."""
    match = _HOLD.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not SYMBOL=QUANTITY@PRICE, such as SPY261124C00600000=2@1.35")
    symbol, qty = match["symbol"], int(match["qty"])
    if not is_option(symbol) and _TICKER.fullmatch(symbol) is None:
        raise ValueError(f"{symbol!r} is neither a ticker nor an option symbol such as SPY261124C00600000")
    if qty == 0:
        raise ValueError(f"{text!r} holds nothing: the quantity is 0")
    return Hold(symbol, qty, Decimal(match["price"]))


def run_exchange(
    port: int,
    start_at: datetime | None,
    seed: int,
    data: Path | None,
    holds: Sequence[Hold],
    out: TextIO,
    stop: threading.Event,
    rules: Rules | None = None,
) -> int:
    """Serve until ``stop`` is set; the exit code.

    ``start_at`` (aware; None: the real time) is what "now" means at the start. ``data`` is a folder of
    recorded chain days, else the market is seeded. ``out`` gets the environment that points a daemon
    here, a NAME=value a line, then where the exchange listens, then each Telegram message that arrives.
    A mistake gives one line on stderr.
    """
    clock: Clock = SystemClock() if start_at is None else ShiftedClock(start_at)
    try:
        exchange = Exchange(clock, _market(eastern_date(clock.now()), seed, data), seed, rules)
        for hold in holds:
            _put(exchange, hold)
        telegram = TelegramApi(BOT_TOKEN, clock)
        server = _server(exchange, telegram, port)
        server.start()
    except (ServiceError, ServerError) as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_REFUSED
    try:
        environment = server.environment() | {"WSB_SNAKE_CLOCK_START": "broker"}
        out.writelines(f"{name}={value}\n" for name, value in environment.items())
        out.write(f"listening on http://127.0.0.1:{server.port}\n")
        out.flush()
        telegram.on_message(partial(_show, out))
        _keep_time(exchange, stop)
    finally:
        server.stop()
    return EXIT_STOPPED


def _server(exchange: Exchange, telegram: TelegramApi, port: int) -> ExchangeServer:
    alpaca, polygon = AlpacaApi(exchange, KEY, SECRET), PolygonApi(exchange, POLYGON_KEY)
    return ExchangeServer(exchange, alpaca, polygon, telegram, port=port)


def _show(out: TextIO, message: SentMessage) -> None:
    out.write(f"telegram: {' / '.join(message.text.splitlines())}\n")
    out.flush()


def _keep_time(exchange: Exchange, stop: threading.Event) -> None:
    while not stop.is_set():
        with exchange.lock:
            exchange.advance()
            due = exchange.next_event()
        wait_s = _LONGEST_WAIT_S
        if due is not None:
            wait_s = min(wait_s, max(0.0, (due - exchange.clock.now()).total_seconds()))
        stop.wait(wait_s)


def _market(day: date, seed: int, data: Path | None) -> Market:
    """Raises ServiceError."""
    try:
        if session_of(day) is None:
            other = session_after(day).day
            raise ServiceError(f"{day} is not a trading day; the next one is {other}")
        return SeededMarket(day, seed) if data is None else RecordedMarket(data, day, seed)
    except (ValueError, DataError) as error:
        raise ServiceError(str(error)) from None


def _put(exchange: Exchange, hold: Hold) -> None:
    """Raises ServiceError when there is no such thing on this exchange."""
    symbols = exchange.market.symbols()
    contract = parse(hold.symbol) if is_option(hold.symbol) else None
    name = hold.symbol if contract is None else contract.underlying
    if name not in symbols:
        raise ServiceError(f"{hold.symbol}: {name} is not listed here; listed are {', '.join(symbols)}")
    if contract is not None and exchange.listed(hold.symbol) is None:
        raise ServiceError(f"{hold.symbol} is not listed; {_nearest(exchange.market, contract)}")
    try:
        exchange.hold(hold.symbol, hold.qty, hold.price)
    except ValueError as error:
        raise ServiceError(str(error)) from None


def _nearest(market: Market, wanted: Contract) -> str:
    """What is listed instead: strikes of that expiry, or else expiries."""
    listed = [row.contract for row in market.contracts(wanted.underlying)]
    strikes = {c.strike for c in listed if (c.expiry, c.right) == (wanted.expiry, wanted.right)}
    if strikes:
        nearest = sorted(strikes, key=lambda strike: (abs(strike - wanted.strike), strike))[:_NEIGHBOURS]
        return f"the nearest strikes are {', '.join(f'{strike.normalize():f}' for strike in sorted(nearest))}"
    expiries = sorted({c.expiry for c in listed}, key=lambda day: (abs(day - wanted.expiry), day))
    nearest_days = sorted(expiries[:_NEIGHBOURS])
    return f"the nearest expiries are {', '.join(map(str, nearest_days))}"
