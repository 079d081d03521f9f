"""The watch over the day's loss: at the limit no entry is allowed until the next session."""

from functools import partial

from wsb_snake.trading import day_worth
from wsb_snake.trading.book import BookView
from wsb_snake.trading.desk import Desk


def begin_day(desk: Desk, view: BookView) -> None:
    """When the day has turned: what ``view`` holds from before was brought into it."""
    if desk.worth.begin(view, desk.today(), desk.day_start()):
        _save(desk)


def check(desk: Desk) -> None:
    """Pause entries when the day's loss has reached its limit. Outside the session no quote says so."""
    session, account, view = desk.session(), desk.pollers.account.latest, desk.book.view
    if session is None or account is None or not desk.in_session():
        return
    start = desk.day_start()
    if desk.worth.look(view, desk.board.get, desk.now(), session.open, start):
        _save(desk)
    loss, allowed = desk.worth.sure_loss(view, start), desk.limits.daily_loss(account.value.equity)
    if loss >= allowed > 0:
        desk.pauses.set("daily_loss", f"the day's loss is ${loss:.2f}, the limit ${allowed:.2f}")


def _save(desk: Desk) -> None:
    text = desk.worth.text()
    desk.ports.database.transact(partial(day_worth.save, text=text), urgent=True)
