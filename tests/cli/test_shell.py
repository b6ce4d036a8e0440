import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import structlog
from click.testing import CliRunner, Result

from stairways import cli
from stairways.bootstrap import App
from stairways.errors import NoSuchRunError


@click.command()
@click.argument("what")
@click.pass_obj
def probe(app: App, what: str) -> None:
    match what:
        case "settings":
            click.echo(f"{app.settings.log.database_url} {app.settings.stairway.attempts}")
        case "refuse":
            raise NoSuchRunError("There is no run ghost.")
        case "interrupt":
            raise KeyboardInterrupt
        case "log":
            assert app.settings
            structlog.get_logger().info("hello", answer=42)
        case _:
            raise SystemExit(1)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CliRunner]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "stairways.cli.probe", sys.modules[__name__])
    monkeypatch.setitem(cli.COMMANDS, "probe", "Only in this test.")
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.delenv("STAIRWAYS_DATABASE_URL", raising=False)
    yield CliRunner()
    structlog.reset_defaults()


command = probe


def call(run: CliRunner, *arguments: str) -> Result:
    return run.invoke(cli.main, arguments, prog_name="stairways")


def test_a_shell_option_works_before_and_after_the_command(run: CliRunner) -> None:
    before = call(run, "--database-url", "sqlite:///a.db", "probe", "settings")
    after = call(run, "probe", "settings", "--database-url", "sqlite:///a.db")

    assert before.stdout == after.stdout == "sqlite:///a.db 3\n"


def test_the_log_lies_in_the_current_folder_unless_said_otherwise(run: CliRunner) -> None:
    assert call(run, "probe", "settings").stdout == "sqlite:///stairways.db 3\n"


def test_set_gives_any_setting(run: CliRunner) -> None:
    result = call(run, "probe", "settings", "--set", "stairway.attempts=5")

    assert result.stdout.endswith(" 5\n")


def test_an_error_is_one_sentence_on_stderr_and_exit_2(run: CliRunner) -> None:
    result = call(run, "probe", "refuse")

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "stairways: There is no run ghost.\n"


def test_an_interruption_is_one_sentence_and_exit_130(run: CliRunner) -> None:
    result = call(run, "probe", "interrupt")

    assert result.exit_code == 130
    assert result.stderr == "stairways: Interrupted; what was committed before stays in the log.\n"


def test_a_finding_is_exit_1(run: CliRunner) -> None:
    assert call(run, "probe", "anything").exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--set", "stairway.attempts"], "write it as section.key=value"),
        (["--set", "stairway.atempts=3"], "did you mean stairway.attempts?"),
        (["--set", "stairway.targets=1.5"], "--set stairway.targets=1.5: targets and"),
        (["--config", "nowhere.toml"], "Settings file nowhere.toml cannot be read"),
        (["--log-level", "loud"], "'loud' is not one of"),
        (["--nonsense"], "No such option"),
    ],
)
def test_bad_input_is_exit_2_and_writes_nothing(
    run: CliRunner, tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    result = call(run, "probe", "settings", *arguments)

    assert (result.exit_code, result.stdout) == (2, "")
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_command_is_exit_2(run: CliRunner) -> None:
    result = call(run, "trian")

    assert result.exit_code == 2
    assert "No such command 'trian'" in result.stderr


def test_log_lines_go_to_stderr_as_json_when_that_is_no_terminal(run: CliRunner) -> None:
    result = call(run, "probe", "log")

    line = json.loads(result.stderr)
    assert result.stdout == ""
    assert (line["event"], line["answer"], line["level"]) == ("hello", 42, "info")


def test_log_lines_are_readable_when_asked_for(run: CliRunner) -> None:
    assert "answer=42" in call(run, "probe", "log", "--no-json-logs").stderr


def test_the_log_level_is_obeyed(run: CliRunner) -> None:
    assert call(run, "probe", "log", "--log-level", "error").stderr == ""


def test_help_lists_every_command_with_its_line(run: CliRunner) -> None:
    result = call(run, "--help")

    assert result.exit_code == 0
    for name, line in cli.COMMANDS.items():
        assert name in result.stdout
        assert line.split()[0] in result.stdout


def test_a_fault_of_the_program_is_exit_2_without_local_variables() -> None:
    script = (
        "import sys; from stairways import cli\n"
        "sys.excepthook = cli._fault\n"
        "def fail(secret): raise RuntimeError('broken')\n"
        "fail('s3cret'.upper())\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )

    assert result.returncode == 2
    assert "broken" in result.stderr
    assert "This is a fault in Stairways" in result.stderr
    assert "S3CRET" not in result.stderr
