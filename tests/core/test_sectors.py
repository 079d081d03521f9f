from wsb_snake.core.sectors import sector_of
from wsb_snake.engines.universe import COMMODITY_ETFS, INDEX_ETFS


def test_names_that_move_together_share_a_sector() -> None:
    assert {sector_of(name) for name in INDEX_ETFS} == {"broad market"}
    assert {sector_of(name) for name in COMMODITY_ETFS} == {"metals", "energy"}
    assert sector_of("NVDA") == sector_of("MU") != sector_of("AAPL")


def test_a_name_in_no_sector_is_one_by_itself() -> None:
    assert sector_of("TSLA") == "TSLA"
    assert sector_of("XYZ") == "XYZ"
