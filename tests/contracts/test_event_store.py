"""Every promise of the store contract, on every store."""

from dataclasses import replace
from datetime import UTC, datetime
from threading import Thread

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stairways.core.merkle import root_of
from stairways.core.values import NEW, Digest, Position, StreamName, Version, digest_of
from stairways.errors import BlobMissingError, NotCanonicalError, WrongVersionError
from stairways.store.contract import Appended, Batch, Context, Encoded, EventStore, Head
from stairways.store.records import record_bytes

RUN = StreamName("run-1")
MODEL = StreamName("model-nvda-msft")
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def step(number: int, name: str = "StepTaken") -> Encoded:
    return Encoded(name, 1, b'{"step":%d}' % number)


def by(append_id: str) -> Context:
    return Context(actor="train", correlation="run-1", append_id=append_id)


def test_an_empty_log_has_size_zero_and_the_root_of_nothing(store: EventStore) -> None:
    assert store.head() == Head(0, Digest(EMPTY))
    assert list(store.read()) == []
    assert store.version(RUN) == NEW
    assert store.streams() == []


def test_a_record_reads_back_as_it_was_appended(store: EventStore) -> None:
    context = Context(actor="ada", correlation="c-1", append_id="a-1", causation=Position(7))
    store.append(RUN, NEW, [step(1), step(2, "CycleStarted")], context)

    first, second = store.read()

    assert (first.position, first.stream, first.version) == (1, RUN, 1)
    assert (second.position, second.stream, second.version) == (2, RUN, 2)
    assert (first.type, first.schema, first.payload) == ("StepTaken", 1, b'{"step":1}')
    assert (second.type, second.payload) == ("CycleStarted", b'{"step":2}')
    assert first.recorded_at == datetime(2026, 1, 5, 14, 30, tzinfo=UTC)
    assert (first.actor, first.correlation) == ("ada", "c-1")
    assert (second.append_id, second.causation) == ("a-1", 7)


def test_positions_count_all_streams_and_versions_each_of_its_own(store: EventStore) -> None:
    store.append(RUN, NEW, [step(1), step(2)], by("a"))
    store.append(MODEL, NEW, [step(3)], by("b"))
    store.append(RUN, Version(2), [step(4)], by("c"))

    placed = [(r.position, r.stream, r.version) for r in store.read()]

    assert placed == [(1, RUN, 1), (2, RUN, 2), (3, MODEL, 1), (4, RUN, 3)]
    assert (store.version(RUN), store.version(MODEL)) == (3, 1)


def test_an_append_says_where_it_stands(store: EventStore) -> None:
    store.append(MODEL, NEW, [step(0)], by("a"))
    assert store.append(RUN, None, [step(1), step(2)], by("b")) == Appended(
        Position(2), Position(3), Version(2)
    )


@pytest.mark.parametrize("expected", [0, 1, 3])
def test_a_rejected_append_leaves_nothing_behind(store: EventStore, expected: int) -> None:
    store.append(RUN, NEW, [step(1), step(2)], by("a"))
    before = store.head()

    with pytest.raises(WrongVersionError, match="has 2 events where"):
        store.append(RUN, Version(expected), [step(3), step(4)], by("b"))

    assert store.head() == before
    assert [r.payload for r in store.read(stream=RUN)] == [b'{"step":1}', b'{"step":2}']
    assert store.append(RUN, Version(2), [step(3)], by("b")).first == 3


def test_any_version_is_accepted_when_none_is_expected(store: EventStore) -> None:
    store.append(RUN, None, [step(1)], by("a"))
    assert store.append(RUN, None, [step(2)], by("b")).version == 2


def test_a_repeated_append_changes_nothing_and_answers_the_same(store: EventStore) -> None:
    answer = store.append(RUN, NEW, [step(1), step(2)], by("a"))
    store.append(RUN, Version(2), [step(3)], by("b"))
    before = store.head()

    assert store.append(RUN, NEW, [step(1), step(2)], by("a")) == answer
    assert store.head() == before


@pytest.mark.parametrize("other", [[step(9)], [step(1), step(2)], [step(1, "RunStarted")]])
def test_an_append_id_is_not_taken_for_other_events(
    store: EventStore, other: list[Encoded]
) -> None:
    store.append(RUN, NEW, [step(1)], by("a"))
    with pytest.raises(WrongVersionError, match="append id a was used before"):
        store.append(RUN, Version(1), other, by("a"))
    with pytest.raises(WrongVersionError, match="append id a was used before"):
        store.append(MODEL, NEW, [step(1)], by("a"))
    assert store.head().size == 1


def test_an_append_without_events_is_refused(store: EventStore) -> None:
    with pytest.raises(NotCanonicalError, match="at least one event"):
        store.append(RUN, NEW, [], by("a"))


@pytest.mark.parametrize("name", ["", "zero\x00byte"])
def test_a_stream_name_that_no_database_keeps_is_refused(store: EventStore, name: str) -> None:
    with pytest.raises(NotCanonicalError, match="stream"):
        store.append(StreamName(name), NEW, [step(1)], by("a"))


@pytest.mark.parametrize("odd", ["half a \ud83d", "x" * 1001, "ü" * 501])
@pytest.mark.parametrize("which", ["stream", "actor", "correlation", "append_id"])
def test_a_name_that_is_no_text_or_a_story_is_refused(
    store: EventStore, which: str, odd: str
) -> None:
    stream = StreamName(odd) if which == "stream" else RUN
    contexts = {
        "actor": replace(by("a"), actor=odd),
        "correlation": replace(by("a"), correlation=odd),
        "append_id": by(odd),
    }
    context = contexts.get(which, by("a"))
    with pytest.raises(NotCanonicalError, match=which):
        store.append(stream, NEW, [step(1)], context)
    assert store.head().size == 0


def test_names_may_be_as_long_as_is_said(store: EventStore) -> None:
    longest = np.random.default_rng(1).bytes(500).hex()  # nothing that could be compressed
    context = Context(actor=longest, correlation=longest, append_id=longest)
    store.append(StreamName(longest), NEW, [step(1)], context)
    [record] = store.read()
    assert {record.stream, record.actor, record.correlation, record.append_id} == {longest}


def test_names_are_kept_character_by_character(store: EventStore) -> None:
    odd = StreamName('run "ä\\%d\n☃')
    store.append(odd, NEW, [step(1)], by('a"%s'))
    [record] = store.read(stream=odd)
    assert (record.stream, record.append_id) == (odd, 'a"%s')
    assert store.streams('run "') == [odd]


def test_a_reader_sees_the_part_it_asks_for(store: EventStore) -> None:
    for number in range(1, 7):
        stream = RUN if number % 2 else MODEL
        kind = "StepTaken" if number < 4 else "GateDecided"
        store.append(stream, None, [step(number, kind), step(number + 10)], by(str(number)))

    def positions(**part: object) -> list[int]:
        return [record.position for record in store.read(**part)]  # type: ignore[arg-type]

    assert positions() == list(range(1, 13))
    assert positions(stream=RUN) == [1, 2, 5, 6, 9, 10]
    assert positions(stream=RUN, after=5) == [6, 9, 10]
    assert positions(stream=RUN, after=2, until=9) == [5, 6, 9]
    assert positions(after=3, until=6) == [4, 5, 6]
    assert positions(types=["GateDecided"]) == [7, 9, 11]
    assert positions(types=["GateDecided", "StepTaken"], stream=MODEL, after=4) == [7, 8, 11, 12]
    assert positions(after=1, limit=2) == [2, 3]
    assert positions(types=["GateDecided"], limit=2) == [7, 9]
    assert positions(after=12) == []
    assert positions(until=99, limit=0) == []
    assert positions(stream=StreamName("nobody")) == []


def test_streams_are_listed_oldest_first_by_prefix(store: EventStore) -> None:
    for name in ("run-2", "model-a", "run-1"):
        store.append(StreamName(name), NEW, [step(1)], by(name))
    assert store.streams() == ["run-2", "model-a", "run-1"]
    assert store.streams("run-") == ["run-2", "run-1"]


def test_the_root_is_the_merkle_root_over_the_canonical_records(store: EventStore) -> None:
    for number in range(1, 12):
        store.append(RUN, None, [step(n) for n in range(number)], by(str(number)))
        records = list(store.read())
        leaves = [digest_leaf(record_bytes(record)) for record in records]
        assert [record.leaf for record in records] == leaves
        assert store.head() == Head(len(records), Digest(root_of(leaves).hex()))


def digest_leaf(record: bytes) -> bytes:
    return bytes.fromhex(digest_of(b"\x00" + record))


@given(sizes=st.lists(st.integers(1, 9), min_size=1, max_size=8), cut=st.integers(0, 40))
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_reading_in_two_parts_equals_reading_at_once(
    store: EventStore, sizes: list[int], cut: int
) -> None:
    start = store.head().size
    for size in sizes:
        number = store.head().size
        store.append(RUN, None, [step(number + i) for i in range(size)], by(f"{number}"))
    middle = Position(start + cut)
    parts = [*store.read(after=Position(start), until=middle), *store.read(after=middle)]
    assert parts == list(store.read(after=Position(start)))


def test_a_blob_is_stored_once_and_reads_back(store: EventStore) -> None:
    for content in (b"", b"parameters" * 1000, bytes(range(256))):
        digest = store.put_blob(content)
        assert store.put_blob(content) == digest == digest_of(content)
        assert store.get_blob(digest) == content


def test_blobs_of_an_append_are_there_with_its_events_or_not_at_all(store: EventStore) -> None:
    weights, refused = b"weights" * 1000, b"refused"
    store.append(RUN, NEW, [step(1)], by("a"), [weights, b"", weights])
    assert store.get_blob(digest_of(weights)) == weights
    assert store.get_blob(digest_of(b"")) == b""
    with pytest.raises(WrongVersionError):
        store.append(RUN, NEW, [step(2)], by("b"), [refused])
    with pytest.raises(BlobMissingError):
        store.get_blob(digest_of(refused))
    assert store.append(RUN, NEW, [step(1)], by("a"), [weights]).last == 1


def test_an_append_larger_than_any_socket_holds_does_not_wait_for_ever(store: EventStore) -> None:
    blob = np.random.default_rng(1).bytes(20_000_000)
    notes = [Encoded("Noted", 1, b'{"text":"%b"}' % (b"a" * 3_000_000)) for _ in range(8)]

    def append_both() -> None:
        store.append(RUN, NEW, [step(1)], by("a"), [blob])
        store.append(RUN, Version(1), notes, by("b"))

    writer = Thread(target=append_both, daemon=True)
    writer.start()
    writer.join(60)

    assert not writer.is_alive()
    assert store.head().size == 9
    assert store.get_blob(digest_of(blob)) == blob


def test_a_batch_of_columns_is_appended_like_the_events_it_holds(store: EventStore) -> None:
    events = [step(1), step(2, "GateDecided"), step(3)]
    batch = Batch(*zip(*events, strict=True))
    assert list(batch) == events
    assert list(batch[1:]) == events[1:]
    store.append(RUN, NEW, batch, by("a"))
    assert store.append(RUN, NEW, events, by("a")).last == 3
    assert [(r.type, r.payload) for r in store.read()] == [(e.type, e.payload) for e in events]


def test_checkpoints_are_kept_in_order(store: EventStore) -> None:
    assert store.checkpoints() == []
    for note in (b"one", b"two", b"two"):
        store.add_checkpoint(note)
    assert store.checkpoints() == [b"one", b"two", b"two"]


def test_a_missing_blob_is_named(store: EventStore) -> None:
    digest = digest_of(b"never stored")
    with pytest.raises(BlobMissingError, match=digest):
        store.get_blob(digest)
