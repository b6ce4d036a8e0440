"""Being the only one who does something: leases taken, kept alive by a thread, given back.

A lease is taken at once when nobody holds it or when its holder ran on this machine and is
gone, and otherwise after the holder let it rest for as long as it said. Time is measured by
this process alone, so clocks may be wrong or be set. What a holder writes is fenced by the
lease's epoch: one that was only thought dead can write nothing more.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Self

import structlog

from stairways.errors import LeaseHeldError, StairwaysError
from stairways.service.operation.processes import is_gone, is_here
from stairways.service.stairway.journal import ContextSource
from stairways.store.contract import Context, EventStore, Holder, Lease

SECONDS = 10
"""How long a holder may be silent before another process takes over."""

BEATS = 4
"""Renewals in that time."""

_LOOK_AGAIN = 0.2
_LOG = structlog.get_logger("lease")
Monotonic = Callable[[], float]


class Watch:
    """What one process has seen of leases, and since when by its own monotonic time."""

    def __init__(self, now: Monotonic = time.monotonic) -> None:
        self._now = now
        self._seen: dict[str, tuple[Lease, float]] = {}

    def is_free(self, lease: Lease | None) -> bool:
        """Tell whether the lease, as it is read now, may be claimed."""
        if lease is None or lease.holder is None or is_gone(lease.holder.process):
            return True
        before, since = self._seen.get(lease.name, (None, 0.0))
        if before != lease:
            self._seen[lease.name] = lease, self._now()
            return False
        return self._now() - since > lease.seconds

    def is_alive(self, lease: Lease | None) -> bool:
        """Tell whether somebody certainly holds the lease: it runs here, or beat meanwhile."""
        if lease is None or lease.holder is None or is_gone(lease.holder.process):
            return False
        before, _ = self._seen.get(lease.name, (lease, 0.0))
        return is_here(lease.holder.process) or before != lease


class Holding:
    """The leases of one process; a thread renews them while this context is entered."""

    def __init__(
        self,
        store: EventStore,
        holder: Holder,
        seconds: int = SECONDS,
        watch: Watch | None = None,
    ) -> None:
        self.holder = holder
        self._store = store
        self._seconds = seconds
        self._watch = watch or Watch()
        self._held: dict[str, Lease] = {}
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="leases", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        with contextlib.suppress(StairwaysError):  # then whoever comes next waits for it
            self.release(*self._held)

    def held(self, name: str) -> Lease | None:
        """Return the lease if this process holds it, as far as it knows."""
        return self._held.get(name)

    def names(self) -> list[str]:
        """Return the names of the leases this process holds, as far as it knows."""
        return list(self._held)

    def take(self, name: str) -> Lease | None:
        """Return the lease, claiming it if it is free; None if another process holds it."""
        return self._held.get(name) or self._claim(name, self.look(name))

    def look(self, name: str) -> Lease | None:
        """Return how a lease stands, whoever holds it."""
        return next((one for one in self._store.leases(name) if one.name == name), None)

    def is_free(self, name: str) -> bool:
        """Tell whether a lease could be claimed now; ask again and again about a silent holder."""
        return self._watch.is_free(self.look(name))

    def wait_for(self, name: str, doing: str) -> Lease:
        """Return the lease once its holder is known to be gone.

        Raises ``LeaseHeldError`` naming the holder as soon as it is known to be alive.
        """
        while True:
            standing = self.look(name)
            alive = self._watch.is_alive(standing)
            lease = self._claim(name, standing)
            if lease is not None:
                return lease
            if alive and standing is not None and standing.holder is not None:
                raise LeaseHeldError(_held(doing, standing.holder))
            time.sleep(_LOOK_AGAIN)

    def release(self, *names: str) -> None:
        """Give leases back, so that another process may have them at once."""
        with self._lock:
            given = [lease for name in names if (lease := self._held.pop(name, None))]
        if given:
            self._store.release(given)

    def renew(self) -> None:
        """Let every lease beat; those that somebody else has taken are held no more."""
        with self._lock:
            held = list(self._held.values())
        if not held:
            return
        still = {lease.name for lease in self._store.renew(held)}
        for lease in held:
            if lease.name not in still and self._held.get(lease.name) is lease:
                del self._held[lease.name]
                _LOG.warning("another process took over", lease=lease.name)

    def _claim(self, name: str, standing: Lease | None) -> Lease | None:
        if not self._watch.is_free(standing):
            return None
        lease = self._store.claim(name, standing, self.holder, self._seconds)
        if lease is not None:
            with self._lock:
                self._held[name] = lease
        return lease

    def _beat(self) -> None:
        told = ""
        while not self._ended.wait(self._seconds / BEATS):
            try:
                self.renew()
                told = ""
            except StairwaysError as error:  # the fence keeps others safe from this process
                if str(error) != told:
                    told = str(error)
                    _LOG.warning("leases could not be renewed", reason=told)


def refuse_if_trained(store: EventStore, model: str) -> None:
    """Raise ``LeaseHeldError`` if a process that runs on this machine trains a model.

    It spares a second one the work before ``alone``, which is what decides.
    """
    for lease in store.leases(name := model_lease(model)):
        holder = lease.holder
        if lease.name != name or holder is None:
            continue
        if is_here(holder.process) and not is_gone(holder.process):
            raise LeaseHeldError(_held(training(model), holder))


def is_trained(store: EventStore, model: str) -> bool:
    """Tell whether some process trains a model, as far as leases say."""
    standing = {lease.name: lease.holder for lease in store.leases(model_lease(model))}
    holder = standing.get(model_lease(model))
    return holder is not None and not is_gone(holder.process)


def _held(doing: str, holder: Holder) -> str:
    return f"{doing} by {holder.name}; wait for it to end, or stop it."


@contextmanager
def alone(store: EventStore, holder: Holder, name: str, doing: str) -> Iterator[Lease]:
    """Hold one lease meanwhile; raises ``LeaseHeldError`` if another process is ``doing`` it."""
    with Holding(store, holder) as holding:
        yield holding.wait_for(name, doing)


def fenced(context: ContextSource, lease: Lease) -> ContextSource:
    """Return a source of contexts whose appends are refused once the lease is another's."""

    def make() -> Context:
        return replace(context(), fence=lease.fence)

    return make


def training(model: str) -> str:
    """Return what keeps a second process from training a model, to be said with the holder."""
    return f"The run does not start: model {model} is being trained"


def model_lease(model: str) -> str:
    """Return the name of the lease without which nobody trains a model."""
    return f"model-{model}"
