"""Schedules in the settings file, and what is said when they are not fit."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from stairways import settings
from stairways.cli.planned import refuse_unfit
from stairways.daemon.schedule import Schedule, due_times
from stairways.errors import SettingsError

FILE = """
[ppo]
lanes = 8
[schedule.nightly]
cron = "30 22 * * mon-fri"
timezone = "America/New_York"
bars = ["a.csv", "MSFT=b.csv"]
options = ["--adjustment=raw"]
[schedule.nightly.settings]
ppo.lanes = 4
[schedule.often]
every = 60
data = "x"
model = "m"
seeds = "advance"
settings = { "stairway.attempts" = 2 }
"""


def loaded(folder: Path, text: str, **environment: str) -> settings.Settings:
    file = folder / "stairways.toml"
    file.write_text(text)
    return settings.load(file=file, environment=environment)


def due(cron: str, timezone: str, start: datetime, days: int) -> list[str]:
    definition = {"cron": cron, "every": "0", "timezone": timezone}
    found = due_times(definition, start, start + timedelta(days=days))
    return [f"{one:%m-%d %H:%M}" for one in found]


def test_a_table_is_a_schedule_with_settings_of_its_own(tmp_path: Path) -> None:
    found = loaded(tmp_path, FILE, STAIRWAYS_SCHEDULE__NIGHTLY__LATE="5").schedule

    nightly, often = found["nightly"], found["often"]
    assert (nightly.model, nightly.late, nightly.bars) == ("nightly", 5, ("a.csv", "MSFT=b.csv"))
    assert nightly.trigger == "cron 30 22 * * mon-fri America/New_York"
    assert nightly.settings["ppo.lanes"] == "4"
    assert nightly.settings["run.model"] == "nightly"
    assert (often.settings["ppo.lanes"], often.settings["run.model"]) == ("8", "m")
    assert often.settings["stairway.attempts"] == "2"
    assert [often.seed_of(fires) for fires in range(3)] == [0, 1, 2]


def test_schedules_decide_nothing_about_a_run_by_hand(tmp_path: Path) -> None:
    with_schedules = loaded(tmp_path, FILE)

    assert settings.digest(with_schedules) == settings.digest(loaded(tmp_path, "[ppo]\nlanes = 8"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[schedule.x]\ncron="1"\nbars=["a"]', "must have five parts"),
        ('[schedule.x]\ncron="0 0 * * 1"\nbars=["a"]', "write weekdays by name, as in mon-fri"),
        ('[schedule.x]\ncron="99 0 * * *"\nbars=["a"]', "higher than the maximum value"),
        ('[schedule.x]\ncron="@daily"\ntimezone="Mars/X"\nbars=["a"]', "No time zone found"),
        ("[schedule.x]\nevry=1", "has no setting evry; did you mean every?"),
        ("schedule=1", "schedule stands outside a section"),
        ("[schedule]\nevery=1", r"write \[schedule.NAME\], not schedule.every"),
        ('[schedule.x]\nevery=5\nbars=["a"]\n[schedule.x.settings]\nppo.lane=1', "ppo.lanes?"),
        ('[schedule."a b"]\nevery=1', "must be letters, digits, dashes"),
        ("[schedule.x]\nevery=5", "give either bars or data"),
        ('[schedule.x]\nbars=["a"]', "give either cron or every"),
        ('[schedule.x]\nevery="soon"\nbars=["a"]', "every must be a whole number"),
        ('[schedule.x]\nevery=5\nbars=["a"]\nbackoff=-1', "must not be negative"),
        ('[schedule.x]\nevery=5\nbars=["a"]\ncrashes=0', "must be 1 or more"),
        ('[schedule.x]\ncron="0 0 30 feb *"\nbars=["a"]', "is never due"),
        ('[schedule.x]\nevery=5\ntimezone="Mars/X"\nbars=["a"]', "would change nothing"),
        (
            '[schedule.x]\nevery=5\nbars=["a"]\n[schedule.x.settings]\nlog.database_url="x"',
            "log.database_url does not",
        ),
        ('[schedule.x]\nevery=99999999999999999999\nbars=["a"]', "at most 31622400 s, a year"),
        ('[schedule.x]\nevery=5\nbars=["a"]\nbackoff=9999999999999', "at most 31622400 s"),
        (
            '[schedule.x]\nevery=5\nbars=["a"]\nstart="served"\noptions=["--warm-start=m"]',
            "give either start",
        ),
    ],
)
def test_a_schedule_that_is_not_fit_is_refused_with_the_reason(
    tmp_path: Path, text: str, said: str
) -> None:
    with pytest.raises(SettingsError, match=said):
        loaded(tmp_path, text)


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--adjusment=splits", "No such option '--adjusment'"),
        ("--adjustment=some", "'some' is not one of"),
        ("--run=foo", "--run is given by the daemon"),
        ("--model=zz", "--model is given by the daemon"),
        ("--help", "they only ask"),
    ],
)
def test_options_that_train_would_refuse_at_night_are_refused_when_they_are_read(
    option: str, said: str
) -> None:
    refuse_unfit("x", Schedule(every=5, data="d", options=("--adjustment=raw",)))

    with pytest.raises(SettingsError, match=said):
        refuse_unfit("x", Schedule(every=5, data="d", options=(option,)))


def test_settings_with_which_no_run_could_begin_are_refused_when_they_are_read() -> None:
    settings = {"ppo.lanes": "7"}

    with pytest.raises(SettingsError, match="Schedule x could never train: its settings: batch"):
        refuse_unfit("x", Schedule(every=5, data="d", settings=settings))


def test_due_times_follow_the_clock_on_the_wall_when_it_is_set() -> None:
    spring, autumn = datetime(2026, 3, 7, 12, tzinfo=UTC), datetime(2026, 10, 31, 12, tzinfo=UTC)

    assert due("30 22 * * *", "America/New_York", spring, 2) == ["03-08 03:30", "03-09 02:30"]
    assert due("30 2 * * *", "America/New_York", spring, 2) == ["03-08 07:30", "03-09 06:30"]
    assert due("30 1 * * *", "America/New_York", autumn, 2) == [
        "11-01 05:30",
        "11-01 06:30",
        "11-02 06:30",
    ]


def test_intervals_are_counted_from_1970_wherever_one_begins() -> None:
    definition = {"cron": "", "every": "7", "timezone": "UTC"}
    start = datetime(2026, 10, 31, 12, tzinfo=UTC)

    whole = list(due_times(definition, start, start + timedelta(minutes=1)))
    later = list(due_times(definition, start + timedelta(seconds=30), start + timedelta(minutes=1)))

    assert later == [one for one in whole if one > start + timedelta(seconds=30)]
    assert all(one.timestamp() % 7 == 0 for one in whole)
