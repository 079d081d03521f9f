"""Words to systemd (sd_notify): one datagram on the socket that ``NOTIFY_SOCKET`` names."""

import os
import socket
from contextlib import suppress


def notify(text: str) -> None:
    """Send ``READY=1``, ``WATCHDOG=1`` and the like; without systemd nothing happens."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        sock.setblocking(False)  # a full queue at the other end must not stop the caller
        sock.sendto(text.encode(), address)
