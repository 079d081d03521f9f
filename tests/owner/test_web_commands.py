import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import requests
from flask import Blueprint
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.owner.sample import CALL, PUT, facts, position
from tests.owner.test_commands import RecordingDesk
from wsb_snake.core.health import Facts
from wsb_snake.core.lanes import Promise
from wsb_snake.owner.commands import CommandError, Commands, Verb
from wsb_snake.owner.confirm import MOST, VALID_S, Confirmations
from wsb_snake.owner.web import READERS, WebServer, create_app
from wsb_snake.owner.web_commands import CONFIRMED, MOST_WAITING, OFFERED, command_routes

TOKEN = "a-secret-of-the-owner"
LATER = "SPY261218C00600000"


def held() -> Facts:
    later = position(LATER, position_id="p3", qty=1, origin="foreign_later")
    return facts(positions=(position(), position(PUT, position_id="p2", qty=5), later))


class Web:
    def __init__(self, token: str | None = TOKEN) -> None:
        self.desk = RecordingDesk()
        self.now = 100.0
        self.facts = held()
        routes = command_routes(Commands(self.desk, lambda: self.facts), token, lambda: self.now)
        self.client: FlaskClient = create_app(held, commands=routes).test_client()

    def post(self, verb: str, token: str | None = TOKEN, **body: object) -> TestResponse:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return self.client.post(f"/api/{verb}", json=body or None, headers=headers)


@pytest.fixture
def web() -> Web:
    return Web()


def test_what_only_stops_entries_is_done_at_once(web: Web) -> None:
    assert set(OFFERED) - CONFIRMED == {Verb.HALT, Verb.PAUSE}
    answer = web.post("halt")
    assert (answer.status_code, answer.get_json()) == (200, {"ok": True, "text": "halt done"})
    assert web.post("pause", argument="030").status_code == 200
    assert web.post("pause").status_code == 200
    assert web.post("pause", argument="soon").status_code == 400
    assert web.desk.asked == [(Verb.HALT, None), (Verb.PAUSE, "30"), (Verb.PAUSE, None)]


@pytest.mark.parametrize(
    ("verb", "argument", "asked", "says"),
    [
        ("flatten", None, "0dte", f"This sells 2 × {CALL}, 5 × {PUT}."),
        ("flatten", "ALL", "all", "1 × SPY261218C00600000"),
        ("close", "qqq", PUT, f"This sells 5 × {PUT}."),
        ("cancel", None, None, "This cancels every open entry"),
        ("eod", None, None, "Nothing is due to be sold by now"),
        ("resume", None, None, "New entries may go."),
        ("adopt", f"{LATER} scalp", f"{LATER} scalp", f"lets the rules of the daemon sell {LATER} scalp"),
    ],
)
def test_what_else_changes_something_takes_two_posts(
    web: Web, verb: str, argument: str | None, asked: str | None, says: str
) -> None:
    body = {} if argument is None else {"argument": argument}
    first = web.post(verb, **body)
    told = first.get_json()
    assert first.status_code == 202 and says in told["text"]
    assert web.desk.asked == []
    second = web.post(verb, **body, confirm=told["confirm"])
    assert (second.status_code, second.get_json()["ok"]) == (200, True)
    assert web.desk.asked == [(Verb(verb), asked)]
    third = web.post(verb, **body, confirm=told["confirm"])
    assert third.status_code == 409
    assert len(web.desk.asked) == 1


def test_before_a_resume_the_page_says_what_stays(web: Web) -> None:
    web.facts = facts(pause_reasons=(("daily_loss", "$700"), ("manual", "halted")), trading_paused=True)
    told = web.post("resume").get_json()["text"]
    assert told.startswith("This ends your own pause or halt")
    assert "stay paused by daily_loss (the daily loss limit is reached, until the next session)." in told
    assert "manual" not in told and "entries may go" not in told


def test_a_confirm_is_for_its_own_command_and_for_30_s(web: Web) -> None:
    narrow = web.post("flatten").get_json()["confirm"]
    assert web.post("flatten", argument="all", confirm=narrow).status_code == 409
    assert web.post("flatten", confirm=narrow).status_code == 409, "a wrong use spends it"
    late = web.post("flatten").get_json()["confirm"]
    web.now += VALID_S
    assert web.post("flatten", confirm=late).status_code == 409
    for odd in ("é", "\ud800"):
        assert web.post("flatten", confirm=odd).status_code == 409
    for verb in OFFERED:
        assert web.post(verb, argument="\ud800").status_code == 400
    assert web.desk.asked == []


def test_what_was_listed_is_closed_and_nothing_that_came_since(web: Web) -> None:
    first = web.post("close", argument="SPY").get_json()
    assert f"This sells 2 × {CALL}, 1 × {LATER}." in first["text"]
    web.facts = facts(positions=(position(), position("SPY261123C00610000", position_id="p9")))
    assert web.post("close", argument="SPY", confirm=first["confirm"]).status_code == 200
    assert web.desk.asked == [(Verb.CLOSE, CALL)]
    web.facts = facts(positions=(position("SPY261123C00610000", qty=0),))
    told = web.post("close", argument="SPY")
    assert (told.status_code, "nothing of SPY is held" in told.get_json()["text"]) == (400, True)


def test_when_nothing_of_the_list_is_left_nothing_is_closed(web: Web) -> None:
    first = web.post("close", argument="SPY").get_json()
    web.facts = facts(positions=(position("SPY261123C00610000", position_id="p9"),))
    told = web.post("close", argument="SPY", confirm=first["confirm"])
    assert (told.status_code, "no position in" in told.get_json()["text"]) == (409, True)
    assert web.desk.asked == []


def test_open_questions_are_bounded() -> None:
    questions = Confirmations(lambda: 0.0)
    tokens = [questions.ask("cancel", None, None) for _ in range(MOST + 1)]
    assert not questions.take(tokens[0], "cancel", None)
    assert questions.take(tokens[1], "cancel", None)


@pytest.mark.parametrize("verb", OFFERED)
@pytest.mark.parametrize(
    ("set_token", "sent", "code", "says"),
    [
        (None, None, 403, "no control token is set"),
        (None, "", 403, "no control token is set"),
        (TOKEN, None, 401, "missing or wrong"),
        (TOKEN, TOKEN[:-1], 401, "missing or wrong"),
        (TOKEN, "wr\u00f6ng", 401, "missing or wrong"),
    ],
)
def test_without_the_token_nothing_is_asked(
    verb: str, set_token: str | None, sent: str | None, code: int, says: str
) -> None:
    web = Web(set_token)
    answer = web.post(verb, sent)
    assert (answer.status_code, says in answer.get_json()["text"]) == (code, True)
    assert TOKEN not in answer.get_data(as_text=True)
    assert web.desk.asked == []


@pytest.mark.parametrize("verb", OFFERED)
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_nothing_changes_but_by_post(web: Web, verb: str, method: str) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    assert web.client.open(f"/api/{verb}", method=method, headers=headers).status_code == 405
    assert web.desk.asked == []


def test_wrong_bodies_and_arguments_are_one_clear_line(web: Web) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    for body in (b"[1]", b"{", b'{"verb": "x"}', b'{"argument": 1}', b'{"confirm": []}'):
        answer = web.client.post("/api/flatten", data=body, headers=headers, content_type="application/json")
        assert answer.status_code == 400, body
    answer = web.post("close", argument="IWM")
    assert answer.status_code == 400 and "no position in the ticker IWM" in answer.get_json()["text"]
    assert web.post("dne", argument=CALL).status_code == 404
    assert web.desk.asked == []


def test_a_refusal_of_the_daemon_is_passed_on(web: Web) -> None:
    web.desk.refusal = CommandError("the calendar still disagrees")
    answer = web.post("resume", confirm=web.post("resume").get_json()["confirm"])
    assert (answer.status_code, answer.get_json()["text"]) == (409, "the calendar still disagrees")


class HangingDesk(RecordingDesk):
    """Takes a command and does not come back until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.entered, self.go_on = threading.Semaphore(0), threading.Event()

    def hang(self) -> str:
        self.entered.release()
        return "let go" if self.go_on.wait(120) else "forgotten"

    def ask(self, verb: Verb, argument: str | None) -> Promise[str]:
        self.hang()
        return super().ask(verb, argument)

    def all_in(self, count: int) -> bool:
        return all(self.entered.acquire(timeout=60) for _ in range(count))


Post = Callable[..., requests.Response]


@contextmanager
def served(desk: HangingDesk) -> Iterator[tuple[str, Post]]:
    routes = command_routes(Commands(desk, held), TOKEN, lambda: 100.0)
    reading = Blueprint("data", __name__)
    reading.add_url_rule("/api/slow", "slow", desk.hang)
    server = WebServer(create_app(held, commands=routes, more=(reading,)), "127.0.0.1", 0)
    server.start()
    url = f"http://127.0.0.1:{server.port}"

    def post(verb: str, **body: object) -> requests.Response:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        return requests.post(f"{url}/api/{verb}", json=body, headers=headers, timeout=120)

    try:
        yield url, post
    finally:
        desk.go_on.set()
        server.stop()


def test_commands_that_wait_leave_health_and_a_halt_their_threads() -> None:
    desk = HangingDesk()
    with served(desk) as (url, post), ThreadPoolExecutor(16) as callers:
        confirms = [post("cancel").json()["confirm"] for _ in range(MOST_WAITING + 1)]
        reads = [callers.submit(requests.get, f"{url}/api/slow", timeout=120) for _ in range(READERS)]
        assert desk.all_in(READERS)
        waiting = [callers.submit(post, "cancel", confirm=each) for each in confirms[:MOST_WAITING]]
        assert desk.all_in(MOST_WAITING)
        refused = post("cancel", confirm=confirms[-1])
        assert (refused.status_code, "nothing was done" in refused.json()["text"]) == (503, True)
        halt = callers.submit(post, "halt")
        assert desk.all_in(1), "the others do not keep it out"
        again = post("halt")
        assert (again.status_code, again.json()["text"]) == (503, "a halt is at work already; see the status")
        for path in ("/health", "/api/status"):
            assert requests.get(f"{url}{path}", timeout=60).status_code == 200
        desk.go_on.set()
        assert [one.result(120).status_code for one in (*reads, *waiting, halt)] == [200] * (
            READERS + MOST_WAITING + 1
        )
        assert post("cancel", confirm=confirms[-1]).status_code == 200, "its confirm was not spent"
