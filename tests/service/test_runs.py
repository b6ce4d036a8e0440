"""Which runs a log holds."""

import pytest

from stairways.errors import NoSuchRunError
from stairways.service.runs import find_run, run_names
from stairways.service.stairway.unfinished import unfinished_run
from stairways.store.opening import driver_for, open_sql_store
from tests import made_up

RUN = "20260101-aaaaaa"


def test_a_mere_name_among_the_streams_is_no_run(database_url: str) -> None:
    store = open_sql_store(database_url)
    made_up.write(store, made_up.appends(RUN), RUN)
    engine = driver_for(database_url).engine
    with engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO streams (id, name) VALUES (99, 'run-x')")
    engine.dispose()

    assert run_names(store) == [RUN]
    assert find_run(store, "latest") == RUN
    assert unfinished_run(store) is None
    with pytest.raises(NoSuchRunError, match=r"There is no run x\."):
        find_run(store, "x")
    store.close()
