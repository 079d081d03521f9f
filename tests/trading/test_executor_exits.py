"""The one executor on the embedded exchange: from the entry fill to the last sale."""

from pathlib import Path

from tests.trading.world import world


def test_a_target_by_the_bid_closes_at_the_exchanges_fill(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        position = w.open()
        (opened,) = w.events("position_opened")
        assert opened["entry_price"] == "1.05"
        w.price("1.25", "1.35")
        w.run(10)
        assert w.exits == []
        w.price("1.26", "1.40")
        w.until(lambda: w.outcomes())
        (sale,) = w.own("sell")
        (outcome,) = w.outcomes()
        print(outcome, opened, w.wall)
