"""The records of one part of a run -> columns and claims -> findings."""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from stairways import codec
from stairways.core import events as e
from stairways.core.events import Event
from stairways.core.ledger import TradingRules
from stairways.core.replay.books import Findings, Part, Steps
from stairways.core.replay.claims import Assertions, evaluation_claims, held_steps
from stairways.core.replay.part import Checked, check_part
from stairways.core.replay.report import Finding, Plain, Profit, Threshold
from stairways.service.replay.columns import Columns, read_columns
from stairways.service.replay.setup import UNREADABLE, Setup, field_in
from stairways.service.replay.skill import SkillClaims
from stairways.store.contract import Record

STEP_TYPES: dict[str, type] = {
    "StepTaken": e.StepTaken,
    "EvaluationStepTaken": e.EvaluationStepTaken,
}
OF_LOST_STEPS = ("decisions", "start_equity")
"""Results of an evaluation that can be told although some of its steps cannot be read."""

MEANS = {
    ("CycleFinished", "hold_rate"),
    ("EvaluationFinished", "sharpe"),
    ("FoldTestFinished", "sharpe"),
}
"""Claims that were, or in older logs may have been, averaged in another order than here."""

STATISTICS = ("SkillMeasured",)
"""Events whose real numbers may differ in the last digit where a mathematical library does."""

CLOSE = 1e-9
"""Difference up to which two averages of the same decisions are the same."""


@dataclass(slots=True)
class Section:
    """Records of one part of a run: what opened it, the many by type, and the others."""

    opener: Record
    bulk: dict[str, list[Record]] = field(default_factory=dict)
    others: list[Record] = field(default_factory=list)

    def of(self, name: str) -> list[Record]:
        """Return the records of one of the frequent types."""
        return self.bulk.get(name, [])


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the comparison of one section gave; ``last_step`` is the run's last step number."""

    findings: list[Finding]
    profit: Profit | None
    quantities: int
    last_step: int


def check_section(section: Section, setup: Setup, threshold: Threshold, steps: int) -> Outcome:
    """Compare everything in a section; ``steps`` is the number of the run's last step so far."""
    faults: list[Finding] = []
    opened = read_event(section.opener, faults)
    events = [(record, read_event(record, faults)) for record in section.others]
    evaluating = section.opener.type != "CycleStarted"
    started = opened if isinstance(opened, e.EvaluationStarted | e.FoldTestStarted) else None
    if evaluating:
        tested = section.opener.type == "FoldTestStarted"
        part = setup.evaluation(started, section.opener.position, tested=tested)
    else:
        begun = opened if isinstance(opened, e.CycleStarted) else None
        part = setup.attempt(begun, section.opener.position, steps + 1)
    checked = _check_steps(section, part, setup, threshold, faults)
    last_step = steps if evaluating else checked.last_step
    _compare_controller(section, part, checked, setup, faults)
    target = None if started is None else started.target
    skill = None if started is None else SkillClaims(setup, part, checked, started, events)
    claimed = _Claimed(part, setup.rules, checked, target, last_step, skill)
    for record, event in [(section.opener, opened), *events]:
        for name, due in claimed.by(event).items():
            _compare_claim(record, event, name, due, faults)
    faults.extend(checked.findings)
    profit = checked.profit if len(checked.believed) else None
    return Outcome(faults, profit, checked.quantities, last_step)


def read_event(record: Record, faults: list[Finding]) -> Event | None:
    """Return the event of a record; what is wrong with it becomes a finding."""
    try:
        event = codec.decode(record.type, record.schema, record.payload)
        if codec.encode(event) == record.payload or record.schema != codec.type_of(event)[1]:
            return event
        reason = "the payload is not canonical"
    except UNREADABLE as error:
        reason = str(error)
    faults.append(
        Finding(
            position=record.position,
            type=record.type,
            field=field_in(reason),
            expected=None,
            recorded=record.payload[:80].decode(errors="replace"),
            message=f"{record.type} cannot be read: {reason}",
        )
    )
    return None


def _check_steps(
    section: Section, part: Part, setup: Setup, threshold: Threshold, faults: list[Finding]
) -> Checked:
    """Compare the steps of a section and the balances asserted about them."""
    kind = STEP_TYPES[part.type]
    for name in STEP_TYPES.keys() - {part.type}:
        faults.extend(_misplaced(record, part) for record in section.of(name))
    records, claims = section.of(part.type), section.of("BalanceAsserted")
    symbols = len(setup.market.symbols)
    columns = read_columns(kind, records, symbols)
    steps = _steps(columns, _positions(records))
    faults.extend(_faults(columns, records, part, setup.market.symbols))
    read = read_columns(e.BalanceAsserted, claims, symbols)
    faults.extend(_faults(read, claims, part, setup.market.symbols))
    return check_part(
        steps,
        Assertions(**_sound(read, _positions(claims)), **dict[str, Any](read.fields)),
        market=setup.market,
        rules=setup.rules,
        part=part,
        threshold=threshold,
    )


def _steps(columns: Columns, at: list[int]) -> Steps:
    fields: dict[str, Any] = {"lane": np.zeros(len(at), dtype=np.int64), **columns.fields}
    names = {one.name for one in dataclasses.fields(Steps)} & fields.keys()
    return Steps(**_sound(columns, at), **{name: fields[name] for name in names})


def _sound(columns: Columns, at: list[int]) -> dict[str, Any]:
    """Return what says which rows and cells of columns can be relied on."""
    damaged = {(fault.row, fault.field, fault.symbol) for fault in columns.faults}
    return {
        "at": np.array(at, dtype=np.int64),
        "readable": columns.readable,
        "damaged": frozenset(cell for cell in damaged if cell[1] in columns.fields),
    }


def _positions(records: Sequence[Record]) -> list[int]:
    return [record.position for record in records]


def _faults(
    columns: Columns, records: Sequence[Record], part: Part, symbols: tuple[str, ...]
) -> list[Finding]:
    """Return what could not be read as findings."""
    return [
        Finding(
            position=records[fault.row].position,
            type=records[fault.row].type,
            field=fault.field,
            symbol="" if fault.symbol is None else symbols[fault.symbol],
            expected=None,
            recorded=fault.recorded,
            message=f"{fault.field} {fault.reason}: {fault.recorded!r} ({part.name}).",
        )
        for fault in columns.faults
    ]


def _misplaced(record: Record, part: Part) -> Finding:
    return Finding(
        position=record.position,
        type=record.type,
        field="type",
        expected=part.type,
        recorded=record.type,
        message=f"{record.type} stands within {part.name}.",
    )


def _compare_controller(
    section: Section, part: Part, checked: Checked, setup: Setup, faults: list[Finding]
) -> None:
    """Compare that the controller was updated once for each step, in the same order."""
    records, taken = section.of("ControllerUpdated"), section.of("StepTaken")
    columns = read_columns(e.ControllerUpdated, records, len(setup.market.symbols))
    faults.extend(_faults(columns, records, part, setup.market.symbols))
    updates = Findings(replace(part, type="ControllerUpdated"), setup.market.symbols, faults)
    if part.type == "StepTaken" and len(records) != len(taken):
        why = "one for each step"
        updates.add(section.opener.position, "count", len(taken), len(records), why)
    numbers = np.concatenate([[part.first_step - 1], checked.numbers])
    due = numbers[np.searchsorted(_positions(taken), _positions(records))]
    damaged = [fault.row for fault in columns.faults if fault.field == "step"]
    wrong = columns.readable & (columns.fields["step"] != due)
    wrong[damaged] = False
    for row in np.flatnonzero(wrong).tolist():
        recorded = int(columns.fields["step"][row])
        updates.add(records[row].position, "step", int(due[row]), recorded, "it follows that step")


@dataclass(frozen=True, slots=True)
class _Claimed:
    """What other events of a part should say of its steps."""

    part: Part
    rules: TradingRules
    checked: Checked
    target: float | None
    last_step: int
    skill: SkillClaims | None

    def by(self, event: Event | None) -> dict[str, object]:
        """Return what ``event`` should say, field by field."""
        steps = self.checked.believed
        lost = not steps.readable.all()
        match event:
            case e.EvaluationStarted() | e.FoldTestStarted():
                return {"first_bar": self.part.window[0], "last_bar": self.part.window[1] - 1}
            case e.CycleFinished() if len(steps):
                rate = event.hold_rate if lost else held_steps(steps) / len(steps)
                return {"steps": len(steps), "hold_rate": rate}
            case e.EvaluationFinished() | e.FoldTestFinished() if (
                len(steps) and self.target is not None
            ):
                evidence = (int(steps.at[0]), int(steps.at[-1]))
                claims = evaluation_claims(steps, self.rules, self.target)
                known = OF_LOST_STEPS if lost else claims.keys()
                pace = {} if lost or self.skill is None else self.skill.pace
                return {**{name: claims[name] for name in known}, **pace, "evidence": evidence}
            case e.BaselinesMeasured() if len(steps) and not lost and self.skill is not None:
                return self.skill.of_baselines()
            case e.SkillMeasured() if len(steps) and not lost and self.skill is not None:
                return self.skill.of_skill()
            case e.RunFinished():
                return {"steps": self.last_step}
            case _:  # no other event speaks of the books
                return {}


def _compare_claim(
    record: Record, event: Event | None, name: str, due: object, faults: list[Finding]
) -> None:
    recorded: object = getattr(event, name)
    loose = (record.type, name) in MEANS or record.type in STATISTICS
    if recorded != due and not (loose and _close(recorded, due)):
        faults.append(
            Finding(
                position=record.position,
                type=record.type,
                field=name,
                expected=_plain(due),
                recorded=_plain(recorded),
                message=f"{name} is {recorded}, should be {due}: the steps say so.",
            )
        )


def _close(recorded: object, due: object) -> bool:
    """Tell whether real numbers, or tuples of them, differ by no more than rounding."""
    if isinstance(recorded, float) and isinstance(due, float):
        return math.isclose(recorded, due, rel_tol=CLOSE, abs_tol=CLOSE)
    if isinstance(recorded, tuple) and isinstance(due, tuple):
        return len(recorded) == len(due) and all(map(_close, recorded, due))
    return False


def _plain(value: object) -> Plain:
    return value if isinstance(value, int | float | str) else str(value)
