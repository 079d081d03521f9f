"""Lanes: the only way this program starts concurrent work, sleeps and waits.

The same synchronous code runs on ``ThreadLanes`` (production: a thread a lane) and on
``core.hub.Hub`` (simulation: a greenlet a lane on a virtual clock, one seed, one order of events).
``Flag``, ``Promise`` and ``Mailbox`` are built on one primitive, ``Signal``, which each world supplies.
"""

import threading
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Generic, Protocol, TypeVar

from wsb_snake.core.clock import Clock

T = TypeVar("T")


class Signal(Protocol):
    """Wake-up primitive: whoever waits looks at its condition again after ``notify``."""

    def notify(self) -> None:
        """Wake every waiter. May be called from any thread."""
        ...

    def wait_for(self, ready: Callable[[], bool], timeout: float | None) -> bool:
        """Block this lane until ``ready()``, at most ``timeout`` seconds; what ``ready()`` says then."""
        ...


class Lanes(Protocol):
    """A world in which lanes run."""

    @property
    def clock(self) -> Clock: ...

    def spawn(self, name: str, run: Callable[[], None]) -> None:
        """Start ``run`` in a lane of its own. An exception that leaves ``run`` is a defect."""
        ...

    def sleep(self, seconds: float) -> None:
        """Block this lane only."""
        ...

    def signal(self, name: str) -> Signal: ...

    def lock(self, name: str) -> threading.Lock:
        """A plain lock that must never be held across a wait (the hub asserts it)."""
        ...

    def current(self) -> str:
        """Name of the lane that is running; keys whatever must not be shared between lanes."""
        ...

    def network(self) -> AbstractContextManager[None]:
        """Stands around every network call; in simulation the call takes (virtual) time here."""
        ...


class Flag:
    """A boolean that lanes can wait for."""

    def __init__(self, lanes: Lanes, name: str) -> None:
        self._signal = lanes.signal(name)
        self._on = False

    def set(self) -> None:
        self._on = True
        self._signal.notify()

    def clear(self) -> None:
        self._on = False

    def is_set(self) -> bool:
        return self._on

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until set, at most ``timeout`` seconds; whether it is set."""
        return self._signal.wait_for(self.is_set, timeout)


class Promise(Generic[T]):
    """A value that another lane will deliver once, or an error in its place."""

    def __init__(self, lanes: Lanes, name: str) -> None:
        self._signal = lanes.signal(name)
        self._outcome: tuple[T] | BaseException | None = None

    def resolve(self, value: T) -> None:
        self._settle((value,))

    def fail(self, error: BaseException) -> None:
        self._settle(error)

    def _settle(self, outcome: tuple[T] | BaseException) -> None:
        if self._outcome is not None:
            raise RuntimeError("a promise is settled once")
        self._outcome = outcome
        self._signal.notify()

    def done(self) -> bool:
        return self._outcome is not None

    def succeeded(self) -> bool:
        """Whether a value was delivered."""
        return isinstance(self._outcome, tuple)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until settled, at most ``timeout`` seconds; whether it is."""
        return self._signal.wait_for(self.done, timeout)

    def result(self, timeout: float | None = None) -> T:
        """The value. Raises the delivered error, or TimeoutError after ``timeout`` seconds."""
        self.wait(timeout)
        if self._outcome is None:
            raise TimeoutError(f"no answer within {timeout} s")
        if isinstance(self._outcome, BaseException):
            raise self._outcome
        return self._outcome[0]


class Mailbox(Generic[T]):
    """A first-in, first-out hand-over between lanes; ``put`` is safe from any thread."""

    def __init__(self, lanes: Lanes, name: str) -> None:
        self._signal = lanes.signal(name)
        self._items: deque[T] = deque()

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: T) -> None:
        self._items.append(item)
        self._signal.notify()

    def get(self, timeout: float | None = None) -> T | None:
        """The oldest item, or None when none came within ``timeout`` seconds."""
        while self._signal.wait_for(lambda: bool(self._items), timeout):
            try:
                return self._items.popleft()
            except IndexError:  # another lane of the same pool took it first
                continue
        return None

    def drain(self) -> list[T]:
        """Everything that waits, oldest first, without blocking."""
        taken: list[T] = []
        while self._items:
            taken.append(self._items.popleft())
        return taken


class ThreadSignal:
    """``Signal`` between threads."""

    def __init__(self) -> None:
        self._condition = threading.Condition()

    def notify(self) -> None:
        with self._condition:
            self._condition.notify_all()

    def wait_for(self, ready: Callable[[], bool], timeout: float | None) -> bool:
        with self._condition:
            return self._condition.wait_for(ready, timeout)


class ThreadLanes:
    """Production: one daemon thread a lane."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._never = threading.Event()

    def spawn(self, name: str, run: Callable[[], None]) -> None:
        threading.Thread(target=run, name=name, daemon=True).start()

    def sleep(self, seconds: float) -> None:
        self._never.wait(max(0.0, seconds))

    def signal(self, name: str) -> Signal:
        return ThreadSignal()

    def lock(self, name: str) -> threading.Lock:
        return threading.Lock()

    def current(self) -> str:
        return threading.current_thread().name

    def network(self) -> AbstractContextManager[None]:
        return nullcontext()
