"""Alpaca's news endpoint."""

from datetime import datetime, time
from hashlib import sha256

from wsb_snake.core.clock import eastern_date, from_eastern
from wsb_snake.core.types import Headline
from wsb_snake.sim import alpaca_query as read
from wsb_snake.sim.alpaca_json import Json, encode, rfc3339
from wsb_snake.sim.api import ApiReply, ApiRequest
from wsb_snake.sim.exchange import Exchange

_MAX_ITEMS = 50


def number_of(item: Headline) -> int:
    """The identity of an item: the same in every answer."""
    digest = sha256(f"{item.at.isoformat()}|{item.text}".encode()).digest()
    return int.from_bytes(digest[:5], "big")


def news(exchange: Exchange, request: ApiRequest) -> ApiReply:
    """Items by the time of their update, the newest first; the token names the first of the next page."""
    query, now = request.query, exchange.clock.now()
    symbols = frozenset(read.names(query, "symbols"))
    start = read.moment(query, "start") or from_eastern(eastern_date(now), time(0))
    end = min(read.moment(query, "end") or now, now)
    newest_first = read.choice(query, "sort", "desc", "asc") == "desc"
    limit = read.integer(query, "limit", 10, _MAX_ITEMS)
    items = [
        item
        for item in exchange.market.headlines(start, end)
        if not symbols or not symbols.isdisjoint(item.symbols)
    ]
    items.sort(key=_place, reverse=newest_first)
    if (begin := read.position(query)) is not None:
        edge = _edge(begin)
        items = [item for item in items if (_place(item) <= edge if newest_first else _place(item) >= edge)]
    following = None
    if len(items) > limit:
        following = read.token(f"{rfc3339(items[limit].at)}|{number_of(items[limit])}")
    return ApiReply(
        200, encode({"news": [_json(item) for item in items[:limit]], "next_page_token": following})
    )


def _place(item: Headline) -> tuple[datetime, int]:
    return item.at, number_of(item)


def _edge(position: str) -> tuple[datetime, int]:
    at, _, number = position.partition("|")
    moment = read.moment({"at": at}, "at")
    if moment is None or not number.isdecimal():
        raise read.BadQuery("invalid page_token")
    return moment, int(number)


def _json(item: Headline) -> Json:
    number = number_of(item)
    return {
        "id": number,
        "headline": item.text,
        "author": "Newsdesk",
        "created_at": rfc3339(item.at),
        "updated_at": rfc3339(item.at),
        "summary": item.text,
        "content": f"<p>{item.text}.</p>",
        "images": [],
        "symbols": list(item.symbols),
        "source": item.source,
        "url": f"https://news.invalid/{number}",
    }
