"""Polygon's news endpoint."""

from datetime import UTC, datetime, time, timedelta

from wsb_snake.core.clock import from_eastern
from wsb_snake.core.types import Headline
from wsb_snake.sim.alpaca_news import number_of
from wsb_snake.sim.exchange import Exchange
from wsb_snake.sim.polygon_options import Json, Params, bad_request, next_url, page_limit, resumed

_PATH = "/v2/reference/news"
_WEEK = timedelta(days=7)
_INSTANT = timedelta(microseconds=1)


class PolygonNews:
    """Items as of the exchange's clock, of the week before unless the query says otherwise."""

    def __init__(self, exchange: Exchange) -> None:
        self._clock = exchange.clock
        self._market = exchange.market

    def items(self, query: Params) -> Json:
        """The newest first; the cursor carries the query and its end, so that later items shift nothing."""
        query, offset = resumed(query)
        now = self._clock.now()
        start, end = _span(query, now)
        ticker = query.get("ticker")
        rows = [row for row in self._market.headlines(start, end) if ticker in (None, *row.symbols)]
        if query.get("order", "desc") == "desc":
            rows.reverse()
        limit = page_limit(query, 10, 1000)
        fixed = query if "published_utc.lte" in query else query | {"published_utc.lte": end.isoformat()}
        page = [_row(row) for row in rows[offset : offset + limit]]
        more = next_url(_PATH, fixed, offset + limit, len(rows))
        return {"results": page, "count": len(page)} | more


def _span(query: Params, now: datetime) -> tuple[datetime, datetime]:
    """First and last moment that count."""
    start, end = now - _WEEK, now
    if (day := query.get("published_utc")) is not None:
        start = _moment(day)
        end = min(end, start + timedelta(days=1) - _INSTANT)
    for name, shift in (("published_utc.gte", timedelta()), ("published_utc.gt", _INSTANT)):
        if name in query:
            start = _moment(query[name]) + shift
    for name, shift in (("published_utc.lte", timedelta()), ("published_utc.lt", -_INSTANT)):
        if name in query:
            end = min(end, _moment(query[name]) + shift)
    return start, end


def _moment(text: str) -> datetime:
    """An RFC 3339 time, or the start of a day in New York."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise bad_request(f"Could not parse the time {text}.") from None
    if at.tzinfo is None:
        return from_eastern(at.date(), time()) if len(text) == len("2026-01-01") else at.replace(tzinfo=UTC)
    return at.astimezone(UTC)


def _row(item: Headline) -> Json:
    number = number_of(item)
    return {
        "id": f"{number:064x}",
        "publisher": {
            "name": item.source,
            "homepage_url": "https://news.invalid/",
            "logo_url": "https://news.invalid/logo.svg",
            "favicon_url": "https://news.invalid/favicon.ico",
        },
        "title": item.text,
        "author": "Newsdesk",
        "published_utc": item.at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "article_url": f"https://news.invalid/{number}",
        "tickers": list(item.symbols),
        "description": item.text,
        "keywords": [],
    }
