"""The desk's discipline as an engine: with the tape, liquid contracts only, no edge no trade.

Its edge is intraday momentum out of the noise area, decided on the half hours (``noise_area`` holds the
rule). ``scan`` finds entries, ``exits`` says what is over: back inside the area or through VWAP. Beyond
that a position ends by its stop and the cut-off; it has no target and no time limit. One excursion out of
the area is traded once: who was stopped out waits until the price has been back. The figures of stop and
spread are in ``engine_plans`` and ``pick_rules``.

The view knows no dividends. On an ex-dividend day the previous close is not reduced, which moves the upper
edge up by at most the dividend.
"""

import json
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time
from enum import StrEnum

from wsb_snake.core.calendar import Session
from wsb_snake.core.clock import eastern, eastern_date, from_eastern
from wsb_snake.core.types import Bar
from wsb_snake.engines.indicators import vwap
from wsb_snake.engines.noise_area import (
    BAR,
    PUBLISHED,
    Bands,
    Decision,
    NoiseRules,
    bands,
    decide,
    last_half_hour,
    sigma,
    until,
)
from wsb_snake.engines.types import Direction, MarketView, Signal, signal_id
from wsb_snake.engines.universe import INDEX_ETFS
from wsb_snake.trading.eod_guard import rungs

ENGINE = "institutional_scalper"
_OPENS = time(9, 30)


class Setup(StrEnum):
    BREAKOUT = "noise_area_breakout"
    BREAKDOWN = "noise_area_breakdown"


@dataclass(frozen=True, slots=True)
class InstitutionalRules:
    """Every figure of the engine. A band is the distance from the edge of the area to its base price."""

    tickers: tuple[str, ...] = INDEX_ETFS
    noise: NoiseRules = PUBLISHED
    execute: float = 60  # the published rule trades every signal; learning may take one below

    base: float = 60  # points of a price just beyond the area
    area_points: float = 20  # at most, for the distance beyond the area ...
    area_full: float = 0.5  # ... all of them at this many bands
    vwap_points: float = 10  # at most, for the distance from VWAP ...
    vwap_full: float = 1.0  # ... all of them at this many bands

    max_signal_age_s: int = 120  # half hour to now: later there is no entry before the next one
    late_bar_s: int = 60  # a bar that is not there by now will not come: that minute had no trade
    last_trade_s: int = 300  # then an exit goes by the newest bar, if it ended so long before at most


@dataclass(frozen=True, slots=True)
class Said:
    """Where the rule stood in ``ticker`` at the half hour ``at``, and whether this excursion was traded."""

    ticker: str
    at: datetime
    direction: Direction | None
    traded: bool = False


@dataclass(frozen=True, slots=True)
class InstitutionalState:
    """The last stance in each ticker, by ticker."""

    said: tuple[Said, ...] = ()

    def to_json(self) -> str:
        said = [(each.ticker, each.at.isoformat(), each.direction, each.traded) for each in self.said]
        return json.dumps({"said": said})

    @classmethod
    def from_json(cls, text: str) -> "InstitutionalState":
        """The state that ``to_json`` wrote. Raises ValueError, KeyError or TypeError for anything else."""
        stored = json.loads(text)
        return cls(tuple(_said(*row) for row in stored["said"]))


def scan(
    view: MarketView, state: InstitutionalState, rules: InstitutionalRules = InstitutionalRules()
) -> tuple[tuple[Signal, ...], InstitutionalState]:
    """Entries of the newest half hour, by ticker, and the next state. One half hour speaks once."""
    at = last_half_hour(view.session.open, view.now)
    said = {each.ticker: each for each in state.said if each.at >= view.session.open}
    signals: list[Signal] = []
    if at is not None and at < view.session.close:
        for ticker in rules.tickers:
            before = said.get(ticker)
            if before is not None and before.at >= at:
                continue
            stance = _stance(view, ticker, at, rules)
            if stance is None:
                continue
            direction = stance.decision.direction
            going_on = before is not None and before.direction is direction
            known = going_on and before is not None and before.traded
            said[ticker] = Said(ticker, at, direction, known)
            if direction is not None and not known and _in_time(ticker, at, view, rules):
                signals.append(_signal(ticker, stance, direction, view.session, rules))
    return tuple(signals), InstitutionalState(tuple(said[ticker] for ticker in sorted(said)))


def exits(
    view: MarketView, held: Mapping[str, Direction], rules: InstitutionalRules = InstitutionalRules()
) -> tuple[tuple[str, str], ...]:
    """Tickers of ``held`` whose position is over, each with the reason in one clear line.

    It speaks of the newest half hour and says the same until the next, so that a missed pass loses no
    exit. Where the area is not known nothing is said: stop and cut-off remain.
    """
    at = last_half_hour(view.session.open, view.now)
    if at is None or at >= view.session.close:
        return ()
    over: list[tuple[str, str]] = []
    for ticker in sorted(held):
        stance = _stance(view, ticker, at, rules, held[ticker], exact=False)
        if stance is not None and stance.decision.direction is not held[ticker]:
            over.append((ticker, f"at {eastern(at):%H:%M} ET {stance.decision.reason}"))
    return tuple(over)


def traded(state: InstitutionalState, ticker: str, now: datetime) -> InstitutionalState:
    """``state`` after an entry in ``ticker`` was sent at ``now``: this excursion is used."""
    return InstitutionalState(
        tuple(
            replace(each, traded=True) if each.ticker == ticker and each.at <= now else each
            for each in state.said
        )
    )


def wants_execution(
    signal: Signal, now: datetime, session: Session, rules: InstitutionalRules = InstitutionalRules()
) -> str | None:
    """None when ``signal`` may be traded now, else why not, in one clear line."""
    if now < session.open:
        return "the session has not begun"
    end = entries_end(signal.ticker, session)
    if now >= end:
        return f"0DTE entries in {signal.ticker} ended at {eastern(end):%H:%M} ET"
    age = (now - signal.at).total_seconds()
    if age > rules.max_signal_age_s:
        return f"the signal is {age:.0f} s old, limit {rules.max_signal_age_s} s"
    if signal.confidence < rules.execute:
        return f"confidence {signal.confidence:g} is below the bar of {rules.execute:g}"
    return None


def entries_end(ticker: str, session: Session) -> datetime:
    """The last moment for a 0DTE entry in ``ticker`` (aware UTC)."""
    return rungs(session, ticker, cutoff_flatten=False).entries_end


@dataclass(frozen=True, slots=True)
class _Stance:
    """What the rule saw in one ticker at one half hour, in dollars."""

    at: datetime
    price: float
    today_open: float
    previous_close: float
    vwap: float
    area: Bands
    decision: Decision


def _stance(
    view: MarketView,
    ticker: str,
    at: datetime,
    rules: InstitutionalRules,
    held: Direction | None = None,
    exact: bool = True,
) -> _Stance | None:
    """None when a piece is missing: today's opening bar, the bar at ``at``, the history."""
    bars = view.bars.get(ticker, ())
    bars = bars[bisect_left(bars, view.session.open, key=_start) :]
    if not bars or bars[0].start != view.session.open:
        return None
    known = until(bars, at)
    if not known and not exact:
        known = _until_late(bars, at, view.now, rules)
    past = _past(view, ticker)
    previous = _previous_close(view, ticker, past)
    distance = sigma(past, (at - view.session.open) // BAR, rules.noise)
    average = vwap(known)
    if previous is None or distance is None or average is None:
        return None
    price, opened = known[-1].close, bars[0].open
    area = bands(opened, previous, distance)
    return _Stance(at, price, opened, previous, average, area, decide(price, area, average, held))


def _until_late(bars: Sequence[Bar], at: datetime, now: datetime, rules: InstitutionalRules) -> Sequence[Bar]:
    """The bars before ``at`` when the one that ends there will not come; empty when they are too old."""
    known = bars[: bisect_right(bars, at - BAR, key=_start)]
    if not known or (now - at).total_seconds() < rules.late_bar_s:
        return ()
    return known if (at - known[-1].start - BAR).total_seconds() <= rules.last_trade_s else ()


def _past(view: MarketView, ticker: str) -> list[Sequence[Bar]]:
    """Earlier sessions from their opening bar on; without that bar a session is empty."""
    past: list[Sequence[Bar]] = []
    for bars in view.sessions.get(ticker, ()):
        day = eastern_date(bars[0].start) if bars else None
        if day is not None and day < view.session.day:
            opened = from_eastern(day, _OPENS)
            rest = bars[bisect_left(bars, opened, key=_start) :]
            past.append(rest if rest and rest[0].start == opened else ())
    return past


def _previous_close(view: MarketView, ticker: str, past: Sequence[Sequence[Bar]]) -> float | None:
    """The close of the session before, in dollars; None when the daily bars end at another session."""
    daily = [bar for bar in view.daily.get(ticker, ()) if eastern_date(bar.start) < view.session.day]
    if not daily or not past or not past[-1]:
        return None
    same = eastern_date(daily[-1].start) == eastern_date(past[-1][0].start)
    return daily[-1].close if same else None


def _in_time(ticker: str, at: datetime, view: MarketView, rules: InstitutionalRules) -> bool:
    fresh = (view.now - at).total_seconds() <= rules.max_signal_age_s
    return fresh and view.now < entries_end(ticker, view.session)


def _signal(
    ticker: str, stance: _Stance, direction: Direction, session: Session, rules: InstitutionalRules
) -> Signal:
    """The entry with its confidence: points for the distance from the area and from VWAP, in bands."""
    long = direction is Direction.LONG
    edge = stance.area.upper if long else stance.area.lower
    base = (max if long else min)(stance.today_open, stance.previous_close)
    beyond = _bands(stance.price - edge, edge - base)
    from_vwap = _bands(stance.price - stance.vwap, edge - base)
    area_points = _share(beyond, rules.area_full) * rules.area_points
    vwap_points = _share(from_vwap, rules.vwap_full) * rules.vwap_points
    setup = Setup.BREAKOUT if long else Setup.BREAKDOWN
    return Signal(
        signal_id=signal_id(session.day, ENGINE, ticker, setup, stance.at),
        at=stance.at,
        engine=ENGINE,
        setup=setup,
        ticker=ticker,
        direction=direction,
        confidence=round(rules.base + area_points + vwap_points, 1),
        price=stance.price,
        evidence=(
            ("base_points", rules.base),
            ("bands_beyond_area", beyond),
            ("area_points", area_points),
            ("bands_from_vwap", from_vwap),
            ("vwap_points", vwap_points),
            ("sigma", stance.area.sigma),
            ("area_low", stance.area.lower),
            ("area_high", stance.area.upper),
            ("vwap", stance.vwap),
            ("open", stance.today_open),
            ("previous_close", stance.previous_close),
        ),
    )


def _bands(distance: float, band: float) -> float:
    """``distance`` in units of ``band`` (same sign); 0 where sigma is 0 and there is no band."""
    return distance / band if band else 0.0


def _share(value: float, full: float) -> float:
    return min(max(value / full, 0.0), 1.0)


def _start(bar: Bar) -> datetime:
    return bar.start


def _said(ticker: str, at: str, direction: str | None, traded: bool) -> Said:
    moment = datetime.fromisoformat(at)
    if moment.tzinfo is None:
        raise ValueError(f"a moment without time zone: {at}")
    if not isinstance(ticker, str) or not isinstance(traded, bool):
        raise TypeError(f"no stance of a ticker: {ticker!r}, {traded!r}")
    return Said(ticker, moment, None if direction is None else Direction(direction), traded)
