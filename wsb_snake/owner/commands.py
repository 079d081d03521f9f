"""What the owner can ask for, each verb once, however it arrives (socket, chat, terminal).

A command checks its argument and hands it to the daemon's desk; it never calls the broker.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Protocol

from wsb_snake.core.health import Facts, PositionFacts, due_by_now
from wsb_snake.core.lanes import Promise
from wsb_snake.core.occ import is_option, parse
from wsb_snake.core.orders import Origin
from wsb_snake.daemon_owner import CommandRefused
from wsb_snake.notifications.messages import stays_paused
from wsb_snake.owner.adopting import adopts
from wsb_snake.owner.status import status_json, status_text
from wsb_snake.owner.why import NothingKnown
from wsb_snake.trading.owners_exits import RUNNER, SCALP
from wsb_snake.trading.reconciler import COVERS, SHORT

ANSWER_WITHIN_S = 3.0  # below the 5 s after which a caller takes the daemon for dead


class Verb(StrEnum):
    STATUS = "status"
    FLATTEN = "flatten"
    HALT = "halt"
    RESUME = "resume"
    CANCEL = "cancel"
    CLOSE = "close"
    EOD = "eod"
    DNE = "dne"
    PAUSE = "pause"
    ADOPT = "adopt"
    WHY = "why"


FLATTEN_SCOPES = ("0dte", "all")
EXIT_KINDS = (RUNNER, SCALP)
MOST_MINUTES = 7 * 24 * 60
NEVER_SOLD = MappingProxyType(
    {
        COVERS: "covers a short option, so no rule sells it: settle both",
        SHORT: "is a short option now, which no rule touches: settle it",
    }
)


class CommandError(Exception):
    """A command cannot be done; the text is one line for the owner."""


class Desk(Protocol):
    """Where the daemon takes its orders."""

    def ask(self, verb: Verb, argument: str | None) -> Promise[str]:
        """Enqueue; the promise gives one line about what was done, or fails with CommandError.

        ``argument``: for flatten ``0dte`` or ``all``; for close OCC symbols, or a ticker, which means
        every position held in it; for dne an OCC symbol; for adopt an OCC symbol and ``runner`` or
        ``scalp``; for pause whole minutes, or None; else None. Never asked for status or why.
        """
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    ok: bool
    text: str


class Commands:
    """``explain`` tells why a signal was traded or not; it raises NothingKnown."""

    def __init__(
        self, desk: Desk, read_facts: Callable[[], Facts], explain: Callable[[str], str] | None = None
    ) -> None:
        self._desk = desk
        self._read_facts = read_facts
        self._explain = explain

    def run(self, verb: str, argument: str | None = None) -> Answer:
        """Do ``verb`` within about 3 s; what takes longer goes on, and the answer says so."""
        try:
            known = _verb(verb)
            checked = self.checked(known, (argument or "").strip() or None)
            if known is Verb.STATUS:
                facts = self._read_facts()
                return Answer(True, json.dumps(status_json(facts)) if checked else status_text(facts))
            if known is Verb.WHY:
                return self._why(checked)
            return Answer(True, self._desk.ask(known, checked).result(ANSWER_WITHIN_S))
        except (CommandError, CommandRefused, NothingKnown) as error:
            return Answer(False, str(error))
        except TimeoutError:
            return Answer(True, f"{verb}: taken, still at work; see status")

    def describe(self, verb: Verb, argument: str | None) -> str:
        """What the verb with a checked ``argument`` would do, for somebody who must confirm it."""
        facts = self._read_facts()
        if verb is Verb.ADOPT:
            symbol, _, kind = (argument or "").partition(" ")
            return adopts(facts, symbol, kind)
        if verb is Verb.CANCEL:
            return "This cancels every open entry of ours and every other open option order."
        if verb is Verb.DNE:
            return f"This tells the broker not to exercise {argument}; it cannot be taken back."
        if verb is Verb.EOD:
            due = _listed(due_by_now(facts))
            sells = f"It sells what is due by now: {due}" if due else "Nothing is due to be sold by now"
            return f"This runs the end-of-day check. {sells}."
        if verb is Verb.RESUME:
            return _resumes([reason for reason, _ in facts.pause_reasons if reason != "manual"])
        today = None if facts.session is None else facts.session.day
        listed = _listed(
            position
            for position in facts.positions
            if position.qty > 0
            and (
                argument in {"all", position.underlying}
                or position.symbol in (argument or "").split()
                or (argument == "0dte" and parse(position.symbol).expiry == today)
            )
        )
        return f"This sells {listed}." if listed else "At present there is nothing to sell."

    def checked(self, verb: Verb, argument: str | None) -> str | None:
        """The argument (stripped, or None) in the form that ``Desk.ask`` wants. Raises CommandError."""
        if verb is Verb.FLATTEN:
            scope = (argument or FLATTEN_SCOPES[0]).lower()
            if scope not in FLATTEN_SCOPES:
                raise CommandError(f"flatten takes 0dte (what expires today) or all, not {argument!r}")
            return scope
        if verb is Verb.STATUS:
            if argument not in (None, "json"):
                raise CommandError(f"status takes json or nothing, not {argument!r}")
            return argument
        if verb in {Verb.CLOSE, Verb.DNE}:
            return self._held(verb, argument)
        if verb is Verb.ADOPT:
            return self._adoptable(argument)
        if verb is Verb.PAUSE:
            return _minutes(argument)
        if verb is Verb.WHY:
            if argument is None:
                raise CommandError("why needs the name of a signal, or a ticker")
            return argument
        if argument is not None:
            raise CommandError(f"{verb} takes no argument")
        return None

    def bound(self, verb: Verb, checked: str | None) -> str | None:
        """A ``checked`` argument that means the same when it is confirmed: a ticker to close becomes the
        contracts that are held in it. Raises CommandError."""
        if verb is not Verb.CLOSE:
            return checked
        positions = self._read_facts().positions
        if any(position.symbol in (checked or "").split() for position in positions):
            return checked
        held = sorted({p.symbol for p in positions if p.underlying == checked and p.qty > 0})
        if not held:
            raise CommandError(f"nothing of {checked} is held at present; cancel calls a working entry back")
        return " ".join(held)

    def _why(self, what: str | None) -> Answer:
        if what is None or self._explain is None:
            raise CommandError("there is no decision journal here")
        return Answer(True, self._explain(what))

    def _adoptable(self, argument: str | None) -> str:
        symbol, _, kind = (argument or "").partition(" ")
        kind = kind.strip().lower() or RUNNER
        if kind not in EXIT_KINDS:
            raise CommandError(f"adopt takes a symbol and {' or '.join(EXIT_KINDS)}, not {kind[:40]!r}")
        name = self._held(Verb.ADOPT, symbol or None)
        facts = self._read_facts()
        for each in facts.unmanaged:
            if each.symbol == name and each.why in NEVER_SOLD:
                raise CommandError(f"{name} {NEVER_SOLD[each.why]} at the broker")
        if all(p.origin != Origin.FOREIGN_LATER for p in facts.positions if p.symbol == name):
            raise CommandError(f"{name} has exits already; adopt is for what was bought by hand for later")
        return f"{name} {kind}"

    def _held(self, verb: Verb, argument: str | None) -> str:
        what = "OCC symbol or the ticker" if verb is Verb.CLOSE else "OCC symbol"
        if argument is None:
            raise CommandError(f"{verb} needs the {what} of a position that is held")
        name = argument.upper()
        positions = self._read_facts().positions
        symbols = sorted({position.symbol for position in positions})
        if name in symbols:
            return name
        if verb is Verb.CLOSE and name in {position.underlying for position in positions}:
            return name
        if verb is Verb.CLOSE and all(map(is_option, name.split())):
            still = [each for each in name.split() if each in symbols]
            if still:
                return " ".join(still)
        kind = "contract" if is_option(name) else "ticker"
        held = f"held: {', '.join(symbols)}" if symbols else "nothing is held"
        raise CommandError(f"no position in the {kind} {name[:40]}; {held}")


def _listed(positions: Iterable[PositionFacts]) -> str:
    return ", ".join(f"{position.qty} × {position.symbol}" for position in positions)


def _resumes(left: list[str]) -> str:
    own = "This ends your own pause or halt, and no earlier flatten sells anything more by itself."
    if left:
        return f"{own} It lifts no other pause: entries stay paused by {stays_paused(left)}."
    return f"{own} New entries may go."


def _minutes(argument: str | None) -> str | None:
    if argument is None:
        return None
    if not (argument.isascii() and argument.isdigit() and 1 <= len(argument) <= 5):
        raise CommandError(
            f"pause takes whole minutes, or nothing for until you resume, not {argument[:40]!r}"
        )
    if not 1 <= int(argument) <= MOST_MINUTES:
        raise CommandError(f"pause takes 1 to {MOST_MINUTES} minutes; for longer leave them out")
    return str(int(argument))


def _verb(text: str) -> Verb:
    try:
        return Verb(text.strip().lower())
    except ValueError:
        raise CommandError(f"unknown command {text[:40]!r}; there are {', '.join(Verb)}") from None
