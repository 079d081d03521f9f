"""Any sequence of entries, fills and ends: no limit is ever exceeded. The test keeps its own ledger."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.trading.samples import NOON, OPEN, account, intent, order, position
from wsb_snake.config import Settings
from wsb_snake.core.orders import HELD, Order, OrderStatus, PositionState
from wsb_snake.trading.book import BookView
from wsb_snake.trading.positions import Position
from wsb_snake.trading.risk_governor import Limits, Refused, size

LIMITS = replace(
    Limits.from_settings(Settings(_env_file=None)),
    orders_day=8,
    orders_minute=3,
    day_dollars=Decimal(5000),
    engine_dollars=Decimal(3200),
    ticker_dollars=Decimal(3000),
)
"""Near enough to each other that every one is reached."""

START = OPEN - timedelta(hours=9)
ENGINES = ("spy_scalper", "momentum_engine")
STRIKES = ("600", "601", "602")
ENDED = (OrderStatus.CANCELED, OrderStatus.REJECTED, OrderStatus.EXPIRED, OrderStatus.DONE_FOR_DAY)
WAITING = (OrderStatus.PLANNED, OrderStatus.SENDING, OrderStatus.UNKNOWN, OrderStatus.NEW)


@dataclass
class Entry:
    """What the test knows of one entry."""

    order: Order
    position: Position
    engine: str
    signal: str
    underlying: str
    at: datetime
    price: Decimal
    sent: int
    filled: int = 0
    cost: Decimal = Decimal(0)
    over: bool = False
    lost: bool = False  # it never reached the broker
    sold: bool = False
    states: list[OrderStatus] = field(default_factory=list)

    @property
    def at_risk(self) -> Decimal:
        """Dollars paid, and those that may still be paid."""
        return self.cost + (Decimal(0) if self.over else (self.sent - self.filled) * self.price * 100)


class AnyDay(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = NOON
        self.entries: list[Entry] = []

    def view(self) -> BookView:
        return BookView(tuple(e.position for e in self.entries), tuple(e.order for e in self.entries))

    @rule(
        ticker=st.sampled_from(["SPY", "QQQ"]),
        strike=st.sampled_from(STRIKES),
        engine=st.sampled_from(ENGINES),
        signal=st.sampled_from([f"signal-{n}" for n in range(5)]),
        cents=st.integers(20, 1500),
    )
    def enter(self, ticker: str, strike: str, engine: str, signal: str, cents: int) -> None:
        symbol = f"{ticker}261124C00{strike}000"
        wanted = intent(symbol, signal_id=signal)
        wanted = replace(wanted, signal=replace(wanted.signal, engine=engine))
        price = Decimal(cents) / 100
        got = size(wanted, price, self.view(), account(), self.now, LIMITS, START, self.now)
        if isinstance(got, Refused):
            return
        assert got >= 1 and got * price * 100 <= LIMITS.trade_dollars
        name = f"p{len(self.entries)}"
        made = order(
            client_order_id=f"wsb-{name}-e-1",
            position_id=name,
            symbol=symbol,
            qty=got,
            limit_price=price,
            status=OrderStatus.PLANNED,
            created_at=self.now,
            sent_at=None,
            broker_id=None,
        )
        held = position(
            position_id=name,
            symbol=symbol,
            underlying=ticker,
            engine=engine,
            signal_id=signal,
            state=PositionState.ENTERING,
            qty=0,
            bought_qty=0,
            entry_price=None,
        )
        self.entries.append(Entry(made, held, engine, signal, ticker, self.now, price, got))

    def working(self) -> list[Entry]:
        return [e for e in self.entries if not e.over]

    @precondition(lambda self: bool(self.working()))
    @rule(data=st.data(), status=st.sampled_from(WAITING))
    def becomes(self, data: st.DataObject, status: OrderStatus) -> None:
        entry = data.draw(st.sampled_from(self.working()))
        if not entry.filled:
            sent_at = None if status is OrderStatus.PLANNED else self.now
            entry.order = replace(entry.order, status=status, sent_at=entry.order.sent_at or sent_at)

    @precondition(lambda self: bool(self.working()))
    @rule(data=st.data())
    def fills(self, data: st.DataObject) -> None:
        entry = data.draw(st.sampled_from(self.working()))
        entry.filled = (
            data.draw(st.integers(entry.filled + 1, entry.sent)) if entry.filled < entry.sent else 0
        )
        entry.over = entry.filled == entry.sent
        entry.cost = entry.filled * entry.price * 100
        status = OrderStatus.FILLED if entry.over else OrderStatus.PARTIALLY_FILLED
        entry.order = replace(
            entry.order,
            status=status,
            filled_qty=entry.filled,
            filled_avg_price=entry.price,
            sent_at=self.now,
        )
        entry.position = replace(
            entry.position,
            state=PositionState.OPEN if entry.over else PositionState.ENTERING,
            qty=entry.filled,
            bought_qty=entry.filled,
            entry_price=entry.price,
        )

    @precondition(lambda self: bool(self.working()))
    @rule(data=st.data(), status=st.sampled_from((*ENDED, OrderStatus.NEVER_SENT)))
    def ends(self, data: st.DataObject, status: OrderStatus) -> None:
        entry = data.draw(st.sampled_from(self.working()))
        if status is OrderStatus.NEVER_SENT and entry.order.sent_at is not None:
            status = OrderStatus.CANCELED
        entry.over, entry.lost = True, status is OrderStatus.NEVER_SENT
        entry.order = replace(entry.order, status=status, ended_at=self.now)
        state = PositionState.OPEN if entry.filled else PositionState.VOID
        entry.position = replace(entry.position, state=state, closed_at=None if entry.filled else self.now)

    @precondition(lambda self: any(e.position.state is PositionState.OPEN for e in self.entries))
    @rule(data=st.data())
    def sells(self, data: st.DataObject) -> None:
        entry = data.draw(
            st.sampled_from([e for e in self.entries if e.position.state is PositionState.OPEN])
        )
        entry.sold = True
        entry.position = replace(entry.position, state=PositionState.CLOSED, qty=0, closed_at=self.now)

    @rule(seconds=st.sampled_from([1, 20, 61, 900]))
    def waits(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @invariant()
    def dollars(self) -> None:
        assert sum(e.at_risk for e in self.entries) <= LIMITS.day_dollars
        for engine in ENGINES:
            assert sum(e.at_risk for e in self.entries if e.engine == engine) <= LIMITS.engine_dollars
        for ticker in ("SPY", "QQQ"):
            open_now = (e for e in self.entries if e.underlying == ticker and not e.sold)
            assert sum(e.at_risk for e in open_now) <= LIMITS.ticker_dollars

    @invariant()
    def counts(self) -> None:
        assert sum(e.position.state in HELD for e in self.entries) <= LIMITS.positions
        sent = [e for e in self.entries if not e.lost]
        assert len(sent) <= LIMITS.orders_day
        for entry in sent:
            minute = [e for e in sent if entry.at - timedelta(minutes=1) < e.at <= entry.at]
            assert len(minute) <= LIMITS.orders_minute
        for signal in {e.signal for e in self.entries}:
            assert sum(e.signal == signal for e in self.entries) <= LIMITS.entries_per_signal


AnyDay.TestCase.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)
TestAnyDay = AnyDay.TestCase
