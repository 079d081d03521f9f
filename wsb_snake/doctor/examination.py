"""The examination: asks broker, data vendors and Telegram, each call within its own time."""

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import TypeVar

from wsb_snake.collectors.alpaca_data import AlpacaData
from wsb_snake.collectors.polygon_data import PolygonData
from wsb_snake.collectors.sources import DataError
from wsb_snake.config import ConfigError, Settings
from wsb_snake.core.calendar import MarketCalendar
from wsb_snake.core.clock import SystemClock, eastern_date
from wsb_snake.core.lanes import ThreadLanes
from wsb_snake.core.transport import Transport
from wsb_snake.core.types import Quote
from wsb_snake.daemon_start import StartRefused, clock_for
from wsb_snake.doctor import judging, local
from wsb_snake.doctor.findings import Finding, failure
from wsb_snake.keeping.alarm import bot_trouble, tell_owner
from wsb_snake.trading.alpaca_broker import AlpacaBroker
from wsb_snake.trading.broker import BrokerClock, BrokerError, Unavailable
from wsb_snake.vendors import MARKET_DATA, connect_broker

DAYS_AHEAD = 10
RECENT = timedelta(minutes=30)
TEST_MESSAGE = "A test message from `doctor`: alerts reach you."

T = TypeVar("T")


def examine(settings: Settings, *, message: bool) -> Iterator[Finding]:
    """One finding after the other; ``message`` sends a test message by Telegram, nothing else is sent."""
    try:
        broker = connect_broker(settings, ThreadLanes(SystemClock()))
    except ConfigError as error:
        yield failure("keys", str(error), "the rest that needs them is left out")
        yield from local.examine(settings, Unavailable("no keys"), SystemClock().now())
        yield _telegram(settings, message=message)
        return
    account = _asked(broker.account)
    yield from judging.account(account, settings)
    if isinstance(account, BrokerError):  # what follows would fail for the same reason
        yield from local.examine(settings, account, SystemClock().now())
    else:
        try:
            lanes = ThreadLanes(clock_for(settings, broker))
        except (ConfigError, StartRefused) as error:
            yield failure("clock", str(error), "check WSB_SNAKE_CLOCK_START")
            lanes = ThreadLanes(SystemClock())
        yield from _market(settings, broker, lanes)
        yield from local.examine(settings, account, lanes.clock.now())
    yield _telegram(settings, message=message)


def _asked(ask: Callable[[], T]) -> T | BrokerError:
    try:
        return ask()
    except BrokerError as error:
        return error


def _market(settings: Settings, broker: AlpacaBroker, lanes: ThreadLanes) -> Iterator[Finding]:
    clock = lanes.clock
    asked_at = clock.now()
    told: BrokerClock | BrokerError = _asked(broker.clock)
    took = clock.now() - asked_at
    at = told if isinstance(told, BrokerError) else told.at
    yield judging.clock(asked_at + took / 2, at, took.total_seconds())

    now = asked_at if isinstance(at, BrokerError) else at
    today = eastern_date(now)
    days = [today + timedelta(days=n) for n in range(DAYS_AHEAD + 1)]
    rows = _asked(lambda: broker.calendar(days[0] - timedelta(days=DAYS_AHEAD), days[-1]))
    calendar = rows if isinstance(rows, BrokerError) else MarketCalendar(rows)
    yield from judging.calendar(calendar, days, today)

    key, secret = settings.require_keys()
    transport = Transport(lanes, MARKET_DATA)
    data = AlpacaData(
        key,
        secret,
        settings.alpaca_data_url,
        settings.alpaca_stock_feed,
        settings.alpaca_option_feed,
        lanes,
        transport,
    )
    bars = _bars(lambda: len(data.bars(("SPY",), now - RECENT, now)["SPY"]))
    in_session = not isinstance(told, BrokerError) and told.is_open
    yield judging.stock_feed(bars, settings, in_session=in_session)
    known = MarketCalendar() if isinstance(calendar, BrokerError) else calendar
    yield judging.option_feed(
        _quote(broker, data, (known.session(today) or known.next_session(today)).day), settings
    )
    if settings.polygon_api_key is None:
        yield judging.polygon(None, settings)
        return
    polygon = PolygonData(
        settings.polygon_api_key.get_secret_value(),
        settings.polygon_base_url,
        settings.polygon_plan,
        lanes,
        transport,
    )
    before = known.previous_session(today).day
    yield judging.polygon(_bars(lambda: len(polygon.daily_bars(("SPY",), before, before))), settings)


def _bars(count: Callable[[], int]) -> int | DataError:
    try:
        return count()
    except DataError as error:
        return error


def _quote(broker: AlpacaBroker, data: AlpacaData, day: date) -> Quote | BrokerError | DataError | None:
    """Of a contract in the middle of SPY's list, in which quotes are sure to be made."""
    listed = _asked(lambda: broker.contracts_expiring(("SPY",), day))
    if isinstance(listed, BrokerError):
        return listed
    if not listed:
        return None
    middle = sorted(listed, key=lambda contract: contract.strike)[len(listed) // 2].symbol
    try:
        return data.option_quotes((middle,)).get(middle)
    except DataError as error:
        return error


def _telegram(settings: Settings, *, message: bool) -> Finding:
    if settings.telegram_bot_token is None or settings.telegram_chat_id is None:
        return judging.telegram(None, tried=False, sent=False)
    if message:
        return judging.telegram(tell_owner(settings, TEST_MESSAGE), tried=True, sent=True)
    return judging.telegram(bot_trouble(settings), tried=True, sent=False)
