"""What must hold while an entry is decided."""

from pathlib import Path

import pytest

from tests.trading.world import world
from wsb_snake.config import Settings
from wsb_snake.trading import entry_conditions
from wsb_snake.trading.entry_conditions import quotes_serve


@pytest.mark.parametrize(
    ("live", "feed", "allowed", "serve"),
    [
        (False, "indicative", False, True),
        (True, "opra", False, True),
        (True, "indicative", False, False),
        (True, "indicative", True, True),
    ],
)
def test_live_entries_need_real_option_quotes(live: bool, feed: str, allowed: bool, serve: bool) -> None:
    settings = Settings(
        _env_file=None,
        alpaca_live_trading=live,
        alpaca_account_number="PA1",
        alpaca_option_feed=feed,
        wsb_snake_allow_indicative=allowed,
    )
    assert settings.mode == ("live" if live else "paper")
    assert quotes_serve(settings) is serve


def test_quotes_that_do_not_serve_refuse_entries_and_no_exit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world(tmp_path) as w:
        w.open()
        monkeypatch.setattr(entry_conditions, "quotes_serve", lambda settings: False)
        assert w.enter(signal_id="two") is None
        assert w.refusals()[-1] == "live entries need real option quotes: ALPACA_OPTION_FEED=opra"
        w.price("1.50", "1.55")
        w.until(lambda: w.held() == 0, 20)
