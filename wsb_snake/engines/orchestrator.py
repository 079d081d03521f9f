"""The orchestrator: each pipeline pass over every ticker, from components to the signal of a family.

Families and state machine are taken through the minutes since the pass before one by one, so that what
must persist persists in minutes although passes are ten minutes apart; components and the fused score
are asked for in those minutes in which a family has all that it needs. ``scan`` is pure, and bars that had
not ended by ``view.now`` change nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from types import MappingProxyType

from wsb_snake.core.calendar import Session
from wsb_snake.core.clock import eastern, eastern_date
from wsb_snake.engines import chop_filter, day_regime, day_tape, ignition, pressure, state_machine, surge
from wsb_snake.engines import family_detectors as detectors
from wsb_snake.engines import setup_families as families
from wsb_snake.engines.chop_filter import ChopRules
from wsb_snake.engines.day_tape import DayTape, mean
from wsb_snake.engines.family_detectors import DetectorRules
from wsb_snake.engines.ignition import IgnitionRules
from wsb_snake.engines.orchestrator_state import OrchestratorState, TickerState
from wsb_snake.engines.pressure import PressureRules
from wsb_snake.engines.probability import (
    Fused,
    ProbabilityRules,
    fuse_learnt,
    normalised,
    tier_of,
    win_probability,
)
from wsb_snake.engines.setup_families import Family, FamilyRow, Finding, Kind, Life, LifeRules, Stage
from wsb_snake.engines.state_machine import Conditions, Machine, MachineRules, Phase
from wsb_snake.engines.surge import SurgeRules
from wsb_snake.engines.types import Direction, MarketView, Signal, signal_id
from wsb_snake.learning.session_windows import Window, window_of
from wsb_snake.trading.eod_guard import rungs

ENGINE = "orchestrator"

_PHASES = tuple(Phase)
_AWAKE = frozenset({Stage.AWAKENING, Stage.ALIVE, Stage.PEAKED})
TRADED_TIERS = frozenset({"A+", "A"})
_ASLEEP = Life()
_NO_LEARNING: Mapping[str, float] = MappingProxyType({})

Lives = Mapping[Family, Life]


@dataclass(frozen=True, slots=True)
class OrchestratorRules:
    """The figures of the orchestrator itself, and the rules of its parts."""

    alert: float = 40  # fused score towards a family from which it gives a signal
    most_minutes: int = 15  # gone through in a pass; older ones that no pass saw are left out
    max_bar_age_s: int = 180  # end of the newest bar to now: older data give no signal
    max_signal_age_s: int = 240  # end of the signal's bar to its execution
    compressed: float = 0.8  # mean true range of the last bars to that of those before, at most
    compressed_bars: int = 10
    base_bars: int = 30
    level_swing: float = 0.10  # how near a level is, in usual ranges of a day
    power_hour_minutes: int = 120  # before the close: the power hour and the hour before it

    machine: MachineRules = field(default_factory=MachineRules)
    life: LifeRules = field(default_factory=LifeRules)
    detector: DetectorRules = field(default_factory=DetectorRules)
    chop: ChopRules = field(default_factory=ChopRules)
    probability: ProbabilityRules = field(default_factory=ProbabilityRules)
    ignition: IgnitionRules = field(default_factory=IgnitionRules)
    pressure: PressureRules = field(default_factory=PressureRules)
    surge: SurgeRules = field(default_factory=SurgeRules)


def scan(
    view: MarketView,
    state: OrchestratorState,
    rules: OrchestratorRules = OrchestratorRules(),
    weights: Mapping[str, float] = _NO_LEARNING,
) -> tuple[tuple[Signal, ...], OrchestratorState]:
    """Signals of this pass, at most one a ticker, by ticker, and the next state.

    ``weights`` are learnt factors of ignition, pressure and surge; 1 where absent.
    """
    session = view.session
    if state.day != session.day:
        state = OrchestratorState(session.day)
    if not session.open <= view.now < session.close:
        return (), state
    shares = normalised(weights)
    held = dict(state.tickers)
    signals = []
    for ticker in sorted(view.bars):
        tape = day_tape.read(view, ticker)
        if tape is None or (view.now - tape.end(len(tape.bars) - 1)).total_seconds() > rules.max_bar_age_s:
            continue
        signal, held[ticker] = _pass(view, tape, held.get(ticker, TickerState()), shares, rules)
        if signal is not None:
            signals.append(signal)
    return tuple(signals), OrchestratorState(session.day, tuple(sorted(held.items())))


def wants_execution(
    signal: Signal, now: datetime, session: Session, rules: OrchestratorRules = OrchestratorRules()
) -> str | None:
    """None when ``signal`` may be traded now, else why not, in one clear line.

    Only a living family gives a signal, so that its life needs no second look.
    """
    if now < session.open:
        return "the session has not begun"
    end = rungs(session, signal.ticker, cutoff_flatten=False).entries_end
    if now >= end:
        return f"0DTE entries in {signal.ticker} ended at {eastern(end):%H:%M} ET"
    age = (now - signal.at).total_seconds()
    if age > rules.max_signal_age_s:
        return f"the signal is {age:.0f} s old, limit {rules.max_signal_age_s} s"
    evidence = dict(signal.evidence)
    phase = _PHASES[int(evidence["phase"])]
    if phase is not Phase.STRIKE:
        return f"{signal.ticker} is in {phase.upper()}, not in STRIKE"
    if not evidence["strike"]:
        return f"{signal.ticker} is in STRIKE for another setup"
    tier = tier_of(signal.confidence, rules.probability)
    if tier not in TRADED_TIERS:
        return f"tier {tier} (confidence {signal.confidence:.1f}) is below A"
    return None


def traded(state: OrchestratorState, ticker: str, now: datetime) -> OrchestratorState:
    """``state`` after an entry in ``ticker`` was sent."""
    held = state.ticker(ticker)
    return state.with_ticker(ticker, replace(held, machine=state_machine.traded(held.machine, now)))


def closed(state: OrchestratorState, ticker: str, now: datetime) -> OrchestratorState:
    """``state`` after the position in ``ticker`` was closed, or its entry did not fill."""
    held = state.ticker(ticker)
    return state.with_ticker(ticker, replace(held, machine=state_machine.closed(held.machine, now)))


def _pass(
    view: MarketView,
    tape: DayTape,
    state: TickerState,
    shares: Mapping[str, float],
    rules: OrchestratorRules,
) -> tuple[Signal | None, TickerState]:
    """The minutes since the pass before, one by one, and then what there is to say."""
    machine = state.machine
    lives: Lives = dict(state.lives)
    fused: Fused | None = None
    for n in _unseen(tape, machine, rules):
        lives = _families(tape, n, lives, machine.seen, rules)
        aligned = next((way for _, life, way in _living(tape, n, lives) if life.held > 0), None)
        fused = None if aligned is None else _fused(view, tape, n, shares, rules)
        machine = state_machine.step(
            machine, _conditions(tape, n, lives, aligned, fused, rules), rules.machine
        )
    signal: Signal | None = None
    if any(life.alive for life in lives.values()):
        last = len(tape.bars) - 1
        fused = _fused(view, tape, last, shares, rules) if fused is None else fused
        signal, lives = _speak(tape, last, fused, machine, lives, rules)
    return signal, TickerState(machine, tuple(sorted(lives.items())))


def _fused(
    view: MarketView, tape: DayTape, n: int, shares: Mapping[str, float], rules: OrchestratorRules
) -> Fused:
    """What the components said when bar ``n`` had ended; after the newest bar, what they say now."""
    if n < len(tape.bars) - 1:
        view = replace(view, now=tape.end(n))
    return fuse_learnt(
        ignition.score(view, tape.ticker, rules.ignition),
        pressure.score(view, tape.ticker, rules.pressure),
        surge.score(view, tape.ticker, rules.surge),
        shares,
        rules.probability,
    )


def _unseen(tape: DayTape, machine: Machine, rules: OrchestratorRules) -> range:
    """The bars that no pass has gone through, the newest ``most_minutes`` at most."""
    count = len(tape.bars)
    first = 0 if machine.seen is None else tape.at(machine.seen)  # seen is an end: the next bar's start
    return range(max(first, count - rules.most_minutes, 0), count)


def _families(
    tape: DayTape, n: int, lives: Lives, seen: datetime | None, rules: OrchestratorRules
) -> dict[Family, Life]:
    """The families after bar ``n``; only those that have woken today are kept."""
    at, wall = tape.end(n), eastern(tape.bars[n].start).time()
    hole = seen is not None and at - seen > timedelta(minutes=rules.machine.gap_minutes)
    after = {}
    for row in families.TABLE:
        life = lives.get(row.family, _ASLEEP)
        open_now = families.in_hours(row, wall)
        found = _found(tape, n, row, life, rules) if open_now else None
        life = families.step(
            families.broken(life) if hole else life, at, tape.closes[n], open_now, found, rules.life
        )
        if life.stage is not Stage.DORMANT or life.lives:
            after[row.family] = life
    return after


def _conditions(
    tape: DayTape,
    n: int,
    lives: Lives,
    aligned: Direction | None,
    fused: Fused | None,
    rules: OrchestratorRules,
) -> Conditions:
    return Conditions(
        at=tape.end(n),
        coiled=_coiled(tape, n, rules),
        stirring=any(life.stage in _AWAKE for life in lives.values()),
        aligned=aligned,
        choppy=_choppy(tape, n, rules),
        score=0.0 if fused is None else fused.towards(aligned),
        moved=0.0 if fused is None else fused.towards(aligned) - fused.before(aligned),
        lunch=window_of(tape.bars[n].start, tape.session) is Window.LUNCH,
    )


def _found(tape: DayTape, n: int, row: FamilyRow, life: Life, rules: OrchestratorRules) -> Finding | None:
    """What the family's detector sees; one that is not yet alive counts only on a day that suits it."""
    if life.stage in (Stage.DEAD, Stage.COOLDOWN):
        return None
    found = detectors.detect(row.family, tape, n, rules.detector)
    if found is None or life.stage not in (Stage.DORMANT, Stage.AWAKENING):
        return found
    if found.count < rules.life.awaken_needs:
        return found
    return (
        found if families.suits(row, day_regime.classify(tape, found.began, rules.detector.regime)) else None
    )


def _living(tape: DayTape, n: int, lives: Lives) -> Sequence[tuple[FamilyRow, Life, Direction]]:
    """Families that are alive: at their best hour first, then the consistent ones, then by the table."""
    alive = [
        (row, life, life.direction)
        for row in families.TABLE
        if (life := lives.get(row.family, _ASLEEP)).alive and life.direction is not None
    ]
    if len(alive) > 1:
        wall = eastern(tape.bars[n].start).time()
        alive.sort(
            key=lambda item: (not families.at_peak(item[0], wall), item[0].kind is not Kind.CONSISTENT)
        )
    return alive


def _coiled(tape: DayTape, n: int, rules: OrchestratorRules) -> bool:
    """Compression near a level, or the power hour is near."""
    if tape.session.close - tape.end(n) <= timedelta(minutes=rules.power_hour_minutes):
        return True
    first = n + 1 - rules.compressed_bars
    base, swing = mean(tape.ranges, first - rules.base_bars, first), tape.swing(n)
    recent = mean(tape.ranges, first, n + 1)
    if not base or recent is None or swing is None or recent > rules.compressed * base:
        return False
    yesterday = tape.daily[-1]
    levels = (tape.vwaps[n], max(tape.highs[:first]), min(tape.lows[:first]))
    near = rules.level_swing * swing
    return any(
        abs(tape.closes[n] - level) <= near
        for level in (*levels, yesterday.high, yesterday.low, yesterday.close)
    )


def _choppy(tape: DayTape, n: int, rules: OrchestratorRules) -> bool:
    """Whether there is chop; before there are enough bars to tell, there is."""
    chop = chop_filter.read(tape, n, rules.chop)
    return chop is None or chop.choppy


def _speak(
    tape: DayTape, n: int, fused: Fused, machine: Machine, lives: Lives, rules: OrchestratorRules
) -> tuple[Signal | None, Lives]:
    """The signal of the first living family that has something new to say, if any."""
    for row, life, direction in _living(tape, n, lives):
        aligned = life.held > 0 and direction is machine.direction
        strike = aligned and machine.phase is Phase.STRIKE
        struck, prior = _struck(tape, n, machine, rules) if strike else (0.0, 0.0)
        score = max(fused.towards(direction), struck)
        moved = score - max(fused.before(direction), prior)
        if score < rules.alert or not families.may_speak(life, strike, rules.life):
            continue
        facts = (
            ("phase", float(_PHASES.index(machine.phase))),
            ("strike", float(strike)),
            ("minutes_aligned", float(machine.held)),
            ("score_now", fused.towards(direction)),
            ("score_at_strike", struck),
            ("win_probability", win_probability(score, rules.probability)),
        )
        signal = Signal(
            signal_id=signal_id(
                eastern_date(tape.session.open), ENGINE, tape.ticker, row.family, tape.end(n)
            ),
            at=tape.end(n),
            engine=ENGINE,
            setup=row.family,
            ticker=tape.ticker,
            direction=direction,
            confidence=score,
            price=tape.closes[n],
            evidence=(*facts, *fused.told(direction, moved), *_evidence(tape, n, row, life, rules)),
        )
        return signal, {**lives, row.family: families.spoken(life, strike)}
    return None, lives


def _struck(tape: DayTape, n: int, machine: Machine, rules: OrchestratorRules) -> tuple[float, float]:
    """The score of the strike, while it is so young that no pass can have seen it, and by prior weights."""
    young = machine.since is not None and tape.end(n) - machine.since < rules.most_minutes * day_tape.BAR
    return (machine.score, machine.score - machine.moved) if young else (0.0, 0.0)


def _evidence(
    tape: DayTape, n: int, row: FamilyRow, life: Life, rules: OrchestratorRules
) -> tuple[tuple[str, float], ...]:
    """What the tape shows of a living family."""
    evidence = [("level", life.level)]
    found = detectors.detect(row.family, tape, n, rules.detector)
    if found is not None:
        evidence += [(need, float(met)) for need, met in zip(row.needs, found.met, strict=True)]
        evidence += found.evidence
    regime = day_regime.classify(tape, n, rules.detector.regime)
    if regime is not None:
        evidence += [("regime_z", regime.z), ("efficiency", regime.efficiency)]
    chop = chop_filter.read(tape, n, rules.chop)
    if chop is not None:
        evidence += [("chop_index", chop.index), ("vwap_crossings", float(chop.crossings))]
    return tuple(evidence)
