"""Positions, orders, quotes and readings for tests; every field has a sensible value."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from wsb_snake.core.occ import parse
from wsb_snake.core.orders import (
    Order,
    OrderStatus,
    OrderType,
    Origin,
    PositionIntent,
    PositionState,
    Purpose,
    Side,
)
from wsb_snake.core.signals import Direction, ExitPlan, Signal, TradeIntent
from wsb_snake.core.types import Quote
from wsb_snake.trading.broker import Account, BrokerOrder, BrokerPosition
from wsb_snake.trading.positions import Position

DAY = date(2026, 11, 24)
OPEN = datetime(2026, 11, 24, 14, 30, tzinfo=UTC)
CLOSE = datetime(2026, 11, 24, 21, 0, tzinfo=UTC)
NOON = datetime(2026, 11, 24, 17, 0, tzinfo=UTC)
SPY = "SPY261124C00600000"
SCALP = ExitPlan(target=Decimal("0.20"), stop=Decimal("0.15"), max_hold_s=2700)


def money(text: str) -> Decimal:
    return Decimal(text)


def quote(bid: str, ask: str, at: datetime = NOON, symbol: str = SPY) -> Quote:
    return Quote(symbol, money(bid), money(ask), 10, 10, at)


def position(**changes: Any) -> Position:
    values: dict[str, Any] = {
        "position_id": "20261124-s-aaaaaaaaaaaa",
        "symbol": SPY,
        "underlying": "SPY",
        "expiry": DAY,
        "origin": Origin.OURS,
        "engine": "spy_scalper",
        "setup": "breakout",
        "signal_id": "sig-1",
        "state": PositionState.OPEN,
        "plan": SCALP,
        "opened_at": NOON - timedelta(minutes=5),
        "qty": 4,
        "bought_qty": 4,
        "entry_price": money("2.00"),
    }
    return Position(**{**values, **changes})


def order(**changes: Any) -> Order:
    values: dict[str, Any] = {
        "client_order_id": "wsb-20261124-s-aaaaaaaaaaaa-e-1",
        "position_id": "20261124-s-aaaaaaaaaaaa",
        "purpose": Purpose.ENTRY,
        "symbol": SPY,
        "side": Side.BUY,
        "intent": PositionIntent.BUY_TO_OPEN,
        "type": OrderType.LIMIT,
        "qty": 4,
        "limit_price": money("2.00"),
        "status": OrderStatus.NEW,
        "created_at": NOON,
        "sent_at": NOON,
        "broker_id": "b-1",
    }
    return Order(**{**values, **changes})


def exit_order(**changes: Any) -> Order:
    values: dict[str, Any] = {
        "client_order_id": "wsb-20261124-s-aaaaaaaaaaaa-x-1",
        "purpose": Purpose.EXIT,
        "side": Side.SELL,
        "intent": PositionIntent.SELL_TO_CLOSE,
        "limit_price": money("1.98"),
        "reason": "stop",
    }
    return order(**{**values, **changes})


def held(symbol: str = SPY, qty: int = 4, available: int | None = None) -> BrokerPosition:
    free = qty if available is None else available
    is_option = len(symbol) > 6
    return BrokerPosition(symbol, is_option, Decimal(qty), Decimal(free), money("2.00"), None)


def at_broker(**changes: Any) -> BrokerOrder:
    values: dict[str, Any] = {
        "id": "b-1",
        "client_order_id": "wsb-20261124-s-aaaaaaaaaaaa-e-1",
        "symbol": SPY,
        "is_option": True,
        "side": Side.BUY,
        "intent": PositionIntent.BUY_TO_OPEN,
        "type": "limit",
        "qty": Decimal(4),
        "limit_price": money("2.00"),
        "status": OrderStatus.NEW,
        "filled_qty": Decimal(0),
        "filled_avg_price": None,
        "created_at": NOON,
        "updated_at": NOON,
    }
    return BrokerOrder(**{**values, **changes})


def account(**changes: Any) -> Account:
    values: dict[str, Any] = {
        "number": "PA1",
        "status": "ACTIVE",
        "equity": Decimal(100_000),
        "last_equity": Decimal(100_000),
        "cash": Decimal(100_000),
        "options_buying_power": Decimal(100_000),
        "options_level": 3,
        "blocked": False,
    }
    return Account(**{**values, **changes})


def intent(symbol: str = SPY, bid: str = "1.98", ask: str = "2.00", signal_id: str = "sig-9") -> TradeIntent:
    contract = parse(symbol)
    signal = Signal(
        signal_id, NOON, "spy_scalper", "breakout", contract.underlying, Direction.LONG, 80, 600, ()
    )
    return TradeIntent(signal, contract, quote(bid, ask, symbol=symbol), SCALP)
