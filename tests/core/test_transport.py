"""The transport under the vendors' clients, against loopback servers that misbehave."""

import itertools
import json
import logging
import socket
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from types import FunctionType, SimpleNamespace
from typing import Any

import pytest
import requests

from tests.loopback import (
    Answer,
    Loopback,
    Seen,
    closed_port,
    cut_short,
    hang,
    hang_up,
    raw,
    reply,
    reset,
    trickle_body,
    trickle_header,
)
from wsb_snake.core.clock import SystemClock, VirtualClock
from wsb_snake.core.hub import Hub
from wsb_snake.core.lanes import ThreadLanes
from wsb_snake.core.transport import (
    BIG_BODY_BYTES,
    Budget,
    Clients,
    Policy,
    Transport,
    WireReply,
    WireRequest,
    never_left,
)

PATIENT, QUICK = Policy(), Policy(connect_s=0.3, read_s=0.2, total_s=0.4)


def session(policy: Policy = PATIENT) -> requests.Session:
    made = requests.Session()
    Transport(ThreadLanes(SystemClock()), policy).session_for(made)
    return made


def test_an_ordinary_answer_passes_and_the_connection_is_used_again() -> None:
    with Loopback([reply({"a": 1})]) as server, session() as client:
        for _ in range(3):
            assert client.get(server.url + "/x", params={"q": "1"}).json() == {"a": 1}
        assert {request.connection for request in server.seen} == {1}
        assert server.seen[0].target == "/x?q=1"


@pytest.mark.parametrize("misbehave", [hang, trickle_header(0.05), trickle_body(0.05)])
def test_a_server_that_keeps_us_waiting_is_given_up_within_the_budget(misbehave: Answer) -> None:
    with Loopback([misbehave]) as server, session(QUICK) as client:
        begun = time.monotonic()
        with pytest.raises((requests.ReadTimeout, requests.ConnectionError)):
            client.get(server.url)
        assert time.monotonic() - begun < 5
        assert len(server.seen) == 1


@pytest.mark.parametrize("misbehave", [reset, hang_up, cut_short])
def test_a_broken_connection_is_an_error_and_the_request_is_sent_once(misbehave: Answer) -> None:
    with Loopback([misbehave, reply({})]) as server, session() as client:
        with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)) as caught:
            client.post(server.url, json={})
        assert not never_left(caught.value)
        assert len(server.seen) == 1


@pytest.mark.parametrize("status", [429, 500, 503, 504])
def test_no_status_is_retried(status: int) -> None:
    with Loopback([reply({}, status), reply({})]) as server, session() as client:
        assert client.get(server.url).status_code == status
        assert len(server.seen) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 422, 500])
def test_a_refusal_that_repeats_the_keys_is_read_without_them(status: int) -> None:
    def repeat(seen: Seen, connection: socket.socket, closing: threading.Event) -> None:
        reply({"message": f"you sent {seen.headers}"}, status)(seen, connection, closing)

    with Loopback([repeat]) as server, session() as client:
        client.headers.update({"APCA-API-KEY-ID": "PK-0123456789", "APCA-API-SECRET-KEY": "s/e+cret-0123456"})
        told = client.get(server.url, headers={"Authorization": "Bearer tok-0123456"})
    assert "you sent" in told.json()["message"]
    assert not any(key in told.text for key in ("PK-0123", "cret-01", "tok-0123"))
    assert "Bearer" in told.text


def test_the_callers_own_timeout_does_not_lift_the_policy() -> None:
    with Loopback([hang]) as server, session(QUICK) as client, pytest.raises(requests.ReadTimeout):
        client.get(server.url, timeout=600)


def test_a_refused_connection_never_left() -> None:
    with session() as client, pytest.raises(requests.ConnectionError) as caught:
        client.post(f"http://127.0.0.1:{closed_port()}", json={})
    assert never_left(caught.value)


def test_neither_proxy_nor_netrc_of_the_environment_diverts_a_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{closed_port()}")
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{closed_port()}")
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("no_proxy", "")
    with Loopback([reply({})]) as server, session() as client:
        assert client.get(server.url).status_code == 200


def test_big_bodies_are_decoded_under_the_lock_and_small_ones_are_not() -> None:
    big = {"x": "y" * BIG_BODY_BYTES}
    lanes = ThreadLanes(SystemClock())
    lock = threading.Lock()
    lanes.lock = lambda name: lock  # type: ignore[method-assign]
    with requests.Session() as client, Loopback([reply(big), reply({"x": 1})]) as server:
        Transport(lanes, Policy()).session_for(client)
        large, small = client.get(server.url), client.get(server.url)
        decoded: list[object] = []
        with lock:
            assert small.json() == {"x": 1}
            other = threading.Thread(target=lambda: decoded.append(large.json()))
            other.start()
            other.join(0.1)
            assert not decoded
        other.join(5)
        assert decoded == [big]


def test_a_big_decode_calls_python_for_each_object_so_that_others_get_their_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hooks: list[object] = []

    def loads(text: str, **options: Any) -> object:
        hooks.append(options.get("object_hook"))
        return json.loads(text, **options)

    big, small = [{"n": n} for n in range(BIG_BODY_BYTES // 8)], {"a": 1}
    with Loopback([reply(big), reply(small)]) as server, session() as client:
        large, little = client.get(server.url + "/1"), client.get(server.url + "/2")
        monkeypatch.setattr("requests.models.complexjson", SimpleNamespace(loads=loads))
        assert (large.json(), little.json()) == (big, small)
    assert isinstance(hooks[0], FunctionType) and hooks[1] is None


def test_an_answer_without_a_charset_is_utf_8_without_guessing() -> None:
    with Loopback([raw("à".encode(), kind="x/y")]) as server, session() as client:
        assert client.get(server.url).text == "à"


def in_process(
    handler: Callable[[WireRequest], WireReply], call: Callable[[requests.Session], object]
) -> tuple[object, float]:
    """What ``call`` returns or raises on a hub, and the virtual seconds it took."""
    hub = Hub(VirtualClock(datetime(2026, 11, 24, 15, 0, tzinfo=UTC)), seed=1)
    transport = Transport(hub, Policy(), handler)
    outcome: list[object] = []

    def lane() -> None:
        with requests.Session() as client:
            transport.session_for(client)
            try:
                outcome.append(call(client))
            except requests.RequestException as error:
                outcome.append(error)

    hub.spawn("lane", lane)
    hub.run(lambda: bool(outcome))
    hub.close()
    return outcome[0], hub.clock.monotonic()


def test_a_handler_answers_without_a_socket_and_the_call_takes_virtual_time() -> None:
    seen: list[WireRequest] = []

    def handler(request: WireRequest) -> WireReply:
        seen.append(request)
        return WireReply(201, (("X-Limit", "7"),), json.dumps({"ok": True}).encode())

    answer, took = in_process(
        handler, lambda client: client.post("http://exchange.invalid/v2/x", json={"a": 1})
    )
    assert isinstance(answer, requests.Response)
    assert (answer.status_code, answer.headers["x-limit"], answer.json()) == (201, "7", {"ok": True})
    assert (seen[0].method, seen[0].url, seen[0].body) == (
        "POST",
        "http://exchange.invalid/v2/x",
        b'{"a": 1}',
    )
    assert seen[0].headers["Content-Type"] == "application/json"
    assert 0.008 <= took <= 0.040


@pytest.mark.parametrize(
    ("fault", "kind", "left"),
    [
        (ConnectionRefusedError("no"), requests.ConnectionError, False),
        (ConnectionResetError("cut"), requests.ConnectionError, True),
        (TimeoutError("hang"), requests.ReadTimeout, True),
    ],
)
def test_a_handler_can_fail_as_a_network_does(
    fault: OSError, kind: type[requests.RequestException], left: bool
) -> None:
    def handler(request: WireRequest) -> WireReply:
        raise fault

    answer, took = in_process(handler, lambda client: client.get("http://exchange.invalid/"))
    assert type(answer) is kind
    assert never_left(answer) is not left
    assert (took > Policy().read_s) is (kind is requests.ReadTimeout)


def test_polygons_pool_speaks_like_urllib3() -> None:
    with Loopback([reply({"results": []}), raw(b"no", 403)]) as server:
        pool = Transport(ThreadLanes(SystemClock()), PATIENT).polygon_pool()
        answer = pool.request(
            "GET", server.url + "/v3/x", fields={"strike_price.gte": 1.5}, headers={"A": "b"}
        )
        assert (answer.status, answer.data, answer.json()) == (200, b'{"results": []}', {"results": []})
        assert server.seen[0].query == {"strike_price.gte": "1.5"}
        assert server.seen[0].headers["a"] == "b"
        assert pool.request("GET", server.url).status == pool.status == 403


def test_a_client_is_lent_to_one_at_a_time_and_never_again_after_a_network_error() -> None:
    numbers = itertools.count(1)
    clients = Clients(lambda: next(numbers))
    with clients.lend() as one, clients.lend() as two:
        assert (one, two) == (1, 2)
    with pytest.raises(ValueError, match="not to blame"), clients.lend() as sound:
        raise ValueError("the client is not to blame")
    with pytest.raises(requests.ReadTimeout), clients.lend() as broken:
        raise requests.ReadTimeout
    assert broken == sound
    with clients.lend() as other, clients.lend() as fresh:
        assert {other, fresh} == {1, 2, 3} - {broken}


def test_a_budget_keeps_its_reserve_for_what_is_urgent_and_recovers_with_time() -> None:
    budget = Budget(per_minute=5, reserved=2)
    assert [budget.take(0.0, urgent=False) for _ in range(4)] == [True, True, True, False]
    assert all(budget.take(1.0, urgent=True) for _ in range(4))
    assert not budget.take(59.9, urgent=False)
    assert not budget.take(60.0, urgent=False)  # the four urgent ones still count
    assert budget.take(61.0, urgent=False)
    with pytest.raises(ValueError, match="reserved"):
        Budget(5, 5)


def test_vendors_stay_silent_below_warning_whatever_the_root_says() -> None:
    Transport(ThreadLanes(SystemClock()), Policy())
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.DEBUG)
    try:
        for name in ("urllib3.connectionpool", "websockets.client", "httpx", "alpaca.trading.stream"):
            assert not logging.getLogger(name).isEnabledFor(logging.INFO)
    finally:
        root.setLevel(before)
