"""The question before an adoption."""

from decimal import Decimal

import pytest

from tests.owner.sample import facts, position
from wsb_snake.owner.adopting import adopts, sells_at_once

LATER = "SPY270115C00700000"


@pytest.mark.parametrize(
    ("sold", "says"),
    [
        (2, "It is beyond that already: it is sold at once."),
        (1, "It is beyond that already: 1 of 2 is sold at once."),
        (0, ""),
    ],
)
def test_what_would_be_sold_at_once_is_said(sold: int, says: str) -> None:
    later = position(LATER, needs_exits=True, bid=Decimal("13.50"), sold_if_adopted={"scalp": sold})
    assert sells_at_once([later], "scalp") == says
    assert sells_at_once([later], "runner") == ""
    asked = adopts(facts(positions=(later,), exit_kinds={"scalp": "target +20%"}), LATER, "scalp")
    assert (
        asked
        == (
            f"This lets the rules of the daemon sell {LATER} scalp (target +20%); until now none does. "
            f"It is about 2 × {LATER}, the bid is $13.50. {says}"
        ).rstrip()
    )


def test_while_quotes_do_not_count_yet_it_is_not_said_to_be_sold_at_once() -> None:
    later = position(LATER, needs_exits=True, sold_if_adopted={"scalp": 2}, quotes_wait=True)
    when = "once quotes count, 5 minutes after the open, if that holds until then"
    assert sells_at_once([later], "scalp") == f"It is beyond that already: it is sold {when}."
    assert sells_at_once([later], "runner") == ""


@pytest.mark.parametrize(
    ("bid", "says"), [(Decimal(0), ", there is no bid."), (None, ", the bid is unknown.")]
)
def test_no_bid_is_told_from_no_quote(bid: Decimal | None, says: str) -> None:
    later = position(LATER, needs_exits=True, bid=bid)
    assert adopts(facts(positions=(later,)), LATER, "scalp").endswith(f"about 2 × {LATER}{says}")


def test_several_positions_in_a_contract_are_one_question() -> None:
    held = (
        position(LATER, needs_exits=True, sold_if_adopted={"scalp": 2}),
        position(LATER, needs_exits=True, qty=3, bid=None, sold_if_adopted={"scalp": 0}),
        position(LATER, qty=7),
    )
    asked = adopts(facts(positions=held), LATER, "scalp")
    assert f"about 5 × {LATER}" in asked and asked.endswith("2 of 5 are sold at once.")
    assert "the bid is unknown" in adopts(facts(positions=held[1:]), LATER, "scalp")
