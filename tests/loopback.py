"""A small HTTP server on a loopback socket that misbehaves on demand."""

import json
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Seen:
    """One request as it arrived."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query))

    def json(self) -> Any:
        return json.loads(self.body)


Answer = Callable[[Seen, socket.socket, threading.Event], None]


@dataclass
class Loopback:
    """Answers each request with the next of ``answers``; the last one serves for ever after."""

    answers: list[Answer]
    seen: list[Seen] = field(default_factory=list)
    _closing: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._spawn(self._accept)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._closing.set()
        with socket.create_connection(self._listener.getsockname()):
            pass  # wakes the accepting thread
        for thread in self._threads:
            thread.join(5)
        self._listener.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def _spawn(self, run: Callable[[], None]) -> None:
        thread = threading.Thread(target=run, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        number = 0
        while True:
            connection, _ = self._listener.accept()
            if self._closing.is_set():
                connection.close()
                return
            number += 1
            self._spawn(lambda c=connection, n=number: self._serve(c, n))  # type: ignore[misc]

    def _serve(self, connection: socket.socket, number: int) -> None:
        with connection:
            connection.settimeout(0.05)
            waiting = b""
            while not self._closing.is_set():
                try:
                    piece = connection.recv(65536)
                except TimeoutError:
                    continue
                except OSError:
                    return
                if not piece:
                    return
                waiting += piece
                request = _whole(waiting, number)
                if request is None:
                    continue
                waiting = b""
                self.seen.append(request)
                answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                try:
                    answer(request, connection, self._closing)
                except OSError:
                    return  # the client went away, or we cut it off
                if connection.fileno() < 0:
                    return


def _whole(raw: bytes, number: int) -> Seen | None:
    head, separator, body = raw.partition(b"\r\n\r\n")
    if not separator:
        return None
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    if len(body) < int(headers.get("content-length", 0)):
        return None
    method, target, _ = first.split(" ")
    return Seen(method, target, headers, body, number)


def _head(status: int, length: int, kind: str) -> bytes:
    return f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n".encode()


def reply(payload: object, status: int = 200) -> Answer:
    """JSON."""
    return raw(json.dumps(payload).encode(), status, "application/json")


def raw(body: bytes, status: int = 200, kind: str = "text/html") -> Answer:
    return lambda request, connection, closing: connection.sendall(_head(status, len(body), kind) + body)


def hang(request: Seen, connection: socket.socket, closing: threading.Event) -> None:
    """Read the request and never answer."""
    closing.wait(30)


def reset(request: Seen, connection: socket.socket, closing: threading.Event) -> None:
    """Read the request, then cut the connection with an RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def hang_up(request: Seen, connection: socket.socket, closing: threading.Event) -> None:
    """Read the request, then close in good order without an answer."""
    connection.close()


def trickle(whole: bytes, pause_s: float) -> Answer:
    """Send ``whole`` byte by byte."""

    def answer(request: Seen, connection: socket.socket, closing: threading.Event) -> None:
        for at in range(len(whole)):
            connection.sendall(whole[at : at + 1])
            if closing.wait(pause_s):
                return

    return answer


def trickle_header(pause_s: float) -> Answer:
    return trickle(_head(200, 2, "application/json") + b"{}", pause_s)


def trickle_body(pause_s: float) -> Answer:
    def answer(request: Seen, connection: socket.socket, closing: threading.Event) -> None:
        connection.sendall(_head(200, 1000, "application/json"))
        trickle(b" " * 1000, pause_s)(request, connection, closing)

    return answer


def cut_short(request: Seen, connection: socket.socket, closing: threading.Event) -> None:
    """Announce a body and close in the middle of it."""
    connection.sendall(_head(200, 1000, "application/json") + b'{"half":')
    connection.close()


def closed_port() -> int:
    """A port on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port
