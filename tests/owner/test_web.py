import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest
import requests

from tests.owner.sample import facts, position
from wsb_snake.core.health import Facts
from wsb_snake.owner.web import CONNECTIONS, WebError, WebServer, create_app


@contextmanager
def serving(read_facts: Callable[[], Facts]) -> Iterator[str]:
    server = WebServer(create_app(read_facts), "127.0.0.1", 0)
    server.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.stop()


def get(url: str, **headers: str) -> requests.Response:
    return requests.get(url, headers=headers, timeout=10)


def test_health_and_status_over_the_wire() -> None:
    now = [facts(positions=(position(),))]
    with serving(lambda: now[0]) as url:
        health = get(f"{url}/health")
        assert (health.status_code, health.json()["status"]) == (200, "healthy")
        assert health.headers["Cache-Control"] == "no-store"
        assert get(f"{url}/api/status").json()["positions"][0]["symbol"] == "SPY261123C00600000"
        now[0] = facts(db_writable=False)
        health = get(f"{url}/health")
        assert (health.status_code, health.json()["status"]) == (503, "unhealthy")
        assert get(f"{url}/api/status").status_code == 200


def test_the_page_needs_nothing_from_elsewhere_and_escapes_what_it_shows() -> None:
    shown = facts(
        positions=(position(),),
        last_event="<script>alert(1)</script>",
        pause_reasons=(("manual", "by <b>you</b>"),),
        warnings=("limits are raised",),
    )
    client = create_app(lambda: shown).test_client()
    answer = client.get("/status")
    page = answer.get_data(as_text=True)
    assert answer.status_code == 200
    assert "SPY261123C00600000" in page
    assert "DEGRADED" in page
    assert "limits are raised" in page
    assert "<script" not in page
    assert "<b>you" not in page
    assert "http:" not in page.replace("http-equiv", "")
    assert "https:" not in page
    assert "src=" not in page
    assert "prefers-color-scheme: dark" in page
    assert "width=device-width" in page
    assert "No position is open" in create_app(facts).test_client().get("/status").get_data(as_text=True)


@pytest.mark.parametrize(("method", "path", "code"), [("GET", "/x", 404), ("POST", "/health", 405)])
def test_wrong_requests_get_one_json_line(method: str, path: str, code: int) -> None:
    answer = create_app(facts).test_client().open(path, method=method)
    assert answer.status_code == code
    assert answer.is_json
    assert answer.get_data().strip().count(b"\n") == 0


def test_a_defect_shows_no_trace_and_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> Facts:
        raise RuntimeError("a secret detail")

    with caplog.at_level(logging.CRITICAL):
        answer = create_app(broken).test_client().get("/health")
    assert answer.status_code == 500
    assert answer.get_json() == {"error": "Internal Server Error", "status": 500}


@pytest.mark.parametrize(
    ("host", "code"),
    [
        ("127.0.0.1:8080", 200),
        ("localhost:8080", 200),
        ("10.1.2.3:8080", 200),
        ("evil.example:8080", 400),
        ("127.0.0.1.evil.example", 400),
    ],
)
def test_only_our_own_names_are_served(host: str, code: int) -> None:
    answer = create_app(facts, host="10.1.2.3").test_client().get("/health", headers={"Host": host})
    assert answer.status_code == code
    assert answer.is_json


def test_a_taken_port_is_one_clear_line_and_leaves_no_threads() -> None:
    with serving(facts) as url:
        before = threading.active_count()
        port = int(url.rpartition(":")[2])
        with pytest.raises(
            WebError, match=rf"^cannot listen on 127.0.0.1:{port} .*or end what listens there$"
        ):
            WebServer(create_app(facts), "127.0.0.1", port).start()
        assert threading.active_count() == before


def test_an_address_that_is_not_ours_is_one_clear_line() -> None:
    with pytest.raises(WebError, match=r"^cannot listen on ::1:0 .*change WSB_SNAKE_HTTP_HOST"):
        WebServer(create_app(facts), "::1", 0).start()


def test_callers_that_trickle_do_not_shut_the_others_out() -> None:
    """Each holds its connection and never sends a whole request; more of them than there is room for."""
    with serving(facts) as url, ExitStack() as held:
        port = int(url.rpartition(":")[2])
        slow = [
            held.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
            for _ in range(2 * CONNECTIONS)
        ]
        for round_ in range(3):
            for link in slow:
                with suppress(ConnectionError):  # those that gave way
                    link.sendall(b"X: y\r\n" if round_ else b"GET /health HTTP/1.1\r\n")
            assert requests.get(f"{url}/health", timeout=60).status_code == 200
            assert requests.get(f"{url}/api/status", timeout=60).status_code == 200
        slow[-1].sendall(b"Host: localhost\r\n\r\n")
        assert slow[-1].recv(12) == b"HTTP/1.1 200", "the youngest may still ask"


def test_stop_lets_a_running_request_finish(caplog: pytest.LogCaptureFixture) -> None:
    entered, go_on = threading.Event(), threading.Event()

    def slow() -> Facts:
        entered.set()
        go_on.wait(10)
        return facts()

    server = WebServer(create_app(slow), "127.0.0.1", 0)
    server.start()
    answers: list[int] = []
    url = f"http://127.0.0.1:{server.port}/health"
    client = threading.Thread(target=lambda: answers.append(get(url).status_code))
    client.start()
    assert entered.wait(10)
    stopping = threading.Thread(target=server.stop)
    stopping.start()
    stopping.join(0.5)  # longer than the polling thread needs to notice, should it be told too early
    go_on.set()
    stopping.join(10)
    client.join(10)
    assert answers == [200]
    assert not stopping.is_alive()
    with pytest.raises(requests.ConnectionError):
        get(url)
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_stop_without_start_and_twice() -> None:
    server = WebServer(create_app(facts), "127.0.0.1", 0)
    server.stop()
    server.start()
    server.stop()
    server.stop()
