import json
import logging
import socket
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.owner.sample import facts
from tests.owner.test_commands import RecordingDesk
from wsb_snake.owner import control
from wsb_snake.owner.commands import Commands, Verb
from wsb_snake.owner.control import ControlError, ControlServer, DaemonUnreachable, send_command


@pytest.fixture
def desk() -> RecordingDesk:
    return RecordingDesk()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "control.sock"


@pytest.fixture
def server(path: Path, desk: RecordingDesk) -> Iterator[ControlServer]:
    control_server = ControlServer(path, Commands(desk, facts))
    control_server.start()
    yield control_server
    control_server.stop()


def raw(path: Path, payload: bytes, end: bool = True) -> dict[str, object]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(10)
        client.connect(str(path))
        client.sendall(payload)
        if end:
            client.shutdown(socket.SHUT_WR)
        answer: dict[str, object] = json.loads(client.makefile("rb").readline())
        return answer


@pytest.mark.usefixtures("server")
def test_a_command_there_and_back(path: Path, desk: RecordingDesk) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert send_command(path, "flatten", "all").text == "flatten done"
    assert send_command(path, Verb.STATUS, None).text.startswith("HEALTHY")
    refused = send_command(path, "close", "SPY")
    assert (refused.ok, refused.text) == (False, "no position in the ticker SPY; nothing is held")
    assert desk.asked == [(Verb.FLATTEN, "all")]


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize(
    ("payload", "says"),
    [
        (b"\n", "not JSON"),
        (b"\xff\xfe\x00\n", "not JSON"),
        (b"[" * 4000 + b"\n", "not JSON"),
        (b"[1]\n", "expected"),
        (b'{"verb": 1}\n', "expected"),
        (b'{"verb": "halt", "argument": 1}\n', "expected"),
        (b'{"verb": "halt"}', "the line has no end"),
        (b"", "the line has no end"),
        (b"x" * 5000, "more than 4096 bytes"),
    ],
)
def test_garbage_gets_an_answer_and_the_next_command_works(
    path: Path, desk: RecordingDesk, payload: bytes, says: str
) -> None:
    answer = raw(path, payload)
    assert answer["ok"] is False
    assert says in str(answer["text"])
    assert desk.asked == []
    assert send_command(path, "halt").ok


@pytest.mark.usefixtures("server")
def test_mute_clients_do_not_keep_a_command_out(path: Path) -> None:
    mute = [socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) for _ in range(control.MAX_CLIENTS - 1)]
    try:
        for client in mute:
            client.connect(str(path))
        assert send_command(path, "halt").ok
    finally:
        for client in mute:
            client.close()


@pytest.mark.usefixtures("server")
def test_a_mute_client_is_given_up(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "CLIENT_S", 0.05)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(10)
        client.connect(str(path))
        assert client.recv(100) == b""


@pytest.mark.usefixtures("server")
def test_clients_that_are_done_count_no_more(path: Path) -> None:
    for _ in range(3 * control.MAX_CLIENTS):
        assert send_command(path, "halt").text == "halt done"


@pytest.mark.usefixtures("server")
def test_too_many_clients_are_told_so(path: Path) -> None:
    mute = [socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) for _ in range(control.MAX_CLIENTS)]
    try:
        for client in mute:
            client.connect(str(path))
        assert "too many" in str(raw(path, b"", end=False)["text"])
    finally:
        for client in mute:
            client.close()


@pytest.mark.usefixtures("server")
def test_a_defect_in_a_command_is_answered(
    path: Path, desk: RecordingDesk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(verb: Verb, argument: str | None) -> None:
        raise OSError("disk")

    monkeypatch.setattr(desk, "ask", broken)
    with caplog.at_level(logging.ERROR):
        answer = send_command(path, "halt")
    assert (answer.ok, answer.text) == (False, "the command failed; the daemon's log says why")
    assert "the command halt failed" in caplog.text


def test_a_dead_socket_file_is_replaced(path: Path, desk: RecordingDesk) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
        dead.bind(str(path))
    server = ControlServer(path, Commands(desk, facts))
    server.start()
    assert send_command(path, "halt").ok
    server.stop()
    assert not path.exists()
    server.stop()


@pytest.mark.usefixtures("server")
def test_a_living_socket_is_not_taken_over(path: Path, desk: RecordingDesk) -> None:
    with pytest.raises(ControlError, match="another daemon answers"):
        ControlServer(path, Commands(desk, facts)).start()
    assert send_command(path, "halt").ok


def test_another_file_in_its_place_is_left_alone(path: Path, desk: RecordingDesk) -> None:
    path.write_text("mine")
    with pytest.raises(ControlError, match="not a socket"):
        ControlServer(path, Commands(desk, facts)).start()
    assert path.read_text() == "mine"


def test_a_missing_directory_and_a_long_path_are_one_clear_line(tmp_path: Path, desk: RecordingDesk) -> None:
    with pytest.raises(ControlError, match=r"^cannot offer .*No such file or directory\)$"):
        ControlServer(tmp_path / "none" / "control.sock", Commands(desk, facts)).start()
    long = tmp_path / ("d" * 100) / "control.sock"
    with pytest.raises(ControlError, match="set WSB_SNAKE_DATA_DIR to a shorter one"):
        ControlServer(long, Commands(desk, facts)).start()
    with pytest.raises(DaemonUnreachable, match="set WSB_SNAKE_DATA_DIR to a shorter one"):
        send_command(long, "halt")


def test_no_daemon_is_one_clear_line(path: Path) -> None:
    with pytest.raises(DaemonUnreachable, match=r"^no daemon answers on .*; is it running\?$"):
        send_command(path, "halt")


def test_a_daemon_that_hangs_or_talks_nonsense(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen(4)
        with pytest.raises(DaemonUnreachable, match="did not answer"):
            send_command(path, "halt", timeout=0.05)

        def nonsense() -> None:
            listener.accept()[0].close()  # the first, given up
            client, _ = listener.accept()
            with client:
                client.recv(100)
                client.sendall(b"hello\n")

        thread = threading.Thread(target=nonsense)
        thread.start()
        with pytest.raises(DaemonUnreachable, match="is not the daemon"):
            send_command(path, "halt")
        thread.join(10)
