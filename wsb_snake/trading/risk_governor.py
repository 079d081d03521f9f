"""The risk governor: how many contracts an entry may buy, or why none. Pure.

The book itself is the reservation: an entry counts at its full limit price from the moment that its
row exists until it ends, and at its fills from then on. So a reservation is taken under the book lock
and released exactly once, and a restart forgets none.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from wsb_snake.config import Settings
from wsb_snake.core.clock import eastern_date
from wsb_snake.core.occ import parse
from wsb_snake.core.orders import UNSETTLED, Order, OrderStatus, Origin, Purpose
from wsb_snake.core.sectors import sector_of
from wsb_snake.core.signals import NO_EXITS, TradeIntent
from wsb_snake.core.types import CONTRACT_SHARES
from wsb_snake.trading.book import BookView, premium
from wsb_snake.trading.broker import Account
from wsb_snake.trading.positions import Position


@dataclass(frozen=True, slots=True)
class Limits:
    """Dollars, fractions of equity and counts; see DESIGN section 3."""

    trade_dollars: Decimal
    trade_equity: Decimal
    day_dollars: Decimal
    engine_dollars: Decimal
    overnight_dollars: Decimal
    positions: int
    overnight_positions: int
    ticker_dollars: Decimal
    sector_dollars: Decimal
    loss_dollars: Decimal
    loss_equity: Decimal
    orders_minute: int
    orders_day: int
    entries_per_signal: int

    @classmethod
    def from_settings(cls, settings: Settings) -> "Limits":
        return cls(
            trade_dollars=settings.wsb_snake_max_trade_dollars,
            trade_equity=settings.wsb_snake_max_trade_equity,
            day_dollars=settings.wsb_snake_max_day_dollars,
            engine_dollars=settings.wsb_snake_max_engine_dollars,
            overnight_dollars=settings.wsb_snake_max_overnight_dollars,
            positions=settings.wsb_snake_max_positions,
            overnight_positions=settings.wsb_snake_max_overnight_positions,
            ticker_dollars=settings.wsb_snake_max_ticker_dollars,
            sector_dollars=settings.wsb_snake_max_sector_dollars,
            loss_dollars=settings.wsb_snake_max_daily_loss_dollars,
            loss_equity=settings.wsb_snake_max_daily_loss_equity,
            orders_minute=settings.wsb_snake_max_orders_minute,
            orders_day=settings.wsb_snake_max_orders_day,
            entries_per_signal=settings.wsb_snake_max_entries_per_signal,
        )

    def text(self) -> str:
        """One line for the owner."""
        return (
            f"${self.trade_dollars} and {self.trade_equity:.0%} of equity a trade, "
            f"${self.day_dollars} a day, ${self.engine_dollars} an engine, "
            f"${self.overnight_dollars} in what is held overnight, {self.positions} positions, "
            f"{self.overnight_positions} overnight an engine, ${self.ticker_dollars} a ticker, "
            f"${self.sector_dollars} a sector, "
            f"daily loss ${self.loss_dollars} or {self.loss_equity:.0%}"
        )

    def daily_loss(self, equity: Decimal) -> Decimal:
        """The loss in dollars, positive, from which no entry is allowed until the next session."""
        return min(self.loss_dollars, self.loss_equity * equity)


@dataclass(frozen=True, slots=True)
class Used:
    """What the day has taken of some limits so far: dollars and counts."""

    day_dollars: Decimal
    orders_minute: int
    orders_day: int
    positions: int


def used(view: BookView, day_start: datetime, now: datetime) -> Used:
    """As ``size`` counts it for the next entry."""
    entries = _entries_since(view, day_start)
    return Used(
        day_dollars=sum((_spent(o) for o in entries), Decimal(0)),
        orders_minute=_within_a_minute(entries, now),
        orders_day=len(entries),
        positions=len(view.held()),
    )


@dataclass(frozen=True, slots=True)
class Refused:
    reason: str


@dataclass(frozen=True, slots=True)
class Brought:
    """What a position that was not bought today counts from: ``made``, the dollars that it had made,
    realised and open, when the day knew its first ``mid`` (dollars a share)."""

    made: Decimal
    mid: Decimal


def counted(position: Position, day_start: datetime) -> bool:
    """Whether the daemon may sell ``position``: the owner's option that expires later only once it has
    exits."""
    later = position.origin is Origin.FOREIGN_LATER and position.expiry > eastern_date(day_start)
    return not later or position.plan != NO_EXITS


def bought_today(position: Position, view: BookView, day_start: datetime) -> bool:
    """Whether it was bought since ``day_start``: neither held before nor found at the broker. What has no
    signal of ours was found, unless an entry order of today is its own."""
    if position.opened_at < day_start or not position.found:
        return position.opened_at >= day_start
    return any(order.position_id == position.position_id for order in _entries_since(view, day_start))


def day_pnl(
    positions: Iterable[Position],
    mids: Mapping[str, Decimal],
    view: BookView,
    day_start: datetime,
    brought: Mapping[str, Brought],
) -> Decimal:
    """Realised since ``day_start`` plus open, in dollars, of those of ``positions``, which are of ``view``,
    that the daemon may sell.

    What was bought today counts from its entry, and while it has no mid at its entry. What was not counts
    from what ``brought`` says, open or sold, and not at all without: a sale before the day's first mid
    was made at that price, as far as the day knows.
    """
    total = Decimal(0)
    for position in positions:
        over = position.closed_at is not None and position.closed_at < day_start
        if over or not counted(position, day_start):
            continue
        before, mid = brought.get(position.position_id), mids.get(position.symbol)
        if not bought_today(position, view, day_start):
            if before is None:
                continue
            total -= before.made
            mid = before.mid if mid is None else mid
        total += position.realised()
        if mid is not None:
            total += position.unrealised(mid)
    return total


def size(
    intent: TradeIntent,
    limit_price: Decimal,
    view: BookView,
    account: Account,
    account_at: datetime,
    limits: Limits,
    day_start: datetime,
    now: datetime,
) -> int | Refused:
    """Contracts to buy at ``limit_price`` dollars a share, at least 1, or the limit that forbids it.

    ``account_at`` is when the account was read: what we ordered since is not in its buying power yet.
    """
    entries = _entries_since(view, day_start)
    today = eastern_date(day_start)
    refusal = _by_count(intent, view, entries, limits, now) or _too_many_overnight(
        intent, view, limits, today
    )
    if refusal is not None:
        return refusal
    cost = limit_price * CONTRACT_SHARES
    per_trade = min(limits.trade_dollars, limits.trade_equity * account.equity)
    if cost > per_trade:
        return Refused(f"too dear: one contract costs ${cost:.2f}, a trade may cost ${per_trade:.2f}")
    underlying = intent.contract.underlying
    sector = sector_of(underlying)
    in_ticker = _exposed(view, lambda name: name == underlying)
    in_sector = _exposed(view, lambda name: sector_of(name) == sector)
    spent = sum((_spent(o) for o in entries), Decimal(0))
    engine, its = intent.signal.engine, _positions_of(intent.signal.engine, view)
    by_engine = sum((_spent(o) for o in entries if o.position_id in its), Decimal(0))
    overnight = sum((_spent(o) for o in entries if parse(o.symbol).expiry > today), Decimal(0))
    since_reading = sum((_spent(o) for o in entries if _after(o, account_at)), Decimal(0))
    rooms = [
        (per_trade, "the trade limit"),
        (limits.ticker_dollars - in_ticker, f"the limit of ${limits.ticker_dollars} for {underlying}"),
        (limits.sector_dollars - in_sector, f"the limit of ${limits.sector_dollars} for {sector}"),
        (limits.day_dollars - spent, f"the day's premium of ${limits.day_dollars}"),
        (limits.engine_dollars - by_engine, f"the day's premium of ${limits.engine_dollars} for {engine}"),
        (account.options_buying_power - since_reading, "the account's options buying power"),
    ]
    if intent.contract.expiry > today:
        what = f"the day's premium of ${limits.overnight_dollars} in what is held overnight"
        rooms.append((limits.overnight_dollars - overnight, what))
    room, name = min(rooms, key=lambda pair: pair[0])
    if room < cost:
        return Refused(f"{name} leaves ${max(room, Decimal(0)):.2f}, one contract costs ${cost:.2f}")
    most = int(room // cost)
    return most if intent.budget is None else max(1, min(most, int(intent.budget // cost)))


def _by_count(
    intent: TradeIntent, view: BookView, entries: list[Order], limits: Limits, now: datetime
) -> Refused | None:
    if len(view.held()) >= limits.positions:
        return Refused(f"{limits.positions} positions are open, the limit")
    if any(p.symbol == intent.contract.symbol for p in view.held()):
        return Refused(f"{intent.contract.symbol} is already held")
    if len(entries) >= limits.orders_day:
        return Refused(f"{limits.orders_day} entry orders today, the limit")
    if _within_a_minute(entries, now) >= limits.orders_minute:
        return Refused(f"{limits.orders_minute} entry orders within a minute, the limit")
    same = [p for p in view.positions if p.signal_id == intent.signal.signal_id]
    if len(same) >= limits.entries_per_signal:
        return Refused(f"signal {intent.signal.signal_id} was tried {len(same)} times today, the limit")
    return None


def _entries_since(view: BookView, day_start: datetime) -> list[Order]:
    return [o for o in view.orders if o.purpose is Purpose.ENTRY and _counts(o) and o.created_at >= day_start]


def _within_a_minute(entries: list[Order], now: datetime) -> int:
    minute_ago = now - timedelta(minutes=1)
    return sum(1 for o in entries if o.created_at > minute_ago)


def _counts(order: Order) -> bool:
    """What went on the wire counts, also when the broker never had it."""
    return order.status is not OrderStatus.NEVER_SENT or order.sent_at is not None


def _after(order: Order, account_at: datetime) -> bool:
    """Whether the account as read at ``account_at`` cannot know the order yet."""
    return order.status in UNSETTLED or (order.sent_at or order.created_at) >= account_at


def _spent(order: Order) -> Decimal:
    """Premium of one entry order: its fills, and what may still fill at its limit."""
    filled = premium(order.filled_qty, order.filled_avg_price or Decimal(0))
    return filled + premium(order.open_qty, order.limit_price or Decimal(0))


def _too_many_overnight(intent: TradeIntent, view: BookView, limits: Limits, today: date) -> Refused | None:
    """What one engine holds overnight must not take the places of those that close the same day."""
    engine = intent.signal.engine
    held = sum(p.engine == engine and p.expiry > today for p in view.held())
    if intent.contract.expiry > today and held >= limits.overnight_positions:
        return Refused(f"{held} positions of {engine} are held overnight, the limit")
    return None


def _positions_of(engine: str, view: BookView) -> frozenset[str]:
    return frozenset(p.position_id for p in view.positions if p.engine == engine)


def _exposed(view: BookView, counts: Callable[[str], bool]) -> Decimal:
    """Premium at risk in the underlyings that ``counts``."""
    return sum((_exposure(p, view) for p in view.held() if counts(p.underlying)), Decimal(0))


def _exposure(position: Position, view: BookView) -> Decimal:
    """Premium at risk in one position: held contracts at their entry, open entries at their limit."""
    held = premium(position.qty, position.entry_price or Decimal(0))
    return held + sum((_open_premium(o) for o in _entries_of(position, view)), Decimal(0))


def _entries_of(position: Position, view: BookView) -> Iterable[Order]:
    return (o for o in view.orders if o.position_id == position.position_id and o.purpose is Purpose.ENTRY)


def _open_premium(order: Order) -> Decimal:
    return premium(order.open_qty, order.limit_price or Decimal(0))
