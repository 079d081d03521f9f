"""Names of positions and orders: ``wsb-<date>-<engine letter>-<12 random characters>-<leg>-<attempt>``.

The position is the middle; ``e`` is its entry, ``x`` its exits. A name is never used twice, also
after a cancel, because the broker refuses a client_order_id that it has seen before.
"""

import random
import re
from datetime import datetime
from types import MappingProxyType

from wsb_snake.core.clock import eastern_date
from wsb_snake.core.orders import Purpose

LETTERS = MappingProxyType(
    {
        "spy_scalper": "s",
        "orchestrator": "o",
        "institutional_scalper": "i",
        "momentum_engine": "m",
        "leaps_engine": "l",
        "adopted": "a",
        "direct": "d",
    }
)

_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
_NAME = re.compile(r"wsb-([0-9]{8}-([a-z])-[a-z0-9]{12})-[ex]-[1-9][0-9]*")
_LEG = MappingProxyType({Purpose.ENTRY: "e", Purpose.EXIT: "x"})


class OrderIds:
    """Draws names from ``luck`` (the system's in production, seeded in simulation)."""

    def __init__(self, luck: random.Random) -> None:
        self._luck = luck

    def position(self, now: datetime, engine: str) -> str:
        """``<date>-<letter>-<12 random characters>``; the date is US/Eastern."""
        letter = LETTERS[engine]
        drawn = "".join(self._luck.choice(_ALPHABET) for _ in range(12))
        return f"{eastern_date(now):%Y%m%d}-{letter}-{drawn}"


def order_id(position_id: str, purpose: Purpose, attempt: int) -> str:
    """The client_order_id of the ``attempt``-th order of that purpose."""
    return f"wsb-{position_id}-{_LEG[purpose]}-{attempt}"


def position_of(client_order_id: str) -> str | None:
    """The position that an order of ours belongs to, or None when the name is not of our making."""
    name = _NAME.fullmatch(client_order_id)
    return None if name is None else name[1]


def number_of(client_order_id: str) -> int:
    """Which one of its position's orders of that purpose this is; 0 when the name is not of our making."""
    return 0 if position_of(client_order_id) is None else int(client_order_id.rpartition("-")[2])


def engine_of(client_order_id: str) -> str | None:
    """The engine named by an order of ours."""
    name = _NAME.fullmatch(client_order_id)
    return next(
        (engine for engine, letter in LETTERS.items() if name is not None and letter == name[2]), None
    )
