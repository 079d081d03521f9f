"""The owner's ``flatten``: everything in scope is claimed, also what is held only after it was asked for.

An entry that works at that moment is called back, and whatever fills of it all the same is sold. What
is asked before the broker was read is done again until it was.
"""

from datetime import date

from wsb_snake.core.orders import ExitReason, PositionState
from wsb_snake.trading.closing import claim
from wsb_snake.trading.desk import Desk


class Flattening:
    """What was asked for and may still find something to close."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._when_filled: dict[str, ExitReason] = {}  # by position
        self._unread: dict[date | None, ExitReason] = {}  # by expiry, None: any; until the broker was read

    def ask(self, reason: ExitReason, expiry: date | None) -> int:
        """Close what expires on ``expiry`` (None: everything); how many positions that concerns."""
        if not self._desk.ready:
            self._unread[expiry] = reason
        asked = self._close(reason, expiry)
        self._desk.bell.set()
        return asked

    def pursue(self) -> None:
        """Claim what has come to be held since."""
        ready = self._desk.ready
        for expiry, reason in self._unread.items():
            self._close(reason, expiry)
        if ready:
            self._unread.clear()
        for position in self._desk.book.view.watched():
            wanted = self._when_filled.get(position.position_id)
            if wanted is not None:
                claim(self._desk, position.position_id, wanted)

    def _close(self, reason: ExitReason, expiry: date | None) -> int:
        desk = self._desk
        chosen = [p for p in desk.book.view.held() if expiry is None or p.expiry == expiry]
        working = {p.position_id for p in chosen if p.state is PositionState.ENTERING}
        self._when_filled.update(dict.fromkeys(working, reason))
        desk.unwanted |= working
        claimed = {p.position_id for p in chosen if claim(desk, p.position_id, reason)}
        return len(claimed | working)
