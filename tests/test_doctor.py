"""``doctor`` over loopback against the embedded exchange: findings, exit codes, and what it leaves alone."""

import hashlib
import io
import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from unittest import mock

import pytest
import requests

from tests.notifications.bot_api import HTML_404, BotApi
from tests.owner.sample import facts
from tests.owner.test_web import serving
from tests.process.pair import clean_environment, free_port
from tests.sim.serving import World, served
from wsb_snake.cli import main
from wsb_snake.config import Settings, load
from wsb_snake.core.calendar import MarketCalendar, Session
from wsb_snake.core.clock import SystemClock
from wsb_snake.core.health import Facts
from wsb_snake.core.lanes import ThreadLanes
from wsb_snake.core.types import Quote
from wsb_snake.daemon_start import stamp_of
from wsb_snake.db.database import Database
from wsb_snake.db.meta import Stamp, write_stamp
from wsb_snake.doctor import judging
from wsb_snake.doctor.findings import Finding, Level
from wsb_snake.sim.api import ApiReply
from wsb_snake.sim.faults import Action, Answer, NoFaults
from wsb_snake.trading.broker import Account, Unavailable
from wsb_snake.trading.pauses import Pause

SECRET = "planted-and-secret"
ACCOUNT = Account(
    "PA1", "ACTIVE", Decimal(50_000), Decimal(50_000), Decimal(50_000), Decimal(50_000), 3, blocked=False
)


class Refusals(NoFaults):
    """Answers some calls with a refusal."""

    def __init__(self) -> None:
        self.refused: dict[str, ApiReply] = {}
        self.calls: list[str] = []

    def before(self, call: str, at: datetime) -> Action:
        self.calls.append(call)
        return next((Answer(reply) for start, reply in self.refused.items() if call.startswith(start)), None)


@dataclass(frozen=True)
class Told:
    code: int
    lines: dict[str, str]
    errors: str


@dataclass
class Patient:
    """A machine with its settings beside a served exchange."""

    world: World
    faults: Refusals
    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def doctor(self, *words: str) -> Told:
        out, errors = io.StringIO(), io.StringIO()
        with (
            mock.patch.dict(os.environ, self.environment, clear=True),
            redirect_stdout(out),
            redirect_stderr(errors),
        ):
            code = main(["doctor", *words])
        shown = out.getvalue().replace("***s:", "keys:")  # the exchange's key is the word "key", a secret
        lines = {line.split(maxsplit=1)[1].split(":")[0]: line for line in shown.splitlines()}
        assert all(line.split()[0] in {"ok", "warning", "failure"} for line in lines.values())
        return Told(code, lines, errors.getvalue())

    @property
    def settings(self) -> Settings:
        names = {name.lower(): value for name, value in self.environment.items() if name in OURS}
        return load(env_file=None, **names)

    def make_database(self, stamp: Stamp) -> None:
        made = Database(self.settings.db_path, ThreadLanes(SystemClock()))
        made.open(lambda conn: write_stamp(conn, stamp))
        made.close()

    def files(self) -> dict[str, str]:
        return {
            str(file): hashlib.sha256(file.read_bytes()).hexdigest()
            for file in self.folder.rglob("*")
            if file.is_file()
        }


OURS = frozenset(name.upper() for name in Settings.model_fields)


@pytest.fixture(scope="module")
def served_once() -> Iterator[tuple[World, Refusals]]:
    faults = Refusals()
    with served(faults=faults) as world:
        yield world, faults


@pytest.fixture
def patient(served_once: tuple[World, Refusals], tmp_path: Path) -> Patient:
    world, faults = served_once
    faults.refused.clear()
    faults.calls.clear()
    environment = {
        **clean_environment(),
        **world.server.environment(),
        "WSB_SNAKE_DATA_DIR": str(tmp_path / "data"),
        "BACKUP_DIR": str(tmp_path / "backups"),
        "WSB_SNAKE_CLOCK_START": "broker",
        "WSB_SNAKE_HTTP_PORT": str(free_port()),
        "WSB_SNAKE_CONTROL_TOKEN": SECRET,
    }
    return Patient(world, faults, tmp_path, environment)


def json_reply(status: int, text: str) -> ApiReply:
    return ApiReply(status, f'{{"message": "{text}"}}'.encode())


def test_a_well_one_gets_one_line_for_each_thing(patient: Patient) -> None:
    told = patient.doctor()
    assert list(told.lines) == [
        *("keys", "account", "options level", "clock", "calendar", "stock data", "option data"),
        *("Polygon", "data", "backups", "database", "halt", "HTTP", "Telegram"),
    ]
    assert [line for line in told.lines.values() if not line.startswith("ok")] == [
        "warning  option data: indicative: delayed and altered quotes; for live: ALPACA_OPTION_FEED=opra"
    ]
    assert told.code == 1


def test_it_sends_no_order_and_writes_nothing(patient: Patient) -> None:
    patient.make_database(stamp_of(patient.settings, replace(ACCOUNT, number="PA0")))
    before = patient.files()
    messages = len(patient.world.telegram.messages)
    patient.doctor()
    assert patient.files() == before
    assert {call.partition(" ")[0] for call in patient.faults.calls} == {"GET"}
    assert len(patient.world.telegram.messages) == messages


def test_with_telegram_one_test_message_goes_out(patient: Patient) -> None:
    messages = len(patient.world.telegram.messages)
    assert patient.doctor("--telegram").lines["Telegram"].startswith("ok ")
    assert [m.text for m in patient.world.telegram.messages[messages:]] == [
        "A test message from `doctor`: alerts reach you."
    ]


@pytest.mark.parametrize(
    ("call", "reply", "subject", "words"),
    [
        ("GET /v2/stocks", (403, "subscription does not permit SIP"), "stock data", "not in the plan"),
        ("GET /v1beta1/options", (403, "OPRA agreement is not signed"), "option data", "not in the plan"),
        ("GET /v2/stocks", (500, "internal"), "stock data", "does not answer"),
        ("GET /v2/clock", (500, "internal"), "clock", "tells no time"),
        ("GET /v2/calendar", (500, "internal"), "calendar", "tells none"),
    ],
)
def test_what_is_refused_is_a_failure_with_its_fix(
    patient: Patient, call: str, reply: tuple[int, str], subject: str, words: str
) -> None:
    patient.environment["WSB_SNAKE_CLOCK_START"] = patient.world.clock.now().isoformat()
    patient.faults.refused[call] = json_reply(*reply)
    told = patient.doctor()
    line = told.lines[subject]
    assert told.code == 2 and line.startswith("failure") and words in line and "; " in line
    assert told.lines["account"].startswith("ok") and told.lines["Telegram"].startswith("ok")


def test_wrong_keys_are_said_and_the_rest_of_the_machine_is_examined(patient: Patient) -> None:
    patient.environment |= {"ALPACA_API_KEY": "wrong-one", "ALPACA_SECRET_KEY": SECRET}
    told = patient.doctor()
    assert told.code == 2
    assert told.lines["keys"].startswith("failure") and "make new keys" in told.lines["keys"]
    assert "clock" not in told.lines and told.lines["data"].startswith("ok")
    assert SECRET not in str(told) and "wrong-one" not in str(told)


def test_without_keys_it_says_where_they_go(patient: Patient) -> None:
    del patient.environment["ALPACA_API_KEY"]
    told = patient.doctor()
    assert told.code == 2 and "ALPACA_API_KEY not set" in told.lines["keys"]


def test_a_broker_that_is_not_there_is_no_end(patient: Patient) -> None:
    patient.environment["ALPACA_TRADING_URL"] = f"http://127.0.0.1:{free_port()}"
    told = patient.doctor()
    assert told.code == 2 and "check the network" in told.lines["broker"]
    assert told.lines["Telegram"].startswith("ok")


def test_a_clock_that_is_off_is_a_failure(patient: Patient) -> None:
    off = patient.world.clock.now() + timedelta(seconds=90)
    patient.environment["WSB_SNAKE_CLOCK_START"] = off.isoformat()
    line = patient.doctor().lines["clock"]
    assert line.startswith("failure  clock: 9") and "ahead of" in line and "NTP" in line


def test_another_accounts_database_is_a_failure(patient: Patient) -> None:
    patient.make_database(Stamp("embedded", "PA-other"))
    line = patient.doctor().lines["database"]
    assert line.startswith("failure") and "PA-other" in line and "WSB_SNAKE_DATA_DIR" in line


def test_a_damaged_database_is_a_failure(patient: Patient) -> None:
    patient.make_database(Stamp("embedded", "PA-other"))
    path = patient.settings.db_path
    content = bytearray(path.read_bytes())
    content[4096 : 3 * 4096] = os.urandom(2 * 4096)
    path.write_bytes(content)
    line = patient.doctor().lines["database"]
    assert line.startswith("failure") and "restore" in line


def test_the_log_of_a_running_daemon_is_read_too(patient: Patient) -> None:
    """A writer that has not checkpointed yet: what it committed counts, and it goes on writing."""
    patient.make_database(Stamp("embedded", "PA-old"))
    with closing(sqlite3.connect(patient.settings.db_path, isolation_level=None)) as conn:
        conn.execute("UPDATE meta SET value = 'PA-new' WHERE key = 'account'")
        assert "PA-new" in patient.doctor().lines["database"]
        conn.execute("UPDATE meta SET value = 'PA-newer' WHERE key = 'account'")


def test_a_halt_file_is_a_warning(patient: Patient) -> None:
    (patient.folder / "data").mkdir()
    (patient.folder / "data/halt").touch()
    line = patient.doctor().lines["halt"]
    assert line.startswith("warning") and "resume" in line


def test_a_port_with_another_program_on_it_is_a_failure(patient: Patient) -> None:
    patient.environment["WSB_SNAKE_HTTP_PORT"] = str(patient.world.server.port)
    line = patient.doctor().lines["HTTP"]
    assert line.startswith("failure") and "WSB_SNAKE_HTTP_PORT" in line


@pytest.mark.parametrize(("writable", "word"), [(True, "ok"), (False, "failure")])
def test_on_a_day_without_session_it_says_what_health_says(
    patient: Patient, writable: bool, word: str
) -> None:
    def sunday() -> Facts:
        return facts(session=None, market_open=False, db_writable=writable)

    with serving(sunday) as url:
        patient.environment["WSB_SNAKE_HTTP_PORT"] = url.rpartition(":")[2]
        line = patient.doctor().lines["HTTP"]
        health = requests.get(f"{url}/health", timeout=30)
    assert health.status_code == (200 if writable else 503)
    assert line.startswith(word) and f": {health.json()['status']}: " in line


@pytest.mark.parametrize(
    ("pause", "says"),
    [
        (("manual", None), ["manual stops new entries since 2026-11-23 10:15 ET (as it was set)", "resume"]),
        (("manual", "2099-01-04T15:00:00+00:00"), ["until 2099-01-04 10:00 ET", "resume"]),
        (("daily_loss", None), ["daily_loss", "ends with the next session"]),
        (("alpaca", None), ["alpaca", "status.alpaca.markets"]),
        (("old_one", None), ["old_one", "HANDBOOK"]),
    ],
)
def test_a_stored_pause_is_a_warning_with_its_way_out(
    patient: Patient, pause: tuple[str, str | None], says: list[str]
) -> None:
    patient.make_database(Stamp("embedded", "PA-other"))
    reason, until = pause
    with closing(sqlite3.connect(patient.settings.db_path, isolation_level=None)) as conn:
        row = (reason, "2026-11-23T15:15:00+00:00", "as it was set", until)
        conn.execute("INSERT INTO pauses (reason, since, detail, until) VALUES (?, ?, ?, ?)", row)
    line = patient.doctor().lines["pauses"]
    assert line.startswith("warning") and [text for text in says if text not in line] == []


def test_no_pause_and_one_that_is_over_are_well(patient: Patient) -> None:
    patient.make_database(Stamp("embedded", "PA-other"))
    assert patient.doctor().lines["pauses"] == "ok       pauses: none is stored"
    over = Pause("manual", datetime(2020, 1, 6, 15, tzinfo=UTC), "", datetime(2020, 1, 6, 16, tzinfo=UTC))
    assert levels(*judging.pauses([over], NOW)) == [Level.OK]
    assert levels(*judging.pauses([over], over.since)) == [Level.WARNING]


@pytest.mark.parametrize("words", [(), ("--telegram",)])
def test_a_wrong_token_is_a_failure_and_not_shown(patient: Patient, words: tuple[str, ...]) -> None:
    patient.environment["TELEGRAM_BOT_TOKEN"] = f"9:{SECRET}"
    told = patient.doctor(*words)
    assert "Telegram refuses the bot token" in told.lines["Telegram"] and SECRET not in str(told)
    assert told.lines["Telegram"].startswith("failure")


@pytest.mark.parametrize(
    ("subject", "library", "says"),
    [
        ("Telegram", "telegram", "the Telegram client does not start (ModuleNotFoundError: "),
        ("Polygon", "polygon", "Polygon's library cannot be loaded (ModuleNotFoundError: "),
    ],
)
def test_a_library_that_is_missing_is_a_failure_in_one_line(
    patient: Patient, monkeypatch: pytest.MonkeyPatch, subject: str, library: str, says: str
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.delitem(sys.modules, "wsb_snake.notifications.telegram_client", raising=False)
    told = patient.doctor()
    assert told.lines[subject].startswith("failure") and says in told.lines[subject]
    assert len(told.lines) == 14 and told.errors == ""


@pytest.mark.parametrize("words", [(), ("--telegram",)])
def test_a_gateway_that_refuses_is_not_taken_for_telegram(patient: Patient, words: tuple[str, ...]) -> None:
    gateway = BotApi()
    gateway.usual = HTML_404
    patient.environment["TELEGRAM_BASE_URL"] = gateway.url
    try:
        line = patient.doctor(*words).lines["Telegram"]
    finally:
        gateway.close()
    assert line.startswith("failure") and "something between here and Telegram refuses (HTTP 404" in line


# the judgements alone


@pytest.fixture
def paper(tmp_path: Path) -> Settings:
    return load(env_file=None, wsb_snake_data_dir=tmp_path)


@pytest.fixture
def live(tmp_path: Path) -> Settings:
    return load(
        env_file=None, wsb_snake_data_dir=tmp_path, alpaca_live_trading=True, alpaca_account_number="PA1"
    )


def levels(*findings: Finding) -> list[Level]:
    return [finding.level for finding in findings]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, [Level.OK, Level.OK, Level.OK]),
        ({"options_level": 1}, [Level.OK, Level.OK, Level.FAILURE]),
        ({"options_level": None}, [Level.OK, Level.OK, Level.WARNING]),
        ({"blocked": True}, [Level.OK, Level.FAILURE, Level.OK]),
        ({"number": "PA2"}, [Level.OK, Level.FAILURE, Level.OK]),
        ({"options_buying_power": Decimal(0)}, [Level.OK, Level.WARNING, Level.OK]),
    ],
)
def test_the_account(live: Settings, changes: dict[str, object], expected: list[Level]) -> None:
    assert levels(*judging.account(replace(ACCOUNT, **changes), live)) == expected  # type: ignore[arg-type]


NOW = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("off_s", "took_s", "expected"),
    [
        (0.1, 0.2, Level.OK),
        (-1.0, 0.2, Level.WARNING),
        (-2.5, 0.2, Level.FAILURE),
        (2.5, 0.2, Level.FAILURE),
        (2.5, 4.0, Level.WARNING),
    ],
)
def test_the_clock(off_s: float, took_s: float, expected: Level) -> None:
    assert judging.clock(NOW + timedelta(seconds=off_s), NOW, took_s).level is expected


def test_a_broker_with_another_calendar() -> None:
    days = [date(2026, 11, 24), date(2026, 11, 25)]
    known = [MarketCalendar().session(day) for day in days]
    rows = [session for session in known if session is not None]
    assert levels(*judging.calendar(MarketCalendar(rows), days, days[0])) == [Level.OK]
    early = Session(rows[1].day, rows[1].open, rows[1].close - timedelta(hours=3))
    (found,) = judging.calendar(MarketCalendar([rows[0], early]), days, days[0])
    assert found.level is Level.WARNING and "2026-11-25" in found.text


def test_live_entries_on_indicative_quotes(live: Settings, paper: Settings) -> None:
    quote = Quote("SPY261124C00600000", Decimal("1.0"), Decimal("1.1"), 5, 5, NOW)
    assert judging.option_feed(quote, live).level is Level.FAILURE
    assert judging.option_feed(quote, paper).level is Level.WARNING


def test_little_room_on_the_disk() -> None:
    def room(free: int, *, writable: bool = True) -> Level:
        return judging.place("data", Path("/data"), free, writable=writable, fix="free some").level

    assert [room(5_000_000_000), room(500_000_000), room(100_000_000)] == [
        Level.OK,
        Level.WARNING,
        Level.FAILURE,
    ]
    assert room(5_000_000_000, writable=False) is Level.FAILURE


def test_a_database_of_a_newer_program(paper: Settings) -> None:
    told = judging.database(Path("db"), 999, None, None, Unavailable("x"), paper)
    assert told.level is Level.FAILURE and "update the program" in told.fix
