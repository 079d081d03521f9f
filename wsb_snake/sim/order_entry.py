"""What comes in through POST /v2/orders, and the form in which the broker says no.

A refusal carries Alpaca's HTTP status, numeric code and message.
"""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from wsb_snake.core.occ import is_option
from wsb_snake.sim.orders import INTENTS, Intent, NewOrder, OrderType, Side

FORBIDDEN = 40310000
SHORT_POSITION = 40310001
UNPROCESSABLE = 42210000
MALFORMED = 40010001
NOT_FOUND = 40410000
THROTTLED = 42910000

MAX_CLIENT_ORDER_ID = 128


class Refusal(Exception):
    """The broker's definite no: HTTP ``status`` and the body's ``code``, ``message`` and ``extra``."""

    def __init__(self, status: int, code: int, message: str, extra: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.extra: dict[str, Any] = dict(extra or {})

    @property
    def body(self) -> dict[str, Any]:
        return {"code": self.code, "message": self.message, **self.extra}


def parse_order(body: Mapping[str, Any]) -> NewOrder:
    """The order in a POST /v2/orders body, whose numbers may be numbers or text. Raises Refusal."""
    symbol = body.get("symbol")
    if not isinstance(symbol, str) or not symbol:
        raise Refusal(422, MALFORMED, "symbol is required")
    option = is_option(symbol)
    kind = " for options trading" if option else ""
    if body.get("order_class") not in (None, "", "simple"):
        raise Refusal(422, UNPROCESSABLE, f"complex orders not supported{kind}")
    if body.get("notional") is not None:
        raise Refusal(422, UNPROCESSABLE, f"notional orders are not supported{kind}")
    if body.get("extended_hours"):
        raise Refusal(422, UNPROCESSABLE, f"extended hours is not supported{kind}")
    if body.get("time_in_force") != "day":
        raise Refusal(422, UNPROCESSABLE, f"order_time_in_force provided not supported{kind}")
    order_type = _order_type(body, option)
    return NewOrder(
        symbol=symbol,
        side=_side(body),
        qty=_quantity(body, kind),
        type=order_type,
        limit_price=_limit_price(body, order_type),
        client_order_id=_client_order_id(body),
        position_intent=_position_intent(body),
    )


def _order_type(body: Mapping[str, Any], option: bool) -> OrderType:
    order_type = body.get("type")
    if order_type == "market":
        return "market"
    if order_type == "limit":
        return "limit"
    raise Refusal(422, UNPROCESSABLE, "invalid options order_type" if option else "invalid order type")


def _side(body: Mapping[str, Any]) -> Side:
    side = body.get("side")
    if side == "buy":
        return "buy"
    if side == "sell":
        return "sell"
    raise Refusal(422, MALFORMED, "side must be buy or sell")


def _quantity(body: Mapping[str, Any], kind: str) -> int:
    if body.get("qty") is None:
        raise Refusal(422, MALFORMED, "qty is required")
    quantity = _number(body, "qty")
    if quantity != quantity.to_integral_value():
        raise Refusal(422, UNPROCESSABLE, f"qty must be integer{kind}")
    if quantity <= 0:
        raise Refusal(422, UNPROCESSABLE, "qty must be > 0")
    return int(quantity)


def _limit_price(body: Mapping[str, Any], order_type: OrderType) -> Decimal | None:
    given = body.get("limit_price") is not None
    if order_type == "market":
        if given:
            raise Refusal(422, MALFORMED, "market orders must not have limit price")
        return None
    if not given:
        raise Refusal(422, MALFORMED, "limit orders require a limit price")
    return _number(body, "limit_price")


def _client_order_id(body: Mapping[str, Any]) -> str | None:
    name = body.get("client_order_id")
    if name is None or name == "":
        return None
    if not isinstance(name, str) or len(name) > MAX_CLIENT_ORDER_ID:
        too_long = f"client_order_id must be no more than {MAX_CLIENT_ORDER_ID} characters"
        raise Refusal(422, MALFORMED, too_long)
    return name


def _position_intent(body: Mapping[str, Any]) -> Intent | None:
    given = body.get("position_intent")
    if given is None:
        return None
    for intent in INTENTS:
        if given == intent:
            return intent
    raise Refusal(422, MALFORMED, f"invalid position_intent {given}")


def _number(body: Mapping[str, Any], field: str) -> Decimal:
    try:
        number = Decimal(str(body[field]))
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise Refusal(422, MALFORMED, f"{field} must be a number")
    return number
