"""Checks of closing: the end of day, exits that were decided, and the proof of flat.

A close is due once the broker has been good for a minute on end: it answered, confirmed cancels, took
closing orders and showed a bid. From the end of the first such minute there are 60 s to be gone. Whoever
is in the way (a fault that is injected, a contract without a bid, a process that was dead) begins a new
minute; what never got one before the close is excused, and must have been told.

Most things are gone long before that minute is over. Then the broker is watched to its end: only if it stays
good was the promise put to the test.
"""

from datetime import datetime, timedelta

from wsb_snake.backtest.campaign.violation import Findings, Promise
from wsb_snake.core.occ import parse
from wsb_snake.core.orders import PositionState
from wsb_snake.sim.drillable import MarketUnderDrill
from wsb_snake.sim.exchange import Exchange
from wsb_snake.sim.seeded_faults import OURS, SeededFaults
from wsb_snake.trading.desk import Desk
from wsb_snake.trading.eod_guard import EodState

GOOD, TO_GO = timedelta(seconds=60), timedelta(seconds=60)
EOD, FIRST_RUNG = timedelta(minutes=5), timedelta(minutes=57)
_BROAD = frozenset({"SPY", "QQQ"})
_CUTOFF = (timedelta(minutes=55), timedelta(minutes=40))
PROOF_GAP = timedelta(seconds=10)
SEEN_LATE = timedelta(seconds=20)
"""A reading may be this old, or lag this much, when the proof is latched."""


class _Due:
    """One thing that must be gone: since when it could be, and by when it has to be."""

    def __init__(self, promise: Promise, symbol: str, since: datetime) -> None:
        self.promise = promise
        self.symbol = symbol
        self.good_since = since
        self.went_at: datetime | None = None
        self.deadline: datetime | None = None
        self.told = False

    def look(self, now: datetime, bad_until: datetime) -> bool:
        """Whether it is overdue at ``now``; trouble up to ``bad_until`` begins a new minute."""
        if self.deadline is None:
            self.good_since = max(self.good_since, bad_until)
            if now - self.good_since >= GOOD:
                self.deadline = self.good_since + GOOD + TO_GO
            return False
        return now > self.deadline and not self.told


class ClosingChecks:
    """One day's closing."""

    def __init__(
        self, exchange: Exchange, market: MarketUnderDrill, faults: SeededFaults, findings: Findings
    ) -> None:
        self._exchange = exchange
        self._market = market
        self._faults = faults
        self._findings = findings
        self._today: dict[str, _Due] = {}
        self._exits: dict[str, _Due] = {}
        self._appeared: dict[str, datetime] = {}
        self._alive_since = exchange.clock.now()
        self._bare: dict[str, datetime] = {}
        self._gone: list[_Due] = []  # before its good minute was over
        self._proven = False

    def started(self) -> None:
        """A new process runs; what the dead one could not do is not held against it."""
        self._alive_since = self._exchange.clock.now()

    def step(self, desk: Desk) -> None:
        now = self._exchange.clock.now()
        session = self._market.session
        if session.open <= now < session.close:
            self._expiring(desk, now)
            self._decided(desk, now)
        self._premises(now, over=now >= session.close)
        self._proof(desk, now)

    def still_held(self) -> dict[str, tuple[int, datetime]]:
        """Contracts of today that the account holds: how many, and since when."""
        return {
            h.symbol: (h.qty, self._appeared.get(h.symbol, self._market.session.open))
            for h in self._exchange.account.holdings
            if h.qty > 0 and parse(h.symbol).expiry == self._market.day
        }

    def why_excused(self, symbol: str, close: datetime) -> str | None:
        """Why ``symbol`` may stand at the close; None: it may not, and was found."""
        due = self._today.get(symbol)
        if due is not None and due.told:
            return None
        if self._bare.get(symbol, self._market.session.open) > close - GOOD - TO_GO:
            return "nobody bid"
        if self._appeared.get(symbol, close) > close - GOOD - TO_GO:
            return "it appeared in the last two minutes"
        if self._alive_since > close - GOOD - TO_GO:
            return "the daemon was being restarted"
        return "the broker was in the way"

    def _expiring(self, desk: Desk, now: datetime) -> None:
        if now < self._market.session.close - FIRST_RUNG:
            return
        held = self.still_held()
        for symbol in held.keys() - self._appeared.keys():
            self._appeared[symbol] = now
        for symbol in self._appeared.keys() - held.keys():
            del self._appeared[symbol]
            self._went(self._today.pop(symbol, None))
        for symbol in held:
            rung = self._rung(symbol, desk)
            if now < rung:
                continue
            due = self._today.get(symbol)
            if due is None:
                since = max(rung, self._appeared[symbol])
                due = self._today[symbol] = _Due(Promise.GONE_AT_THE_END, symbol, since)
            if due.look(now, self._bad_until(symbol, now)):
                due.told = True
                text = f"{held[symbol][0]} {symbol} stand, good since {due.good_since}"
                self._findings.check(Promise.GONE_AT_THE_END, False, text)

    def _went(self, due: _Due | None) -> None:
        """Count what was due and went in time."""
        if due is None or due.told:
            return
        if due.deadline is None:
            due.went_at = self._exchange.clock.now()
            self._gone.append(due)
        else:
            self._findings.check(due.promise, True, "")

    def _premises(self, now: datetime, *, over: bool) -> None:
        """Whether the minute in which something went was a good one to its end."""
        watched, self._gone = self._gone, []
        for due in watched:
            quote = self._market.option_quote(due.symbol, now)  # the exchange's would spend a fault on it
            bare = now if quote is None or quote.bid <= 0 else self._alive_since
            due.look(now, max(bare, self._hindered_until(now)))
            if over or due.went_at is None or due.good_since > due.went_at:
                self._findings.before_due[due.promise] += 1
            elif due.deadline is not None:
                self._findings.check(due.promise, True, "")
            else:
                self._gone.append(due)

    def _rung(self, symbol: str, desk: Desk) -> datetime:
        close = self._market.session.close
        if not desk.settings.wsb_snake_cutoff_flatten:
            return close - EOD
        return close - _CUTOFF[parse(symbol).underlying in _BROAD]

    def _decided(self, desk: Desk, now: datetime) -> None:
        exiting = {p.position_id: p for p in desk.book.view.held() if p.state is PositionState.EXITING}
        for position_id in self._exits.keys() - exiting.keys():
            self._went(self._exits.pop(position_id))
        for position_id, position in exiting.items():
            due = self._exits.get(position_id)
            if due is None:
                due = self._exits[position_id] = _Due(Promise.EXITS_GET_DONE, position.symbol, now)
            if self._exchange.account.qty(position.symbol) <= 0:
                continue  # gone: what is left is to learn of it
            if due.look(now, self._bad_until(position.symbol, now)):
                due.told = True
                text = (
                    f"{position.qty} {position.symbol} ({position.exit_reason}), good since {due.good_since}"
                )
                self._findings.check(Promise.EXITS_GET_DONE, False, text)

    def _bad_until(self, symbol: str, now: datetime) -> datetime:
        quote = self._exchange.quote(symbol, now)
        if quote is None or quote.bid <= 0:
            self._bare[symbol] = now
        bare = self._bare.get(symbol, self._alive_since)
        return max(bare, self._hindered_until(now))

    def _hindered_until(self, now: datetime) -> datetime:
        """Up to when something stood in the way of every contract."""
        return max(self._alive_since, min(self._faults.trouble_until, now + GOOD))

    def _proof(self, desk: Desk, now: datetime) -> None:
        """At the moment in which the proof is latched the exchange must agree."""
        eod = desk.eod
        proven = eod is not None and eod.proven_at is not None and eod.day == self._market.day
        if proven and not self._proven:
            stands = {
                symbol: qty for symbol, (qty, since) in self.still_held().items() if now - since > SEEN_LATE
            }
            working = [
                order.client_order_id
                for order in self._exchange.orders(limit=500)
                if order.is_option
                and parse(order.symbol).expiry == self._market.day
                and now - order.submitted_at > SEEN_LATE
            ]
            true = not stands and not working
            self._findings.check(Promise.PROOF_IS_TRUE, true, f"proven flat with {stands} and {working}")
            self._two_readings(eod)
        self._proven = proven

    def _two_readings(self, eod: EodState | None) -> None:
        """Two readings, ten seconds apart, begun after the close had run and our last order was over."""
        if eod is None or eod.ran_at is None or eod.proven_at is None:
            return
        ends = (
            order.updated_at
            for order in self._exchange.orders("all", 1_000_000)
            if order.client_order_id.startswith(OURS)
            and not order.open
            and parse(order.symbol).expiry == self._market.day
        )
        quiet_since = max((eod.ran_at, *ends))
        kept = eod.proven_at >= quiet_since + PROOF_GAP
        text = f"proven by a reading of {eod.proven_at}, quiet since {quiet_since}"
        self._findings.check(Promise.PROOF_IS_TRUE, kept, text)
