"""Settings: what a run is told, from defaults, one TOML file, the environment and flags.

Each later one of these wins over the earlier. A section is a frozen dataclass of the room it
rules, which checks its own ranges; adding one is a line in ``Settings``. Everything here is
strict: an unknown name, a wrong type or a value out of range is a ``SettingsError`` that says
where it came from. Amounts of money are given in dollars.
"""

import dataclasses
import difflib
import re
import tomllib
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from stairways.codec import canonical
from stairways.console.rules import ConsoleRules
from stairways.core.controller import ControllerRules
from stairways.core.gate import GateLimits
from stairways.core.ledger import TradingRules
from stairways.core.retention import RetentionRules
from stairways.core.skill import SkillRules
from stairways.core.stairway import Programme
from stairways.core.values import NAME, Digest, digest_of
from stairways.daemon.schedule import DaemonRules, Schedule
from stairways.errors import SettingsError
from stairways.metrics.rules import MetricsRules
from stairways.settings import schedules
from stairways.settings.values import read, text_of
from stairways.training.rules import PpoRules

PREFIX = "STAIRWAYS_"
DEFAULT_FILE = Path("stairways.toml")
DEFAULT_DATABASE_URL = "sqlite:///stairways.db"
ALIASES = {"STAIRWAYS_DATABASE_URL": "log.database_url"}
"""Environment variables whose name does not follow ``STAIRWAYS_SECTION__KEY``."""

OTHER_VARIABLES = ("STAIRWAYS_ACTOR", "STAIRWAYS_KEY", "STAIRWAYS_SHARED")
"""Environment variables that are no settings: who acts, the key that signs, files for tests."""

TEST_PREFIX = "STAIRWAYS_TEST_"

UNRECORDED = ("log", "audit", "console", "metrics", "daemon")
"""Sections that decide nothing about a run: where its log lies, how it is audited and watched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """What a run is called and where its chance comes from."""

    model: str = "default"
    seed: int = 0
    portable: bool = True

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.model):
            raise ValueError(
                f"model {self.model!r} must be letters, digits, dots, dashes and underscores, "
                "64 at most"
            )
        if not 0 <= self.seed < 2**53:
            raise ValueError(f"seed {self.seed} must be a whole number from 0 to 2**53 - 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """Where the event log is, and how the program talks to stderr while it works.

    ``style`` is ``auto`` for readable lines on a terminal and JSON elsewhere.
    """

    database_url: str = DEFAULT_DATABASE_URL
    level: Literal["debug", "info", "warning", "error"] = "info"
    style: Literal["auto", "json", "text"] = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditSettings:
    """How the log is audited."""

    record: bool = True  # append an AuditAsked event for every question of `stairways audit`
    rehash_up_to: int = 200_000  # rehash the whole log before an answer if it has no more events

    def __post_init__(self) -> None:
        if self.rehash_up_to < 0:
            raise ValueError(f"rehash_up_to {self.rehash_up_to} must be a whole number from 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting, by section; the names are those of the TOML file."""

    trading: TradingRules = field(default_factory=TradingRules)
    controller: ControllerRules = field(default_factory=ControllerRules)
    run: RunSettings = field(default_factory=RunSettings)
    stairway: Programme = field(default_factory=Programme)
    ppo: PpoRules = field(default_factory=PpoRules)
    gates: GateLimits = field(default_factory=GateLimits)
    retention: RetentionRules = field(default_factory=RetentionRules)
    statistics: SkillRules = field(default_factory=SkillRules)
    log: LogSettings = field(default_factory=LogSettings)
    audit: AuditSettings = field(default_factory=AuditSettings)
    console: ConsoleRules = field(default_factory=ConsoleRules)
    metrics: MetricsRules = field(default_factory=MetricsRules)
    daemon: DaemonRules = field(default_factory=DaemonRules)
    schedule: Mapping[str, Schedule] = field(default_factory=dict)  # tables [schedule.NAME]


class Given(NamedTuple):
    """One value somebody gave: its dotted name, the value, and where it was given.

    ``value`` is text from the environment or a flag, and what TOML read from a file.
    """

    name: str
    value: object
    origin: str


def load(
    *,
    file: Path | None = None,
    environment: Mapping[str, str] | None = None,
    flags: Sequence[Given] = (),
) -> Settings:
    """Return the settings that defaults, ``file``, ``environment`` and ``flags`` make together.

    Without ``file`` a ``stairways.toml`` in the current folder is read if there is one.
    Raises ``SettingsError`` for the first value that is unknown, of a wrong type or out of range.
    """
    from_file = _file_values(file)
    return build([*from_file, *_environment_values(environment or {}), *flags])


def build(given: Sequence[Given]) -> Settings:
    """Return the defaults with ``given`` applied in order, each of them checked."""
    given, named = schedules.split(given)
    read: dict[str, dict[str, object]] = {section: {} for section in sections()}
    for one in given:
        section, key = _place(one)
        read[section][key] = _typed(_hints(sections()[section])[key], one)
    made: dict[str, typing.Any] = {
        name: _section(kind, name, read[name], given) for name, kind in sections().items()
    }
    planned = {name: _schedule(name, values, given) for name, values in named.items()}
    return Settings(**made, schedule=planned)


def _schedule(name: str, values: Sequence[Given], others: Sequence[Given]) -> Schedule:
    """Return a schedule with the settings of its runs: those of all, with its own changes."""
    read: dict[str, object] = {"model": name}
    changes = [*others]
    for one in values:
        section, _, changed = one.name.partition(".")
        if section == schedules.CHANGES and changed:
            _refuse_unrecorded(changed, one.origin)
            changes.append(one._replace(name=changed))
        elif section not in _hints(Schedule) or section == schedules.CHANGES:
            near = difflib.get_close_matches(one.name, _hints(Schedule), n=1)
            hint = f"; did you mean {near[0]}?" if near else "."
            raise SettingsError(f"{one.origin}: a schedule has no setting {one.name}{hint}")
        else:
            read[section] = _typed(_hints(Schedule)[section], one)
    origin = f"schedule {name}"
    changes.append(Given("run.model", read["model"], origin))
    of_runs = flatten(build(changes))
    where = [one._replace(name=f"{origin}.{one.name}") for one in values]
    return typing.cast("Schedule", _section(Schedule, origin, {**read, "settings": of_runs}, where))


def _refuse_unrecorded(name: str, origin: str) -> None:
    """Raise ``SettingsError`` for what a schedule cannot change for its runs alone."""
    if name.partition(".")[0] in UNRECORDED:
        raise SettingsError(
            f"{origin}: a schedule's settings decide about its runs, and {name} does not. Set it "
            "for all, outside of the schedule."
        )


def flatten(settings: Settings) -> Mapping[str, str]:
    """Return every setting that decides about a run, dotted name to canonical text.

    ``UNRECORDED`` sections are left out, so that the same run on another database has the same
    settings. Reading the texts back with ``--set`` gives the same values bit for bit.
    """
    recorded = _texts(settings)
    return {name: recorded[name] for name in names() if name.partition(".")[0] not in UNRECORDED}


def apart(one: Settings, other: Settings) -> Sequence[str]:
    """Return the names of ``UNRECORDED`` settings in which two differ."""
    ours, theirs = _texts(one), _texts(other)
    return [
        name
        for name in names()
        if name.partition(".")[0] in UNRECORDED and ours[name] != theirs[name]
    ]


def as_environment(settings: Settings, section: str) -> Mapping[str, str]:
    """Return a section as the environment variables that give its values to another process."""
    texts = _texts(settings)
    return {
        f"{PREFIX}{name.upper().replace('.', '__', 1)}": texts[name]
        for name in names()
        if name.partition(".")[0] == section
    }


def default_texts() -> Mapping[str, str]:
    """Return the default of every setting, dotted name to canonical text."""
    return _texts(Settings())


def digest(settings: Settings) -> Digest:
    """Return the SHA-256 of the canonical JSON of ``flatten(settings)``."""
    return digest_of(canonical(dict(flatten(settings))))


def restored(recorded: Mapping[str, str], origin: str, log: LogSettings) -> Settings:
    """Return the settings that a run recorded, with ``log`` as it is now."""
    settings = build([Given(name, text, origin) for name, text in recorded.items()])
    return dataclasses.replace(settings, log=log)


def for_fold(settings: Settings, fold: int) -> Settings:
    """Return the settings of one fold of a walk-forward, whose model has a name of its own."""
    model = re.sub(r"-fold-\d+$", "", settings.run.model)
    try:
        return dataclasses.replace(
            settings,
            stairway=dataclasses.replace(settings.stairway, fold=fold),
            run=dataclasses.replace(settings.run, model=f"{model}-fold-{fold}"),
        )
    except ValueError as error:
        raise SettingsError(f"Fold {fold} of the walk-forward cannot be run: {error}.") from error


def names() -> Sequence[str]:
    """Return the dotted name of every setting."""
    return [
        f"{section}.{key.name}"
        for section, kind in sections().items()
        for key in dataclasses.fields(kind)
    ]


def _texts(settings: Settings) -> dict[str, str]:
    return {
        f"{section}.{key}": text_of(hint, getattr(getattr(settings, section), key))
        for section, kind in sections().items()
        for key, hint in _hints(kind).items()
    }


def _file_values(file: Path | None) -> Iterator[Given]:
    path = DEFAULT_FILE if file is None else file
    if file is None and not path.exists():
        return
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SettingsError(f"Settings file {path} cannot be read: {reason}.") from error
    for section, values in content.items():
        if isinstance(values, dict) and section == "schedule":
            yield from schedules.values(str(path), values, Given)
            continue
        if not isinstance(values, dict):
            raise SettingsError(f"{path}: {section} stands outside a section such as [log].")
        for key, value in values.items():
            yield Given(f"{section}.{key}", value, str(path))


def _environment_values(environment: Mapping[str, str]) -> Iterator[Given]:
    for variable, value in environment.items():
        origin = f"environment variable {variable}"
        if variable in ALIASES:
            yield Given(ALIASES[variable], value, origin)
        elif variable.startswith(PREFIX) and "__" in variable:
            name = variable.removeprefix(PREFIX).lower().replace("__", ".", 1)
            if name.startswith(schedules.PREFIX):
                name = name.replace("__", ".")
            yield Given(name, value, origin)
        elif variable.startswith(PREFIX):
            _refuse_unknown(variable)


def _refuse_unknown(variable: str) -> None:
    """Raise ``SettingsError`` for a variable of ours that nobody reads, with the one meant."""
    if variable in OTHER_VARIABLES or variable.startswith(TEST_PREFIX):
        return
    meant = variable.removeprefix(PREFIX)
    keys = {name.upper().replace(".", "__"): name for name in names()}
    short = [key for key, name in keys.items() if name.partition(".")[2] == meant.lower()]
    others = (one.removeprefix(PREFIX) for one in (*ALIASES, *OTHER_VARIABLES))
    near = short or difflib.get_close_matches(meant, [*keys, *others], n=1)
    hint = f"did you mean {PREFIX}{near[0]}?" if near else "settings are STAIRWAYS_SECTION__KEY."
    raise SettingsError(f"There is no environment variable {variable}; {hint}")


def sections() -> dict[str, type]:
    """Return the sections by name, each a dataclass; not the tables ``[schedule.NAME]``."""
    hints = typing.get_type_hints(Settings)
    kinds = ((name, kind) for name, kind in hints.items() if isinstance(kind, type))
    return {name: kind for name, kind in kinds if dataclasses.is_dataclass(kind)}


def _hints(kind: type) -> dict[str, object]:
    return dict(typing.get_type_hints(kind))


def _place(given: Given) -> tuple[str, str]:
    """Return section and key of a given name, or say which one was probably meant."""
    section, _, key = given.name.partition(".")
    if section in sections() and key in _hints(sections()[section]):
        return section, key
    near = difflib.get_close_matches(given.name, names(), n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else f"sections are {', '.join(sections())}."
    raise SettingsError(f"{given.origin}: there is no setting {given.name}; {hint}")


def _section(
    kind: type, name: str, values: Mapping[str, object], given: Sequence[Given]
) -> typing.Any:  # noqa: ANN401 - the dataclass that kind is
    """Return the section, its ranges checked by its own class."""
    try:
        return kind(**values)
    except (ValueError, SettingsError) as error:
        reason = str(error).rstrip(".")
        raise SettingsError(f"{_origins(name, given, reason)}: {reason}.") from error


def _origins(section: str, given: Sequence[Given], reason: str) -> str:
    """Return where the values came from that ``reason`` complains about."""
    here = [one for one in given if one.name.startswith(f"{section}.")]
    named = [one for one in here if one.name.removeprefix(f"{section}.") in reason]
    return ", ".join(dict.fromkeys(one.origin for one in named or here)) or f"[{section}]"


def _typed(hint: object, given: Given) -> object:
    try:
        return read(hint, given.value)
    except ValueError as error:
        raise SettingsError(f"{given.origin}: {given.name} {error}.") from error
