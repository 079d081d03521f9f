"""The house stands as ARCHITECTURE_OVERVIEW.md draws it."""

from collections.abc import Iterable

import pytest

from tests import source_rules, state_rules
from tests.source_rules import ROOT, module, package

LONGEST_FILE = 450
LONGEST_TEST_FILE = 600

TOP_LOOPS: frozenset[tuple[str, str]] = frozenset(
    {
        ("wsb_snake/core/lane_loop.py", "run_lane"),
        ("wsb_snake/db/writer.py", "_run"),
        ("wsb_snake/db/writer.py", "run"),  # hands the work's own error to its promise
        ("wsb_snake/db/journal.py", "catch_up"),  # goes event by event, then raises
        ("wsb_snake/start_lane.py", "run"),
        ("wsb_snake/hunting/fetching.py", "fetch"),  # hands a call's own error to its promise
        ("wsb_snake/owner/control.py", "_run"),
        ("wsb_snake/owner/telegram_lane.py", "run"),
        ("wsb_snake/trading/senders.py", "_work"),
    }
)
"""(path, function) of the thread and lane top loops that may catch everything."""

STATE = frozenset(
    {
        "wsb_snake/trading/alpaca_executor.py:alpaca_executor",
        # functions of their argument alone, with an immutable result
        "wsb_snake/core/calendar.py:_library_year",
        "wsb_snake/core/occ.py:parse",
        "wsb_snake/sim/sessions.py:session_of",
        # declare settings, hold nothing
        *(
            f"wsb_snake/config.py:wsb_snake_max_{name}_dollars"
            for name in ("trade", "day", "engine", "overnight", "ticker", "sector", "daily_loss")
        ),
        # the vendor's name for an interval
        "wsb_snake/collectors/alpaca_data.py:_MINUTE",
        "wsb_snake/collectors/alpaca_data.py:_DAY",
    }
)
"""What may look like mutable state of a module, as ``path:name``."""


def listed(offences: Iterable[str]) -> str:
    """One offence a line; empty when there is none."""
    return "\n".join(dict.fromkeys(offences))


def test_imports_point_down_the_floors() -> None:
    assert listed(source_rules.upward_imports(package())) == ""


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert listed(source_rules.cycles(package())) == ""


def test_the_embedded_exchange_is_able_to_disagree_with_the_daemon() -> None:
    shared = frozenset(f"wsb_snake.core.{name}" for name in ("occ", "types", "clock", "pricing"))
    assert listed(source_rules.foreign_to_sim(package(), shared)) == ""


def test_only_the_driver_and_the_command_line_use_the_embedded_exchange() -> None:
    allowed = frozenset({"sim", "backtest", "cli"})
    assert listed(source_rules.forbidden_imports(package(), "wsb_snake.sim", allowed)) == ""


def test_only_two_modules_import_alpaca() -> None:
    allowed = frozenset({"wsb_snake.trading.alpaca_broker", "wsb_snake.collectors.alpaca_data"})
    assert listed(source_rules.forbidden_imports(package(), "alpaca", allowed)) == ""


def test_only_the_clock_and_the_lanes_read_the_clock() -> None:
    places = {"wsb_snake/core/clock.py", "wsb_snake/core/lanes.py"}
    assert (
        listed(
            offence
            for each in package()
            if each.place not in places
            for offence in source_rules.clock_readings(each)
        )
        == ""
    )


def test_there_is_one_executor() -> None:
    places = source_rules.constructions(package(), "AlpacaExecutor")
    assert [place.partition(":")[0] for place in places] == ["wsb_snake/trading/alpaca_executor.py"]


def test_no_module_and_no_class_holds_state() -> None:
    frozen = state_rules.frozen_classes(package())
    assert (
        listed(offence for each in package() for offence in state_rules.mutable_state(each, frozen, STATE))
        == ""
    )


def test_only_top_loops_catch_everything() -> None:
    assert (
        listed(
            f"{place}: catches everything in {function}"
            for each in package()
            for function, place in source_rules.broad_handlers(each)
            if (each.place, function) not in TOP_LOOPS
        )
        == ""
    )


def test_the_list_of_top_loops_is_true() -> None:
    found = {
        (each.place, function) for each in package() for function, _ in source_rules.broad_handlers(each)
    }
    assert found >= TOP_LOOPS


def test_files_stay_small() -> None:
    limits = {"wsb_snake": LONGEST_FILE, "tests": LONGEST_TEST_FILE}
    assert (
        listed(
            f"{file.relative_to(ROOT)}: {count} lines"
            for folder, limit in limits.items()
            for file in (ROOT / folder).rglob("*.py")
            if (count := file.read_text().count("\n")) > limit
        )
        == ""
    )


def test_the_cycle_rule_finds_a_circle_of_three() -> None:
    three = tuple(
        module(f"from wsb_snake.core import {other}", f"wsb_snake/core/{name}.py")
        for name, other in (("a", "b"), ("b", "c"), ("c", "a"))
    )
    assert list(source_rules.cycles(three)) == [
        "wsb_snake.core.a -> wsb_snake.core.b -> wsb_snake.core.c -> wsb_snake.core.a"
    ]
    assert not list(source_rules.cycles(three[:2]))


@pytest.mark.parametrize(
    ("text", "offends"),
    [
        ("from datetime import datetime\ndatetime.now()", True),
        ("from datetime import datetime as d\nd.utcnow()", True),
        ("import datetime\ndatetime.date.today()", True),
        ("import time\ntime.sleep(1)", True),
        ("import time as t\ndef f(now=t.monotonic): ...", True),
        ("from time import sleep as rest\nrest(1)", True),
        ("import time\ntime.perf_counter()", True),
        ("from datetime import datetime, time\ndatetime(2026, 1, 1); time(9, 30)", False),
        ("clock.now(); lanes.sleep(1); clock.monotonic()", False),
    ],
)
def test_the_clock_rule_sees_through_names(text: str, offends: bool) -> None:
    assert bool(list(source_rules.clock_readings(module(text, "wsb_snake/db/a.py")))) is offends


@pytest.mark.parametrize(
    ("text", "offends"),
    [
        ("try: f()\nexcept: pass", True),
        ("try: f()\nexcept Exception: pass", True),
        ("try: f()\nexcept (OSError, BaseException): pass", True),
        ("def g():\n  try: f()\n  except Exception as e:\n    raise OSError from e", True),
        ("try: f()\nexcept Exception:\n  clean()\n  raise", False),
        ("try: f()\nexcept OSError: pass", False),
    ],
)
def test_the_handler_rule_finds_what_swallows_everything(text: str, offends: bool) -> None:
    assert bool(list(source_rules.broad_handlers(module(text, "wsb_snake/db/a.py")))) is offends


@pytest.mark.parametrize(
    ("text", "offends"),
    [
        ("SEEN = []", True),
        ("SEEN = {}", True),
        ("SEEN: set[str] = set()", True),
        ("SEEN = {each for each in 'abc'}", True),
        ("BOOK = Book()", True),
        ("class A:\n  seen = {}", True),
        ("class A:\n  seen: list[int] = [1]", True),
        ("if True:\n  SEEN = []", True),
        ("LOCK = threading.Lock()", True),
        ("A = MappingProxyType({'a': []})", True),
        ("A = (1, [])", True),
        ("def f():\n  global A", True),
        ("@cache\ndef f(): ...", True),
        ("@functools.lru_cache(maxsize=1)\ndef f(): ...", True),
        ("A = 1; B = 'b'; C = (1, 2); D = -1.5", False),
        ("A = frozenset({1}); B = A | frozenset({2})", False),
        ("A = MappingProxyType({'a': (1, 2)})", False),
        ("A = timedelta(minutes=5); B = re.compile('b'); C = logging.getLogger('c')", False),
        ("@dataclass(frozen=True)\nclass Book: ...\nBOOK = Book()", False),
        ("@dataclass(frozen=True)\nclass Book: ...\ndef make() -> Book: ...\nBOOK = make()", False),
        ("@dataclass\nclass A:\n  seen: list[int] = field(default_factory=list)", False),
        ("def f():\n  seen = []", False),
    ],
)
def test_the_state_rule_finds_what_can_change(text: str, offends: bool) -> None:
    one = module(text, "wsb_snake/db/a.py")
    found = state_rules.mutable_state(one, state_rules.frozen_classes((one,)), frozenset())
    assert bool(list(found)) is offends
