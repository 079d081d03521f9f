"""What adopting would do, in words; pure functions of the facts."""

from collections.abc import Iterable
from decimal import Decimal

from wsb_snake.core.health import Facts, PositionFacts
from wsb_snake.notifications.wording import dollars


def adopts(facts: Facts, symbol: str, kind: str) -> str:
    """The question before ``symbol`` gets the exits of ``kind``."""
    exits = facts.exit_kinds.get(kind)
    told = "" if exits is None else f" ({exits})"
    bare = [position for position in facts.positions if position.symbol == symbol and position.needs_exits]
    held = f" It is about {sum(p.qty for p in bare)} × {symbol}, {_bid(bare[0].bid)}." if bare else ""
    first = f"This lets the rules of the daemon sell {symbol} {kind}{told}; until now none does.{held}"
    return f"{first} {sells_at_once(bare, kind)}".rstrip()


def sells_at_once(positions: Iterable[PositionFacts], kind: str) -> str:
    """One sentence where the exits of ``kind`` would sell at the present quote, else nothing.

    It says "at once" only once quotes count.
    """
    bare = [position for position in positions if position.needs_exits]
    sold, held = sum(p.sold_if_adopted.get(kind, 0) for p in bare), sum(p.qty for p in bare)
    if not sold:
        return ""
    what = "it is sold" if sold == held else f"{sold} of {held} {'is' if sold == 1 else 'are'} sold"
    waits = any(p.quotes_wait for p in bare)
    when = "once quotes count, 5 minutes after the open, if that holds until then" if waits else "at once"
    return f"It is beyond that already: {what} {when}."


def _bid(bid: Decimal | None) -> str:
    if bid is None:
        return "the bid is unknown"
    return f"the bid is {dollars(bid)}" if bid else "there is no bid"
