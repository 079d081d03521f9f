"""The dead man's switch of a real daemon: told each minute while healthy, and only then."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.process.pair import Pair, pair, until

pytestmark = [pytest.mark.timeout(400), pytest.mark.slow]

MORNING = "2026-11-24T11:00:00-05:00"


@pytest.fixture
def both(tmp_path: Path) -> Iterator[Pair]:
    with pair(tmp_path) as processes:
        yield processes


@contextmanager
def counting(calls: list[str]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            calls.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/ping/c0ffee"
        server.shutdown()


def test_it_is_told_while_healthy_and_never_in_a_pause(both: Pair) -> None:
    calls: list[str] = []
    both.exchange(MORNING)
    with counting(calls) as url:
        both.run(WSB_SNAKE_HEARTBEAT_URL=url)
        both.monitored(0)
        until(lambda: calls, "the first minute", 120)
        assert set(calls) == {"/ping/c0ffee"}
        (both.folder / "data" / "halt").touch()
        until(lambda: both.health()["status"] == "degraded", "the halt shows")
        told = len(calls)
        begun = both.health()["uptime_s"]
        until(lambda: both.health()["uptime_s"] > begun + 65, "another minute", 120)
        assert len(calls) == told
        assert "c0ffee" not in both.log()
        both.command("resume")
        until(lambda: len(calls) > told, "it goes on", 120)
