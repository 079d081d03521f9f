"""What the engines are asked, in the host's shape."""

from tests.engines.test_institutional_scalper import view
from tests.trading.samples import position
from wsb_snake.hunting.strategies import InstitutionalScalper

CALL = position(position_id="call", symbol="SPY261124C00102000")
PUT = position(position_id="put", symbol="SPY261124P00098000")


def test_two_positions_in_one_name_are_judged_each_by_its_own_direction() -> None:
    below = view({30: 98.0}, 30)
    engine = InstitutionalScalper()
    for held in ([CALL, PUT], [PUT, CALL]):
        over = engine.exits(below, held)
        assert over == [(CALL, "at 10:00 ET 98.00 is below the noise area's 99.00 and VWAP")]
