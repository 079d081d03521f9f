"""The option part of Polygon's REST API (chain snapshots, contract reference) and what both parts share."""

import base64
import binascii
import json
from collections.abc import Callable, Iterable
from datetime import datetime
from operator import eq, ge, gt, itemgetter, le, lt
from typing import Any

from wsb_snake.core.occ import SymbolError, parse
from wsb_snake.core.pricing import greeks, years_to_expiry
from wsb_snake.core.types import CONTRACT_SHARES, Right
from wsb_snake.sim.exchange import Exchange
from wsb_snake.sim.market import ListedContract
from wsb_snake.sim.sessions import session_of

HOST = "https://api.polygon.io"  # clients keep their own base and take path and query only
_PREFIX = "O:"
_OPERATORS = (("", eq), (".gt", gt), (".gte", ge), (".lt", lt), (".lte", le))
_TEXTS = ("ticker", "underlying_ticker", "contract_type", "expiration_date")
_NUMBERS = ("strike_price",)

Params = dict[str, str]
Json = dict[str, Any]
_Listed = tuple[dict[str, str | float], ListedContract]


class PolygonError(Exception):
    """A refusal: the HTTP status, the word in ``status``, and a text under ``key``."""

    def __init__(self, http: int, status: str, key: str, text: str) -> None:
        super().__init__(text)
        self.http = http
        self.body = {"status": status, key: text}


def bad_request(text: str) -> PolygonError:
    return PolygonError(400, "ERROR", "error", text)


def not_found(text: str) -> PolygonError:
    return PolygonError(404, "NOT_FOUND", "message", text)


def page_limit(query: Params, default: int, most: int) -> int:
    """The page size that ``query`` asks for. Raises PolygonError."""
    text = query.get("limit", str(default))
    if not text.isdigit() or not 0 < int(text) <= most:
        raise bad_request(f"'limit' must be a number from 1 to {most}.")
    return int(text)


def unix_ns(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000_000) * 1000


class PolygonOptions:
    """Contracts and their snapshots as of the exchange's clock; expired ones are not shown."""

    def __init__(self, exchange: Exchange) -> None:
        self._clock = exchange.clock
        self._market = exchange.market
        self._listed: dict[str, list[_Listed]] = {}

    def chain(self, query: Params, underlying: str) -> Json:
        query, offset = resumed(query)
        rows = self._select([underlying], query)
        limit = page_limit(query, 10, 250)
        more = next_url(f"/v3/snapshot/options/{underlying}", query, offset + limit, len(rows))
        return {"results": [self._snapshot(row) for row in rows[offset : offset + limit]]} | more

    def one_of_chain(self, _: Params, underlying: str, ticker: str) -> Json:
        row = self._find(ticker)
        if row.contract.underlying != underlying:
            raise not_found("Options contract not found.")
        return {"results": self._snapshot(row)}

    def contracts(self, query: Params) -> Json:
        query, offset = resumed(query)
        asked = query.get("underlying_ticker")
        rows = self._select([asked] if asked else self._market.symbols(), query)
        limit = page_limit(query, 10, 1000)
        more = next_url("/v3/reference/options/contracts", query, offset + limit, len(rows))
        return {"results": [_reference(row) for row in rows[offset : offset + limit]]} | more

    def one_contract(self, _: Params, ticker: str) -> Json:
        return {"results": _reference(self._find(ticker))}

    def _unexpired(self, underlying: str) -> list[_Listed]:
        """Everything listed on ``underlying``, with what it is filtered and sorted by."""
        if underlying not in self._listed:
            rows = self._market.contracts(underlying)
            self._listed[underlying] = [
                (_fields(row), row) for row in rows if row.contract.expiry >= self._market.day
            ]
        return self._listed[underlying]

    def _find(self, ticker: str) -> ListedContract:
        try:
            rows = self._unexpired(parse(ticker.removeprefix(_PREFIX)).underlying)
        except SymbolError:
            rows = []
        for fields, row in rows:
            if fields["ticker"] == ticker:
                return row
        raise not_found("Options contract not found.")

    def _select(self, underlyings: Iterable[str], query: Params) -> list[ListedContract]:
        """What passes the filters of ``query``, in the order it asks for."""
        order = query.get("sort", "ticker")
        if order not in _TEXTS and order not in _NUMBERS:
            raise bad_request(f"Cannot sort by {order}.")
        filters = _filters(query)
        found = [
            (fields[order], fields["ticker"], row)
            for underlying in underlyings
            for fields, row in self._unexpired(underlying)
            if all(compare(fields[name], bound) for name, compare, bound in filters)
        ]
        found.sort(key=itemgetter(0, 1), reverse=query.get("order") == "desc")
        return [row for *_, row in found]

    def _snapshot(self, row: ListedContract) -> Json:
        contract, now = row.contract, self._clock.now()
        spot = self._market.spot(contract.underlying, now)
        reference = _reference(row)
        body: Json = {
            "details": {
                name: reference[name]
                for name in (
                    "contract_type",
                    "exercise_style",
                    "expiration_date",
                    "shares_per_contract",
                    "strike_price",
                    "ticker",
                )
            },
            "open_interest": row.open_interest,
            "day": {
                "volume": self._market.option_volume(contract.symbol, now),
                "last_updated": unix_ns(now),
            },
            "underlying_asset": {
                "ticker": contract.underlying,
                "price": spot,
                "last_updated": unix_ns(now),
                "timeframe": "REAL-TIME",
            },
        }
        return body | self._quote_part(row) | self._greeks_part(row, spot)

    def _quote_part(self, row: ListedContract) -> Json:
        quote = self._market.option_quote(row.contract.symbol, self._clock.now())
        if quote is None:
            return {}
        strike, mid = float(row.contract.strike), float(quote.mid)
        return {
            "break_even_price": strike + mid if row.contract.right is Right.CALL else strike - mid,
            "last_quote": {
                "bid": float(quote.bid),
                "bid_size": quote.bid_size,
                "ask": float(quote.ask),
                "ask_size": quote.ask_size,
                "midpoint": mid,
                "last_updated": unix_ns(quote.at),
                "timeframe": "REAL-TIME",
            },
        }

    def _greeks_part(self, row: ListedContract, spot: float) -> Json:
        """As with the real one, volatility and greeks are absent where they cannot be had."""
        contract, now = row.contract, self._clock.now()
        vol = self._market.implied_volatility(contract.symbol, now)
        expiry = session_of(contract.expiry)
        if not vol or expiry is None:
            return {}
        years = years_to_expiry(now, expiry.close)
        sensitivity = greeks(contract.right, spot, float(contract.strike), years, vol)
        return {
            "implied_volatility": vol,
            "greeks": {
                "delta": sensitivity.delta,
                "gamma": sensitivity.gamma,
                "theta": sensitivity.theta,
                "vega": sensitivity.vega,
            },
        }


def _ticker(row: ListedContract) -> str:
    return _PREFIX + row.contract.symbol


def _reference(row: ListedContract) -> Json:
    contract = row.contract
    call = contract.right is Right.CALL
    return {
        "ticker": _ticker(row),
        "underlying_ticker": contract.underlying,
        "contract_type": "call" if call else "put",
        "cfi": "OCASPS" if call else "OPASPS",
        "exercise_style": "american",
        "expiration_date": contract.expiry.isoformat(),
        "strike_price": float(contract.strike),
        "shares_per_contract": CONTRACT_SHARES,
        "primary_exchange": "BATO",
    }


def _fields(row: ListedContract) -> dict[str, str | float]:
    """What contracts are filtered and sorted by."""
    contract = row.contract
    return {
        "ticker": _ticker(row),
        "underlying_ticker": contract.underlying,
        "contract_type": "call" if contract.right is Right.CALL else "put",
        "expiration_date": contract.expiry.isoformat(),
        "strike_price": float(contract.strike),
    }


def _filters(query: Params) -> list[tuple[str, Callable[[Any, Any], bool], str | float]]:
    """The conditions in ``query``: field, comparison, bound. Raises PolygonError."""
    found: list[tuple[str, Callable[[Any, Any], bool], str | float]] = []
    for suffix, compare in _OPERATORS:
        found += [(name, compare, query[name + suffix]) for name in _TEXTS if name + suffix in query]
        found += [
            (name, compare, _number(query[name + suffix])) for name in _NUMBERS if name + suffix in query
        ]
    return found


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise bad_request(f"{text} is not a number.") from None


def next_url(path: str, query: Params, offset: int, rows: int) -> Json:
    """The key ``next_url`` while some of the ``rows`` remain; its cursor carries the whole query."""
    if offset >= rows:
        return {}
    cursor = base64.urlsafe_b64encode(json.dumps([query, offset]).encode()).decode()
    return {"next_url": f"{HOST}{path}?cursor={cursor}"}


def resumed(query: Params) -> tuple[Params, int]:
    """The query that a cursor continues, and how many rows were given already."""
    if "cursor" not in query:
        return query, 0
    try:
        resumed, offset = json.loads(base64.urlsafe_b64decode(query["cursor"]))
    except (ValueError, binascii.Error):
        raise bad_request("The cursor is not valid.") from None
    return resumed, offset
