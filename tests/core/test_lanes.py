"""The same behaviour in both worlds: threads in real time, and the hub on a virtual clock."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from wsb_snake.core.clock import SystemClock, VirtualClock
from wsb_snake.core.hub import Hub
from wsb_snake.core.lanes import Flag, Lanes, Mailbox, Promise, ThreadLanes

World = Callable[[Callable[[Lanes], None]], None]


def in_threads(script: Callable[[Lanes], None]) -> None:
    """Run ``script`` as a lane of threads; what it raises is raised here."""
    lanes = ThreadLanes(SystemClock())
    outcome: Promise[None] = Promise(lanes, "outcome")

    def run() -> None:
        try:
            script(lanes)
        except BaseException as error:
            outcome.fail(error)
            raise
        outcome.resolve(None)

    lanes.spawn("script", run)
    outcome.result(timeout=20)


def on_the_hub(script: Callable[[Lanes], None]) -> None:
    hub = Hub(VirtualClock(datetime(2026, 11, 24, 15, 0, tzinfo=UTC)), seed=1)
    ended: list[bool] = []

    def run() -> None:
        script(hub)
        ended.append(True)

    hub.spawn("script", run)
    hub.run(until=lambda: bool(ended))
    hub.close()
    assert ended, "the script waits for something that never comes"


@pytest.fixture(params=[in_threads, on_the_hub])
def world(request: pytest.FixtureRequest) -> World:
    run: World = request.param
    return run


def test_a_flag_wakes_who_waits_for_it(world: World) -> None:
    def script(lanes: Lanes) -> None:
        flag = Flag(lanes, "flag")
        assert flag.wait(0) is False
        assert flag.wait(0.01) is False
        lanes.spawn("setter", flag.set)
        assert flag.wait(10) is True
        assert flag.is_set()
        flag.clear()
        assert flag.wait(0.01) is False

    world(script)


def test_a_promise_delivers_its_value(world: World) -> None:
    def script(lanes: Lanes) -> None:
        promise: Promise[int] = Promise(lanes, "promise")
        assert not promise.done()
        with pytest.raises(TimeoutError, match=r"within 0\.01 s"):
            promise.result(0.01)
        lanes.spawn("other", lambda: promise.resolve(7))
        assert promise.result(10) == 7
        assert promise.done()
        with pytest.raises(RuntimeError, match="settled once"):
            promise.resolve(8)

    world(script)


def test_a_promise_delivers_its_error(world: World) -> None:
    def script(lanes: Lanes) -> None:
        promise: Promise[int] = Promise(lanes, "promise")
        lanes.spawn("other", lambda: promise.fail(LookupError("gone")))
        assert promise.wait(10) is True
        with pytest.raises(LookupError, match="gone"):
            promise.result()

    world(script)


def test_none_is_a_value_that_a_promise_can_deliver(world: World) -> None:
    def script(lanes: Lanes) -> None:
        promise: Promise[None] = Promise(lanes, "promise")
        promise.resolve(None)
        assert promise.done()
        promise.result(0)

    world(script)


def test_a_mailbox_keeps_order_and_gives_each_item_once(world: World) -> None:
    def script(lanes: Lanes) -> None:
        box: Mailbox[int] = Mailbox(lanes, "box")
        assert box.get(0.01) is None
        taken: Mailbox[int] = Mailbox(lanes, "taken")

        def work() -> None:
            while (item := box.get(10)) != -1:
                assert item is not None
                taken.put(item)

        for n in range(3):
            lanes.spawn(f"worker {n}", work)
        for n in range(100):
            box.put(n)
        received = [taken.get(10) for _ in range(100)]
        assert sorted(n for n in received if n is not None) == list(range(100))
        for _ in range(3):
            box.put(-1)

    world(script)


def test_drain_takes_what_waits_and_does_not_block(world: World) -> None:
    def script(lanes: Lanes) -> None:
        box: Mailbox[str] = Mailbox(lanes, "box")
        assert box.drain() == []
        box.put("a")
        box.put("b")
        assert len(box) == 2
        assert box.drain() == ["a", "b"]
        assert len(box) == 0

    world(script)


def test_a_lane_knows_its_name(world: World) -> None:
    def script(lanes: Lanes) -> None:
        names: Mailbox[str] = Mailbox(lanes, "names")
        lanes.spawn("monitor", lambda: names.put(lanes.current()))
        assert names.get(10) == "monitor"

    world(script)


def test_sleep_takes_its_time(world: World) -> None:
    def script(lanes: Lanes) -> None:
        before = lanes.clock.monotonic()
        lanes.sleep(0.02)
        lanes.sleep(-1)
        assert lanes.clock.monotonic() - before >= 0.02

    world(script)


def test_a_lock_excludes_and_the_network_may_be_entered(world: World) -> None:
    def script(lanes: Lanes) -> None:
        lock = lanes.lock("book")
        with lock:
            assert not lock.acquire(blocking=False)
        with lanes.network():
            assert not lock.locked()

    world(script)


def test_threads_of_production_end_with_the_process() -> None:
    lanes = ThreadLanes(SystemClock())
    is_daemon: Promise[bool] = Promise(lanes, "daemon")
    lanes.spawn("lane", lambda: is_daemon.resolve(threading.current_thread().daemon))
    assert is_daemon.result(10) is True
