"""``run``: the composition root of the daemon in production.

Threads are lanes (``ThreadLanes``); the main thread runs the ``schedule`` loop, which only rings bells,
feeds systemd's watchdog and waits for a signal.
"""

import logging
import os
import random
import signal
import sys
import threading
import time
from contextlib import ExitStack
from functools import partial
from types import FrameType

import schedule

from wsb_snake import __version__
from wsb_snake.collectors.sources import DataError
from wsb_snake.config import ConfigError, Settings
from wsb_snake.core import logs, memory, systemd
from wsb_snake.core.clock import SystemClock
from wsb_snake.core.health import Status, verdict
from wsb_snake.core.lane_loop import LaneSpec, run_lane
from wsb_snake.core.lanes import Flag, ThreadLanes
from wsb_snake.core.metrics import Metrics
from wsb_snake.core.process_lock import AlreadyRunning, LockUnavailable
from wsb_snake.core.redaction import Redactor
from wsb_snake.daemon import Daemon, World
from wsb_snake.daemon_start import StartRefused, clock_for, directory_lock
from wsb_snake.db.database import Database
from wsb_snake.db.errors import DatabaseClosed, DatabaseTooNew
from wsb_snake.measuring import measured
from wsb_snake.notifications.chat import ChatError
from wsb_snake.notifications.dead_man import EVERY_S, DeadMan
from wsb_snake.owner import telegram
from wsb_snake.owner.commands import Commands
from wsb_snake.owner.control import ControlError, ControlServer, ControlUnavailable
from wsb_snake.owner.day_curve import EVERY as CURVE_EVERY
from wsb_snake.owner.day_curve import DayCurve
from wsb_snake.owner.log_tail import LogTail
from wsb_snake.owner.metrics_page import JournalCount, metrics_routes
from wsb_snake.owner.openapi import openapi_routes
from wsb_snake.owner.telegram_lane import Inbound
from wsb_snake.owner.web import WebError, WebServer, answers, create_app
from wsb_snake.owner.web_commands import command_routes, offered
from wsb_snake.owner.web_data import Books, data_routes, live_routes
from wsb_snake.owner.web_page import page_routes
from wsb_snake.owner.web_why import why_routes
from wsb_snake.owner.why import explainer
from wsb_snake.start_lane import StartLane
from wsb_snake.trading.alpaca_executor import alpaca_executor
from wsb_snake.vendors import Sinks, Streams, connect_broker, connect_chat, connect_market, load_fallback
from wsb_snake.watchdog import Watchdog

EXIT_STOPPED, EXIT_CONFIG, EXIT_RUNNING = 0, 2, 3
SWITCH_INTERVAL_S = 0.0001
"""So that a lane that computes does not hold up an exit, whose way to the wire takes some thirty turns."""

LAST_WORDS_S = 5.0
RENEW_EVERY_S = 60.0
COUNT_EVERY_S = 15.0
OUTBOX_LANES = ("journal", "telegram")
LATER_LANES = (*OUTBOX_LANES, "scan", "pipeline", "day")
"""What no exit waits for: these start when the libraries that only they use are loaded."""

log = logging.getLogger(__name__)


def run(settings: Settings) -> int:
    """Run the daemon until a signal; the exit code. Errors of configuration give one line on stderr."""
    # the environment is written while this is the only thread: others read it in C code, without a lock
    os.environ["TZ"] = "UTC"
    time.tzset()
    os.environ.setdefault("PTB_TIMEDELTA", "true")  # Telegram's retry_after, without a warning at each
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    _log_as(settings)
    try:
        with ExitStack() as stack:
            lock = directory_lock(settings)
            try:
                lock.acquire()
            except LockUnavailable as error:  # the lock on the account remains
                log.error("%s", error)
            stack.callback(lock.release)
            return _Process(settings, stack).run()
    except AlreadyRunning as error:
        return _refuse(settings, EXIT_RUNNING, str(error))
    except (ConfigError, DatabaseTooNew, WebError, ControlError) as error:
        return _refuse(settings, EXIT_CONFIG, str(error))
    except StartRefused as error:
        return _refuse(settings, error.code, str(error))


def _log_as(settings: Settings) -> None:
    path = settings.log_file
    logs.set_up(
        settings.secrets(),
        logging.getLevelNamesMapping()[settings.wsb_snake_log_level.upper()],
        as_json=settings.wsb_snake_log_format == "json",
        file=None
        if path is None
        else logs.LogFile(path, settings.wsb_snake_log_file_mb, settings.wsb_snake_log_files),
    )


def _refuse(settings: Settings, code: int, text: str) -> int:
    sys.stderr.write(f"wsb-snake: {Redactor(settings.secrets())(text)}\n")
    return code


class _Process:
    """One daemon process: what is started here is stopped by ``stack``, last first."""

    def __init__(self, settings: Settings, stack: ExitStack) -> None:
        self._settings = settings
        self._stack = stack
        broker = connect_broker(settings, ThreadLanes(SystemClock()))
        self._lanes = ThreadLanes(clock_for(settings, broker))
        self._stopping = Flag(self._lanes, "stopping")
        self._refusal: StartRefused | None = None
        self._web_port: int | None = None
        self._inbound: Inbound | None = None
        self._renewed_at = -RENEW_EVERY_S
        self._database = Database(settings.db_path, self._lanes)
        self._curve = DayCurve()
        self._metrics = Metrics()
        self._log_tail = LogTail(settings.secrets())
        logging.getLogger().addHandler(self._log_tail)
        stack.callback(logging.getLogger().removeHandler, self._log_tail)
        self._market = connect_market(settings, self._lanes)
        chat = connect_chat(settings)
        self._chat = chat
        world = World(
            settings,
            self._lanes,
            self._database,
            connect_broker(settings, self._lanes),
            self._market,
            chat,
            random.SystemRandom(),
            self._report,
        )
        self._daemon = Daemon(world, alpaca_executor)
        self._specs = self._daemon.lanes()
        self._start = StartLane(
            settings, self._daemon, chat, stack, self._stopping, self._refuse, self._report
        )
        self._over = {spec.name: Flag(self._lanes, f"{spec.name} over") for spec in self._specs}

    def run(self) -> int:
        for name in ("data_dir", "db_path", "session_learnings_path"):
            log.info("%s %s", name.upper(), getattr(self._settings, name))
        alpaca_executor.desk.session()  # loads the calendar's library, for which /health must not wait
        self._start.open_database()
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        signal.signal(signal.SIGUSR1, self._halt)
        commands = Commands(self._daemon, self._daemon.facts, explainer(self._settings.db_path))
        self._serve(commands)
        self._start_exits()
        self._load_fallback()
        self._start_chat(commands)
        memory.settle()
        self._start_others()
        self._loop()
        return self._end()

    def _serve(self, commands: Commands) -> None:
        """The owner's side first, so that the truth can be asked for from the beginning."""
        settings, daemon = self._settings, self._daemon
        secret = settings.wsb_snake_control_token
        routes = command_routes(
            commands, None if secret is None else secret.get_secret_value(), self._lanes.clock.monotonic
        )
        controls = () if secret is None else offered()
        books = Books(daemon.facts, settings.db_path, self._curve, self._market.known_bars, controls)
        more = (
            page_routes(),
            live_routes(books),
            data_routes(books),
            why_routes(settings.db_path),
            openapi_routes(__version__, offered()),
            metrics_routes(measured(daemon, self._metrics)),
        )
        app = create_app(daemon.facts, settings.wsb_snake_http_host, routes, more)
        web = WebServer(app, settings.wsb_snake_http_host, settings.wsb_snake_http_port)
        web.start()
        self._stack.callback(web.stop)
        self._web_port = web.port
        control = ControlServer(settings.data_dir / "control.sock", commands)
        try:
            control.start()
        except ControlUnavailable as error:
            log.error("%s; commands reach the daemon over HTTP and by signal only", error)
        else:
            self._stack.callback(control.stop)
        log.info("health on http://%s:%d/health", settings.wsb_snake_http_host, web.port)

    def _start_exits(self) -> None:
        """What adopts, watches and closes; from here on nothing waits for the rest of the start."""
        daemon, lanes = self._daemon, self._lanes
        streams = Streams(
            self._settings,
            lanes,
            Sinks(daemon.take_update, daemon.take_stream_state, daemon.take_quote, daemon.take_quote_state),
        )
        daemon.quote_feed = streams.quotes
        for spec in self._specs:
            if spec.name not in LATER_LANES:
                lanes.spawn(spec.name, partial(self._run_lane, spec))
        alpaca_executor.start()
        streams.start()
        self._stack.callback(streams.stop)
        self._streams = streams
        lanes.spawn("start", self._start.run)

    def _load_fallback(self) -> None:
        try:
            load_fallback(self._settings)
        except DataError as error:
            self._do_without("no fail-over for market data", error)

    def _do_without(self, what: str, error: Exception) -> None:
        """What is watched by now is not given up for a part that it does not need."""
        log.error("%s: %s", what, error)
        self._daemon.missing = (*self._daemon.missing, f"{what}: {error}")
        alpaca_executor.desk.alert(what, str(error))

    def _start_chat(self, commands: Commands) -> None:
        """Load the chat's library; nobody has been sent anything yet.

        Without it all that sends or listens is told so at each try, and alerts stay in the database.
        """
        if self._chat is not None:
            self._stack.callback(self._chat.stop)
            try:
                self._chat.start()
            except ChatError as error:
                self._do_without("nothing is sent or heard by Telegram", error)
            around = telegram.Around(self._log_tail.last, self._stopping, self._report)
            self._inbound = telegram.inbound(self._daemon, commands, self._chat, around)

    def _start_others(self) -> None:
        daemon, lanes = self._daemon, self._lanes
        for spec in self._specs:
            if spec.name in LATER_LANES:
                lanes.spawn(spec.name, partial(self._run_lane, spec))
        lanes.spawn("day-curve", self._keep_curve)
        lanes.spawn("metrics", self._keep_metrics)
        if self._inbound is not None:
            lanes.spawn("chat-in", self._inbound.run)
        if self._chat is not None:
            lanes.spawn("day-picture", partial(telegram.picture(daemon, self._chat).run, self._stopping))
        if self._settings.wsb_snake_heartbeat_url is not None:
            lanes.spawn("dead-man", partial(self._ping, DeadMan(self._settings.wsb_snake_heartbeat_url)))

    def _run_lane(self, spec: LaneSpec) -> None:
        run_lane(self._lanes, spec, self._stopping, self._daemon.heartbeats.beat, self._report)
        self._over[spec.name].set()

    def _ping(self, switch: DeadMan) -> None:
        """Tell the dead man's switch once a minute, while healthy and only then."""
        while not self._stopping.wait(EVERY_S):
            if verdict(self._daemon.facts())[0] is Status.HEALTHY:
                switch.ping()

    def _keep_curve(self) -> None:
        """What the page draws of the day, also of hours in which nobody looks."""
        while not self._stopping.wait(CURVE_EVERY.total_seconds()):
            self._curve.note(self._daemon.facts())

    def _keep_metrics(self) -> None:
        """Counts go on, also where nobody scrapes for days."""
        count = JournalCount(self._metrics, self._settings.db_path, self._daemon.started_at)
        while not self._stopping.wait(COUNT_EVERY_S):
            self._metrics.digest(alpaca_executor.desk.book.tape)
            count.step()

    def _health_answers(self) -> bool:
        return self._web_port is not None and answers(self._settings.wsb_snake_http_host, self._web_port)

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
        watchdog = Watchdog(self._daemon, self._specs, self._health_answers)
        while not self._stopping.wait(1.0):
            schedule.run_pending()
            watchdog.step()
            self._renew_mute_stream()

    def _renew_mute_stream(self) -> None:
        """A stream that is connected and does not tell is connected anew, once a minute at most."""
        now = self._lanes.clock.monotonic()
        if alpaca_executor.desk.stream_mute and now - self._renewed_at >= RENEW_EVERY_S:
            self._renewed_at = now
            log.warning("the trade stream is mute, connecting anew")
            self._streams.renew_trades()

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
        ends = clock.monotonic() + LAST_WORDS_S
        for name in OUTBOX_LANES:  # one at a time steps the consumers and the outbox
            if not self._over[name].wait(max(0.0, ends - clock.monotonic())):
                log.warning("the %s lane is still at work; the last alerts stay for the next start", name)
                return
        daemon.outbox.hurry()
        worker = threading.Thread(target=self._drain, args=(ends,), name="last words", daemon=True)
        worker.start()
        worker.join(max(0.0, ends - clock.monotonic()) + 0.5)

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
