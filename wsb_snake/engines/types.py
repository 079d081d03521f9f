"""The vocabulary of engines. Signals and intents live on the ground floor, where the executor reads them."""

from datetime import date, datetime

from wsb_snake.core.clock import eastern
from wsb_snake.core.signals import Direction, ExitPlan, Signal, TradeIntent
from wsb_snake.core.types import Right

__all__ = ["Direction", "ExitPlan", "Signal", "TradeIntent", "right_of", "signal_id"]


def right_of(direction: Direction) -> Right:
    """What is bought for ``direction``: calls for a rise, puts for a fall."""
    return Right.CALL if direction is Direction.LONG else Right.PUT


def signal_id(session_day: date, engine: str, ticker: str, setup: str, at: datetime) -> str:
    """The name of a signal: the same bar and setup give the same name in every pass and after a restart.

    The time part is ``at`` (aware) as US/Eastern HHMM.
    """
    return f"{session_day.isoformat()}-{engine}-{ticker}-{setup}-{eastern(at):%H%M}"
