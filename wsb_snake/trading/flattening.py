"""The owner's ``flatten``: everything in scope is claimed, also what is held only after it was asked for.

An entry that works at that moment is called back, and whatever fills of it all the same is sold, also
after a crash. It is done again until the book has what the broker shows in a reading begun since.
What only a reading long after shows is not sold: it may have been bought since.
"""

from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import partial

from wsb_snake.core.orders import ExitReason, PositionState, Purpose
from wsb_snake.trading import flatten_memory
from wsb_snake.trading.closing import claim
from wsb_snake.trading.desk import Desk
from wsb_snake.trading.eod_guard import Reading
from wsb_snake.trading.flat_proof import FlatProof, in_scope, look
from wsb_snake.trading.flatten_memory import Asked
from wsb_snake.trading.reconciler import never_traded, settling

DROPPED = (
    "a flatten of an earlier day was not finished and is dropped",
    "what is being closed already is sold at the next open; what was found only since is not: see what is "
    "held, and flatten again if that shall be sold",
)

YOUNG = timedelta(minutes=10)
"""What a first reading shows that was begun later than this may have been bought long after the request."""

SETTLED = timedelta(minutes=1)
"""So long after a first late reading our own trading in what it showed hides nothing more."""

LATE = "contracts that a flatten could not see in time are not sold by it"


class Flattening:
    """What was asked for and may still find something to close."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._memory = desk.flatten
        self._proof: FlatProof | None = None
        self._late_shown: dict[Asked, tuple[datetime, frozenset[str]]] = {}  # and since when
        self._began = desk.now()

    def ask(self, reason: ExitReason, expiry: date | None) -> int:
        """Close what expires on ``expiry`` (None: everything), also what the next reading of the broker
        shows first; how many positions of the book that concerns."""
        asked = Asked(reason, self._desk.now())
        self._memory.remember(expiry, asked, self._desk.today())
        self._save()
        closing = self._close(expiry, asked)
        self._desk.bell.set()
        return closing

    def pursue(self) -> None:
        """Claim what has come to be held since."""
        ready = self._desk.ready
        self._memory.forget_before(self._desk.today())
        if self._memory.dropped:
            self._memory.dropped = False
            self._desk.alert(*DROPPED)
            self._save()
        for expiry, asked in self._memory.unread.copy().items():
            self._close(expiry, asked)
            if ready or self._desk.loaded:  # the book has what the last process held
                self._read_since(expiry, asked)
        for position in self._desk.book.view.watched():
            wanted = self._memory.when_filled.get(position.position_id)
            if wanted is not None:
                claim(self._desk, position.position_id, wanted)
        if ready and self._memory.when_filled and self._proven():
            self._memory.when_filled.clear()
            self._save()

    def drop(self) -> None:
        """Sell nothing more that fills or shows only then: the owner goes on trading."""
        if self._memory.when_filled or self._memory.unread:
            self._memory.when_filled.clear()
            self._memory.unread.clear()
            self._save()

    def _read_since(self, expiry: date | None, asked: Asked) -> None:
        """Forget the request once everything of a reading begun since is in the book.

        A contract in which we trade is taken up only when that is over, and what is bought elsewhere by
        then was not asked for. What only a late reading shows is left to the owner.
        """
        reading, at, late = self._desk.pollers.positions.latest, self._at(asked), self._late(asked)
        if reading is None or reading.begun_at <= at:
            return
        untouchable = {item.symbol for item in never_traded(reading.value)}
        ours = [p for p in self._desk.book.view.watched() if not (late and p.found and p.opened_at > at)]
        left = frozenset(
            line.symbol
            for line in reading.value
            if in_scope(line.symbol, expiry)
            and line.symbol not in untouchable
            and line.qty > sum(p.qty for p in ours if p.symbol == line.symbol)
        )
        if asked.left is not None:
            left &= asked.left
        if self._memory.unread.get(expiry) is not asked:  # it was asked again just now, or dropped
            return
        if late:
            since, shown = self._late_shown.pop(asked, (reading.begun_at, left))
            left &= shown  # what the first late reading did not show was bought since
            view, read_at = self._desk.book.view, reading.begun_at
            if read_at < since + SETTLED and any(settling(view, symbol, read_at) for symbol in left):
                self._late_shown[asked] = since, left
                return
            self._tell_late(left)
            if self._memory.unread.get(expiry) is not asked:  # the alert had to wait for the book
                return
            left = frozenset()
        if left == asked.left:
            return
        if left:
            self._memory.unread[expiry] = replace(asked, left=left)
        else:
            self._memory.unread.pop(expiry, None)
        self._save()

    def _tell_late(self, symbols: frozenset[str]) -> None:
        if not symbols:
            return
        self._desk.alert(
            LATE,
            f"{', '.join(sorted(symbols))}: the broker was not read within 10 minutes of the request, "
            f"and they may have been bought since. {self._all_the_same(symbols)}"
            "Flatten again if they shall be sold",
        )

    def _all_the_same(self, symbols: frozenset[str]) -> str:
        session = self._desk.session()
        if session is None or self._desk.now() >= session.close:
            return ""
        today = any(in_scope(symbol, session.day) for symbol in symbols)
        return "What expires today is closed at the end of day all the same. " if today else ""

    def _at(self, asked: Asked) -> datetime:
        return asked.at or self._began

    def _late(self, asked: Asked) -> bool:
        """Whether the first reading since was begun only long after."""
        reading = self._desk.pollers.positions.latest
        return asked.left is None and reading is not None and reading.begun_at > self._at(asked) + YOUNG

    def _close(self, expiry: date | None, asked: Asked) -> int:
        """Claim what is held in scope, except what was entered only after it was asked for."""
        desk = self._desk
        view, left, at, late = desk.book.view, asked.left, self._at(asked), self._late(asked)
        # a new process has no reading yet, and what an earlier one found may have come late
        nothing_read = left is None and desk.pollers.positions.latest is None
        later = {o.position_id for o in view.orders if o.purpose is Purpose.ENTRY and o.created_at > at}
        chosen = [
            p
            for p in view.held()
            if (expiry is None or p.expiry == expiry)
            and p.position_id not in later
            and (left is None or p.symbol in left)
            and not (p.opened_at > at and (late or (nothing_read and p.found)))
        ]
        working = {p.position_id for p in chosen if p.state is PositionState.ENTERING}
        if working - self._memory.when_filled.keys():
            self._memory.when_filled.update(dict.fromkeys(working, asked.reason))
            self._proof = None
            self._save()
        desk.unwanted |= working
        claimed = {p.position_id for p in chosen if claim(desk, p.position_id, asked.reason)}
        return len(claimed | working)

    def _save(self) -> None:
        self._memory.forget_before(self._desk.today())  # it is written as of today
        text = self._memory.text(self._desk.today())
        self._desk.ports.database.transact(partial(flatten_memory.save, text=text), urgent=True)

    def _proven(self) -> bool:
        """Whether the broker has shown twice that nothing is left of the entries that are remembered."""
        shown = at_broker(self._desk)
        if shown is None:
            return False
        remembered = self._memory.when_filled
        symbols = {p.symbol for p in self._desk.book.view.positions if p.position_id in remembered}
        proof = self._proof or FlatProof(self._desk.now())
        still = tuple(symbol for symbol in shown.open_symbols if symbol in symbols)
        self._proof = proof.after(replace(shown, open_symbols=still))
        return self._proof.proven


def at_broker(desk: Desk) -> Reading | None:
    """What the newest pair of readings shows in options of every expiry.

    What the book still works or holds counts as well, and an order that ended after the reading was asked
    for: lists lag, and an order whose fate is unknown is on none.
    """
    positions, orders = desk.pollers.positions.latest, desk.pollers.orders.latest
    if positions is None or orders is None:
        return None
    shown = look(positions.value, orders.value, min(positions.begun_at, orders.begun_at), None)
    view = desk.book.view
    doubtful = {o.symbol for o in view.orders if o.live or (o.ended_at or shown.begun_at) > shown.begun_at}
    doubtful |= {position.symbol for position in view.watched()}
    return replace(shown, open_symbols=tuple(sorted({*shown.open_symbols, *doubtful})))
