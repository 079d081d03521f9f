"""Scenes: how some days of a character come to their close.

A scene is a way from the open to the close in parts. Each part ends at a minute of the session, so much
of the day's own move done, and so many deviations of the whole day beside it, counted in the direction of
that move; on the way chance is calmer and volume busier than usual, or the other way about. A scene
changes neither open nor close, only what lies between them. One that fails goes against whoever followed
it: from where its busiest part ends, back past where that began.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

FULL_MINUTES = 390
"""Scenes are played on full days only."""
_BACK = 0.5  # of the busiest part: how far a scene that fails goes past where that began
_LATER = 20  # minutes by which a scene is played later at most; its first and last moments stand still


class Kind(IntEnum):
    """Characters of a day."""

    TREND = 0
    RANGE = 1
    REVERSAL = 2
    LATE = 3
    NEWS = 4


@dataclass(frozen=True, slots=True)
class Part:
    """Where it ends: ``minute``, ``done`` (of the day's move) and ``beside`` (deviations); ``calm`` is
    chance and ``busy`` volume, over the usual."""

    minute: int
    done: float
    beside: float = 0.0
    calm: float = 1.0
    busy: float = 1.0


@dataclass(frozen=True, slots=True)
class Scene:
    """``pinned`` is the part in which a name is held at a strike. ``volume`` of the whole day is so many
    times the usual; ``rising``: only on days that rise."""

    parts: tuple[Part, ...]
    pinned: int | None = None
    volume: float = 1.0
    rising: bool = False
    fails: bool = False

    def failing(self) -> "Scene":
        return replace(self, fails=True)

    def way(self, move: float, deviation: float, place: float) -> NDArray[np.float64]:
        """Levels at the minute boundaries of a day that goes ``move``; ``place`` (0 to 1) is how late."""
        aside = deviation if move >= 0 else -deviation
        levels = [0.0, *(part.done * move + part.beside * aside for part in self.parts)]
        if self.fails:
            turn = 1 + max(range(len(self.parts)), key=lambda number: self.parts[number].busy)
            back = levels[turn - 1] - _BACK * (levels[turn] - levels[turn - 1])
            levels[turn + 1 :] = [back] * (len(levels) - turn - 1)
        return np.interp(np.arange(FULL_MINUTES + 1), self._minutes(place), [*levels, move])

    def calm(self, place: float) -> NDArray[np.float64]:
        """Of each minute."""
        return self._spread([part.calm for part in self.parts], place)

    def busy(self, place: float) -> NDArray[np.float64]:
        """Of each minute."""
        return self._spread([part.busy for part in self.parts], place)

    def pin(self, place: float) -> tuple[int, int] | None:
        """From which minute to which a name is held at a strike."""
        if self.pinned is None:
            return None
        minutes = self._minutes(place)
        return minutes[self.pinned], minutes[self.pinned + 1]

    def _spread(self, values: list[float], place: float) -> NDArray[np.float64]:
        return np.repeat([*values, 1.0], np.diff(self._minutes(place)))

    def _minutes(self, place: float) -> list[int]:
        later = int(_LATER * place)
        return [0, *(part.minute + later for part in self.parts), FULL_MINUTES]


_RECLAIM = Scene(  # of VWAP, after a dip of a trend
    (
        Part(60, 1.00, 0.10),
        Part(225, 1.00, 0.15, calm=0.7),
        Part(247, 0.80, -0.10),
        Part(268, 0.80, -0.12, calm=0.3, busy=0.8),
        Part(273, 1.00, 0.25, busy=6.0),
        Part(292, 1.05, 0.55, calm=0.8, busy=2.5),
    )
)
_CONTINUATION = Scene(  # of a trend, after a rest in the power hour
    (
        Part(310, 0.90),
        Part(336, 0.90, calm=0.15, busy=0.7),
        Part(342, 0.95, 0.45, busy=5.0),
        Part(354, 1.05, 0.55, calm=0.8, busy=2.5),
    )
)
_SNAP = Scene(  # back, of what had run too far
    (
        Part(60, 0.0, 0.5),
        Part(290, 0.0, 1.3, calm=0.7),
        Part(328, 0.0, 2.0, calm=0.7, busy=1.3),
        Part(335, 0.0, 1.95, calm=0.4),
        Part(346, 0.0, 0.9, busy=5.0),
        Part(360, 0.0, 0.2, calm=0.8, busy=2.5),
    )
)
_SWEEP = Scene(  # of the day's low before a rise, or its high before a fall
    (
        Part(45, 0.0, -0.45, calm=0.6),
        Part(90, 0.0, -0.22, calm=0.5),
        Part(232, 0.0, -0.28, calm=0.3),
        Part(237, 0.0, -0.62, calm=0.5, busy=2.0),
        Part(243, 0.0, 0.50, busy=7.0),
        Part(250, 0.0, 0.80, calm=0.8, busy=3.0),
        Part(270, 0.5, 0.70, calm=0.8, busy=2.0),
    )
)
_PIN = Scene(  # to a price, and a late break from it
    (
        Part(60, 0.0, -0.10, calm=0.7),
        Part(180, 0.0, -0.10, calm=0.5),
        Part(268, 0.0, -0.08, calm=0.15, busy=0.8),
        Part(274, 0.40, 0.0, busy=6.0),
        Part(294, 0.85, 0.0, calm=0.8, busy=2.5),
    ),
    pinned=2,
)
_EXPANSION = Scene(  # of the range, after a narrow morning
    (
        Part(150, 0.0, -0.10, calm=0.5),
        Part(240, 0.05, -0.10, calm=0.5),
        Part(252, 0.45, 0.0, busy=4.0),
        Part(285, 0.90, 0.0, busy=2.5),
    )
)
_SHIFT = Scene(  # of volatility, after quiet hours
    (
        Part(120, 0.0, -0.10, calm=0.6),
        Part(225, 0.0, -0.05, calm=0.25, busy=0.8),
        Part(235, 0.45, 0.0, busy=5.0),
        Part(262, 0.90, 0.0, calm=0.9, busy=2.0),
    )
)
_TRAP = Scene(  # a break that fails, and one that does not
    (
        Part(120, 0.0, -0.10, calm=0.6),
        Part(250, 0.0, -0.10, calm=0.25, busy=0.8),
        Part(253, 0.0, 0.18, calm=0.5, busy=2.0),
        Part(257, 0.0, -0.22, calm=0.5),
        Part(270, 0.0, -0.10, calm=0.25),
        Part(275, 0.40, 0.0, busy=7.0),
        Part(292, 0.90, 0.0, calm=0.8, busy=2.5),
    )
)
_CROWD = Scene(  # that buys a break
    (
        Part(60, 0.15),
        Part(268, 0.20, calm=0.5),
        Part(274, 0.50, busy=5.0),
        Part(292, 0.90, calm=0.8, busy=2.5),
    ),
    volume=3.0,
    rising=True,
)

SCENES: Mapping[Kind, tuple[Scene | None, ...]] = MappingProxyType(
    {
        Kind.TREND: (None, None, *2 * (_RECLAIM, _CONTINUATION, _TRAP, _CROWD), _PIN, _SHIFT),
        Kind.RANGE: (None, _SWEEP),
        Kind.REVERSAL: (None, _SNAP),
        Kind.LATE: (None, _PIN, _EXPANSION, _SHIFT, _TRAP, _CROWD),
        Kind.NEWS: (None,),
    }
)
"""What may be played on days of each character, each as likely; None: no scene."""
