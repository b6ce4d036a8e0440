"""Large logs made of a real run: copies of it side by side, or one run grown by its own cycles.

Copies go through the store as the run itself did, so every hash, version and position is right.
What a copy says is what the run said, but for names, positions, cycles and steps.
"""

import itertools
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from stairways.core.values import StreamName
from stairways.store.contract import Batch, Context, Record
from stairways.store.opening import open_sql_store
from stairways.store.sql import SqlStore

ROOT = Path(__file__).parents[2]
PLACES = ("evidence", "verdict", "position")
"""Fields that name positions, which a copy of a run has elsewhere."""

ROLLOUT = 100
"""Events of an append; longer ones are rollouts, which name neither runs nor positions."""

_STEP = re.compile(rb'"step":(\d+)')
_COUNTED = ("StepTaken", "ControllerUpdated")
"""Events that count the steps of a run; those of a validation begin anew with each."""


class Append(NamedTuple):
    """One append of the run that is copied."""

    stream: str
    first: int
    records: Sequence[Record]


class Change(NamedTuple):
    """How a copy of an append differs from it."""

    old: str
    new: str  # name of the run
    delta: int  # added to positions
    cycles: int = 0  # added to numbers of cycles
    steps: int = 0  # added to steps of training, where those are counted one by one


class Source(NamedTuple):
    """The newest run of a log, as appends, and those that stand before it."""

    run: str
    before: Sequence[Append]
    appends: Sequence[Append]


def train_demo(folder: Path) -> str:
    """Train the main job and return the URL of its log."""
    command = [sys.executable, "-m", "stairways", "demo", "--folder", str(folder)]
    subprocess.run(  # noqa: S603 - the product's own command
        [*command, "--log-level", "error"], check=True, cwd=ROOT,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    return f"sqlite:///{folder}/stairways.db"


def read_source(url: str) -> Source:
    """Return the newest run of a log."""
    store = open_sql_store(url, read_only=True)
    run = store.streams("run-")[-1].removeprefix("run-")
    groups = [
        Append(records[0].stream, records[0].position, records)
        for _, some in itertools.groupby(store.read(), key=lambda record: record.append_id)
        for records in [list(some)]
    ]
    store.close()
    own = [i for i, one in enumerate(groups) if one.stream == f"run-{run}"]
    return Source(run, groups[: own[0]], groups[own[0] : own[-1] + 1])


def copy_runs(store: SqlStore, url: str, events: int) -> None:
    """Append copies of a log's newest run under other names until there are ``events``."""
    source = read_source(url)
    for one in source.before:
        _put(store, one, "original")
    for number in itertools.count(1):
        name = f"{source.run}-{number:03d}"
        change = Change(source.run, name, store.head().size - source.appends[0].first + 1)
        for one in source.appends:
            _put(store, one, name, change)
        if store.head().size >= events:
            return


def grow_run(store: SqlStore, url: str, events: int) -> str:
    """Append a log's newest run, its cycles again and again, until there are ``events``.

    The blobs are copied too, so that whatever is made of a run can be made of this one. Returns
    the name of the run.
    """
    source = read_source(url)
    _copy_blobs(store, url)
    for one in (*source.before, source.appends[0]):
        _put(store, one, source.run)
    cycles, last = source.appends[1:-1], source.appends[-1]
    numbers = [said["cycle"] for said in _rare(cycles) if "cycle" in said]
    steps = sum(record.type == "StepTaken" for one in cycles for record in one.records)
    for turn in itertools.count():
        delta = store.head().size - cycles[0].first + 1
        change = Change(source.run, source.run, delta, turn * max(numbers), turn * steps)
        for one in cycles:
            _put(store, one, f"{source.run}-{turn}", change)
        if store.head().size >= events:
            break
    _put(store, last, source.run, change._replace(delta=0))
    return source.run


def context(name: str, append_id: str) -> Context:
    """Return under which name a benchmark appends."""
    return Context(actor="bench@host", correlation=name, append_id=append_id)


def _copy_blobs(store: SqlStore, url: str) -> None:
    source = open_sql_store(url, read_only=True)
    for (digest,) in source.rows("SELECT digest FROM blobs", ()):
        store.put_blob(source.get_blob(digest))
    source.close()


def _rare(appends: Sequence[Append]) -> Iterator[dict[str, Any]]:
    for one in appends:
        if len(one.records) < ROLLOUT:
            yield from (orjson.loads(record.payload) for record in one.records)


def _put(store: SqlStore, one: Append, name: str, change: Change | None = None) -> None:
    """Append ``one`` on behalf of ``name``; ``change`` says how a copy differs."""
    kinds, schemas = zip(*((record.type, record.schema) for record in one.records), strict=True)
    payloads = [record.payload for record in one.records]
    if change and len(payloads) < ROLLOUT:
        payloads = [_moved(payload, change) for payload in payloads]
    elif change and change.steps:
        payloads = [
            _counted_on(payload, change.steps) if kind in _COUNTED else payload
            for kind, payload in zip(kinds, payloads, strict=True)
        ]
    stream = one.stream.replace(change.old, change.new) if change else one.stream
    batch = Batch(kinds, schemas, payloads)
    store.append(StreamName(stream), None, batch, context(name, f"{name}-{one.first}"))


def _moved(payload: bytes, change: Change) -> bytes:
    """Return a payload that names the copy, its positions and its cycle."""
    old, new = (b'"run":' + orjson.dumps(name) for name in (change.old, change.new))
    said = orjson.loads(payload.replace(old, new))
    for place in PLACES:
        if isinstance(said.get(place), int):
            said[place] += change.delta
        elif isinstance(said.get(place), list):
            said[place] = [one + change.delta for one in said[place]]
    for counted in ("cycle", "cycles"):
        if counted in said:
            said[counted] += change.cycles
    return orjson.dumps(said, option=orjson.OPT_SORT_KEYS)


def _counted_on(payload: bytes, steps: int) -> bytes:
    return _STEP.sub(lambda found: b'"step":%d' % (int(found[1]) + steps), payload, count=1)
