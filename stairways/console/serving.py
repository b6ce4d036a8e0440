"""The server: one process, with a time within which a request must have arrived in full."""

import asyncio
import functools
import threading
import time
from collections.abc import Callable
from typing import Any, cast

import structlog
import uvicorn

from stairways.console.app import application
from stairways.console.desk import Desk
from stairways.console.patience import KEEP_ALIVE, Impatient, Patience
from stairways.errors import LogUnavailableError, StairwaysError

MOST_CONNECTIONS = 256
LARGEST_HEAD = 16 * 1024
GROW_EVERY = 2.0  # seconds between looks whether the log grew
PAUSE = 0.02  # seconds that building the tree leaves to pages, after every 32,768 leaves


def server_of(desk: Desk, ready: Callable[[int], None]) -> "Server":
    """Return the server of a console; ``ready`` is told the port once it listens."""
    rules = desk.rules
    connection = functools.partial(Impatient, Patience(rules.header_seconds))
    return Server(
        uvicorn.Config(
            application(desk, time.monotonic),
            host=rules.host,
            port=rules.port,
            http=cast("type[asyncio.Protocol]", connection),
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
