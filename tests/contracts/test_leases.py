"""Every promise about leases, on every store."""

import threading
from collections.abc import Callable

import pytest

from stairways.core.values import StreamName
from stairways.errors import LeaseLostError
from stairways.store.contract import Context, Encoded, EventStore, Fence, Holder, Lease
from stairways.store.opening import open_store

ADA = Holder("pid 1 on here", "boot/1/1")
BOB = Holder("pid 2 on there", "boot/2/2")
STREAM = StreamName("daemon-here")
NewLog = Callable[[str], str]


def event(number: int) -> Encoded:
    return Encoded("LeaseTaken", 1, b'{"number":%d}' % number)


def under(fence: Fence | None, append_id: str = "a") -> Context:
    return Context(actor="ada", correlation="c", append_id=append_id, fence=fence)


def taken(store: EventStore, seen: Lease | None, holder: Holder) -> Lease:
    lease = store.claim("daemon", seen, holder, 10)
    assert lease is not None
    return lease


def test_a_lease_nobody_held_is_claimed_with_epoch_one(store: EventStore) -> None:
    lease = store.claim("daemon", None, ADA, 10)

    assert lease == Lease("daemon", ADA, 1, 0, 10)
    assert store.leases() == [lease]
    assert store.leases("dae") == [lease]
    assert store.leases("run-") == []


def test_of_two_who_saw_a_lease_alike_one_gets_it(store: EventStore) -> None:
    first = taken(store, None, ADA)

    assert store.claim("daemon", None, BOB, 10) is None
    second = store.claim("daemon", first, BOB, 20)
    assert second == Lease("daemon", BOB, 2, 0, 20)
    assert store.claim("daemon", first, ADA, 10) is None
    assert store.leases() == [second]


def test_a_lease_that_beat_since_it_was_seen_is_not_claimed(store: EventStore) -> None:
    first = taken(store, None, ADA)

    (beaten,) = store.renew([first])

    assert beaten == first._replace(beat=1)
    assert store.claim("daemon", first, BOB, 10) is None
    assert store.leases() == [beaten]


def test_renewing_returns_what_is_still_held(store: EventStore) -> None:
    lost, kept = taken(store, None, ADA), store.claim("other", None, ADA, 10)
    assert kept is not None
    stolen = taken(store, lost, BOB)

    assert store.renew([lost, kept]) == [kept._replace(beat=1)]
    assert store.leases() == [stolen, kept._replace(beat=1)]


def test_a_lease_given_back_is_free_and_its_epoch_goes_on(store: EventStore) -> None:
    first = taken(store, None, ADA)

    store.release([first])
    (free,) = store.leases()

    assert (free.holder, free.epoch) == (None, 1)
    assert taken(store, free, BOB).epoch == 2


def test_nobody_gives_back_what_another_has_claimed(store: EventStore) -> None:
    first = taken(store, None, ADA)
    second = taken(store, first, BOB)

    store.release([first])

    assert store.leases() == [second]


def test_an_append_under_a_current_fence_is_written(store: EventStore) -> None:
    lease = taken(store, None, ADA)

    store.append(STREAM, None, [event(1)], under(lease.fence))
    (lease,) = store.renew([lease])
    store.append(STREAM, None, [event(2)], under(lease.fence, "b"))

    assert store.head().size == 2


def test_a_stale_holder_writes_nothing_and_learns_who_took_over(store: EventStore) -> None:
    first = taken(store, None, ADA)
    taken(store, first, BOB)

    with pytest.raises(LeaseLostError, match="daemon: pid 2 on there has taken over"):
        store.append(STREAM, None, [event(1)], under(first.fence))

    assert store.head().size == 0
    assert list(store.streams()) == []


def test_a_fence_of_a_lease_that_never_was_is_refused(store: EventStore) -> None:
    with pytest.raises(LeaseLostError):
        store.append(STREAM, None, [event(1)], under(Fence("daemon", 1)))


def test_a_lost_answer_may_be_asked_for_again_after_the_lease_is_gone(store: EventStore) -> None:
    first = taken(store, None, ADA)
    appended = store.append(STREAM, None, [event(1)], under(first.fence))
    taken(store, first, BOB)

    assert store.append(STREAM, None, [event(1)], under(first.fence)) == appended


def test_of_many_at_once_one_claims_and_no_stale_append_follows_a_claim(
    sql_store: EventStore, database_url: str
) -> None:
    first = taken(sql_store, None, ADA)
    got: list[Lease] = []

    def compete(number: int) -> None:
        store = open_store(database_url)
        lease = store.claim("daemon", first, Holder(f"pid {number}", str(number)), 10)
        if lease is not None:
            got.append(lease)
            store.append(STREAM, None, [event(2)], under(lease.fence, f"n{number}"))
        store.close()

    writers = [threading.Thread(target=compete, args=(number,)) for number in range(6)]
    for writer in writers:
        writer.start()
    number = 0
    try:
        while not got or number < 5:
            number += 1
            sql_store.append(STREAM, None, [event(1)], under(first.fence, f"old{number}"))
            assert number < 10_000
    except LeaseLostError:
        pass
    for writer in writers:
        writer.join(30)

    assert len(got) == 1
    actors = [record.append_id[:1] for record in sql_store.read()]
    assert actors == ["o"] * (len(actors) - 1) + ["n"]
