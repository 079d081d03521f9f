"""What an exercise would mean for a contract that nobody buys, and the instruction that prevents it."""

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from wsb_snake.core.calendar import Session
from wsb_snake.core.events import EventKind
from wsb_snake.core.occ import is_option, parse
from wsb_snake.core.types import CONTRACT_SHARES, Contract, Right
from wsb_snake.trading.broker import BrokerError, Rejected
from wsb_snake.trading.desk import SENDS, Desk

WARN_BEFORE_CLOSE = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Holding:
    symbol: str
    qty: int


def in_the_money(contract: Contract, price: Decimal | None) -> bool | None:
    """By the underlying's last price, dollars; None when nobody knows it."""
    if price is None:
        return None
    return price > contract.strike if contract.right is Right.CALL else price < contract.strike


def held_today(desk: Desk, day: date) -> tuple[Holding, ...]:
    """Long contracts expiring on ``day``, by the book and by the broker: whichever shows more."""
    held: dict[str, int] = {}
    for position in desk.book.view.watched():
        if position.expiry == day:
            held[position.symbol] = held.get(position.symbol, 0) + position.qty
    reading = desk.pollers.positions.latest
    for line in () if reading is None else reading.value:
        if line.is_option and line.qty > 0 and parse(line.symbol).expiry == day:
            held[line.symbol] = max(held.get(line.symbol, 0), int(line.qty))
    return tuple(Holding(symbol, held[symbol]) for symbol in sorted(held))


class ExerciseWatch:
    """Warns once for each contract that is still held two minutes before the close."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._warned: set[tuple[date, str]] = set()

    def check(self, session: Session) -> None:
        desk = self._desk
        if not desk.ready or desk.now() < session.close - WARN_BEFORE_CLOSE:
            return
        for holding in held_today(desk, session.day):
            key = (session.day, holding.symbol)
            if key not in self._warned:
                self._warned.add(key)
                self._warn(holding)

    def _warn(self, holding: Holding) -> None:
        desk = self._desk
        contract = parse(holding.symbol)
        last = desk.ports.underlying_price
        price = None if last is None else last(contract.underlying)
        shares = holding.qty * CONTRACT_SHARES
        with desk.book.change() as commit:
            commit.change.event(
                EventKind.EXERCISE_WARNING,
                symbol=holding.symbol,
                qty=holding.qty,
                in_the_money=in_the_money(contract, price),
                underlying_price=price,
                shares=shares,
                dollars=contract.strike * shares,
                can_decline=desk.settings.wsb_snake_dne == "ask",
            )


def decline(desk: Desk, symbol: str) -> str | None:
    """Queue a do-not-exercise instruction for a held contract; why not, when it cannot be asked for."""
    if desk.settings.wsb_snake_dne == "never":
        return "WSB_SNAKE_DNE is never: set it to ask first"
    session = desk.session()
    if session is None or not is_option(symbol):
        return f"{symbol} is no option that expires today"
    if symbol not in {holding.symbol for holding in held_today(desk, session.day)}:
        return f"{symbol} is not held, or does not expire today"
    if not desk.senders.offer(f"dne:{symbol}", lambda: _ask(desk, symbol)):
        return f"{symbol}: the instruction is already under way"
    return None


def _ask(desk: Desk, symbol: str) -> None:
    try:
        desk.ports.broker.do_not_exercise(symbol)
    except BrokerError as error:
        desk.broker_failed(SENDS, error)
        known = isinstance(error, Rejected)
        why = str(error) if known else f"{error}; whether the broker has it is unknown, so ask once more"
        with desk.book.change() as commit:
            commit.change.event(EventKind.DNE_REFUSED, symbol=symbol, why=why)
    else:
        desk.broker_answered(SENDS)
        with desk.book.change() as commit:
            commit.change.event(EventKind.DNE_TAKEN, symbol=symbol)
