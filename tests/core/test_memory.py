import gc

from wsb_snake.core.memory import settle


def test_what_stands_at_the_start_is_not_walked_over_again() -> None:
    standing: list[object] = [[]]
    assert any(found is standing for found in gc.get_objects())
    try:
        settle()
        assert not any(found is standing for found in gc.get_objects())
    finally:
        gc.unfreeze()
