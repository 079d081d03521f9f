"""Chance without state."""

from uuid import UUID

from wsb_snake.sim.dice import Dice


def test_a_draw_depends_on_the_seed_and_its_purpose_only() -> None:
    dice = Dice(1)
    first = dice.roll("a", 1)
    assert dice.roll("b") != first
    assert dice.roll("a", 1) == first == Dice(1).roll("a", 1)
    assert dice.roll("a1") != dice.roll("a", 1) != Dice(2).roll("a", 1)


def test_draws_are_spread_evenly() -> None:
    dice = Dice(3)
    rolls = [dice.roll("x", n) for n in range(2_000)]
    assert 0 <= min(rolls) < 0.01 < 0.99 < max(rolls) < 1
    assert 0.47 < sum(rolls) / len(rolls) < 0.53
    assert {dice.below(3, n) for n in range(50)} == {0, 1, 2}


def test_identifiers_are_uuids() -> None:
    assert UUID(Dice(1).uuid("order", "x")).version == 4
    assert len({Dice(1).uuid(n) for n in range(100)}) == 100
