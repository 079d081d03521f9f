"""The vendors' clients, wired from the settings: broker, market data, streams, chat.

The same wiring serves the daemon on the internet, beside the embedded exchange on loopback, and in
process, where ``handler`` answers in the place of sockets.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from wsb_snake.collectors.alpaca_data import AlpacaData, OptionQuoteStream
from wsb_snake.collectors.market_data import MarketData
from wsb_snake.collectors.polygon_data import PolygonData, load_library
from wsb_snake.config import Settings
from wsb_snake.core.lanes import Lanes
from wsb_snake.core.transport import Handler, Policy, Transport
from wsb_snake.core.types import Quote
from wsb_snake.notifications.telegram_bot import TelegramChat
from wsb_snake.trading.alpaca_broker import AlpacaBroker, AlpacaTradeStream
from wsb_snake.trading.broker import TradeUpdate

ORDER_PATH = Policy(connect_s=3.0, read_s=5.0, total_s=8.0)
MARKET_DATA = Policy(connect_s=3.0, read_s=8.0, total_s=15.0)

log = logging.getLogger(__name__)


def connect_broker(settings: Settings, lanes: Lanes, handler: Handler | None = None) -> AlpacaBroker:
    """Alpaca's trading API. Raises ConfigError when the keys are missing."""
    key, secret = settings.require_keys()
    return AlpacaBroker(key, secret, settings.trading_url, lanes, Transport(lanes, ORDER_PATH, handler))


def connect_market(settings: Settings, lanes: Lanes, handler: Handler | None = None) -> MarketData:
    """Alpaca's market data, with Polygon behind it where there is a key for it."""
    key, secret = settings.require_keys()
    transport = Transport(lanes, MARKET_DATA, handler)
    alpaca = AlpacaData(
        key,
        secret,
        settings.alpaca_data_url,
        settings.alpaca_stock_feed,
        settings.alpaca_option_feed,
        lanes,
        transport,
    )
    polygon = None
    if settings.polygon_api_key is not None:
        polygon = PolygonData(
            settings.polygon_api_key.get_secret_value(),
            settings.polygon_base_url,
            settings.polygon_plan,
            lanes,
            transport,
        )
    return MarketData(alpaca, polygon, lanes.clock)


def load_fallback(settings: Settings) -> None:
    """Import what the fallback of ``connect_market`` works with, no sooner than somebody may ask it.

    Raises DataError where the installation is broken; whoever asks the fallback then gets the same.
    """
    if settings.polygon_api_key is not None:
        load_library()


def connect_chat(settings: Settings) -> TelegramChat | None:
    """Telegram, or None without a token or a chat."""
    if settings.telegram_bot_token is None or settings.telegram_chat_id is None:
        return None
    token = settings.telegram_bot_token.get_secret_value()
    return TelegramChat(token, settings.telegram_chat_id, settings.telegram_base_url)


@dataclass(frozen=True, slots=True)
class Sinks:
    """Where streams deliver; each only enqueues and may be called from any thread."""

    update: Callable[[TradeUpdate], None]
    trade_state: Callable[[bool], None]
    quote: Callable[[Quote], None]
    quote_state: Callable[[bool], None]


class Streams:
    """The trade stream and, where configured, the option quote stream, each in a thread of its own."""

    def __init__(self, settings: Settings, lanes: Lanes, sinks: Sinks) -> None:
        key, secret = settings.require_keys()

        def trades() -> AlpacaTradeStream:
            return AlpacaTradeStream(
                key, secret, settings.stream_url, lanes.clock, sinks.update, sinks.trade_state, _malformed
            )

        self._make_trades = trades
        self.trades = trades()
        self.quotes: OptionQuoteStream | None = None
        if settings.alpaca_option_stream_url:
            self.quotes = OptionQuoteStream(
                key, secret, settings.alpaca_option_stream_url, sinks.quote, sinks.quote_state, _malformed
            )

    def start(self) -> None:
        """Connect; the quote stream connects with its first subscription."""
        self.trades.start()

    def renew_trades(self) -> None:
        """Give the trade stream up and connect another; takes at most 2 s."""
        self.trades.stop()
        self.trades = self._make_trades()
        self.trades.start()

    def stop(self) -> None:
        self.trades.stop()
        if self.quotes is not None:
            self.quotes.stop()


def _malformed(text: str) -> None:
    log.warning("a stream message cannot be read: %s", text[:200])
