"""Health, status and commands over HTTP, on loopback.

What shows takes no lock and touches neither database nor network, so it answers while all else hangs;
nothing changes by GET.
"""

import http.client
import logging
import socket
import threading
from collections.abc import Callable, Iterable
from contextlib import closing

from flask import Blueprint, Flask, Response, g, jsonify, render_template_string, request
from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.server import create_server
from werkzeug.exceptions import BadRequest, HTTPException, ServiceUnavailable

from wsb_snake.core.health import Facts, verdict
from wsb_snake.owner.status import (
    POSITION_HEADINGS,
    eod_line,
    health_json,
    http_code,
    position_row,
    state_line,
    status_json,
    what_goes_on,
)
from wsb_snake.owner.web_commands import MOST_HALTS, MOST_WAITING

LOOPBACK = ("127.0.0.1", "localhost")  # werkzeug 3.1 cannot trust an IPv6 literal, so IPv4 only
MAX_BODY = 1024
CONNECTIONS = 64
IDLE_S = 10
STOP_S = 5
POLL_S = 0.2
PROBE_S = 2.0

READERS = 2
"""Requests that may read the database at the same time: a disk that hangs keeps no more threads."""

THREADS = READERS + MOST_WAITING + MOST_HALTS + 1
"""One is left for what answers from memory, whatever the others wait for."""

_EXPLAINED = frozenset({401, 403, 503})
_READING = frozenset({"data", "why"})

_HEADERS = (
    ("Cache-Control", "no-store"),
    (
        "Content-Security-Policy",
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none';"
        " frame-ancestors 'none'",
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)
"""For every answer that does not say otherwise."""

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="10">
<title>WSB Snake: {{ status }}</title>
<style>
:root { color-scheme: light dark; --ink: #1b1b1b; --paper: #fff; --line: #ccc; --bad: #b00020; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8e8e8; --paper: #161616; --line: #444; --bad: #ff6b7a; }
}
body { font: 16px/1.45 system-ui, sans-serif; color: var(--ink); background: var(--paper);
       margin: 1rem auto; padding: 0 1rem; max-width: 70rem; }
h1 { font-size: 1.3rem; margin: 0 0 .5rem; }
.bad { color: var(--bad); font-weight: 600; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .25rem .6rem .25rem 0; border-bottom: 1px solid var(--line);
         white-space: nowrap; }
</style>
</head>
<body>
<h1{% if status != "healthy" %} class="bad"{% endif %}>{{ state }}</h1>
{% for reason in reasons %}<p class="bad">{{ reason }}</p>{% endfor %}
<p>EOD: {{ eod }}</p>
{% for reason, detail in facts.pause_reasons %}
<p class="bad">Paused ({{ reason }}): {{ detail }}. Meanwhile {{ goes_on }}.</p>
{% endfor %}
{% for warning in facts.warnings %}<p class="bad">Warning: {{ warning }}</p>{% endfor %}
{% if rows %}
<div class="scroll"><table>
<tr>{% for name in headings %}<th>{{ name }}</th>{% endfor %}</tr>
{% for row in rows %}<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>{% endfor %}
</table></div>
{% else %}<p>No position is open.</p>{% endif %}
<p>Last event: {{ facts.last_event or "none" }}</p>
<div class="scroll"><table>
{% for name, value in table %}<tr><th>{{ name }}</th><td>{{ value }}</td></tr>{% endfor %}
</table></div>
</body>
</html>
"""


class WebError(Exception):
    """The server cannot start; the text is one line for the owner."""


def create_app(
    read_facts: Callable[[], Facts],
    host: str = LOOPBACK[0],
    commands: Blueprint | None = None,
    more: Iterable[Blueprint] = (),
) -> Flask:
    """``GET /health``, ``/api/status`` and ``/status``, the routes of ``web_commands``, and ``more``.

    ``read_facts`` reads memory only. Requests under another name than loopback's or ``host`` (the
    address that is bound) are refused, which stops DNS rebinding.
    """
    app = Flask(__name__, static_folder=None)
    app.config.update(TRUSTED_HOSTS=[*LOOPBACK, host], MAX_CONTENT_LENGTH=MAX_BODY)

    for routes in (*more, *(() if commands is None else (commands,))):
        app.register_blueprint(routes)
    _limit_reading(app)

    @app.get("/health")
    def health() -> tuple[Response, int]:
        facts = read_facts()
        return jsonify(health_json(facts)), http_code(facts)

    @app.get("/api/status")
    def api_status() -> Response:
        return jsonify(status_json(read_facts()))

    @app.get("/status")
    def status() -> str:
        return _page(read_facts())

    @app.errorhandler(HTTPException)
    def refused(error: HTTPException) -> Response:
        code = error.code or 500
        said = {"text": error.description} if code in _EXPLAINED or _ours(error) else {}
        answer = jsonify(error=error.name, status=code, **said)
        answer.status_code = code
        for name, value in error.get_headers():
            if name in {"Allow", "WWW-Authenticate"}:
                answer.headers[name] = value
        return answer

    @app.after_request
    def harden(response: Response) -> Response:
        for name, value in _HEADERS:
            response.headers.setdefault(name, value)
        return response

    return app


def _limit_reading(app: Flask) -> None:
    """Whoever reads the database finds a place at once, or is told to ask again."""
    places = threading.BoundedSemaphore(READERS)

    @app.before_request
    def enter() -> None:
        if request.blueprint in _READING:
            if not places.acquire(blocking=False):
                raise ServiceUnavailable("others are reading the database; ask again in a second")
            g.reading = True

    @app.teardown_request
    def leave(_: BaseException | None) -> None:
        if g.pop("reading", False):
            places.release()


def _ours(error: HTTPException) -> bool:
    """Whether the text is our own and not the library's."""
    return type(error) is BadRequest and error.description != BadRequest.description


def _page(facts: Facts) -> str:
    status, reasons = verdict(facts)
    table = [
        *((f"limit: {name}", text) for name, text in facts.limits.items()),
        *((f"feed: {name}", text) for name, text in facts.feeds.items()),
        *((f"last sign of life: {name}", f"{age:.0f} s") for name, age in sorted(facts.heartbeats.items())),
        ("version", facts.version),
    ]
    return render_template_string(
        _PAGE,
        facts=facts,
        status=status.value,
        state=state_line(facts),
        reasons=reasons,
        eod=eod_line(facts),
        goes_on=what_goes_on(facts),
        headings=POSITION_HEADINGS,
        rows=[position_row(position) for position in facts.positions],
        table=table,
    )


def answers(host: str, port: int) -> bool:
    """Whether ``GET /health`` gets an answer within 2 s, healthy or not."""
    with closing(http.client.HTTPConnection(host, port, timeout=PROBE_S)) as link:
        try:
            link.request("GET", "/health", headers={"Host": LOOPBACK[0]})
            return link.getresponse().status in {200, 503}
        except (OSError, http.client.HTTPException):
            return False


class WebServer:
    """``app`` on waitress, in threads of its own."""

    def __init__(self, app: Flask, host: str, port: int) -> None:
        self._app = app
        self._address = (host, port)
        self._sockets: dict[int, socket.socket] = {}
        self._stopping = False
        self._thread = threading.Thread(target=self._poll, name="web", daemon=True)
        self.port = port

    def start(self) -> None:
        """Listen; ``port`` is then the one that is bound. Raises WebError."""
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # a page asks for many files at once
        host, port = self._address
        try:
            listener = socket.create_server(self._address)
        except OSError as error:
            raise WebError(
                f"cannot listen on {host}:{port} ({error.strerror}): "
                "change WSB_SNAKE_HTTP_HOST or WSB_SNAKE_HTTP_PORT, or end what listens there"
            ) from None
        self.port = listener.getsockname()[1]
        self._server = create_server(
            self._app,
            map=self._sockets,
            sockets=[listener],
            threads=THREADS,
            connection_limit=CONNECTIONS,
            channel_timeout=IDLE_S,
            max_request_body_size=MAX_BODY,
            ident="wsb-snake",
        )
        self._thread.start()

    def stop(self) -> None:
        """Let running requests finish, then close; in that order no worker writes to a closed socket."""
        if not self._thread.is_alive():
            return
        self._server.task_dispatcher.shutdown(cancel_pending=True, timeout=STOP_S)
        self._stopping = True
        self._thread.join(STOP_S)

    def _poll(self) -> None:
        while not self._stopping:
            self._make_room()
            wasyncore.loop(timeout=POLL_S, use_poll=True, map=self._sockets, count=1)
        wasyncore.close_all(self._sockets)

    def _make_room(self) -> None:
        """At the limit the oldest connection without a whole request gives way to the next caller.

        The library keeps one for as long as its bytes trickle in, and takes no other meanwhile.
        """
        if len(self._sockets) < CONNECTIONS:
            return
        held: Iterable[object] = self._sockets.values()
        idle = [each for each in held if isinstance(each, HTTPChannel) and not each.requests]
        if idle:
            min(idle, key=lambda channel: channel.creation_time).handle_close()
