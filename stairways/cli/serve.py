"""``stairways serve``: a read-only web console over the log."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from stairways.errors import SettingsError

if TYPE_CHECKING:
    from stairways.bootstrap import App
    from stairways.console.desk import Noted
    from stairways.console.rules import ConsoleRules

LOOPBACK = ("127.0.0.1", "::1", "localhost")


@click.command()
@click.option("--host", help="The address to listen on [default: 127.0.0.1].")
@click.option("--port", type=click.IntRange(0, 65535), help="[default: 8463; 0: any free one]")
@click.option("--new-token", metavar="NAME", help="Make a token for NAME, and serve nothing.")
@click.option(
    "--role",
    type=click.Choice(["auditor", "operator-read"]),
    default="auditor",
    help="Of the new token [default: auditor].",
)
@click.pass_obj
def command(
    app: "App", host: str | None, port: int | None, new_token: str | None, role: str
) -> None:
    """Serve a read-only web console over the log until interrupted.

    Without console.tokens and console.proxy_users one token is made for this start alone.
    """
    if new_token is not None:
        _print_token(new_token, role)
        return
    rules = allowed(app.settings.console, host, port)
    rules = rules if rules.tokens or rules.proxy_users else _with_token(rules)
    _serve(app, rules)


def _serve(app: "App", rules: "ConsoleRules") -> None:
    from stairways.console.desk import Desk, only_say  # noqa: PLC0415 - help starts light
    from stairways.console.people import Door  # noqa: PLC0415 - as above
    from stairways.console.serving import serve  # noqa: PLC0415 - as above

    with ExitStack() as open_logs:
        store = open_logs.enter_context(app.log(read_only=True))
        note = _recorder(app, open_logs) if rules.record_access else only_say
        desk = Desk(
            store=store,
            rules=rules,
            clock=app.clock,
            door=Door(rules, lambda: app.clock().timestamp()),
            shown_database=app.shown_database,
            note=note,
        )
        serve(desk, lambda port: _say_where(rules, port))


def _recorder(app: "App", open_logs: ExitStack) -> "Noted":
    """Return what records an access as an event, on connections of its own that may write."""
    from stairways.service.audit import record_asked  # noqa: PLC0415 - help starts light

    store = open_logs.enter_context(app.log())

    def record(question: str, arguments: Mapping[str, str]) -> None:
        record_asked(store, store.head(), question, arguments, app.context("console"))

    return record


def allowed(rules: "ConsoleRules", host: str | None, port: int | None) -> "ConsoleRules":
    """Return the rules with what the command line says, if they are safe together."""
    chosen = replace(
        rules,
        host=rules.host if host is None else host,
        port=rules.port if port is None else port,
    )
    if chosen.host not in LOOPBACK and not chosen.public_url:
        raise SettingsError(
            f"console.public_url is needed to listen on {chosen.host}: the https address under "
            "which browsers reach the console through your proxy."
        )
    return chosen


def _with_token(rules: "ConsoleRules") -> "ConsoleRules":
    """Return the rules with a token for this start alone, which is printed."""
    from stairways.console.people import new_token, token_entry  # noqa: PLC0415 - as above

    token = new_token()
    click.echo(f"Token for this start, role auditor: {token}", err=True)
    return replace(rules, tokens=(token_entry("auditor", "owner", token),))


def _print_token(name: str, role: str) -> None:
    from stairways.console.people import new_token, token_entry  # noqa: PLC0415 - as above
    from stairways.console.rules import ConsoleRules  # noqa: PLC0415 - as above

    token = new_token()
    entry = token_entry("auditor" if role == "auditor" else "operator-read", name, token)
    try:
        ConsoleRules(tokens=(entry,))
    except ValueError as error:
        raise click.BadParameter(
            f"{name!r} has a colon, comma or space, or is too long."
        ) from error
    click.echo(token)
    click.echo(f"Add to console.tokens: {entry}", err=True)


def _say_where(rules: "ConsoleRules", port: int) -> None:
    host = f"[{rules.host}]" if ":" in rules.host else rules.host
    click.echo(f"Console at {rules.public_url or f'http://{host}:{port}'}", err=True)
