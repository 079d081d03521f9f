"""The one port: who answers which path, faults, life and death."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from http.client import HTTPConnection

import pytest
import requests
from aiohttp import web

from tests.sim.serving import BOT_TOKEN, KEY, POLYGON_KEY, SECRET, World, served, wait_until
from wsb_snake.sim.api import ApiReply
from wsb_snake.sim.faults import Action, Answer, Hang, NoFaults, Reset
from wsb_snake.sim.server import ExchangeServer, ServerError

ALPACA = {"APCA-API-KEY-ID": KEY, "APCA-API-SECRET-KEY": SECRET}
POLYGON = {"Authorization": f"Bearer {POLYGON_KEY}"}


@pytest.fixture
def world() -> Iterator[World]:
    with served() as world:
        yield world


def get(world: World, path: str, headers: dict[str, str]) -> requests.Response:
    return requests.get(world.http + path, headers=headers, timeout=60)


def test_each_path_is_answered_by_its_own_api(world: World) -> None:
    alpaca = (
        "/v2/account",
        "/v2/clock",
        "/v2/orders",
        "/v2/positions",
        "/v2/options/contracts?underlying_symbols=SPY&limit=1",
        "/v2/stocks/quotes/latest?symbols=SPY",
        "/v2/stocks/bars?symbols=SPY&timeframe=1Min",
        "/v1beta1/options/snapshots/SPY?limit=1",
        f"/v1beta1/options/quotes/latest?symbols={world.near_the_money()[0]}",
    )
    polygon = (
        "/v2/aggs/ticker/SPY/prev",
        "/v2/aggs/ticker/I:VIX/range/1/minute/2026-11-24/2026-11-24",
        "/v2/last/nbbo/SPY",
        "/v2/snapshot/locale/us/markets/stocks/tickers/SPY",
        "/v2/reference/news",
        "/v3/snapshot/indices?ticker.any_of=I%3AVIX",
        "/v3/snapshot/options/SPY",
        "/v3/reference/options/contracts?underlying_ticker=SPY",
        "/v1/marketstatus/now",
        "/v1/open-close/SPY/2026-11-23",
    )
    for own, other, paths in ((ALPACA, POLYGON, alpaca), (POLYGON, ALPACA, polygon)):
        for path in paths:
            assert get(world, path, own).status_code == 200, path
            assert get(world, path, other).status_code == 401, path
    assert get(world, f"/bot{BOT_TOKEN}/getMe", {}).json()["ok"] is True
    assert get(world, "/v3/clock", ALPACA).json()["message"] == "endpoint not found."


def test_the_environment_points_here(world: World) -> None:
    environment = world.server.environment()
    assert set(environment) == {
        "ALPACA_TRADING_URL",
        "ALPACA_DATA_URL",
        "ALPACA_STREAM_URL",
        "ALPACA_OPTION_STREAM_URL",
        "POLYGON_BASE_URL",
        "TELEGRAM_BASE_URL",
        "ALPACA_API_KEY",
        "ALPACA_SECRET_KEY",
        "POLYGON_API_KEY",
        "TELEGRAM_BOT_TOKEN",
        "TELEGRAM_CHAT_ID",
    }
    assert environment["ALPACA_STREAM_URL"] == f"{world.ws}/stream"
    assert environment["ALPACA_OPTION_STREAM_URL"] == f"{world.ws}/v1beta1/indicative"
    assert (environment["ALPACA_API_KEY"], environment["ALPACA_SECRET_KEY"]) == (KEY, SECRET)


def test_a_connection_is_kept_alive(world: World) -> None:
    with closing(HTTPConnection("127.0.0.1", world.server.port, timeout=60)) as connection:
        sockets = set()
        for path in ("/v2/clock", "/nothing", "/v2/account"):
            connection.request("GET", path, headers=ALPACA)
            connection.getresponse().read()
            sockets.add(connection.sock)
        assert len(sockets) == 1


def test_a_deleted_order_is_answered_with_an_empty_204(world: World) -> None:
    order = {
        "symbol": world.near_the_money()[0],
        "qty": "1",
        "side": "buy",
        "type": "limit",
        "limit_price": "0.01",
        "time_in_force": "day",
    }
    placed = requests.post(f"{world.http}/v2/orders", json=order, headers=ALPACA, timeout=60)
    url = f"{world.http}/v2/orders/{placed.json()['id']}"
    reply = requests.delete(url, headers=ALPACA, timeout=60)
    assert (reply.status_code, reply.content) == (204, b"")
    assert "X-RateLimit-Remaining" in reply.headers


class OneFault(NoFaults):
    """Spoils every call to ``path``."""

    def __init__(self, path: str, action: Action) -> None:
        self._call, self._action = f"GET {path}", action

    def before(self, call: str, at: datetime) -> Action:
        return self._action if call == self._call else None


def test_an_answer_in_place_of_the_true_one_goes_out_as_it_is() -> None:
    page = ApiReply(502, b"<html>Bad Gateway</html>", "text/html", (("X-Edge", "1"),))
    with served(faults=OneFault("/v2/clock", Answer(page))) as world:
        reply = get(world, "/v2/clock", ALPACA)
        assert (reply.status_code, reply.content) == (502, page.body)
        assert (reply.headers["Content-Type"], reply.headers["X-Edge"]) == ("text/html", "1")


def test_a_reset_call_loses_its_connection_and_no_other() -> None:
    with served(faults=OneFault("/v2/clock", Reset())) as world:
        with pytest.raises(requests.ConnectionError):
            get(world, "/v2/clock", ALPACA)
        assert get(world, "/v2/account", ALPACA).status_code == 200


def test_a_hung_call_hangs_alone_until_the_server_stops() -> None:
    with (
        served(faults=OneFault("/v2/clock", Hang())) as world,
        socket.create_connection(("127.0.0.1", world.server.port)) as hung,
    ):
        hung.sendall(b"GET /v2/clock HTTP/1.1\r\nHost: x\r\n\r\n")
        assert get(world, "/v2/account", ALPACA).status_code == 200
        hung.settimeout(0.05)
        with pytest.raises(TimeoutError):
            hung.recv(1)
        world.server.stop()
        hung.settimeout(60)
        assert hung.recv(1) == b""


def test_every_reply_passes_the_one_seam(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def garble(_: web.BaseRequest, reply: ApiReply) -> web.StreamResponse:
        return web.Response(status=418, body=reply.body[:1])

    monkeypatch.setattr(world.server, "deliver", garble)
    for path in ("/v2/clock", "/v1/marketstatus/now", f"/bot{BOT_TOKEN}/getMe", "/nothing"):
        reply = get(world, path, ALPACA)
        assert (reply.status_code, len(reply.content)) == (418, 1)


def test_a_taken_port_is_one_clear_line(world: World) -> None:
    with served() as other:
        pass
    second = ExchangeServer(
        other.exchange, other.alpaca, other.polygon, other.telegram, port=world.server.port
    )
    with pytest.raises(ServerError, match=rf"^cannot listen on port {world.server.port} of .*taken[^\n]*$"):
        second.start()
    second.stop()
    assert get(world, "/v2/clock", ALPACA).status_code == 200


def test_it_stops_whatever_its_clients_do_and_frees_the_port(world: World) -> None:
    def ask() -> None:
        with pytest.raises(requests.ConnectionError):
            get(world, f"/bot{BOT_TOKEN}/getUpdates?timeout=30", {})

    poll = threading.Thread(target=ask)
    poll.start()
    idle = socket.create_connection(("127.0.0.1", world.server.port))
    wait_until(world.polled)
    world.server.stop()
    poll.join(5)
    assert not poll.is_alive()
    idle.settimeout(5)
    assert idle.recv(1) == b""
    idle.close()
    world.server.stop()
    assert not [t for t in threading.enumerate() if t.name == "exchange-server"]


def test_requests_wait_for_whoever_moves_the_exchange(world: World) -> None:
    """Nobody sees the exchange in the middle of a step."""
    answered = threading.Event()

    def ask() -> None:
        get(world, "/v2/clock", ALPACA)
        answered.set()

    with world.exchange.lock:
        caller = threading.Thread(target=ask)
        caller.start()
        assert not answered.wait(0.2)
    assert answered.wait(10)
    caller.join()


def test_one_http_body_in_many_pieces(world: World) -> None:
    body = json.dumps(
        {"symbol": "SPY", "qty": 1, "side": "buy", "type": "market", "time_in_force": "day"}
    ).encode()
    head = "".join(f"{name}: {value}\r\n" for name, value in ALPACA.items())
    with socket.create_connection(("127.0.0.1", world.server.port), timeout=60) as client:
        client.sendall(f"POST /v2/orders HTTP/1.1\r\nHost: x\r\n{head}".encode())
        client.sendall(f"Content-Length: {len(body)}\r\n\r\n".encode())
        for start in range(0, len(body), 16):
            client.sendall(body[start : start + 16])
        assert client.recv(15) == b"HTTP/1.1 200 OK"
