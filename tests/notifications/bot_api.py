"""A Bot API on loopback with one method, sendMessage, that can be told to misbehave."""

import json
import socket
import threading
from collections import deque
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

TOKEN = "12345:AAsecret-token-of-the-test"
CHAT = "-1001"

OK = "ok"
OK_WITHOUT_MESSAGE = "ok without message"  # taken, but the answer is not what the library expects
THROTTLE = "429"
MALFORMED = "400"
BAD_TOKEN = "401"
BLOCKED = "403"
HTML_502 = "502"
HTML_403 = "403 html"  # a gateway on the way refuses
HTML_404 = "404 html"
GATEWAY_JSON = "403 json"
GATEWAY_TEXT = "403 json text"
NOT_JSON = "200 html"
HANG = "hang"  # the answer never comes; the message is not taken
TAKEN_THEN_HANG = "taken, hang"
TAKEN_THEN_RESET = "taken, reset"


def bad_request(words: str) -> str:
    """A behaviour: 400, and nothing is taken."""
    return f"400 Bad Request: {words}"


NO_CHAT = bad_request("chat not found")

_ERRORS: dict[str, tuple[int, dict[str, object]]] = {
    THROTTLE: (429, {"description": "Too Many Requests", "parameters": {"retry_after": 7}}),
    MALFORMED: (400, {"description": "Bad Request: message is too long"}),
    BAD_TOKEN: (401, {"description": "Unauthorized"}),
    BLOCKED: (403, {"description": "Forbidden: bot was blocked by the user"}),
}
_PAGES = {HTML_502: 502, NOT_JSON: 200, HTML_403: 403, HTML_404: 404}  # of a proxy that shows the whole path


@dataclass(frozen=True)
class Message:
    chat: str
    text: str
    silent: bool


class BotApi:
    """``plan`` holds the next behaviours, ``usual`` what follows them; ``taken`` what was delivered."""

    def __init__(self) -> None:
        self.plan: deque[str] = deque()
        self.usual = OK
        self.taken: list[Message] = []
        self.paths: list[str] = []
        self.let_go = threading.Event()  # ends every hang
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self.let_go.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def texts(self) -> list[str]:
        return [message.text for message in self.taken]


def _handler(api: BotApi) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            api.paths.append(self.path)
            act = api.plan.popleft() if api.plan else api.usual
            if act in {OK, OK_WITHOUT_MESSAGE, TAKEN_THEN_HANG, TAKEN_THEN_RESET}:
                silent = form.get("disable_notification") == ["true"]
                api.taken.append(Message(form["chat_id"][0], form["text"][0], silent))
            self.answer(act, form)

        def answer(self, act: str, form: dict[str, list[str]]) -> None:
            if act in {HANG, TAKEN_THEN_HANG}:
                api.let_go.wait(30)
                self.close_connection = True
            elif act == TAKEN_THEN_RESET:
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
            elif act in _PAGES:
                self.reply(_PAGES[act], f"<html>bad gateway for {self.path}</html>")
            elif act in {GATEWAY_JSON, GATEWAY_TEXT}:
                self.reply(403, '{"message": "Forbidden"}' if act == GATEWAY_JSON else '"Forbidden"')
            elif act.startswith(bad_request("")):
                words = act.removeprefix(bad_request(""))
                self.reply(400, json.dumps({"ok": False, "error_code": 400, "description": words}))
            elif act in _ERRORS:
                code, body = _ERRORS[act]
                self.reply(code, json.dumps({"ok": False, "error_code": code, **body}))
            elif act == OK_WITHOUT_MESSAGE:
                self.reply(200, '{"ok": true}')
            else:
                chat = {"id": int(form["chat_id"][0]), "type": "group", "title": "t"}
                message = {"message_id": len(api.taken), "date": 1, "chat": chat, "text": form["text"][0]}
                self.reply(200, json.dumps({"ok": True, "result": message}))

        def reply(self, code: int, body: str) -> None:
            self.send_response(code)
            self.send_header("Content-Length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            """Silent."""

    return Handler
