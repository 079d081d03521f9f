"""The vocabulary of engines. Signals and intents live on the ground floor, where the executor reads them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from wsb_snake.core.calendar import Session
from wsb_snake.core.clock import eastern
from wsb_snake.core.signals import Direction, ExitPlan, Signal, TradeIntent
from wsb_snake.core.types import Bar, Chain, Headline, Right

__all__ = ["Direction", "ExitPlan", "MarketView", "Signal", "TradeIntent", "right_of", "signal_id"]


@dataclass(frozen=True, slots=True)
class MarketView:
    """What an engine may look at: all of it was known at ``now`` (aware UTC), everything by ticker.

    A ticker that could not be fetched is absent, which is not the same as one without trades (an empty
    sequence). ``bars`` are this session's 1-minute bars of the one feed ``feed``, ``sessions`` those of
    earlier sessions (each oldest first), ``daily`` one bar a session before this one. ``vix`` is in
    points; None where no plan is entitled to it. ``daily_feed`` and ``sessions_feed`` are None where they
    are ``feed``; volumes of two feeds do not compare. ``previous`` is the session before this one, None
    where it is not known. ``earlier_chains`` are those that the pass before saw: what was known of options
    in the minutes since.
    """

    now: datetime
    session: Session
    feed: str
    bars: Mapping[str, Sequence[Bar]]
    daily: Mapping[str, Sequence[Bar]] = field(default_factory=dict)
    sessions: Mapping[str, Sequence[Sequence[Bar]]] = field(default_factory=dict)
    chains: Mapping[str, Chain] = field(default_factory=dict)
    earlier_chains: Mapping[str, Chain] = field(default_factory=dict)
    news: Mapping[str, Sequence[Headline]] = field(default_factory=dict)
    vix: float | None = None
    daily_feed: str | None = None
    sessions_feed: str | None = None
    previous: Session | None = None

    @property
    def daily_compares(self) -> bool:
        """Whether the volumes of ``daily`` compare with those of ``bars``."""
        return self.daily_feed in (None, self.feed)

    @property
    def sessions_compare(self) -> bool:
        """Whether the volumes of ``sessions`` compare with those of ``bars``."""
        return self.sessions_feed in (None, self.feed)


def right_of(direction: Direction) -> Right:
    """What is bought for ``direction``: calls for a rise, puts for a fall."""
    return Right.CALL if direction is Direction.LONG else Right.PUT


def signal_id(session_day: date, engine: str, ticker: str, setup: str, at: datetime) -> str:
    """The name of a signal: the same bar and setup give the same name in every pass and after a restart.

    The time part is ``at`` (aware) as US/Eastern HHMM.
    """
    return f"{session_day.isoformat()}-{engine}-{ticker}-{setup}-{eastern(at):%H%M}"
