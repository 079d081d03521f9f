"""Alpaca's JSON shapes. In the trading API amounts are text, in market data they are numbers."""

import json
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from wsb_snake.core.clock import eastern
from wsb_snake.core.pricing import Greeks
from wsb_snake.core.types import CONTRACT_SHARES, Bar, Quote, Right
from wsb_snake.sim.account import Activity, Figures, Position
from wsb_snake.sim.chains import ListedContract
from wsb_snake.sim.orders import SimOrder, TradeUpdateMessage, plain
from wsb_snake.sim.sessions import SimSession, session_after

Json = dict[str, Any]

_SHARES_PER_TRADE = 100  # bars carry no trade count; the feed's field wants one


def encode(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def rfc3339(at: datetime) -> str:
    """``at`` (aware UTC) as Alpaca writes it."""
    return at.isoformat().replace("+00:00", "Z")


def order_json(order: SimOrder) -> Json:
    average = order.filled_avg_price
    shape: Json = {
        "id": order.id,
        "client_order_id": order.client_order_id,
        "created_at": rfc3339(order.submitted_at),
        "updated_at": rfc3339(order.updated_at),
        "submitted_at": rfc3339(order.submitted_at),
        "filled_at": _maybe(order.filled_at),
        "expired_at": _maybe(order.expired_at),
        "expires_at": rfc3339(order.expires_at),
        "canceled_at": _maybe(order.canceled_at),
        "failed_at": _maybe(order.failed_at),
        "replaced_at": None,
        "replaced_by": None,
        "replaces": None,
        "asset_id": order.asset_id,
        "symbol": order.symbol,
        "asset_class": "us_option" if order.is_option else "us_equity",
        "notional": None,
        "qty": str(order.qty),
        "filled_qty": str(order.filled_qty),
        "filled_avg_price": None if average is None else plain(average),
        "order_class": "simple" if order.is_option else "",
        "order_type": order.type,
        "type": order.type,
        "side": order.side,
        "time_in_force": "day",
        "limit_price": None if order.limit_price is None else plain(order.limit_price),
        "stop_price": None,
        "status": order.status.value,
        "extended_hours": False,
        "legs": None,
        "trail_percent": None,
        "trail_price": None,
        "hwm": None,
        "subtag": None,
        "source": None,
    }
    if order.intent is not None:
        shape["position_intent"] = order.intent
    return shape


def trade_update_json(message: TradeUpdateMessage) -> Json:
    """The ``data`` of a trade_updates frame."""
    shape: Json = {
        "event": message.event,
        "execution_id": message.execution_id,
        "order": order_json(message.order),
        "timestamp": rfc3339(message.at),
    }
    if message.price is not None:
        shape["price"] = plain(message.price)
        shape["qty"] = str(message.qty)
        shape["position_qty"] = str(message.position_qty)
    return shape


def position_json(position: Position) -> Json:
    """Gains count from the average entry, also the day's: every position is taken as opened today."""
    holding = position.holding
    gain = position.market_value - holding.cost_basis
    basis = abs(holding.cost_basis)
    share = plain(gain / basis) if basis else "0"
    moved = position.price / holding.avg_price - 1 if holding.avg_price else Decimal(0)
    return {
        "asset_id": position.asset_id,
        "symbol": holding.symbol,
        "exchange": "" if position.is_option else "NASDAQ",
        "asset_class": "us_option" if position.is_option else "us_equity",
        "asset_marginable": False,
        "qty": str(holding.qty),
        "qty_available": str(position.available),
        "side": "long" if holding.qty > 0 else "short",
        "avg_entry_price": plain(holding.avg_price),
        "market_value": plain(position.market_value),
        "cost_basis": plain(holding.cost_basis),
        "unrealized_pl": plain(gain),
        "unrealized_plpc": share,
        "unrealized_intraday_pl": plain(gain),
        "unrealized_intraday_plpc": share,
        "current_price": plain(position.price),
        "lastday_price": plain(holding.avg_price),
        "change_today": plain(moved),
    }


def account_json(account_id: str, number: str, figures: Figures, level: int, day: date) -> Json:
    """The cash account; the fields of the old day-trading rule are gone, as they are at Alpaca."""
    cash, power, equity = plain(figures.cash), plain(figures.buying_power), plain(figures.equity)
    return {
        "id": account_id,
        "account_number": number,
        "status": "ACTIVE",
        "crypto_status": "INACTIVE",
        "options_approved_level": level,
        "options_trading_level": level,
        "currency": "USD",
        "cash": cash,
        "portfolio_value": equity,
        "equity": equity,
        "last_equity": plain(figures.last_equity),
        "buying_power": power,
        "regt_buying_power": power,
        "options_buying_power": power,
        "non_marginable_buying_power": power,
        "long_market_value": plain(figures.long_value),
        "short_market_value": plain(figures.short_value),
        "position_market_value": plain(figures.long_value + figures.short_value),
        "initial_margin": "0",
        "maintenance_margin": "0",
        "last_maintenance_margin": "0",
        "accrued_fees": "0",
        "pending_reg_taf_fees": "0",
        "sma": "0",
        "multiplier": "1",
        "balance_asof": day.isoformat(),
        "created_at": "2024-01-02T15:00:00Z",
        "shorting_enabled": False,
        "trading_blocked": False,
        "transfers_blocked": False,
        "account_blocked": False,
        "trade_suspended_by_user": False,
    }


def activity_json(activity: Activity) -> Json:
    shape: Json = {
        "id": activity.id,
        "activity_type": activity.type,
        "symbol": activity.symbol,
        "qty": str(activity.qty),
    }
    if activity.price is not None:
        shape["price"] = plain(activity.price)
    order = activity.fill
    if order is not None:
        return shape | {
            "transaction_time": rfc3339(activity.at),
            "type": "partial_fill" if order.open else "fill",
            "side": order.side,
            "order_id": order.id,
            "cum_qty": str(order.filled_qty),
            "leaves_qty": str(order.remaining),
            "order_status": order.status.value,
        }
    return shape | {
        "date": eastern(activity.at).date().isoformat(),
        "created_at": rfc3339(activity.at),
        "net_amount": plain(activity.net_amount or Decimal(0)),
        "status": "executed",
    }


def clock_json(now: datetime, is_open: bool, next_open: datetime, next_close: datetime) -> Json:
    return {
        "timestamp": eastern(now).isoformat(),
        "is_open": is_open,
        "next_open": eastern(next_open).isoformat(),
        "next_close": eastern(next_close).isoformat(),
    }


def session_json(session: SimSession) -> Json:
    """A row of /v2/calendar; trades of a day settle on the next session day."""
    close = eastern(session.close)
    return {
        "date": session.day.isoformat(),
        "open": f"{eastern(session.open):%H:%M}",
        "close": f"{close:%H:%M}",
        "session_open": "0400",
        "session_close": f"{close.hour + 4:02d}00",  # extended hours last four hours more
        "settlement_date": session_after(session.day).day.isoformat(),
    }


def contract_json(listed: ListedContract, asset_id: str, underlying_id: str, counted_on: date) -> Json:
    """One option contract; ``counted_on`` is the day of its open interest."""
    contract = listed.contract
    kind = "call" if contract.right is Right.CALL else "put"
    strike = plain(contract.strike)
    return {
        "id": asset_id,
        "symbol": contract.symbol,
        "name": f"{contract.underlying} {contract.expiry:%b %d %Y} {strike} {kind.title()}",
        "status": "active",
        "tradable": True,
        "expiration_date": contract.expiry.isoformat(),
        "root_symbol": contract.underlying,
        "underlying_symbol": contract.underlying,
        "underlying_asset_id": underlying_id,
        "type": kind,
        "style": "american",
        "strike_price": strike,
        "multiplier": str(CONTRACT_SHARES),
        "size": str(CONTRACT_SHARES),
        "open_interest": str(listed.open_interest),
        "open_interest_date": counted_on.isoformat(),
        "ppind": listed.penny,
    }


def option_quote_json(quote: Quote) -> Json:
    return {
        "t": rfc3339(quote.at),
        "bx": "C",
        "bp": float(quote.bid),
        "bs": quote.bid_size,
        "ax": "C",
        "ap": float(quote.ask),
        "as": quote.ask_size,
        "c": "A",
    }


def stock_quote_json(quote: Quote) -> Json:
    return option_quote_json(quote) | {"bx": "V", "ax": "V", "c": ["R"], "z": "B"}


def stock_trade_json(price: float, at: datetime) -> Json:
    return {
        "t": rfc3339(at),
        "x": "V",
        "p": round(price, 2),
        "s": 100,
        "c": ["@"],
        "i": int(at.timestamp()),
        "z": "B",
    }


def bar_json(bar: Bar) -> Json:
    return {
        "t": rfc3339(bar.start),
        "o": round(bar.open, 4),
        "h": round(bar.high, 4),
        "l": round(bar.low, 4),
        "c": round(bar.close, 4),
        "v": int(bar.volume),
        "n": max(1, int(bar.volume) // _SHARES_PER_TRADE),
        "vw": round(bar.vwap, 6),
    }


def greeks_json(greeks: Greeks, rho: float) -> Json:
    return {
        "delta": greeks.delta,
        "gamma": greeks.gamma,
        "theta": greeks.theta,
        "vega": greeks.vega,
        "rho": rho,
    }


def _maybe(at: datetime | None) -> str | None:
    return None if at is None else rfc3339(at)
