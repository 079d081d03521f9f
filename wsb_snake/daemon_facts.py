"""The facts of a running daemon, read from memory only: no lock, no database, no network."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from wsb_snake import __version__
from wsb_snake.collectors.market_data import MarketData
from wsb_snake.config import Settings
from wsb_snake.core.calendar import Session
from wsb_snake.core.clock import eastern_date, eastern_text
from wsb_snake.core.health import Facts, PositionFacts, Unmanaged
from wsb_snake.core.heartbeats import Heartbeats
from wsb_snake.core.occ import parse
from wsb_snake.db.database import Database
from wsb_snake.trading.alpaca_executor import AlpacaExecutor
from wsb_snake.trading.broker import Account
from wsb_snake.trading.desk import Desk
from wsb_snake.trading.eod_guard import EOD_BEFORE_CLOSE, rungs
from wsb_snake.trading.exits import too_early, trail_price
from wsb_snake.trading.flattening import at_broker
from wsb_snake.trading.owners_exits import RUNNER, SCALP, sold_at_once, without_exits, words
from wsb_snake.trading.positions import Position
from wsb_snake.trading.reconciler import LACKING, unmanaged


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the facts are."""

    executor: AlpacaExecutor
    settings: Settings
    market: MarketData
    database: Database
    heartbeats: Heartbeats
    chat_up: bool | None
    account: Account | None
    started_at: datetime
    monitor_at: datetime | None
    warnings: tuple[str, ...]


def gather(sources: Sources) -> Facts:
    """What is true now."""
    desk, settings = sources.executor.desk, sources.settings
    now = desk.now()
    account = desk.pollers.account.latest
    reading = desk.pollers.positions.latest
    shown = at_broker(desk)
    reasons = tuple((pause.reason, pause.detail) for pause in desk.pauses.listed())
    alone = _unmanaged(desk)
    untouchable = frozenset(each.symbol for each in alone if each.why != LACKING)
    return Facts(
        mode=settings.mode,
        snake_running=True,
        started_at=sources.started_at,
        now=now,
        version=__version__,
        account=None if sources.account is None else sources.account.number,
        feeds={"options": settings.alpaca_option_feed, "stocks": settings.alpaca_stock_feed},
        session=desk.session(),
        market_open=desk.in_session(),
        next_eod_at=_next_eod(desk, now),
        last_eod_run_et=None if desk.last_eod_run_at is None else eastern_text(desk.last_eod_run_at),
        eod_flat_proven=desk.eod is not None and desk.eod.proven_at is not None,
        eod_due_not_proven_s=_eod_overdue(desk, now),
        positions=tuple(_position(desk, p, untouchable) for p in desk.book.view.watched()),
        broker_positions=None
        if reading is None
        else sum(1 for p in reading.value if p.is_option and p.qty > 0),
        all_positions_monitored=sources.executor.all_positions_monitored(),
        broker_read_at=None if shown is None else shown.begun_at,
        broker_open=() if shown is None else shown.open_symbols,
        trading_paused=bool(reasons),
        pause_reasons=reasons,
        heartbeats=_signs_of_life(sources, desk, now),
        monitor_age_s=None if sources.monitor_at is None else (now - sources.monitor_at).total_seconds(),
        broker_age_s=desk.broker_age_s(),
        clock_skew_s=desk.clock_skew_s,
        data_age_s=sources.market.data_age_s(now),
        stream_up=desk.stream_up,
        chat_up=sources.chat_up,
        db_writable=sources.database.writable(),
        db_waiting_s=sources.database.oldest_waiting_s(),
        limits={"all": desk.limits.text()},
        warnings=sources.warnings,
        equity=None if account is None else account.value.equity,
        day_pnl=sources.executor.day_pnl(),
        last_event=desk.book.last_event,
        eod_withdrawn_at=None if desk.eod is None else desk.eod.withdrawn_at,
        eod_withdrawn_for=() if desk.eod is None else desk.eod.withdrawn_for,
        unmanaged=alone,
        exit_kinds={kind: words(settings, kind) for kind in (RUNNER, SCALP)},
    )


def _unmanaged(desk: Desk) -> tuple[Unmanaged, ...]:
    reading = desk.pollers.positions.latest
    if reading is None:
        return ()
    found = unmanaged(desk.book.view, reading.value, reading.begun_at)
    return tuple(Unmanaged(item.symbol, item.qty, item.kind) for item in found)


def _signs_of_life(sources: Sources, desk: Desk, now: datetime) -> dict[str, float]:
    """Every lane's last beat, each poller's last answered question, and the oldest job of the others."""
    polled = {f"poll-{poller.name}": poller.age_s(now) for poller in desk.pollers.all()}
    return {
        **sources.heartbeats.ages(),
        **{name: age for name, age in polled.items() if age is not None},
        "senders": desk.senders.oldest_s(),
        "db-writer": sources.database.oldest_waiting_s(),
    }


def _position(desk: Desk, position: Position, untouchable: frozenset[str]) -> PositionFacts:
    quote = desk.board.get(position.symbol)
    two_sided = quote is not None and quote.two_sided
    mid: Decimal | None = quote.mid if quote is not None and two_sided else None
    hold, session = position.plan.max_hold_s, desk.session()
    bare = without_exits(position) and position.symbol not in untouchable
    return PositionFacts(
        position_id=position.position_id,
        symbol=position.symbol,
        underlying=position.underlying,
        engine=position.engine,
        origin=position.origin,
        state=position.state,
        qty=position.qty,
        entry_price=position.entry_price,
        bid=None if quote is None else quote.bid,
        ask=None if quote is None else quote.ask,
        mid=mid,
        unrealised=None if mid is None else position.unrealised(mid),
        target_price=position.target_price,
        stop_price=position.stop_price,
        trail_price=trail_price(position, position.watch),
        time_exit_at=None if hold is None else position.opened_at + timedelta(seconds=hold),
        day_end_at=_day_end(desk, position),
        opened_at=position.opened_at,
        monitored=desk.may_close,
        needs_exits=bare,
        sold_if_adopted=sold_at_once(desk.ports.settings, position, quote, desk.now()) if bare else {},
        quotes_wait=session is not None and too_early(position, desk.now(), session.open),
    )


def _day_end(desk: Desk, position: Position) -> datetime | None:
    session = desk.session()
    if session is None or position.expiry != session.day:
        return None
    steps = rungs(session, position.underlying, desk.settings.wsb_snake_cutoff_flatten)
    return steps.eod if steps.cutoff is None else steps.cutoff


def _next_eod(desk: Desk, now: datetime) -> datetime | None:
    session = desk.session()
    if session is None or now >= session.close - EOD_BEFORE_CLOSE:
        session = desk.calendar.next_session(eastern_date(now))
    return session.close - EOD_BEFORE_CLOSE


def _eod_overdue(desk: Desk, now: datetime) -> float | None:
    """Seconds since today's EOD time while flat is not proven; after the close while 0DTE still stands."""
    session = desk.session()
    if session is None or now < session.close - EOD_BEFORE_CLOSE:
        return None
    if desk.eod is not None and desk.eod.day == session.day and desk.eod.proven_at is not None:
        return None
    if now >= session.close and not _stands(desk, session):
        return None
    return (now - (session.close - EOD_BEFORE_CLOSE)).total_seconds()


def _stands(desk: Desk, session: Session) -> bool:
    """Whether book or broker shows a long option that expires today."""
    if any(p.expiry == session.day for p in desk.book.view.watched()):
        return True
    reading = desk.pollers.positions.latest
    held = () if reading is None else reading.value
    return any(p.is_option and p.qty > 0 and parse(p.symbol).expiry == session.day for p in held)
