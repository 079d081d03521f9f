"""How much dealers must trade to stay hedged: gamma exposure by strike of one chain.

Who holds what is not published. The usual naive assumption is made: dealers are long the calls and
short the puts, so their gamma at a strike is gamma x (calls - puts open). Above zero they sell rises
and buy falls, which dampens; below zero they hedge with the move, which speeds it up. A strike's
exposure is in dollars of stock per 1 % move: gamma x open interest x 100 x spot^2 x 0.01.

Open interest that is not known is not zero: such a strike is left out, and without enough known ones
there is no answer.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from wsb_snake.core.pricing import gamma, implied_volatility, years_to_expiry
from wsb_snake.core.types import CONTRACT_SHARES, Chain, ChainRow, Right

_SCAN_STEP = 0.0025  # of the spot: how finely the level of zero gamma is looked for ...
_SCAN_STEPS = 8  # ... and how far to either side


@dataclass(frozen=True, slots=True)
class StrikePair:
    """Call and put of one strike; one of them may be missing."""

    strike: float
    call: ChainRow | None
    put: ChainRow | None


@dataclass(frozen=True, slots=True)
class DealerGamma:
    """Exposures in dollars of stock per 1 % move, strikes and levels in dollars.

    ``zero`` is the price nearest to the spot at which ``net`` would change its sign, None where none
    is near.
    """

    net: float
    gross: float
    by_strike: tuple[tuple[float, float], ...]
    zero: float | None

    @property
    def tilt(self) -> float:
        """``net`` as a part of ``gross``, -1 to 1; 0 where both are zero."""
        return self.net / self.gross if self.gross > 0 else 0.0


def near_the_money(chain: Chain, spot: float, count: int) -> tuple[StrikePair, ...]:
    """The ``count`` strikes nearest to ``spot``, ascending."""
    rows: dict[float, dict[Right, ChainRow]] = {}
    for row in chain.rows:
        rows.setdefault(float(row.contract.strike), {})[row.contract.right] = row
    nearest = sorted(sorted(rows, key=lambda strike: (abs(strike - spot), strike))[:count])
    return tuple(
        StrikePair(strike, rows[strike].get(Right.CALL), rows[strike].get(Right.PUT)) for strike in nearest
    )


def walls(
    pairs: Iterable[StrikePair], spot: float, stands_out: float = 2.0
) -> tuple[float | None, float | None]:
    """Call wall and put wall: the strike at which most calls at or above ``spot``, and most puts at or
    below it, are open. None where it is not ``stands_out`` times the mean of its side."""
    calls, puts = {}, {}
    for pair in pairs:
        if pair.call and pair.call.open_interest is not None and pair.strike >= spot:
            calls[pair.strike] = pair.call.open_interest
        if pair.put and pair.put.open_interest is not None and pair.strike <= spot:
            puts[pair.strike] = pair.put.open_interest
    return _wall(calls, stands_out), _wall(puts, stands_out)


def dealer_gamma(
    pairs: tuple[StrikePair, ...],
    spot: float,
    taken_at: datetime,
    now: datetime,
    close_at: datetime,
    known_share: float = 0.8,
) -> DealerGamma | None:
    """The exposure at ``spot`` of strikes whose quotes were taken at ``taken_at`` and expire at ``close_at``.

    Moments are aware. None when fewer than ``known_share`` of the strikes have both open interests,
    or no strike has a volatility.
    """
    held = {}
    for pair in pairs:
        calls, puts = _open_interest(pair.call), _open_interest(pair.put)
        if calls is not None and puts is not None:
            held[pair.strike] = calls - puts
    if not pairs or len(held) < known_share * len(pairs):
        return None
    vols = _volatilities(pairs, spot, years_to_expiry(taken_at, close_at))
    if not vols:
        return None
    book = tuple((strike, open_, vols[_nearest(vols, strike)]) for strike, open_ in held.items())
    years = years_to_expiry(now, close_at)
    by_strike = tuple((strike, _exposure(spot, strike, open_, vol, years)) for strike, open_, vol in book)
    net = sum(dollars for _, dollars in by_strike)
    return DealerGamma(
        net=net,
        gross=sum(abs(dollars) for _, dollars in by_strike),
        by_strike=by_strike,
        zero=_zero(book, spot, years, net),
    )


def _open_interest(row: ChainRow | None) -> int | None:
    return row.open_interest if row else None


def _exposure(spot: float, strike: float, open_: int, vol: float, years: float) -> float:
    return gamma(spot, strike, years, vol) * open_ * CONTRACT_SHARES * spot * spot * 0.01


def _volatilities(pairs: tuple[StrikePair, ...], spot: float, years: float) -> dict[float, float]:
    """By strike, from the mid of the out-of-the-money side: it says most about volatility.

    The quotes are older than ``spot``, so they are read against the price that they imply themselves.
    """
    at = _implied_spot(pairs, spot)
    vols = {}
    for pair in pairs:
        row, right = (pair.call, Right.CALL) if pair.strike >= at else (pair.put, Right.PUT)
        mid = _mid(row)
        vol = None if mid is None else implied_volatility(right, float(mid), at, pair.strike, years)
        if vol is not None:
            vols[pair.strike] = vol
    return vols


def _implied_spot(pairs: tuple[StrikePair, ...], spot: float) -> float:
    """Put-call parity at the strike nearest to ``spot``; ``spot`` where that is not quoted."""
    quoted = [
        (pair.strike, float(calls - puts))
        for pair in pairs
        if (calls := _mid(pair.call)) is not None and (puts := _mid(pair.put)) is not None
    ]
    strike, ahead = min(quoted, key=lambda each: abs(each[0] - spot), default=(spot, 0.0))
    return strike + ahead if strike + ahead > 0 else spot


def _mid(row: ChainRow | None) -> Decimal | None:
    return row.quote.mid if row and row.quote and row.quote.two_sided else None


def _nearest(vols: Mapping[float, float], strike: float) -> float:
    return strike if strike in vols else min(vols, key=lambda known: (abs(known - strike), known))


def _zero(book: tuple[tuple[float, int, float], ...], spot: float, years: float, net: float) -> float | None:
    """Looked for outwards from ``spot`` in steps, then between two of them along a straight line."""
    if net == 0:
        return spot
    before = {-1: (spot, net), 1: (spot, net)}
    for step in range(1, _SCAN_STEPS + 1):
        for side in (-1, 1):
            price = spot * (1 + side * step * _SCAN_STEP)
            there = sum(_exposure(price, strike, open_, vol, years) for strike, open_, vol in book)
            last_price, last = before[side]
            if there * net < 0:
                return last_price + (price - last_price) * last / (last - there)
            before[side] = (price, there)
    return None


def _wall(contracts: Mapping[float, int], stands_out: float) -> float | None:
    if not contracts:
        return None
    strike = max(contracts, key=lambda each: (contracts[each], each))
    mean = sum(contracts.values()) / len(contracts)
    return strike if mean > 0 and contracts[strike] >= stands_out * mean else None
