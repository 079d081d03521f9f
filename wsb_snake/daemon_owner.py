"""The owner's verbs, done: each once, whatever way it came. Nothing here calls the broker."""

from datetime import timedelta

from wsb_snake.core.clock import eastern
from wsb_snake.notifications.messages import stays_paused
from wsb_snake.trading.alpaca_executor import AlpacaExecutor
from wsb_snake.trading.owners_exits import give_exits, words

KEPT_WITHIN_S = 1.0  # the owner waits 3 s for an answer


class CommandRefused(Exception):
    """What the owner asked cannot be done; the text is one line."""


def do(executor: AlpacaExecutor, verb: str, argument: str | None) -> str:
    """One line about what was done. Raises CommandRefused, and OSError where the disk refuses.

    ``argument`` is checked already: see ``owner/commands``.
    """
    desk = executor.desk
    if verb == "halt":
        return _halt(executor)
    if verb == "pause":
        return _pause(executor, argument)
    if verb == "adopt":
        return _adopt(executor, argument or "")
    if verb == "resume":
        _take_halt_file_away(executor)
        mine = "your pause is lifted" if desk.pauses.clear("manual") else "there was no pause of yours"
        executor.end_flatten()
        left = stays_paused(pause.reason for pause in desk.pauses.listed())
        if left:
            return f"resumed: {mine}; resume lifts no other. Entries stay paused by {left}"
        return f"resumed: {mine}, entries may go"
    if verb == "flatten":
        claimed = executor.close_all() if argument == "all" else executor.close_all_0dte_positions()
        _read_again(executor)
        if not desk.ready:
            return (
                f"closing {claimed} positions; the broker has not been read yet, what it shows then too, "
                "unless that comes more than 10 minutes later"
            )
        if not claimed:
            return (
                "nothing to close, or it is being closed already; the broker is read again, "
                "and what it shows only then is closed too: see status"
            )
        return (
            f"closing {claimed} positions, and what the broker shows only when it is read again; "
            "watch status until they are gone"
        )
    if verb == "close":
        asked = (argument or "").split()
        named = {p.symbol for p in executor.get_options_positions() if {p.symbol, p.underlying} & set(asked)}
        claimed = sum(executor.close_position(symbol) for symbol in sorted(named))
        _read_again(executor)
        return f"closing {claimed} positions in {argument}"
    if verb == "eod":
        executor.run_eod_check("owner")
        return "EOD check ran"
    if verb == "cancel":
        return executor.cancel_open_orders().text()
    if verb == "dne":
        why_not = executor.do_not_exercise(argument or "")
        if why_not is not None:
            raise CommandRefused(why_not)
        return f"do-not-exercise for {argument} is on its way; the broker's answer comes as an alert"
    raise CommandRefused("the daemon knows no such verb")


def tend(executor: AlpacaExecutor) -> None:
    """End a pause whose time is over; a halt file that was made by hand becomes a pause that shows."""
    desk = executor.desk
    if desk.halted():
        desk.pauses.hold("manual", "the file halt is in the data directory", None)
    desk.pauses.end_those_over()


def _pause(executor: AlpacaExecutor, minutes: str | None) -> str:
    desk = executor.desk
    until = None if minutes is None else desk.now() + timedelta(minutes=int(minutes))
    ends = "" if until is None else f" until {eastern(until):%Y-%m-%d %H:%M} ET"
    held = desk.pauses.hold("manual", f"paused by the owner{ends}", until)
    if held.until is None:
        what = "paused until you send resume" if until is None else "already paused until you send resume"
    else:
        what = f"paused until {eastern(held.until):%Y-%m-%d %H:%M} ET"
    lost = (
        "" if desk.pauses.kept(KEPT_WITHIN_S) else ", but not yet across a restart (the disk is slow or full)"
    )
    return f"{what}{lost}: no new entries; open positions are watched and closed as usual"


def _adopt(executor: AlpacaExecutor, argument: str) -> str:
    symbol, _, kind = argument.partition(" ")
    if not give_exits(executor.desk, symbol, kind):
        raise CommandRefused(f"{symbol} has exits already, or is gone")
    return f"{symbol} has exits: {words(executor.desk.ports.settings, kind)}"


def _halt(executor: AlpacaExecutor) -> str:
    desk = executor.desk
    desk.pauses.hold("manual", "halted by the owner", None)
    try:
        desk.halt_file.make().result(KEPT_WITHIN_S)
    except TimeoutError:
        return "halted, but not yet across a restart (the disk does not answer): no new entries"
    except OSError as error:
        return f"halted, but not across a restart ({error.strerror}): no new entries"
    return "halted: no new entries; open positions are watched and closed as usual"


def _take_halt_file_away(executor: AlpacaExecutor) -> None:
    try:
        executor.desk.halt_file.take_away().result(KEPT_WITHIN_S)
    except TimeoutError:
        raise CommandRefused(
            "still paused: the disk does not answer, so the file halt may be there; send it again"
        ) from None


def _read_again(executor: AlpacaExecutor) -> None:
    """Have the broker read at once: the owner waits for what it shows."""
    executor.desk.pollers.positions.ask()
    executor.desk.pollers.orders.ask()
