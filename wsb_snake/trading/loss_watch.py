"""The watch over the day's loss: at the limit no entry is allowed until the next session."""

from functools import partial

from wsb_snake.trading import day_worth
from wsb_snake.trading.desk import Desk


def check(desk: Desk) -> None:
    """Pause entries when the day's loss has reached its limit. Outside the session no quote says so."""
    session, account, view = desk.session(), desk.pollers.account.latest, desk.book.view
    if session is None or account is None or not desk.in_session():
        return
    start = desk.day_start()
    if desk.worth.look(view, desk.board.get, desk.now(), session.open, start) and desk.loaded:
        save(desk)
    loss, allowed = desk.worth.sure_loss(view, start), desk.limits.daily_loss(account.value.equity)
    if loss >= allowed > 0:
        desk.pauses.set("daily_loss", f"the day's loss is ${loss:.2f}, the limit ${allowed:.2f}")


def save(desk: Desk) -> None:
    """Keep what the day's result counts from."""
    text = desk.worth.text()
    desk.ports.database.transact(partial(day_worth.save, text=text), urgent=True)
