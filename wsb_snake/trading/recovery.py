"""Orders of ours that the broker knows and the book lacks, entered as if their rows had been kept.

A row is lost when the disk stands still, the closing order goes out all the same and the process dies
before the disk returns. The claim that led to it is lost with it; the order itself says that it was made.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from decimal import Decimal

from wsb_snake.core.clock import eastern_date
from wsb_snake.core.occ import is_option, parse
from wsb_snake.core.orders import (
    HELD,
    LIVE,
    ExitReason,
    Origin,
    PositionState,
    Purpose,
    Report,
    Side,
)
from wsb_snake.trading import adoption
from wsb_snake.trading.broker import BrokerOrder, BrokerPosition
from wsb_snake.trading.desk import Desk
from wsb_snake.trading.engine_plans import engine_plan
from wsb_snake.trading.order_ids import engine_of, position_of
from wsb_snake.trading.positions import Position


def lost(desk: Desk, told: Sequence[BrokerOrder], positions: Iterable[BrokerPosition]) -> list[BrokerOrder]:
    """Orders of our making, live or over, that the book should hold and does not; oldest first.

    The book holds every order of the day and all those of positions that are not over. While the
    database cannot be read nobody knows which rows are lost: then what is live is taken up, and what
    accounts for a position that the broker shows.
    """
    book, day_start = desk.book, desk.day_start()
    held = {p.position_id for p in book.view.positions if p.state in HELD}
    standing: set[str] = set() if desk.loaded else _standing(told, positions)
    found = []
    for order in told:
        position_id = position_of(order.client_order_id)
        if position_id is None or not is_option(order.symbol) or order.client_order_id in book.orders:
            continue
        of_the_day = desk.loaded and (order.created_at >= day_start or position_id in held)
        if order.status in LIVE or of_the_day or position_id in standing:
            found.append(order)
    return sorted(found, key=lambda order: order.created_at)


def _standing(told: Sequence[BrokerOrder], positions: Iterable[BrokerPosition]) -> set[str]:
    """Positions of ours whose orders add up to exactly what the broker holds in their contract."""
    held = {p.symbol: int(p.qty) for p in positions if p.is_option and p.qty > 0}
    latest: dict[str, BrokerOrder] = {}
    net: dict[str, int] = {}
    for order in told:
        position_id = position_of(order.client_order_id)
        if position_id is None:
            continue
        sign = 1 if order.side is Side.BUY else -1
        net[position_id] = net.get(position_id, 0) + sign * int(order.filled_qty)
        newest = latest.get(order.symbol)
        opened = order.side is Side.BUY and order.filled_qty > 0
        if opened and (newest is None or order.created_at > newest.created_at):
            latest[order.symbol] = order
    owners = ((symbol, position_of(order.client_order_id)) for symbol, order in latest.items())
    return {owner for symbol, owner in owners if owner is not None and net[owner] == held.get(symbol)}


def recover(
    desk: Desk, found: BrokerOrder, positions: Iterable[BrokerPosition], told: Iterable[BrokerOrder]
) -> None:
    """Enter one lost order with its fills, and its position should that be lost as well."""
    position_id = position_of(found.client_order_id)
    if position_id is None or not is_option(found.symbol):
        return
    with desk.book.change() as commit:
        change = commit.change
        if found.client_order_id in desk.book.orders:
            return
        position = desk.book.positions.get(position_id) or _by_symbol(desk, found)
        if position is None:
            position = _rebuilt(desk, position_id, found, positions, told)
        if found.side is Side.SELL:
            position = _claimed(position, int(found.qty))
        change.position(position)
        adoption.recover(change, found, position)
        change.report(
            found.client_order_id,
            Report(found.status, int(found.filled_qty), found.filled_avg_price, found.id, change.now),
        )


def _by_symbol(desk: Desk, found: BrokerOrder) -> Position | None:
    """For a closing order: the position in its contract."""
    if found.side is Side.BUY:
        return None
    held = (p for p in desk.book.positions.values() if p.symbol == found.symbol and p.qty > 0)
    return next(held, None)


def _claimed(position: Position, qty: int) -> Position:
    """``position`` with the claim that its closing order of ``qty`` contracts proves."""
    if position.qty == 0 or position.state is PositionState.EXITING:
        return position
    half = position.plan.half_at is not None and not position.half_sold and qty < position.qty
    return replace(
        position,
        state=PositionState.EXITING,
        exit_reason=ExitReason.PARTIAL if half else ExitReason.RECOVERED,
        to_sell=min(position.qty, qty),
    )


def _rebuilt(
    desk: Desk,
    position_id: str,
    found: BrokerOrder,
    positions: Iterable[BrokerPosition],
    told: Iterable[BrokerOrder],
) -> Position:
    """The position that ``found`` belongs to, from what the broker says.

    A sale proves that its contracts were held. When nobody can tell what they cost, the position stays
    void: a made-up price would be learnt from.
    """
    contract = parse(found.symbol)
    engine = engine_of(found.client_order_id) or "adopted"
    position = Position(
        position_id=position_id,
        symbol=found.symbol,
        underlying=contract.underlying,
        expiry=contract.expiry,
        origin=Origin.OURS,
        engine=engine,
        setup="",
        signal_id=None,
        state=PositionState.ENTERING,
        plan=engine_plan(engine, desk.settings),
        opened_at=min(found.created_at, desk.now()),
        note=f"recovered from the broker's {Purpose.ENTRY if found.side is Side.BUY else Purpose.EXIT} order",
    )
    if found.side is Side.BUY:
        return position
    if engine == "adopted":
        today = contract.expiry == eastern_date(desk.now())
        position = replace(position, origin=Origin.FOREIGN_TODAY if today else Origin.FOREIGN_LATER)
    cost = _cost(found.symbol, positions, told)
    if cost is None:
        return replace(position, state=PositionState.VOID, closed_at=desk.now())
    qty = int(found.qty)
    return replace(
        position,
        state=PositionState.EXITING,
        exit_reason=ExitReason.RECOVERED,
        qty=qty,
        bought_qty=qty,
        to_sell=qty,
        entry_price=cost,
    )


def _cost(symbol: str, positions: Iterable[BrokerPosition], told: Iterable[BrokerOrder]) -> Decimal | None:
    """What a contract cost: by the account's line for it, or by the latest purchase."""
    for line in positions:
        if line.symbol == symbol and line.qty > 0:
            return line.avg_entry_price
    bought = [o for o in told if o.symbol == symbol and o.side is Side.BUY and o.filled_qty > 0]
    latest = max(bought, key=lambda order: order.created_at, default=None)
    return None if latest is None else latest.filled_avg_price
