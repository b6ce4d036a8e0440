"""One encoded sample of every version of every event; they are added, never edited."""

import hashlib
import json
from pathlib import Path

import pytest
import rfc8785

from stairways import codec

GOLDEN = Path(__file__).parents[1] / "golden"
SAMPLES = sorted(GOLDEN.glob("*.json"))


def test_every_version_of_every_event_has_a_sample() -> None:
    wanted = {
        f"{name}.{schema}.json"
        for name, newest in codec.SCHEMAS.values()
        for schema in range(1, newest + 1)
    }
    missing = wanted - {sample.name for sample in SAMPLES}
    assert not missing, "run: python -m ops.golden_samples"


def test_no_sample_was_ever_edited() -> None:
    lines = (GOLDEN / "SHA256SUMS").read_text().splitlines()
    written = {name: digest for digest, name in (line.split() for line in lines)}
    found = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in SAMPLES}
    assert found == written


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.stem)
def test_a_sample_reads_and_the_newest_version_writes_the_same_bytes(sample: Path) -> None:
    name, schema = sample.stem.split(".")
    payload = sample.read_bytes()
    event = codec.decode(name, int(schema), payload)
    assert rfc8785.dumps(json.loads(payload)) == payload
    if codec.type_of(event) == (name, int(schema)):
        assert codec.encode(event) == payload
