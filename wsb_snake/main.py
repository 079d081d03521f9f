"""``run``: the composition root of the daemon in production.

Threads are lanes (``ThreadLanes``); the main thread runs the ``schedule`` loop, which only rings bells,
feeds systemd's watchdog and waits for a signal.
"""

import logging
import os
import random
import signal
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from datetime import datetime
from functools import partial
from pathlib import Path
from types import FrameType

import schedule

from wsb_snake.config import ConfigError, Settings
from wsb_snake.core import logs, systemd
from wsb_snake.core.clock import Clock, ShiftedClock, SystemClock
from wsb_snake.core.lane_loop import LaneSpec, run_lane
from wsb_snake.core.lanes import Flag, ThreadLanes
from wsb_snake.core.process_lock import AlreadyRunning, ProcessLock
from wsb_snake.daemon import RETRY_S, Daemon, World
from wsb_snake.daemon_start import StartRefused
from wsb_snake.db.database import Database
from wsb_snake.db.errors import DatabaseClosed, DatabaseTooNew, DatabaseUnavailable
from wsb_snake.owner.commands import Commands
from wsb_snake.owner.control import ControlError, ControlServer
from wsb_snake.owner.web import WebError, WebServer, create_app
from wsb_snake.trading.alpaca_executor import alpaca_executor
from wsb_snake.trading.broker import BrokerError, Fatal
from wsb_snake.vendors import Sinks, Streams, connect_broker, connect_chat, connect_market

EXIT_STOPPED, EXIT_CONFIG, EXIT_RUNNING, EXIT_REFUSED = 0, 2, 3, 4
SWITCH_INTERVAL_S = 0.0005
"""So that a lane that decodes JSON does not hold up an exit (measured: p99 1.6 s without)."""

WATCHDOG_PASS_S = 30.0
LAST_WORDS_S = 4.0
LANE_END_S = 1.5
OUTBOX_LANES = ("journal", "telegram")
CLOCK_TRIES = 20

log = logging.getLogger(__name__)


def run(settings: Settings) -> int:
    """Run the daemon until a signal; the exit code. Errors of configuration give one line on stderr."""
    os.environ["TZ"] = "UTC"
    time.tzset()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    logs.set_up(settings.secrets())
    try:
        with ExitStack() as stack:
            lock = ProcessLock(settings.data_dir / "daemon.lock", f"the data directory {settings.data_dir}")
            lock.acquire()
            stack.callback(lock.release)
            return _Process(settings, stack).run()
    except AlreadyRunning as error:
        return _refuse(EXIT_RUNNING, str(error))
    except (ConfigError, DatabaseTooNew, WebError, ControlError) as error:
        return _refuse(EXIT_CONFIG, str(error))
    except StartRefused as error:
        return _refuse(error.code, str(error))


def _refuse(code: int, text: str) -> int:
    sys.stderr.write(f"wsb-snake: {text}\n")
    return code


class _Process:
    """One daemon process: what is started here is stopped by ``stack``, last first."""

    def __init__(self, settings: Settings, stack: ExitStack) -> None:
        self._settings = settings
        self._stack = stack
        self._lanes = ThreadLanes(_clock(settings))
        self._stopping = Flag(self._lanes, "stopping")
        self._refusal: StartRefused | None = None
        self._database = Database(settings.db_path, self._lanes)
        chat = connect_chat(settings)
        self._chat = chat
        world = World(
            settings,
            self._lanes,
            self._database,
            connect_broker(settings, self._lanes),
            connect_market(settings, self._lanes),
            chat,
            random.SystemRandom(),
            self._report,
        )
        self._daemon = Daemon(world, alpaca_executor)
        self._specs = self._daemon.lanes()
        self._over = {spec.name: Flag(self._lanes, f"{spec.name} over") for spec in self._specs}

    def run(self) -> int:
        for name in ("data_dir", "db_path", "session_learnings_path"):
            log.info("%s %s", name.upper(), getattr(self._settings, name))
        self._open_database()
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        signal.signal(signal.SIGUSR1, self._halt)
        self._serve()
        self._start_lanes()
        self._loop()
        return self._end()

    def _open_database(self) -> None:
        """Open and load; on a disk that takes no writes the daemon runs without entries."""
        try:
            self._database.open()
            self._daemon.load()
        except DatabaseUnavailable as error:
            log.error("%s; running without entries, watching and closing go on", error)

    def _serve(self) -> None:
        """The owner's side first, so that the truth can be asked for from the beginning."""
        settings, daemon = self._settings, self._daemon
        web = WebServer(
            create_app(daemon.facts, settings.wsb_snake_http_host),
            settings.wsb_snake_http_host,
            settings.wsb_snake_http_port,
        )
        web.start()
        self._stack.callback(web.stop)
        control = ControlServer(settings.data_dir / "control.sock", Commands(daemon, daemon.facts))
        control.start()
        self._stack.callback(control.stop)
        log.info("health on http://%s:%d/health", settings.wsb_snake_http_host, web.port)
        if self._chat is not None:
            self._chat.start()
            self._stack.callback(self._chat.stop)

    def _start_lanes(self) -> None:
        daemon, lanes = self._daemon, self._lanes
        streams = Streams(
            self._settings,
            lanes,
            Sinks(daemon.take_update, daemon.take_stream_state, daemon.take_quote, daemon.take_quote_state),
        )
        daemon.quote_feed = streams.quotes
        for spec in self._specs:
            lanes.spawn(spec.name, partial(self._run_lane, spec))
        alpaca_executor.start()
        streams.start()
        self._stack.callback(streams.stop)
        lanes.spawn("start", self._agree)

    def _run_lane(self, spec: LaneSpec) -> None:
        run_lane(self._lanes, spec, self._stopping, self._daemon.heartbeats.beat, self._report)
        self._over[spec.name].set()

    def _agree(self) -> None:
        """Reach the broker and agree with it, however long that takes; entries wait."""
        daemon = self._daemon
        account_lock: ProcessLock | None = None
        while not self._stopping.is_set():
            try:
                if daemon.account is None:
                    daemon.connect_account()
                if account_lock is None and daemon.account is not None:
                    account_lock = _account_lock(self._settings, daemon.account.number)
                    account_lock.acquire()
                    self._stack.callback(account_lock.release)
                daemon.agree()
            except StartRefused as refusal:
                self._refuse(refusal)
            except AlreadyRunning as error:
                self._refuse(StartRefused(EXIT_RUNNING, str(error)))
            except (BrokerError, DatabaseUnavailable) as error:
                log.warning("not ready, entries stay blocked: %s", error)
                self._stopping.wait(RETRY_S)
            except Exception as error:  # this lane's top loop: without it nothing would be adopted
                self._report("start", error)
                self._stopping.wait(RETRY_S)
            else:
                systemd.notify("READY=1")
                return

    def _refuse(self, refusal: StartRefused) -> None:
        self._refusal = refusal
        self._stopping.set()

    def _loop(self) -> None:
        """The schedule loop: interval jobs that only ring bells."""
        flags = self._daemon.flags

        def run_eod_check() -> None:
            flags["eod"].set()

        def run_pipeline() -> None:
            flags["pipeline"].set()

        def turn_day() -> None:
            flags["day"].set()

        schedule.clear()
        schedule.every(1).minutes.do(run_eod_check)
        schedule.every(10).minutes.do(run_pipeline)
        schedule.every(1).minutes.do(turn_day)
        while not self._stopping.wait(1.0):
            schedule.run_pending()
            self._feed_watchdog()

    def _feed_watchdog(self) -> None:
        """While the monitor passes; a broker that does not answer is no reason to restart."""
        seen = self._daemon.monitor_at
        if seen is not None and (self._lanes.clock.now() - seen).total_seconds() < WATCHDOG_PASS_S:
            systemd.notify("WATCHDOG=1")

    def _end(self) -> int:
        """Say what is left unwatched, hand out the last alerts, and let go; within 10 s."""
        systemd.notify("STOPPING=1")
        alpaca_executor.stop()
        for spec in self._specs:
            spec.bell.set()
        if self._refusal is None:
            self._daemon.record_stop()
            self._last_words()
        written = self._database.close(timeout=2.0)
        if not written:
            log.error("the database did not take everything before the stop")
        if self._refusal is not None:
            raise self._refusal
        log.info("stopped")
        return EXIT_STOPPED

    def _last_words(self) -> None:
        """Send what waits in the outbox, for a few seconds at most."""
        daemon, clock = self._daemon, self._lanes.clock
        for name in OUTBOX_LANES:  # one at a time steps the consumers and the outbox
            if not self._over[name].wait(LANE_END_S):
                log.warning("the %s lane is still at work; the last alerts stay for the next start", name)
                return
        daemon.outbox.hurry()
        ends = clock.monotonic() + LAST_WORDS_S
        worker = threading.Thread(target=self._drain, args=(ends,), name="last words", daemon=True)
        worker.start()
        worker.join(LAST_WORDS_S + 0.5)

    def _drain(self, ends: float) -> None:
        daemon, clock = self._daemon, self._lanes.clock
        daemon.consume()
        while clock.monotonic() < ends:
            wait = daemon.outbox.step()
            if wait is None:
                return
            self._lanes.sleep(min(wait, 0.2))

    def _stop(self, _: int, __: FrameType | None) -> None:
        self._stopping.set()

    def _halt(self, _: int, __: FrameType | None) -> None:
        self._daemon.ask("halt", None)

    def _report(self, lane: str, error: Exception) -> None:
        if isinstance(error, DatabaseClosed):  # a lane that was still at work when the process ended
            return
        log.error("lane %s failed", lane, exc_info=error)


def _clock(settings: Settings) -> Clock:
    """The clock that ``WSB_SNAKE_CLOCK_START`` asks for. Raises ConfigError and StartRefused."""
    start = settings.wsb_snake_clock_start
    if start is None:
        return SystemClock()
    if start != "broker":
        return ShiftedClock(datetime.fromisoformat(start))
    lanes = ThreadLanes(SystemClock())
    broker = connect_broker(settings, lanes)
    for _ in range(CLOCK_TRIES):
        try:
            return ShiftedClock(broker.clock().at)
        except Fatal as error:
            raise StartRefused(EXIT_REFUSED, f"the broker refuses us: {error}") from error
        except BrokerError as error:
            last = error
            lanes.sleep(0.5)
    raise ConfigError(f"WSB_SNAKE_CLOCK_START=broker, but {settings.trading_url} tells no time: {last}")


def _account_lock(settings: Settings, account: str) -> ProcessLock:
    """One daemon an account and broker for this user, whatever the data directory."""
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())
    host = settings.trading_url.split("://")[-1].replace(":", "_").replace("/", "_")
    folder = runtime / f"wsb-snake-{os.getuid()}"
    return ProcessLock(folder / f"{host}-{account}.lock", f"account {account}")
