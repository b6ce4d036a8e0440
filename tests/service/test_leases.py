"""When a lease may be taken: by what this process saw, and by no clock."""

import time
from datetime import UTC, datetime

import pytest

from stairways.errors import LeaseHeldError
from stairways.service.operation.leases import Holding, Watch
from stairways.service.operation.processes import this_process
from stairways.store.contract import Holder, Lease
from stairways.store.memory import MemoryStore

ELSEWHERE = Holder("pid 7 on elsewhere", "other-boot/pid:[1]/7/99")
HELD = Lease("daemon", ELSEWHERE, 3, 5, 10)


class Hands:
    """A monotonic clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def new_store() -> MemoryStore:
    return MemoryStore(lambda: datetime(2026, 1, 5, tzinfo=UTC))


def test_a_lease_nobody_holds_is_free() -> None:
    watch = Watch(Hands())

    assert watch.is_free(None)
    assert watch.is_free(HELD._replace(holder=None))


def test_a_silent_holder_elsewhere_loses_its_lease_after_the_seconds_it_named() -> None:
    hands = Hands()
    watch = Watch(hands)

    assert not watch.is_free(HELD)
    hands.now = 10.0
    assert not watch.is_free(HELD)
    hands.now = 10.1
    assert watch.is_free(HELD)


def test_every_beat_of_the_holder_starts_the_wait_anew() -> None:
    hands = Hands()
    watch = Watch(hands)
    watch.is_free(HELD)
    hands.now = 9.0

    assert not watch.is_free(HELD._replace(beat=6))
    hands.now = 18.0
    assert not watch.is_free(HELD._replace(beat=6))
    assert not watch.is_free(HELD._replace(beat=7))


def test_a_holder_on_this_machine_that_is_gone_loses_its_lease_at_once() -> None:
    *machine, _, _ = this_process().process.split("/")
    gone = Holder("pid 4", "/".join([*machine, "4194304", "1"]))

    assert Watch(Hands()).is_free(HELD._replace(holder=gone))
    assert not Watch(Hands()).is_free(HELD._replace(holder=this_process()))


def test_leases_beat_by_themselves_and_are_given_back_at_the_end() -> None:
    store = new_store()
    with Holding(store, this_process(), 1) as holding:
        lease = holding.take("a")
        assert lease
        assert holding.take("a") == lease
        deadline = time.monotonic() + 10
        while store.leases()[0].beat < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert store.leases()[0].beat >= 3
        assert holding.held("a")

    assert store.leases()[0].holder is None
    assert store.leases()[0].epoch == lease.epoch


def test_a_lease_that_another_took_is_held_no_more() -> None:
    store = new_store()
    holding = Holding(store, this_process(), 1)
    holding.take("a")
    (lease,) = store.leases()
    store.claim("a", lease, ELSEWHERE, 10)

    holding.renew()

    assert holding.held("a") is None
    assert holding.take("a") is None


def test_waiting_for_a_holder_elsewhere_ends_when_it_beats_or_falls_silent() -> None:
    store = new_store()
    hands = Hands()
    holding = Holding(store, this_process(), 1, Watch(hands))
    lease = store.claim("a", None, ELSEWHERE, 1)
    assert lease
    assert holding.take("a") is None
    store.renew([lease])

    with pytest.raises(LeaseHeldError, match="Busy by pid 7 on elsewhere"):
        holding.wait_for("a", "Busy")
    assert holding.take("a") is None
    hands.now = 2.0
    assert holding.wait_for("a", "Busy").epoch == 2
