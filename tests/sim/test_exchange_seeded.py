"""The exchange on the seeded market: one busy half day, twice."""

from datetime import timedelta
from decimal import Decimal

from tests.sim.bench import HALF_DAY
from wsb_snake.core.clock import VirtualClock
from wsb_snake.core.types import Quote, Right
from wsb_snake.sim.exchange import Exchange
from wsb_snake.sim.market import SeededMarket
from wsb_snake.sim.order_entry import Refusal
from wsb_snake.sim.orders import NewOrder, TradeUpdateMessage
from wsb_snake.sim.rules import Rules


class HalfDay:
    """Buys the nearest SPY contract every ten minutes and sells the one bought before it."""

    def __init__(self, seed: int) -> None:
        self.market = SeededMarket(HALF_DAY, seed)
        self.clock = VirtualClock(self.market.session.open)
        self.exchange = Exchange(self.clock, self.market, seed, Rules(liquidation="always"))
        self.updates: list[TradeUpdateMessage] = []
        self.quotes: list[Quote] = []
        self.refusals: list[str] = []
        self.exchange.on_trade_update(self.updates.append)
        self.exchange.on_quote(self.quotes.append)

    def run(self) -> None:
        for minute in range(5, 240, 10):
            self.clock.advance_to(minute * 60)
            self.exchange.advance()
            try:
                self._trade(minute)
            except Refusal as refusal:
                self.refusals.append(refusal.message)
        self.clock.advance_to(timedelta(hours=6).total_seconds())
        self.exchange.advance()

    def _trade(self, minute: int) -> None:
        for position in self.exchange.positions():
            self.exchange.close_position(position.holding.symbol)
        spot = Decimal(str(self.market.spot("SPY", self.clock.now())))
        right = Right.CALL if minute % 20 == 5 else Right.PUT
        today = [row.contract for row in self.market.contracts("SPY") if row.contract.expiry == HALF_DAY]
        nearest = min((c for c in today if c.right is right), key=lambda c: abs(c.strike - spot))
        self.exchange.subscribe_quotes(frozenset({nearest.symbol}))
        self.exchange.place(NewOrder(nearest.symbol, "buy", 3, "market"))


def test_a_half_day_on_the_seeded_market() -> None:
    day = HalfDay(5)
    day.run()
    close = day.market.session.close
    fills = [update for update in day.updates if update.price is not None]
    assert len(fills) > 20
    for fill in fills:
        quote = day.market.option_quote(fill.order.symbol, fill.at)
        assert quote is not None
        assert fill.price == (quote.ask if fill.order.side == "buy" else quote.bid)
    assert max(fill.at for fill in fills) < close
    assert max(quote.at for quote in day.quotes) < close
    assert len(day.quotes) > 10_000
    bought_last = max(fill.at for fill in fills if fill.order.side == "buy")
    assert bought_last < close - Rules().cutoff_broad
    assert any("expires soon" in message for message in day.refusals)
    assert day.exchange.positions() == []
    assert day.exchange.orders() == []
    spent = sum(
        (fill.price or 0) * (fill.qty or 0) * (1 if fill.order.side == "buy" else -1) for fill in fills
    )
    assert day.exchange.account.cash == 100_000 - 100 * spent


def test_the_same_seed_gives_the_same_day() -> None:
    one, other, another = HalfDay(5), HalfDay(5), HalfDay(6)
    for day in (one, other, another):
        day.run()
    assert one.updates == other.updates
    assert one.updates != another.updates
