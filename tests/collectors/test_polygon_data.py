"""Polygon's market data on the real polygon-api-client, against loopback servers that misbehave."""

import sys
import time
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.loopback import Answer, Loopback, closed_port, hang, raw, reply, reset, trickle_body
from wsb_snake.collectors.market_data import DataError, DataSilent, DataUnavailable, NotEntitled
from wsb_snake.collectors.polygon_data import PolygonData, load_library
from wsb_snake.core.clock import VirtualClock
from wsb_snake.core.lanes import ThreadLanes
from wsb_snake.core.transport import Policy, Transport
from wsb_snake.core.types import Quote

OPEN = datetime(2026, 11, 24, 14, 30, tzinfo=UTC)
SYMBOL = "SPY261124C00672000"
KEY = "key-never-shown"
AGG = {"o": 1, "h": 2.5, "l": 0.5, "c": 2, "v": 1000, "vw": 1.5, "t": int(OPEN.timestamp() * 1000), "n": 4}
LAST = {"bid": 1.15, "ask": 1.2, "bid_size": 11, "ask_size": 7, "last_updated": int(OPEN.timestamp()) * 10**9}
ROW: dict[str, Any] = {
    "details": {"ticker": f"O:{SYMBOL}"},
    "last_quote": LAST,
    "greeks": {"delta": 0.45},
    "implied_volatility": 0.2,
    "open_interest": 321,
    "day": {"volume": 12},
}


def aggs(*rows: dict[str, Any]) -> Answer:
    return reply({"status": "OK", "results": list(rows), "resultsCount": len(rows)})


PATIENT, QUICK = Policy(), Policy(connect_s=0.3, read_s=0.2, total_s=0.4)


def source_at(url: str, plan: str = "starter", policy: Policy = PATIENT) -> tuple[PolygonData, VirtualClock]:
    clock = VirtualClock(OPEN)
    lanes = ThreadLanes(clock)
    return PolygonData(KEY, url, plan, lanes, Transport(lanes, policy)), clock


@pytest.mark.parametrize("text", ["raise ImportError('this installation is broken')", "def ", "undefined"])
def test_a_broken_library_is_a_refusal_that_a_later_request_would_get_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str
) -> None:
    source, _ = source_at(f"http://127.0.0.1:{closed_port()}")
    (tmp_path / "polygon.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [each for each in sys.modules if each.split(".")[0] == "polygon"]:
        monkeypatch.delitem(sys.modules, name)
    for work in (load_library, source.vix, lambda: source.bars(("SPY",), OPEN, OPEN + timedelta(minutes=2))):
        with pytest.raises(NotEntitled, match="Polygon's library cannot be loaded") as caught:
            work()
        assert "\n" not in str(caught.value)


def test_bars_of_one_symbol_are_one_request_and_only_ended_ones_count() -> None:
    early, late = ({**AGG, "t": AGG["t"] + minutes * 60_000} for minutes in (-1, 2))
    with Loopback([aggs(early, AGG, late), reply({"status": "OK", "resultsCount": 0})]) as server:
        source, _ = source_at(server.url)
        found = source.bars(("SPY", "SLV"), OPEN, OPEN + timedelta(minutes=2))
        first, second = server.seen
    start, end = AGG["t"], AGG["t"] + 60_000
    assert first.path == f"/v2/aggs/ticker/SPY/range/1/minute/{start}/{end}"
    assert second.path == f"/v2/aggs/ticker/SLV/range/1/minute/{start}/{end}"
    assert first.headers["authorization"] == f"Bearer {KEY}"
    assert first.query == {"adjusted": "true", "sort": "asc", "limit": "50000"}
    (bar,) = found["SPY"]
    assert (bar.start, bar.high, bar.volume, bar.vwap) == (OPEN, 2.5, 1000, 1.5)
    assert found["SLV"] == []


def test_daily_bars_go_by_date() -> None:
    with Loopback([aggs(AGG)]) as server:
        source, _ = source_at(server.url)
        assert len(source.daily_bars(("SPY",), date(2026, 11, 20), date(2026, 11, 23))["SPY"]) == 1
        assert server.seen[0].path == "/v2/aggs/ticker/SPY/range/1/day/2026-11-20/2026-11-23"


def test_the_free_plan_fetches_five_symbols_a_minute_and_leaves_the_rest_out() -> None:
    symbols = ("SPY", "QQQ", "IWM", "AMD", "NVDA", "TSLA")
    with Loopback([aggs(AGG)]) as server:
        source, clock = source_at(server.url, "free")
        assert set(source.bars(symbols, OPEN, OPEN + timedelta(minutes=1))) == set(symbols[:5])
        assert source.bars(symbols, OPEN, OPEN + timedelta(minutes=1)) == {}
        with pytest.raises(DataUnavailable, match="5 calls a minute"):
            source.vix()
        clock.advance_to(60.0)
        assert len(source.bars(symbols, OPEN, OPEN + timedelta(minutes=1))) == 5
        assert len(server.seen) == 10


def test_nobody_is_asked_for_what_is_not_to_be_had() -> None:
    with Loopback([aggs()]) as server:
        free, _ = source_at(server.url, "free")
        with pytest.raises(NotEntitled):
            free.chain("SPY", date(2026, 11, 24), date(2026, 11, 24), Decimal(1), Decimal(2))
        advanced, _ = source_at(server.url, "advanced")
        with pytest.raises(NotEntitled):
            advanced.option_quotes((SYMBOL,))
        assert server.seen == []


def test_a_chain_is_paged_and_takes_what_there_is() -> None:
    bare = {"details": {"ticker": "O:SPY261124P00671000"}, "day": {}, "last_quote": None}
    with Loopback(
        [
            reply(
                {"status": "OK", "results": [ROW], "next_url": "https://elsewhere.invalid/v3/x?cursor=abc"}
            ),
            reply({"status": "OK", "results": [bare]}),
        ]
    ) as server:
        source, _ = source_at(server.url)
        call, put = source.chain(
            "SPY", date(2026, 11, 24), date(2026, 11, 24), Decimal("660"), Decimal("680")
        )
        first, second = server.seen
    assert first.path == second.path == "/v3/snapshot/options/SPY"
    assert first.query == {
        "expiration_date": "2026-11-24",
        "strike_price.gte": "660.0",
        "strike_price.lte": "680.0",
        "limit": "250",
    }
    assert second.query == {"cursor": "abc"}
    assert call.quote == Quote(SYMBOL, Decimal("1.15"), Decimal("1.2"), 11, 7, OPEN)
    assert (call.delta, call.implied_volatility, call.open_interest, call.volume) == (0.45, 0.2, 321, 12)
    assert (put.quote, put.delta, put.open_interest, put.volume) == (None, None, None, None)


def test_vix_and_the_refusal_inside_a_200() -> None:
    refused = {"ticker": "I:VIX", "error": "NOT_ENTITLED", "message": "upgrade"}
    with Loopback(
        [
            reply({"status": "OK", "results": [{"ticker": "I:VIX", "value": 17.5}]}),
            reply({"status": "OK", "results": [refused]}),
            reply({"status": "OK", "results": []}),
        ]
    ) as server:
        source, _ = source_at(server.url)
        assert source.vix() == 17.5
        with pytest.raises(NotEntitled, match="upgrade"):
            source.vix()
        with pytest.raises(DataUnavailable):
            source.vix()


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (reset, DataSilent),
        (raw(b"<html>", 200), DataUnavailable),
        (raw(b"<html>", 403), DataUnavailable),
        (raw(b"", 200), DataUnavailable),
        (reply([]), DataUnavailable),
        (reply({"status": "OK"}), DataUnavailable),
        (reply({"status": "OK", "resultsCount": 3}), DataUnavailable),
        (reply({"status": "OK", "results": [{"t": 1}]}), DataUnavailable),
        (reply({"status": "OK", "results": [None]}), DataUnavailable),
        (
            reply({"status": "ERROR", "error": "You've exceeded the maximum requests per minute"}, 429),
            DataSilent,
        ),
        (reply({"status": "ERROR", "error": "internal"}, 500), DataSilent),
        (reply({"status": "ERROR", "error": "Unknown API Key"}, 401), NotEntitled),
        (
            reply({"status": "NOT_AUTHORIZED", "message": "You are not entitled to this data."}, 403),
            NotEntitled,
        ),
        (
            reply({"status": "NOT_AUTHORIZED", "message": "You are not entitled to this data."}, 200),
            NotEntitled,
        ),
    ],
)
def test_every_failure_is_retried_later_or_is_about_the_plan(
    fault: Answer, expected: type[DataError]
) -> None:
    with Loopback([fault]) as server:
        source, _ = source_at(server.url)
        for call in (
            lambda: source.bars(("SPY",), OPEN, OPEN + timedelta(minutes=1)),
            lambda: source.chain("SPY", date(2026, 11, 24), date(2026, 11, 24), Decimal(1), Decimal(2)),
            source.vix,
        ):
            with pytest.raises(DataError) as caught:
                call()
            assert type(caught.value) is expected
            assert KEY not in str(caught.value)
        assert len(server.seen) == 3


@pytest.mark.parametrize("fault", [hang, trickle_body(0.05)])
def test_a_vendor_that_keeps_us_waiting_is_unavailable(fault: Answer) -> None:
    with Loopback([fault]) as server:
        source, _ = source_at(server.url, policy=QUICK)
        begun = time.monotonic()
        with pytest.raises(DataUnavailable):
            source.vix()
        assert time.monotonic() - begun < 5


def test_a_refused_connection_is_unavailable() -> None:
    source, _ = source_at(f"http://127.0.0.1:{closed_port()}")
    with pytest.raises(DataUnavailable):
        source.bars(("SPY",), OPEN, OPEN + timedelta(minutes=1))


def test_the_vendor_writes_nothing_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    with Loopback([raw(b"<html>", 200)]) as server:
        source, _ = source_at(server.url)
        with pytest.raises(DataUnavailable):
            source.vix()
    assert capsys.readouterr().out == ""
