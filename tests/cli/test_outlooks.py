"""That a schedule could not train is said early: by check, doctor, status and the daemon itself."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from stairways import cli
from stairways.core import events as e
from stairways.store.opening import open_sql_store
from tests.daemon.programs import Place
from tests.processes import bars_file
from tests.small_run import SMALL

SETTINGS = "\n".join(f'"{key}" = "{value}"' for key, value in SMALL.items())


class Folder:
    """A folder with bars of 700 days, a log that has them, and settings."""

    def __init__(self, path: Path, url: str) -> None:
        self.path, self.url = path, url
        self.bars = bars_file(path)
        assert (
            self.run("data", "import", "small", str(self.bars), "--adjustment=splits").exit_code
            == 0
        )

    def settle(self, source: str, more: str = "", schedule: str = "") -> None:
        lines = [f'[schedule.nightly]\ncron = "0 3 * * *"\n{source}\n{schedule}']
        lines += ["[schedule.nightly.settings]", SETTINGS, more]
        (self.path / "stairways.toml").write_text("\n".join(lines))

    def run(self, *words: str) -> Result:
        shell = ["--config", str(self.path / "stairways.toml"), "--database-url", self.url]
        used = shell if (self.path / "stairways.toml").exists() else shell[2:]
        return CliRunner().invoke(cli.main, [*used, *words])

    def check(self) -> dict[str, object]:
        """Return what `daemon check` says of the one schedule; its exit code agrees."""
        done = self.run("daemon", "check", "--json")
        (row,) = json.loads(done.stdout)["schedules"]
        assert done.exit_code == (0 if row["fit"] else 1)
        return dict(row)


@pytest.fixture
def folder(tmp_path: Path, new_log: Callable[[str], str]) -> Folder:
    return Folder(tmp_path, new_log("sqlite"))


def test_of_a_schedule_that_could_train_the_bars_are_named(folder: Folder) -> None:
    folder.settle('data = "small"')
    words = "AAA, BBB 1d: 700 bars, 2000-01-03 to 2002-09-06"
    registered = folder.check()

    folder.settle(f"bars = [{json.dumps(str(folder.bars))}]")

    assert (registered["fit"], registered["found"]) == (True, words)
    assert folder.check() == registered


@pytest.mark.parametrize(
    ("source", "more", "schedule", "said"),
    [
        ('data = "none"', "", "", "No bars are registered as 'none'; registered are: small."),
        ('bars = ["/no/such.csv"]', "", "", "/no/such.csv"),
        ('data = "small"', "stairway.calibrate_share = 0.001", "", "calibrate window has"),
        ('data = "small"', "stairway.folds = 40", "", "Use more bars or fewer folds."),
        ('data = "small"', "", 'options = ["--warm-start=nobody"]', "nobody"),
    ],
)  # fmt: skip
def test_why_a_run_could_not_begin_is_said_before_it_is_due(
    folder: Folder, source: str, more: str, schedule: str, said: str
) -> None:
    folder.settle(source, more, schedule)

    row = folder.check()
    assert not row["fit"]
    assert said in str(row["found"])

    done = folder.run("doctor", "--json")
    (told,) = (one for one in json.loads(done.stdout)["checks"] if "nightly" in one["name"])
    assert (told["standing"], told["found"]) == ("warning", row["found"])
    assert "stairways daemon check" in told["advice"]


def test_a_check_changes_nothing(folder: Folder) -> None:
    folder.settle(f"bars = [{json.dumps(str(folder.bars))}]")
    store = open_sql_store(folder.url)
    before = store.head()

    folder.check()

    assert store.head() == before
    store.close()


def test_a_daemon_says_what_could_not_train_and_so_does_its_status(
    tmp_path: Path, new_log: Callable[[str], str]
) -> None:
    place = Place(tmp_path, new_log("sqlite"))
    try:
        place.settle(1, cron="0 3 1 jan *")
        text = (tmp_path / "stairways.toml").read_text()
        unknown = text.replace('bars = ["bars.parquet"]', 'data = "nothing"')
        (tmp_path / "stairways.toml").write_text(unknown)
        place.start()
        place.wait_for(e.ScheduleDefined)
        place.wait(lambda: "could not begin" in place.said.read_text(), "word of what is missing")

        status = place.run("daemon", "status")

        sentence = "No bars are registered as 'nothing'; registered are: none."
        assert sentence in place.said.read_text()
        assert status.returncode == 1
        assert f"nightly could not begin its next run: {sentence}" in status.stderr
        place.stop()
    finally:
        place.clean_up()
