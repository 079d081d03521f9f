"""The exchange as a process of its own, in real time."""

import io
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderSide, TimeInForce
from alpaca.trading.requests import MarketOrderRequest

from tests.sim.serving import DAY, at, wait_until
from wsb_snake.sim.service import KEY, SECRET, Hold, parse_hold, run_exchange

MORNING = at(DAY, 10, 0)
CALL = "SPY261124C00820000"


class Output(io.StringIO):
    """Where the command writes; ``complete`` once it was flushed."""

    def __init__(self) -> None:
        super().__init__()
        self.complete = threading.Event()

    def flush(self) -> None:
        super().flush()
        self.complete.set()


@contextmanager
def exchange(
    holds: Sequence[Hold] = (), start_at: datetime = MORNING, data: Path | None = None
) -> Iterator[dict[str, str]]:
    """A running exchange; its environment."""
    out, stop, codes = Output(), threading.Event(), []

    def run() -> None:
        codes.append(run_exchange(0, start_at, 7, data, holds, out, stop))

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert out.complete.wait(20)
        *variables, last = out.getvalue().splitlines()
        environment = dict(line.split("=", 1) for line in variables)
        assert last == f"listening on {environment['ALPACA_TRADING_URL']}"
        yield environment
    finally:
        stop.set()
        thread.join(10)
    assert codes == [0]


def refused(
    capsys: pytest.CaptureFixture[str],
    *holds: str,
    start_at: datetime = MORNING,
    port: int = 0,
    data: Path | None = None,
) -> str:
    """The one line with which the exchange declines to begin."""
    out = io.StringIO()
    code = run_exchange(port, start_at, 7, data, [parse_hold(hold) for hold in holds], out, threading.Event())
    assert (code, out.getvalue()) == (2, "")
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.mark.parametrize(
    ("text", "hold"),
    [
        ("SPY261124C00600000=2@1.35", Hold("SPY261124C00600000", 2, Decimal("1.35"))),
        ("SPY261124P00600000=-1@2.00", Hold("SPY261124P00600000", -1, Decimal("2.00"))),
        (" AAPL=100@190.5 ", Hold("AAPL", 100, Decimal("190.5"))),
    ],
)
def test_holds_are_read(text: str, hold: Hold) -> None:
    assert parse_hold(text) == hold


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is not SYMBOL=QUANTITY@PRICE"),
        ("SPY261124C00600000", "is not SYMBOL=QUANTITY@PRICE"),
        ("SPY261124C00600000=2", "is not SYMBOL=QUANTITY@PRICE"),
        ("SPY261124C00600000=1.5@2", "is not SYMBOL=QUANTITY@PRICE"),
        ("SPY261124C00600000=2@-1", "is not SYMBOL=QUANTITY@PRICE"),
        ("SPY261124C00600000=2@NaN", "is not SYMBOL=QUANTITY@PRICE"),
        ("spy=2@1", "is not SYMBOL=QUANTITY@PRICE"),
        ("SPY261324C00600000=2@1", "is neither a ticker nor an option symbol"),
        ("SPY26112C0060000=2@1", "is neither a ticker nor an option symbol"),
        ("SPY=0@1", "the quantity is 0"),
    ],
)
def test_a_wrong_hold_is_one_clear_line(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=rf"^[^\n]*{why}[^\n]*$"):
        parse_hold(text)


def test_a_daemon_finds_an_account_with_what_it_holds() -> None:
    holds = [
        Hold(CALL, 2, Decimal("1.35")),
        Hold("AAPL", 100, Decimal("190.5")),
        Hold("QQQ261124P00600000", -1, Decimal(2)),
    ]
    with exchange(holds) as environment:
        assert environment["WSB_SNAKE_CLOCK_START"] == "broker"
        client = TradingClient(KEY, SECRET, url_override=environment["ALPACA_TRADING_URL"], raw_data=True)
        positions = client.get_all_positions()
        assert [(p["symbol"], p["qty"]) for p in positions] == [  # type: ignore[index]
            ("AAPL", "100"),
            ("QQQ261124P00600000", "-1"),
            (CALL, "2"),
        ]
        clock = client.get_clock()
        assert isinstance(clock, dict)
        assert clock["is_open"] is True
        assert clock["timestamp"].startswith("2026-11-24T10:00:")


def test_orders_fill_as_time_goes_by() -> None:
    with exchange() as environment:
        client = TradingClient(KEY, SECRET, url_override=environment["ALPACA_TRADING_URL"], raw_data=True)
        request = MarketOrderRequest(symbol=CALL, qty=1, side=OrderSide.BUY, time_in_force=TimeInForce.DAY)
        placed = client.submit_order(request)
        assert isinstance(placed, dict)

        def filled() -> bool:
            order = client.get_order_by_id(placed["id"])
            return isinstance(order, dict) and order["status"] == "filled"

        wait_until(filled)


def test_a_recorded_day_is_served(shared_dir: Path) -> None:
    start = datetime.fromisoformat("2026-07-22T10:00:00-04:00")
    hold = parse_hold("SPY260722C00745000=1@5.00")
    with exchange([hold], start, shared_dir / "data" / "spy_0dte_chains") as environment:
        client = TradingClient(KEY, SECRET, url_override=environment["ALPACA_TRADING_URL"], raw_data=True)
        position = client.get_open_position(hold.symbol)
        assert isinstance(position, dict)
        assert Decimal(position["current_price"]) > 0


def test_what_is_not_listed_is_named_with_its_neighbours(capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(capsys, "SPY261124C00820300=1@1") == (
        "SPY261124C00820300 is not listed; the nearest strikes are 819, 820, 821, 822"
    )
    assert refused(capsys, "RKLB261124C00050000=1@1").startswith(
        "RKLB261124C00050000 is not listed; the nearest expiries are 2026-11-27, "
    )
    assert refused(capsys, "ZZZZ=1@1").startswith("ZZZZ: ZZZZ is not listed here; listed are SPY, QQQ, ")
    assert refused(capsys, "ZZZZ261124C00050000=1@1").startswith(
        "ZZZZ261124C00050000: ZZZZ is not listed here"
    )


def test_days_without_a_session_or_a_market_are_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    thanksgiving = datetime.fromisoformat("2026-11-26T10:00:00-05:00")
    assert refused(capsys, start_at=thanksgiving) == (
        "2026-11-26 is not a trading day; the next one is 2026-11-27"
    )
    early = datetime.fromisoformat("2019-11-26T10:00:00-05:00")
    assert refused(capsys, start_at=early).endswith("2019-11-26 lies before it")
    assert refused(capsys, data=tmp_path).startswith("no recorded chain: ")


def test_an_expired_contract_cannot_be_held(capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(capsys, f"{CALL}=1@1", start_at=at(DAY, 16, 30)) == f"{CALL} has expired"


def test_a_taken_port_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with exchange() as environment:
        port = int(environment["ALPACA_TRADING_URL"].rpartition(":")[2])
        assert refused(capsys, port=port).startswith(f"cannot listen on port {port} ")
