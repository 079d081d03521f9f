"""``flatten`` from the command line: the daemon does it, and this waits for the broker's proof.

With ``direct`` a dead daemon is replaced: it is halted and ended first, and then ``direct_flatten`` sells
at the broker. Two processes that sell the same contracts would be worse than none.
"""

import json
import logging
import random
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from wsb_snake.collectors.market_data import DataError
from wsb_snake.config import Settings
from wsb_snake.core import halt_file
from wsb_snake.core.clock import SystemClock, eastern_date
from wsb_snake.core.lanes import Lanes, ThreadLanes
from wsb_snake.core.lock_holder import HolderUnknown, end_holder, holder
from wsb_snake.core.process_lock import AlreadyRunning, LockUnavailable, ProcessLock
from wsb_snake.core.types import Quote
from wsb_snake.daemon_start import (
    REFUSED,
    RUNNING,
    StartRefused,
    account_lock,
    clock_for,
    directory_lock,
    own_account,
)
from wsb_snake.direct_flatten import DirectFlatten
from wsb_snake.owner.control import DaemonUnreachable, send_command
from wsb_snake.trading.broker import Broker, BrokerError
from wsb_snake.trading.eod_guard import Reading
from wsb_snake.trading.flat_proof import FlatProof, in_scope
from wsb_snake.trading.order_ids import OrderIds
from wsb_snake.vendors import connect_broker, connect_market

EXIT_FLAT, EXIT_NOT_FLAT = 0, 1
DEAD_AFTER_S = 5.0
"""A control socket that is silent for so long belongs to a dead daemon."""

UNWATCHED = (
    "what the account holds is watched by nobody until the daemon runs: the service is started by systemd "
    "within seconds, anything else by you (main.py run)"
)

ASK_AGAIN_S = 0.5
POLL_S = 2.0
ACCOUNT_TRIES = 20

log = logging.getLogger(__name__)


class FlattenFailed(Exception):
    """It ends before the proof; ``code`` is the exit code, the text one line."""

    def __init__(self, text: str, code: int = EXIT_NOT_FLAT) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True)
class Asked:
    """``scope``: ``0dte`` or ``all``. ``wait_s``: how long to wait for the proof."""

    scope: str
    direct: bool
    wait_s: float


def flatten(settings: Settings, asked: Asked, say: Callable[[str], None]) -> int:
    """The exit code: 0 when everything in scope is proven flat. Raises FlattenFailed and ConfigError."""
    lanes = ThreadLanes(SystemClock())
    try:
        if not asked.direct:
            return _through_daemon(settings, asked, lanes, say, DEAD_AFTER_S)
        return _direct(settings, asked, lanes, say)
    except DaemonUnreachable as error:
        raise FlattenFailed(f"{error}; to close without the daemon: flatten {asked.scope} --direct") from None
    except StartRefused as error:
        raise FlattenFailed(str(error), error.code) from None
    except AlreadyRunning as error:
        raise FlattenFailed(f"{error}, another daemon; nothing was sent", RUNNING) from None


# with the daemon


def _through_daemon(
    settings: Settings, asked: Asked, lanes: Lanes, say: Callable[[str], None], timeout: float
) -> int:
    """Hand over, then watch what the daemon's readings of the broker show. Raises DaemonUnreachable."""
    path = settings.data_dir / "control.sock"
    answer = send_command(path, "flatten", asked.scope, timeout)
    say(answer.text)
    if not answer.ok:
        return EXIT_NOT_FLAT
    ends = lanes.clock.monotonic() + asked.wait_s
    proof: FlatProof | None = None
    told = ""
    while lanes.clock.monotonic() < ends:
        try:
            shown = json.loads(send_command(path, "status", "json").text)
        except DaemonUnreachable as error:
            line = f"{error}; should it stay so: flatten {asked.scope} --direct"
        else:
            now = datetime.fromisoformat(shown["now"])
            proof = proof or FlatProof(now)
            reading = _reading(shown, eastern_date(now) if asked.scope == "0dte" else None)
            proof = proof if reading is None else proof.after(reading)
            if proof.proven:
                say("flat: the broker has shown it twice")
                return EXIT_FLAT
            still = () if reading is None else reading.open_symbols
            line = (
                f"still open at the broker: {', '.join(still)}" if still else "waiting for the broker's proof"
            )
        if line != told:
            say(line)
            told = line
        lanes.sleep(POLL_S)
    say(f"NOT PROVEN FLAT within {asked.wait_s:.0f} s: {told}")
    return EXIT_NOT_FLAT


def _reading(shown: dict[str, Any], day: date | None) -> Reading | None:
    """What the daemon has read at the broker, of one expiry or all; None before it has."""
    if shown["broker_read_at"] is None:
        return None
    still = tuple(symbol for symbol in shown["broker_open"] if in_scope(symbol, day))
    return Reading(datetime.fromisoformat(shown["broker_read_at"]), still)


# without it


def _direct(settings: Settings, asked: Asked, lanes: Lanes, say: Callable[[str], None]) -> int:
    with ExitStack() as stack:
        lock = directory_lock(settings)
        acquired = _acquired(lock, say)
        if not acquired:
            answered = _answer_of_a_living_daemon(settings, asked, lanes, say)
            if answered is not None:
                return answered
        if acquired is False:
            _end_daemon(settings, lock, say)
        stack.callback(lock.release)
        _halt(settings, say)
        broker = connect_broker(settings, lanes)
        world = ThreadLanes(clock_for(settings, broker))
        owner = _account_lock(settings, broker, world, say)
        if owner is not None:
            stack.callback(owner.release)
        code = _sell(settings, asked, broker, world, say)
        if _may_hold(broker):
            say(UNWATCHED)
        return code


def _may_hold(broker: Broker) -> bool:
    """Whether the account holds anything, or may."""
    try:
        return bool(broker.positions())
    except BrokerError:
        return True


def _acquired(lock: ProcessLock, say: Callable[[str], None]) -> bool | None:
    """Whether no daemon lives; then none can start while this runs. None: the disk gives no lock."""
    try:
        lock.acquire()
    except AlreadyRunning:
        return False
    except LockUnavailable as error:  # the lock on the account keeps two from selling
        say(f"{error}; going on without")
        return None
    return True


def _answer_of_a_living_daemon(
    settings: Settings, asked: Asked, lanes: Lanes, say: Callable[[str], None]
) -> int | None:
    """Hand over to it, or None when its socket gives no answer for 5 s (a starting one gets as long)."""
    ends = lanes.clock.monotonic() + DEAD_AFTER_S
    while (left := ends - lanes.clock.monotonic()) > 0:
        try:
            send_command(settings.data_dir / "control.sock", "status", None, left)
        except DaemonUnreachable:
            lanes.sleep(min(ASK_AGAIN_S, max(0.0, ends - lanes.clock.monotonic())))
        else:
            say("the daemon is alive: it does the closing")
            return _through_daemon(settings, asked, lanes, say, DEAD_AFTER_S)
    say(f"no daemon has answered for {DEAD_AFTER_S:.0f} s")
    return None


def _end_daemon(settings: Settings, lock: ProcessLock, say: Callable[[str], None]) -> None:
    """Halt it and end it, so that two never sell the same. Raises FlattenFailed and AlreadyRunning."""
    path = settings.data_dir / "daemon.lock"
    _halt(settings, say)
    try:
        number = holder(path)
        say(f"ending the daemon, process {number}")
        ended = end_holder(path, number)
    except HolderUnknown as error:
        raise FlattenFailed(f"{error}; nothing was sent") from None
    if not ended:
        raise FlattenFailed(f"process {number} does not end; nothing was sent")
    lock.acquire()


def _halt(settings: Settings, say: Callable[[str], None]) -> None:
    path = settings.data_dir / "halt"
    if path.exists():
        return
    try:
        halt_file.create(path)
    except OSError as error:
        say(f"the file {path} cannot be made ({error.strerror}): the next daemon will open positions again")
    else:
        say("halted: the next daemon opens nothing until resume")


def _account_lock(
    settings: Settings, broker: Broker, lanes: Lanes, say: Callable[[str], None]
) -> ProcessLock | None:
    """Nobody else on this account. Raises StartRefused, AlreadyRunning and FlattenFailed."""
    for _ in range(ACCOUNT_TRIES):
        try:
            account = own_account(broker, settings)
        except BrokerError as error:
            say(f"the broker does not answer, trying again: {error}")
            lanes.sleep(POLL_S)
            continue
        lock = account_lock(settings, account.number)
        try:
            lock.acquire()
        except LockUnavailable as error:
            say(f"{error}; going on without")
            return None
        return lock
    raise FlattenFailed("the broker does not answer; nothing was sent", REFUSED)


def _sell(settings: Settings, asked: Asked, broker: Broker, lanes: Lanes, say: Callable[[str], None]) -> int:
    market = connect_market(settings, lanes)

    def quotes(symbols: tuple[str, ...]) -> dict[str, Quote]:
        try:
            return market.option_quotes(symbols)
        except DataError as error:
            log.warning("no quotes, market orders go without: %s", error)
            return {}

    day: date | None = eastern_date(lanes.clock.now()) if asked.scope == "0dte" else None
    ids = OrderIds(random.SystemRandom())
    left = DirectFlatten(broker, quotes, lanes, ids, day, say).run(asked.wait_s)
    for line in left:
        say(f"NOT PROVEN FLAT: {line}")
    if left:
        return EXIT_NOT_FLAT
    say("flat: the broker has shown it twice")
    return EXIT_FLAT
