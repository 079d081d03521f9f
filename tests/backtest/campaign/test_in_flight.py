"""What counts as under way."""

from pathlib import Path

from tests.trading.world import Trouble, World, world
from wsb_snake.backtest.campaign.in_flight import IDLE, InFlightReader
from wsb_snake.core.orders import ExitReason
from wsb_snake.sim.fault_plan import InFlight
from wsb_snake.trading.alpaca_executor import alpaca_executor
from wsb_snake.trading.broker import Unavailable, Unknown


def states(w: World, *, stalled: bool = False) -> frozenset[InFlight]:
    return InFlightReader(w.desk).read(stalled=stalled)


def test_nothing_is_idle_and_a_stalled_disk_is_not(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        reader = InFlightReader(w.desk)
        assert reader.read(stalled=False) == IDLE
        assert reader.read(stalled=True) == {InFlight.JOURNAL_STALLED}
        assert reader.read(stalled=False) == IDLE


def test_the_stages_of_an_entry(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.broker.always["order_by_client_id"] = Unavailable("timed out")
        w.broker.once["submit"] = [Trouble(Unknown("reset"))]
        assert w.enter() is not None
        assert states(w) == {InFlight.ENTRY_SENT}
        w.run(2)
        assert states(w) == {InFlight.ENTRY_UNKNOWN}
        w.broker.always.clear()
        w.run(60)
        assert states(w) == IDLE


def test_the_stages_of_an_exit(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        position = w.open()
        w.price("1.00", "1.05", size=1)
        alpaca_executor.execute_exit(position.position_id, ExitReason.MANUAL)
        assert states(w) == {InFlight.EXIT_CLAIMED}
        seen: set[InFlight] = set()
        reader = InFlightReader(w.desk)

        def gone() -> bool:
            seen.update(reader.read(stalled=False))
            return w.position(position.position_id).state == "closed"

        w.until(gone)
        assert seen >= {InFlight.EXIT_CLAIMED, InFlight.EXIT_SENT}
        assert states(w) == IDLE


def test_the_proof_is_under_way_from_the_close_until_it_stands(tmp_path: Path) -> None:
    with world(tmp_path, "15:54:50", wsb_snake_cutoff_flatten=False) as w:
        assert states(w) == IDLE
        w.to("15:55:02")
        assert states(w) == {InFlight.PROOF}
        w.to("15:56")
        assert states(w) == IDLE
