"""Runs, cycles and gates folded from the log say what the read models should say."""

import pytest

from stairways.readmodels import queries
from stairways.readmodels.projector import Projector
from stairways.service.folding import folded_cycles, folded_data, folded_gates, folded_runs
from stairways.store.opening import driver_for, open_sql_store
from stairways.store.sql import SqlStore
from tests import made_up

RUN = "20260101-aaaaaa"
APPENDS = list(made_up.appends(RUN))


def filled(url: str, appends: int) -> SqlStore:
    store = open_sql_store(url)
    made_up.write(store, [made_up.registration()], "data")
    made_up.write(store, APPENDS[:appends], RUN)
    return store


@pytest.mark.parametrize("appends", [1, 2, 3, 5, 8, 11, len(APPENDS) - 1, len(APPENDS)])
def test_a_fold_of_the_log_is_what_the_read_models_say_wherever_the_log_ends(
    database_url: str, appends: int
) -> None:
    store = filled(database_url, appends)

    folded = folded_runs(store), folded_cycles(store, RUN), folded_gates(store, RUN)
    data = folded_data(store)

    Projector(store).catch_up()
    assert folded == (queries.runs(store), queries.cycles(store, RUN), queries.gates(store, RUN))
    assert data == queries.data_sets(store)
    store.close()


def test_a_forged_read_model_changes_no_answer(database_url: str) -> None:
    store = filled(database_url, len(APPENDS))
    Projector(store).catch_up()
    before = folded_runs(store), folded_cycles(store, RUN), folded_gates(store, RUN)
    engine = driver_for(database_url).engine
    with engine.begin() as connection:
        for forgery in (
            "UPDATE rm_cycle_generations SET profit = 9.99, verdict = 'promoted'",
            "UPDATE rm_run_generations SET status = 'running', promoted = 8",
            "UPDATE rm_gate_generations SET threshold = 0.0",
        ):
            connection.exec_driver_sql(forgery)
    engine.dispose()

    assert (folded_runs(store), folded_cycles(store, RUN), folded_gates(store, RUN)) == before
    assert queries.cycles(store, RUN) != before[1]
    store.close()
