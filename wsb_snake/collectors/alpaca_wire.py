"""Alpaca's market data out of its JSON: bars, quotes, chain rows, headlines.

Everything raises ValueError for what cannot be read; the ``…_or_none`` leave it out instead, so that
one bad row does not take the others of its answer with it.
"""

from collections.abc import Mapping
from typing import Any

from wsb_snake.core.occ import parse
from wsb_snake.core.types import Bar, ChainRow, Headline, Quote
from wsb_snake.core.wire import mapping, moment, number, real, text

Row = Mapping[str, Any]


def bar(symbol: str, row: Row) -> Bar:
    close = real(row.get("c"))
    return Bar(
        symbol=symbol,
        start=moment(row.get("t")),
        open=real(row.get("o")),
        high=real(row.get("h")),
        low=real(row.get("l")),
        close=close,
        volume=real(row.get("v")),
        vwap=real(row.get("vw", close)),
    )


def quote(symbol: str, row: Row) -> Quote:
    stamp: Any = row.get("t")
    return Quote(
        symbol=symbol,
        bid=number(row.get("bp")),
        ask=number(row.get("ap")),
        bid_size=int(number(row.get("bs"))),
        ask_size=int(number(row.get("as"))),
        at=stamp.to_datetime() if hasattr(stamp, "to_datetime") else moment(stamp),  # msgpack's or JSON's
    )


def quote_or_none(symbol: str, row: object) -> Quote | None:
    try:
        return quote(symbol, mapping(row))
    except ValueError:
        return None


def chain_row_or_none(symbol: str, row: object) -> ChainRow | None:
    """A contract that cannot be read cannot be traded either."""
    try:
        return _chain_row(symbol, mapping(row))
    except ValueError:
        return None


def _chain_row(symbol: str, row: Row) -> ChainRow:
    """Greeks, volatility and bars are often absent, above all on the last day. There is no open interest."""
    delta = mapping(row.get("greeks") or {}).get("delta")
    volatility = row.get("impliedVolatility")
    volume = mapping(row.get("dailyBar") or {}).get("v")
    return ChainRow(
        contract=parse(symbol),
        quote=quote_or_none(symbol, row.get("latestQuote")),
        implied_volatility=None if volatility is None else real(volatility),
        delta=None if delta is None else real(delta),
        volume=None if volume is None else int(real(volume)),
    )


def headline_or_none(row: Row) -> Headline | None:
    """``at`` is when it was first published: a later correction makes no news of it."""
    try:
        return Headline(
            at=moment(row.get("created_at")),
            text=text(row.get("headline")),
            source=text(row.get("source")),
            symbols=tuple(text(symbol) for symbol in row.get("symbols") or ()),
        )
    except (ValueError, TypeError):
        return None
