"""What a whole pipeline asks of the vendors, and what it does when they give little."""

from datetime import timedelta
from pathlib import Path

import pytest

from tests.hunting.pipeline_room import EVERY_NAME, Room
from wsb_snake.collectors.alpaca_data import REQUESTS_A_MINUTE
from wsb_snake.collectors.market_data import DataUnavailable
from wsb_snake.config import ENGINES
from wsb_snake.core.clock import eastern_date

SLOW = frozenset(ENGINES) - {"spy_scalper"}
SCALPER = frozenset({"spy_scalper"})
REQUESTS = 6
"""Beside one for each underlying whose chain is older than ten minutes."""


def test_a_pipeline_over_every_name_stays_within_its_requests(tmp_path: Path) -> None:
    room = Room(tmp_path)
    first = room.pass_of(SLOW, room.at(timedelta(hours=4, seconds=5)))  # with the history of the day
    assert sum(n for path, n in first.requests.items() if not path.startswith("v3/")) <= REQUESTS_A_MINUTE / 2
    assert first.requests.total() <= REQUESTS + len(first.look.view.chains)  # no chain has a second page
    assert len(first.look.view.sessions["SPY"]) == 14
    before = first.look.view.previous
    assert before is not None and before.close < room.session.open
    assert {eastern_date(days[-1].start) for days in first.look.view.daily.values()} == {before.day}
    again = room.pass_of(SLOW, room.at(timedelta(hours=4, minutes=10, seconds=5)))
    chains = {name for name in EVERY_NAME if again.requests[f"v1beta1/options/snapshots/{name}"]}
    assert again.requests.total() <= REQUESTS + len(chains)
    assert again.requests.total() <= REQUESTS_A_MINUTE / 2
    assert set(again.look.view.chains) == {n for n in EVERY_NAME if again.look.view.bars.get(n)}
    soon = room.pass_of(SLOW, room.at(timedelta(hours=4, minutes=11, seconds=5)))  # every chain is young
    assert soon.requests.total() <= REQUESTS


def test_a_pass_knows_the_chains_of_the_one_before(tmp_path: Path) -> None:
    """So that options count in the minutes that it goes through, not in its last one alone."""
    room = Room(tmp_path)
    first = room.pass_of(SLOW, room.at(timedelta(hours=4, seconds=5))).look.view
    room.pass_of(SCALPER, room.at(timedelta(hours=4, minutes=5, seconds=2)))
    second = room.pass_of(SLOW, room.at(timedelta(hours=4, minutes=10, seconds=5))).look.view
    assert first.chains and not first.earlier_chains
    assert second.earlier_chains == first.chains
    assert all(second.chains[name].at > chain.at for name, chain in first.chains.items())


def test_a_scanner_pass_is_one_request(tmp_path: Path) -> None:
    room = Room(tmp_path)
    room.pass_of(SCALPER, room.at(timedelta(hours=1, seconds=2)))
    assert room.pass_of(SCALPER, room.at(timedelta(hours=1, minutes=1, seconds=2))).requests.total() == 1
    assert room.pass_of(SCALPER, room.at(timedelta(hours=1, minutes=1, seconds=32))).requests.total() == 0


def test_what_does_not_come_is_named_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = Room(tmp_path)

    def broken(*_: object) -> None:
        raise DataUnavailable("503")

    for kind in ("news", "daily_bars", "pressure_chain"):
        monkeypatch.setattr(room.market, kind, broken)
    made = room.pass_of(SLOW, room.at(timedelta(hours=4, seconds=5)))
    assert made.look.view.bars["SPY"] and made.look.view.news == {} and made.look.view.chains == {}
    assert "no news: 503" in made.look.lacks
    assert "no daily bars: 503" in made.look.lacks
    monkeypatch.setattr(room.market, "bars", broken)
    with pytest.raises(DataUnavailable, match="503"):
        room.pass_of(SLOW, room.at(timedelta(hours=4, minutes=1, seconds=5)))


def test_where_nobody_tells_vix_the_chain_of_spy_gives_a_proxy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = Room(tmp_path)
    monkeypatch.setattr(room.market, "vix", lambda _: None)
    look = room.pass_of(frozenset({"orchestrator"}), room.at(timedelta(hours=1, seconds=5))).look
    assert look.view.vix is None
    assert look.vix_proxy is not None and 5 < look.vix_proxy < 80


def test_bars_of_the_fallback_are_not_compared_with_the_volumes_of_the_primary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = Room(tmp_path)
    slow = frozenset({"momentum_engine", "institutional_scalper"})
    well = room.pass_of(slow, room.at(timedelta(hours=2, seconds=5))).look
    assert well.view.daily_compares and well.view.sessions_compare
    primary = room.market._failover.sources[0]

    def broken(*_: object) -> None:
        raise DataUnavailable("503")

    monkeypatch.setattr(primary, "bars", broken)
    look = room.pass_of(slow, room.at(timedelta(hours=2, minutes=1, seconds=5))).look
    assert look.view.feed != primary.name
    assert (look.view.daily_feed, look.view.sessions_feed) == (primary.name, primary.name)
    assert not look.view.daily_compares and not look.view.sessions_compare
    assert sum("their volumes are not compared" in lack for lack in look.lacks) == 2
