"""What an engine hands down: a signal with its evidence, and the intent to trade it."""

import json
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from wsb_snake.core.types import Contract, Quote


class Direction(StrEnum):
    LONG = "long"
    SHORT = "short"  # traded with puts; the daemon never sells to open


@dataclass(frozen=True, slots=True)
class Signal:
    """One finding of an engine at one moment.

    ``signal_id`` names the same finding in every pass that sees it; ``evidence`` holds each
    component's name and what it gave; ``confidence`` is 0 to 100; ``price`` is the underlying's.
    """

    signal_id: str
    at: datetime
    engine: str
    setup: str
    ticker: str
    direction: Direction
    confidence: float
    price: float
    evidence: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class ExitPlan:
    """When a position is sold. Fractions of the average entry fill; None means no such rule.

    ``half_at`` sells half at that gain, after which ``trail`` follows the highest bid; with one
    contract the trail starts at ``half_at``.
    """

    target: Decimal | None = None
    stop: Decimal | None = None
    max_hold_s: int | None = None
    half_at: Decimal | None = None
    trail: Decimal | None = None

    def to_json(self) -> str:
        return json.dumps(
            {
                "target": _text(self.target),
                "stop": _text(self.stop),
                "max_hold_s": self.max_hold_s,
                "half_at": _text(self.half_at),
                "trail": _text(self.trail),
            }
        )

    @classmethod
    def from_json(cls, text: str) -> "ExitPlan":
        held = json.loads(text)
        return cls(
            target=_fraction(held["target"]),
            stop=_fraction(held["stop"]),
            max_hold_s=held["max_hold_s"],
            half_at=_fraction(held["half_at"]),
            trail=_fraction(held["trail"]),
        )


NO_EXITS = ExitPlan()
"""Watched and reported, sold by no rule."""


@dataclass(frozen=True, slots=True)
class TradeIntent:
    """A signal, the contract picked for it, the quote it was decided on, and how it will end.

    ``budget`` is what the trade should cost, in dollars of premium; one contract may cost more. None:
    whatever the limits allow.
    """

    signal: Signal
    contract: Contract
    quote: Quote
    plan: ExitPlan
    budget: Decimal | None = None


def _text(value: Decimal | None) -> str | None:
    return None if value is None else str(value)


def _fraction(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
