"""What the order path leaves on its tape is what happened at the exchange."""

from decimal import Decimal
from pathlib import Path

from tests.trading.world import Trouble, world
from wsb_snake.core.metrics import Metrics
from wsb_snake.core.orders import ExitReason
from wsb_snake.measuring import limits_of
from wsb_snake.trading.alpaca_executor import alpaca_executor
from wsb_snake.trading.broker import Rejected, Unknown


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"wsb_snake_{name}", labels)


def test_a_trade_from_entry_to_stop(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        held = w.open()
        w.run(5)
        w.price("0.50", "0.52")
        w.until(lambda: w.position(held.position_id).state == "closed", 60)
        metrics = Metrics()
        metrics.digest(alpaca_executor.desk.book.tape)
        for path, sent in (("entry", len(w.own("buy"))), ("exit", len(w.own("sell")))):
            assert sent and value(metrics, "orders_sent_total", path=path) == sent
            assert value(metrics, "order_decision_seconds_count", path=path) == sent
            assert value(metrics, "order_ack_seconds_count", path=path) == sent
            assert value(metrics, "order_fill_seconds_count", path=path) == 1
            assert value(metrics, "order_journal_seconds_count", path=path) == sent
        assert value(metrics, "exit_quote_seconds_count") == 1
        quoted = value(metrics, "exit_quote_seconds_sum")
        decided = value(metrics, "order_decision_seconds_sum", path="exit")
        assert quoted is not None and decided is not None and 0 < decided <= quoted < 1


def test_lost_answers_and_refusals(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        held = w.open()
        w.broker.once["submit"] = [Trouble(Rejected("no", 403, 0)), Trouble(Unknown("reset"))]
        alpaca_executor.execute_exit(held.position_id, ExitReason.MANUAL)
        w.until(lambda: w.position(held.position_id).state == "closed", 60)
        metrics = Metrics()
        metrics.digest(alpaca_executor.desk.book.tape)
        assert value(metrics, "rejects_total", path="exit") == 1
        assert value(metrics, "orders_unknown_total", path="exit") == 1
        assert value(metrics, "orders_sent_total", path="exit") == len(w.broker.sent()) - 1 == 3


def test_the_limits_are_used_as_the_governor_counts(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        assert limits_of(alpaca_executor.desk)["orders_day"] == (0, 60)
        held = w.open()
        assert held.entry_price is not None
        paid = float(held.entry_price * held.qty * Decimal(100))
        assert limits_of(alpaca_executor.desk) == {
            "day_dollars": (paid, 6000.0),
            "orders_minute": (1, 6),
            "orders_day": (1, 60),
            "positions": (1, 5),
        }
        w.run(70)
        assert limits_of(alpaca_executor.desk)["orders_minute"] == (0, 6)
