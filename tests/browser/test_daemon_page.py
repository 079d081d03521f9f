"""The page of a real daemon on the embedded exchange: what it holds shows, what the owner asks is done."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.site import TOKEN, window
from tests.process.pair import Pair, pair, until
from wsb_snake.core.clock import eastern
from wsb_snake.core.signals import NO_EXITS
from wsb_snake.db.values import instant
from wsb_snake.trading.engine_plans import RUNNER_PLAN

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.timeout(240)

MORNING = "2026-11-24T11:00:00-05:00"
LATER = "SPY261218C00820000"


@pytest.fixture
def both(tmp_path: Path) -> Iterator[Pair]:
    with pair(tmp_path) as processes:
        yield processes


def test_the_owner_sees_pauses_and_sells(browser: "Browser", both: Pair) -> None:
    both.exchange(MORNING, f"{LATER}=2@14")
    both.run(WSB_SNAKE_CONTROL_TOKEN=TOKEN)
    both.monitored(1)
    url = both.log().split("health on ", 1)[1].split("/health")[0]
    with window(browser, url) as seen:
        seen.open()
        assert "2 × SPY 820 call 18 Dec" in seen.text("#position-list")
        seen.wait("document.querySelector('#headline').textContent === 'Trading'")
        seen.wait("document.querySelector('#curve canvas') !== null")
        seen.page.fill("#token", TOKEN)
        seen.page.click("text=Halt entries")
        seen.page.click("#confirm-yes")
        seen.wait("document.querySelector('#headline').textContent === 'Entries paused: manual'")
        assert "halted by the owner" in seen.text("#causes")
        assert both.health()["pause_reasons"] == ["manual"]
        row = f".pos[title='{LATER}']"
        seen.page.click(f"{row} >> text=Close")
        seen.page.wait_for_selector("#confirm[open]")
        assert f"This sells 2 × {LATER}" in seen.text("#confirm-text")
        seen.page.click("#confirm-yes")
        seen.page.wait_for_selector(row, state="detached")
        until(lambda: both.sold() == {LATER: 2}, "both were sold", every_s=1)
        seen.wait("document.querySelector('#trade-list').textContent.includes('SPY 820 call 18 Dec')")
        assert (seen.wrong, seen.foreign) == ([], [])
    assert TOKEN not in both.log()


def test_a_pause_of_half_an_hour_and_what_was_bought_by_hand(browser: "Browser", both: Pair) -> None:
    both.exchange(MORNING, f"{LATER}=2@14", "AAPL=100@290", "SPY261218P00820000=-1@60")
    both.run(WSB_SNAKE_CONTROL_TOKEN=TOKEN)
    both.monitored(1)
    url = both.log().split("health on ", 1)[1].split("/health")[0]
    with window(browser, url) as seen:
        seen.open()
        seen.page.fill("#token", TOKEN)
        seen.page.select_option("#pause-for", "30")
        seen.page.click(".pausing button")
        seen.page.click("#confirm-yes")
        seen.wait("document.querySelector('#said').textContent.startsWith('paused until')")
        seen.wait("document.querySelector('#causes').textContent.includes('(manual)')")
        ((until_utc,),) = both.rows("SELECT until FROM pauses WHERE reason = 'manual'")
        ends = f"{eastern(instant(until_utc)):%Y-%m-%d %H:%M} ET"
        assert f"paused by the owner until {ends}" in seen.text("#causes")
        assert "manual" in both.health()["pause_reasons"]
        seen.page.click("#verbs button >> text=Resume")
        seen.page.click("#confirm-yes")
        seen.wait("!document.querySelector('#causes').textContent.includes('(manual)')")
        assert "manual" not in both.health()["pause_reasons"]
        foreign = seen.text("#unmanaged-list")
        assert "100 × AAPL" in foreign and "−1 × SPY 820 put 18 Dec" in foreign
        row = f".pos[title='{LATER}']"
        seen.page.click(f"{row} >> text=Adopt as runner")
        seen.page.wait_for_selector("#confirm[open]")
        assert f"sell {LATER} runner (half off" in seen.text("#confirm-text")
        assert both.rows("SELECT plan FROM positions") == [(NO_EXITS.to_json(),)]
        seen.page.click("#confirm-yes")
        seen.page.wait_for_selector(f"{row} .strip", state="hidden")
        until(lambda: both.rows("SELECT plan FROM positions") == [(RUNNER_PLAN.to_json(),)], "it has exits")
        assert (seen.wrong, seen.foreign) == ([], [])
