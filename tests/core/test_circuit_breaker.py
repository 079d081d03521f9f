import json
from datetime import UTC, datetime, timedelta

import pytest

from wsb_snake.core.circuit_breaker import MAX_WAIT, RELAPSE, THRESHOLD, WAIT, CircuitBreaker, Trip

NOW = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def trip(breaker: CircuitBreaker, group: str, now: datetime) -> Trip:
    trips = [breaker.failure(group, now, "timed out") for _ in range(THRESHOLD)]
    assert trips[:-1] == [None] * (THRESHOLD - 1)
    assert trips[-1] is not None
    return trips[-1]


def test_five_in_one_group_trip_it_and_the_trip_names_the_number() -> None:
    breaker = CircuitBreaker()
    assert trip(breaker, "orders", NOW) == Trip("orders", 5, 900, False, "timed out")
    assert breaker.is_open(NOW)
    assert breaker.tripped == ("orders",)


def test_failures_of_different_groups_do_not_add_up() -> None:
    breaker = CircuitBreaker()
    for group in ("account", "positions", "orders", "quotes"):
        for _ in range(THRESHOLD - 1):
            assert breaker.failure(group, NOW, "503") is None
    assert not breaker.is_open(NOW)


def test_a_success_ends_the_row_of_its_own_group_only() -> None:
    breaker = CircuitBreaker()
    for _ in range(THRESHOLD - 1):
        breaker.failure("orders", NOW, "503")
    breaker.success("account", NOW)
    assert breaker.failure("orders", NOW, "503") is not None

    breaker = CircuitBreaker()
    for _ in range(3 * THRESHOLD):
        assert breaker.failure("orders", NOW, "503") is None
        assert breaker.success("orders", NOW) is False


def test_only_the_group_that_tripped_heals() -> None:
    breaker = CircuitBreaker()
    trip(breaker, "orders", NOW)
    for group in ("account", "positions", "quotes"):
        assert breaker.success(group, NOW + SECOND) is False
    assert breaker.is_open(NOW + SECOND)
    assert breaker.success("orders", NOW + SECOND) is True
    assert not breaker.is_open(NOW + SECOND)
    assert breaker.success("orders", NOW + SECOND) is False


def test_an_answer_from_before_the_trip_heals_nothing() -> None:
    breaker = CircuitBreaker()
    trip(breaker, "orders", NOW)
    assert breaker.success("orders", NOW - SECOND) is False
    assert breaker.is_open(NOW)


def test_a_second_group_joins_without_a_new_trip_and_both_must_answer() -> None:
    breaker = CircuitBreaker()
    trip(breaker, "orders", NOW)
    assert [breaker.failure("quotes", NOW, "x") for _ in range(THRESHOLD)] == [None] * THRESHOLD
    assert breaker.tripped == ("orders", "quotes")
    assert breaker.success("orders", NOW) is False
    assert breaker.success("quotes", NOW) is True


def test_after_the_wait_a_probe_may_pass_and_its_success_ends_the_trouble() -> None:
    breaker = CircuitBreaker()
    trip(breaker, "orders", NOW)
    before, due = NOW + WAIT - SECOND, NOW + WAIT
    assert breaker.is_open(before) and not breaker.probe_due(before)
    assert not breaker.let_probe("orders", before) and not breaker.let_probe("account", due)
    assert breaker.let_probe("orders", due) is True
    assert breaker.let_probe("orders", due) is False
    assert not breaker.is_open(due) and breaker.shaky("orders")
    breaker.success("orders", due + SECOND)
    assert not breaker.shaky("orders")
    assert breaker.failure("orders", due + 2 * SECOND, "reset") is None


def test_a_failed_probe_trips_at_once_and_waits_twice_as_long() -> None:
    breaker = CircuitBreaker()
    trip(breaker, "orders", NOW)
    due = NOW + WAIT
    assert breaker.let_probe("orders", due)
    again = breaker.failure("orders", due + SECOND, "timed out")
    assert again is not None and (again.count, again.wait_s, again.doubled) == (6, 1800, True)
    assert breaker.is_open(due + SECOND + 2 * WAIT - SECOND)
    assert breaker.probe_due(due + SECOND + 2 * WAIT)


def test_one_failure_that_no_retry_can_mend_trips_at_once() -> None:
    breaker = CircuitBreaker()
    refused = breaker.failure("account", NOW, "HTTP 401", at_once=True)
    assert refused is not None and breaker.tripped == ("account",)
    assert breaker.success("account", NOW + SECOND) is True


def test_a_relapse_within_30_minutes_doubles_the_wait_and_says_so() -> None:
    breaker = CircuitBreaker()
    trip(breaker, "orders", NOW)
    breaker.success("orders", NOW + SECOND)
    again = trip(breaker, "account", NOW + RELAPSE)
    assert (again.wait_s, again.doubled) == (1800, True)
    assert breaker.is_open(NOW + RELAPSE + 2 * WAIT - SECOND)
    assert breaker.probe_due(NOW + RELAPSE + 2 * WAIT)


def test_a_trip_long_after_the_last_waits_the_plain_time() -> None:
    breaker = CircuitBreaker()
    trip(breaker, "orders", NOW)
    breaker.success("orders", NOW + SECOND)
    assert trip(breaker, "orders", NOW + RELAPSE + SECOND).doubled is False


def test_doubling_ends_at_two_hours() -> None:
    breaker = CircuitBreaker()
    waits = []
    for n in range(6):
        now = NOW + n * timedelta(minutes=1)
        waits.append(trip(breaker, "orders", now).wait_s)
        breaker.success("orders", now)
    assert waits == [900, 1800, 3600, 7200, 7200, 7200]
    assert MAX_WAIT.total_seconds() == 7200


@pytest.mark.parametrize("failures", [0, 3, THRESHOLD, THRESHOLD + 2])
def test_the_state_survives_a_restart(failures: int) -> None:
    breaker = CircuitBreaker()
    for _ in range(failures):
        breaker.failure("orders", NOW, "reset")
    revived = CircuitBreaker.from_dict(json.loads(json.dumps(breaker.to_dict())))
    assert revived.to_dict() == breaker.to_dict()
    assert revived.is_open(NOW) is breaker.is_open(NOW) is (failures >= THRESHOLD)
    assert revived.probe_due(NOW + WAIT) is (failures >= THRESHOLD)
    if failures == 3:
        revived.failure("orders", NOW, "reset")
        assert revived.failure("orders", NOW, "reset") is not None
