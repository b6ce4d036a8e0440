"""The command ``stairways``: parse, call one use case, print, exit.

Exit codes: 0 clean, 1 something was found, 2 it could not look. A command is a module of this
package that exposes ``command``; the table here lets ``--help`` import none of them.
"""

import errno
import importlib
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn

import click

from stairways import __version__
from stairways.cli.speaking import say
from stairways.cli.texts import TEXT, check_texts
from stairways.errors import StairwaysError

if TYPE_CHECKING:
    from stairways.bootstrap import App

COULD_NOT_LOOK = 2
INTERRUPTED = 130
INTERRUPTION = "Interrupted; what was committed before stays in the log."
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What the operating system says of a place that takes no more."""

COMMANDS = {
    "demo": "Train on real daily bars, replay and verify: the main job in one command.",
    "init": "Create or bring up to date the database of the log.",
    "doctor": "Look at what is needed here, and say what to do.",
    "data": "Read, check and register market bars.",
    "train": "Train the stairway and record every step.",
    "daemon": "Keep schedules: train each stairway when it is due.",
    "halt": "Stop all training and serving at once, or allow it again.",
    "rollback": "Put an earlier model back into service.",
    "override": "Promote or reject a cycle against its gates, by name and reason.",
    "rebuild": "Write the model of any moment to a file.",
    "replay": "Replay a run and check every balance it recorded.",
    "verify": "Rehash the log and check it against its signed checkpoints.",
    "seal": "Sign the log as it stands: a checkpoint to keep elsewhere.",
    "keys": "Make, show and change the keys that sign checkpoints.",
    "backup": "Copy the log, online and verified.",
    "restore": "Copy a backup into an empty log.",
    "archive": "Move the step payloads of closed runs into sealed segments.",
    "hold": "Place and lift legal holds.",
    "readmodels": "Fill the tables that dashboards ask, or build them anew.",
    "proof": "Prove a record, or a continuation, to somebody without the log.",
    "metrics": "Print, serve or push the log in figures, for Prometheus.",
    "export": "Take a run out of the log: tables, report, a bundle that proves itself; or tiles.",
    "audit": "Ask the log what was trained and decided, when, by whom, and on what evidence.",
    "serve": "Serve a read-only web console over the log.",
}
"""The name and one-line help of every command, in the order of a day's work."""

EPILOG = (
    "Wherever a run is asked for, `latest` means the newest. Data goes to stdout, remarks to "
    "stderr. Exit codes: 0 clean, 1 something was found, 2 it could not look."
)
SHELL_EPILOG = "The options of `stairways` itself, such as --database-url, may stand here too."


class Stairways(click.Group):
    """The group of all commands: loads one when it is called, and is the error boundary."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names of the commands in the order of a day's work."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Import the module of one command."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"{__name__}.{cmd_name}").command
        return _with_shell_options(command)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """Write the table of commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def main(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - click's signature
        """Read the command line and run it; Ctrl-C may come and a disk be full from here on."""
        try:
            return super().main(*args, **kwargs)
        except KeyboardInterrupt:
            _stop(INTERRUPTION, INTERRUPTED)
        except OSError as error:
            if error.errno not in FULL:
                raise
            sys.stdout = None  # what waits in it would be tried once more at the end
            _stop(f"The output cannot be written: {error.strerror}.", COULD_NOT_LOOK)

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:  # noqa: ANN401 - as above
        """Read the options of `stairways` itself; click would say only that it was aborted."""
        try:
            return super().make_context(*args, **kwargs)
        except KeyboardInterrupt:
            _stop(INTERRUPTION, INTERRUPTED)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's signature
        """Run a command; what stops it becomes one sentence on stderr and an exit code."""
        try:
            return super().invoke(ctx)
        except StairwaysError as error:
            _stop(str(error), COULD_NOT_LOOK)
        except (KeyboardInterrupt, click.Abort):
            _stop(INTERRUPTION, INTERRUPTED)
        except click.ClickException as error:
            error.show()
            raise SystemExit(COULD_NOT_LOOK) from error
        except ModuleNotFoundError as error:
            if error.name is None or error.name.partition(".")[0] == "stairways":
                raise
            _stop(
                f"The library {error.name} is not installed. Install the pinned set: "
                "pip install -e . -c ops/constraints.txt. `stairways doctor` names all that is "
                "missing.",
                COULD_NOT_LOOK,
            )
        except BrokenPipeError:  # the reader of a pipe left; there is nobody to tell
            sys.stdout = None
            raise SystemExit(COULD_NOT_LOOK) from None


def _stop(sentence: str, exit_code: int) -> NoReturn:
    say(f"stairways: {sentence}")
    raise SystemExit(exit_code)


def _fault(kind: type[BaseException], fault: BaseException, trace: TracebackType | None) -> None:
    """Report a fault of the program itself; 1 would claim that an audit found something."""
    traceback.print_exception(kind, fault, trace)
    click.echo("stairways: This is a fault in Stairways; please report it.", err=True)
    raise SystemExit(COULD_NOT_LOOK)


def _with_shell_options(command: click.Command) -> click.Command:
    """Let ``command`` and its subcommands take the options of ``stairways`` itself too."""
    check_texts(command)
    taken = {parameter.name for parameter in command.params}
    command.params.extend(
        option for option in _shell_options(hidden=True) if option.name not in taken
    )
    command.epilog = command.epilog or SHELL_EPILOG
    if isinstance(command, click.Group):
        for subcommand in command.commands.values():
            _with_shell_options(subcommand)
    return command


def _remember(ctx: click.Context, parameter: click.Parameter, value: Any) -> None:  # noqa: ANN401 - click's signature
    """Put the value of a shell option where ``App`` reads it."""
    if value is None or value == ():
        return
    flags = ctx.ensure_object(_app_type()).flags
    match parameter.name:
        case "config":
            flags.config = value
        case "overrides":
            for text in value:
                flags.give(*_assignment(text), f"--set {text}")
        case "json_logs":
            flags.give("log.style", "json" if value else "text", "--json-logs")
        case _:
            flags.give(f"log.{parameter.name}", value, parameter.opts[0])


def _assignment(text: str) -> tuple[str, str]:
    """Return name and value of what ``--set`` was given."""
    name, equals, value = text.partition("=")
    if not equals:
        raise click.BadParameter(f"{text}: write it as section.key=value.", param_hint="--set")
    return name.strip(), value.strip()


def _shell_options(*, hidden: bool) -> list[click.Option]:
    """Return the options that stand before or after the name of a command."""
    option = _option(hidden=hidden)
    return [
        option(
            ["--database-url"],
            type=TEXT,
            metavar="URL",
            show_envvar=True,
            help="The log: sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME "
            "[default: sqlite:///stairways.db; env: STAIRWAYS_DATABASE_URL].",
        ),
        option(
            ["--config"],
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="Settings in TOML [default: stairways.toml in this folder if there is one].",
        ),
        option(
            ["--set", "overrides"],
            type=TEXT,
            multiple=True,
            metavar="SECTION.KEY=VALUE",
            help="One setting; may be repeated.",
        ),
        option(
            ["--log-level", "level"],
            type=click.Choice(["debug", "info", "warning", "error"]),
            help="How much to say on stderr [default: info].",
        ),
        option(
            ["--json-logs/--no-json-logs"],
            default=None,
            help="Log lines as JSON [default: when stderr is not a terminal].",
        ),
    ]


def _option(*, hidden: bool) -> Callable[..., click.Option]:
    def make(names: list[str], **how: Any) -> click.Option:  # noqa: ANN401 - click's own options
        return click.Option(names, callback=_remember, expose_value=False, hidden=hidden, **how)

    return make


def _app_type() -> type["App"]:
    from stairways.bootstrap import App  # noqa: PLC0415 - help must start in a blink

    return App


@click.group(cls=Stairways, epilog=EPILOG, params=list(_shell_options(hidden=False)))
@click.version_option(__version__, prog_name="stairways")
@click.pass_context
def main(ctx: click.Context) -> None:
    """Train trading policies up a stairway of hold-rate targets, and prove it afterwards.

    Every training step, controller update, gate decision and rollback is an event in one
    append-only log that can be replayed, verified and exported.
    """
    sys.excepthook = _fault
    ctx.ensure_object(_app_type())
