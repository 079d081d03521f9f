"""The last lines of the log for the phone."""

import logging

from wsb_snake.owner.log_tail import KEPT, LONGEST, LogTail


def logger(tail: LogTail) -> logging.Logger:
    made = logging.Logger("a-test")
    made.addHandler(tail)
    return made


def test_secrets_are_never_in_it_not_even_in_a_traceback() -> None:
    tail = LogTail(("planted secret",))
    log = logger(tail)
    log.info("connecting with %s", "planted secret")
    log.info("GET /bot%s/x", "planted%20secret")
    try:
        raise ValueError("planted secret")
    except ValueError:
        log.exception("failed")
    lines = tail.last(100)
    assert len(lines) > 4
    assert not [line for line in lines if "planted" in line]


def test_it_keeps_the_last_lines_and_cuts_long_ones() -> None:
    tail = LogTail(())
    log = logger(tail)
    for each in range(KEPT + 10):
        log.info("line %d", each)
    log.info("x" * 1000)
    assert len(tail.last(10_000)) == KEPT
    assert len(tail.last(1)[0]) == LONGEST
    assert tail.last(2)[0].endswith(f"line {KEPT + 9}")
    log.debug("not kept")
    assert tail.last(1)[0].endswith("x")
