"""The page of a real daemon on the embedded exchange: what it holds shows, what the owner asks is done."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.site import TOKEN, window
from tests.process.pair import Pair, pair, until

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
        seen.page.click("text=Pause entries")
        seen.page.click("#confirm-yes")
        seen.wait("document.querySelector('#headline').textContent === 'Entries paused: manual'")
        assert "halted by the owner" in seen.text("#causes")
        assert both.health()["pause_reasons"] == ["manual"]
        row = f".pos[title='{LATER}']"
        seen.page.click(f"{row} button")
        seen.page.wait_for_selector("#confirm[open]")
        assert f"This sells 2 × {LATER}" in seen.text("#confirm-text")
        seen.page.click("#confirm-yes")
        seen.page.wait_for_selector(row, state="detached")
        until(lambda: both.sold() == {LATER: 2}, "both were sold", every_s=1)
        seen.wait("document.querySelector('#trade-list').textContent.includes('SPY 820 call 18 Dec')")
        assert (seen.wrong, seen.foreign) == ([], [])
    assert TOKEN not in both.log()
