"""The simulated world: lanes are greenlets on a virtual clock.

The hub resumes whatever is due next; ties are broken by each lane's own random stream, so that what
one lane does never shifts the luck of another, and one seed gives one order of events. A call that
hangs blocks its own lane only. Threads of the outside world (servers, stream readers) may call
``notify``; their wake-ups take effect when the hub settles, in the order of the signals' names.
"""

import heapq
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

from greenlet import GreenletExit, getcurrent, greenlet

from wsb_snake.core.clock import VirtualClock
from wsb_snake.core.lanes import Signal

NETWORK_DELAY_S = (0.004, 0.020)


@dataclass(eq=False, slots=True)
class _Lane:
    name: str
    luck: random.Random
    body: greenlet = field(init=False)
    ticket: int = 0  # a timer or wake-up holds only while the lane has not run since


class HubSignal:
    """``Signal`` between lanes of one hub, and into the hub from foreign threads."""

    def __init__(self, hub: "Hub", name: str) -> None:
        self.name = name
        self._hub = hub
        self._waiting: list[tuple[_Lane, int]] = []

    def notify(self) -> None:
        if self._hub.inside():
            self.wake()
        else:
            self._hub.knock(self)

    def wake(self) -> None:
        """Make every waiter due now (hub thread only)."""
        waiting, self._waiting = self._waiting, []
        for lane, ticket in waiting:
            self._hub.due(lane, ticket, 0.0)

    def wait_for(self, ready: Callable[[], bool], timeout: float | None) -> bool:
        hub = self._hub
        deadline = None if timeout is None else hub.clock.monotonic() + timeout
        while not ready():
            left = None if deadline is None else deadline - hub.clock.monotonic()
            if left is not None and left <= 0:
                return False
            lane = hub.running()
            entry = (lane, lane.ticket)
            self._waiting.append(entry)
            if left is not None:
                hub.due(lane, lane.ticket, left)
            hub.switch_out()
            if entry in self._waiting:  # resumed by the timer, not by a notify
                self._waiting.remove(entry)
        return True


class Hub:
    """Runs lanes as greenlets. ``settle`` blocks (in real time) until foreign threads are quiet."""

    def __init__(self, clock: VirtualClock, seed: int, settle: Callable[[], None] | None = None) -> None:
        self.clock = clock
        self._seed = seed
        self._settle = settle
        self._main = getcurrent()
        self._thread = threading.get_ident()
        self._lanes: dict[greenlet, _Lane] = {}
        self._heap: list[tuple[float, float, int, _Lane, int]] = []
        self._pushed = 0
        self._locks: list[tuple[str, threading.Lock]] = []
        self._knocks: set[HubSignal] = set()
        self._knock_lock = threading.Lock()
        self._closing = False

    def spawn(self, name: str, run: Callable[[], None]) -> None:
        lane = _Lane(name, random.Random(f"{self._seed}:{name}"))
        lane.body = greenlet(self._body(run), parent=self._main)
        self._lanes[lane.body] = lane
        self.due(lane, lane.ticket, 0.0)

    def _body(self, run: Callable[[], None]) -> Callable[[], None]:
        def body() -> None:
            try:
                run()
            finally:
                self._lanes.pop(getcurrent(), None)

        return body

    def sleep(self, seconds: float) -> None:
        lane = self.running()
        self.due(lane, lane.ticket, max(0.0, seconds))
        self.switch_out()

    def signal(self, name: str) -> Signal:
        return HubSignal(self, name)

    def lock(self, name: str) -> threading.Lock:
        lock = threading.Lock()
        self._locks.append((name, lock))
        return lock

    def current(self) -> str:
        lane = self._lanes.get(getcurrent())
        return lane.name if lane is not None else "hub"

    def network(self) -> AbstractContextManager[None]:
        return self._delay()

    @contextmanager
    def _delay(self) -> Iterator[None]:
        luck = self.running().luck
        self.sleep(luck.uniform(*NETWORK_DELAY_S))
        try:
            yield
        finally:
            if not self._closing:
                self.sleep(luck.uniform(*NETWORK_DELAY_S))

    def run(self, until: Callable[[], bool]) -> None:
        """Resume lanes in order of time until ``until()`` or until nothing is due any more."""
        while not until():
            self._let_in()
            if not self._heap:
                return
            due, _, _, lane, ticket = heapq.heappop(self._heap)
            if ticket != lane.ticket or lane.body.dead:
                continue
            self.clock.advance_to(due)
            lane.ticket += 1
            lane.body.switch()

    def close(self) -> None:
        """End every lane where it stands."""
        self._closing = True
        for body in list(self._lanes):
            if body:
                body.throw(GreenletExit)
        self._lanes.clear()

    # what HubSignal needs

    def inside(self) -> bool:
        return threading.get_ident() == self._thread

    def running(self) -> _Lane:
        return self._lanes[getcurrent()]

    def due(self, lane: _Lane, ticket: int, delay: float) -> None:
        self._pushed += 1
        entry = (self.clock.monotonic() + delay, lane.luck.random(), self._pushed, lane, ticket)
        heapq.heappush(self._heap, entry)

    def switch_out(self) -> None:
        if self._closing:  # a lane that is being ended waits for nothing any more
            raise GreenletExit
        for name, lock in self._locks:
            if lock.locked():
                raise AssertionError(f"lane {self.current()} waits while the lock {name} is held")
        self._main.switch()

    def knock(self, signal: HubSignal) -> None:
        with self._knock_lock:
            self._knocks.add(signal)

    def _let_in(self) -> None:
        if self._settle is not None:
            self._settle()
        if not self._knocks:  # one that comes this moment is let in at the next turn
            return
        with self._knock_lock:
            knocks, self._knocks = self._knocks, set()
        for signal in sorted(knocks, key=lambda s: s.name):
            signal.wake()
