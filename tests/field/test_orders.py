"""Orders sent twice, refused for ever, changed in flight, misread: one order at a time, by its name."""

import inspect
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest
from alpaca.trading.enums import OrderStatus as AlpacaStatus
from hypothesis import given
from hypothesis import strategies as st

from tests.loopback import Answer, Loopback, closed_port, raw, reply, reset
from tests.sim.bench import SPY_CALL, SPY_LATER, SPY_PUT
from tests.source_rules import ROOT, package
from tests.trading.samples import NOON
from tests.trading.test_alpaca_broker import BUY, ORDER, QUICK, SELL, broker_at
from tests.trading.world import Trouble, World, world
from wsb_snake.backtest.sim_broker import trade_update
from wsb_snake.core.occ import build, parse
from wsb_snake.core.orders import (
    LIVE,
    TERMINAL,
    ExitReason,
    OrderStatus,
    OrderType,
    PositionIntent,
    PositionState,
)
from wsb_snake.core.types import Quote, Right
from wsb_snake.sim.chains import ListedContract
from wsb_snake.sim.orders import SimStatus
from wsb_snake.sim.rules import Rules, on_tick
from wsb_snake.trading.alpaca_executor import alpaca_executor
from wsb_snake.trading.broker import (
    Broker,
    BrokerError,
    NotFound,
    Rejected,
    Unavailable,
    Unknown,
)
from wsb_snake.trading.order_prices import entry_limit, exit_limit

OVER = frozenset({SimStatus.FILLED, SimStatus.CANCELED, SimStatus.EXPIRED, SimStatus.REJECTED})


def sold(w: World, symbol: str = SPY_CALL) -> int:
    return sum(o.filled_qty for o in w.own("sell") if o.symbol == symbol)


def hard_to_sell(w: World) -> None:
    """The feed shows a bid that the venue does not pay, so limits rest."""
    w.feed.shown[SPY_CALL] = ("1.00", "1.05")
    w.price("0.90", "0.95")


# 9, 10: never changed, always cancelled and sent anew


def test_09_a_price_is_changed_by_cancel_confirmation_and_a_new_order(tmp_path: Path) -> None:
    """Replacing a closing order is refused, because the order itself holds the contracts."""
    with world(tmp_path) as w:
        position = w.open()
        hard_to_sell(w)
        alpaca_executor.execute_exit(position.position_id, ExitReason.TIME)
        w.until(w.outcomes, 60)
        sales = w.own("sell")
        assert len(sales) >= 3
        for before, after in pairwise(sales):
            assert before.canceled_at is not None
            assert before.canceled_at <= after.submitted_at
            assert before.client_order_id != after.client_order_id
        assert w.broker.refusals == []


def test_09b_no_module_replaces_an_order() -> None:
    """The port has no way to change an order, and no module goes around the port."""
    assert [name for name, _ in inspect.getmembers(Broker) if "replace" in name or "patch" in name] == []
    for module in package():
        text = (ROOT / module.place).read_text()
        assert "replace_order" not in text and ".patch(" not in text, module.name


def test_10_the_next_order_asks_for_what_is_left_not_for_the_first_quantity(tmp_path: Path) -> None:
    """After a partial fill a changed order kept its old quantity."""
    rules = Rules(partial_fill_chance=0, fill_beats_cancel_chance=0, fills_within_size=True)
    with world(tmp_path, rules=rules) as w:
        position = w.open()
        w.price("1.00", "1.05", size=1)
        w.feed.shown[SPY_CALL] = ("1.00", "1.05")
        alpaca_executor.execute_exit(position.position_id, ExitReason.TIME)
        w.until(lambda: w.own("sell") and w.own("sell")[0].filled_qty == 1, 10)
        w.price("0.90", "0.95", size=50)
        w.until(w.outcomes, 60)
        first, *later = w.own("sell")
        assert first.qty == 4
        assert [order.qty for order in later] == [4 - first.filled_qty] * len(later)
        assert sold(w) == 4
        assert w.broker.refusals == []


# 11, 12: cancels


def test_11_a_cancel_that_is_never_confirmed_is_asked_again_told_and_no_second_order_goes_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Orders hung in their cancel for minutes, and nobody knew."""
    with world(tmp_path) as w:
        position = w.open()
        monkeypatch.setattr(w.feed, "holds_cancel", lambda order, at: order.side == "sell")
        hard_to_sell(w)
        alpaca_executor.execute_exit(position.position_id, ExitReason.STOP)
        w.until(lambda: w.own("sell") and w.own("sell")[0].status is SimStatus.PENDING_CANCEL, 20)
        w.run(120)
        assert len(w.own("sell")) == 1  # it may still fill
        cancels = [at for name, at, _ in w.broker.calls if name == "cancel"]
        assert 5 <= len(cancels) <= 60
        assert [text for text in w.alerts() if "the cancel of the order to sell" in text]
        monkeypatch.setattr(w.feed, "holds_cancel", lambda order, at: False)
        w.until(w.outcomes, 30)
        assert sold(w) == position.qty


def test_11b_a_stuck_cancel_that_fills_after_all_is_the_sale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What hangs may also fill."""
    with world(tmp_path, rules=Rules(partial_fill_chance=0, fill_beats_cancel_chance=1)) as w:
        position = w.open()
        monkeypatch.setattr(w.feed, "holds_cancel", lambda order, at: True)
        hard_to_sell(w)
        alpaca_executor.execute_exit(position.position_id, ExitReason.TIME)
        w.run(60)
        w.price("1.00", "1.05")
        w.until(w.outcomes, 20)
        (sale,) = w.own("sell")
        assert sale.filled_qty == position.qty


@pytest.mark.parametrize("lost", [False, True])
def test_12_an_entry_that_fills_while_it_is_cancelled_is_a_position(tmp_path: Path, lost: bool) -> None:
    """Cancelled and filled in one moment: the fill won, and the bot believed the cancel."""
    rules = Rules(partial_fill_chance=0, fill_beats_cancel_chance=1)
    with world(tmp_path, rules=rules) as w:
        order = w.enter()
        assert order is not None
        w.price("1.10", "1.16")
        w.until(lambda: w.own("buy") and w.own("buy")[0].status is SimStatus.PENDING_CANCEL, 40)
        w.lose_updates = lost
        w.price("1.00", "1.05")
        w.until(lambda: w.position(order.position_id).state is PositionState.OPEN, 30)
        assert w.position(order.position_id).qty == w.held() == 4
        w.price("1.26", "1.30")
        w.until(w.outcomes, 30)
        assert sold(w) == 4


def test_12b_an_exit_that_fills_while_it_is_cancelled_is_the_only_sale(tmp_path: Path) -> None:
    """The same race on the way out sold twice."""
    rules = Rules(partial_fill_chance=0, fill_beats_cancel_chance=1)
    with world(tmp_path, rules=rules) as w:
        position = w.open()
        hard_to_sell(w)
        alpaca_executor.execute_exit(position.position_id, ExitReason.TIME)
        w.until(lambda: w.own("sell") and w.own("sell")[0].status is SimStatus.PENDING_CANCEL, 20)
        w.price("1.00", "1.05")
        w.until(w.outcomes, 30)
        assert len(w.own("sell")) == 1
        assert sold(w) == position.qty


# 13, 41: answers that are lost

LOST = [
    raw(b'{"code": 50010000, "message": "internal server error"}', 500, "application/json"),
    raw(b"<html>Bad Gateway</html>", 502),
    raw(b"", 504),
    reset,
]
LOST_NAMES = ["500", "502 html", "504 empty", "reset"]


@pytest.mark.parametrize("answer", LOST, ids=LOST_NAMES)
def test_13_an_error_answer_to_an_order_that_went_through_is_looked_up(answer: Answer) -> None:
    """The order was answered with an error and was there all the same."""
    with Loopback([answer, reply({**ORDER, "status": "new", "filled_qty": "0"})]) as server:
        broker = broker_at(server.url, QUICK)
        with pytest.raises(Unknown):
            broker.submit(SELL)
        found = broker.order_by_client_id(SELL.client_order_id)
        assert found.status is OrderStatus.NEW
        assert [request.method for request in server.seen] == ["POST", "GET"]
        assert server.seen[1].query == {"client_order_id": SELL.client_order_id}


@pytest.mark.parametrize("effect", [True, False])
@pytest.mark.parametrize("wait_s", [0.0, 12.0, 25.0])
def test_13b_one_signal_one_position_whatever_became_of_the_answer(
    tmp_path: Path, wait_s: float, effect: bool
) -> None:
    """Sending again on an error bought twice."""
    with world(tmp_path) as w:
        w.broker.once["submit"] = [Trouble(Unknown("HTTP 504"), effect, wait_s)]
        order = w.enter()
        assert order is not None
        w.run(90)
        assert len(w.broker.sent()) == 1
        assert w.held() == (4 if effect else 0)
        assert [p.qty for p in w.watched] == ([4] if effect else [])
        assert w.events("position_adopted") == []


@pytest.mark.parametrize("effect", [True, False])
@pytest.mark.parametrize("wait_s", [0.0, 8.0])
def test_13c_an_exit_whose_answer_is_lost_is_never_live_twice(
    tmp_path: Path, wait_s: float, effect: bool
) -> None:
    """The same on the way out: the second order met the first."""
    with world(tmp_path) as w:
        position = w.open()
        w.run(20)
        hard_to_sell(w)
        w.lose_updates = True
        w.broker.once["submit"] = [Trouble(Unknown("HTTP 504"), effect, wait_s)]
        for name in ("order_by_client_id", "open_orders"):  # nor can it be looked up at once
            w.broker.always[name] = Unavailable("timed out")
        alpaca_executor.execute_exit(position.position_id, ExitReason.TIME)
        w.run(wait_s + 6)
        assert len(w.broker.sent()) == 2  # the entry and this one
        w.broker.always.clear()
        w.until(w.outcomes, 90)
        assert sold(w) == position.qty
        assert w.broker.refusals == []  # a second one beside the first would have been refused
        for before, after in pairwise(w.own("sell")):
            assert before.canceled_at is not None and before.canceled_at <= after.submitted_at


@pytest.mark.parametrize("answer", LOST, ids=LOST_NAMES)
def test_41_a_lost_answer_is_never_a_failure_and_never_sent_again(answer: Answer) -> None:
    """A time-out was taken for a refusal, and the client's own retries doubled the order."""
    with Loopback([answer]) as server:
        with pytest.raises(BrokerError) as caught:
            broker_at(server.url, QUICK).submit(SELL)
        assert type(caught.value) is Unknown
        assert len(server.seen) == 1


def test_41b_a_name_that_does_not_resolve_and_a_closed_port_mean_that_nothing_was_sent() -> None:
    """No look-up is needed for what never left this machine."""
    for url in ("http://no-such-host.invalid", f"http://127.0.0.1:{closed_port()}"):
        with pytest.raises(BrokerError) as caught:
            broker_at(url, QUICK).submit(BUY)
        assert type(caught.value) is Unavailable


@pytest.mark.parametrize("waits", [5.0, 45.0])
def test_41c_an_order_that_was_lost_and_fills_later_is_still_ours(tmp_path: Path, waits: float) -> None:
    """Given up as never arrived, it filled after all, and nobody watched it."""
    with world(tmp_path) as w:
        w.broker.once["submit"] = [Trouble(Unknown("reset"), effect=False)]
        order = w.enter()
        assert order is not None
        w.run(waits)
        (ticket,) = w.broker.sent()
        w.do(lambda: w.broker._broker.submit(ticket))  # it was in a queue somewhere
        w.until(lambda: not w.own("buy")[0].open, 30)
        w.run(30)
        bought = w.own("buy")[0].filled_qty
        assert bought == (4 if waits < 20 else 0)  # past its 20 s it is called back
        assert [(p.position_id, p.qty) for p in w.watched] == ([(order.position_id, 4)] if bought else [])
        w.price("1.26", "1.30")
        w.run(30)
        assert sold(w) == bought


def test_41d_a_name_that_is_taken_means_that_the_order_is_there(tmp_path: Path) -> None:
    """The repeat of an order that had arrived was refused as a duplicate, and taken for a failure."""
    body = {"code": 40010001, "message": "client_order_id must be unique"}
    with Loopback([reply(body, 422)]) as server, pytest.raises(Unknown):
        broker_at(server.url).submit(SELL)
    with world(tmp_path) as w:
        position = w.open()
        duplicate = Unknown("HTTP 422: client_order_id must be unique; an order with this id is there")
        w.broker.once["submit"] = [Trouble(duplicate, effect=True)]
        alpaca_executor.execute_exit(position.position_id, ExitReason.STOP)
        w.until(w.outcomes, 30)
        assert len(w.own("sell")) == len(w.broker.sent()) - 1 == 1


# 14, 16, 17, 18: what goes on the wire


def test_14_every_order_says_what_it_is_meant_to_do(tmp_path: Path) -> None:
    """Without an intent a purchase was judged as a covered sale and refused."""
    with world(tmp_path) as w:
        w.open()
        w.price("0.80", "0.84")
        w.until(w.outcomes, 30)
        assert [ticket.intent for ticket in w.broker.sent()] == [
            PositionIntent.BUY_TO_OPEN,
            PositionIntent.SELL_TO_CLOSE,
        ]
    with Loopback([reply(ORDER)]) as server:
        broker_at(server.url).submit(SELL)
        assert server.seen[0].json()["position_intent"] == "sell_to_close"


def test_14b_a_definite_refusal_is_told_in_the_broker_s_words_and_not_tried_again(tmp_path: Path) -> None:
    """HTTP 403 with a code that means many things: the text decides, and the owner reads it."""
    why = "account not eligible to trade uncovered option contracts"
    body = {"code": 40310000, "message": why}
    with Loopback([reply(body, 403)]) as server, pytest.raises(Rejected, match=why):
        broker_at(server.url).submit(BUY)
    with world(tmp_path) as w:
        w.broker.once["submit"] = [Trouble(Rejected(why, 403, 40310000))]
        order = w.enter()
        assert order is not None
        w.run(60)
        assert len(w.broker.sent()) == 1
        assert w.desk.book.orders[order.client_order_id].status is OrderStatus.REJECTED
        assert [text for text in w.alerts() if why in text]
        assert w.paused() == set()  # an answer, not a failure
        assert w.enter(SPY_PUT, "two") is not None  # its budget is free again


def test_16_a_name_is_used_once_also_after_a_cancel_and_a_restart(tmp_path: Path) -> None:
    """The broker remembers the names of cancelled orders and refuses them for good."""
    with world(tmp_path) as w:
        position = w.open()
        hard_to_sell(w)
        alpaca_executor.execute_exit(position.position_id, ExitReason.TIME)
        w.until(lambda: len(w.own("sell")) == 2, 30)
        w.restart()
        w.until(w.outcomes, 60)
        names = [order.client_order_id for order in (*w.own("buy"), *w.own("sell"))]
        assert len(set(names)) == len(names) >= 4
        assert {name[:26] for name in names} == {names[0][:26]}  # one intent
        assert [int(name.rpartition("-")[2]) for name in names[1:]] == [1, 2, 3][: len(names) - 1]
        assert w.broker.refusals == []


def test_17_options_take_simple_day_orders_at_market_or_limit_and_nothing_else_is_sent() -> None:
    """Stops, trailing stops, brackets and GTC do not exist for options; positions stood unprotected."""
    assert set(OrderType) == {OrderType.MARKET, OrderType.LIMIT}
    with Loopback([reply(ORDER)]) as server:
        for kind, price in ((OrderType.LIMIT, Decimal("1.15")), (OrderType.MARKET, None)):
            broker_at(server.url).submit(replace(SELL, type=kind, limit_price=price))
        limit, market = (request.json() for request in server.seen)
    common = {"client_order_id", "symbol", "side", "position_intent", "type", "time_in_force", "qty"}
    assert set(limit) == common | {"limit_price"}
    assert set(market) == common
    for body in (limit, market):
        assert body["time_in_force"] == "day"
        assert isinstance(body["qty"], int)


def test_17b_shares_are_never_ordered(tmp_path: Path) -> None:
    """The asset class decides what an order may look like; ours are options only."""
    with world(tmp_path) as w:
        w.exchange.hold("SPY", 100, Decimal(670))
        w.exchange.hold(SPY_CALL, 1, Decimal("1.05"))
        w.until(lambda: "reconcile" in w.paused(), 60)
        alpaca_executor.close_all(ExitReason.FLATTEN)
        alpaca_executor.close_position("SPY")
        w.until(lambda: w.held() == 0, 30)
        assert {ticket.symbol for ticket in w.broker.sent()} == {SPY_CALL}
        assert w.exchange.account.qty("SPY") == 100


CENTS = st.integers(1, 1200).map(lambda cents: Decimal(cents) / 100)
NAMES = st.sampled_from(["SPY", "QQQ", "IWM", "AAPL", "XYZ"])


def listed(underlying: str, penny: bool) -> ListedContract:
    symbol = build(underlying, parse(SPY_CALL).expiry, Right.CALL, Decimal(100))
    return ListedContract(parse(symbol), 100, penny)


def snapped(contract: ListedContract, price: Decimal) -> Decimal:
    """``price`` as a venue with that contract's ticks would quote it."""
    while not on_tick(contract, price):
        price -= Decimal("0.01")
    return max(price, Decimal(0))


@given(NAMES, st.booleans(), CENTS, CENTS, st.integers(1, 4))
def test_18_a_closing_price_is_on_the_venue_s_tick(
    name: str, penny: bool, bid: Decimal, spread: Decimal, attempt: int
) -> None:
    """Prices between two ticks were refused, on either side of $3."""
    contract = listed(name, penny)
    bid, ask = snapped(contract, bid), snapped(contract, bid + spread)
    quote = Quote(contract.contract.symbol, bid, ask, 1, 1, NOON)
    price = exit_limit(quote.symbol, quote, attempt)
    assert on_tick(contract, price)
    assert price > 0
    assert -int(price.normalize().as_tuple().exponent) <= 2
    if bid >= Decimal("0.20"):
        assert price <= bid


@given(NAMES, st.booleans(), CENTS)
def test_18b_an_entry_s_price_is_the_quoted_tick(name: str, penny: bool, ask: Decimal) -> None:
    """An entry pays the ask, which is a price that the venue itself has shown."""
    contract = listed(name, penny)
    ask = snapped(contract, ask) or Decimal("0.10")
    quote = Quote(contract.contract.symbol, ask / 2, ask, 1, 1, NOON)
    price = entry_limit(quote, ask)
    assert price is not None
    assert on_tick(contract, price)


# 20, 33


def test_20b_everybody_asks_to_close_and_one_order_is_live(tmp_path: Path) -> None:
    """Monitor, end of day and owner each sold the position."""
    with world(tmp_path, "15:54:58", wsb_snake_cutoff_flatten=False) as w:
        w.exchange.hold(SPY_CALL, 4, Decimal("1.05"))
        w.until(lambda: w.watched, 5)

        def ask(verb: str, argument: str | None) -> Callable[[], None]:
            return lambda: (w.daemon.ask(verb, argument), None)[1]

        for verb, argument in (("flatten", "all"), ("close", "SPY"), ("flatten", None), ("eod", None)):
            w.hub.spawn(f"owner {verb} {argument}", ask(verb, argument))
        w.price("0.70", "0.74")
        w.until(w.outcomes, 30)
        w.run(30)
        assert sold(w) == 4
        assert len(w.events("exit_condition")) == 1
        assert w.broker.refusals == []


def test_33_every_word_of_the_broker_is_known_and_every_end_is_an_end() -> None:
    """Two spellings of one end: orders that were over counted as open for ever."""
    for word in AlpacaStatus:
        assert OrderStatus.from_broker(word.value) is not OrderStatus.UNRECOGNISED, word
    ends = {"filled", "canceled", "expired", "replaced", "rejected"}
    assert {OrderStatus.from_broker(word) for word in ends} <= TERMINAL
    assert {str(status) for status in TERMINAL} == ends | {"never_sent"}
    assert {OrderStatus.from_broker(str(status)) in TERMINAL for status in OVER} == {True}
    assert OrderStatus.from_broker("cancelled") in LIVE  # a word that is not the broker's ends nothing


def test_33b_zero_quotes_are_nobody_s_price(tmp_path: Path) -> None:
    """Quotes of zero, made up where there were none, set off stops."""
    with world(tmp_path) as w:
        w.open()
        for bid, ask in (("0.00", "0.00"), ("0.00", "1.05"), ("1.00", "0.00")):
            w.feed.shown[SPY_CALL] = (bid, ask)
            w.run(20)
        assert w.exits == []
        w.feed.shown[SPY_LATER] = ("0.00", "0.00")
        w.price("0.00", "0.00", SPY_LATER)
        assert w.enter(SPY_LATER, "three") is None
        assert "one-sided" in w.refusals()[-1]


def test_33c_an_order_that_the_broker_does_not_know_is_no_open_order(tmp_path: Path) -> None:
    """An intent that never arrived is found out by its name, and its money is free again."""
    with world(tmp_path) as w:
        w.broker.once["submit"] = [Trouble(Unknown("reset"), effect=False)]
        order = w.enter()
        assert order is not None
        w.until(lambda: w.position(order.position_id).state is PositionState.VOID, 60)
        ended = w.desk.book.orders[order.client_order_id]
        assert ended.status is OrderStatus.NEVER_SENT
        assert ended.ended_at is not None
        assert ended.ended_at - ended.created_at >= timedelta(seconds=10)  # lists may lag
        with pytest.raises(NotFound):
            w.do(lambda: w.broker.order_by_client_id(order.client_order_id))


def test_20_a_phantom_cancel_does_not_end_in_two_sales(tmp_path: Path) -> None:
    """The stream said cancelled, the order lived on, a second one was sent."""
    with world(tmp_path) as w:
        position = w.open()
        hard_to_sell(w)
        alpaca_executor.execute_exit(position.position_id, ExitReason.TIME)
        w.until(lambda: w.own("sell") and w.own("sell")[0].open, 10)
        told = [message for message in w.updates if message.order.side == "sell"][-1]
        over = replace(told.order, status=SimStatus.CANCELED, canceled_at=w.clock.now())
        w.daemon.take_update(trade_update(replace(told, event="canceled", order=over)))
        live: set[int] = set()
        for _ in range(60):
            w.run(1)
            live.add(sum(order.open for order in w.own("sell")))
        w.until(w.outcomes, 60)
        assert max(live) <= 1
        assert sold(w) == position.qty
        assert w.held() == 0
        assert len(w.outcomes()) == 1


def test_20b_a_phantom_cancel_of_an_entry_leaves_no_order_behind(tmp_path: Path) -> None:
    """Told as cancelled, the entry went on working, and nobody called it back."""
    with world(tmp_path) as w:
        w.feed.shown[SPY_CALL] = ("1.00", "1.05")
        order = w.enter()
        assert order is not None
        w.price("1.20", "1.25")
        w.until(lambda: w.own("buy") and w.own("buy")[0].open, 10)
        told = w.updates[-1]
        over = replace(told.order, status=SimStatus.CANCELED, canceled_at=w.clock.now())
        w.daemon.take_update(trade_update(replace(told, event="canceled", order=over)))
        w.until(lambda: not w.own("buy")[0].open, 60)
        assert w.held() == 0
        w.until(lambda: w.position(order.position_id).state is PositionState.VOID, 30)
