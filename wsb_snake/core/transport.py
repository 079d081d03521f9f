"""What stands under the vendors' REST clients: time-outs, budgets, one big decode at a time, and a seam.

``Transport.session_for`` puts a ``BoundedAdapter`` under a vendor's ``requests.Session``, and
``Transport.polygon_pool`` stands in for the ``urllib3.PoolManager`` of Polygon's client. Every exchange
then has a connect time-out, a read time-out and a total budget that also bounds a server that sends its
header or body drop by drop; nothing is ever sent twice; and with a ``handler`` no socket is opened: the
embedded exchange answers in process, below the unchanged client.

Not bounded here: the look-up of a host name (the resolver's own limits hold), and a host with several
addresses, each of which may take the connect time-out.
"""

import http.client
import io
import logging
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPHeaderDict, HTTPResponse, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import MaxRetryError, NewConnectionError
from urllib3.response import BaseHTTPResponse

from wsb_snake.core.clock import SystemClock
from wsb_snake.core.lanes import Lanes

BIG_BODY_BYTES = 64 * 1024
MINUTE_S = 60.0
BAD_REQUEST = 400
SHORTEST_KEY = 8
KEY_HEADERS = frozenset({"apca-api-key-id", "apca-api-secret-key", "authorization"})

C = TypeVar("C")


@dataclass(frozen=True, slots=True)
class Policy:
    """Seconds for one exchange: to connect, between two bytes, and from the first to the last."""

    connect_s: float = 3.0
    read_s: float = 5.0
    total_s: float = 10.0


@dataclass(frozen=True, slots=True)
class WireRequest:
    """One HTTP request as the vendor's client made it; ``url`` is whole, with its query."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class WireReply:
    """One HTTP reply. ``headers`` are (name, value) pairs."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


Handler = Callable[[WireRequest], WireReply]
"""Answers in process. It may raise what a network can do: ``ConnectionRefusedError`` (nothing left),
any other ``ConnectionError`` (reset after it left) or ``TimeoutError`` (a hang: the read time-out passes)."""


class _Deadline:
    """When the exchange under way must be over; one exchange at a time.

    A socket lives in real time, also while the lanes' clock is a virtual one that stands still.
    """

    def __init__(self, total_s: float) -> None:
        self._clock = SystemClock()
        self._total_s = total_s
        self._at = 0.0

    def start(self) -> None:
        self._at = self._clock.monotonic() + self._total_s

    def left_s(self) -> float:
        """Seconds left. Raises TimeoutError when there are none."""
        left = self._at - self._clock.monotonic()
        if left <= 0:
            raise TimeoutError("the total budget of the exchange is spent")
        return left


class _BoundedReader(io.RawIOBase):
    """Reads from a socket, each time with what is left of the deadline as the time-out."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, deadline: _Deadline, read_s: float) -> None:
        self._raw = raw
        self._sock = sock
        self._deadline = deadline
        self._read_s = read_s

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(min(self._read_s, self._deadline.left_s()))
        count: int | None = self._raw.readinto(buffer)
        return count

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
        super().close()


def _bounded_pools(deadline: _Deadline, read_s: float) -> dict[str, type[HTTPConnectionPool]]:
    """urllib3's pools, whose answers are read under ``deadline`` from the first byte of the header."""

    class Answer(http.client.HTTPResponse):
        def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
            super().__init__(sock, *args, **kwargs)
            self.fp = io.BufferedReader(_BoundedReader(self.fp.detach(), sock, deadline, read_s))

    class Plain(HTTPConnection):
        response_class = Answer

    class Tls(HTTPSConnection):
        response_class = Answer

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class TlsPool(HTTPSConnectionPool):
        ConnectionCls = Tls

    return {"http": PlainPool, "https": TlsPool}


class _Response(requests.Response):
    """A response whose big JSON bodies are decoded one at a time in the whole process.

    Eight threads that decode at once starve the lane that sends an exit; and one decoder keeps the
    interpreter to itself from the first byte to the last (25 ms for a day's bars of all names), unless
    it has something of Python to call on its way.
    """

    def __init__(self, decode_lock: threading.Lock) -> None:
        super().__init__()
        self._decode_lock = decode_lock

    @property
    def apparent_encoding(self) -> str:
        """JSON is UTF-8; guessing the encoding of a megabyte takes seconds."""
        return "utf-8"

    def json(self, **kwargs: Any) -> Any:
        if len(self.content) <= BIG_BODY_BYTES:
            return super().json(**kwargs)
        with self._decode_lock:
            return super().json(**{"object_hook": _breathe, **kwargs})


def _breathe(found: dict[str, Any]) -> dict[str, Any]:
    """Changes nothing: at the call the interpreter may go to another thread."""
    return found


class BoundedAdapter(HTTPAdapter):
    """Sends a session's requests within a policy, on a socket or to a handler; used by one lane at a time."""

    def __init__(
        self, lanes: Lanes, policy: Policy, decode_lock: threading.Lock, handler: Handler | None
    ) -> None:
        self._lanes = lanes
        self._policy = policy
        self._decode_lock = decode_lock
        self._handler = handler
        self._deadline = _Deadline(policy.total_s)
        super().__init__(pool_connections=2, pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _bounded_pools(self._deadline, self._policy.read_s)

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """The whole answer. Raises what requests raises; the caller's own time-out is overruled."""
        with self._lanes.network():
            if self._handler is not None:
                return self._in_process(request, self._handler)
            self._deadline.start()
            kwargs["timeout"] = (self._policy.connect_s, self._policy.read_s)
            response = super().send(request, *args, **kwargs)
            _ = response.content  # the body belongs to the exchange, and to its budget
            return _hushed(response, request)

    def build_response(self, req: requests.PreparedRequest, resp: BaseHTTPResponse) -> requests.Response:
        response = _Response(self._decode_lock)
        response.__dict__.update(super().build_response(req, resp).__dict__)
        return response

    def _in_process(self, request: requests.PreparedRequest, handler: Handler) -> requests.Response:
        body = request.body or b""
        sent = WireRequest(
            request.method or "GET",
            request.url or "",
            dict(request.headers),
            body.encode() if isinstance(body, str) else body,
        )
        try:
            reply = handler(sent)
        except ConnectionRefusedError as error:
            refused = NewConnectionError(None, str(error))  # type: ignore[arg-type]
            raise requests.ConnectionError(
                MaxRetryError(None, sent.url, refused),  # type: ignore[arg-type]
                request=request,
            ) from error
        except ConnectionError as error:
            raise requests.ConnectionError(error, request=request) from error
        except TimeoutError as error:
            self._lanes.sleep(self._policy.read_s)
            raise requests.ReadTimeout(error, request=request) from error
        raw = HTTPResponse(
            body=io.BytesIO(reply.body),
            headers=HTTPHeaderDict(reply.headers),
            status=reply.status,
            reason=http.client.responses.get(reply.status, ""),
            preload_content=False,
        )
        response = self.build_response(request, raw)
        _ = response.content
        return _hushed(response, request)


def _hushed(response: requests.Response, request: requests.PreparedRequest) -> requests.Response:
    """A refusal without the keys that the request carried: some servers repeat what they were sent, and
    the text of a refusal goes to the owner, the journal and the log."""
    if response.status_code >= BAD_REQUEST:
        shown = (value for name, value in request.headers.items() if name.lower() in KEY_HEADERS)
        for key in (part for each in shown for part in each.split() if len(part) >= SHORTEST_KEY):
            response._content = response.content.replace(key.encode(), b"***")
    return response


def never_left(error: requests.RequestException) -> bool:
    """Whether the request certainly did not reach the server: no connection came about."""
    if isinstance(error, requests.ConnectTimeout):
        return True
    cause = error.args[0] if error.args else None
    return isinstance(cause, MaxRetryError) and isinstance(cause.reason, NewConnectionError)


class PoolAnswer:
    """What Polygon's client reads of a urllib3 response, and the decoded JSON under the lock."""

    def __init__(self, response: requests.Response) -> None:
        self.status = response.status_code
        self.headers = response.headers
        self.data = response.content
        self._response = response

    def json(self) -> Any:
        """The decoded body. Raises ValueError."""
        return self._response.json()


class PolygonPool:
    """``request`` as ``urllib3.PoolManager`` has it. ``status`` is that of the last answer.

    Raises requests' exceptions where urllib3 would raise its own.
    """

    def __init__(self, session: requests.Session) -> None:
        self._session = session
        self.status = 0

    def request(
        self,
        method: str,
        url: str,
        fields: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> PoolAnswer:
        self.status = 0
        answer = PoolAnswer(
            self._session.request(method, url, params=fields, headers=headers, allow_redirects=False)
        )
        self.status = answer.status
        return answer


class Transport:
    """Makes the vendors' clients send within ``policy``, on sockets or to ``handler``.

    One transport serves all lanes; a session that it prepared serves one lane at a time.
    """

    def __init__(self, lanes: Lanes, policy: Policy, handler: Handler | None = None) -> None:
        self._lanes = lanes
        self._policy = policy
        self._handler = handler
        self._decode_lock = lanes.lock("json decode")
        quiet_vendors()

    def session_for(self, vendor_session: requests.Session) -> None:
        """Put the adapter under ``vendor_session``.

        The session forgets the environment: neither a proxy variable nor a ``.netrc`` may divert an
        order or replace the keys.
        """
        vendor_session.trust_env = False
        adapter = BoundedAdapter(self._lanes, self._policy, self._decode_lock, self._handler)
        for scheme in ("http://", "https://"):
            vendor_session.mount(scheme, adapter)

    def polygon_pool(self) -> PolygonPool:
        session = requests.Session()
        self.session_for(session)
        return PolygonPool(session)


class Clients(Generic[C]):
    """Clients of one kind, lent to one lane at a time, made when none is idle.

    A client whose connection failed is not lent again, so that no lane inherits a socket in doubt.
    """

    def __init__(self, make: Callable[[], C]) -> None:
        self._make = make
        self._idle: deque[C] = deque()

    @contextmanager
    def lend(self) -> Iterator[C]:
        try:
            client = self._idle.pop()
        except IndexError:
            client = self._make()
        sound = True
        try:
            yield client
        except requests.RequestException:
            sound = False
            raise
        finally:
            if sound:
                self._idle.append(client)


class Budget:
    """At most ``per_minute`` calls in any minute, of which ``reserved`` are kept for urgent ones.

    An urgent call is always let through, and counted: only the vendor may refuse to close a position.
    """

    def __init__(self, per_minute: int, reserved: int) -> None:
        if not 0 <= reserved < per_minute:
            raise ValueError(f"{reserved} of {per_minute} calls a minute cannot be reserved")
        self._free = per_minute - reserved
        self._calls: deque[float] = deque()
        self._lock = threading.Lock()

    def take(self, now: float, urgent: bool) -> bool:
        """Whether a call may be made at ``now`` (seconds of a monotonic clock); counts it if so."""
        with self._lock:
            while self._calls and self._calls[0] <= now - MINUTE_S:
                self._calls.popleft()
            if not urgent and len(self._calls) >= self._free:
                return False
            self._calls.append(now)
            return True


def quiet_vendors() -> None:
    """Keep the vendors' loggers at WARNING: below it they print keys, tokens and whole frames."""
    for name in ("alpaca", "httpcore", "httpx", "polygon", "RESTClient", "requests", "urllib3", "websockets"):
        logger = logging.getLogger(name)
        if logger.level < logging.WARNING:  # also when unset: the root may be set to DEBUG later
            logger.setLevel(logging.WARNING)
