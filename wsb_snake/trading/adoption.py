"""Taking over what the broker has and the book lacks, and explaining what the book has and it lacks.

Adoption is by kind: ours (our prefix on the opening order) gets its engine's exits; a foreign long
option expiring today gets stop, target and 45 minutes from now; one that expires later is watched and
reported, never sold by a rule.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from types import MappingProxyType

from wsb_snake.config import Settings
from wsb_snake.core.clock import eastern_date
from wsb_snake.core.events import EventKind
from wsb_snake.core.occ import parse
from wsb_snake.core.orders import (
    ExitReason,
    Order,
    OrderStatus,
    OrderType,
    Origin,
    PositionIntent,
    PositionState,
    Purpose,
    Report,
    Side,
)
from wsb_snake.core.signals import NO_EXITS
from wsb_snake.trading.book import RECOVERED, Change
from wsb_snake.trading.broker import Activity, BrokerOrder, BrokerPosition
from wsb_snake.trading.engine_plans import engine_plan
from wsb_snake.trading.exits import adopted
from wsb_snake.trading.order_ids import OrderIds, engine_of
from wsb_snake.trading.order_work import BROKER_LAG_S
from wsb_snake.trading.positions import Position, sold
from wsb_snake.trading.reconciler import Shortfall, ours, sold_by_others

TREATMENT = MappingProxyType(
    {
        Origin.OURS: "one of ours, its engine's exits apply",
        Origin.FOREIGN_TODAY: "expires today: stop, target, 45 minutes from now and the EOD close apply",
        Origin.FOREIGN_LATER: "expires later: watched and reported, not sold by any rule",
    }
)


LEARNT_LATE = timedelta(seconds=BROKER_LAG_S)
"""How much older than the position in our book the position at the broker may be."""


def adopt(
    change: Change,
    held: BrokerPosition,
    qty: int,
    recent: Iterable[BrokerOrder],
    ids: OrderIds,
    settings: Settings,
) -> Position:
    """Enter ``qty`` contracts of ``held`` into the book as a position that is watched from now on."""
    now = change.now
    contract = parse(held.symbol)
    engine = _opened_by(held.symbol, recent)
    today = contract.expiry == eastern_date(now)
    foreign = Origin.FOREIGN_TODAY if today else Origin.FOREIGN_LATER
    origin = foreign if engine is None else Origin.OURS
    plan = NO_EXITS if origin is Origin.FOREIGN_LATER else engine_plan(engine or "adopted", settings)
    position = Position(
        position_id=ids.position(now, engine or "adopted"),
        symbol=held.symbol,
        underlying=contract.underlying,
        expiry=contract.expiry,
        origin=origin,
        engine=engine or "adopted",
        setup="",
        signal_id=None,
        state=PositionState.OPEN,
        plan=plan,
        opened_at=now,
        qty=qty,
        bought_qty=qty,
        entry_price=held.avg_entry_price,
    )
    position = replace(position, watch=adopted(position.watch, held.avg_entry_price))
    change.position(position)
    change.event(
        EventKind.POSITION_ADOPTED,
        position_id=position.position_id,
        symbol=position.symbol,
        qty=qty,
        entry_price=position.entry_price,
        origin=origin,
        treatment=TREATMENT[origin],
    )
    return position


def recover(change: Change, found: BrokerOrder, position: Position) -> Order:
    """Enter an order of ours whose row is missing (the disk was down when it went out)."""
    order = Order(
        client_order_id=found.client_order_id,
        position_id=position.position_id,
        purpose=Purpose.ENTRY if found.side is Side.BUY else Purpose.EXIT,
        symbol=found.symbol,
        side=found.side,
        intent=found.intent or _closing_or_opening(found.side),
        type=OrderType.LIMIT if found.limit_price is not None else OrderType.MARKET,
        qty=int(found.qty),
        limit_price=found.limit_price,
        status=OrderStatus.UNKNOWN,
        created_at=found.created_at,
        reason=RECOVERED,
        broker_id=found.id,
        sent_at=found.created_at,
    )
    change.order(order)
    change.event(
        EventKind.ORDER_RECOVERED,
        client_order_id=order.client_order_id,
        symbol=order.symbol,
        side=order.side,
        qty=order.qty,
    )
    return order


def explain(
    change: Change,
    missing: Shortfall,
    activities: Iterable[Activity],
    own_ids: frozenset[str],
    liquidation_from: datetime,
) -> bool:
    """Close what is missing with the evidence of the account's activities; False when they show none.

    A sale by somebody else counts as the broker's liquidation from ``liquidation_from`` on (only
    contracts expiring that day pass it), as a manual close before. It may be older than our knowledge of
    the position: a fill is sometimes learnt of late.
    """
    missing = Shortfall(missing.position, missing.qty - _credit(change, missing.position, activities))
    if missing.qty <= 0:
        return True
    position = change.latest(missing.position)
    since = change.began(position) - LEARNT_LATE
    told = [a for a in activities if a.symbol == position.symbol and a.at >= since]
    sales = [a for a in told if a.type == "FILL" and sold_by_others(a.side, a.order_id, own_ids)]
    unused = _after_first(sales, position.sold_qty - change.sold_by_us(position.position_id))
    quantity = sum((a.qty for a in unused), Decimal(0))
    if quantity >= missing.qty:
        price, last = _of_the_first(unused, missing.qty)
        reason = ExitReason.BROKER_LIQUIDATION if last >= liquidation_from else ExitReason.MANUAL_CLOSE
        _gone(change, position, missing.qty, price, reason)
        return True
    for kind, reason in _ENDINGS:
        if any(a.type == kind for a in told):
            _gone(change, position, missing.qty, Decimal(0), reason)
            return True
    return False


def _of_the_first(sales: list[Activity], qty: int) -> tuple[Decimal, datetime]:
    """Average price of the first ``qty`` contracts of ``sales``, and when the last of them went."""
    left, dollars, last = Decimal(qty), Decimal(0), sales[0].at
    for sale in sales:
        taken = min(left, sale.qty)
        if taken <= 0:
            break
        left, dollars, last = left - taken, dollars + taken * (sale.price or Decimal(0)), sale.at
    return dollars / qty, last


def _credit(change: Change, position: Position, activities: Iterable[Activity]) -> int:
    """Book the sales of our own orders that only the activities tell of; how many contracts they were.

    An order whose reports stopped (its status a word that we do not know) may have filled unseen.
    """
    fills = [a for a in activities if a.type == "FILL" and a.side is Side.SELL and a.order_id is not None]
    credited = 0
    for order in change.exits_of(position.position_id):
        sold_by_it = [a for a in fills if a.order_id == order.broker_id]
        total = sum((a.qty for a in sold_by_it), Decimal(0))
        if total > order.filled_qty and order.broker_id is not None:
            price = sum((a.qty * (a.price or Decimal(0)) for a in sold_by_it), Decimal(0)) / total
            credited += int(total) - order.filled_qty
            told = Report(order.status, int(total), price, order.broker_id, change.now)
            change.report(order.client_order_id, told)
    return credited


def _after_first(sales: Iterable[Activity], explained: int) -> list[Activity]:
    """``sales`` without the first ``explained`` contracts, which account for an earlier gap."""
    left = Decimal(max(0, explained))
    rest = []
    for sale in sorted(sales, key=lambda sale: sale.at):
        used = min(left, sale.qty)
        left -= used
        if used < sale.qty:
            rest.append(replace(sale, qty=sale.qty - used))
    return rest


_ENDINGS = (("OPEXP", ExitReason.EXPIRED), ("OPEXC", ExitReason.EXERCISED), ("OPASN", ExitReason.EXERCISED))


def _gone(change: Change, position: Position, qty: int, price: Decimal, reason: ExitReason) -> None:
    left = sold(position, qty, price)
    if left.qty == 0:
        left = replace(left, exit_reason=reason)
    change.position(left)
    change.close_if_sold(left)


def _opened_by(symbol: str, recent: Iterable[BrokerOrder]) -> str | None:
    """The engine whose order opened ``symbol``, when one of ours did."""
    for order in recent:
        if order.symbol == symbol and order.side is Side.BUY and ours(order) and order.filled_qty > 0:
            return engine_of(order.client_order_id)
    return None


def _closing_or_opening(side: Side) -> PositionIntent:
    return PositionIntent.BUY_TO_OPEN if side is Side.BUY else PositionIntent.SELL_TO_CLOSE
