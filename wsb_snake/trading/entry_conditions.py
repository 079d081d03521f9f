"""What must hold while an entry is decided, waits for its send, and works at the broker."""

from datetime import date

from wsb_snake.config import Settings
from wsb_snake.core.orders import PositionState
from wsb_snake.trading.desk import BROKER_STALE_S, Desk
from wsb_snake.trading.eod_guard import rungs
from wsb_snake.trading.positions import Position


def blind(desk: Desk) -> str | None:
    """Why we don't know enough of the broker or of the prices to open anything."""
    if not desk.ready:
        return "not reconciled with the broker yet"
    if not quotes_serve(desk.settings):
        return "live entries need real option quotes: ALPACA_OPTION_FEED=opra"
    if not desk.stream_up:
        return "the trade stream is down"
    return None if desk.broker_fresh() else f"the broker's state is older than {BROKER_STALE_S:.0f} s"


def quotes_serve(settings: Settings) -> bool:
    """Whether the option quotes are good enough to open something with the account's money."""
    real = settings.alpaca_option_feed == "opra" or settings.wsb_snake_allow_indicative
    return real or settings.mode != "live"


def out_of_hours(desk: Desk, symbol: str, underlying: str, expiry: date) -> str | None:
    """Why the present moment is none to open something in this contract."""
    session = desk.session()
    if session is None or not desk.in_session():
        return "the market is closed"
    if expiry < session.day:
        return f"{symbol} has expired"
    if expiry > session.day:
        return None
    if desk.calendar.is_half_day(session) and not desk.settings.wsb_snake_half_day_entries:
        return "0DTE entries are off on half days"
    if desk.eod is not None and desk.eod.day == session.day and desk.eod.ran_at is not None:
        return "the EOD close has run"
    return "0DTE entries have ended for today" if _ended(desk, underlying) else None


def unwanted(desk: Desk, position: Position) -> str | None:
    """Why a working entry must be cancelled at once, and a planned one not be sent."""
    if position.state is PositionState.EXITING:
        return "an exit is decided"
    if position.position_id in desk.unwanted:
        return "the owner closes everything"
    session = desk.session()
    if session is None or position.expiry != session.day:
        return None
    return "0DTE entries have ended" if _ended(desk, position.underlying) else None


def _ended(desk: Desk, underlying: str) -> bool:
    """Whether 0DTE entries have ended for today."""
    session = desk.session()
    if session is None:
        return True
    return desk.now() >= rungs(session, underlying, desk.settings.wsb_snake_cutoff_flatten).entries_end
