"""Polygon's market data out of its JSON: bars, chain rows, headlines.

Bars are stamped in milliseconds, quotes in nanoseconds. Everything raises ValueError for what cannot be
read; ``headline_or_none`` leaves it out, so that one bad item does not take the others with it.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from wsb_snake.core.occ import parse
from wsb_snake.core.types import Bar, ChainRow, Headline, Quote
from wsb_snake.core.wire import mapping, moment, number, real, rows, text

Row = Mapping[str, Any]


def results(answer: Row) -> list[Row]:
    """An answer without results is empty only when it says so."""
    found = answer.get("results")
    return [] if found is None and answer.get("resultsCount") == 0 else rows(found)


def bar(symbol: str, row: Row) -> Bar:
    close = real(row.get("c"))
    return Bar(
        symbol=symbol,
        start=datetime.fromtimestamp(real(row.get("t")) / 1000, UTC),
        open=real(row.get("o")),
        high=real(row.get("h")),
        low=real(row.get("l")),
        close=close,
        volume=real(row.get("v")),
        vwap=real(row.get("vw", close)),
    )


def chain_row(row: Row) -> ChainRow:
    """What a plan lacks is None: quotes, greeks, volatility."""
    contract = parse(text(mapping(row.get("details")).get("ticker")).removeprefix("O:"))
    volatility = row.get("implied_volatility")
    delta = mapping(row.get("greeks") or {}).get("delta")
    interest = row.get("open_interest")
    volume = mapping(row.get("day") or {}).get("volume")
    return ChainRow(
        contract=contract,
        quote=_quote(contract.symbol, row),
        implied_volatility=None if volatility is None else real(volatility),
        delta=None if delta is None else real(delta),
        open_interest=None if interest is None else int(real(interest)),
        volume=None if volume is None else int(real(volume)),
    )


def _quote(symbol: str, row: Row) -> Quote | None:
    last = row.get("last_quote")
    if not isinstance(last, dict) or not last.get("last_updated"):
        return None
    return Quote(
        symbol=symbol,
        bid=number(last.get("bid")),
        ask=number(last.get("ask")),
        bid_size=int(number(last.get("bid_size", 0))),
        ask_size=int(number(last.get("ask_size", 0))),
        at=datetime.fromtimestamp(real(last["last_updated"]) / 1e9, UTC),
    )


def headline_or_none(row: Row) -> Headline | None:
    try:
        return Headline(
            at=moment(row.get("published_utc")),
            text=text(row.get("title")),
            source=text(mapping(row.get("publisher") or {}).get("name")),
            symbols=tuple(text(ticker) for ticker in row.get("tickers") or ()),
        )
    except (ValueError, TypeError):
        return None
