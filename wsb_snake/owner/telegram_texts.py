"""Answers for a phone: short lines of plain text, from facts and rows. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal

from pydantic import SecretStr

from wsb_snake.config import Settings
from wsb_snake.core.calendar import MarketCalendar, Session
from wsb_snake.core.clock import eastern
from wsb_snake.core.health import Facts, PositionFacts, verdict
from wsb_snake.notifications.wording import clock_time, contract, dollars
from wsb_snake.owner.ledger import Cell, DayRow, OrderRow, SignalRow, Tally, Trade
from wsb_snake.owner.status import eod_line, price, state_line, what_goes_on
from wsb_snake.trading.broker import Account
from wsb_snake.trading.eod_guard import EOD_BEFORE_CLOSE, rungs

SHOWN_SESSIONS = 5


def status(facts: Facts) -> str:
    """State, reasons, pauses, EOD and positions in brief."""
    lines = [state_line(facts), *(f"  because {reason}" for reason in verdict(facts)[1])]
    if facts.trading_paused:
        lines.append(f"Entries: PAUSED; {what_goes_on(facts)}")
        lines += [f"  {reason}: {detail}" for reason, detail in facts.pause_reasons]
    else:
        lines.append("Entries: allowed")
    lines += [f"EOD: {eod_line(facts)}", positions(facts)]
    return "\n".join([*lines, *(f"Warning: {warning}" for warning in facts.warnings)])


def positions(facts: Facts) -> str:
    """Each position in a line."""
    held = [position for position in facts.positions if position.qty > 0]
    entering = len(facts.positions) - len(held)
    lines = [f"{len(held)} positions" + (f", {entering} entries at work" if entering else "")]
    for each in held:
        watched = "" if each.monitored else " NOT WATCHED"
        lines.append(
            f"• {each.qty} × {contract(each.symbol)} {dollars(each.unrealised, signed=True)} "
            f"({_gain(each)}), bid {price(each.bid)}, {each.state}{watched}"
        )
    return "\n".join(lines)


def position(facts: Facts, name: str) -> str:
    """All that is known of the positions in a contract or ticker."""
    wanted = name.upper()
    found = [p for p in facts.positions if wanted in {p.symbol, p.underlying, p.position_id}]
    if not found:
        held = ", ".join(sorted({p.symbol for p in facts.positions})) or "nothing"
        return f"no position {name[:40]}; held: {held}"
    return "\n\n".join(_position(each, facts.now) for each in found)


def _position(each: PositionFacts, now: datetime) -> str:
    lines = [
        f"{each.qty} × {contract(each.symbol)}",
        f"{each.state}, by {each.engine} ({each.origin}), since {_when(each.opened_at)}",
        f"entry {price(each.entry_price)}, bid {price(each.bid)}, ask {price(each.ask)}",
        f"P&L {dollars(each.unrealised, signed=True)} ({_gain(each)})",
        f"target {_way(each.target_price, each.bid)}, stop {_way(each.stop_price, each.mid)}",
    ]
    if each.trail_price is not None:
        lines.append(f"trails: sold at a bid of {_way(each.trail_price, each.bid)}")
    if each.time_exit_at is not None:
        left = max(0.0, (each.time_exit_at - now).total_seconds()) / 60
        lines.append(f"sold at {clock_time(each.time_exit_at)} at the latest, in {left:.0f} min")
    lines.append("watched" if each.monitored else "NOT WATCHED")
    return "\n".join(lines)


def _gain(each: PositionFacts) -> str:
    if each.mid is None or not each.entry_price:
        return "no quote"
    return f"{each.mid / each.entry_price - 1:+.1%}"


def _way(goal: Decimal | None, at: Decimal | None) -> str:
    if goal is None:
        return "none"
    return price(goal) if not at else f"{price(goal)} ({goal / at - 1:+.1%} away)"


def orders(rows: Sequence[OrderRow]) -> str:
    if not rows:
        return "no order today"
    return "\n".join(
        f"{clock_time(each.created_at)} {each.purpose} {each.side} {each.qty} × {each.symbol} "
        f"{'market' if each.limit_price is None else price(each.limit_price)}: {each.status}, "
        f"{each.filled_qty} filled{_at(each.filled_avg_price)}{f' ({each.reason})' if each.reason else ''}"
        f" [{_name(each)}]"
        for each in rows
    )


def _name(order: OrderRow) -> str:
    """How to find it at the broker: the beginning of its own id, or else ours, which it knows too."""
    return order.client_order_id if not order.broker_id else f"id {order.broker_id.partition('-')[0][:12]}"


def _at(paid: Decimal | None) -> str:
    return "" if paid is None else f" at {price(paid)}"


def trades(rows: Sequence[Trade]) -> str:
    if not rows:
        return "no closed trade yet"
    return "\n".join(
        f"{_when(each.closed_at)} {each.qty} × {each.symbol} {price(each.entry_price)} → "
        f"{price(each.exit_price)} {dollars(each.net_pnl, signed=True)}{risks(each.net_r)} {each.exit_reason}"
        for each in rows
    )


def risks(net_r: float | None) -> str:
    return "" if net_r is None else f" {net_r:+.2f}R"


def days(rows: Sequence[DayRow]) -> str:
    if not rows:
        return "no day has been reported yet"
    return "\n".join(
        f"{each.session}: {each.trades} trades, {each.wins} won, {dollars(each.net_pnl, signed=True)}"
        for each in rows
    )


def weeks(rows: Iterable[DayRow], most: int) -> str:
    """The newest weeks (Monday to Sunday), summed from the days."""
    sums: dict[date, list[DayRow]] = {}
    for row in rows:
        sums.setdefault(row.session - timedelta(days=row.session.weekday()), []).append(row)
    if not sums:
        return "no week has been reported yet"
    lines = []
    for monday in sorted(sums, reverse=True)[:most]:
        held = sums[monday]
        net = sum((row.net_pnl for row in held), Decimal(0))
        won, count = sum(row.wins for row in held), sum(row.trades for row in held)
        lines.append(
            f"week of {monday}: {len(held)} days, {count} trades, {won} won, {dollars(net, signed=True)}"
        )
    return "\n".join(lines)


def tally_line(name: str, sum_of: Tally) -> str:
    """``name: 12 trades, 58% won, +$310.20 after fees, +0.21R on average``."""
    if not sum_of.trades:
        return f"{name}: no trade"
    average = "" if sum_of.mean_r is None else f", {sum_of.mean_r:+.2f}R on average"
    net = dollars(sum_of.net_pnl, signed=True)
    return f"{name}: {sum_of.trades} trades, {sum_of.win_rate:.0%} won, {net} after fees{average}"


def profit(spans: Mapping[str, Tally], open_pnl: Decimal | None) -> str:
    lines = [tally_line(name, each) for name, each in spans.items()]
    return "\n".join([*lines, f"open and closed today, before fees: {dollars(open_pnl, signed=True)}"])


def performance(cells: Sequence[Cell]) -> str:
    if not cells:
        return "no closed trade yet"
    lines = ["By engine:", *_grouped((c.engine, c) for c in cells)]
    lines += ["By setup:", *_grouped((f"{c.engine} {c.setup or '-'}", c) for c in cells)]
    return "\n".join([*lines, "By exit:", *_grouped((c.exit_reason, c) for c in cells)])


def _grouped(named: Iterable[tuple[str, Cell]]) -> list[str]:
    groups: dict[str, list[Cell]] = {}
    for name, cell in named:
        groups.setdefault(name, []).append(cell)
    lines = []
    for name, held in sorted(groups.items()):
        count, won = sum(c.trades for c in held), sum(c.wins for c in held)
        net = dollars(sum((c.net_pnl for c in held), Decimal(0)), signed=True)
        lines.append(f"  {name}: {count}, {won / count:.0%} won, {net}, {sum(c.sum_r for c in held):+.1f}R")
    return lines


def balance(facts: Facts, account: Account | None) -> str:
    lines = [f"{facts.mode} account {facts.account or 'unknown'}"]
    if account is None:
        return "\n".join([*lines, "the broker has not told the balance yet"])
    return "\n".join(
        [
            *lines,
            f"equity {dollars(account.equity)} ({dollars(account.equity - account.last_equity, signed=True)} "
            "since the last close)",
            f"cash {dollars(account.cash)}",
            f"options buying power {dollars(account.options_buying_power)}",
        ]
    )


def signals(rows: Sequence[SignalRow]) -> str:
    if not rows:
        return "no signal today"
    return "\n".join(
        f"{clock_time(each.at)} {each.ticker} {each.direction} {each.setup} ({each.engine}) "
        f"{each.confidence:.0f}: {each.verdict}{f', {each.reason}' if each.reason else ''}"
        for each in rows
    )


def calendar(sessions: MarketCalendar, now: datetime, *, half_day_entries: bool) -> str:
    """Today and the next sessions with their deadlines."""
    today = sessions.session_at(now)
    lines = ["today: " + ("closed" if today is None else _session(sessions, today, half_day_entries))]
    day = eastern(now).date()
    for _ in range(SHOWN_SESSIONS):
        session = sessions.next_session(day)
        day = session.day
        lines.append(f"{day:%a %d %b}: {_session(sessions, session, half_day_entries)}")
    return "\n".join(lines)


def _session(sessions: MarketCalendar, session: Session, half_day_entries: bool) -> str:
    half = sessions.is_half_day(session)
    ends = rungs(session, "TSLA", cutoff_flatten=True).entries_end
    entries = f"0DTE entries end {eastern(ends):%H:%M}"
    if half and not half_day_entries:
        entries = "no 0DTE entries"
    eod = session.close - EOD_BEFORE_CLOSE
    hours = f"{eastern(session.open):%H:%M}-{eastern(session.close):%H:%M} ET"
    return f"{hours}{' HALF DAY' if half else ''}, {entries}, EOD {eastern(eod):%H:%M}"


def health(facts: Facts) -> str:
    judged, reasons = verdict(facts)
    beats = ", ".join(f"{name} {age:.0f} s" for name, age in sorted(facts.heartbeats.items()))
    return "\n".join(
        [
            judged.upper(),
            *(f"  because {reason}" for reason in reasons),
            f"monitor {_age(facts.monitor_age_s)}, broker {_age(facts.broker_age_s)}, "
            f"data {_age(facts.data_age_s)}, database {'writes' if facts.db_writable else 'DOES NOT WRITE'}",
            f"order stream {_up(facts.stream_up)}, chat {_up(facts.chat_up)}",
            f"all positions watched: {'yes' if facts.all_positions_monitored else 'NOT PROVEN'}",
            f"last sign of life: {beats}",
        ]
    )


def config(settings: Settings) -> str:
    """Every setting; of a secret only whether it is set."""
    hidden = settings.secrets()
    lines = []
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        text = "" if value is None else str(value)
        secret = isinstance(value, SecretStr) or name.endswith(SECRET_ENDS)
        secret = secret or "@" in text or any(each in text for each in hidden)
        if secret:
            text = "(not set)" if value is None else "(set, not shown)"
        lines.append(f"{name.upper()}={text}")
    return "\n".join(lines)


SECRET_ENDS = ("_key", "_token", "_command", "_heartbeat_url", "_secret")
"""Of settings whose names end so, also an unset one is no open value."""


def version(facts: Facts) -> str:
    hours = facts.uptime_s / 3600
    return f"WSB Snake {facts.version}, {facts.mode}, up {hours:.1f} h since {_when(facts.started_at)}"


def _age(age: float | None) -> str:
    return "never" if age is None else f"{age:.0f} s"


def _up(state: bool | None) -> str:
    return "none" if state is None else "up" if state else "DOWN"


def _when(moment: datetime) -> str:
    return f"{eastern(moment):%d %b %H:%M} ET"
