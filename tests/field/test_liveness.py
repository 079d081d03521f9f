"""Frozen without a word: mute sockets, calls that never return, a chat that swallows everything."""

import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection

from tests.loopback import Loopback, hang, reply
from tests.loopback_ws import LoopbackSocket, eventually
from tests.notifications.bot_api import CHAT, HANG, TOKEN, BotApi
from tests.sim.bench import SPY_CALL, SPY_PUT
from tests.trading.test_alpaca_broker import QUICK, SELL, broker_at
from tests.trading.test_alpaca_trade_stream import Recorder, authorise
from tests.trading.world import IDLE_LANES, SCALP, Trouble, World, world
from wsb_snake.core.orders import ExitReason, PositionState
from wsb_snake.core.types import Quote
from wsb_snake.core.vendor_stream import SOCKET
from wsb_snake.notifications.chat import ChatError, ChatUnavailable, ChatUncertain
from wsb_snake.notifications.outbox import Outbox
from wsb_snake.notifications.telegram_bot import TelegramChat
from wsb_snake.trading.alpaca_executor import alpaca_executor
from wsb_snake.trading.broker import Broker, BrokerError, Unavailable, Unknown
from wsb_snake.watchdog import Watchdog

HOUR = 3600.0


# 3: the trade stream is down


def test_03_without_the_trade_stream_nothing_is_opened_and_everything_is_closed(tmp_path: Path) -> None:
    """Orders went out while the stream was down, and their fills were never seen."""
    with world(tmp_path) as w:
        position = w.open()
        w.daemon.take_stream_state(False)
        w.lose_updates = True
        w.run(0.1)
        assert w.enter(SPY_PUT, "two") is None
        assert w.refusals() == ["the trade stream is down"]
        w.price("0.60", "0.64")
        w.until(lambda: w.held() == 0, 10)
        assert w.until(lambda: w.position(position.position_id).state is PositionState.CLOSED, 30) <= 15
        w.run(40)
        assert "stream" in w.paused()
        w.lose_updates = False
        before = len(w.broker.calls)
        w.daemon.take_stream_state(True)
        w.until(lambda: "stream" not in w.paused(), 10)
        w.run(1)
        asked = {name for name, _, _ in w.broker.calls[before:]}
        assert {"positions", "open_orders"} <= asked  # what the gap hid is read first
        w.price("1.00", "1.05")
        w.run(5)
        assert w.enter(SPY_PUT, "three") is not None


def test_03b_one_connection_at_a_time_for_each_key() -> None:
    """The broker takes one stream for each key; a second one is refused."""
    open_now: list[ServerConnection] = []
    most: list[int] = []

    async def script(connection: ServerConnection) -> None:
        open_now.append(connection)
        most.append(len(open_now))
        try:
            await authorise(connection)
            if server.connections > 2:
                await connection.wait_closed()
        finally:
            open_now.remove(connection)

    recorder = Recorder()
    with LoopbackSocket(script) as server:
        stream = recorder.stream(server.url)
        stream.start()
        stream.start()
        assert eventually(lambda: server.connections == 3 and stream.connected(), 30)
        assert stream.stop()
    assert set(most) == {1}


# 6: connected and mute


def test_06_a_socket_that_closes_at_once_is_not_stormed() -> None:
    """Reconnects every few milliseconds ended in refusals for the whole account."""

    async def script(connection: ServerConnection) -> None:
        await connection.close()

    with LoopbackSocket(script) as server:
        stream = Recorder().stream(server.url)
        stream.start()
        assert eventually(lambda: server.connections >= 2, 20)
        assert eventually(lambda: server.connections >= 8, 2) is False
        assert stream.stop()


def test_06b_a_dead_peer_is_noticed_within_seconds() -> None:
    """The vendor's own settings find out after three minutes."""
    assert SOCKET["ping_interval"] + SOCKET["ping_timeout"] <= 20


def test_06c_a_handshake_that_hangs_is_given_up_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connected, and no word came."""
    monkeypatch.setattr("wsb_snake.core.vendor_stream.START_S", 0.2)

    async def script(connection: ServerConnection) -> None:
        await connection.wait_closed()

    with LoopbackSocket(script) as server:
        stream = Recorder().stream(server.url)
        stream.start()
        assert eventually(lambda: server.connections >= 2, 20)
        assert not stream.connected()
        assert stream.reason
        assert stream.stop()


def test_06d_a_quote_stream_that_is_up_and_mute_does_not_disarm_the_stop(tmp_path: Path) -> None:
    """Open for hours without a quote: stop and target slept."""
    with world(tmp_path) as w:
        w.open()
        w.run(5)
        assert w.desk.quote_stream_up
        w.exchange.subscribe_quotes(frozenset())  # and the stream still counts as up
        w.run(30)
        w.price("0.80", "0.84")
        assert w.until(lambda: w.held() == 0, 120) <= 45
        w.until(w.outcomes, 10)
        assert w.outcomes()[0]["exit_reason"] == "stop"


def test_06e_a_trade_stream_that_is_up_and_mute_is_noticed(tmp_path: Path) -> None:
    """Fills that only polling finds prove that the stream says nothing any more."""
    with world(tmp_path) as w:
        w.open()
        w.run(20)
        w.lose_updates = True
        w.price("0.80", "0.84")
        w.until(w.outcomes, 60)
        w.until(lambda: "stream" in w.paused(), 60)
        assert w.enter(SPY_PUT, "two") is None
        assert any("stream" in text for text in w.alerts())


# 27: the chat


class BlackHole:
    """A chat whose network swallows everything until it is ``open``."""

    def __init__(self, w: World) -> None:
        self._w = w
        self.open = False
        self.texts: list[str] = []

    def send(self, text: str, silent: bool) -> None:
        if not self.open:
            self._w.hub.sleep(15)
            raise ChatUncertain("no answer")
        self.texts.append(text)


def numbers(texts: list[str]) -> list[int]:
    return [int(text.rpartition("#")[2]) for text in texts]


def test_27_half_an_hour_without_the_chat_delays_no_exit_and_loses_no_message(tmp_path: Path) -> None:
    """A chat that could not be reached stopped the whole loop."""
    with world(tmp_path) as w:
        chat = BlackHole(w)
        w.daemon.outbox = Outbox(w.database, chat, w.clock)
        position = w.open()
        w.run(600)
        w.price("0.80", "0.84")
        crossed = w.clock.now()
        w.until(w.outcomes, 60)
        assert w.exits[0].created_at - crossed <= timedelta(seconds=2.5)
        w.run(1200)
        assert chat.texts == []
        chat.open = True
        w.until(lambda: not w.daemon.outbox.pending(), 600)
        told = numbers(chat.texts)
        assert told == sorted(told)
        assert len(set(told)) == len(told)
        meant = w.rows("SELECT number FROM alerts WHERE state != 'unsent' ORDER BY number")
        assert told == [row["number"] for row in meant]
        assert all("late by" in text for text in chat.texts)
        closed = [text for text in chat.texts if position.symbol in text and "stop" in text]
        assert closed


def test_27b_a_message_that_hangs_ends_within_its_budget() -> None:
    """No time-out, no loop."""
    api = BotApi()
    chat = TelegramChat(TOKEN, CHAT, api.url, connect_timeout_s=0.5, read_timeout_s=0.5)
    chat.start()
    try:
        api.plan.append(HANG)
        with pytest.raises(ChatUncertain):
            chat.send("one", silent=False)
        chat.send("two", silent=False)
        assert api.texts == ["two"]
    finally:
        chat.stop()
        api.close()


def test_27c_another_program_on_the_same_bot_does_no_harm() -> None:
    """Two instances that asked for updates ended each other."""
    conflict = {"ok": False, "error_code": 409, "description": "Conflict: terminated by other getUpdates"}
    taken = {"ok": True, "result": {"message_id": 1, "date": 1, "chat": {"id": 1, "type": "private"}}}
    with Loopback([reply(conflict, 409), reply(taken)]) as server:
        chat = TelegramChat(TOKEN, CHAT, server.url, connect_timeout_s=5, read_timeout_s=5)
        chat.start()
        try:
            with pytest.raises(ChatError) as caught:
                chat.send("one", silent=False)
            assert isinstance(caught.value, ChatUnavailable)  # surely not taken, and tried again
            chat.send("one", silent=False)
        finally:
            chat.stop()
        assert {request.path.rpartition("/")[2] for request in server.seen} == {"sendMessage"}


# 28: calls that never return

CALLS: dict[str, Callable[[Broker], object]] = {
    "account": lambda broker: broker.account(),
    "clock": lambda broker: broker.clock(),
    "calendar": lambda broker: broker.calendar(date(2026, 11, 24), date(2026, 11, 25)),
    "positions": lambda broker: broker.positions(),
    "open_orders": lambda broker: broker.open_orders(),
    "orders_since": lambda broker: broker.orders_since(datetime(2026, 11, 24, tzinfo=UTC)),
    "order_by_client_id": lambda broker: broker.order_by_client_id("x"),
    "submit": lambda broker: broker.submit(SELL),
    "cancel": lambda broker: broker.cancel("x"),
    "activities": lambda broker: broker.activities(datetime(2026, 11, 24, tzinfo=UTC)),
    "contracts_expiring": lambda broker: broker.contracts_expiring(("SPY",), date(2026, 11, 24)),
    "do_not_exercise": lambda broker: broker.do_not_exercise(SPY_CALL),
}


def test_28_every_call_of_the_broker_has_a_budget() -> None:
    """The vendor's client waits for ever when nobody answers."""
    public = {name for name, kind in vars(Broker).items() if callable(kind) and not name.startswith("_")}
    assert set(CALLS) == public
    with Loopback([hang]) as server:
        broker = broker_at(server.url, QUICK)
        for name, call in CALLS.items():
            with pytest.raises(BrokerError) as caught:
                call(broker)
            writes = name in {"submit", "cancel", "do_not_exercise"}
            assert type(caught.value) is (Unknown if writes else Unavailable), name
        assert len(server.seen) == len(CALLS)


@pytest.mark.parametrize("name", ["account", "positions", "open_orders", "quotes", "activities"])
def test_28b_a_reader_that_hangs_for_an_hour_keeps_no_position_open(tmp_path: Path, name: str) -> None:
    """The loop stood still without an error, and the position with it."""
    with world(tmp_path) as w:
        w.open(plan=replace(SCALP, max_hold_s=600))
        if name == "quotes":
            _hang_quotes(w)
        else:
            w.broker.once[name] = [Trouble(Unavailable("timed out"), seconds=HOUR)] * 50
        if name == "activities":  # something to explain
            w.exchange.hold(SPY_PUT, 1, Decimal("1.05"))
            w.until(lambda: len(w.watched) == 2, 30)
            w.by_hand(SPY_PUT, "sell", 1)
        w.until(lambda: w.held() == 0, 700)
        assert w.exits[0].created_at - w.own("buy")[0].submitted_at < timedelta(minutes=10, seconds=5)
        assert w.exits[0].reason == "time"


def _hang_quotes(w: World) -> None:
    """The quote stream falls silent and the polls that replace it never return."""
    w.exchange.subscribe_quotes(frozenset())

    def hanging(symbols: tuple[str, ...]) -> dict[str, Quote]:
        w.hub.sleep(HOUR)
        return {}

    w.source.option_quotes = hanging  # type: ignore[method-assign]


@pytest.mark.parametrize("name", ["submit", "cancel", "order_by_client_id"])
def test_28c_a_sender_that_hangs_delays_its_own_position_only(tmp_path: Path, name: str) -> None:
    """One call without an answer, and every other position is closed on time."""
    with world(tmp_path) as w:
        first = w.open(SPY_CALL, "one")
        second = w.open(SPY_PUT, "two")
        w.feed.shown[SPY_CALL] = ("1.00", "1.05")
        w.price("0.90", "0.95")  # the first needs more than one order
        w.broker.once[name] = [Trouble(Unknown("timed out"), seconds=30)]
        if name == "order_by_client_id":
            w.broker.once["submit"] = [Trouble(Unknown("reset"))]
        alpaca_executor.execute_exit(first.position_id, ExitReason.STOP)
        w.run(6)
        alpaca_executor.execute_exit(second.position_id, ExitReason.STOP)
        w.until(lambda: w.held(SPY_PUT) == 0, 10)
        w.until(lambda: w.held(SPY_CALL) == 0, 120)


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[str]]]:
    """What the service manager was told since it was last asked."""
    place = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(place))
        listener.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(place))

        def told() -> list[str]:
            found = []
            while True:
                try:
                    found.append(listener.recv(200).decode())
                except BlockingIOError:
                    return found

        yield told


def test_28d_the_service_manager_hears_of_a_stuck_monitor_and_not_of_a_silent_broker(
    tmp_path: Path, systemd: Callable[[], list[str]]
) -> None:
    """Frozen without an error: only something outside could have noticed."""
    with world(tmp_path) as w:
        specs = [spec for spec in w.daemon.lanes() if spec.name not in IDLE_LANES]
        dog = Watchdog(w.daemon, specs, lambda: True)
        w.run(10)
        dog.step()
        assert systemd() == ["READY=1", "WATCHDOG=1"]
        for name in ("account", "positions", "open_orders"):
            w.broker.always[name] = Unavailable("no route")
        w.run(600)
        dog.step()
        assert systemd() == ["WATCHDOG=1"]
        w.clock.advance_to(w.clock.monotonic() + 31)  # and no lane has run since
        dog.step()
        assert systemd() == []
        w.run(10)
        dog.step()
        assert systemd() == ["WATCHDOG=1"]
