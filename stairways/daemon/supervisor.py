"""What systemd is told of a daemon: that it is ready, and that it lives; see sd_notify(3)."""

import contextlib
import socket

READY, ALIVE = "READY=1", "WATCHDOG=1"
LONGEST_SILENCE = 60.0
"""Seconds between two signs of life at most, however seldom the daemon is to look."""


def tell(address: str | None, words: str) -> None:
    """Tell ``words`` to whoever listens at ``address``, the variable ``NOTIFY_SOCKET``, if any.

    A supervisor that cannot be reached is no reason to stop.
    """
    if not address:
        return
    place = "\0" + address[1:] if address.startswith("@") else address  # @: a name without a file
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.connect(place)
        line.sendall(words.encode())
