"""Today's volume so far against the usual, compared fairly: at the same moment of the day.

Volumes of one feed only compare with each other; the caller hands in bars of one feed.
"""

import math
from bisect import bisect_left
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from wsb_snake.core.calendar import Session
from wsb_snake.core.clock import eastern, eastern_date, from_eastern
from wsb_snake.core.types import Bar
from wsb_snake.engines.indicators import average_volume

_CURVE = (
    (0.0, 0.0),
    (5.0, 0.0325),
    (15.0, 0.0663),
    (30.0, 0.1086),
    (60.0, 0.1925),
    (90.0, 0.2641),
    (120.0, 0.3279),
    (150.0, 0.3839),
    (180.0, 0.4342),
    (210.0, 0.4831),
    (240.0, 0.5336),
    (270.0, 0.5832),
    (300.0, 0.6436),
    (330.0, 0.7060),
    (360.0, 0.7802),
    (390.0, 1.0),
)
"""Minutes since the open, share of the session's volume that has traded."""
_FULL_DAY = _CURVE[-1][0]
_HALF_DAY = timedelta(minutes=210)
"""A session without a bar later than this was a half day: the thinnest name trades in an afternoon."""


def usual_share(passed: float) -> float:
    """Share (0 to 1) of a session's volume that has usually traded when ``passed`` of its time has gone.

    The U shape of a trading day, busy at the open and busiest at the close (P. C. Jain and G.-H. Joh,
    "The Dependence between Hourly Prices and Trading Volume", Journal of Financial and Quantitative
    Analysis 23, 1988). The figures are the mean over the 286 full sessions of SPY 1-minute bars from
    2023-11-06 to 2024-12-31, straight between them; a half day is taken as the same shape, compressed.
    """
    minute = min(max(passed, 0.0), 1.0) * _FULL_DAY
    for (before, low), (after, high) in pairwise(_CURVE):
        if minute <= after:
            return low + (high - low) * (minute - before) / (after - before)
    return 1.0


def usual_so_far(
    session: Session,
    end: datetime,
    earlier: Sequence[Sequence[Bar]],
    daily: Sequence[Bar],
    days: int,
    least: int,
) -> float | None:
    """Shares that have usually traded by ``end`` (aware) of ``session``; None when too little is known.

    Where ``least`` of the last ``days`` sessions of ``earlier`` (1-minute bars, oldest first) reach that
    far, the mean of what they had traded by then: half days that were over by then do not count. Else
    the mean of the last ``days`` daily bars, of which none may be missing, times ``usual_share``.
    """
    traded = [_by_then(bars, session, end) for bars in earlier[-days:] if bars]
    known = [volume for volume in traded if volume is not None]
    if known and len(known) >= least:
        return math.fsum(known) / len(known)
    average = average_volume(daily[-days:]) if len(daily) >= days else None
    if average is None:
        return None
    return average * usual_share((end - session.open) / (session.close - session.open))


def _by_then(bars: Sequence[Bar], session: Session, end: datetime) -> float | None:
    """Shares that ``bars`` of an earlier session hold from its open to the time of day of ``end``.

    None where that session was a half day and over by then.
    """
    opened = from_eastern(eastern_date(bars[0].start), eastern(session.open).time())
    cut = opened + (end - session.open)
    if opened >= session.open or bars[-1].start < opened + _HALF_DAY < cut:
        return None
    first, last = (bisect_left(bars, at, key=_start) for at in (opened, cut))
    return math.fsum(bar.volume for bar in bars[first:last])


def _start(bar: Bar) -> datetime:
    return bar.start
