"""Asks ``/health`` twenty times a second, each time on a new connection, until its standard input ends.

``python -m tests.process.health_probe HOST PORT`` prints two JSON lists: the milliseconds of each answer,
and by how many its own alarm clock was late, which is what the machine adds to everything measured on
it. A process of its own, so that nobody else's work is measured with it.
"""

import http.client
import json
import sys
import threading
import time

EVERY_S = 0.05


def main() -> int:
    host, port = sys.argv[1], int(sys.argv[2])
    over = threading.Event()

    def wait() -> None:
        sys.stdin.read()
        over.set()

    threading.Thread(target=wait, daemon=True).start()
    took: list[float] = []
    late: list[float] = []
    asleep = time.perf_counter()
    while not over.wait(EVERY_S):
        began = time.perf_counter()
        late.append(1000 * (began - asleep - EVERY_S))
        connection = http.client.HTTPConnection(host, port, timeout=10)
        connection.request("GET", "/health")
        connection.getresponse().read()
        connection.close()
        asleep = time.perf_counter()
        took.append(1000 * (asleep - began))
    sys.stdout.write(json.dumps([took, late]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
