"""The host: who is due, what each engine sees, what is remembered, what is closed."""

from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.hunting.scripted import Scripted, host, signal
from tests.sim.bench import DAY, SPY_CALL
from tests.trading.world import World, world
from wsb_snake.collectors.market_data import DataUnavailable
from wsb_snake.core.occ import build, parse
from wsb_snake.core.orders import ExitReason
from wsb_snake.core.types import Right
from wsb_snake.engines.orchestrator_state import OrchestratorState, TickerState
from wsb_snake.engines.state_machine import Machine, Phase
from wsb_snake.engines.types import MarketView
from wsb_snake.hunting.strategies import InstitutionalScalper, Orchestrator, strategies
from wsb_snake.hunting.strategy import Cadence
from wsb_snake.hunting.view import Needs
from wsb_snake.sim.sessions import session_of
from wsb_snake.trading.broker import Unavailable


def scan(w: World, seconds: float = 30) -> None:
    w.do(w.daemon.scan)
    w.run(seconds)


def test_passes_lie_on_a_grid_from_the_open_of_the_session(tmp_path: Path) -> None:
    with world(tmp_path, "10:00") as w:
        session = w.desk.session()
        assert session is not None
        every = Cadence(timedelta(minutes=2), timedelta(seconds=5))
        assert every.slot(session.open + timedelta(seconds=4), session) is None
        assert every.slot(session.open + timedelta(seconds=5), session) == 0
        assert every.slot(session.open + timedelta(seconds=124), session) == 0
        assert every.slot(session.open + timedelta(seconds=125), session) == 1
        assert every.after(session.open - timedelta(hours=1), session) == session.open + timedelta(seconds=5)
        on_it = session.open + timedelta(seconds=125)
        assert every.after(on_it, session) == on_it + timedelta(minutes=2)


def test_a_pass_is_made_once_and_the_next_in_its_turn(tmp_path: Path) -> None:
    with world(tmp_path, "10:00") as w:
        engine = Scripted()
        host(w, engine)
        w.to("10:05:03")
        for _ in range(3):  # the bell may ring at any moment
            w.do(w.daemon.scan)
        assert len(engine.views) == 1
        assert w.daemon.hunt.next_pass(engine.views[0].session, w.clock.now(), quick=True) == w.at("10:05:32")
        w.to("10:05:32")
        w.do(w.daemon.scan)
        assert len(engine.views) == 2


def test_a_pass_without_bars_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with world(tmp_path, "10:00") as w:
        slow = Scripted("momentum_engine", quick=False)
        slow.cadence = Cadence(timedelta(minutes=30), timedelta(seconds=5))
        host(w, slow)

        def broken(*_: Any) -> None:
            raise DataUnavailable("503 from the data vendor")

        with monkeypatch.context() as patch:
            patch.setattr(w.daemon.world.market, "bars", broken)
            due = w.do(w.daemon.run_pipeline)
            assert due is not None and (due - w.clock.now()).total_seconds() == pytest.approx(15, abs=1)
        w.do(w.daemon.run_pipeline)
        assert slow.views == []  # fetched, and not computed in this lane
        w.do(w.daemon.scan)
        assert len(slow.views) == 1
        w.do(w.daemon.run_pipeline)
        w.do(w.daemon.scan)
        assert len(slow.views) == 1


def test_each_engine_sees_what_it_asked_for_whoever_else_is_due(tmp_path: Path) -> None:
    with world(tmp_path, "10:00") as w:
        one, other = Scripted("momentum_engine", quick=False), Scripted("leaps_engine", quick=False)
        one.wants = Needs(bars=frozenset({"SPY", "QQQ"}), daily=frozenset({"SPY"}))
        other.wants = Needs(bars=frozenset({"QQQ", "IWM"}), chains=frozenset({"QQQ"}), vix=True)
        host(w, one, other)
        w.do(w.daemon.run_pipeline)
        w.do(w.daemon.scan)
        assert set(one.views[0].bars) == {"SPY", "QQQ"}
        assert set(one.views[0].daily) == {"SPY"}
        assert one.views[0].chains == {}
        assert set(other.views[0].bars) == {"QQQ", "IWM"}
        assert other.views[0].daily == {}
        assert set(other.views[0].chains) == {"QQQ"}


def test_what_is_of_earlier_sessions_is_fetched_before_the_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, datetime]] = []
    with world(tmp_path, "08:00") as w:
        slow = Scripted("leaps_engine", quick=False)
        slow.wants = Needs(bars=frozenset({"SPY"}), daily=frozenset({"SPY"}), past=frozenset({"SPY"}))
        w.daemon.hunt.strategies = (slow,)
        for kind in ("daily_bars", "past_sessions", "bars"):
            real = getattr(w.daemon.world.market, kind)

            def noted(*arguments: Any, kind: str = kind, real: Any = real) -> Any:
                asked.append((kind, w.clock.now()))
                return real(*arguments)

            monkeypatch.setattr(w.daemon.world.market, kind, noted)
        w.to("09:29:59")
        assert sorted(kind for kind, _ in asked) == ["daily_bars", "past_sessions"]
        assert all(at < w.at("09:05") for _, at in asked)
        assert slow.views == []


def test_what_an_engine_remembers_is_there_after_a_restart_with_its_signals(tmp_path: Path) -> None:
    with world(tmp_path, "10:00") as w:
        engine = Scripted()
        host(w, engine)
        engine.signals = [signal(w)]
        scan(w)
        assert engine.state == "traded SPY"
        rows = w.rows("SELECT verdict, position_id FROM signals")
        assert [row["verdict"] for row in rows] == ["executed"]
        engine.state = "later"
        scan(w)  # no signal: what has changed is kept all the same
        w.restart()
        again, fresh = Scripted(), Scripted("leaps_engine")
        w.daemon.hunt.strategies = (again, fresh)
        w.daemon.load()
        assert (again.state, fresh.state) == ("later", "0")


def test_a_memory_that_cannot_be_read_begins_anew(tmp_path: Path) -> None:
    with world(tmp_path, "10:00") as w:
        engine = Scripted()
        host(w, engine)
        engine.state = "broken"
        scan(w)
        w.restart()
        again = Scripted()
        w.daemon.hunt.strategies = (again,)
        w.daemon.load()
        assert again.state == "0"


def test_an_engine_s_own_rule_closes_its_position_and_no_other(tmp_path: Path) -> None:
    with world(tmp_path, "10:00") as w:
        engine, other = Scripted("institutional_scalper"), Scripted("spy_scalper")
        host(w, engine, other)
        mine = signal(w, engine="institutional_scalper")
        engine.signals = [mine]
        scan(w)
        assert [p.engine for p in w.watched] == ["institutional_scalper"]
        assert w.watched[0].symbol == SPY_CALL
        other.over = {"SPY": "it is over"}  # of a position that is not its own
        scan(w)
        assert len(w.watched) == 1
        engine.over = {"SPY": "back inside the area"}
        scan(w)
        w.until(lambda: not w.watched, 60)
        assert [row["exit_reason"] for row in w.outcomes()] == [ExitReason.ENGINE]
        assert engine.held[:3] == [(), (SPY_CALL,), (SPY_CALL,)]
        assert set(other.held) == {()}


def test_exits_of_every_engine_come_before_the_chains_of_any_signal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world(tmp_path, "10:00") as w:
        first, second = Scripted("leaps_engine"), Scripted("institutional_scalper")
        host(w, first, second)
        second.signals = [signal(w, engine="institutional_scalper")]
        scan(w)
        looked: list[int] = []

        def chain(*_: Any) -> None:
            looked.append(len(second.views))
            raise DataUnavailable("no answer")

        monkeypatch.setattr(w.daemon.world.market, "chain", chain)
        first.signals, second.over = [signal(w, engine="leaps_engine")], {"SPY": "back inside the area"}
        scan(w, 0)
        assert looked == [2]
        w.until(lambda: not w.watched, 60)


def test_the_engine_that_closes_by_its_own_rule_waits_for_nobody_s_chain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world(tmp_path, "10:00") as w:
        slow = Scripted("momentum_engine", quick=False)
        slow.wants = Needs(bars=frozenset({"SPY"}), news=frozenset({"SPY"}))
        band = InstitutionalScalper()
        looked: list[datetime] = []

        def watched(view: MarketView, _: object) -> tuple[()]:
            looked.append(view.now)
            return ()

        monkeypatch.setattr(band, "scan", watched)
        host(w, slow)
        w.daemon.hunt.strategies = (slow, band)

        def hangs(*_: Any) -> None:
            w.hub.sleep(50)
            raise DataUnavailable("no answer")

        def gather() -> None:
            w.daemon.run_pipeline()

        monkeypatch.setattr(w.daemon.world.market, "news", hangs)
        w.to("10:06:05")
        w.hub.spawn("gather", gather)
        scan(w, 0)
        assert len(looked) == 1 and w.wall < "10:06:20"
        assert all(view.now < w.at("10:06:05") for view in slow.views)


def test_a_quick_pass_waits_for_nothing_of_earlier_sessions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A start in the session, with a history that hangs: the band rule has it when it is here."""
    with world(tmp_path, "10:00") as w:
        quick, band = Scripted(), InstitutionalScalper()
        looked: list[MarketView] = []

        def watched(view: MarketView, _: object) -> tuple[()]:
            looked.append(view)
            return ()

        monkeypatch.setattr(band, "scan", watched)
        hanging: list[datetime] = []
        for kind in ("daily_bars", "past_sessions"):
            real = getattr(w.daemon.world.market, kind)

            def hangs(*arguments: Any, real: Any = real) -> Any:
                hanging.append(w.clock.now())
                w.hub.sleep(45)
                return real(*arguments)

            monkeypatch.setattr(w.daemon.world.market, kind, hangs)
        host(w, quick)
        w.daemon.hunt.strategies = (quick, band)
        w.until(lambda: hanging, 61)  # the gathering lane comes for what they lack
        for _ in range(2):
            began = w.clock.now()
            w.do(w.daemon.scan)
            assert w.clock.now() - began < timedelta(seconds=3)
            w.run(20)
        assert w.clock.now() - hanging[0] < timedelta(seconds=45)
        assert len(quick.views) >= 1
        assert {(len(view.daily), len(view.sessions)) for view in looked} == {(0, 0)}
        w.run(70)
        w.do(w.daemon.scan)
        assert "SPY" in looked[-1].daily and len(looked[-1].sessions["SPY"]) == 14
        session = w.desk.session()
        assert session is not None
        assert w.daemon.hunt.next_pass(session, w.clock.now(), quick=False) is None


def test_the_slower_engines_look_although_history_never_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world(tmp_path, "10:00") as w:
        slow = Scripted("momentum_engine", quick=False)

        def hangs(*_: Any) -> None:
            w.hub.sleep(70)

        monkeypatch.setattr(w.daemon.world.market, "past_sessions", hangs)
        host(w, slow)
        w.daemon.hunt.strategies = (InstitutionalScalper(), slow)
        w.until(lambda: w.errors, 150)
        w.do(w.daemon.scan)
        assert slow.views != []
        assert all("TimeoutError" in error for error in w.errors)
        w.errors.clear()


def test_what_was_gathered_is_computed_although_the_quick_ones_get_no_bars(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world(tmp_path, "10:00") as w:
        quick, slow = Scripted(), Scripted("momentum_engine", quick=False)
        host(w, quick, slow)
        w.do(w.daemon.run_pipeline)

        def broken(*_: Any) -> None:
            raise DataUnavailable("503 from the data vendor")

        monkeypatch.setattr(w.daemon.world.market, "bars", broken)
        scan(w, 0)
        assert (len(quick.views), len(slow.views)) == (0, 1)


def test_what_an_engine_holds_is_watched_although_the_day_s_names_do_not_come(tmp_path: Path) -> None:
    with world(tmp_path, "10:00") as w:
        engine = Scripted("institutional_scalper")
        host(w, engine)
        engine.signals = [signal(w, engine="institutional_scalper")]
        scan(w)
        assert [p.underlying for p in w.watched] == ["SPY"]
        w.crash()
        w.start(agree=False)
        w.broker.always["contracts"] = Unavailable("503")
        w.agree()
        band, momentum = InstitutionalScalper(), Scripted("momentum_engine", quick=False)
        w.daemon.hunt.strategies = (band, momentum)
        rule = Scripted("institutional_scalper")
        rule.over = {"SPY": "back inside the area"}
        band.exits = rule.exits  # type: ignore[method-assign]
        told = [text for text in w.alerts() if "the day's contracts" in text]
        scan(w)
        w.until(lambda: not w.watched, 60)
        assert told == []
        w.run(25 * 60)  # the pipeline's lane goes on
        told = [text for text in w.alerts() if "the day's contracts" in text]
        assert len(told) == 1 and "nothing is hunted that expires today" in told[0]
        assert w.errors == []


def test_yesterday_s_names_are_not_hunted_while_today_s_do_not_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world(tmp_path, "15:50") as w:
        w.until(lambda: w.daemon.hunt.names)
        asked: list[tuple[str, ...]] = []
        real = w.daemon.world.market.bars

        def noted(symbols: tuple[str, ...], *rest: Any) -> Any:
            asked.append(tuple(symbols))
            return real(symbols, *rest)

        monkeypatch.setattr(w.daemon.world.market, "bars", noted)
        w.do(w.daemon.scan)
        assert len(asked) == 1 and "SPY" in asked[0]
        w.broker.always["contracts"] = Unavailable("503")
        tomorrow = session_of(DAY + timedelta(days=1))
        assert tomorrow is not None
        w.market.day, w.market.session = tomorrow.day, tomorrow
        w.to("09:45:03")  # the same process lives on
        w.do(w.daemon.scan)
        assert len(asked) == 1
        told = [text for text in w.alerts() if "nothing is hunted that expires today" in text]
        assert len(told) == 1
        del w.broker.always["contracts"]
        w.broker.shown["contracts"] = (parse(build("QQQ", tomorrow.day, Right.CALL, Decimal(600))),)
        w.run(120)
        w.do(w.daemon.scan)
        assert asked[1:] == [("QQQ",)]


def test_every_engine_can_be_switched_off(tmp_path: Path) -> None:
    with world(tmp_path, "10:00", wsb_snake_engines="") as w:
        assert w.daemon.hunt.strategies == ()
        w.do(w.daemon.scan)
        w.do(w.daemon.run_pipeline)
        w.open(SPY_CALL)  # watched and closed all the same
        w.price("1.50", "1.54")
        w.until(w.outcomes, 60)
        every = w.settings.model_copy(update={"wsb_snake_engines": "leaps_engine momentum_engine"})
        assert [made.engine for made in strategies(every)] == ["momentum_engine", "leaps_engine"]


def test_a_position_of_the_orchestrator_that_is_gone_ends_its_state(tmp_path: Path) -> None:
    machine = Machine(phase=Phase.CONSTRICT)
    state = OrchestratorState(DAY).with_ticker("SPY", TickerState(machine=machine))
    engine = Orchestrator()
    engine.recall(state.to_json())
    with world(tmp_path, "10:00") as w:
        held = w.open(SPY_CALL)
        engine.settle([held], w.clock.now())
        assert OrchestratorState.from_json(engine.memory()).ticker("SPY").machine.phase is Phase.CONSTRICT
        engine.settle([], w.clock.now())
        assert OrchestratorState.from_json(engine.memory()).ticker("SPY").machine.phase is Phase.VENOM
