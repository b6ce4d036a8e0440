"""Registered bars: in the log once, found by name or digest, proving themselves."""

import pytest

from stairways.errors import BarsRefusedError, NoSuchDataError
from stairways.market import simulate
from stairways.service.data import (
    find_data,
    findings_of,
    load_registered,
    register_bars,
    registrations,
)
from stairways.store.contract import Context, EventStore


def context(number: int = 1) -> Context:
    return Context(actor="tester", correlation="data", append_id=f"append-{number}")


def test_registered_bars_come_back_from_the_blob_with_their_findings(store: EventStore) -> None:
    aligned = simulate(("A", "B"), 50, 1)
    registered = register_bars(store, aligned, "toy", context())
    assert registered.event.digest == aligned.bars.digest
    assert registered.event.simulated
    assert load_registered(store, registered.event.digest).digest == aligned.bars.digest
    assert [f.kind for f in findings_of(store, aligned.bars.digest)] == ["simulated", "simulated"]


def test_registering_the_same_bars_twice_changes_nothing(store: EventStore) -> None:
    aligned = simulate(("A", "B"), 50, 1)
    first = register_bars(store, aligned, "toy", context(1))
    size = store.head().size
    assert register_bars(store, aligned, "toy", context(2)) == first
    assert store.head().size == size


def test_bars_may_have_two_names_and_a_name_means_the_newest_bars(store: EventStore) -> None:
    old, new = simulate(("A", "B"), 50, 1), simulate(("A", "B"), 50, 2)
    register_bars(store, old, "toy", context(1))
    register_bars(store, old, "vintage", context(2))
    register_bars(store, new, "toy", context(3))
    assert find_data(store, "vintage").event.digest == old.bars.digest
    assert find_data(store, "toy").event.digest == new.bars.digest
    assert find_data(store, old.bars.digest[:12]).event.digest == old.bars.digest
    assert len(list(registrations(store))) == 3


@pytest.mark.parametrize("name", ["", "../x", "a b", "a/b", ".hidden", "x" * 65])
def test_names_that_could_be_paths_are_refused(store: EventStore, name: str) -> None:
    with pytest.raises(BarsRefusedError, match="is no name"):
        register_bars(store, simulate(("A",), 5, 1), name, context())
    assert store.head().size == 0


def test_unknown_bars_are_answered_with_the_known_names(store: EventStore) -> None:
    register_bars(store, simulate(("A",), 5, 1), "toy", context())
    with pytest.raises(NoSuchDataError, match="registered are: toy"):
        find_data(store, "toys")
