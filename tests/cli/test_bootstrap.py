from datetime import UTC
from pathlib import Path

import pytest

from stairways.bootstrap import App, Flags
from stairways.errors import LogUnavailableError


def test_an_actor_is_named_by_the_environment_or_is_user_and_machine() -> None:
    assert App(environment={"STAIRWAYS_ACTOR": "ann"}).actor == "ann"
    assert "@" in App(environment={}).actor


def test_no_two_runs_and_no_two_appends_share_a_name() -> None:
    app = App(environment={})

    assert len({app.new_id() for _ in range(100)}) == 100
    assert len({app.context("r1").append_id for _ in range(100)}) == 100


def test_names_of_runs_sort_by_day_and_the_clock_is_utc() -> None:
    app = App(environment={})

    assert app.clock().tzinfo is UTC
    assert app.new_id().startswith(f"{app.clock():%Y%m%d}-")


def test_an_app_does_not_tell_the_password_of_its_database() -> None:
    flags = Flags()
    flags.give("log.database_url", "postgresql+psycopg://a:s3cret@h/d", "--database-url")

    app = App(flags, environment={})

    assert app.shown_database == "postgresql+psycopg://a:***@h/d"
    assert "s3cret" in app.database_url


def test_a_log_is_made_only_by_those_who_mean_to(tmp_path: Path) -> None:
    file = tmp_path / "log.db"
    app = App(environment={"STAIRWAYS_DATABASE_URL": f"sqlite:///{file}"})

    with pytest.raises(LogUnavailableError, match="There is no log at"), app.log():
        pass
    assert not file.exists()

    with app.log(make=True) as store:
        assert store.head().size == 0
    with app.log() as again:
        assert again.head().size == 0


def test_the_plan_of_a_recorded_run_is_the_plan_it_was_started_with() -> None:
    app = App(environment={"STAIRWAYS_PPO__LANES": "4", "STAIRWAYS_RUN__SEED": "9"})
    plan = app.plan()

    again = App(environment={}).recorded_plan(plan.settings, "r1")

    assert again == plan
