"""Commands over a Unix socket in the data directory: one JSON line in, one JSON line out.

    {"verb": "flatten", "argument": "all"}  ->  {"ok": true, "text": "..."}

The file's mode (0600) is the authority: whoever may open it owns the account's keys already.
"""

import errno
import json
import logging
import os
import socket
import stat
import threading
from contextlib import suppress
from pathlib import Path

from wsb_snake.core.clock import SystemClock
from wsb_snake.owner.commands import Answer, Commands

MAX_PATH_BYTES = 107  # sun_path holds 108 with its closing zero
MAX_REQUEST = 4096
MAX_TEXT = 60_000  # characters of an answer
MAX_ANSWER = 512 * 1024
MAX_CLIENTS = 8
CLIENT_S = 2.0  # for a client to send its line, and to take the answer
STOP_S = 2.0

_DISK = frozenset({errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EACCES})

log = logging.getLogger(__name__)


class ControlError(Exception):
    """The socket cannot be offered; the text is one line for the owner."""


class ControlUnavailable(ControlError):
    """The disk takes no socket: go on without."""


class DaemonUnreachable(Exception):
    """No daemon answered; the text is one line for the owner."""


class _Garbage(Exception):
    """What came is no request; the text says why."""


class ControlServer:
    """Answers on ``path`` with ``commands``; a thread that accepts, and one for each client."""

    def __init__(self, path: Path, commands: Commands) -> None:
        self._path = path
        self._commands = commands
        self._slots = threading.BoundedSemaphore(MAX_CLIENTS)
        self._thread = threading.Thread(target=self._accept, name="control", daemon=True)

    def start(self) -> None:
        """Offer the socket, mode 0600, in place of a dead one. Raises ControlError."""
        _check_length(self._path, ControlError)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            _remove_dead(self._path)
            self._listener.bind(str(self._path))
            self._path.chmod(0o600)  # nobody can connect before listen()
            self._listener.listen(MAX_CLIENTS)
        except OSError as error:
            self._listener.close()
            kind = ControlUnavailable if error.errno in _DISK else ControlError
            raise kind(f"cannot offer {self._path} ({error.strerror})") from None
        except ControlError:
            self._listener.close()
            raise
        self._thread.start()

    def stop(self) -> None:
        """Take no more commands and remove the file."""
        if not self._thread.is_alive():
            return
        self._path.unlink(missing_ok=True)
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept
        self._thread.join(STOP_S)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # stopped
                return
            if self._slots.acquire(blocking=False):
                threading.Thread(
                    target=self._serve, args=(client,), name="control client", daemon=True
                ).start()
            else:
                with client, suppress(OSError):
                    _reply(client, Answer(False, "too many commands at once, try again"))

    def _serve(self, client: socket.socket) -> None:
        try:
            with client, suppress(OSError):  # a client that went away
                try:
                    verb, argument = _request(_line(client, MAX_REQUEST, _deadline(CLIENT_S)))
                except _Garbage as error:
                    _reply(client, Answer(False, str(error)))
                else:
                    _reply(client, self._run(verb, argument))
        finally:
            self._slots.release()

    def _run(self, verb: str, argument: str | None) -> Answer:
        try:
            return self._commands.run(verb, argument)
        except Exception:  # the top of this thread: the daemon must go on answering
            log.exception("the command %s failed", verb[:40])
            return Answer(False, "the command failed; the daemon's log says why")


def send_command(path: Path, verb: str, argument: str | None = None, timeout: float = 5.0) -> Answer:
    """Have the daemon that owns ``path`` do ``verb``. Raises DaemonUnreachable within ``timeout`` seconds."""
    _check_length(path, DaemonUnreachable)
    request = json.dumps({"verb": verb, "argument": argument}).encode() + b"\n"
    deadline = _deadline(timeout)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
            server.settimeout(timeout)
            server.connect(str(path))
            server.sendall(request)
            answer = json.loads(_line(server, MAX_ANSWER, deadline))
            return Answer(bool(answer["ok"]), str(answer["text"]))
    except TimeoutError:
        raise DaemonUnreachable(f"the daemon did not answer on {path} within {timeout:g} s") from None
    except OSError as error:
        raise DaemonUnreachable(f"no daemon answers on {path} ({error.strerror}); is it running?") from None
    except (_Garbage, ValueError, LookupError, TypeError):
        raise DaemonUnreachable(f"what answers on {path} is not the daemon") from None


def _check_length(path: Path, error: type[ControlError] | type[DaemonUnreachable]) -> None:
    size = len(os.fsencode(path))
    if size > MAX_PATH_BYTES:
        raise error(
            f"the path of the control socket has {size} bytes, the system takes {MAX_PATH_BYTES}: "
            f"set WSB_SNAKE_DATA_DIR to a shorter one ({path})"
        )


def _remove_dead(path: Path) -> None:
    """Remove a socket file that nobody answers on. Raises ControlError for anything else that is there."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise ControlError(f"{path} is in the way: it is not a socket, remove it")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(CLIENT_S)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise ControlError(f"another daemon answers on {path}")


def _deadline(seconds: float) -> float:
    return SystemClock().monotonic() + seconds


def _line(peer: socket.socket, limit: int, deadline: float) -> bytes:
    """One line without its end, before ``deadline`` (monotonic). Raises _Garbage, TimeoutError, OSError."""
    clock = SystemClock()
    taken = b""
    while b"\n" not in taken:
        left = deadline - clock.monotonic()
        if left <= 0:
            raise TimeoutError
        peer.settimeout(left)
        chunk = peer.recv(65536)
        if not chunk:
            raise _Garbage("the line has no end")
        taken += chunk
        if len(taken) > limit:
            raise _Garbage(f"more than {limit} bytes")
    return taken.partition(b"\n")[0]


def _request(line: bytes) -> tuple[str, str | None]:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        raise _Garbage("not JSON") from None
    verb = fields.get("verb") if isinstance(fields, dict) else None
    argument = fields.get("argument") if isinstance(fields, dict) else None
    if not isinstance(verb, str) or not (argument is None or isinstance(argument, str)):
        raise _Garbage('expected {"verb": text, "argument": text or null}')
    return verb, argument


def _reply(client: socket.socket, answer: Answer) -> None:
    client.settimeout(CLIENT_S)
    line = json.dumps({"ok": answer.ok, "text": answer.text[:MAX_TEXT]}, ensure_ascii=False)
    client.sendall(line.encode() + b"\n")
