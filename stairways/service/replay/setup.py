"""What a replay needs to know of a run before its first step: rules, bars, windows, lanes."""

import dataclasses
import re
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation

from stairways import codec
from stairways.core import events as e
from stairways.core.ledger import TradingRules
from stairways.core.replay.books import Int64, Market, Part, market_of
from stairways.core.replay.report import Finding
from stairways.core.skill import SkillRules, Trial
from stairways.core.values import MICROS_PER_DOLLAR, Micros, Position, digest_of
from stairways.errors import NotCanonicalError, SettingsError, UnknownEventError
from stairways.market.bars import Bars
from stairways.market.canonical import decode_bars
from stairways.store.contract import EventStore, Record

UNREADABLE = (UnknownEventError, NotCanonicalError, TypeError, ValueError)
"""What the codec raises for a payload that is not the event it should be."""

SECTION = "trading."
STATISTICS = "statistics."
LANES = "ppo.lanes"
NO_STOP = 1.0
"""The hard stop of an evaluation: the whole window is judged."""


@dataclass(frozen=True, slots=True, eq=False)
class Setup:
    """The surroundings of every step of a run, from its first event and the registered bars."""

    start: e.RunStarted
    rules: TradingRules
    market: Market
    lanes: int
    times: Int64  # of the bars, in nanoseconds
    sessions: Int64  # of the bars, counted
    statistics: SkillRules | None  # None in a run from before results were weighed
    trials: dict[Position, Trial] = field(default_factory=dict)  # of the same bars, in the log

    def attempt(self, started: e.CycleStarted | None, position: Position, first_step: int) -> Part:
        """Return an attempt at a cycle as a part of the books."""
        first, last = self.start.windows["train"]
        cycle, attempt = (started.cycle, started.attempt) if started else (0, 0)
        return Part(
            name=f"cycle {cycle} attempt {attempt}",
            cycle=cycle,
            attempt=attempt,
            position=position,
            type="StepTaken",
            window=(first, last),
            first_step=first_step,
            lanes=self.lanes,
            episode_length=self.rules.steps_within(last - first),
            hard_stop=self.rules.hard_stop,
        )

    def evaluation(
        self,
        started: e.EvaluationStarted | e.FoldTestStarted | None,
        position: Position,
        *,
        tested: bool,
    ) -> Part:
        """Return an evaluation, or with ``tested`` the test of a fold, as a part of the books."""
        first, last = self.start.windows["test" if tested else "validate"]
        cycle = started.cycle if started else 0
        attempt = started.attempt if isinstance(started, e.EvaluationStarted) else 0
        whole = f"test of cycle {cycle}" if tested else f"cycle {cycle} attempt {attempt}"
        return Part(
            name=whole if tested else f"evaluation of {whole}",
            cycle=cycle,
            attempt=attempt,
            position=position,
            type="EvaluationStepTaken",
            window=(first, last),
            first_step=1,
            lanes=1,
            episode_length=last - first - 1,
            hard_stop=NO_STOP,
        )


def set_up(store: EventStore, record: Record) -> Setup | Finding:
    """Read a run's first event and its bars; a finding where the event is damaged.

    Raises ``BlobMissingError`` or ``BarsRefusedError`` when the bars cannot be had.
    """
    try:
        start = codec.decode(record.type, record.schema, record.payload)
    except UNREADABLE as error:
        return _finding(record, field_in(str(error)), None, str(error))
    assert isinstance(start, e.RunStarted)  # noqa: S101 - the caller asked for its type
    try:
        rules = rules_from(start.settings)
        lanes = int(start.settings[LANES])
        statistics = statistics_from(start.settings)
    except (KeyError, ValueError, InvalidOperation, SettingsError) as error:
        return _finding(record, "settings", None, f"the recorded settings are unusable: {error}")
    digest = digest_of(codec.canonical(dict(start.settings)))
    if digest != start.settings_digest:
        why = f"settings_digest is {start.settings_digest}, that of the settings is {digest}"
        return _finding(record, "settings_digest", digest, why)
    bars = decode_bars(store.get_blob(start.data))
    if lanes < 1 or not _usable(start.windows, len(bars)):
        return _finding(record, "windows", None, f"lanes or windows fit no {len(bars)} bars")
    market = _market(bars, rules)
    return Setup(start, rules, market, lanes, bars.times, bars.session, statistics)


def rules_from(settings: Mapping[str, str]) -> TradingRules:
    """Return the rules of trading that a run recorded.

    Raises ``KeyError``, ``ValueError``, ``InvalidOperation`` or ``SettingsError`` when they are
    no such rules.
    """
    return TradingRules(**_section(TradingRules, SECTION, settings))


def statistics_from(settings: Mapping[str, str]) -> SkillRules | None:
    """Return how a run weighed its results; None if it did not. Raises as ``rules_from``."""
    if not any(name.startswith(STATISTICS) for name in settings):
        return None
    return SkillRules(**_section(SkillRules, STATISTICS, settings))


def _section(kind: type, prefix: str, settings: Mapping[str, str]) -> dict[str, typing.Any]:
    hints = typing.get_type_hints(kind)
    return {
        rule.name: _read(hints[rule.name], settings[prefix + rule.name])
        for rule in dataclasses.fields(kind)
    }


def field_in(reason: str) -> str:
    """Return the one field that an error of the codec complains about, else ``payload``."""
    named = re.search(r"other fields: (\w+)\.$|^\w+\.(\w+)", reason)
    return (named[1] or named[2]) if named else "payload"


def _read(hint: typing.Any, text: str) -> typing.Any:  # noqa: ANN401 - as the annotation says
    """Return a recorded setting as its type; amounts of money are recorded in dollars."""
    if hint is Micros:
        return Micros(int(Decimal(text) * MICROS_PER_DOLLAR))
    if hint is bool:
        return {"true": True, "false": False}[text]
    return hint(text) if hint in (int, float) else text


def _usable(windows: Mapping[str, tuple[int, int]], rows: int) -> bool:
    """Tell whether there are windows to train and validate on within the bars."""
    wanted = [windows.get("train", (0, 0)), windows.get("validate", (0, 0))]
    wanted += [windows[name] for name in ("test",) if name in windows]
    return all(0 <= first < last - 1 < rows for first, last in wanted)


def _market(bars: Bars, rules: TradingRules) -> Market:
    return market_of(
        bars.symbols,
        rules,
        times=bars.times,
        opens=bars.open,
        closes=bars.close,
        volumes=bars.volume,
    )


def _finding(record: Record, name: str, expected: str | None, message: str) -> Finding:
    return Finding(
        position=record.position,
        type=record.type,
        field=name,
        expected=expected,
        recorded=None,
        message=message,
    )
