"""Why a signal was, or was not, traded: from the database alone, with or without a running daemon."""

import json
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wsb_snake.core.clock import eastern
from wsb_snake.db.database import get_connection
from wsb_snake.db.errors import DatabaseUnavailable
from wsb_snake.db.values import instant, money

NEWEST = 5
"""Signals of a ticker that are told in full; older ones are counted."""

POINTS = "_points"
_QUERY = (
    "SELECT signals.*, positions.symbol AS symbol, positions.state AS state, positions.bought_qty AS bought,"
    " outcomes.net_pnl AS net_pnl, outcomes.exit_reason AS exit_reason, outcomes.r_multiple AS r_multiple"
    " FROM signals LEFT JOIN positions USING (position_id) LEFT JOIN outcomes USING (position_id)"
)


class NothingKnown(Exception):
    """No such signal, or no database; the text is one line for the owner."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One signal: what was seen, what each part gave, what learning added, what the governor said.

    ``became`` is one line; ``on_paper`` what it would have made, where it was followed.
    """

    signal_id: str
    at_et: str
    engine: str
    setup: str
    ticker: str
    direction: str
    confidence: float
    price: float
    seen: Mapping[str, float]
    gave: Mapping[str, float]
    learnt: Mapping[str, Any]
    regime: Mapping[str, Any]
    contract: str | None
    governor: str | None
    verdict: str
    reason: str
    became: str
    on_paper: str | None

    def as_json(self) -> dict[str, object]:
        """Every field under its name."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Reasons:
    """The newest signals first; ``more`` older ones of the same ticker are left out."""

    told: tuple[Reason, ...]
    more: int


def why(path: Path, what: str) -> Reasons:
    """The signal named ``what``, or the newest signals of the ticker ``what``. Raises NothingKnown."""
    wanted = what.strip().encode(errors="replace").decode()  # half a surrogate pair names nothing
    if not path.exists():
        raise NothingKnown(f"there is no database {path}; is WSB_SNAKE_DATA_DIR the daemon's?")
    try:
        with get_connection(path) as conn:
            rows = conn.execute(f"{_QUERY} WHERE signals.signal_id = ?", (wanted,)).fetchall()
            more = 0
            if not rows:
                name = wanted.upper()
                newest = f"{_QUERY} WHERE ticker = ? ORDER BY signals.at DESC, signals.signal_id LIMIT ?"
                rows = conn.execute(newest, (name, NEWEST)).fetchall()
                (all_of_it,) = conn.execute(
                    "SELECT COUNT(*) FROM signals WHERE ticker = ?", (name,)
                ).fetchone()
                more = int(all_of_it) - len(rows)
            if not rows:
                raise NothingKnown(_unknown(conn, wanted))
            return Reasons(tuple(_reason(conn, row) for row in rows), more)
    except DatabaseUnavailable as error:
        raise NothingKnown(str(error)) from error
    except sqlite3.Error as error:
        raise NothingKnown(f"{path} cannot be read: {error}") from error


def explainer(path: Path) -> Callable[[str], str]:
    """``why`` as text, for whoever can show nothing else."""
    return lambda what: why_text(why(path, what))


def why_text(reasons: Reasons) -> str:
    """For a person, the newest signal first."""
    blocks = ["\n".join(_lines(each)) for each in reasons.told]
    if reasons.more:
        blocks.append(f"{reasons.more} older signals in {reasons.told[0].ticker}: name one to see it.")
    return "\n\n".join(blocks)


def _unknown(conn: sqlite3.Connection, wanted: str) -> str:
    names = [row[0] for row in conn.execute("SELECT DISTINCT ticker FROM signals ORDER BY ticker")]
    known = f"signals are known of {', '.join(names)}" if names else "there are no signals yet"
    return f"no signal and no ticker {wanted[:60]!r}; {known}"


def _reason(conn: sqlite3.Connection, row: sqlite3.Row) -> Reason:
    evidence = _evidence(row["evidence"])
    figures = {name: float(value) for name, value in evidence.items() if _is_number(value)}
    return Reason(
        signal_id=row["signal_id"],
        at_et=f"{eastern(instant(row['at'])):%Y-%m-%d %H:%M}",
        engine=row["engine"],
        setup=row["setup"],
        ticker=row["ticker"],
        direction=row["direction"],
        confidence=row["confidence"],
        price=row["price"],
        seen={n: v for n, v in figures.items() if not n.endswith(POINTS) and n != "regime_level"},
        gave={n.removesuffix(POINTS): v for n, v in figures.items() if n.endswith(POINTS)},
        learnt=_mapping(evidence.get("learnt")),
        regime={n: evidence[n] for n in ("regime", "regime_measure", "regime_level") if n in evidence},
        contract=_text(evidence.get("contract")),
        governor=_text(evidence.get("governor")),
        verdict=row["verdict"],
        reason=row["reason"],
        became=_became(conn, row),
        on_paper=_on_paper(conn, row["signal_id"]),
    )


def _became(conn: sqlite3.Connection, row: sqlite3.Row) -> str:
    """What came of it, as the orders and the outcome have it."""
    if row["position_id"] is None:
        return f"not traded: {row['reason']}" if row["reason"] else "not traded"
    if row["net_pnl"] is not None:
        r = "" if row["r_multiple"] is None else f", {row['r_multiple']:+.2f} R"
        return f"{row['symbol']} closed by {row['exit_reason']}, net ${money(row['net_pnl']):+.2f}{r}"
    if row["state"] == "void":
        query = "SELECT status, note FROM orders WHERE position_id = ? AND purpose = 'entry'"
        entry = conn.execute(query, (row["position_id"],)).fetchone()
        how = "" if entry is None else f" ({' '.join(part for part in entry if part)})"
        return f"{row['symbol']} was ordered and nothing filled{how}"
    return (
        f"{row['symbol'] or row['position_id']} is {row['state'] or 'under way'}, {row['bought'] or 0} bought"
    )


def _on_paper(conn: sqlite3.Connection, signal_id: str) -> str | None:
    query = "SELECT * FROM paper_trades WHERE signal_id = ? ORDER BY opened_at LIMIT 1"
    row = conn.execute(query, (signal_id,)).fetchone()
    if row is None:
        return None
    bought = f"{row['symbol']} at ${money(row['entry_price']):.2f}"
    if row["closed_at"] is None:
        return f"{bought}, still followed"
    if row["exit_price"] is None:
        return f"{bought}, {row['exit_reason']}"
    r = "" if row["net_r"] is None else f", {row['net_r']:+.2f} R after fees"
    return f"{bought}, out at ${money(row['exit_price']):.2f} by {row['exit_reason']}{r}"


def _lines(reason: Reason) -> list[str]:
    lines = [
        reason.signal_id,
        f"  {reason.at_et} ET: {reason.engine} saw {reason.setup} in {reason.ticker}, {reason.direction} at "
        f"${reason.price:,.2f}, confidence {reason.confidence:g}",
    ]
    seen = {name: value for name, value in reason.seen.items() if "." not in name}
    gave = {name: value for name, value in reason.gave.items() if "." not in name}
    if seen:
        lines.append("  saw: " + ", ".join(f"{name} {value:.6g}" for name, value in seen.items()))
    if gave:
        lines.append("  gave: " + ", ".join(f"{name} {round(value, 1):+g}" for name, value in gave.items()))
    lines += [f"    {part}: {', '.join(figures)}" for part, figures in _parts(reason).items()]
    words = reason.learnt.get("words") or "; ".join(
        str(_mapping(each).get("why", "")) for each in reason.learnt.get("boosts", ())
    )
    lines.append(f"  learnt: {reason.learnt.get('points', 0):+g} points{': ' + words if words else ''}")
    if reason.regime:
        lines.append("  regime: " + " ".join(str(value) for value in reason.regime.values()))
    if reason.contract is not None:
        lines.append(f"  contract: {reason.contract}")
    lines.append(f"  governor: {reason.governor or 'was not asked'}")
    lines.append(f"  became: {reason.became}")
    if reason.on_paper is not None:
        lines.append(f"  on paper: {reason.on_paper}")
    return lines


def _parts(reason: Reason) -> dict[str, list[str]]:
    """What each component looked at, and in brackets what it gave: names are ``component.figure``."""
    parts: dict[str, list[str]] = {}
    for name in dict.fromkeys((*reason.seen, *reason.gave)):
        part, dot, figure = name.partition(".")
        if dot:
            value = f" {reason.seen[name]:.6g}" if name in reason.seen else ""
            given = f" ({round(reason.gave[name], 1):+g})" if reason.gave.get(name) else ""
            parts.setdefault(part, []).append(f"{figure}{value}{given}")
    return parts


def _evidence(text: str) -> dict[str, Any]:
    """What is no JSON object tells nothing."""
    try:
        held = json.loads(text)
    except ValueError:
        return {}
    return held if isinstance(held, dict) else {}


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
