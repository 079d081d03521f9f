"""Alpaca's market data on the real alpaca-py clients, against loopback servers that misbehave."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgpack  # type: ignore[import-untyped]
import pytest
from websockets.asyncio.server import ServerConnection

from tests.loopback import Answer, Loopback, closed_port, hang, raw, reply, reset, trickle_body
from tests.loopback_ws import LoopbackSocket, eventually
from wsb_snake.collectors import alpaca_data
from wsb_snake.collectors.alpaca_data import AlpacaData, OptionQuoteStream
from wsb_snake.collectors.market_data import DataError, DataSilent, DataUnavailable, NotEntitled, Source
from wsb_snake.core.clock import SystemClock
from wsb_snake.core.lanes import ThreadLanes
from wsb_snake.core.transport import Policy, Transport
from wsb_snake.core.types import Quote

SYMBOL, OTHER = "SPY261124C00672000", "SPY261124P00671000"
KEY, SECRET = "key-never-shown", "secret-never-shown"
OPEN = datetime(2026, 11, 24, 14, 30, tzinfo=UTC)
BAR = {"t": "2026-11-24T14:30:00Z", "o": 1, "h": 2.5, "l": 0.5, "c": 2, "v": 1000, "n": 3, "vw": 1.5}
QUOTE = {"t": "2026-11-24T14:31:02.123456789Z", "bp": 1.15, "ap": 1.2, "bs": 11, "as": 7, "c": "A"}


PATIENT, QUICK = Policy(), Policy(connect_s=0.3, read_s=0.2, total_s=0.4)


def source_at(url: str, policy: Policy = PATIENT) -> AlpacaData:
    lanes = ThreadLanes(SystemClock())
    transport = Transport(lanes, policy)
    return AlpacaData(KEY, SECRET, url, "iex", "indicative", lanes, transport)


def test_bars_come_in_one_request_for_all_symbols_and_only_ended_ones_count() -> None:
    rows = [{**BAR, "t": f"2026-11-24T14:{minute}:00Z"} for minute in (29, 30, 31, 32)]
    with Loopback([reply({"bars": {"SPY": rows}, "next_page_token": None})]) as server:
        found = source_at(server.url).bars(("SPY", "SLV"), OPEN, OPEN + timedelta(minutes=2))
        (request,) = server.seen
    assert request.path == "/v2/stocks/bars"
    query = request.query
    assert (query["symbols"], query["timeframe"], query["feed"]) == ("SPY,SLV", "1Min", "iex")
    assert datetime.fromisoformat(query["start"]) == OPEN
    assert datetime.fromisoformat(query["end"]) == OPEN + timedelta(minutes=1)
    assert [bar.start.minute for bar in found["SPY"]] == [30, 31]
    assert found["SLV"] == []
    bar = found["SPY"][0]
    assert (bar.open, bar.high, bar.low, bar.close, bar.volume, bar.vwap) == (1, 2.5, 0.5, 2, 1000, 1.5)


def test_bars_are_paged() -> None:
    second = {**BAR, "t": "2026-11-24T14:31:00Z"}
    with Loopback(
        [
            reply({"bars": {"SPY": [BAR]}, "next_page_token": "more"}),
            reply({"bars": {"SPY": [second]}, "next_page_token": None}),
        ]
    ) as server:
        found = source_at(server.url).bars(("SPY",), OPEN, OPEN + timedelta(minutes=2))
        assert server.seen[1].query["page_token"] == "more"
    assert len(found["SPY"]) == 2


def test_daily_bars_are_adjusted_and_start_at_midnight_in_new_york() -> None:
    daily = {**BAR, "t": "2026-11-23T05:00:00Z"}
    with Loopback([reply({"bars": {"SPY": [daily]}, "next_page_token": None})]) as server:
        found = source_at(server.url).daily_bars(("SPY",), date(2026, 11, 20), date(2026, 11, 23))
        query = server.seen[0].query
    assert (query["timeframe"], query["adjustment"]) == ("1Day", "split")
    assert datetime.fromisoformat(query["start"]) == datetime(2026, 11, 20, 5, tzinfo=UTC)
    assert len(found["SPY"]) == 1


def test_quotes_are_exact_and_stamped_by_the_feed() -> None:
    broken = {**QUOTE, "bp": None}
    with Loopback([reply({"quotes": {SYMBOL: QUOTE, OTHER: broken, "X": None}})]) as server:
        found = source_at(server.url).option_quotes((SYMBOL, OTHER, "X"))
        assert server.seen[0].query["feed"] == "indicative"
    at = datetime(2026, 11, 24, 14, 31, 2, 123456, UTC)
    assert found == {SYMBOL: Quote(SYMBOL, Decimal("1.15"), Decimal("1.2"), 11, 7, at)}


def test_more_than_a_hundred_symbols_take_several_requests() -> None:
    symbols = tuple(f"SPY261124C{strike:05d}000" for strike in range(600, 850))
    with Loopback([reply({"quotes": {}})]) as server:
        assert source_at(server.url).option_quotes(symbols) == {}
        assert [request.query["symbols"].count(",") + 1 for request in server.seen] == [100, 100, 50]


def test_a_chain_takes_what_the_vendor_has_and_leaves_out_what_cannot_be_read() -> None:
    full = {
        "latestQuote": QUOTE,
        "greeks": {"delta": 0.45},
        "impliedVolatility": 0.21,
        "dailyBar": {**BAR, "v": 12},
    }
    snapshots = {SYMBOL: full, OTHER: {}, "not a symbol": full, "SPY1261124C00672000": full}
    with Loopback([reply({"snapshots": snapshots, "next_page_token": None})]) as server:
        rows = source_at(server.url).chain(
            "SPY", date(2026, 11, 24), date(2026, 11, 24), Decimal("660"), Decimal("680.5")
        )
        (request,) = server.seen
    assert request.path == "/v1beta1/options/snapshots/SPY"
    query = request.query
    assert (query["expiration_date"], query["feed"]) == ("2026-11-24", "indicative")
    assert (query["strike_price_gte"], query["strike_price_lte"]) == ("660.0", "680.5")
    call, put = rows
    assert (call.contract.symbol, call.delta, call.implied_volatility, call.volume) == (
        SYMBOL,
        0.45,
        0.21,
        12,
    )
    assert call.quote is not None
    assert (put.contract.symbol, put.quote, put.delta, put.volume) == (OTHER, None, None, None)


Call = Callable[[Source], object]
CALLS: list[Call] = [
    lambda source: source.bars(("SPY",), OPEN, OPEN + timedelta(minutes=2)),
    lambda source: source.option_quotes((SYMBOL,)),
    lambda source: source.chain("SPY", date(2026, 11, 24), date(2026, 11, 24), Decimal(1), Decimal(2)),
]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (reset, DataSilent),
        (raw(b"<html>", 200), DataUnavailable),
        (raw(b"<html>", 403), DataUnavailable),
        (raw(b"", 200), DataUnavailable),
        (raw(b"", 504), DataSilent),
        (reply({"nothing": "known"}), DataUnavailable),
        (reply({"bars": None, "next_page_token": None}), DataUnavailable),
        (reply({"message": "too many requests."}, 429), DataSilent),
        (reply({"message": "internal"}, 500), DataSilent),
        (reply({"message": "invalid symbol: X"}, 400), DataUnavailable),
        (reply({"message": "forbidden."}, 403), NotEntitled),
        (reply({"message": "unauthorized."}, 401), NotEntitled),
        (reply({"message": "subscription does not permit querying recent SIP data"}, 403), NotEntitled),
    ],
)
def test_every_failure_is_retried_later_or_is_about_the_plan(
    fault: Answer, expected: type[DataError]
) -> None:
    for call in CALLS:
        with Loopback([fault]) as server:
            with pytest.raises(DataError) as caught:
                call(source_at(server.url))
            assert type(caught.value) is expected
            assert len(server.seen) == 1
            assert SECRET not in str(caught.value)


@pytest.mark.parametrize("fault", [hang, trickle_body(0.05)])
def test_a_vendor_that_keeps_us_waiting_is_unavailable(fault: Answer) -> None:
    for call in CALLS:
        with Loopback([fault]) as server:
            begun = time.monotonic()
            with pytest.raises(DataSilent):
                call(source_at(server.url, QUICK))
            assert time.monotonic() - begun < 5


def test_bars_leave_the_reserved_share_to_quotes() -> None:
    with Loopback([reply({"bars": {}, "quotes": {}, "next_page_token": None})]) as server:
        server.answers[:] = [reply({"bars": {}, "next_page_token": None})]
        source = source_at(server.url)
        for _ in range(alpaca_data.CAN_WAIT):
            source.bars(("SPY",), OPEN, OPEN + timedelta(minutes=2))
        with pytest.raises(DataSilent, match="our own limit"):
            source.bars(("SPY",), OPEN, OPEN + timedelta(minutes=2))
        server.answers[:] = [reply({"quotes": {}})]
        assert source.option_quotes((SYMBOL,)) == {}


# the stream


def pack(*messages: dict[str, Any]) -> bytes:
    packed: bytes = msgpack.packb(list(messages), datetime=True)
    return packed


class QuoteServer(LoopbackSocket):
    """Speaks the option stream; ``limit`` is the plan's number of symbols."""

    def __init__(self, limit: int = 200, refuse: str = "") -> None:
        super().__init__(self._script)
        self.limit, self.refuse = limit, refuse
        self.symbols: set[str] = set()
        self.requests: list[tuple[str, list[str]]] = []

    async def _script(self, connection: ServerConnection) -> None:
        self.symbols = set()
        await connection.send(pack({"T": "success", "msg": "connected"}))
        await connection.recv()
        if self.refuse:
            await connection.send(pack({"T": "error", "code": 409, "msg": self.refuse}))
            await connection.wait_closed()
            return
        await connection.send(pack({"T": "success", "msg": "authenticated"}))
        async for frame in connection:
            asked = msgpack.unpackb(frame)
            self.requests.append((asked["action"], sorted(asked["quotes"])))
            if asked["action"] == "unsubscribe":
                self.symbols -= set(asked["quotes"])
            elif len(self.symbols | set(asked["quotes"])) > self.limit:
                await connection.send(pack({"T": "error", "code": 405, "msg": "symbol limit exceeded"}))
                continue
            else:
                self.symbols |= set(asked["quotes"])
            await connection.send(pack({"T": "subscription", "trades": [], "quotes": sorted(self.symbols)}))
            for symbol in sorted(self.symbols):
                good = {**QUOTE, "T": "q", "S": symbol, "t": OPEN}
                await connection.send(pack({**good, "bp": None}, {"T": "q"}, good))


class Recorder:
    def __init__(self) -> None:
        self.quotes: list[Quote] = []
        self.states: list[bool] = []
        self.malformed: list[str] = []

    def stream(self, url: str) -> OptionQuoteStream:
        return OptionQuoteStream(
            KEY, SECRET, url, self.quotes.append, self.states.append, self.malformed.append
        )


def test_symbols_are_followed_as_they_change_from_any_thread() -> None:
    recorder = Recorder()
    with QuoteServer() as server:
        stream = recorder.stream(server.url)
        stream.set_symbols(frozenset())
        assert not stream.connected()
        stream.set_symbols(frozenset({SYMBOL}))
        assert eventually(lambda: stream.subscribed() == {SYMBOL})
        assert eventually(lambda: bool(recorder.quotes))
        assert recorder.quotes[0] == Quote(SYMBOL, Decimal("1.15"), Decimal("1.2"), 11, 7, OPEN)
        stream.set_symbols(frozenset({SYMBOL, OTHER}))
        assert eventually(lambda: stream.subscribed() == {SYMBOL, OTHER})
        stream.set_symbols(frozenset({OTHER}))
        assert eventually(lambda: stream.subscribed() == {OTHER})
        assert server.requests[-1] == ("unsubscribe", [SYMBOL])
        stream.set_symbols(frozenset())
        assert eventually(lambda: stream.subscribed() == frozenset())
        assert stream.connected()
        assert stream.stop()
    assert recorder.states == [True, False]
    assert (stream.connected(), stream.reason) == (False, "stopped")
    assert any("expected a number" in text for text in recorder.malformed)


def test_a_limit_of_symbols_is_reported_and_the_granted_ones_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alpaca_data, "RESUBSCRIBE_S", 0.05)
    recorder = Recorder()
    with QuoteServer(limit=1) as server:
        stream = recorder.stream(server.url)
        stream.set_symbols(frozenset({SYMBOL}))
        assert eventually(lambda: stream.subscribed() == {SYMBOL})
        stream.set_symbols(frozenset({SYMBOL, OTHER}))
        assert eventually(lambda: any("405" in text for text in recorder.malformed))
        assert stream.subscribed() == {SYMBOL}
        server.limit = 2
        assert eventually(lambda: stream.subscribed() == {SYMBOL, OTHER})  # it is asked for again
        assert stream.stop()


def test_a_plan_without_the_stream_ends_it_with_the_reason() -> None:
    recorder = Recorder()
    with QuoteServer(refuse="insufficient subscription") as server:
        stream = recorder.stream(server.url)
        stream.set_symbols(frozenset({SYMBOL}))
        assert eventually(lambda: recorder.states == [False])
        assert eventually(lambda: all(thread.name != "quote-stream" for thread in threading.enumerate()))
        assert stream.stop()
        assert server.connections == 1
    assert "insufficient subscription" in stream.reason
    assert recorder.states == [False]


def test_a_reconnection_subscribes_anew() -> None:
    recorder = Recorder()
    with QuoteServer() as server:
        stream = recorder.stream(server.url)
        stream.set_symbols(frozenset({SYMBOL}))
        assert eventually(lambda: stream.subscribed() == {SYMBOL})
    assert eventually(lambda: not stream.connected())
    assert stream.subscribed() == frozenset()
    assert recorder.states[:2] == [True, False]
    assert stream.stop()


def test_stop_is_quick_whatever_came_about() -> None:
    never = Recorder().stream("ws://127.0.0.1:1/")
    assert never.stop()
    never.set_symbols(frozenset({SYMBOL}))  # too late: it does not start any more
    assert not never.connected()
    refused = Recorder().stream(f"ws://127.0.0.1:{closed_port()}/")
    refused.set_symbols(frozenset({SYMBOL}))
    assert eventually(lambda: "refused" in refused.reason.lower())
    assert refused.stop()
