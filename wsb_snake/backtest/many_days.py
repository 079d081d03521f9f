"""Many driven days and their sum: seeds of the embedded market, or every recorded chain day.

The days know nothing of each other: each begins with an empty account and without anything learnt.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path

from wsb_snake.backtest.driver import DEMO_DAY, DayPlan, Depth, DriverError, run_day
from wsb_snake.backtest.family_days import FamilyDay
from wsb_snake.backtest.summary import ENGINE_HEAD, DayResult, EngineDay, columns, engine_cells, note
from wsb_snake.engines.setup_families import TABLE
from wsb_snake.sim.recorded import recorded_days
from wsb_snake.trading.order_ids import LETTERS

ENGINES = tuple(name for name in LETTERS if name not in {"adopted", "direct"})
"""The engines that hunt."""
FAMILY_HEAD = ("family", "days alive", "lives", "signals", "strikes", "traded")


@dataclass(frozen=True, slots=True)
class FamilySum:
    """``days`` on which it was alive at least once; the rest as of one day, added up."""

    days: int
    total: FamilyDay

    def cells(self) -> tuple[str, ...]:
        total = self.total
        counts = (self.days, total.lives, total.signals, total.strikes, total.traded)
        return (total.family, *map(str, counts))

    def as_json(self) -> dict[str, object]:
        total = self.total
        return {
            "days_alive": self.days,
            "lives": total.lives,
            "signals": total.signals,
            "strikes": total.strikes,
            "traded": total.traded,
        }


@dataclass(frozen=True, slots=True)
class ManyDays:
    """The days as they were asked for, each with its seed."""

    days: tuple[tuple[int, DayResult], ...]

    @property
    def engines(self) -> tuple[EngineDay, ...]:
        """The sum by engine: those that hunt in a fixed order, then what was adopted."""
        found: dict[str, list[EngineDay]] = {name: [] for name in ENGINES}
        for _, day in self.days:
            for row in day.engines:
                found.setdefault(row.engine, []).append(row)
        return tuple(_engine_sum(name, rows) for name, rows in found.items())

    @property
    def families(self) -> tuple[FamilySum, ...]:
        return tuple(_family_sum(row.family, [day for _, day in self.days]) for row in TABLE)

    @property
    def flat(self) -> int:
        """Days that ended flat, proven by the broker."""
        return sum(day.flat for _, day in self.days)

    @property
    def breaches(self) -> tuple[str, ...]:
        return tuple(
            f"{day.day}, seed {seed}: {what}" for seed, day in self.days for what in day.limits.breaches
        )

    @property
    def silent(self) -> tuple[str, ...]:
        """Engines that entered nothing and families that were never alive."""
        engines = [row.engine for row in self.engines if not row.entered]
        return (*engines, *(each.total.family for each in self.families if not each.days))

    @property
    def too_dear(self) -> tuple[str, ...]:
        return tuple(sorted({name for _, day in self.days for name in day.too_dear}))

    @property
    def ok(self) -> bool:
        """Whether every day kept the promises; who acted is shown, and is no promise of few days."""
        return self.flat == len(self.days) and not self.breaches

    @property
    def synthetic_bars(self) -> bool:
        return any(day.synthetic_bars for _, day in self.days)

    def as_json(self) -> dict[str, object]:
        return {
            "days": len(self.days),
            "seeds": [seed for seed, _ in self.days],
            "days_flat": self.flat,
            "entries_checked": sum(day.limits.entries for _, day in self.days),
            "entries_checked_by_loss": sum(day.limits.after_trades for _, day in self.days),
            "limit_breaches": list(self.breaches),
            "engines": {row.engine: row.as_json() | {"gross": str(row.gross)} for row in self.engines},
            "families": {each.total.family: each.as_json() for each in self.families},
            "silent": list(self.silent),
            "too_dear": list(self.too_dear),
            "synthetic_bars": self.synthetic_bars,
            "note": note(self.synthetic_bars),
        }


def plans(
    seeds: Sequence[int], day: date | None, data: Path | None, all_days: bool, depth: Depth
) -> tuple[DayPlan, ...]:
    """A plan for each of the days and ``seeds``. Raises DriverError and DataError."""
    if not all_days:
        return tuple(DayPlan(day or DEMO_DAY, seed, depth, data) for seed in seeds)
    if data is None or day is not None:
        raise DriverError("--all-days goes with --data and without --date")
    return tuple(DayPlan(each, seed, depth, data) for each in recorded_days(data) for seed in seeds)


def run_days(wanted: Sequence[DayPlan], progress: Callable[[str], object] = lambda _: None) -> ManyDays:
    """Drive one after the other; ``progress`` gets a line after each. Raises what ``run_day`` raises."""
    done: list[tuple[int, DayResult]] = []
    for number, plan in enumerate(wanted, start=1):
        result = run_day(plan)
        done.append((plan.seed, result))
        progress(f"{number} of {len(wanted)}  {_line(plan.seed, result)}")
    return ManyDays(tuple(done))


def table(result: ManyDays) -> str:
    """One table over all days, for a person."""
    lines = [_line(seed, day) for seed, day in result.days]
    lines += ["", *columns([ENGINE_HEAD, *(engine_cells(row) for row in result.engines)])]
    lines += ["", *columns([FAMILY_HEAD, *(each.cells() for each in result.families)])]
    net = sum((row.net for row in result.engines), Decimal(0))
    fees = sum((row.fees for row in result.engines), Decimal(0))
    trades = sum(row.trades for row in result.engines)
    checked = sum(day.limits.entries for _, day in result.days)
    by_loss = sum(day.limits.after_trades for _, day in result.days)
    lines += [
        "",
        f"{len(result.days)} days, {trades} trades, net ${net:.2f} after fees of ${fees:.2f}",
        f"Flat of what expires today, proven by the broker: {result.flat} of {len(result.days)} days",
        f"Limits: {checked} entry orders checked ({by_loss} also against the day's loss), "
        f"{len(result.breaches)} exceeded one",
        *result.breaches,
    ]
    if result.silent:
        lines.append(f"Never acted or lived: {', '.join(result.silent)}")
    if result.too_dear:
        lines.append(f"Too dear for a trade: {', '.join(result.too_dear)}")
    lines.append(note(result.synthetic_bars))
    return "\n".join(line.rstrip() for line in lines)


def _line(seed: int, day: DayResult) -> str:
    entered = Counter({row.engine: row.entered for row in day.engines if row.entered})
    net = sum((trade.net for trade in day.trades), Decimal(0))
    what = ", ".join(f"{name} {count}" for name, count in sorted(entered.items()))
    proof = "flat" if day.flat else "NOT FLAT"
    return (
        f"{day.day} seed {seed}: {len(day.trades)} trades, net ${net:+.2f}, {proof}; entered: {what or '-'}"
    )


def _engine_sum(name: str, rows: Sequence[EngineDay]) -> EngineDay:
    return EngineDay(
        engine=name,
        entered=sum(row.entered for row in rows),
        trades=sum(row.trades for row in rows),
        wins=sum(row.wins for row in rows),
        gross=sum((row.gross for row in rows), Decimal(0)),
        fees=sum((row.fees for row in rows), Decimal(0)),
        net=sum((row.net for row in rows), Decimal(0)),
    )


def _family_sum(name: str, days: Sequence[DayResult]) -> FamilySum:
    rows = [row for day in days for row in day.families if row.family == name]
    total = FamilyDay(
        name,
        lives=sum(row.lives for row in rows),
        signals=sum(row.signals for row in rows),
        strikes=sum(row.strikes for row in rows),
        traded=sum(row.traded for row in rows),
    )
    return FamilySum(sum(row.lives > 0 for row in rows), total)
