"""Write docs/settings.md, the reference of every setting, from the source of the settings.

Run it after changing a setting: ``python -m ops.settings_reference > docs/settings.md``. A
setting's meaning is the comment behind it, or stands here where its name says nearly all.
"""

import dataclasses
import inspect
from collections.abc import Iterator
from typing import NamedTuple

from ops.event_dictionary import comments_by_field
from stairways.daemon.schedule import Schedule
from stairways.settings import default_texts, sections

HEADER = """# Settings

What decides about a run comes from, each later one winning: the defaults, one TOML file
(`stairways.toml` in the current folder, or `--config FILE`), environment variables
(`STAIRWAYS_SECTION__KEY`, for example `STAIRWAYS_PPO__LANES=4`), and flags
(`--set ppo.lanes=4`). An unknown name, a wrong type or a value out of range is refused with the
place it came from. Lists are written with commas in variables and flags, amounts of money in
dollars. Every value but those of `log`, `audit`, `console` and `metrics` is part of the run's first
event.

```toml
[trading]
starting_capital = 100_000
ticket = 0.50

[stairway]
targets = [0.75, 0.70]
learning_rates = [3e-4, 1e-4]

[log]
database_url = "sqlite:///stairways.db" # or STAIRWAYS_DATABASE_URL, or --database-url
```

The text is made by `ops/settings_reference.py`; a test fails when it is not up to date.
"""

MEANINGS = {
    "console.port": "the port; 0 takes any that is free",
    "console.public_url": "as browsers see it, such as `https://audit.example.org`; needed where "
    "it listens on more than a loopback address",
    "console.tokens": "`ROLE:NAME:SHA256`, one for each token; `stairways serve --new-token NAME` "
    "prints both",
    "controller.error_gain": "e = clip(gain (target - hold rate), -1, 1)",
    "controller.fast_gain": "fast lane = gain e (1 + regime_weight regime)",
    "controller.regime_weight": "how much the regime score scales the fast lane",
    "controller.slow_gain": "what one tick adds to the slow lane, times e",
    "controller.slow_limit": "the slow lane stays within ± this",
    "gates.divergence": "largest distance from the last promoted parameters",
    "gates.drawdown": "largest loss from a peak on validation bars",
    "gates.effectiveness": "least 1 - \\|hold rate - target\\| / 0.35",
    "gates.hold_rate_error": "largest distance of the hold rate from its target",
    "gates.lowest_hold_rate": "least hold rate on validation bars",
    "gates.highest_hold_rate": "largest hold rate on validation bars",
    "log.database_url": "`sqlite:///FILE` or `postgresql+psycopg://USER@HOST/NAME`",
    "log.level": "how much is said on stderr: `debug`, `info`, `warning` or `error`",
    "log.style": "`json`, `text`, or `auto`: readable on a terminal, JSON elsewhere",
    "ppo.batch": "samples of a minibatch; divides lanes times rollout",
    "ppo.clip": "range of the probability ratio",
    "ppo.discount": "gamma",
    "ppo.entropy": "weight of the entropy in the loss",
    "ppo.epochs": "passes over a rollout in an update",
    "ppo.gae_lambda": "lambda of the advantage estimate",
    "ppo.gradient_norm": "the gradient is cut to this length",
    "ppo.hidden": "units of each hidden layer",
    "ppo.lanes": "environments stepped together",
    "ppo.value": "weight of the value loss",
    "run.model": "name under which models are promoted",
    "run.portable": "arithmetic that gives the same bits on every x86-64 processor with AVX2",
    "run.seed": "every generator is derived from it",
    "stairway.attempts": "attempts at a cycle before it is rejected for divergence",
    "stairway.calibrate_share": "of all tradable bars, without a date",
    "stairway.calibrate_until": "ISO date of the first bar that is not calibrated on",
    "stairway.divergence_limit": "distance from the last promoted parameters that rolls back",
    "stairway.embargo": "bars left out between two windows",
    "stairway.learning_rates": "one for each cycle",
    "stairway.state_every": "updates between captured states; those between are executed again",
    "stairway.steps_per_cycle": "environment steps over all lanes; lanes times rollout divides it",
    "stairway.targets": "hold rate aimed at, one for each cycle",
    "stairway.train_share": "of all tradable bars, without a date",
    "trading.allow_short": "whether positions may be negative",
    "trading.commission_bp": "basis points of traded value",
    "trading.fill": "`next_open`: at the next bar's open; `close`: at the close decided on",
    "trading.max_lots": "positions stay within ± this many lots",
    "trading.starting_capital": "dollars at the start of an episode",
}
"""What a setting means that has no comment of its own."""


SCHEDULES = """
## schedule.NAME

When a stairway is trained, on which bars, and as which model; as many tables as there are
schedules. See [operating.md](operating.md).

| setting | default | meaning |
|---|---|---|
"""
"""What stands before the table of a schedule's settings."""


class Setting(NamedTuple):
    """One setting, for the reference."""

    name: str
    default: str
    meaning: str


def reference() -> str:
    """Return the whole of docs/settings.md."""
    flat = "".join(_section(*one) for one in sections().items())
    rows = "".join(
        f"| `{name}` | {_code(_default(name))} | {said} |\n"
        for name, said in comments_by_field(Schedule).items()
    )
    return HEADER + flat + SCHEDULES + rows


def _default(name: str) -> str:
    (found,) = (one.default for one in dataclasses.fields(Schedule) if one.name == name)
    return "" if found in (dataclasses.MISSING, ()) else str(found)


def settings_of(section: str, kind: type) -> Iterator[Setting]:
    """Yield the settings of a section with what is said about each."""
    defaults = default_texts()
    for field, comment in comments_by_field(kind).items():
        name = f"{section}.{field}"
        yield Setting(name, defaults[name], comment or MEANINGS.get(name, ""))


def _section(section: str, kind: type) -> str:
    said = inspect.cleandoc(kind.__doc__ or "").replace("``", "`").split("\n\n", 1)[0]
    head = f"\n## {section}\n\n{said}\n\n| setting | default | meaning |\n|---|---|---|\n"
    rows = (
        f"| `{s.name}` | {_code(s.default)} | {s.meaning} |\n" for s in settings_of(section, kind)
    )
    return head + "".join(rows)


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


if __name__ == "__main__":
    print(reference(), end="")
