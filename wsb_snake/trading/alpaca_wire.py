"""Alpaca's trading JSON as values of the port, and its error answers as errors of the port.

Pure functions, shared by the REST client and the stream. A word that Alpaca adds to an enumeration
never breaks a row; a row without its identity, quantity or time is a ValueError, because a position
that cannot be read must not be taken for none.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from wsb_snake.core.calendar import Session
from wsb_snake.core.clock import from_eastern
from wsb_snake.core.occ import is_option
from wsb_snake.core.orders import OrderStatus, PositionIntent, Side
from wsb_snake.core.types import CONTRACT_SHARES, Contract, Right
from wsb_snake.core.wire import mapping, maybe_number, moment, number, rows, text
from wsb_snake.trading.broker import (
    Account,
    Activity,
    BrokerClock,
    BrokerError,
    BrokerOrder,
    BrokerPosition,
    Fatal,
    NotFound,
    Rejected,
    Throttled,
    TradeUpdate,
    Unavailable,
    Unknown,
)

Row = Mapping[str, Any]

_BOOKED = time(16, 0)  # expiries and exercises are booked after the close
_UNCERTAIN_4XX = frozenset({408, 409, 425, 499})
_KEYS_REFUSED = frozenset({"forbidden", "unauthorized", "request is not authorized", "access denied"})
_DUPLICATE_ID = "client_order_id must be unique"
_BLOCKS = ("trading_blocked", "account_blocked", "trade_suspended_by_user")
_NOT_FOUND_CODES = range(40400000, 40500000)


def refusal(status: int, body: str, *, write: bool) -> BrokerError:
    """The error for an answer with HTTP ``status`` 400 or more.

    Alpaca's codes are overloaded, so status and message decide. An answer that is not Alpaca's JSON
    comes from something in between and proves nothing, in particular not that an order is missing.
    """
    if status == 429:
        return Throttled("HTTP 429: too many requests")
    if status == 401:
        return Fatal("HTTP 401: the broker refuses the API keys")
    message, code = _message_and_code(body)
    uncertain = Unknown if write else Unavailable
    if message is None:
        return uncertain(f"HTTP {status} without a readable answer")
    if status >= 500 or status in _UNCERTAIN_4XX:
        return uncertain(f"HTTP {status}: {message}")
    if status == 403 and message.rstrip(".").lower() in _KEYS_REFUSED:
        return Fatal(f"HTTP 403: the broker refuses the API keys ({message})")
    if write and _DUPLICATE_ID in message.lower():
        return Unknown(f"HTTP {status}: {message}; an order with this id is at the broker")
    if status == 404:
        if code in _NOT_FOUND_CODES:
            return NotFound(message, status, code)
        return uncertain(f"HTTP 404: {message}")
    return Rejected(message, status, code)


def _message_and_code(body: str) -> tuple[str | None, int]:
    try:
        answer = mapping(json.loads(body))
        message = text(answer.get("message"))
    except ValueError:
        return None, 0
    code = answer.get("code")
    return message[:300], code if isinstance(code, int) else 0


def account(row: object) -> Account:
    row = mapping(row)
    return Account(
        number=text(row.get("account_number")),
        status=text(row.get("status")),
        equity=number(row.get("equity")),
        last_equity=number(row.get("last_equity")),
        cash=number(row.get("cash")),
        options_buying_power=maybe_number(row.get("options_buying_power")) or Decimal(0),
        options_level=_level(row.get("options_trading_level")),
        blocked=any(row.get(flag) is True for flag in _BLOCKS),
    )


def _level(value: object) -> int | None:
    """An options level; what cannot be read is unknown, like null, and makes the rest no worse."""
    try:
        level = maybe_number(value)
    except ValueError:
        return None
    return None if level is None else int(level)


def broker_clock(row: object) -> BrokerClock:
    row = mapping(row)
    return BrokerClock(moment(row.get("timestamp")), row.get("is_open") is True)


def sessions(answer: object) -> tuple[Session, ...]:
    """Calendar rows carry US/Eastern wall times (``09:30``)."""
    return tuple(_session(row) for row in rows(answer))


def _session(row: Row) -> Session:
    day = date.fromisoformat(text(row.get("date")))
    opens, closes = (time.fromisoformat(text(row.get(name))) for name in ("open", "close"))
    return Session(day, from_eastern(day, opens), from_eastern(day, closes))


def positions(answer: object) -> tuple[BrokerPosition, ...]:
    return tuple(_position(row) for row in rows(answer))


def _position(row: Row) -> BrokerPosition:
    qty = number(row.get("qty"))
    available = maybe_number(row.get("qty_available"))
    if row.get("side") == "short":
        qty = -abs(qty)
    return BrokerPosition(
        symbol=text(row.get("symbol")),
        is_option=_is_option(row),
        qty=qty,
        qty_available=qty if available is None else available.copy_sign(qty),
        avg_entry_price=number(row.get("avg_entry_price")),
        current_price=maybe_number(row.get("current_price")),
    )


def _is_option(row: Row) -> bool:
    """By asset class, or by the symbol when Alpaca has a new word for the class."""
    return row.get("asset_class") == "us_option" or is_option(str(row.get("symbol")))


def orders(answer: object) -> tuple[BrokerOrder, ...]:
    """A multi-leg order becomes one row a leg, under the id of the whole, which is what a cancel takes."""
    return tuple(order for row in rows(answer) for order in _with_legs(row))


def _with_legs(row: Row) -> Iterator[BrokerOrder]:
    legs = row.get("legs")
    if legs and not row.get("symbol"):
        for leg in rows(legs):
            yield order({**leg, "id": row.get("id"), "client_order_id": row.get("client_order_id")})
    else:
        yield order(row)


def order(row: object) -> BrokerOrder:
    """An order whose side cannot be told counts as a buy: it could open a position."""
    row = mapping(row)
    created = moment(row.get("created_at") or row.get("submitted_at"))
    intent = _intent(row.get("position_intent"))
    return BrokerOrder(
        id=text(row.get("id")),
        client_order_id=str(row.get("client_order_id") or ""),
        symbol=str(row.get("symbol") or ""),
        is_option=_is_option(row),
        side=_side(row.get("side")) or _side(intent) or Side.BUY,
        intent=intent,
        type=str(row.get("type") or row.get("order_type") or ""),
        qty=maybe_number(row.get("qty")) or Decimal(0),
        limit_price=maybe_number(row.get("limit_price")),
        status=OrderStatus.from_broker(text(row.get("status"))),
        filled_qty=maybe_number(row.get("filled_qty")) or Decimal(0),
        filled_avg_price=maybe_number(row.get("filled_avg_price")),
        created_at=created,
        updated_at=moment(row["updated_at"]) if row.get("updated_at") else created,
    )


def _side(word: object) -> Side | None:
    """By the first part of the word, so that ``sell_short`` and an intent are sides too."""
    for side in Side:
        if isinstance(word, str) and word.startswith(side):
            return side
    return None


def _intent(word: object) -> PositionIntent | None:
    return next((intent for intent in PositionIntent if intent == word), None)


def trade_update(message: object) -> TradeUpdate:
    """A message of the trade_updates stream, as it came off the wire."""
    data = mapping(mapping(message).get("data"))
    update = order(data.get("order"))
    stamp = data.get("timestamp") or data.get("at")
    return TradeUpdate(text(data.get("event")), update, moment(stamp) if stamp else update.updated_at)


def activity(row: Row) -> Activity:
    """``at`` is when it was executed or entered; of a row with a day only, 16:00 US/Eastern."""
    stamp = row.get("transaction_time") or row.get("created_at")
    return Activity(
        id=text(row.get("id")),
        type=text(row.get("activity_type")),
        symbol=str(row.get("symbol") or ""),
        side=_side(row.get("side")),
        qty=abs(maybe_number(row.get("qty")) or Decimal(0)),
        price=maybe_number(row.get("price")),
        at=moment(stamp) if stamp else _day_only(row.get("date")),
        order_id=row.get("order_id") or None,
    )


def _day_only(day: object) -> datetime:
    return from_eastern(date.fromisoformat(text(day)[:10]), _BOOKED)


def contracts(answer: object) -> tuple[Contract, ...]:
    """The tradable standard contracts of one page; adjusted ones deliver something else than 100 shares."""
    page = rows(mapping(answer).get("option_contracts"))
    return tuple(_contract(row) for row in page if row.get("tradable") is True and _is_standard(row))


def _is_standard(row: Row) -> bool:
    size = maybe_number(row.get("size"))
    return row.get("root_symbol") in (None, row.get("underlying_symbol")) and size in (None, CONTRACT_SHARES)


def _contract(row: Row) -> Contract:
    return Contract(
        symbol=text(row.get("symbol")),
        underlying=text(row.get("underlying_symbol")),
        expiry=date.fromisoformat(text(row.get("expiration_date"))),
        right=Right.CALL if row.get("type") == "call" else Right.PUT,
        strike=number(row.get("strike_price")),
    )
