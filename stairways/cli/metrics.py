"""``stairways metrics``: the log in figures, for Prometheus."""

import signal
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import click
import structlog

if TYPE_CHECKING:
    from stairways.bootstrap import App

_LOG = structlog.get_logger("metrics")


@click.command()
@click.option("--push", "gateway", metavar="URL", help="Add them to a Pushgateway, once.")
@click.option(
    "--serve",
    "port",
    type=click.IntRange(1, 65_535),
    metavar="PORT",
    help="Answer scrapes at metrics.address until interrupted.",
)
@click.option(
    "--schedule", metavar="NAME", help="Grouping key of what is pushed [default: metrics.schedule]."
)
@click.option("--model", "models", multiple=True, help="Push only this model; repeatable.")
@click.pass_obj
def command(
    app: "App", gateway: str | None, port: int | None, schedule: str | None, models: tuple[str, ...]
) -> None:
    """Print the metrics of the log as it stands now, in the text format of Prometheus.

    They are folded from the log itself, from its first event on, so that they are the same
    whoever asks. docs/metrics.md says what each means.
    """
    if gateway and port:
        raise click.UsageError("Give --push or --serve, not both.")
    if not gateway and (schedule or models):
        raise click.UsageError("--schedule and --model say what is pushed: give --push as well.")
    for name, value in (("gateway", gateway), ("port", port), ("schedule", schedule)):
        if value is not None:
            app.flags.give(
                f"metrics.{name}", str(value), f"--{'push' if name == 'gateway' else name}"
            )
    if gateway:
        _push(app, models)
    elif port:
        _serve(app)
    else:
        _print(app)


def _print(app: "App") -> None:
    from stairways.metrics.exposition import text_of  # noqa: PLC0415 - help must start in a blink
    from stairways.metrics.follower import Follower  # noqa: PLC0415 - as above

    with app.log(read_only=True) as store:
        text = text_of(Follower(store).catch_up(), app.settings.metrics.period)
    click.echo(text, nl=False)


def _push(app: "App", models: tuple[str, ...]) -> None:
    from stairways.metrics.exposition import push  # noqa: PLC0415 - help must start in a blink
    from stairways.metrics.follower import Follower  # noqa: PLC0415 - as above

    with app.log(read_only=True) as store:
        snapshot = Follower(store).catch_up()
    push(snapshot, app.settings.metrics, models or None)
    _LOG.info("pushed", position=snapshot.size, schedule=app.settings.metrics.schedule)


def _serve(app: "App") -> None:
    """Serve until a signal says to stop, which is how it is meant to end."""
    ending = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ending.set())
    quiet = replace(app.settings.metrics, gateway=None)
    with (
        app.log(read_only=True) as store,
        app.exporter(store, rules=quiet, serve=True, project=False) as exporter,
    ):
        _LOG.info("serving metrics", address=app.settings.metrics.address, port=exporter.port)
        ending.wait()
