"""The tap that confirms a command: what it would do in words, and a button that works once, for 30 s."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType

from wsb_snake.config import Settings
from wsb_snake.core.health import Facts, PositionFacts, due_by_now
from wsb_snake.core.occ import parse
from wsb_snake.core.types import CONTRACT_SHARES
from wsb_snake.notifications.chat import Button
from wsb_snake.notifications.wording import contract, dollars
from wsb_snake.owner.adopting import sells_at_once
from wsb_snake.owner.commands import Verb
from wsb_snake.owner.confirm import MOST, VALID_S, Confirmations
from wsb_snake.trading import owners_exits

DO, LEAVE = "do", "leave"
TOO_LATE = f"This button is older than {VALID_S:.0f} s. Nothing was done; send the command again."
ANSWERED = "You have answered this already. This tap did nothing; /status shows what holds."
UNKNOWN = "This button is not known any more. Nothing was done by this tap; /status shows what holds."
LEFT = "Left as it is. Nothing was done."

_MEANS = MappingProxyType(
    {
        Verb.CANCEL: "Cancels every open entry of ours and every other open option order, no closing order.",
        Verb.CLOSE: "Sells:",
        Verb.EOD: "Runs the end-of-day check. It sells only what is due by now, of what expires today:",
        Verb.DNE: "Tells the broker not to exercise. This cannot be taken back:",
    }
)
_FLATTEN = MappingProxyType({"0dte": "Sells what expires today", "all": "Sells EVERYTHING"})


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked for, as the daemon will be asked for it."""

    verb: Verb
    argument: str | None


@dataclass(frozen=True, slots=True)
class Tap:
    """``question``: what is to be done now; without one ``text`` says why nothing is.

    ``settles``: the question was open until this tap, so its message may be written over.
    """

    question: Question | None
    text: str
    settles: bool


class Taps:
    """The questions that wait for a tap. ``monotonic`` gives seconds; one thread uses it."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._confirmations = Confirmations(monotonic)
        self._open: Mapping[str, Question] = {}
        self._answered: tuple[str, ...] = ()

    def ask(self, question: Question) -> tuple[Button, ...]:
        """The buttons for ``question``; the newest few questions can be answered."""
        token = self._confirmations.ask(question.verb, question.argument, question.argument)
        kept = list(self._open.items())[-(MOST - 1) :]
        self._open = dict([*kept, (token, question)])
        return (Button("Do it", f"{DO}:{token}"), Button("Leave it", f"{LEAVE}:{token}"))

    def tapped(self, data: str) -> Tap:
        """What a tap on a button means. Each question is answered once."""
        act, _, token = data.partition(":")
        question = self._open.get(token)
        if question is None:
            return Tap(None, ANSWERED if token in self._answered else UNKNOWN, settles=False)
        self._open = {name: held for name, held in self._open.items() if name != token}
        self._answered = (*self._answered[-(MOST - 1) :], token)
        if not self._confirmations.take(token, question.verb, question.argument):
            return Tap(None, TOO_LATE, settles=True)
        return Tap(question, "", settles=True) if act == DO else Tap(None, LEFT, settles=True)


def words(facts: Facts, question: Question, settings: Settings) -> str:
    """What a tap will do: contracts, quantities, and what they bring at the bid."""
    lines = [f"/{question.verb} {question.argument or ''}".strip(), _means(question, settings)]
    hit = _hit(facts, question)
    lines += [_line(position) for position in hit]
    if question.verb is Verb.ADOPT:
        lines.append(sells_at_once(hit, (question.argument or "").rpartition(" ")[2]))
    if question.verb in {Verb.FLATTEN, Verb.CLOSE, Verb.EOD}:
        lines.append(_proceeds(hit) if hit else "At present there is nothing of that.")
    return "\n".join([*filter(None, lines), f"Tap within {VALID_S:.0f} s."])


def _means(question: Question, settings: Settings) -> str:
    if question.verb is Verb.ADOPT:
        exits = owners_exits.words(settings, (question.argument or "").rpartition(" ")[2])
        return f"Lets the daemon sell this by its rules ({exits}); until now none does:"
    if question.verb is Verb.FLATTEN:
        what = _FLATTEN[question.argument or "0dte"]
        return f"{what}, calls working entries back, and sells what still fills:"
    return _MEANS[question.verb]


def _hit(facts: Facts, question: Question) -> list[PositionFacts]:
    held = [position for position in facts.positions if position.qty > 0]
    today = None if facts.session is None else facts.session.day
    argument = question.argument or ""
    if question.verb is Verb.FLATTEN and argument == "all":
        return held
    if question.verb is Verb.EOD:
        return list(due_by_now(facts))
    if question.verb is Verb.FLATTEN:
        return [position for position in held if parse(position.symbol).expiry == today]
    return [position for position in held if position.symbol in argument.split()]


def _line(position: PositionFacts) -> str:
    if position.bid is None:
        bid = "no quote yet"
    else:
        bid = f"bid {dollars(position.bid)}" if position.bid else "no bid"
    gain = dollars(position.unrealised, signed=True)
    return f"• {position.qty} × {contract(position.symbol)}, {bid}, P&L {gain}"


def _proceeds(hit: list[PositionFacts]) -> str:
    bring = sum((p.bid * p.qty * CONTRACT_SHARES for p in hit if p.bid), Decimal(0))
    without = sum(p.qty for p in hit if not p.bid)
    rest = f"; {without} contracts have no bid, or no quote yet" if without else ""
    return f"At the bid that is about {dollars(bring)}{rest}."
