"""Events in words: each type has a sentence, whatever it says."""

from pathlib import Path

import pytest

from stairways import codec
from stairways.codec import SCHEMAS
from stairways.service.audit.sentences import said

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.mark.parametrize(("name", "schema"), sorted(SCHEMAS.values()))
def test_every_type_of_event_is_told_in_a_sentence(name: str, schema: int) -> None:
    event = codec.decode(name, schema, (GOLDEN / f"{name}.{schema}.json").read_bytes())

    sentence = said(event)

    assert not sentence.startswith(f"{name}: ")
    assert "\n" not in sentence
    assert len(sentence) > 10
