"""What the orchestrator remembers of the day: each ticker's machine and the lives of its families."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from datetime import date, datetime
from typing import Any

from wsb_snake.engines.setup_families import Family, Life, Stage
from wsb_snake.engines.state_machine import Machine, Phase
from wsb_snake.engines.types import Direction


@dataclass(frozen=True, slots=True)
class TickerState:
    """``lives`` holds only families that have woken today."""

    machine: Machine = field(default_factory=Machine)
    lives: tuple[tuple[Family, Life], ...] = ()


@dataclass(frozen=True, slots=True)
class OrchestratorState:
    """Of one session; another day begins with nothing."""

    day: date | None = None
    tickers: tuple[tuple[str, TickerState], ...] = ()

    def ticker(self, name: str) -> TickerState:
        return next((state for ticker, state in self.tickers if ticker == name), TickerState())

    def with_ticker(self, name: str, state: TickerState) -> "OrchestratorState":
        others = [(ticker, held) for ticker, held in self.tickers if ticker != name]
        return replace(self, tickers=tuple(sorted((*others, (name, state)), key=lambda item: item[0])))

    def lived(self) -> Iterator[tuple[str, Family, Life]]:
        """(ticker, family, life) of every family that was alive today."""
        for ticker, state in self.tickers:
            for family, life in state.lives:
                if life.lives:
                    yield ticker, family, life

    def to_json(self) -> str:
        tickers = {
            ticker: {
                "machine": _row(state.machine),
                "lives": {family: _row(life) for family, life in state.lives},
            }
            for ticker, state in self.tickers
        }
        return json.dumps({"day": None if self.day is None else self.day.isoformat(), "tickers": tickers})

    @classmethod
    def from_json(cls, text: str) -> "OrchestratorState":
        """The state that ``to_json`` wrote. Raises ValueError, KeyError or TypeError for anything else."""
        stored = json.loads(text)
        tickers = [
            (
                ticker,
                TickerState(
                    _machine(kept["machine"]),
                    tuple((Family(name), _life(life)) for name, life in sorted(_items(kept["lives"]))),
                ),
            )
            for ticker, kept in _items(stored["tickers"])
        ]
        day = stored["day"]
        return cls(None if day is None else date.fromisoformat(day), tuple(sorted(tickers)))


def _row(record: Machine | Life) -> dict[str, object]:
    """The fields that differ from a fresh one's."""
    fresh = type(record)()
    values = ((item.name, getattr(record, item.name)) for item in fields(record))
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in values
        if value != getattr(fresh, name)
    }


def _machine(row: Any) -> Machine:
    return Machine(
        **{
            **_moments(row, "since", "seen", "coiled_at", "stirred_at"),
            **_given(row, phase=Phase, direction=Direction, held=_whole, score=float, moved=float),
        }
    )


def _life(row: Any) -> Life:
    return Life(
        **{
            **_moments(row, "since", "best_at"),
            **_given(row, stage=Stage, direction=Direction, level=float, best=float),
            **_given(row, held=_whole, short=_whole, lives=_whole, signals=_whole),
            **_given(row, watched=bool, struck=bool),
        }
    )


def _moments(row: Any, *names: str) -> dict[str, Any]:
    return _given(row, **dict.fromkeys(names, _instant))


def _given(row: Any, **readers: Any) -> dict[str, Any]:
    return {name: read(row[name]) for name, read in readers.items() if name in row}


def _items(mapping: Any) -> Any:
    if not isinstance(mapping, dict):
        raise TypeError(f"not a mapping: {mapping!r}")
    return mapping.items()


def _whole(value: Any) -> int:
    if not isinstance(value, int) or value < 0:
        raise ValueError(f"not a count: {value!r}")
    return value


def _instant(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"a moment without time zone: {text}")
    return at
