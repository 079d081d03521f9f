"""What many campaign days add up to, and whether the campaign was hard enough to prove anything."""

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from types import MappingProxyType

from wsb_snake.backtest.campaign.day import DayReport
from wsb_snake.backtest.campaign.violation import Promise
from wsb_snake.sim.fault_plan import BYTES, POSSIBLE, POSSIBLE_CRASHES, PROFILES, CrashKind, InFlight
from wsb_snake.sim.faults import FaultKind

LEAST_A_DAY = MappingProxyType({"positions": 8.0, "orders": 30.0, "faults": 20.0, "crashes": 1.0})
LEAST_IN_A_CELL, CELLS_FROM_DAYS = 20, 2000
MOST_EXCUSED, LEAST_BUSY = 0.10, 0.50


@dataclass(slots=True)
class Tally:
    """Sums over days, in any order of arrival except for the hash."""

    profile: str
    crashing: bool
    engines: bool = False
    days: int = 0
    wire_days: int = 0
    positions: int = 0
    orders: int = 0
    violations: int = 0
    busy_faults: int = 0
    faults: Counter[FaultKind] = field(default_factory=Counter)
    wire_faults: Counter[FaultKind] = field(default_factory=Counter)
    crashes: Counter[CrashKind] = field(default_factory=Counter)
    cells: Counter[tuple[FaultKind | CrashKind, InFlight]] = field(default_factory=Counter)
    checked: Counter[Promise] = field(default_factory=Counter)
    before_due: Counter[Promise] = field(default_factory=Counter)
    excused: Counter[str] = field(default_factory=Counter)
    excused_days: int = 0
    hashes: dict[int, str] = field(default_factory=dict)

    def add(self, report: DayReport) -> None:
        self.days += 1
        self.wire_days += report.wire
        self.positions += report.positions
        self.orders += report.orders
        self.violations += len(report.violations)
        self.checked += report.checked
        self.before_due += report.before_due
        self.excused += report.excused
        self.excused_days += bool(report.excused)
        self.hashes[report.number] = report.order_list_hash
        for strike in report.strikes:
            self.faults[strike.kind] += 1
            self.wire_faults[strike.kind] += report.wire
            self.busy_faults += InFlight.IDLE not in strike.states
            self.cells.update((strike.kind, state) for state in strike.states)
        for kind, states in report.crashes:
            self.crashes[kind] += 1
            self.cells.update((kind, state) for state in states)

    @property
    def result_hash(self) -> str:
        """One hash over the order lists of all days: the same seed gives the same."""
        lines = "\n".join(self.hashes[number] for number in sorted(self.hashes))
        return hashlib.sha256(lines.encode()).hexdigest()

    def shortcomings(self) -> list[str]:
        """Why the run proves less than it should; empty when it was hard enough."""
        found = [f"{self.violations} violations"] if self.violations else []
        if self.profile == "all" and self.crashing and not self.engines:  # engines wait for their setups
            found += [
                f"{value:.1f} {name} a day, at least {LEAST_A_DAY[name]:.0f} are wanted"
                for name, value in self._averages().items()
                if value < LEAST_A_DAY[name]
            ]
        if self.excused_days > MOST_EXCUSED * self.days:
            found.append(f"{self.excused_days} of {self.days} days are excused")
        total = self.faults.total()
        if total and self.busy_faults < LEAST_BUSY * total:
            found.append(f"{self.busy_faults} of {total} faults found something in flight")
        if self.days >= CELLS_FROM_DAYS:
            found += [f"{kind} while {state}: {count} times" for kind, state, count in self._thin_cells()]
            found += [f"{promise} was never checked" for promise in Promise if not self.checked[promise]]
        return found

    def as_json(self) -> dict[str, object]:
        return {
            "days": self.days,
            "wire_days": self.wire_days,
            "violations": self.violations,
            "averages": {name: round(value, 2) for name, value in self._averages().items()},
            "faults_injected": {kind.value: self.faults[kind] for kind in sorted(self._allowed())},
            "wire_faults": dict(sorted((kind.value, n) for kind, n in self.wire_faults.items() if n)),
            "crashes": {kind.value: self.crashes[kind] for kind in CrashKind} if self.crashing else {},
            "busy_share": round(self.busy_faults / max(1, self.faults.total()), 3),
            "in_flight": self._matrix(),
            "thin_cells": [f"{kind} while {state}: {count}" for kind, state, count in self._thin_cells()],
            "excused_days": self.excused_days,
            "excused_by_reason": dict(sorted(self.excused.items())),
            "checked": {promise.value: self.checked[promise] for promise in Promise},
            "done_before_due": {promise.value: n for promise, n in sorted(self.before_due.items())},
            "result_hash": self.result_hash,
            "shortcomings": self.shortcomings(),
        }

    def _averages(self) -> dict[str, float]:
        days = max(1, self.days)
        return {
            "positions": self.positions / days,
            "orders": self.orders / days,
            "faults": self.faults.total() / days,
            "crashes": self.crashes.total() / days,
        }

    def _allowed(self) -> frozenset[FaultKind]:
        allowed = PROFILES[self.profile]
        return allowed if self.wire_days else allowed - BYTES

    def _thin_cells(self) -> Iterable[tuple[FaultKind | CrashKind, InFlight, int]]:
        allowed = self._allowed()
        wanted: list[tuple[FaultKind | CrashKind, InFlight]] = [p for p in POSSIBLE if p[0] in allowed]
        wanted += POSSIBLE_CRASHES if self.crashing else ()
        counted = ((kind, state, self.cells[(kind, state)]) for kind, state in wanted)
        return [cell for cell in counted if cell[2] < LEAST_IN_A_CELL]

    def _matrix(self) -> dict[str, dict[str, int]]:
        rows: dict[str, dict[str, int]] = {}
        for (kind, state), count in sorted(self.cells.items()):
            rows.setdefault(kind.value, {})[state.value] = count
        return rows
