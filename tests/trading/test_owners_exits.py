"""Exits that the owner gives to what no rule sells."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tests.sim.bench import SPY_CALL, SPY_LATER
from tests.trading.world import World, world
from wsb_snake.core.health import Unmanaged
from wsb_snake.owner.commands import Answer, Commands, Verb
from wsb_snake.owner.status import status_text
from wsb_snake.trading.engine_plans import RUNNER_PLAN

SHORT = SPY_CALL.replace("00670000", "00680000")


def by_hand(w: World, qty: int) -> None:
    w.by_hand(SPY_LATER, "buy", qty)
    w.until(lambda: w.events("position_adopted"), 40)


def adopt(w: World, argument: str) -> Answer:
    return w.do(lambda: Commands(w.daemon, w.daemon.facts).run("adopt", argument))


def test_a_runner_sells_half_and_trails_the_rest_also_after_a_crash(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.price("4.00", "4.10", SPY_LATER)
        by_hand(w, 2)
        told = adopt(w, SPY_LATER.lower())
        assert told == Answer(
            True, f"{SPY_LATER} has exits: half off at +50%, a 20% trailing stop on the rest"
        )
        w.run(1)
        w.restart()
        (position,) = w.watched
        assert (position.plan, position.origin) == (RUNNER_PLAN, "foreign_later")
        w.price("6.40", "6.50", SPY_LATER)
        w.until(lambda: w.held(SPY_LATER) == 1)
        w.price("5.00", "5.10", SPY_LATER)
        w.until(w.outcomes)
        assert w.held(SPY_LATER) == 0
        assert w.outcomes()[0]["exit_reason"] == "trail"


def test_one_contract_already_far_up_trails_from_the_present_bid(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.price("4.00", "4.10", SPY_LATER)
        by_hand(w, 1)
        w.price("12.00", "12.10", SPY_LATER)
        w.run(10)
        w.price("7.00", "7.10", SPY_LATER)
        w.run(10)
        assert adopt(w, SPY_LATER).ok
        w.run(60)
        assert w.held(SPY_LATER) == 1  # 20 % below the 7.00 of that moment, not below the 12.00 of before
        w.price("5.50", "5.60", SPY_LATER)
        w.until(lambda: w.held(SPY_LATER) == 0)


def test_a_scalp_s_minutes_count_from_the_word(tmp_path: Path) -> None:
    with world(tmp_path, "10:00") as w:
        by_hand(w, 1)
        w.run(3600)
        assert adopt(w, f"{SPY_LATER} scalp").ok
        (position,) = w.watched
        given_at = w.clock.now()
        w.until(lambda: not w.watched, 2800)
        sent = w.exits[0].created_at
        assert timedelta(minutes=44) < sent - given_at < timedelta(minutes=46)
        assert position.plan.target == Decimal("0.20")


def test_what_has_exits_is_left_as_it_is(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.open()
        plan = w.watched[0].plan
        refused = adopt(w, SPY_CALL)
        assert not refused.ok and "has exits already" in refused.text
        by_hand(w, 1)
        assert adopt(w, SPY_LATER).ok
        again = adopt(w, f"{SPY_LATER} scalp")
        assert (again.ok, again.text) == (False, f"adopt: {SPY_LATER} has exits already, or is gone")
        assert {p.plan for p in w.watched} == {plan, RUNNER_PLAN}


def test_what_waits_for_exits_and_what_nobody_manages_shows_in_the_facts(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        by_hand(w, 2)
        w.exchange.hold("SPY", 100, Decimal(600))
        w.until(lambda: w.daemon.facts().unmanaged, 40)
        told = w.daemon.facts()
        assert told.unmanaged == (Unmanaged("SPY", Decimal(100), "shares"),)
        assert [p.needs_exits for p in told.positions] == [True]
        asks = Commands(w.daemon, w.daemon.facts).describe(Verb.ADOPT, f"{SPY_LATER} scalp")
        answer = adopt(w, f"{SPY_LATER} scalp")
        for exits in (asks, answer.text):
            assert told.exit_kinds["scalp"] in exits
        assert [p.needs_exits for p in w.daemon.facts().positions] == [False]


def test_what_covers_a_short_option_gets_no_exits_since_no_rule_would_sell_it(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        by_hand(w, 1)
        assert [p.needs_exits for p in w.daemon.facts().positions] == [True]
        w.exchange.hold(SHORT, -1, Decimal("0.50"))
        w.until(lambda: w.daemon.facts().unmanaged, 40)
        assert [p.needs_exits for p in w.daemon.facts().positions] == [False]
        assert "adopt" not in status_text(w.daemon.facts())
        refused = adopt(w, SPY_LATER)
        told = f"{SPY_LATER} covers a short option, so no rule sells it: settle both at the broker"
        assert refused == Answer(False, told)
        w.exchange.account.trade(SHORT, 1, Decimal("0.50"), 1)
        w.until(lambda: not w.daemon.facts().unmanaged, 40)
        assert adopt(w, SPY_LATER).ok


@pytest.mark.parametrize(
    ("bid", "kind", "sold"),
    [
        ("5.00", "scalp", 2),  # at the target
        ("3.00", "scalp", 2),  # below the stop, at two looks
        ("2.00", "scalp", 2),  # far below it
        ("4.40", "scalp", 0),
        ("6.50", "runner", 1),  # half of it
        ("5.00", "runner", 0),
    ],
)
def test_before_an_adoption_the_owner_hears_what_it_sells_at_once(
    tmp_path: Path, bid: str, kind: str, sold: int
) -> None:
    with world(tmp_path) as w:
        w.price("4.00", "4.10", SPY_LATER)
        by_hand(w, 2)
        w.price(bid, str(Decimal(bid) + Decimal("0.10")), SPY_LATER)
        w.run(6)
        asks = Commands(w.daemon, w.daemon.facts).describe(Verb.ADOPT, f"{SPY_LATER} {kind}")
        assert f"about 2 × {SPY_LATER}, the bid is ${bid}" in asks
        assert ("sold at once" in asks) == bool(sold)
        assert adopt(w, f"{SPY_LATER} {kind}").ok
        w.run(20)
        assert w.held(SPY_LATER) == 2 - sold


def test_after_the_open_it_says_that_the_sale_waits_until_quotes_count(tmp_path: Path) -> None:
    with world(tmp_path, "09:32") as w:
        w.price("4.00", "4.10", SPY_LATER)
        by_hand(w, 2)
        w.price("5.00", "5.10", SPY_LATER)
        w.run(6)
        asks = Commands(w.daemon, w.daemon.facts).describe(Verb.ADOPT, f"{SPY_LATER} scalp")
        assert "it is sold once quotes count, 5 minutes after the open" in asks
        assert adopt(w, f"{SPY_LATER} scalp").ok
        w.to("09:34:55")
        assert w.held(SPY_LATER) == 2
        w.to("09:35:20")
        assert w.held(SPY_LATER) == 0
