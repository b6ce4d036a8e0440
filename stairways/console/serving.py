"""The server: one process, with a time within which a request must have arrived in full."""

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any, ClassVar

import structlog
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from stairways.console.app import application
from stairways.console.desk import Desk
from stairways.errors import LogUnavailableError, StairwaysError

MOST_CONNECTIONS = 256
MOST_WAITING = 128
"""Connections without a whole request on them; one more ends the one that waited longest.

They are fewer than all that are let in, so that whoever only connects keeps nobody out.
"""

KEEP_ALIVE = 5  # seconds
LARGEST_HEAD = 16 * 1024
GROW_EVERY = 2.0  # seconds between looks whether the log grew
PAUSE = 0.02  # seconds that building the tree leaves to pages, after every 32,768 leaves


def protocol(seconds: float) -> type[H11Protocol]:
    """Return uvicorn's protocol, but a connection ends unless its request arrives in time.

    Nor may it take longer to read on once it has let an answer wait, nor stay while too many others
    wait as well. Without that a client that sends, or takes, a byte now and then keeps a connection
    for ever, and one that opens hundreds keeps everybody else out.
    """

    class Impatient(H11Protocol):
        waiting: ClassVar[dict["Impatient", None]] = {}  # the one that waits longest is first

        def connection_made(self, transport: Any) -> None:  # noqa: ANN401 - uvicorn's signature
            super().connection_made(transport)
            self._wait(seconds)
            self._stuck: asyncio.TimerHandle | None = None

        def pause_writing(self) -> None:
            super().pause_writing()
            loop = asyncio.get_running_loop()
            self._stuck = loop.call_later(seconds, self.transport.abort)

        def resume_writing(self) -> None:
            super().resume_writing()
            self._unstick()

        def handle_events(self) -> None:
            super().handle_events()
            if self.cycle is not None and not self.cycle.more_body:
                self._end_wait()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self._end_wait()
            self._wait(seconds + KEEP_ALIVE)

        def connection_lost(self, exc: Exception | None) -> None:
            self._end_wait()
            self._unstick()
            super().connection_lost(exc)

        def _unstick(self) -> None:
            if self._stuck is not None:
                self._stuck.cancel()

        def _wait(self, time: float) -> None:
            self._late = asyncio.get_running_loop().call_later(time, self._expire)
            self.waiting[self] = None
            if len(self.waiting) > MOST_WAITING:
                longest = next(iter(self.waiting))
                del self.waiting[longest]
                longest.transport.close()

        def _end_wait(self) -> None:
            self._late.cancel()
            self.waiting.pop(self, None)

        def _expire(self) -> None:
            if self.cycle is None or self.cycle.more_body or self.cycle.response_complete:
                self.transport.close()  # what waits to be sent may go out, but not for ever
                asyncio.get_running_loop().call_later(seconds, self.transport.abort)

    return Impatient


def server_of(desk: Desk, ready: Callable[[int], None]) -> "Server":
    """Return the server of a console; ``ready`` is told the port once it listens."""
    rules = desk.rules
    return Server(
        uvicorn.Config(
            application(desk, time.monotonic),
            host=rules.host,
            port=rules.port,
            http=protocol(rules.header_seconds),
            ws="none",
            lifespan="off",
            proxy_headers=False,
            server_header=False,
            log_config=None,
            access_log=False,
            limit_concurrency=MOST_CONNECTIONS,
            timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=3,
            h11_max_incomplete_event_size=LARGEST_HEAD,
        ),
        ready,
    )


def serve(desk: Desk, ready: Callable[[int], None]) -> None:
    """Serve until interrupted."""
    rules, server = desk.rules, server_of(desk, ready)
    stopping = threading.Event()
    reading = threading.Thread(target=keep_reading, args=(desk, stopping), daemon=True)
    reading.start()
    try:
        server.run()
    except SystemExit as error:
        raise LogUnavailableError(
            f"Nothing can listen on {rules.host}:{rules.port}; is another console there? "
            "Choose another with --port."
        ) from error
    finally:
        stopping.set()
        reading.join(5)


def keep_reading(desk: Desk, stopping: threading.Event) -> None:
    """Keep what the log adds up to and the roots of its subtrees up to date."""
    while not stopping.is_set():
        try:
            behind = desk.overview.position < desk.overview.catch_up()
            more = desk.subtrees.grow()
        except StairwaysError as error:
            structlog.get_logger("console").warning(str(error))
            behind = more = False
        stopping.wait(PAUSE if behind or more else GROW_EVERY)


class Server(uvicorn.Server):
    """A server that says when it listens, and on which port."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[int], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: Any = None) -> None:  # noqa: ANN401 - uvicorn's signature
        """Listen, and say so."""
        await super().startup(sockets)
        if self.started:
            self._ready(self.servers[0].sockets[0].getsockname()[1])
