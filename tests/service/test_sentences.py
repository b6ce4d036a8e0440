"""Events in words: each type has a sentence, whatever it says."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from stairways import codec
from stairways.codec import SCHEMAS
from stairways.core.values import Position, StreamName, Version
from stairways.service.audit.sentences import said, sentence
from stairways.store.contract import Record

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.mark.parametrize(("name", "schema"), sorted(SCHEMAS.values()))
def test_every_type_of_event_is_told_in_a_sentence(name: str, schema: int) -> None:
    event = codec.decode(name, schema, (GOLDEN / f"{name}.{schema}.json").read_bytes())

    words = said(event)

    assert not words.startswith(f"{name}: ")
    assert "\n" not in words
    assert len(words) > 10


def test_an_event_of_a_newer_version_says_what_would_read_it() -> None:
    record = Record(
        position=Position(1), stream=StreamName("run-1"), version=Version(1), type="GateDecided",
        schema=9, payload=b"{}", recorded_at=datetime(2026, 1, 5, tzinfo=UTC), actor="a",
        correlation="", causation=None, append_id="a", leaf=b"",
    )  # fmt: skip

    assert "schema version 9" in sentence(record)
    assert "Use a newer Stairways." in sentence(record)
