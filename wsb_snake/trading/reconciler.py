"""Book against broker: what each has that the other lacks. Pure; the broker is the truth.

A symbol in which we have just traded, or still have a live order, is left alone until the broker's
positions have had time to catch up with its orders (up to 10 s).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from wsb_snake.core.occ import parse
from wsb_snake.core.orders import LIVE, TERMINAL, UNSETTLED, Order, Side
from wsb_snake.core.types import Right
from wsb_snake.trading.book import BookView
from wsb_snake.trading.broker import BrokerOrder, BrokerPosition
from wsb_snake.trading.order_ids import position_of
from wsb_snake.trading.order_work import BROKER_LAG_S
from wsb_snake.trading.positions import Position

SHARES = "shares"
SHORT = "short option"
COVERS = "covers a short option"
LACKING = "not in the book yet"

LAG = timedelta(seconds=BROKER_LAG_S)

SAME_TIME = timedelta(minutes=15)
"""Our time of making an order and the broker's time of getting it lie no further apart."""


@dataclass(frozen=True, slots=True)
class Surplus:
    """The broker holds ``qty`` contracts more than the book."""

    held: BrokerPosition
    qty: int


@dataclass(frozen=True, slots=True)
class Shortfall:
    """``qty`` contracts of ``position`` are no longer at the broker."""

    position: Position
    qty: int


@dataclass(frozen=True, slots=True)
class Foreign:
    """Something the daemon never trades; it pauses entries."""

    symbol: str
    qty: Decimal
    kind: str


@dataclass(frozen=True, slots=True)
class Findings:
    surplus: tuple[Surplus, ...] = ()
    shortfall: tuple[Shortfall, ...] = ()
    unseen: tuple[Order, ...] = ()
    strays: tuple[BrokerOrder, ...] = ()
    ghosts: tuple[BrokerOrder, ...] = ()
    foreign: tuple[Foreign, ...] = ()


def ours(order: BrokerOrder) -> bool:
    """Whether the order carries a name of our making."""
    return position_of(order.client_order_id) is not None


def compare(
    view: BookView,
    positions: Iterable[BrokerPosition],
    open_orders: Iterable[BrokerOrder],
    begun_at: datetime,
) -> Findings:
    """The union of both sides, for readings whose earlier question was asked at ``begun_at``."""
    held = tuple(positions)
    at_broker = tuple(open_orders)
    foreign = never_traded(held)
    untouchable = {item.symbol for item in foreign}
    longs = {p.symbol: p for p in held if p.is_option and p.qty > 0 and p.symbol not in untouchable}
    booked: dict[str, list[Position]] = {}
    for position in view.watched():
        booked.setdefault(position.symbol, []).append(position)
    surplus: list[Surplus] = []
    shortfall: list[Shortfall] = []
    unsettled = {order.symbol for order in view.orders if _unsettled(order, begun_at)}
    for symbol in sorted((longs.keys() | booked.keys()) - unsettled):
        difference = _qty(longs.get(symbol)) - sum(p.qty for p in booked.get(symbol, ()))
        if difference > 0:
            surplus.append(Surplus(longs[symbol], difference))
        elif symbol not in untouchable:
            shortfall.extend(_spread(booked[symbol], -difference))
    return Findings(
        tuple(surplus),
        tuple(shortfall),
        tuple(unseen(view, at_broker, begun_at)),
        tuple(_strays(view, at_broker)),
        tuple(_ghosts(view, at_broker, begun_at)),
        foreign,
    )


def unmanaged(view: BookView, held: tuple[BrokerPosition, ...], begun_at: datetime) -> tuple[Foreign, ...]:
    """What the broker shows and no rule looks after: what is never traded, and what the book lacks."""
    found = compare(view, held, (), begun_at)
    lacking = [Foreign(more.held.symbol, Decimal(more.qty), LACKING) for more in found.surplus]
    return tuple(sorted((*found.foreign, *lacking), key=lambda item: item.symbol))


def settling(view: BookView, symbol: str, begun_at: datetime) -> bool:
    """Our own trading in ``symbol`` is too recent, or not over, for a reading begun then to judge."""
    return any(order.symbol == symbol and _unsettled(order, begun_at) for order in view.orders)


def _unsettled(order: Order, begun_at: datetime) -> bool:
    if order.live:
        return True
    filled_at = order.ended_at if order.filled_qty else None
    return filled_at is not None and begun_at < filled_at + LAG


def never_traded(held: tuple[BrokerPosition, ...]) -> tuple[Foreign, ...]:
    """Shares, short options, and long options that could cover one."""
    found = []
    shorts = [p for p in held if p.is_option and p.qty < 0]
    for position in held:
        if not position.is_option:
            found.append(Foreign(position.symbol, position.qty, SHARES))
        elif position.qty < 0:
            found.append(Foreign(position.symbol, position.qty, SHORT))
        elif any(_covers(position.symbol, short.symbol) for short in shorts):
            found.append(Foreign(position.symbol, position.qty, COVERS))
    return tuple(sorted(found, key=lambda item: item.symbol))


def _covers(long_symbol: str, short_symbol: str) -> bool:
    """Whether the long could be a leg against the short: same underlying and right, expiring no sooner."""
    long, short = parse(long_symbol), parse(short_symbol)
    same: tuple[str, Right] = (short.underlying, short.right)
    return (long.underlying, long.right) == same and long.expiry >= short.expiry


def _qty(position: BrokerPosition | None) -> int:
    return 0 if position is None else int(position.qty)


def _spread(positions: list[Position], missing: int) -> Iterable[Shortfall]:
    """Attribute what is missing to the positions in the contract, the latest first."""
    for position in reversed(positions):
        if missing <= 0:
            return
        part = min(missing, position.qty)
        missing -= part
        yield Shortfall(position, part)


def unseen(view: BookView, at_broker: tuple[BrokerOrder, ...], begun_at: datetime) -> Iterable[Order]:
    """Orders that we think are live at the broker, and that its list of live orders lacks."""
    listed = {order.client_order_id for order in at_broker}
    for order in view.live_orders():
        if order.status in UNSETTLED or order.client_order_id in listed or order.sent_at is None:
            continue
        if begun_at >= order.sent_at + timedelta(seconds=2):
            yield order


def _strays(view: BookView, at_broker: tuple[BrokerOrder, ...]) -> Iterable[BrokerOrder]:
    """Live orders of ours at the broker that the book doesn't know."""
    known = {order.client_order_id for order in view.orders}
    for order in at_broker:
        live = order.is_option and order.status not in TERMINAL
        if live and ours(order) and order.client_order_id not in known:
            yield order


def _ghosts(view: BookView, at_broker: tuple[BrokerOrder, ...], begun_at: datetime) -> Iterable[BrokerOrder]:
    """Orders of ours that are over in the book, and that the broker still works after its lag."""
    over = {
        order.client_order_id: order
        for order in view.orders
        if not order.live and order.ended_at is not None and order.ended_at + LAG <= begun_at
    }
    for found in at_broker:
        mine = over.get(found.client_order_id)
        if mine is None or found.status not in LIVE:
            continue
        same = mine.broker_id is None and same_terms(mine, found) and matches(mine, found)
        if mine.broker_id == found.id or same:
            yield found


def matches(order: Order, found: BrokerOrder, skew_s: float | None = None) -> bool:
    """Whether the broker's order can be the one that we sent under this client_order_id.

    ``skew_s`` is how far our clock is ahead of the broker's; the clock that the order was made by may
    have been set since, so the times need to agree with it or without it.
    """
    return (
        found.symbol == order.symbol
        and found.side is order.side
        and found.qty == order.qty
        and any(
            abs(order.created_at - timedelta(seconds=ahead_s) - found.created_at) <= SAME_TIME
            for ahead_s in (0.0, skew_s or 0.0)
        )
    )


def same_terms(order: Order, found: BrokerOrder) -> bool:
    """Whether type and price are those that we chose; an earlier order of the same name has its own."""
    return found.type in {order.type, ""} and found.limit_price == order.limit_price


def sold_by_others(side: Side | None, order_id: str | None, own_ids: frozenset[str]) -> bool:
    """Whether a fill activity is a sale that none of our orders made."""
    return side is Side.SELL and order_id not in own_ids
