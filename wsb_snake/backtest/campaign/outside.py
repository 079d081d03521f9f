"""What happens to the daemon from outside of any call: people, the calendar, the disk, the phone."""

import random
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal

from wsb_snake.backtest.campaign.incarnation import Site
from wsb_snake.core.occ import parse
from wsb_snake.sim.drill_market import SPOTS
from wsb_snake.sim.drillable import MarketUnderDrill
from wsb_snake.sim.fault_plan import WORLD
from wsb_snake.sim.faults import FaultKind
from wsb_snake.sim.order_entry import Refusal
from wsb_snake.sim.orders import NewOrder
from wsb_snake.sim.seeded_faults import SeededFaults

SURPRISE_NOTICE = timedelta(hours=2, minutes=30)
LAST_HOUR, BARE_TO_THE_CLOSE, BARE_INTO_THE_PROOF = timedelta(hours=1), 0.06, 0.6
FAR_ABOVE = Decimal(5)


class Outside:
    """Carries out the faults that no call carries."""

    def __init__(
        self, site: Site, market: MarketUnderDrill, faults: SeededFaults, luck: random.Random
    ) -> None:
        self._site = site
        self._market = market
        self._faults = faults
        self._luck = luck

    def look(self) -> None:
        """Do what is due in the world, if anything."""
        now = self._site.clock.now()
        session = self._market.session
        if session.open <= now < session.close:
            kind = self._faults.due_in_the_world(now, self._can)
            if kind is not None:
                self._do(kind, now)

    def _can(self, kind: FaultKind) -> bool:
        site, now = self._site, self._site.clock.now()
        match kind:
            case FaultKind.STREAM_MUTE | FaultKind.STREAM_FLAPS:
                return site.stream.up and now >= site.stream.mute_until
            case FaultKind.EARLY_LIQUIDATION:
                return bool(self._held(today=True))
            case FaultKind.NO_BID | FaultKind.MANUAL_CLOSE:
                return bool(self._held())
            case FaultKind.CALENDAR_SURPRISE:
                untouched = self._market.session.close - now > SURPRISE_NOTICE + timedelta(minutes=30)
                return untouched and self._market.regular
            case FaultKind.SLOW_DISK | FaultKind.DISK_FULL:
                return not site.disk.stalled()
            case FaultKind.CHAT_DOWN:
                return now >= site.chat.down_until
        return kind in WORLD

    def _do(self, kind: FaultKind, now: datetime) -> None:
        site, luck = self._site, self._luck
        match kind:
            case FaultKind.STREAM_MUTE:
                site.stream.mute(now + timedelta(seconds=luck.uniform(10, 150)))
            case FaultKind.STREAM_FLAPS:
                site.stream.flap()
            case FaultKind.EARLY_LIQUIDATION:
                site.exchange.liquidate(luck.choice(self._held(today=True)))
            case FaultKind.NO_BID:
                late = self._market.session.close - now < LAST_HOUR
                chosen = (self._held(today=True) if late else []) or self._held()
                for symbol in luck.sample(chosen, min(len(chosen), 2 if late else 1)):
                    self._market.bare(symbol, self._bare_until(now))
            case FaultKind.FOREIGN_ORDER:
                self._foreign_order(now)
            case FaultKind.MANUAL_CLOSE:
                self._close_by_hand(luck.choice(self._held()))
            case FaultKind.CALENDAR_SURPRISE:
                earlier = luck.uniform(0.0, 1.0) * (self._market.session.close - now - SURPRISE_NOTICE)
                self._market.shorten((self._market.session.close - earlier).replace(second=0, microsecond=0))
                site.exchange.reschedule()
            case FaultKind.SLOW_DISK:
                site.disk.slow(now + timedelta(seconds=luck.uniform(1, 8)))
            case FaultKind.DISK_FULL:
                site.disk.fill(now + timedelta(seconds=luck.uniform(4, 40)))
            case FaultKind.CHAT_DOWN:
                site.chat.down_until = now + timedelta(seconds=luck.uniform(20, 600))
                site.chat.swallows = luck.random() < 0.5

    def _bare_until(self, now: datetime) -> datetime:
        """Mostly for a minute or two; in the last hour also until the end of day, or for good."""
        luck, close = self._luck, self._market.session.close
        until = now + timedelta(seconds=luck.uniform(5, 120))
        if close - now < LAST_HOUR:
            fate = luck.random()
            if fate < BARE_TO_THE_CLOSE:
                until = close
            elif fate < BARE_TO_THE_CLOSE + BARE_INTO_THE_PROOF:
                until = max(until, close - timedelta(seconds=luck.uniform(60, 290)))
        return until

    def _held(self, *, today: bool = False) -> list[str]:
        """Contracts that the account holds and somebody bids for."""
        exchange, now = self._site.exchange, self._site.clock.now()
        return [
            holding.symbol
            for holding in exchange.account.holdings
            if (not today or parse(holding.symbol).expiry == self._market.day)
            and (quote := exchange.quote(holding.symbol, now)) is not None
            and quote.bid > 0
        ]

    def _foreign_order(self, now: datetime) -> None:
        """Somebody rests a far sale of what is held, or buys something himself."""
        held = self._held()
        if held and self._luck.random() < 0.5:
            self._rest_far_above(self._luck.choice(held), now)
        else:
            self._buy_by_hand()

    def _rest_far_above(self, symbol: str, now: datetime) -> None:
        available = next(
            (p.available for p in self._site.exchange.positions() if p.holding.symbol == symbol), 0
        )
        if available > 0:
            qty = self._luck.randint(1, available)
            quote = self._site.exchange.quote(symbol, now)
            ask = FAR_ABOVE if quote is None else (quote.ask * FAR_ABOVE).quantize(Decimal("0.1"))
            self._place(NewOrder(symbol, "sell", qty, "limit", ask, position_intent="sell_to_close"))

    def _buy_by_hand(self) -> None:
        rows = self._market.contracts(self._luck.choice(sorted(SPOTS)))
        contract = self._luck.choice([row.contract for row in rows])
        order = NewOrder(
            contract.symbol, "buy", self._luck.randint(1, 2), "market", position_intent="buy_to_open"
        )
        self._place(order)

    def _close_by_hand(self, symbol: str) -> None:
        """As somebody does it in the broker's app: what is in the way is cancelled first."""
        exchange = self._site.exchange
        for order in exchange.orders(limit=500, symbols=frozenset({symbol})):
            if order.side == "sell":
                exchange.cancel(order.id)
        position = exchange.account.qty(symbol)
        if position <= 0:
            return  # sold while its orders were cancelled
        qty = position if self._luck.random() < 0.7 else self._luck.randint(1, position)
        self._place(NewOrder(symbol, "sell", qty, "market", position_intent="sell_to_close"))

    def _place(self, order: NewOrder) -> None:
        with suppress(Refusal):  # too late in the day, or the quantity is held
            self._site.exchange.place(order)
