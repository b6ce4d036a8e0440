"""Roots of subtrees that a signed checkpoint keeps: proofs are quick, and the same as without."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from stairways import codec
from stairways.core import events as e
from stairways.core.values import NEW, Position, StreamName
from stairways.service import roots, seal
from stairways.service.audit.proving import show
from stairways.service.audit.watched import WatchedLog
from stairways.service.export import proofs
from stairways.service.roots import LEAVES, kept_roots
from stairways.service.seal import newest_note, prove_consistency, prove_record, seal_log
from stairways.service.stairway.journal import decoded
from stairways.service.verify.log import verify_log
from stairways.store.contract import Context, Encoded
from stairways.store.opening import open_sql_store
from stairways.store.seal import new_key
from stairways.store.sql import SqlStore
from tests.conftest import KINDS, NewDatabase
from tests.store.test_shared_verify import damage

KEY = new_key("example.org/log")
RUN = StreamName("run-1")
MANY = 3 * LEAVES + 100


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest, new_log: NewDatabase) -> str:
    """The URL of a log of two checkpoints, the first over a good three subtrees."""
    made = new_log(request.param)
    store = open_sql_store(made)
    fill(store, MANY, "first")
    fill(store, LEAVES, "second")
    store.close()
    return made


def fill(store: SqlStore, count: int, name: str) -> None:
    context = Context(actor="train", correlation="", append_id=name)
    some = [Encoded("StepTaken", 1, b'{"step":%d}' % number) for number in range(count)]
    store.append(RUN, None if store.head().size else NEW, some, context)
    seal_log(store, KEY, Context(actor="ann", correlation="", append_id=f"sign {name}"))


def counting(url: str, read: list[int]) -> SqlStore:
    """Return the log at ``url``, which adds to ``read`` how many leaves it reads."""
    store = open_sql_store(url, read_only=True)
    leaves: Callable[[int, int], Sequence[bytes]] = store.leaves

    def counted(first: int, last: int) -> Sequence[bytes]:
        read.append(last - first + 1)
        return leaves(first, last)

    store.leaves = counted  # type: ignore[method-assign]  # only to count
    return store


def test_a_proof_reads_a_few_leaves_and_is_the_one_that_all_leaves_make(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    store = counting(url, read)
    note = newest_note(store)
    places = [Position(at) for at in (1, LEAVES, LEAVES + 1, MANY, store.head().size - 1)]

    quick = [str(prove_record(store, at, note)) for at in places]
    few = sum(read) / len(places)
    continued = prove_consistency(store, MANY + 1, 4 * LEAVES)
    read.clear()
    monkeypatch.setattr(seal, "kept_roots", lambda _: [])

    assert [str(prove_record(store, at, note)) for at in places] == quick
    assert prove_consistency(store, MANY + 1, 4 * LEAVES) == continued
    assert few < 3 * LEAVES < sum(read) / len(places)
    store.close()


def test_the_proof_of_many_records_reads_a_few_leaves_too(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    store = counting(url, read)
    run, size = list(range(LEAVES + 5, 2 * LEAVES - 7)), MANY + 1

    quick = proofs.prove_records(store, run, size)
    few = sum(read)
    read.clear()
    monkeypatch.setattr(proofs, "kept_roots", lambda _: [])

    assert proofs.prove_records(store, run, size) == quick
    assert few < LEAVES < 2 * LEAVES < sum(read)
    store.close()


def test_every_checkpoint_keeps_all_roots_and_names_them(url: str) -> None:
    store = open_sql_store(url, read_only=True)
    signed = [decoded(record) for record in store.read(types=("CheckpointSigned",))]

    kept = kept_roots(store)
    sizes = [one.size // LEAVES for one in signed if isinstance(one, e.CheckpointSigned)]

    assert sizes == [3, 4]
    assert len(kept) == 4
    assert kept == list(roots.further_roots(store, 0, store.head().size))
    store.close()
    assert verify_log(url).clean


def test_roots_that_do_not_lead_to_the_signed_root_are_not_used(url: str) -> None:
    store = open_sql_store(url)
    right = kept_roots(store)
    last = [*store.read(types=("CheckpointSigned",))][-1]
    event = decoded(last)
    assert isinstance(event, e.CheckpointSigned)
    wrong = store.put_blob(b"".join(right[::-1]))
    lying = replace(event, subtrees=wrong)
    context = Context(actor="eve", correlation="", append_id="lie")
    store.append(
        StreamName("operator"),
        None,
        [Encoded(*codec.type_of(lying), codec.encode(lying))],
        context,
    )

    assert kept_roots(store) == []
    assert show(store, Position(5)).proven
    store.close()


def test_roots_that_are_gone_are_named_and_the_leaves_answer(url: str) -> None:
    store = open_sql_store(url, read_only=True)
    [_, signed] = [decoded(record) for record in store.read(types=("CheckpointSigned",))]
    assert isinstance(signed, e.CheckpointSigned)
    store.close()
    damage(url, f"DELETE FROM blobs WHERE digest = '{signed.subtrees}'")
    store = open_sql_store(url, read_only=True)
    log = WatchedLog(store)

    found = show(log, Position(5))
    store.close()

    assert found.proven
    assert [one.field for one in log.findings] == [f"blob {signed.subtrees}"]
    assert [one.field for one in verify_log(url).findings] == ["blob of subtrees"]
