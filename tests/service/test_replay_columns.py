"""Bulk reading of payloads gives what decoding each event gives, and names what it cannot read."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stairways import codec
from stairways.core import events as e
from stairways.core.values import LARGEST_WHOLE_NUMBER, Position, StreamName, Version
from stairways.service.replay.columns import read_columns
from stairways.store.contract import Record

wholes = st.integers(-LARGEST_WHOLE_NUMBER, LARGEST_WHOLE_NUMBER)
reals = st.floats(allow_nan=False, allow_infinity=False)
by_symbol = st.tuples(wholes, wholes)
flags = st.tuples(st.booleans(), st.booleans())
times = st.datetimes(timezones=st.just(UTC), min_value=datetime(1971, 1, 1))  # noqa: DTZ001 - hypothesis adds the zone
steps = st.builds(
    e.StepTaken,
    step=wholes,
    lane=wholes,
    bar=wholes,
    bar_time=times,
    action=wholes,
    log_probability=reals,
    value=reals,
    shares=by_symbol,
    prices=by_symbol,
    costs=by_symbol,
    clipped=flags,
    interest=wholes,
    borrow=wholes,
    cash=wholes,
    positions=by_symbol,
    lots=by_symbol,
    equity=wholes,
    reward=reals,
    log_return=reals,
    risk_free=reals,
    drawdown_penalty=reals,
    hold_bonus=reals,
    terminated=st.booleans(),
    truncated=st.booleans(),
)


def record(payload: bytes, schema: int = 1) -> Record:
    return Record(
        position=Position(1),
        stream=StreamName("run-r1"),
        version=Version(1),
        type="StepTaken",
        schema=schema,
        recorded_at=datetime(2026, 1, 5, tzinfo=UTC),
        actor="test",
        correlation="r1",
        causation=None,
        append_id="a1",
        payload=payload,
        leaf=b"",
    )


@given(st.lists(steps, max_size=5))
def test_columns_are_the_fields_of_the_decoded_events(events: list[e.StepTaken]) -> None:
    columns = read_columns(e.StepTaken, [record(codec.encode(event)) for event in events], 2)

    assert columns.faults == []
    assert columns.readable.tolist() == [True] * len(events)
    for name, column in columns.fields.items():
        due = [getattr(event, name) for event in events]
        if name == "bar_time":
            due = [codec.time_text(time) for time in due]
        assert [tuple(v) if isinstance(v, list) else v for v in column.tolist()] == due


@given(st.lists(steps, min_size=2, max_size=4), st.binary(max_size=30))
def test_any_bytes_among_payloads_spoil_one_row_only(
    events: list[e.StepTaken], noise: bytes
) -> None:
    payloads = [codec.encode(event) for event in events]
    payloads[1] = noise

    columns = read_columns(e.StepTaken, [record(payload) for payload in payloads], 2)

    assert {fault.row for fault in columns.faults} == {1}
    assert columns.fields["cash"][0] == events[0].cash


@pytest.mark.parametrize(
    ("first", "second"), [(b'{"a":[1', b"2]}"), (b"{},{}", b""), (b"[", b"]"), (b"1],[1", b"1")]
)
def test_two_payloads_that_make_sense_only_together_make_none(first: bytes, second: bytes) -> None:
    columns = read_columns(e.StepTaken, [record(first), record(second)], 2)

    assert not columns.readable.any()


def test_a_schema_from_the_future_is_a_fault() -> None:
    columns = read_columns(e.StepTaken, [record(b"{}", schema=99)], 2)

    assert [(fault.field, fault.recorded) for fault in columns.faults] == [("schema", 99)]
    assert not columns.readable[0]


def test_no_payloads_are_columns_of_no_rows() -> None:
    columns = read_columns(e.StepTaken, [], 2)

    assert columns.fields["shares"].shape == (0, 2)
    assert columns.fields["cash"].shape == (0,)
