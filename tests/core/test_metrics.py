import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from wsb_snake.core.metrics import Metrics
from wsb_snake.core.order_tape import KEPT, Looked, Moved, OrderTape, Waited
from wsb_snake.core.orders import (
    ExitReason,
    Order,
    OrderStatus,
    OrderType,
    PositionIntent,
    Purpose,
    Side,
)

START = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)
EXIT = Order(
    client_order_id="c-1",
    position_id="p-1",
    purpose=Purpose.EXIT,
    symbol="SPY261124C00600000",
    side=Side.SELL,
    intent=PositionIntent.SELL_TO_CLOSE,
    type=OrderType.LIMIT,
    qty=2,
    limit_price=Decimal("1.20"),
    status=OrderStatus.PLANNED,
    created_at=START + timedelta(milliseconds=4),
    reason=ExitReason.STOP,
)


def at(milliseconds: float) -> datetime:
    return START + timedelta(milliseconds=milliseconds)


def play(tape: OrderTape, *steps: tuple[OrderStatus, float, int], order: Order = EXIT) -> None:
    """Take ``order`` through (status, milliseconds, filled)."""
    before: Order | None = None
    for status, when, filled in ((order.status, 4, 0), *steps):
        sent_at = at(when) if status is OrderStatus.SENDING else order.sent_at
        after = replace(order, status=status, sent_at=sent_at, filled_qty=filled)
        tape.put(Moved(before, after, at(when)))
        before = order = after


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"wsb_snake_{name}", labels)


def test_the_way_of_an_exit_from_the_quote_to_the_fill() -> None:
    tape, metrics = OrderTape(), Metrics()
    tape.put(Looked("c-1", at(0)))
    tape.put(Waited(Purpose.EXIT, 0.003))
    play(
        tape,
        (OrderStatus.SENDING, 10, 0),
        (OrderStatus.NEW, 40, 0),
        (OrderStatus.PARTIALLY_FILLED, 90, 1),
        (OrderStatus.FILLED, 140, 2),
    )
    metrics.digest(tape)
    for name, seconds in (("exit_quote", 0.010),):
        assert value(metrics, f"{name}_seconds_sum") == pytest.approx(seconds)
    for name, seconds in (
        ("order_decision", 0.006),
        ("order_journal", 0.003),
        ("order_ack", 0.030),
        ("order_fill", 0.100),
    ):
        assert value(metrics, f"{name}_seconds_count", path="exit") == 1
        assert value(metrics, f"{name}_seconds_sum", path="exit") == pytest.approx(seconds)
    assert value(metrics, "order_ack_seconds_bucket", path="exit", le="0.02") == 0
    assert value(metrics, "order_ack_seconds_bucket", path="exit", le="0.05") == 1
    assert value(metrics, "orders_sent_total", path="exit") == 1
    assert value(metrics, "orders_sent_total", path="entry") == 0
    assert value(metrics, "fills_total", path="exit") == 2
    assert value(metrics, "rejects_total", path="exit") == 0


@pytest.mark.parametrize(
    ("steps", "name"),
    [
        (((OrderStatus.SENDING, 5, 0), (OrderStatus.REJECTED, 9, 0)), "rejects"),
        (
            ((OrderStatus.SENDING, 5, 0), (OrderStatus.UNKNOWN, 9, 0), (OrderStatus.NEW, 2000, 0)),
            "orders_unknown",
        ),
        (((OrderStatus.NEVER_SENT, 9, 0),), "orders_given_up"),
    ],
)
def test_what_does_not_go_well_is_counted_once(
    steps: tuple[tuple[OrderStatus, float, int], ...], name: str
) -> None:
    tape, metrics = OrderTape(), Metrics()
    play(tape, *steps)
    metrics.digest(tape)
    metrics.digest(tape)
    counted = {
        each: value(metrics, f"{each}_total", path="exit")
        for each in ("rejects", "orders_unknown", "orders_given_up")
    }
    assert counted == {each: float(each == name) for each in counted}
    assert value(metrics, "order_fill_seconds_count", path="exit") is None


def test_an_exit_by_the_clock_has_no_quote_to_count_from() -> None:
    tape, metrics = OrderTape(), Metrics()
    tape.put(Looked("c-1", at(-3000)))
    play(tape, (OrderStatus.SENDING, 10, 0), order=replace(EXIT, reason=ExitReason.TIME))
    metrics.digest(tape)
    assert value(metrics, "exit_quote_seconds_count") == 0
    assert value(metrics, "order_decision_seconds_count", path="exit") == 1


def test_a_clock_that_was_set_back_gives_no_negative_time() -> None:
    tape, metrics = OrderTape(), Metrics()
    play(tape, (OrderStatus.SENDING, -5000, 0))
    metrics.digest(tape)
    assert value(metrics, "order_decision_seconds_sum", path="exit") == 0


def test_two_daemons_share_nothing() -> None:
    first, second = Metrics(), Metrics()
    first.events.labels("fill").inc()
    assert value(second, "events_total", kind="fill") is None


def test_a_tape_that_nobody_reads_stays_small_and_keeps_the_newest() -> None:
    tape = OrderTape()
    for number in range(KEPT + 10):
        tape.put(Waited(Purpose.EXIT, float(number)))
    taken = tape.take()
    assert len(taken) == KEPT and tape.take() == []
    assert taken[-1] == Waited(Purpose.EXIT, float(KEPT + 9))


def test_writers_and_a_reader_lose_nothing() -> None:
    tape, metrics = OrderTape(), Metrics()

    def write() -> None:
        for _ in range(500):
            tape.put(Waited(Purpose.ENTRY, 0.001))

    writers = [threading.Thread(target=write) for _ in range(4)]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        metrics.digest(tape)
    metrics.digest(tape)
    assert value(metrics, "order_journal_seconds_count", path="entry") == 2000
