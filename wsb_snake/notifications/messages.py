"""Events of the journal in plain English: what happened, what stops, what goes on, until when.

Pure: ``alerts_for`` depends on nothing but the event. Every time is US/Eastern and says so.
"""

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from wsb_snake.core.events import Event, EventKind
from wsb_snake.core.occ import SymbolError, parse
from wsb_snake.core.types import Right
from wsb_snake.notifications import trade_texts
from wsb_snake.notifications.daily_report import report
from wsb_snake.notifications.wording import (
    LOUD,
    Alert,
    Data,
    Words,
    clock_time,
    contract,
    et,
    listed,
    lot,
    money,
)
from wsb_snake.notifications.zero_greed_exit import condition_met

CUTOFF_NOTE = (
    "On a regular day 0DTE positions normally close at the cut-off (15:05 ET; SPY and QQQ 15:20 ET), while "
    "Alpaca certainly takes the order; the EOD close at 15:55 ET is the net beneath."
)
WHAT_GOES_ON = "New entries stop; open positions are watched and closed as usual."


def alerts_for(event: Event) -> tuple[Alert, ...]:
    """The alerts that ``event`` gives, none for most of the routine.

    An event whose data cannot be read still gives one, so that a defect here hides nothing.
    """
    write = _WRITERS.get(event.kind)
    if write is None:
        return ()
    try:
        words = write(event.data)
    except (LookupError, TypeError, ValueError, ArithmeticError) as error:
        words = (
            LOUD,
            (
                f"{event.kind.value}: this event could not be put into words ({type(error).__name__}); "
                f"it is number {event.seq} in the journal."
            ),
        )
    if words is None:
        return ()
    level, text = words
    return (Alert(event.kind.value, level, f"{text} ({clock_time(event.at)})"),)


# the daemon's own life


def _started(data: Data) -> Words:
    count = data["positions"]
    lines = [
        f"Started: WSB Snake {data['version']}, {data['mode']} account {data['account']}, "
        f"clock {data['clock']}.",
        f"{count} positions are open and watched." if count else "No position is open.",
        f"EOD at {et(data['eod_at_et'])}.",
        f"Limits: {listed(data['limits'])}.",
    ]
    if data.get("cutoff_note"):
        lines.append(str(data["cutoff_note"]))
    elif data.get("first_start"):
        lines.append(CUTOFF_NOTE)
    lines += [f"Warning: {warning}" for warning in data.get("warnings") or ()]
    return LOUD, "\n".join(lines)


def _awake(data: Data) -> Words:
    return LOUD, (
        f"awake: account {data['account']} ({data['mode']}), equity {money(data['equity'])}. "
        f"Limits: {listed(data['limits'])}. 0DTE entries end {et(data['zero_dte_entries_end_et'])}; "
        f"EOD at {et(data['eod_at_et'])}, session close {et(data['close_at_et'])}."
    )


def _stopped(data: Data) -> Words:
    count, today = data["positions"], data["expiring_today"]
    if not count:
        return LOUD, "stopped, no position is open."
    held = ", ".join(contract(symbol) for symbol in data["symbols"])
    return LOUD, (
        f"stopped, {count} positions unwatched, {today} expire today: {held}.\n"
        "To close them without the daemon: `python main.py flatten --direct` (what expires today) or "
        "`python main.py flatten all --direct` (everything). Or start the daemon again, which watches them "
        "at once; or sell them in Alpaca's own app."
    )


def _error(data: Data) -> Words:
    return LOUD, f"Error: {data['what']}: {data['detail']}"


# end of day


def _eod_ran(data: Data) -> Words:
    head = f"EOD close ran ({data['trigger']})."
    closing = data["closing"]
    if not closing:
        return LOUD, f"{head} No position expires today, nothing to close."
    return LOUD, f"{head} The executor is closing: {_lots(closing)}. The proof of flat follows."


def _eod_proven(data: Data) -> Words:
    return LOUD, (
        f"EOD {data['session']}: flat is proven. The broker shows no position and no open order in any "
        "contract that expires today."
    )


def _eod_withdrawn(data: Data) -> Words:
    symbols = ", ".join(contract(symbol) for symbol in data["symbols"])
    return LOUD, f"EOD: the proof of flat is withdrawn, the broker shows {symbols}. The close runs again."


def _eod_not_flat(data: Data) -> Words:
    again = "this is tried again until flat is proven or the session ends, and told each minute."
    if not data["open"]:
        return LOUD, (
            "EOD: flat is NOT PROVEN. No position expiring today is known here, but the broker has not yet "
            f"confirmed it twice; {again}"
        )
    lines = [f"{lot(item) if item['qty'] else item['symbol']}: {item['why']}" for item in data["open"]]
    return LOUD, "\n".join(
        ["EOD: NOT FLAT. Still held or unknown, expiring today:", *lines, f"Closing: {again}"]
    )


def _exercise(data: Data) -> Words:
    side = _exercise_side(data["symbol"])
    meaning = f"exercise {side} {data['shares']} shares for {money(data['dollars'])}"
    if data["in_the_money"] is None:
        state = f"may be in the money, no price of its underlying is known. In the money at expiry: {meaning}"
    elif data["in_the_money"]:
        state = f"is IN the money. Held to expiry it is exercised: {meaning}"
    else:
        state = f"is out of the money now and would expire worthless. Should it end in the money: {meaning}"
    return LOUD, (
        f"Exercise warning: {lot(data)} {state}. The executor goes on closing; only a do-not-exercise "
        f"instruction at Alpaca prevents an exercise: /dne {data['symbol']} and a tap give it."
    )


def _dne_taken(data: Data) -> Words:
    return LOUD, f"Do-not-exercise: the broker took the instruction for {contract(data['symbol'])}."


def _dne_refused(data: Data) -> Words:
    return LOUD, f"Do-not-exercise for {contract(data['symbol'])} did NOT go through: {data['why']}."


def _exercise_side(symbol: str) -> str:
    try:
        return "buys" if parse(symbol).right is Right.CALL else "sells"
    except SymbolError:
        return "trades"


def _daily_report(data: Data) -> Words:
    return LOUD, report(data)


def _lots(items: list[dict[str, Any]]) -> str:
    return ", ".join(lot(item) for item in items)


# pauses and what is not ours


_PAUSES: Mapping[str, tuple[str, str, str]] = MappingProxyType(
    {  # reason: what happened, until when, what is over
        "alpaca": (
            "Alpaca keeps failing",
            "until the calls that failed succeed again, or one probe does after the wait. While Alpaca does "
            "not answer, closing orders are tried until it does",
            "Alpaca answers again",
        ),
        "data": (
            "market data are stale or failing",
            "until data are fresh again",
            "market data are fresh again",
        ),
        "stream": (
            "the order stream is down",
            "until it is back and the books agree; fills are polled meanwhile",
            "the order stream is back",
        ),
        "journal": (
            "the database cannot be written",
            "until it takes writes again",
            "the database takes writes again",
        ),
        "clock": (
            "this machine's clock disagrees with the broker's",
            "until they agree",
            "the clocks agree again",
        ),
        "calendar": (
            "the market calendars disagree or are missing",
            "until they agree",
            "the market calendars agree again",
        ),
        "reconcile": (
            "the broker's books and ours disagree",
            "until everything is explained",
            "the books agree again",
        ),
        "manual": ("you asked for it", "until you send resume", "you sent resume"),
        "daily_loss": (
            "the daily loss limit is reached",
            "until the next session",
            "a new session has begun",
        ),
        "eod": ("the end of day has come", "until the next session", "a new session has begun"),
    }
)

_COUNTED: Mapping[str, str] = MappingProxyType({"alpaca": "Alpaca", "data": "market data"})


def stays_paused(reasons: Iterable[str]) -> str:
    """Pauses that the owner's resume does not lift, each with its cause and its end."""
    unknown = ("it is set", "until its cause is gone")
    told = ((reason, *_PAUSES.get(reason, unknown)[:2]) for reason in reasons)
    return "; ".join(f"{reason} ({what}, {until})" for reason, what, until in told)


def _paused(data: Data) -> Words:
    reason, count = str(data["reason"]), data.get("count")
    what, until, _ = _PAUSES.get(reason, (reason, "until it is resumed", reason))
    if data.get("until") is not None:
        until = f"until {et(data['until'])}, or until you send resume"
    if count is not None:
        what = f"{count} consecutive {_COUNTED.get(reason, reason)} failures"
    detail = f" ({data['detail']})" if data.get("detail") else ""
    goes_on = data.get("goes_on") or WHAT_GOES_ON
    return LOUD, f"Trading paused: {what}.{detail} {goes_on} This lasts {until}.{_probe(data)}"


def _probe(data: Data) -> str:
    """When the first probe may pass, and whether that wait is a doubled one."""
    if data.get("wait_s") is None:
        return ""
    doubled = " (doubled: it is the second time within 30 minutes)" if data.get("doubled") else ""
    return f" The wait is {float(data['wait_s']) / 60:.0f} minutes{doubled}."


def _resumed(data: Data) -> Words:
    reason = str(data["reason"])
    _, _, over = _PAUSES.get(reason, (reason, "", f"{reason} is over"))
    over = str(data.get("detail") or over)
    return LOUD, f"Pause lifted: {over}. New entries may go unless another pause is on (see status)."


def _foreign(data: Data) -> Words:
    items = ", ".join(f"{item['qty']} × {contract(item['symbol'])}, {item['kind']}" for item in data["items"])
    return LOUD, (
        f"In the account, but never traded by the daemon: {items}. New entries stop until this is settled; "
        "please settle it at the broker. Open positions of ours are watched and closed as usual."
    )


def _stranger(data: Data) -> Words:
    return LOUD, (
        f"A stranger wrote to this bot: user {data['user']} in chat {data['chat']}. It got no answer and "
        "nothing was done. Only TELEGRAM_CHAT_ID and TELEGRAM_USER_ID are heard. This is told once a day "
        f"for each stranger, for {data['most']} of them at most."
    )


_WRITERS: Mapping[EventKind, Callable[[Data], Words | None]] = MappingProxyType(
    {
        EventKind.STARTED: _started,
        EventKind.AWAKE: _awake,
        EventKind.STOPPED: _stopped,
        EventKind.ENTRY_SENT: trade_texts.entry_sent,
        EventKind.ENTRY_ENDED: trade_texts.entry_ended,
        EventKind.FILL: trade_texts.fill,
        EventKind.POSITION_OPENED: trade_texts.opened,
        EventKind.POSITION_ADOPTED: trade_texts.adopted,
        EventKind.EXIT_CONDITION: condition_met,
        EventKind.EXIT_SENT: trade_texts.exit_sent,
        EventKind.EXIT_ENDED: trade_texts.exit_ended,
        EventKind.POSITION_CLOSED: trade_texts.closed,
        EventKind.ORDER_RECOVERED: trade_texts.recovered,
        EventKind.EOD_RAN: _eod_ran,
        EventKind.EOD_PROVEN: _eod_proven,
        EventKind.EOD_PROOF_WITHDRAWN: _eod_withdrawn,
        EventKind.EOD_NOT_FLAT: _eod_not_flat,
        EventKind.EXERCISE_WARNING: _exercise,
        EventKind.DNE_TAKEN: _dne_taken,
        EventKind.DNE_REFUSED: _dne_refused,
        EventKind.PAUSED: _paused,
        EventKind.RESUMED: _resumed,
        EventKind.FOREIGN_RISK: _foreign,
        EventKind.NO_QUOTE: trade_texts.no_quote,
        EventKind.STRANGER: _stranger,
        EventKind.ERROR: _error,
        EventKind.DAILY_REPORT: _daily_report,
    }
)
