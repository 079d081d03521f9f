"""Serves one day of minute bars in ``NAMES`` names, whatever is asked for: a full-size body for nothing.

``python -m tests.process.bar_server`` prints its port. The body is made once, so that serving it costs
the machine next to nothing and what is measured is the client.
"""

import json
import random
import sys
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.process.venue import MORNING
from wsb_snake.engines.universe import ZERO_DTE

MINUTES = 390


def body() -> bytes:
    luck = random.Random(7)
    opens = datetime.fromisoformat(MORNING).astimezone(UTC) - timedelta(minutes=90)
    return json.dumps(
        {"bars": {name: bars(luck, opens) for name in ZERO_DTE}, "next_page_token": None}
    ).encode()


def bars(luck: random.Random, opens: datetime) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    price = 100.0
    for minute in range(MINUTES):
        start = opens + timedelta(minutes=minute)
        close = price * (1 + luck.gauss(0, 0.001))
        high, low = max(price, close) * 1.0005, min(price, close) * 0.9995
        found.append(
            {
                "t": f"{start:%Y-%m-%dT%H:%M:%SZ}",
                "o": round(price, 4),
                "h": round(high, 4),
                "l": round(low, 4),
                "c": round(close, 4),
                "v": luck.randrange(1_000, 90_000),
                "n": luck.randrange(10, 900),
                "vw": round((high + low + close) / 3, 6),
            }
        )
        price = close
    return found


def main() -> int:
    answer = body()

    class Bars(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Bars)
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
