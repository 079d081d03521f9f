"""Hand-made days for the orchestrator's tests; the history gives a usual day's range of one dollar."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta

from wsb_snake.core.calendar import Session
from wsb_snake.core.clock import from_eastern
from wsb_snake.core.types import Bar, Chain, Headline
from wsb_snake.engines.day_tape import BAR, DayTape, read
from wsb_snake.engines.types import MarketView

DAY = date(2026, 11, 24)
OPEN = from_eastern(DAY, time(9, 30))
SESSION = Session(DAY, OPEN, from_eastern(DAY, time(16, 0)))
USUAL = 3000.0
"""Shares a minute."""


def bar(close: float, opened: float | None = None, volume: float = 1.0, wick: float = 0.005) -> Bar:
    """A bar without its time; ``volume`` in multiples of the usual, ``wick`` dollars at both ends."""
    opened = close if opened is None else opened
    high, low = max(opened, close) + wick, min(opened, close) - wick
    return Bar("SPY", OPEN, opened, high, low, close, volume * USUAL, 0.0)


def flat(minutes: int, price: float = 100.0, wick: float = 0.005, volume: float = 1.0) -> list[Bar]:
    return [bar(price, wick=wick, volume=volume) for _ in range(minutes)]


def line(start: float, end: float, minutes: int, volume: float = 1.0) -> list[Bar]:
    """A straight way from ``start`` to ``end``, which is the last close."""
    step = (end - start) / minutes
    return [bar(start + step * (n + 1), start + step * n, volume) for n in range(minutes)]


def timed(bars: Sequence[Bar], start: datetime = OPEN) -> list[Bar]:
    return [
        Bar(each.symbol, start + n * BAR, each.open, each.high, each.low, each.close, each.volume, each.vwap)
        for n, each in enumerate(bars)
    ]


def history(
    sessions: int = 30, price: float = 100.0, swing: float = 1.0, move: float = 0.4, volume: float = USUAL
) -> list[Bar]:
    """Daily bars before DAY: ``swing`` dollars from low to high, ``move`` from open to close."""
    days = [DAY - timedelta(days=n) for n in range(sessions, 0, -1)]
    return [
        Bar(
            "SPY",
            from_eastern(day, time()),
            price - move,
            price - move + swing / 2,
            price - move - swing / 2,
            price,
            390 * volume,
            0.0,
        )
        for day in days
    ]


def view_of(
    bars: Sequence[Bar],
    now: datetime | None = None,
    daily: Sequence[Bar] | None = None,
    headlines: Sequence[datetime] = (),
    chains: Mapping[str, Chain] | None = None,
) -> MarketView:
    """The view at the end of the last bar unless ``now`` says otherwise."""
    return MarketView(
        now=bars[-1].start + BAR if now is None else now,
        session=SESSION,
        feed="sip",
        bars={"SPY": bars},
        daily={"SPY": history() if daily is None else daily},
        chains=chains or {},
        news={"SPY": [Headline(at, "news", "wire", ("SPY",)) for at in headlines]},
    )


def tape_of(bars: Sequence[Bar], **known: object) -> DayTape:
    tape = read(view_of(timed(bars), **known), "SPY")  # type: ignore[arg-type]
    assert tape is not None
    return tape


def mirrored(bars: Sequence[Bar]) -> list[Bar]:
    """The same bars upside down around 100."""
    return [
        Bar(
            each.symbol,
            each.start,
            200 - each.open,
            200 - each.low,
            200 - each.high,
            200 - each.close,
            each.volume,
            0.0,
        )
        for each in bars
    ]
