"""What is true now, as JSON for scripts and as a page for a terminal; pure functions of the facts."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

from wsb_snake.core.clock import eastern, eastern_text
from wsb_snake.core.health import Facts, PositionFacts, Status, broker_stale, verdict
from wsb_snake.core.occ import SymbolError, parse
from wsb_snake.notifications.wording import clock_time, dollars

Json = dict[str, object]


def health_json(facts: Facts) -> Json:
    """The body of ``GET /health`` (DESIGN section 8); ``http_code`` goes with it."""
    status, _ = verdict(facts)
    return {
        "status": status.value,
        "snake_running": facts.snake_running,
        "mode": facts.mode,
        "open_positions": len(_held(facts)),
        "monitored_positions": sum(position.monitored for position in _held(facts)),
        "broker_positions": facts.broker_positions,
        "all_positions_monitored": facts.all_positions_monitored and not broker_stale(facts),
        "last_eod_run_et": facts.last_eod_run_et,
        "eod_flat_proven": facts.eod_flat_proven,
        "next_eod_et": _maybe_et(facts.next_eod_at),
        "trading_paused": facts.trading_paused,
        "pause_reasons": [reason for reason, _ in facts.pause_reasons],
        "market_open": facts.market_open,
        "heartbeats": {name: round(age, 1) for name, age in sorted(facts.heartbeats.items())},
        "broker_age_s": _seconds(facts.broker_age_s),
        "data_age_s": _seconds(facts.data_age_s),
        "db_writable": facts.db_writable,
        "uptime_s": _seconds(facts.uptime_s),
        "version": facts.version,
    }


def http_code(facts: Facts) -> int:
    """503 when unhealthy, else 200."""
    return 503 if verdict(facts)[0] is Status.UNHEALTHY else 200


def status_json(facts: Facts) -> Json:
    """``health_json`` with the reasons, the positions and everything else the facts hold."""
    session = facts.session
    return {
        **health_json(facts),
        "now": facts.now.isoformat(),
        "now_et": eastern_text(facts.now),
        "started_et": eastern_text(facts.started_at),
        "account": facts.account,
        "feeds": dict(facts.feeds),
        "session": session
        and {
            "day": session.day.isoformat(),
            "open_et": eastern_text(session.open),
            "close_et": eastern_text(session.close),
        },
        "reasons": list(verdict(facts)[1]),
        "pauses": [{"reason": reason, "detail": detail} for reason, detail in facts.pause_reasons],
        "positions": [position_json(position) for position in facts.positions],
        "unmanaged": [
            {"symbol": each.symbol, "qty": str(each.qty), "why": each.why} for each in facts.unmanaged
        ],
        "equity": _maybe_text(facts.equity),
        "day_pnl": _maybe_text(facts.day_pnl),
        "clock_skew_s": None if facts.clock_skew_s is None else round(facts.clock_skew_s, 3),
        "broker_read_at": None if facts.broker_read_at is None else facts.broker_read_at.isoformat(),
        "broker_open": list(facts.broker_open),
        "stream_up": facts.stream_up,
        "chat_up": facts.chat_up,
        "monitor_age_s": _seconds(facts.monitor_age_s),
        "db_waiting_s": _seconds(facts.db_waiting_s),
        "eod_due_not_proven_s": _seconds(facts.eod_due_not_proven_s),
        "eod_withdrawn_et": _maybe_et(facts.eod_withdrawn_at),
        "eod_withdrawn_for": list(facts.eod_withdrawn_for),
        "limits": dict(facts.limits),
        "warnings": list(facts.warnings),
        "last_event": facts.last_event,
    }


def state_line(facts: Facts) -> str:
    """One line: status, mode, market, account, money."""
    status, _ = verdict(facts)
    parts = [
        status.upper(),
        f"{facts.mode} account {facts.account or 'unknown'}",
        "market open" if facts.market_open else "market shut",
        f"equity {dollars(facts.equity)}",
        f"day {dollars(facts.day_pnl, signed=True)}",
    ]
    return " · ".join(parts)


def eod_line(facts: Facts) -> str:
    """One line: when EOD last ran, what is proven, when it is next due."""
    proof = "flat is proven" if facts.eod_flat_proven else "flat is not proven"
    if facts.eod_due_not_proven_s is not None:
        proof += f", {facts.eod_due_not_proven_s:.0f} s after the EOD time"
    if facts.eod_withdrawn_at is not None:
        names = ", ".join(facts.eod_withdrawn_for)
        proof += f", an earlier proof was withdrawn {clock_time(facts.eod_withdrawn_at)} ({names})"
    last = f"last run {facts.last_eod_run_et.replace('T', ' ')} ET" if facts.last_eod_run_et else "never run"
    upcoming = f"next {_day_time(facts.next_eod_at)}" if facts.next_eod_at else "next unknown"
    return f"{upcoming} · {last} · {proof}"


POSITION_HEADINGS = (
    "contract",
    "qty",
    "state",
    "entry",
    "bid",
    "ask",
    "P&L",
    "target",
    "stop",
    "until",
    "watched",
)


def position_row(position: PositionFacts) -> tuple[str, ...]:
    """One position in the order of ``POSITION_HEADINGS``."""
    until = clock_time(position.time_exit_at) if position.time_exit_at else "-"
    return (
        position.symbol,
        str(position.qty),
        position.state,
        price(position.entry_price),
        price(position.bid),
        price(position.ask),
        dollars(position.unrealised, signed=True),
        price(position.target_price),
        _stop(position),
        until,
        "yes" if position.monitored else "NO",
    )


def _stop(position: PositionFacts) -> str:
    """The stop, and the level of the trail once there is one."""
    if position.trail_price is None:
        return price(position.stop_price)
    trail = f"trail {price(position.trail_price)}"
    return trail if position.stop_price is None else f"{price(position.stop_price)}, {trail}"


def status_text(facts: Facts) -> str:
    """A page for a terminal, without a line feed at its end."""
    _, reasons = verdict(facts)
    lines = [
        state_line(facts),
        *(f"  because {reason}" for reason in reasons),
        f"EOD: {eod_line(facts)}",
        "",
        *_positions(facts),
        "",
        *_pauses(facts),
        *(f"Warning: {warning}" for warning in facts.warnings),
        _heartbeats(facts),
        f"Clock: {_skew(facts.clock_skew_s)}",
        f"Last event: {facts.last_event or 'none'}",
        f"{_day_time(facts.now)} · up {facts.uptime_s:.0f} s · version {facts.version}",
    ]
    return "\n".join(lines)


def price(amount: Decimal | None) -> str:
    """Dollars per share without the sign; ``-`` for None."""
    return "-" if amount is None else f"{amount:.2f}"


def _held(facts: Facts) -> tuple[PositionFacts, ...]:
    """Positions of which contracts are held; an entry without a fill is none yet."""
    return tuple(position for position in facts.positions if position.qty > 0)


def _positions(facts: Facts) -> list[str]:
    broker = "?" if facts.broker_positions is None else str(facts.broker_positions)
    watched = "all" if facts.all_positions_monitored and not broker_stale(facts) else "NOT all proven to be"
    head = f"Positions: {len(_held(facts))} here, {broker} at the broker, {watched} watched"
    table = _table([POSITION_HEADINGS, *map(position_row, facts.positions)]) if facts.positions else []
    adopt = [
        f"  {p.symbol}: {_who_sells(p, facts)}; adopt gives it exits"
        for p in facts.positions
        if p.needs_exits
    ]
    others = [
        f"  {u.qty} {u.symbol} at the broker, looked after by nobody here: {u.why}" for u in facts.unmanaged
    ]
    return [head, *table, *adopt, *others]


def _who_sells(position: PositionFacts, facts: Facts) -> str:
    """Of a position that needs exits."""
    if expires_today(position, facts.now):
        return "no rule but the end of the day sells it"
    return "no rule sells it before the day it expires"


def expires_today(position: PositionFacts, now: datetime) -> bool:
    """Whether its contract ends on the New York day of ``now``."""
    try:
        return parse(position.symbol).expiry == eastern(now).date()
    except SymbolError:
        return False


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return ["  " + "  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def what_goes_on(facts: Facts) -> str:
    """What happens to open positions while entries are paused."""
    if all(position.monitored for position in facts.positions):
        return "open positions are watched and closed as usual"
    return "open positions are watched, and closed only once the broker could be read"


def _pauses(facts: Facts) -> Iterable[str]:
    if not facts.trading_paused and not facts.pause_reasons:
        return ["Entries: allowed"]
    listed = [f"  {reason}: {detail}" for reason, detail in facts.pause_reasons]
    return [f"Entries: PAUSED ({what_goes_on(facts)})", *listed]


def _heartbeats(facts: Facts) -> str:
    beats = [f"{name} {age:.0f} s" for name, age in sorted(facts.heartbeats.items())]
    ages = [f"broker {_age(facts.broker_age_s)}", f"data {_age(facts.data_age_s)}"]
    return f"Last sign of life: {', '.join([*beats, *ages])}"


def _skew(seconds: float | None) -> str:
    if seconds is None:
        return "not compared with the broker's yet"
    return f"{abs(seconds):.1f} s {'ahead of' if seconds > 0 else 'behind'} the broker's"


def _age(age: float | None) -> str:
    return "never" if age is None else f"{age:.0f} s"


def position_json(position: PositionFacts) -> Json:
    """One position; prices as text, in dollars per share."""
    return {
        "position_id": position.position_id,
        "symbol": position.symbol,
        "underlying": position.underlying,
        "engine": position.engine,
        "origin": position.origin,
        "state": position.state,
        "qty": position.qty,
        "entry_price": _maybe_text(position.entry_price),
        "bid": _maybe_text(position.bid),
        "ask": _maybe_text(position.ask),
        "mid": _maybe_text(position.mid),
        "unrealised": _maybe_text(position.unrealised),
        "target_price": _maybe_text(position.target_price),
        "stop_price": _maybe_text(position.stop_price),
        "trail_price": _maybe_text(position.trail_price),
        "time_exit_et": _maybe_et(position.time_exit_at),
        "day_end_et": _maybe_et(position.day_end_at),
        "opened_et": eastern_text(position.opened_at),
        "monitored": position.monitored,
        "needs_exits": position.needs_exits,
    }


def _seconds(age: float | None) -> float | None:
    return None if age is None else round(age, 1)


def _maybe_text(amount: Decimal | None) -> str | None:
    return None if amount is None else str(amount)


def _maybe_et(moment: datetime | None) -> str | None:
    return None if moment is None else eastern_text(moment)


def _day_time(moment: datetime) -> str:
    return eastern(moment).strftime("%Y-%m-%d %H:%M:%S ET")
