"""``flatten``, with the daemon and without it: two real processes and the command as a third."""

import json
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from tests.process.pair import DAY, SEED, Pair, ended, in_the_money, pair, until
from wsb_snake.flatten import UNWATCHED
from wsb_snake.sim.market import SeededMarket

pytestmark = pytest.mark.timeout(240)

MORNING = "2026-11-24T11:00:00-05:00"
LATE = "2026-11-24T15:56:00-05:00"
LATER = "SPY261218C00820000"


@pytest.fixture
def both(tmp_path: Path) -> Iterator[Pair]:
    with pair(tmp_path) as processes:
        yield processes


def flatten(both: Pair, *words: str) -> subprocess.CompletedProcess[str]:
    return both.configured("flatten", *words)


def rest_by_hand(both: Pair, symbol: str, qty: int, limit: str) -> str:
    """A foreign sell order that holds ``qty`` contracts; the broker's name for it."""
    order = {
        "symbol": symbol,
        "qty": str(qty),
        "side": "sell",
        "type": "limit",
        "limit_price": limit,
        "time_in_force": "day",
        "position_intent": "sell_to_close",
    }
    answer: str = broker(both, "/v2/orders", order)["id"]
    return answer


def broker(both: Pair, path: str, body: dict[str, str] | None = None) -> dict[str, str]:
    headers = {
        "APCA-API-KEY-ID": both.environment["ALPACA_API_KEY"],
        "APCA-API-SECRET-KEY": both.environment["ALPACA_SECRET_KEY"],
        "Content-Type": "application/json",
    }
    data = None if body is None else json.dumps(body).encode()
    url = both.environment["ALPACA_TRADING_URL"] + path
    with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=60) as answer:
        told: dict[str, str] = json.load(answer)
    return told


def without_bid(at: str) -> str:
    """A call of today for which nobody bids for the ten minutes from ``at``."""
    market = SeededMarket(DAY, SEED)
    start = datetime.fromisoformat(at)
    for row in reversed(market.contracts("SPY")):
        quote = market.option_quote(row.contract.symbol, start) if row.contract.expiry == DAY else None
        if quote is not None and quote.bid == 0:
            return row.contract.symbol
    raise AssertionError("every contract has a bid")


def test_a_living_daemon_does_it_and_the_proof_is_waited_for(both: Pair) -> None:
    qqq = in_the_money("QQQ", MORNING, 0.03)
    both.exchange(MORNING, f"{qqq}=1@22", f"{LATER}=1@14")
    process = both.run()
    both.monitored(2)
    today = flatten(both, "--direct", "--wait", "120")
    assert today.returncode == 0, today.stdout + today.stderr
    assert "the daemon is alive" in today.stdout
    assert today.stdout.splitlines()[-1] == "flat: the broker has shown it twice"
    assert both.sold() == {qqq: 1}
    assert not (both.folder / "data" / "halt").exists()
    everything = flatten(both, "all", "--wait", "120")
    assert everything.returncode == 0, everything.stdout + everything.stderr
    assert both.sold() == {qqq: 1, LATER: 1}
    assert process.poll() is None


@pytest.mark.slow
def test_a_stopped_daemon_is_ended_before_anything_is_sold(both: Pair) -> None:
    qqq = in_the_money("QQQ", MORNING, 0.03)
    both.exchange(MORNING, f"{qqq}=2@22", f"{LATER}=1@14")
    process = both.run()
    both.monitored(2)
    process.send_signal(signal.SIGSTOP)
    done = flatten(both, "--direct")
    assert done.returncode == 0, done.stdout + done.stderr
    assert process.wait(10) == -signal.SIGKILL
    lines = done.stdout.splitlines()
    ending = lines.index(f"ending the daemon, process {process.pid}")
    assert ending < next(n for n, line in enumerate(lines) if "selling 2 ×" in line)
    assert both.sold() == {qqq: 2}
    assert lines[-2:] == ["flat: the broker has shown it twice", UNWATCHED]
    assert (both.folder / "data" / "halt").exists()
    both.run()
    shown = both.monitored(1)
    assert shown["pause_reasons"] == ["manual"]
    until(lambda: both.held() == {LATER}, "the next daemon knows what was sold")
    until(lambda: len(both.rows("SELECT 1 FROM outcomes")) == 1, "and has its outcome")
    ours = both.rows("SELECT client_order_id FROM orders WHERE purpose = 'exit'")
    assert [name for (name,) in ours if name.startswith("wsb-20261124-d-")]


@pytest.mark.slow
def test_without_a_daemon_a_foreign_order_that_holds_them_is_cancelled_first(both: Pair) -> None:
    qqq = in_the_money("QQQ", MORNING, 0.03)
    both.exchange(MORNING, f"{qqq}=2@22", f"{LATER}=1@14", "AAPL=100@290")
    process = both.run()
    until(lambda: both.health().get("all_positions_monitored"), "both positions are known")
    ended(process, signal.SIGKILL)
    foreign = rest_by_hand(both, qqq, 2, "400")
    alone = flatten(both)
    assert alone.returncode == 1 and "flatten 0dte --direct" in alone.stderr
    done = flatten(both, "all", "--direct")
    assert done.returncode == 0, done.stdout + done.stderr
    assert broker(both, f"/v2/orders/{foreign}")["status"] == "canceled"
    assert both.sold() == {qqq: 2, LATER: 1}
    assert UNWATCHED in done.stdout, "its shares"
    again = flatten(both, "all", "--direct")
    assert again.returncode == 0 and "selling" not in again.stdout


def test_a_contract_without_a_bid_is_named_and_fails(both: Pair) -> None:
    bare, aapl = without_bid(LATE), in_the_money("AAPL", LATE, 0.02)
    both.exchange(LATE, f"{bare}=3@0.05", f"{aapl}=1@6")
    done = flatten(both, "--direct", "--wait", "20")
    assert done.returncode == 1, done.stdout + done.stderr
    *_, last, unwatched = done.stdout.splitlines()
    assert unwatched == UNWATCHED
    assert last.startswith(f"NOT PROVEN FLAT: {bare}: nobody bids") and "0.01" in last
    assert both.sold() == {aapl: 1}


def test_a_market_that_is_shut_gets_no_order(both: Pair) -> None:
    start = "2026-11-24T16:05:00-05:00"
    both.exchange(start, f"{LATER}=1@14")
    assert flatten(both, "--direct").returncode == 0
    done = flatten(both, "all", "--direct")
    assert done.returncode == 1
    assert f"{LATER}: the market is shut, nothing was sent" in done.stdout
    assert both.sold() == {}
