"""What an operator orders about a model while a daemon runs, and that the daemon picks it up."""

from collections.abc import Callable

import pytest

from stairways.core import events as e
from stairways.core.values import Digest
from stairways.service.replay.run import replay_run
from stairways.store.opening import open_sql_store
from stairways.training import state as states
from tests.daemon.programs import Place

NewPlace = Callable[[str], Place]
CALM = {"stairway.divergence_limit": "10"}


def trained(place: Place, runs: int = 1) -> None:
    """Let somebody order a run of the schedule, and wait until so many have finished."""
    assert place.run("daemon", "trigger", "nightly", "--reason", "the test").returncode == 0
    place.wait_for(e.ScheduleFinished, runs)


def ordered_back(place: Place) -> Digest:
    """Put the model that was promoted first back into service, from another shell."""
    first: Digest = place.events(e.ModelPromoted)[0].parameters
    ordered = place.run("rollback", "nightly", "--to", first[:16], "--reason", "too bold")
    assert (ordered.returncode, ordered.stdout.strip()) == (0, first), ordered.stderr
    return first


def network(place: Place, state: Digest) -> dict[str, bytes]:
    """Return the bytes of parameters and optimiser that a captured state holds, by name."""
    store = open_sql_store(place.url)
    try:
        arrays = states.unpack(store.get_blob(state)).arrays
    finally:
        store.close()
    wanted = (states.PARAMETER, states.MOMENT)
    return {name: one.tobytes() for name, one in arrays.items() if name.startswith(wanted)}


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_run_of_a_daemon_goes_on_from_the_model_that_an_operator_puts_back(
    kind: str, new_place: NewPlace
) -> None:
    place = new_place(kind)
    place.settle(cycles=90, changes=CALM, cron="0 3 1 jan *")
    place.start()
    place.wait_for(e.ScheduleDefined)
    place.run("daemon", "trigger", "nightly", "--reason", "the test")
    place.wait_for(e.ModelPromoted)

    first = ordered_back(place)
    place.wait_for(e.ModelRolledBack, 2)
    begun = len(place.events(e.CycleStarted))
    place.wait_for(e.CycleStarted, begun + 1)
    assert place.stop() < 15

    order, followed = place.events(e.ModelRolledBack)
    assert (order.by, order.reason) == (followed.by, followed.reason) == ("ada", "too bold")
    assert order.parameters == followed.parameters == first
    assert order.state == followed.state
    begins = [one for one in place.events(e.CycleStarted) if one.cycle > followed.cycle]
    assert begins[0].parent == first
    assert network(place, begins[0].state) == network(place, order.state) != {}
    (run,) = {one.run for one in place.events(e.ScheduleFired)}
    store = open_sql_store(place.url)
    assert replay_run(store, run).clean
    store.close()


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_the_next_fire_starts_from_the_model_that_an_operator_put_back_meanwhile(
    kind: str, new_place: NewPlace
) -> None:
    place = new_place(kind)
    place.settle(cycles=2, changes=CALM, cron="0 3 1 jan *", start="served")
    place.start()
    place.wait_for(e.ScheduleDefined)
    trained(place)
    first, last = (one.parameters for one in place.events(e.ModelPromoted))

    assert ordered_back(place) == first != last
    trained(place, 2)
    place.stop()

    cold, warm = place.events(e.RunStarted)
    assert (cold.warm_start, warm.warm_start) == (None, first)
    begins = place.events(e.CycleStarted)
    assert [one.parent for one in begins if one.cycle == 1][1] == first
