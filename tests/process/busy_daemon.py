"""The daemon beside a full-size pipeline: an entry script of the benchmarks.

Each of ``PIPELINES`` lanes fetches and decodes day-long bars of every name through the real client from
``BARS_URL``, computes over them, and begins again without a pause. The daemon's own lane asks for far
less, far less often.
"""

import contextlib
import os
import sys
import threading
from datetime import datetime, timedelta
from typing import Any

from tests.process.venue import MORNING
from wsb_snake.cli import main
from wsb_snake.collectors.alpaca_data import AlpacaData
from wsb_snake.collectors.market_data import DataError
from wsb_snake.core.clock import SystemClock
from wsb_snake.core.lanes import ThreadLanes
from wsb_snake.core.transport import Transport
from wsb_snake.core.types import Bar
from wsb_snake.engines import indicators
from wsb_snake.engines.universe import ZERO_DTE
from wsb_snake.vendors import MARKET_DATA


def start() -> int:
    """Run the daemon as ``run`` does, with the pipelines at its side; the exit code."""
    lanes = ThreadLanes(SystemClock())
    transport = Transport(lanes, MARKET_DATA)
    for number in range(int(os.environ["PIPELINES"])):
        source = AlpacaData("key", "secret", os.environ["BARS_URL"], "iex", "indicative", lanes, transport)
        threading.Thread(target=work, args=(source,), name=f"pipeline-{number}", daemon=True).start()
    return main(["run"])


def work(source: AlpacaData) -> None:
    opens = datetime.fromisoformat(MORNING) - timedelta(minutes=90)
    found: dict[str, list[Bar]] = {}
    while True:
        with contextlib.suppress(DataError):  # it keeps the vendor's rate limit: compute the same again
            found = source.bars(ZERO_DTE, opens, opens + timedelta(hours=7))
        for bars in found.values():
            compute(bars)


def compute(bars: list[Bar]) -> list[Any]:
    closes = [bar.close for bar in bars]
    return [
        indicators.vwap_path(bars),
        indicators.rsi(closes),
        indicators.macd(closes),
        indicators.atr(bars),
        indicators.realised_volatility(closes),
    ]


if __name__ == "__main__":
    sys.exit(start())
