from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stairways import settings
from stairways.core.stairway import Programme
from stairways.core.values import without_password
from stairways.errors import SettingsError
from stairways.settings import Given


def written(folder: Path, text: str) -> Path:
    file = folder / "stairways.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_without_anything_given_the_defaults_stand() -> None:
    assert settings.load(environment={}).stairway == Programme()


def test_a_flag_beats_the_environment_and_that_beats_the_file(tmp_path: Path) -> None:
    file = written(tmp_path, "[stairway]\nattempts = 1\nembargo = 1\nsteps_per_cycle = 1\n")
    environment = {"STAIRWAYS_STAIRWAY__ATTEMPTS": "2", "STAIRWAYS_STAIRWAY__EMBARGO": "2"}
    flags = [Given("stairway.attempts", "4", "--set stairway.attempts=4")]

    programme = settings.load(file=file, environment=environment, flags=flags).stairway

    assert (programme.attempts, programme.embargo, programme.steps_per_cycle) == (4, 2, 1)


def test_the_current_folder_s_file_is_read_when_none_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path, "[stairway]\nattempts = 9\n")
    monkeypatch.chdir(tmp_path)

    assert settings.load().stairway.attempts == 9


def test_a_list_is_read_from_toml_and_from_text(tmp_path: Path) -> None:
    file = written(tmp_path, "[stairway]\ntargets = [0.7, 0.6]\nlearning_rates = [1e-4, 1e-5]\n")
    environment = {"STAIRWAYS_STAIRWAY__TARGETS": "0.7,0.65"}

    programme = settings.load(file=file, environment=environment).stairway

    assert programme.targets == (0.7, 0.65)
    assert programme.learning_rates == (1e-4, 1e-5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[stairwy]\nattempts = 1\n", "did you mean stairway.attempts?"),
        ("[stairway]\natempts = 1\n", "did you mean stairway.attempts?"),
        ("[stairway]\nattempts = 1.5\n", "must be a whole number, not 1.5"),
        ("[stairway]\nattempts = true\n", "must be a whole number, not True"),
        ("[stairway]\nattempts = 0\n", "must be positive"),
        ("[stairway]\ntargets = [1.2]\nlearning_rates = [1e-4]\n", "outside [0, 1]"),
        ("[trading]\nhard_stop = 2.0\n", "trading.hard_stop is 2.0; it must be from"),
        ("[trading]\nticket = 'dear'\n", "must be an amount of dollars, not 'dear'"),
        ("[trading]\nticket = 0.0000005\n", "dollars in millionths"),
        ("[trading]\nstarting_capital = nan\n", "must be an amount of dollars"),
        ("[trading]\nfill = 'open'\n", "must be one of next_open, close, not 'open'"),
        ("[controller]\nwindow = 0\n", "controller.window is 0; it must be from 1"),
        ("[stairway]\ntargets = 0.7\n", "must be a list, not 0.7"),
        ("[gates]\ndrawdown = nan\n", "must be a finite number, not nan"),
        ("[gates]\ndrawdown = 'low'\n", "must be a finite number, not 'low'"),
        ("[log]\nlevel = 'loud'\n", "must be one of debug, info, warning, error, not 'loud'"),
        ("attempts = 1\n", "stands outside a section"),
        ("[stairway\n", "cannot be read"),
    ],
)
def test_a_wrong_setting_is_refused_with_its_origin(
    tmp_path: Path, text: str, message: str
) -> None:
    file = written(tmp_path, text)

    with pytest.raises(SettingsError) as refused:
        settings.load(file=file)

    assert message in str(refused.value)
    assert str(file) in str(refused.value)


def test_a_wrong_value_in_the_environment_names_the_variable() -> None:
    with pytest.raises(SettingsError, match="environment variable STAIRWAYS_GATES__DRAWDOWN: "):
        settings.load(environment={"STAIRWAYS_GATES__DRAWDOWN": "much"})


def test_a_value_out_of_range_names_the_place_that_gave_it_and_no_other() -> None:
    environment = {
        "STAIRWAYS_GATES__DRAWDOWN": "-1",
        "STAIRWAYS_GATES__EFFECTIVENESS": "0.6",
    }

    with pytest.raises(SettingsError) as refused:
        settings.load(environment=environment)

    assert str(refused.value) == (
        "environment variable STAIRWAYS_GATES__DRAWDOWN: drawdown must not be negative."
    )


def test_a_missing_file_that_was_asked_for_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nowhere\.toml cannot be read: No such file"):
        settings.load(file=tmp_path / "nowhere.toml")


def test_other_variables_of_the_program_are_no_settings() -> None:
    assert settings.load(environment={"STAIRWAYS_ACTOR": "ann"}) == settings.load()


def test_the_database_url_has_a_short_name_in_the_environment() -> None:
    loaded = settings.load(environment={"STAIRWAYS_DATABASE_URL": "sqlite:///other.db"})

    assert loaded.log.database_url == "sqlite:///other.db"


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(1e-9, 1.0)), min_size=1, max_size=9),
    st.floats(0, 1e300),
)
def test_settings_read_back_bit_for_bit_from_what_a_run_records(
    pairs: list[tuple[float, float]], drawdown: float
) -> None:
    targets, rates = zip(*pairs, strict=True)
    one = settings.build(
        [
            Given("stairway.targets", list(targets), "test"),
            Given("stairway.learning_rates", list(rates), "test"),
            Given("gates.drawdown", drawdown, "test"),
        ]
    )

    again = settings.restored(settings.flatten(one), "run", one.log)

    assert again == one
    assert settings.digest(again) == settings.digest(one)


@given(st.integers(1, 2**53 - 1))
def test_money_is_given_in_dollars_and_kept_to_the_micro(micros: int) -> None:
    text = str(Decimal(micros) / 1_000_000)
    given_in_dollars = settings.build([Given("trading.starting_capital", text, "test")])

    assert given_in_dollars.trading.starting_capital == micros
    recorded = settings.flatten(given_in_dollars)["trading.starting_capital"]
    assert Decimal(recorded) == Decimal(micros) / 1_000_000


def test_where_the_log_lies_does_not_change_what_a_run_records() -> None:
    elsewhere = settings.load(environment={"STAIRWAYS_DATABASE_URL": "sqlite:///x.db"})

    assert settings.digest(elsewhere) == settings.digest(settings.load())


def test_every_other_setting_changes_the_digest() -> None:
    changed = settings.load(environment={"STAIRWAYS_GATES__DRAWDOWN": "0.21"})

    assert settings.digest(changed) != settings.digest(settings.load())


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sqlite:///stairways.db", "sqlite:///stairways.db"),
        ("postgresql+psycopg://ann@db/log", "postgresql+psycopg://ann@db/log"),
        ("postgresql+psycopg://ann:s3cret@db/log", "postgresql+psycopg://ann:***@db/log"),
        ("postgresql+psycopg://ann:a:b@c/d@db/log", "postgresql+psycopg://ann:***@db/log"),
        (
            "postgresql+psycopg:///log?host=/run&password=s3cret&user=a",
            "postgresql+psycopg:///log?host=/run&password=***&user=a",
        ),
    ],
)
def test_a_shown_url_never_holds_its_password(url: str, shown: str) -> None:
    assert without_password(url) == shown


def test_what_a_running_program_cannot_take_up_is_named() -> None:
    read = settings.load(
        environment={"STAIRWAYS_METRICS__PORT": "9999", "STAIRWAYS_GATES__DRAWDOWN": "0.1"}
    )

    assert settings.apart(settings.load(), read) == ["metrics.port"]
