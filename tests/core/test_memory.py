import gc

from wsb_snake.core.memory import hold, settle


def test_what_stands_at_the_start_is_not_walked_over_again() -> None:
    standing: list[object] = [[]]
    assert any(found is standing for found in gc.get_objects())
    try:
        settle()
        assert not any(found is standing for found in gc.get_objects())
    finally:
        gc.unfreeze()


def test_between_hold_and_settle_nothing_is_collected_and_afterwards_it_is() -> None:
    try:
        hold()
        assert not gc.isenabled()
        settle()
        assert gc.isenabled()
    finally:
        gc.enable()
        gc.unfreeze()
