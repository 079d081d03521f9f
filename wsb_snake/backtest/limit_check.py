"""Whether a day's orders kept the limits, told from what the exchange saw alone. Pure.

At each entry order of ours the exchange's fills up to that moment say what was spent, held, at risk and
lost; nothing is asked of the daemon's book or of its governor. The figures are those of the settings.

The day's loss is checked where fills alone prove it: nothing is open that could make up for it. Not checked:
the loss while something is open, what was held before the day began, the entries of one signal (no exchange
knows signals) and the account's buying power (which the exchange itself enforces).
"""

from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from wsb_snake.config import Settings
from wsb_snake.core.occ import is_option, parse
from wsb_snake.core.sectors import sector_of
from wsb_snake.core.types import CONTRACT_SHARES
from wsb_snake.sim.account import Activity
from wsb_snake.sim.orders import SimOrder

_OURS = "wsb-"
_ENGINE_AT = 2  # the place of the engine's letter among the parts of a client_order_id
_KNOWN_AFTER = timedelta(seconds=45)
"""How long what somebody buys by hand may go unseen, and a fill whose report was lost: the reconciler's
30 s, and the broker's own lag."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Dollars and counts; of ``trade_dollars`` and ``loss_dollars`` each is the lower of the dollars and the
    share of equity."""

    trade_dollars: Decimal
    day_dollars: Decimal
    engine_dollars: Decimal
    overnight_dollars: Decimal
    ticker_dollars: Decimal
    sector_dollars: Decimal
    loss_dollars: Decimal
    positions: int
    overnight_positions: int
    orders_minute: int
    orders_day: int

    @classmethod
    def of(cls, settings: Settings, equity: Decimal) -> "Figures":
        """The figures of ``settings`` for an account that began with ``equity`` dollars."""
        return cls(
            trade_dollars=min(
                settings.wsb_snake_max_trade_dollars, settings.wsb_snake_max_trade_equity * equity
            ),
            day_dollars=settings.wsb_snake_max_day_dollars,
            engine_dollars=settings.wsb_snake_max_engine_dollars,
            overnight_dollars=settings.wsb_snake_max_overnight_dollars,
            ticker_dollars=settings.wsb_snake_max_ticker_dollars,
            sector_dollars=settings.wsb_snake_max_sector_dollars,
            loss_dollars=min(
                settings.wsb_snake_max_daily_loss_dollars, settings.wsb_snake_max_daily_loss_equity * equity
            ),
            positions=settings.wsb_snake_max_positions,
            overnight_positions=settings.wsb_snake_max_overnight_positions,
            orders_minute=settings.wsb_snake_max_orders_minute,
            orders_day=settings.wsb_snake_max_orders_day,
        )


@dataclass(frozen=True, slots=True)
class Fill:
    """So many contracts of one order, at ``price`` dollars a share."""

    at: datetime
    client_order_id: str
    symbol: str
    side: str
    qty: int
    price: Decimal


@dataclass(frozen=True, slots=True)
class LimitCheck:
    """``entries`` orders were looked at, each against the limits that this module's text does not except;
    ``after_trades`` of them also against the day's loss: the day had fills, and they alone prove its result.
    One line for each that exceeds one."""

    entries: int = 0
    after_trades: int = 0
    breaches: tuple[str, ...] = ()


def fills_of(activities: Sequence[Activity]) -> tuple[Fill, ...]:
    """The fills among an account's ``activities``, oldest first."""
    return tuple(
        Fill(each.at, each.fill.client_order_id, each.symbol, each.fill.side, abs(each.qty), each.price)
        for each in activities
        if each.fill is not None and each.price is not None
    )


def check(orders: Sequence[SimOrder], fills: Sequence[Fill], figures: Figures, day: date) -> LimitCheck:
    """Each of our entries among ``orders``, the first of which is the oldest, on the session ``day``."""
    entries = [order for order in orders if _entry(order)]
    breaches, after_trades = [], 0
    for number, order in enumerate(entries, start=1):
        room = _Room(order, entries[:number], fills)
        after_trades += room.lost is not None
        breaches += [f"{order.client_order_id}: {what}" for what in room.exceeded(figures, day)]
    return LimitCheck(len(entries), after_trades, tuple(breaches))


class _Room:
    """What was used at the moment of ``order``, with it: the last of ``entries``."""

    def __init__(self, order: SimOrder, entries: Sequence[SimOrder], fills: Sequence[Fill]) -> None:
        self._order = order
        self._at = order.submitted_at
        self._entries = entries
        known = {entry.client_order_id for entry in entries}
        self._all = [fill for fill in fills if fill.at <= self._at and _before(fill, known)]
        self._fills = [fill for fill in self._all if fill.at + _unseen(fill) <= self._at]
        self._held = dict(_lots(self._fills))
        self.lost = self._lost()

    def exceeded(self, figures: Figures, day: date) -> Iterator[str]:
        order = self._order
        ticker = parse(order.symbol).underlying
        sector, letter = sector_of(ticker), _letter(order)
        minute = sum(each.submitted_at > self._at - timedelta(minutes=1) for each in self._entries)
        used: list[tuple[str, Decimal | int, Decimal | int]] = [
            ("premium of the trade", _open_premium(order, self._at, 0), figures.trade_dollars),
            ("premium of the day", self._spent(lambda _: True), figures.day_dollars),
            (
                "premium of the engine",
                self._spent(lambda each: _letter(each) == letter),
                figures.engine_dollars,
            ),
            (
                f"premium in {ticker}",
                self._at_risk(lambda name: name == ticker),
                figures.ticker_dollars,
            ),
            (
                f"premium in {sector}",
                self._at_risk(lambda name: sector_of(name) == sector),
                figures.sector_dollars,
            ),
            ("positions", self._positions(), figures.positions),
            ("entry orders in a minute", minute, figures.orders_minute),
            ("entry orders in a day", len(self._entries), figures.orders_day),
        ]
        if parse(order.symbol).expiry > day:
            overnight = self._spent(lambda each: parse(each.symbol).expiry > day)
            places = self._overnight_positions(letter, day)
            used += [
                ("premium held overnight", overnight, figures.overnight_dollars),
                ("positions of the engine overnight", places, figures.overnight_positions),
            ]
        if self.lost is not None and self.lost >= figures.loss_dollars:
            yield f"realised loss of the day is {self.lost:.2f}, entries end at {figures.loss_dollars}"
        for what, amount, limit in used:
            if amount > limit:
                told = f"{amount:.2f}" if isinstance(amount, Decimal) else amount
                yield f"{what} is {told}, the limit {limit}"

    def _spent(self, counts: Callable[[SimOrder], bool]) -> Decimal:
        """Dollars of the entries so far: their fills, and what may still fill at the limit."""
        return sum((self._spent_on(each) for each in self._entries if counts(each)), Decimal(0))

    def _spent_on(self, order: SimOrder) -> Decimal:
        its = [fill for fill in self._fills if fill.client_order_id == order.client_order_id]
        paid = sum((fill.qty * fill.price * CONTRACT_SHARES for fill in its), Decimal(0))
        return paid + _open_premium(order, self._at, sum(fill.qty for fill in its))

    def _at_risk(self, counts: Callable[[str], bool]) -> Decimal:
        """Dollars at the entry of what is held, by whomever it was bought, and of what is on its way."""
        held = sum(
            (cost for symbol, (_, cost) in self._held.items() if counts(parse(symbol).underlying)), Decimal(0)
        )
        coming = (each for each in self._entries if counts(parse(each.symbol).underlying))
        return held + sum((self._coming(each) for each in coming), Decimal(0))

    def _coming(self, order: SimOrder) -> Decimal:
        return _open_premium(order, self._at, self._filled(order))

    def _filled(self, order: SimOrder) -> int:
        return sum(fill.qty for fill in self._fills if fill.client_order_id == order.client_order_id)

    def _lost(self) -> Decimal | None:
        """Dollars that the day has lost for certain, its gain negative: nothing is open, and every fill can
        be known. None: there was no fill, or something is open or too new.

        What others bought counts as if it had cost nothing: from which price the daemon counts it, no fill
        tells.
        """
        unknown = any(fill.at + _KNOWN_AFTER > self._at for fill in self._all)
        if not self._all or unknown or any(_lots(self._all)):
            return None
        lost = Decimal(0)
        for fill in self._all:
            paid = fill.qty * fill.price * CONTRACT_SHARES
            if is_option(fill.symbol) and fill.side == "sell":
                lost -= paid
            elif is_option(fill.symbol) and fill.client_order_id.startswith(_OURS):
                lost += paid
        return lost

    def _overnight_positions(self, letter: str, day: date) -> int:
        """Contracts that expire after ``day`` and that one engine holds, or has on their way."""
        its = [each for each in self._entries if _letter(each) == letter]
        names = {each.client_order_id for each in its}
        fills = [fill for fill in self._fills if fill.side == "sell" or fill.client_order_id in names]
        held = {symbol for symbol, _ in _lots(fills)}
        held |= {each.symbol for each in its if _open_at(each, self._at)}
        return sum(parse(symbol).expiry > day for symbol in held)

    def _positions(self) -> int:
        coming = {each.symbol for each in self._entries if _open_at(each, self._at)}
        return len(coming.union(self._held))


def _lots(fills: Sequence[Fill]) -> Iterator[tuple[str, tuple[int, Decimal]]]:
    """Each contract that is held after ``fills``: how many, and what they cost in dollars."""
    for symbol in sorted({fill.symbol for fill in fills if is_option(fill.symbol)}):
        qty, cost = 0, Decimal(0)
        for fill in (each for each in fills if each.symbol == symbol):
            if fill.side == "buy":
                qty, cost = qty + fill.qty, cost + fill.qty * fill.price * CONTRACT_SHARES
            elif qty:
                cost -= cost * fill.qty / qty
                qty -= fill.qty
        if qty > 0:
            yield symbol, (qty, cost)


def _entry(order: SimOrder) -> bool:
    return order.client_order_id.startswith(_OURS) and order.side == "buy" and order.is_option


def _letter(order: SimOrder) -> str:
    return order.client_order_id.split("-")[_ENGINE_AT]


def _before(fill: Fill, known: Set[str]) -> bool:
    """Whether ``fill`` is of no entry of ours that came later in the same instant than the ``known``."""
    later = fill.side == "buy" and fill.client_order_id.startswith(_OURS)
    return not later or fill.client_order_id in known


def _unseen(fill: Fill) -> timedelta:
    """What is bought by hand is known a while later; selling it is our own doing."""
    ours = fill.side == "sell" or fill.client_order_id.startswith(_OURS)
    return timedelta(0) if ours else _KNOWN_AFTER


def _open_at(order: SimOrder, at: datetime) -> bool:
    """Whether ``order`` might still fill at ``at``; it does not when its own submission failed."""
    ends = (order.filled_at if not order.remaining else None, order.canceled_at, order.expired_at)
    ended = next((end for end in (*ends, order.failed_at) if end is not None), None)
    return order.submitted_at <= at and (ended is None or ended > at or order.submitted_at == at)


def _open_premium(order: SimOrder, at: datetime, filled: int) -> Decimal:
    """Dollars that what is not filled of ``order`` may cost."""
    if not _open_at(order, at):
        return Decimal(0)
    return (order.limit_price or order.reserve_price) * (order.qty - filled) * CONTRACT_SHARES
