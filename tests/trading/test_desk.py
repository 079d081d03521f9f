"""What the desk keeps in memory from one day to the next."""

from pathlib import Path

from tests.sim.bench import SPY_CALL, SPY_LATER
from tests.trading.world import world
from wsb_snake.core.signals import NO_EXITS
from wsb_snake.trading.alpaca_executor import alpaca_executor


def test_when_the_day_turns_only_what_is_held_is_remembered(tmp_path: Path) -> None:
    with world(tmp_path, "14:30") as w:
        kept = w.open(SPY_LATER, "later", NO_EXITS)
        w.open(SPY_CALL)
        w.price("1.40", "1.44")
        w.until(w.outcomes)
        gone = w.enter(SPY_CALL, "two")
        assert gone is not None
        alpaca_executor.cancel_open_orders()
        w.run(60)
        desk = w.desk
        desk.asked_at["entry"] = w.clock.now()
        assert desk.unwanted and SPY_CALL in desk.quote_seen_at and len(desk.durable) >= 3
        w.run(18.6 * 3600)  # past 09:00 of the next day
        assert desk.unwanted == set()
        assert set(desk.quote_seen_at) <= {SPY_LATER}
        assert set(desk.durable) == {o.client_order_id for o in desk.book.view.orders}
        assert desk.asked_at == {}
        assert [position.position_id for position in desk.book.view.positions] == [kept.position_id]
