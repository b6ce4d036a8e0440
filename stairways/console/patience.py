"""uvicorn's protocol with a limit to its patience: no client keeps a connection by being slow.

Without that a client that sends, or takes, a byte now and then keeps a connection for ever, and
one that opens hundreds keeps everybody else out.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

MOST_WAITING = 128
"""Connections without a whole request on them; one more ends the one that waited longest.

They are fewer than all that are let in, so that whoever only connects keeps nobody out.
"""

KEEP_ALIVE = 5
"""Seconds that a connection may stay between an answer and the next request."""


@dataclass(slots=True)
class Patience:
    """How long a server waits for its clients, and which of them it waits for."""

    seconds: float  # within which a request must have arrived in full
    waiting: dict["Impatient", None] = field(default_factory=dict)  # the longest is first

    def wait_for(self, one: "Impatient") -> None:
        """Wait for one connection more; if that is one too many, end the one that waits longest."""
        self.waiting[one] = None
        if len(self.waiting) > MOST_WAITING:
            longest = next(iter(self.waiting))
            del self.waiting[longest]
            longest.transport.close()

    def end(self, one: "Impatient") -> None:
        """Wait for a connection no more."""
        self.waiting.pop(one, None)


class Impatient(H11Protocol):
    """A connection that ends unless its request arrives in time.

    Nor may it take longer to read on once it has let an answer wait, nor stay while too many others
    wait as well.
    """

    def __init__(self, patience: Patience, *given: Any, **named: Any) -> None:  # noqa: ANN401 - uvicorn's own
        super().__init__(*given, **named)
        self._patience = patience
        self._late: asyncio.TimerHandle | None = None
        self._stuck: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401 - uvicorn's signature
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._wait(self._patience.seconds)

    def pause_writing(self) -> None:
        """Wait for a client that does not read its answer, but not for ever."""
        super().pause_writing()
        self._stuck = _later(self._patience.seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on with a client that reads again."""
        super().resume_writing()
        _cancel(self._stuck)

    def handle_events(self) -> None:
        """Take what arrived; the wait is over once the request is whole."""
        super().handle_events()
        if self.cycle is not None and not self.cycle.more_body:
            self._end_wait()

    def on_response_complete(self) -> None:
        """Begin to wait for the next request."""
        super().on_response_complete()
        self._end_wait()
        self._wait(self._patience.seconds + KEEP_ALIVE)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a connection that is gone."""
        self._end_wait()
        _cancel(self._stuck)
        super().connection_lost(exc)

    def _wait(self, seconds: float) -> None:
        self._late = _later(seconds, self._expire)
        self._patience.wait_for(self)

    def _end_wait(self) -> None:
        _cancel(self._late)
        self._patience.end(self)

    def _expire(self) -> None:
        if self.cycle is None or self.cycle.more_body or self.cycle.response_complete:
            self.transport.close()  # what waits to be sent may go out, but not for ever
            _later(self._patience.seconds, self.transport.abort)


def _later(seconds: float, work: Any) -> asyncio.TimerHandle:  # noqa: ANN401 - any callback
    return asyncio.get_running_loop().call_later(seconds, work)


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
