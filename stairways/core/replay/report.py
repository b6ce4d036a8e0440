"""What a replay finds: findings, profits, the threshold on them, and the report.

A replay holds the log against what it should say. A fault in the log is a ``Finding``, a value
and never an exception; the report is clean when there is none and every profit agrees.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from stairways.core.values import Micros, Position

Plain = int | float | str | bool | None

SHOWN_FINDINGS = 100
"""How many findings a report lists; all of them are counted."""

CAPITAL_FLOOR = Fraction(1, 10_000)
"""Share of starting capital below which a profit counts as this much (1 bp)."""

LARGEST_SHARE = Fraction(1, 1_000)
"""Share of the profit by which the replayed and the recorded one may differ at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One stored value that is not what the other records and the bars say it should be."""

    position: Position
    type: str  # of the event that stands at the position
    field: str
    symbol: str = ""  # whose entry of the field, where there is one for each symbol
    expected: Plain
    recorded: Plain
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Profit:
    """Profit of one part of a run: an attempt at a cycle, or one evaluation, over all lanes."""

    part: str
    cycle: int
    attempt: int
    position: Position  # of the event that began the part
    recorded: Micros  # last recorded equity of each episode less starting capital
    replayed: Micros  # position times price move, less costs, plus interest, less borrow fees


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """By how much recorded money may differ from the replayed.

    ``share`` is of the profit, or of 1 bp of starting capital where the profit is smaller.
    Unless ``exact`` is false, balances must moreover agree to the micro.
    """

    share: Fraction = LARGEST_SHARE
    exact: bool = True

    def holds(self, *, recorded: int, replayed: int, capital: int) -> bool:
        """Tell whether two profits, in micros, are within ``share`` of each other.

        |recorded - replayed| / max(|replayed|, 1 bp of capital) <= share, in whole-number
        arithmetic, so that a difference of exactly the share still holds.
        """
        scale = max(Fraction(abs(replayed)), CAPITAL_FLOOR * capital)
        return abs(recorded - replayed) <= self.share * scale

    def accepts(self, *, difference: int, profit: int, capital: int) -> bool:
        """Tell whether a balance may be off by ``difference`` where the episode made ``profit``."""
        if self.exact or difference == 0:
            return difference == 0
        return self.holds(recorded=profit + difference, replayed=profit, capital=capital)


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelReport:
    """What one level of replay compared, and what it found.

    ``findings`` are the first ones in log order, at most ``SHOWN_FINDINGS``; ``found`` counts
    all of them. ``allowed`` says by how much what may differ: ``numbers`` and ``parameters``,
    relatively; empty where everything had to be the same. ``largest`` is how far it went.
    """

    level: str
    checked: Mapping[str, int]  # by event type, and ``quantities``: stored values compared
    findings: Sequence[Finding]
    found: int
    profits: Sequence[Profit]
    capital: Micros
    threshold: Threshold
    allowed: Mapping[str, float] = field(default_factory=dict)
    largest: Mapping[str, float] = field(default_factory=dict)

    @property
    def first(self) -> Finding | None:
        """The first difference in log order."""
        return self.findings[0] if self.findings else None

    @property
    def recorded_profit(self) -> Micros:
        """Profit of all parts as the books recorded it."""
        return Micros(sum(profit.recorded for profit in self.profits))

    @property
    def replayed_profit(self) -> Micros:
        """Profit of all parts by the other sum."""
        return Micros(sum(profit.replayed for profit in self.profits))

    @property
    def events(self) -> int:
        """How many events were compared."""
        return sum(count for name, count in self.checked.items() if name != QUANTITIES)

    @property
    def profits_hold(self) -> bool:
        """Whether recorded and replayed profit agree within the threshold, in sum and by part."""
        pairs = [(profit.recorded, profit.replayed) for profit in self.profits]
        return all(
            self.threshold.holds(recorded=recorded, replayed=replayed, capital=self.capital)
            for recorded, replayed in [*pairs, (self.recorded_profit, self.replayed_profit)]
        )

    @property
    def clean(self) -> bool:
        """Whether nothing was found and every profit agrees."""
        return self.found == 0 and self.profits_hold


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A replay of one run up to ``size`` events of the log, level by level."""

    run: str
    size: int
    code_version: str
    recorded_libraries: Mapping[str, str]
    libraries: Mapping[str, str]  # of this replay
    simulated: bool = False  # the bars, as the run says
    machine: Mapping[str, str] = field(default_factory=dict)  # what of it differs, both values
    levels: Sequence[LevelReport] = field(default=())

    @property
    def clean(self) -> bool:
        """Whether every level is clean."""
        return all(level.clean for level in self.levels)

    @property
    def other_libraries(self) -> Mapping[str, tuple[str, str]]:
        """Libraries whose version differs: name to (version recorded, version now)."""
        both = self.recorded_libraries.keys() & self.libraries.keys()
        return {
            name: (self.recorded_libraries[name], self.libraries[name])
            for name in sorted(both)
            if self.recorded_libraries[name] != self.libraries[name]
        }


QUANTITIES = "quantities"
"""The key of ``LevelReport.checked`` that counts stored values instead of events."""
