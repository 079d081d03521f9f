"""The page in each state, at the width of a phone and of a desk, in both colours. The pictures are left in
pytest's temporary folder, to be looked at."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser import books
from tests.browser.site import TOKEN, Site, window
from wsb_snake.core.health import Unmanaged

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PHONE = {"viewport": {"width": 360, "height": 740}, "device_scale_factor": 2, "has_touch": True}
DESK = {"viewport": {"width": 1360, "height": 900}}

STATES: dict[str, dict[str, Any]] = {
    "empty": {
        "facts": books.day(
            books.OPEN - timedelta(minutes=40),
            market_open=False,
            day_pnl=None,
            last_event="",
            data_age_s=None,
        )
    },
    "open": {
        "facts": books.day(positions=books.holding(4), broker_positions=4),
        "trades": 60,
        "curve": books.curve(),
        "bars": books.minutes,
        "token": TOKEN,
    },
    "paused": {
        "facts": books.day(
            positions=books.holding(2),
            broker_positions=2,
            trading_paused=True,
            pause_reasons=(
                ("alpaca", "5 consecutive Alpaca failures (orders: time-out); next try at 12:26:10 ET"),
                ("manual", "halted by the owner"),
            ),
            chat_up=False,
            broker_age_s=41.0,
            warnings=("the option feed is indicative: quotes are not the market's own",),
        ),
        "trades": 30,
        "curve": books.curve(),
        "bars": books.minutes,
        "token": TOKEN,
    },
    "foreign": {
        "facts": books.day(
            positions=(*books.holding(2), books.by_hand()),
            broker_positions=4,
            all_positions_monitored=False,
            trading_paused=True,
            pause_reasons=(
                ("manual", "paused by the owner until 2026-11-24 12:41 ET"),
                ("reconcile", "shares and a short option at the broker"),
            ),
            unmanaged=(
                Unmanaged("AAPL", Decimal(100), "shares"),
                Unmanaged("QQQ261218C00640000", Decimal(3), "not in the book yet"),
                Unmanaged("SPY261218C00640000", Decimal(-1), "short option"),
            ),
        ),
        "trades": 30,
        "curve": books.curve(),
        "bars": books.minutes,
        "token": TOKEN,
    },
    "eod": {
        "facts": books.day(
            books.EOD + timedelta(seconds=38),
            positions=tuple(replace(held, state="closing") for held in books.holding(1)),
            broker_positions=1,
            day_pnl=Decimal("479.98"),
            equity=Decimal("25479.98"),
            eod_flat_proven=False,
            eod_due_not_proven_s=38.0,
            last_eod_run_et="2026-11-24T15:55:00",
            trading_paused=True,
            pause_reasons=(("eod", "0DTE entries have ended for today"),),
        ),
        "trades": 30,
        "curve": books.curve(books.EOD),
        "bars": lambda symbol: books.minutes(symbol, books.EOD),
    },
    "many": {
        "facts": books.day(positions=books.holding(50), broker_positions=50),
        "trades": 500,
        "curve": books.curve(),
        "bars": books.minutes,
        "token": TOKEN,
    },
}


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
@pytest.mark.parametrize("state", STATES)
def test_the_page_fits_and_is_whole_in_every_state(
    browser: "Browser",
    serve: Callable[..., Site],
    tmp_path_factory: pytest.TempPathFactory,
    state: str,
    size: dict[str, Any],
) -> None:
    site = serve(**STATES[state])
    folder = tmp_path_factory.getbasetemp() / "screenshots"
    folder.mkdir(exist_ok=True)
    name = f"{state}-{'phone' if size is PHONE else 'desk'}"
    with window(browser, site, **size, color_scheme="light") as seen:
        seen.open()
        seen.page.screenshot(path=folder / f"{name}-light.png", full_page=True)
        seen.page.emulate_media(color_scheme="dark")
        seen.page.wait_for_timeout(200)
        seen.page.screenshot(path=folder / f"{name}-dark.png", full_page=True)
        width = seen.page.evaluate("document.documentElement.scrollWidth")
        assert width <= size["viewport"]["width"], "nothing hangs over the edge"
        assert (seen.wrong, seen.foreign) == ([], [])
