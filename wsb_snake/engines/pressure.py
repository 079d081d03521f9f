"""Pressure: which way options and technicals push a price.

Options: who is bought more near the money, by volume and by open interest, walls of open contracts
that hold a price, and whether dealers hedge with the move or against it. Technicals: moving averages,
VWAP and MACD vote with the trend, RSI extremes against it. Without a chain the technicals alone count.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from wsb_snake.core.types import Bar, Chain
from wsb_snake.engines.components import (
    NOTHING,
    Component,
    Part,
    Steps,
    age_s,
    ended_bars,
    expires_at,
    moved,
    points,
    sign_of,
    usable_chain,
    weigh,
)
from wsb_snake.engines.dealer_gamma import DealerGamma, StrikePair, dealer_gamma, near_the_money, walls
from wsb_snake.engines.indicators import atr, macd, rsi, sma, vwap
from wsb_snake.engines.types import MarketView


@dataclass(frozen=True, slots=True)
class PressureRules:
    """Every figure of the component. Leans are (calls - puts) / (calls + puts), moves are fractions."""

    signal_from: float = 35  # of the score

    known_share: float = 0.8  # of the strikes whose figure must be known, else it is not known at all
    flow_strikes: int = 10  # nearest to the price
    volume_steps: Steps = ((0.4, 15), (0.2, 10))  # lean, points
    interest_steps: Steps = ((0.4, 12), (0.2, 8))
    wall_near: float = 0.003  # how near the price is to a wall that holds it
    wall_points: float = 8
    gamma_strikes: int = 20
    gamma_tilt: float = 0.1  # net over gross exposure, at least
    gamma_move: float = 0.001  # over ``gamma_minutes``, at least
    gamma_minutes: int = 15
    gamma_points: float = 10
    max_chain_age_s: int = 900

    tail_bars: int = 120  # what the technicals look at
    rsi_periods: int = 14
    rsi_steps: Steps = ((30, 10), (20, 5))  # distance from 50: 80/20 and 70/30
    macd_steps: Steps = ((2.0, 20), (1.0, 12))  # line in average true ranges
    averages: tuple[int, int, int] = (9, 20, 50)  # minutes
    average_steps: Steps = ((4.0, 25), (2.0, 15))  # fast to slow, in average true ranges
    vwap_steps: Steps = ((15.0, 10), (8.0, 5))  # price to session VWAP, in average true ranges
    least_trend: float = 0.0005  # a line of MACD or distance of averages below this part of the price is flat

    max_bar_age_s: int = 180  # end of the newest bar to now: older data give no opinion


def score(view: MarketView, ticker: str, rules: PressureRules = PressureRules()) -> Component:
    """Which way ``ticker`` is pushed, and how hard."""
    bars = ended_bars(view, ticker)
    age = age_s(bars, view.now)
    if age is None:
        return NOTHING
    if age > rules.max_bar_age_s:
        return weigh((), (("bar_age_s", age),))
    chain = usable_chain(view, ticker, rules.max_chain_age_s)
    parts = _technicals(bars, rules)
    if chain is not None:
        parts += _options(view, chain, bars, rules)
    return weigh(parts, (("chain_known", float(chain is not None)),))


def _technicals(bars: Sequence[Bar], rules: PressureRules) -> list[Part]:
    tail = bars[-rules.tail_bars :]
    closes = [bar.close for bar in tail]
    parts = []
    strength = rsi(closes, rules.rsi_periods)
    if strength is not None:
        given = points(abs(strength - 50), rules.rsi_steps)
        parts.append(Part("rsi", strength, -sign_of(strength - 50) * given))
    usual = atr(tail)
    if not usual:
        return parts
    flat = rules.least_trend * closes[-1]
    line = macd(closes)
    if line is not None:
        agrees = line.line * line.histogram > 0 and abs(line.line) >= flat
        given = points(abs(line.line) / usual, rules.macd_steps) if agrees else 0.0
        parts.append(Part("macd", line.line, sign_of(line.line) * given))
    fast, middle, slow = (sma(closes, periods) for periods in rules.averages)
    if fast is not None and middle is not None and slow is not None:
        sign = sign_of(fast - slow)
        stacked = (closes[-1] - fast) * sign > 0 and (fast - middle) * sign > 0 and (middle - slow) * sign > 0
        reach = abs(fast - slow)
        given = points(reach / usual, rules.average_steps) if stacked and reach >= flat else 0.0
        parts.append(Part("averages", (fast - slow) / usual, sign * given))
    away = (closes[-1] - (vwap(bars) or closes[-1])) / usual
    given = points(abs(away), rules.vwap_steps) if abs(away) * usual >= flat else 0.0
    parts.append(Part("vwap_distance", away, sign_of(away) * given))
    return parts


def _options(view: MarketView, chain: Chain, bars: Sequence[Bar], rules: PressureRules) -> list[Part]:
    spot = bars[-1].close
    pairs = near_the_money(chain, spot, rules.gamma_strikes)
    near = sorted(pairs, key=lambda pair: abs(pair.strike - spot))[: rules.flow_strikes]
    both = [(pair.call, pair.put) for pair in near if pair.call and pair.put]
    least = rules.known_share * len(near)
    parts = [
        *_lean("volume_lean", [(call.volume, put.volume) for call, put in both], rules.volume_steps, least),
        *_lean(
            "interest_lean",
            [(call.open_interest, put.open_interest) for call, put in both],
            rules.interest_steps,
            least,
        ),
        *_walls(pairs, spot, rules),
    ]
    exposure = dealer_gamma(pairs, spot, chain.at, view.now, expires_at(view, chain), rules.known_share)
    if exposure is not None:
        parts += _hedging(exposure, spot, bars, rules)
    return parts


def _lean(
    name: str, counts: Sequence[tuple[int | None, int | None]], steps: Steps, least: float
) -> list[Part]:
    """(calls - puts) / (calls + puts) of the strikes at which both are known, ``least`` of them at least."""
    known = [(calls, puts) for calls, puts in counts if calls is not None and puts is not None]
    calls, puts = sum(each for each, _ in known), sum(each for _, each in known)
    if len(known) < least or calls + puts == 0:
        return []
    lean = (calls - puts) / (calls + puts)
    return [Part(name, lean, sign_of(lean) * points(abs(lean), steps))]


def _walls(pairs: tuple[StrikePair, ...], spot: float, rules: PressureRules) -> list[Part]:
    """A wall of calls holds a rise that comes near it, a wall of puts a fall."""
    parts = []
    for name, wall, sign in zip(("call_wall", "put_wall"), walls(pairs, spot), (-1, 1), strict=True):
        if wall is not None:
            near = abs(wall - spot) <= rules.wall_near * spot
            parts.append(Part(name, wall, sign * rules.wall_points if near else 0.0))
    return parts


def _hedging(exposure: DealerGamma, spot: float, bars: Sequence[Bar], rules: PressureRules) -> list[Part]:
    """Dealers who are short gamma trade with the move, those who are long against it."""
    move = moved(bars, rules.gamma_minutes)
    votes = abs(move) >= rules.gamma_move and abs(exposure.tilt) >= rules.gamma_tilt
    given = -sign_of(exposure.tilt) * sign_of(move) * rules.gamma_points if votes else 0.0
    parts = [Part("dealer_gamma", exposure.net, given)]
    if exposure.zero is not None:
        parts.append(Part("zero_gamma", exposure.zero, 0.0))
    return parts
