"""The stairway: cycles, their targets and learning rates, and the windows of bars they use."""

from dataclasses import dataclass, replace
from datetime import date

LOWEST_TARGET = 0.40
HIGHEST_TARGET = 0.75


@dataclass(frozen=True, slots=True, kw_only=True)
class Programme:
    """What a run climbs (setting section ``stairway``; defaults: domain definition, section 7).

    ``targets`` and ``learning_rates`` have one entry a cycle. The windows in time order are
    train | calibrate | validate with ``embargo`` bars left out between them; they end at the
    given dates, or at the given shares of all tradable bars where no date is set. With
    ``folds`` the bars are cut for walk-forward first: see ``fold_windows``.
    """

    targets: tuple[float, ...] = (0.75, 0.75, 0.70, 0.70, 0.67, 0.67, 0.65, 0.65)
    learning_rates: tuple[float, ...] = (3e-4, 3e-4, 2e-4, 2e-4, 1e-4, 1e-4, 5e-5, 5e-5)
    steps_per_cycle: int = 6_000
    attempts: int = 3
    divergence_limit: float = 0.15
    state_every: int = 1
    train_until: str = ""  # ISO date of the first bar that is not trained on
    calibrate_until: str = ""
    train_share: float = 0.65
    calibrate_share: float = 0.10
    embargo: int = 20
    folds: int = 0  # windows in time order of walk-forward, one run each; 0 for a single run
    fold: int = 0  # which of them a run is for, from 1; 0 for all, one after the other

    def __post_init__(self) -> None:
        if not self.targets or len(self.targets) != len(self.learning_rates):
            raise ValueError("targets and learning_rates need one entry for each cycle")
        for target in self.targets:
            if not 0.0 <= target <= 1.0:
                raise ValueError(f"target hold rate {target} is outside [0, 1]")
        if min(self.learning_rates) <= 0 or self.steps_per_cycle < 1 or self.attempts < 1:
            raise ValueError("learning rates, steps_per_cycle and attempts must be positive")
        if self.state_every < 1:
            raise ValueError(f"state_every is {self.state_every}; 1 captures every update")
        if self.train_share <= 0 or self.calibrate_share <= 0 or self.embargo < 0:
            raise ValueError(
                "train_share and calibrate_share must be positive, embargo not negative"
            )
        if self.train_share + self.calibrate_share >= 1:
            raise ValueError("train_share + calibrate_share leave nothing to validate on")
        if not 0 <= self.fold <= self.folds:
            raise ValueError(
                f"fold {self.fold} of {self.folds} folds is not from 1 to their number"
            )
        if self.folds and self.train_until:
            raise ValueError("train_until cuts a single run; walk-forward cuts by shares")
        for day in (self.train_until, self.calibrate_until):
            _check_date(day)
        if bool(self.train_until) != bool(self.calibrate_until):
            raise ValueError("train_until and calibrate_until go together")

    @property
    def cycles(self) -> tuple["Cycle", ...]:
        """Return the cycles in order, targets clamped to the range that makes sense."""
        pairs = zip(self.targets, self.learning_rates, strict=True)
        return tuple(Cycle(i, clamp_target(t), rate) for i, (t, rate) in enumerate(pairs, start=1))


@dataclass(frozen=True, slots=True)
class Cycle:
    """One step of the stairway."""

    number: int  # from 1
    target: float
    learning_rate: float

    @property
    def name(self) -> str:
        """Return for example ``cycle_01_hold_75%``."""
        return f"cycle_{self.number:02d}_hold_{self.target * 100:.0f}%"


@dataclass(frozen=True, slots=True)
class Windows:
    """Rows of the bars, each window as ``[first, last)``."""

    train: tuple[int, int]
    calibrate: tuple[int, int]
    validate: tuple[int, int]
    test: tuple[int, int] | None = None  # kept back from everything; walk-forward only

    def by_name(self) -> dict[str, tuple[int, int]]:
        """Return the windows as they are recorded."""
        seen = {"train": self.train, "calibrate": self.calibrate, "validate": self.validate}
        return seen if self.test is None else {**seen, "test": self.test}


def clamp_target(target: float) -> float:
    """Return the target inside [0.40, 0.75] (domain definition, section 5)."""
    return min(max(target, LOWEST_TARGET), HIGHEST_TARGET)


def cut_windows(first: int, rows: int, programme: Programme) -> Windows:
    """Cut the tradable rows ``[first, rows)`` into windows by share."""
    usable = rows - first
    train_end = first + int(usable * programme.train_share)
    calibrate_end = train_end + int(usable * programme.calibrate_share)
    return between(first, train_end, calibrate_end, rows, programme.embargo)


def fold_windows(first: int, rows: int, programme: Programme) -> Windows:
    """Cut the tradable rows ``[first, rows)`` for one fold of a walk-forward.

    They make ``folds + 1`` blocks. Fold k trains, calibrates and validates on everything before
    block k + 1, cut by share, and is tested on that block: test windows follow on each other,
    never overlap, and lie behind everything their run has seen.

    Purged: a decision pays off on the next bar, and no window decides on its last one, so no
    outcome reaches into the next window; what features look back on lies in the past. Embargo:
    every later window, the test too, gives up its first ``embargo`` bars.
    """
    size = (rows - first) // (programme.folds + 1)
    end = rows - (programme.folds - programme.fold) * size
    start = end - size
    seen = cut_windows(first, start, programme)
    return replace(seen, test=(min(start + programme.embargo, end), end))


def between(first: int, train_end: int, calibrate_end: int, rows: int, embargo: int) -> Windows:
    """Return the windows between row borders, with the embargo taken from the later window."""
    return Windows(
        train=(first, train_end),
        calibrate=(min(train_end + embargo, calibrate_end), calibrate_end),
        validate=(min(calibrate_end + embargo, rows), rows),
    )


def _check_date(day: str) -> None:
    if day:
        date.fromisoformat(day)
