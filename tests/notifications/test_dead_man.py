import logging
import socket

import pytest
import requests

from tests.owner.test_health_check import answering
from tests.process.pair import free_port
from wsb_snake.notifications import dead_man
from wsb_snake.notifications.dead_man import DeadMan

SECRET = "c0ffee-secret"


def url(port: int) -> str:
    return f"http://127.0.0.1:{port}/ping/{SECRET}"


@pytest.mark.parametrize(("code", "taken"), [(200, True), (204, True), (404, False), (500, False)])
def test_only_a_good_answer_counts(code: int, taken: bool) -> None:
    with answering(code, b"") as port:
        assert DeadMan(url(port)).ping() is taken


def test_trouble_is_told_once_and_never_with_the_url(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_man, "READ_S", 0.2)
    caplog.set_level(logging.DEBUG)
    port = free_port()
    switch = DeadMan(url(port))
    assert [switch.ping(), switch.ping()] == [False, False]
    with socket.create_server(("127.0.0.1", port)):  # accepts and never answers
        assert switch.ping() is False
    told = [record for record in caplog.records if record.name == dead_man.__name__]
    assert len(told) == 1
    assert SECRET not in told[0].getMessage()


def test_what_the_library_raises_does_not_leave_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise requests.exceptions.InvalidURL(f"bad {SECRET}")

    monkeypatch.setattr(requests.Session, "get", broken)
    assert DeadMan(url(1)).ping() is False
