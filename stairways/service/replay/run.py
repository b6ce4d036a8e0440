"""Replaying a run: the stored log and the registered bars in, a report and an event out.

The log is read once, in pages and in order. A part of a run, an attempt at a cycle or an
evaluation, is compared as soon as it ends and then forgotten, so memory does not grow with
the run. Damage to a payload is a finding like any other.
"""

import heapq
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from platform import python_version
from typing import Protocol

import stairways
from stairways import codec
from stairways.core import events as e
from stairways.core.ledger import STARTING_CAPITAL
from stairways.core.replay.report import (
    QUANTITIES,
    SHOWN_FINDINGS,
    Finding,
    LevelReport,
    Profit,
    Report,
    Threshold,
)
from stairways.core.values import Micros, Position, StreamName
from stairways.errors import NoSuchRunError
from stairways.service.replay.parts import Outcome, Section, check_section, read_event
from stairways.service.replay.setup import Setup, set_up
from stairways.service.runs import find_run, run_stream
from stairways.service.skill.trials import known_trials
from stairways.store.contract import START, Context, Encoded, EventStore, Record

LEDGER = "ledger"
OPERATOR = StreamName("operator")
OPENERS = ("CycleStarted", "EvaluationStarted", "FoldTestStarted")
RESULTS = {"EvaluationStarted": "EvaluationFinished", "FoldTestStarted": "FoldTestFinished"}
BULK = ("StepTaken", "ControllerUpdated", "BalanceAsserted", "EvaluationStepTaken")
LIBRARIES = ("numpy", "orjson", "SQLAlchemy")
PROGRESS_STEP = 1_000


class Watcher(Protocol):
    """Somebody who wants to see how a replay comes along."""

    def advance(self, amount: int = 1, note: str = "") -> None:
        """Count ``amount`` more events; ``note`` says what is being compared."""
        ...


class _Nobody:
    def advance(self, amount: int = 1, note: str = "") -> None:
        """Take no note."""


@dataclass(slots=True)
class _Tally:
    """What was found so far, in log order; only the first findings are kept."""

    found: int = 0
    findings: list[Finding] = field(default_factory=list)
    profits: list[Profit] = field(default_factory=list)
    checked: Counter[str] = field(default_factory=Counter)

    def add(self, findings: Iterable[Finding]) -> None:
        """Count findings and keep the first ones."""
        more = list(findings)
        self.found += len(more)
        both = [*self.findings, *more]
        self.findings = heapq.nsmallest(SHOWN_FINDINGS, both, key=_position)

    def take(self, outcome: Outcome) -> None:
        """Count what the comparison of a section gave."""
        self.add(outcome.findings)
        self.checked[QUANTITIES] += outcome.quantities
        if outcome.profit is not None:
            self.profits.append(outcome.profit)


def replay_run(
    store: EventStore,
    run: str,
    threshold: Threshold | None = None,
    watcher: Watcher | None = None,
) -> Report:
    """Replay the ledger of ``run``, or of the newest for ``latest``, as the log stands now.

    Raises ``NoSuchRunError``, and ``BlobMissingError`` or ``BarsRefusedError`` when the
    registered bars cannot be had. Nothing is written; see ``record_report``.
    """
    run = find_run(store, run)
    stream = run_stream(run)
    claimed = store.version(stream)  # before the head is read, which it then cannot be ahead of
    size = store.head().size
    tally = _Tally()
    read = store.read(stream=stream, until=Position(size))
    records = _unbroken(read, store, Position(size), claimed, tally)
    first = next(records, None)
    if first is None or first.type != "RunStarted":
        raise NoSuchRunError(f"The log has no run {run}; `stairways audit runs` lists them.")
    setup = set_up(store, first)
    if isinstance(setup, Setup):
        trials = known_trials(store, setup.start.data, Position(size))
        setup.trials.update((trial.position, trial) for trial in trials)
    known = setup.start.libraries if isinstance(setup, Setup) else {}
    return Report(
        run=run,
        size=size,
        code_version=stairways.__version__,
        recorded_libraries=known,
        libraries=library_versions(),
        simulated=isinstance(setup, Setup) and setup.start.simulated,
        levels=[_ledger(setup, records, threshold or Threshold(), tally, watcher or _Nobody())],
    )


def evaluation_findings(store: EventStore, run: str, first: Position, last: Position) -> int:
    """Return how many findings a ledger replay has in the evaluation steps of two positions.

    This is what the gate "ledger replay clean" asks before the evaluation is finished.
    """
    stream = run_stream(run)
    setup = set_up(store, next(store.read(stream=stream, limit=1)))
    if isinstance(setup, Finding):
        return 1
    kind = ("EvaluationStepTaken",)
    records = list(store.read(stream=stream, types=kind, after=Position(first - 1), until=last))
    opened = store.read(stream=stream, types=OPENERS[1:], until=Position(first - 1))
    opener = deque(opened, maxlen=1)[0]  # a resumed run has other events behind it
    section = Section(opener, {kind[0]: records})
    return len(check_section(section, setup, Threshold(), 0).findings)


def record_report(store: EventStore, report: Report, context: Context) -> Position:
    """Append a ``ReplayFinished`` for each level to the stream ``operator``."""
    events = [_finished(report, level) for level in report.levels]
    encoded = [Encoded(*codec.type_of(event), codec.encode(event)) for event in events]
    return store.append(OPERATOR, None, encoded, context).last


def library_versions() -> Mapping[str, str]:
    """Return the versions of everything that decides about a ledger replay."""
    return {"python": python_version(), **{name: version(name) for name in LIBRARIES}}


def _unbroken(
    records: Iterable[Record], store: EventStore, size: Position, claimed: int, tally: _Tally
) -> Iterator[Record]:
    """Yield a run's records up to ``size``, and note where some that should be there are not."""
    due, last = 1, START
    for record in records:
        if record.version != due:
            why = f"{record.version - due:,} events of the run before it are missing."
            tally.add(
                [_missing(record.position, record.type, "version", (due, record.version), why)]
            )
        due, last = record.version + 1, record.position
        yield record
    if next(store.read(after=Position(size - 1), until=size), None) is None:
        last = max((one.position for one in store.read(after=last, until=size)), default=last)
        why = f"the log should hold {size:,} events; those from here on are missing."
        tally.add([_missing(Position(last + 1), "log", "size", (size, last), why)])
    elif due <= claimed:
        why = f"the run should hold {claimed:,} events; the last {claimed - due + 1:,} are missing."
        tally.add([_missing(Position(last + 1), "log", "version", (claimed, due - 1), why)])


def _missing(
    position: Position, type_: str, name: str, due_and_found: tuple[int, int], why: str
) -> Finding:
    due, found = due_and_found
    return Finding(
        position=position, type=type_, field=name, expected=due, recorded=found, message=why
    )


def _ledger(
    setup: Setup | Finding,
    records: Iterator[Record],
    threshold: Threshold,
    tally: _Tally,
    watcher: Watcher,
) -> LevelReport:
    tally.checked["RunStarted"] = 1
    if isinstance(setup, Finding):
        tally.add([setup])
    else:
        _compare(setup, records, threshold, tally, watcher)
    capital = STARTING_CAPITAL if isinstance(setup, Finding) else setup.rules.starting_capital
    return LevelReport(
        level=LEDGER,
        checked=dict(tally.checked),
        findings=tally.findings,
        found=tally.found,
        profits=tally.profits,
        capital=Micros(capital),
        threshold=threshold,
    )


def _compare(
    setup: Setup, records: Iterator[Record], threshold: Threshold, tally: _Tally, watcher: Watcher
) -> None:
    """Compare a run section by section."""
    steps = 0
    unfinished: list[Finding] = []
    for section in _sections(records, tally, watcher):
        unfinished += _unfinished(section)
        if any(record.type == "RunFinished" for record in section.others):
            tally.add(unfinished)
        outcome = check_section(section, setup, threshold, steps)
        steps = outcome.last_step
        tally.take(outcome)


def _sections(records: Iterator[Record], tally: _Tally, watcher: Watcher) -> Iterator[Section]:
    """Yield the parts of a run, each when the next one begins."""
    section: Section | None = None
    for count, record in enumerate(records, start=1):
        tally.checked[record.type] += 1
        if count % PROGRESS_STEP == 0:
            watcher.advance(PROGRESS_STEP)
        if record.type in OPENERS:
            if section is not None:
                yield section
            section = Section(record)
        elif section is None:
            tally.add(_early(record))
        elif record.type in BULK:
            section.bulk.setdefault(record.type, []).append(record)
        else:
            section.others.append(record)
    if section is not None:
        yield section


def _unfinished(section: Section) -> list[Finding]:
    """Return that an evaluation has no result, which no finished run leaves behind."""
    opener = section.opener
    due = RESULTS.get(opener.type)
    if due is None or any(one.type == due for one in section.others):
        return []
    return [
        Finding(
            position=opener.position,
            type=opener.type,
            field="type",
            expected=due,
            recorded=None,
            message=f"the run finished, but this evaluation has no {due}.",
        )
    ]


def _early(record: Record) -> list[Finding]:
    """Return what is wrong with an event before the first cycle."""
    faults: list[Finding] = []
    if read_event(record, faults) is not None and record.type in BULK:
        faults.append(
            Finding(
                position=record.position,
                type=record.type,
                field="type",
                expected="CycleStarted",
                recorded=record.type,
                message=f"{record.type} stands before the first cycle.",
            )
        )
    return faults


def _finished(report: Report, level: LevelReport) -> e.ReplayFinished:
    first = level.first
    return e.ReplayFinished(
        run=report.run,
        level=level.level,
        checked=level.events,
        findings=level.found,
        first_position=first.position if first else None,
        first_field=first.field if first else "",
        recorded_profit=level.recorded_profit,
        replayed_profit=level.replayed_profit,
        libraries=report.libraries,
    )


def _position(finding: Finding) -> Position:
    return finding.position
