"""The head of the page: what the daemon does and holds, from memory; pure functions of the facts."""

from dataclasses import asdict, dataclass
from datetime import date
from decimal import Decimal

from wsb_snake.core.clock import eastern
from wsb_snake.core.health import (
    BROKER_LIMIT_S,
    DATA_LIMIT_S,
    EOD_PROOF_LIMIT_S,
    MONITOR_LIMIT_S,
    Facts,
    PositionFacts,
    Status,
    verdict,
)
from wsb_snake.core.occ import SymbolError, parse
from wsb_snake.owner.adopting import sells_at_once
from wsb_snake.owner.status import Json, eod_line, expires_today, position_json, status_json, what_goes_on

HUNDRED = Decimal(100)


@dataclass(frozen=True, slots=True)
class Banner:
    """``tone`` is good, quiet, warn or bad; ``goes_on`` what happens while entries are paused."""

    tone: str
    headline: str
    goes_on: str | None


@dataclass(frozen=True, slots=True)
class Control:
    """A verb that may be asked for over HTTP; ``confirmed`` when the daemon asks back first."""

    verb: str
    confirmed: bool


def live_json(facts: Facts, controls: tuple[Control, ...]) -> Json:
    """``status_json`` with the banner, the countdown, distances and controls that the page shows."""
    today = eastern(facts.now).date()
    return {
        **status_json(facts),
        "banner": asdict(banner(facts)),
        "eod": eod_json(facts),
        "positions": [
            {
                **position_json(position),
                **_distances(position),
                "label": label(position.symbol, today),
                "expires_today": expires_today(position, facts.now),
                "adopting": {kind: sells_at_once([position], kind) for kind in position.sold_if_adopted},
            }
            for position in facts.positions
        ],
        "unmanaged": [
            {"label": label(each.symbol, today), "qty": str(each.qty), "why": each.why}
            for each in facts.unmanaged
        ],
        "exit_kinds": dict(facts.exit_kinds),
        "signs": signs(facts),
        "controls": [asdict(control) for control in controls],
    }


def banner(facts: Facts) -> Banner:
    """The state in two or three words, the worst first."""
    status, _ = verdict(facts)
    paused = facts.trading_paused or bool(facts.pause_reasons)
    goes_on = what_goes_on(facts) if paused else None
    if status is Status.UNHEALTHY:
        return Banner("bad", "Unhealthy", goes_on)
    if eod_state(facts) in {"closing", "overdue"}:
        return Banner("warn", "Closing for the day", goes_on)
    if paused:
        names = ", ".join(reason for reason, _ in facts.pause_reasons)
        return Banner("warn", f"Entries paused: {names}" if names else "Entries paused", goes_on)
    if not facts.market_open:
        return Banner("quiet", "Market shut", None)
    if status is Status.DEGRADED:
        return Banner("warn", "Trading, degraded", None)
    return Banner("good", "Trading", None)


def eod_state(facts: Facts) -> str:
    """``proven`` (flat today), ``closing``, ``overdue`` (not proven in time), ``ahead`` or ``none``."""
    late_s = facts.eod_due_not_proven_s
    if late_s is not None:
        return "overdue" if late_s >= EOD_PROOF_LIMIT_S else "closing"
    ran_today = facts.last_eod_run_et is not None and facts.last_eod_run_et[:10] == f"{eastern(facts.now):%F}"
    if ran_today and facts.eod_flat_proven:
        return "proven"
    return "ahead" if facts.next_eod_at is not None else "none"


def eod_json(facts: Facts) -> Json:
    """The countdown and the proof. ``seconds`` until the next EOD time and ``late_s`` since today's, while
    flat is not proven; None where there is none."""
    due = facts.next_eod_at
    return {
        "state": eod_state(facts),
        "seconds": None if due is None else max(0, int((due - facts.now).total_seconds())),
        "late_s": None if facts.eod_due_not_proven_s is None else round(facts.eod_due_not_proven_s),
        "today": due is not None and eastern(due).date() == eastern(facts.now).date(),
        "at_et": None if due is None else f"{eastern(due):%a %-d %b %H:%M} ET",
        "line": eod_line(facts),
    }


def signs(facts: Facts) -> list[Json]:
    """What must not grow old: its age in seconds and the age at which it is called stale, if it is now."""
    return [
        _sign("monitor", facts.monitor_age_s, MONITOR_LIMIT_S, counts=True),
        _sign("broker", facts.broker_age_s, BROKER_LIMIT_S, counts=facts.market_open),
        _sign("market data", facts.data_age_s, DATA_LIMIT_S, counts=facts.market_open),
    ]


def _sign(name: str, age_s: float | None, limit_s: float, *, counts: bool) -> Json:
    return {
        "name": name,
        "age_s": None if age_s is None else round(age_s, 1),
        "limit_s": limit_s,
        "stale": counts and (age_s is None or age_s > limit_s),
    }


def label(symbol: str, day: date) -> str:
    """``SPY 600 call 23 Nov``, with the year where it is not that of ``day``; a share is left as it is."""
    try:
        contract = parse(symbol)
    except SymbolError:
        return symbol
    strike = format(contract.strike.normalize(), "f")
    year = "" if contract.expiry.year == day.year else f" {contract.expiry.year}"
    return f"{contract.underlying} {strike} {contract.right.name.lower()} {contract.expiry:%-d %b}{year}"


def _distances(position: PositionFacts) -> Json:
    """In percent: the result, how far the bid is from the target, how far the mid may fall to the stop,
    and the bid to where the trail ends.

    ``place`` is where the mid lies between stop (0) and target (1), ``entry_place`` the entry likewise.
    """
    bid, mid, entry = position.bid, position.mid, position.entry_price
    target, stop = position.target_price, position.stop_price
    return {
        "pnl_pct": _percent(entry, mid),
        "to_target_pct": _percent(bid, target),
        "to_stop_pct": _percent(mid, stop),
        "to_trail_pct": _percent(bid, position.trail_price),
        "place": _place(mid, stop, target),
        "entry_place": _place(entry, stop, target),
    }


def _percent(start: Decimal | None, end: Decimal | None) -> float | None:
    if start is None or end is None or start <= 0:
        return None
    return round(float((end - start) / start * HUNDRED), 1)


def _place(at: Decimal | None, stop: Decimal | None, target: Decimal | None) -> float | None:
    if at is None or stop is None or target is None or target <= stop:
        return None
    return round(min(1.0, max(0.0, float((at - stop) / (target - stop)))), 3)
