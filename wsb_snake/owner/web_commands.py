"""Commands over HTTP: ``POST /api/<verb>`` with the control token, and a second POST for most of them.

POST /api/flatten  {"argument": "all"}                       -> 202 {"text": ..., "confirm": "..."}
POST /api/flatten  {"argument": "all", "confirm": "..."}     -> 200 {"ok": true, "text": ...}
"""

import hmac
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from flask import Blueprint, Response, jsonify, request
from werkzeug.exceptions import BadRequest, Forbidden, ServiceUnavailable, Unauthorized

from wsb_snake.owner.commands import CommandError, Commands, Verb
from wsb_snake.owner.confirm import VALID_S, Confirmations
from wsb_snake.owner.live import Control

OFFERED = (Verb.HALT, Verb.PAUSE, Verb.RESUME, Verb.CANCEL, Verb.FLATTEN, Verb.CLOSE, Verb.EOD, Verb.ADOPT)
CONFIRMED = frozenset(OFFERED) - {Verb.HALT, Verb.PAUSE}
"""A halt and a pause only stop entries, so they are done at once."""

MOST_WAITING = 2
"""Commands that are waited for at the same time, each of which may keep a thread for some seconds."""
MOST_HALTS = 1
"""A halt has a place of its own: no other command keeps it out."""

BUSY = "nothing was done: others are at work; see the status, and send it again"
HALTING = "a halt is at work already; see the status"

Answered = tuple[Response, int]


def offered() -> tuple[Control, ...]:
    """The verbs that may be posted, and which of them ask back first."""
    return tuple(Control(str(verb), verb in CONFIRMED) for verb in OFFERED)


def command_routes(commands: Commands, token: str | None, monotonic: Callable[[], float]) -> Blueprint:
    """The routes. Without a ``token`` every one answers 403."""
    routes = Blueprint("commands", __name__)
    questions = Confirmations(monotonic)
    places, halts = threading.BoundedSemaphore(MOST_WAITING), threading.BoundedSemaphore(MOST_HALTS)

    def ask(verb: Verb, checked: str | None) -> Answered:
        try:
            bound = commands.bound(verb, checked)
        except CommandError as error:
            return jsonify(ok=False, text=str(error)), 400
        again = f"Send it again with this confirm within {VALID_S:.0f} s."
        text = f"{commands.describe(verb, bound)} {again}"
        return jsonify(text=text, confirm=questions.ask(verb, checked, bound)), 202

    def run(name: str) -> Answered:
        _authorise(token)
        argument, confirm = _body()
        verb = Verb(name)
        try:
            checked = commands.checked(verb, argument)
        except CommandError as error:
            return jsonify(ok=False, text=str(error)), 400
        if verb in CONFIRMED and confirm is None:
            return ask(verb, checked)
        free, busy = (halts, HALTING) if verb is Verb.HALT else (places, BUSY)
        with _place(free, busy):  # first, so that nothing is used up in vain
            return do(verb, checked, confirm or "")

    def do(verb: Verb, checked: str | None, confirm: str) -> Answered:
        if verb in CONFIRMED:
            asked = questions.take(confirm, verb, checked)
            if asked is None:
                return jsonify(ok=False, text="this confirm is used, too old or for another command"), 409
            checked = asked.bound
        answer = commands.run(verb, checked)
        return jsonify(ok=answer.ok, text=answer.text), 200 if answer.ok else 409

    for verb in OFFERED:
        routes.add_url_rule(f"/api/{verb}", str(verb), run, methods=["POST"], defaults={"name": str(verb)})
    return routes


@contextmanager
def _place(free: threading.BoundedSemaphore, busy: str) -> Iterator[None]:
    """Raises ServiceUnavailable, which says ``busy``."""
    if not free.acquire(blocking=False):
        raise ServiceUnavailable(busy)
    try:
        yield
    finally:
        free.release()


def _authorise(token: str | None) -> None:
    """Raises Forbidden and Unauthorized."""
    if token is None:
        raise Forbidden("no control token is set")
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), token.encode()):
        raise Unauthorized("the control token is missing or wrong")


def _body() -> tuple[str | None, str | None]:
    """``argument`` and ``confirm``. Raises BadRequest."""
    fields = request.get_json(silent=True) if request.content_length else {}
    if not isinstance(fields, dict) or not fields.keys() <= {"argument", "confirm"}:
        raise BadRequest('expected {"argument": text, "confirm": text} or an empty body')
    argument, confirm = fields.get("argument"), fields.get("confirm")
    if not (argument is None or isinstance(argument, str)) or not (
        confirm is None or isinstance(confirm, str)
    ):
        raise BadRequest("argument and confirm are text")
    return (argument or "").strip() or None, confirm
