"""Snapshots as Prometheus reads them: a registry to scrape, text to print, a body to push."""

import http.client
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from queue import Empty, SimpleQueue
from urllib.error import HTTPError
from urllib.parse import unquote, urlsplit, urlunsplit

from prometheus_client.core import CollectorRegistry, Metric
from prometheus_client.exposition import (
    basic_auth_handler,
    default_handler,
    generate_latest,
    pushadd_to_gateway,
)
from prometheus_client.registry import Collector

from stairways.errors import PushFailedError
from stairways.metrics.families import families, log_families, schedule_families
from stairways.metrics.follower import Snapshot
from stairways.metrics.rules import MetricsRules

SLACK = 1.0
"""Seconds after the time of each word of an answer when nobody waits for the rest of it."""

Source = Callable[[], Iterator[Metric]]
Handler = Callable[..., Callable[[], None]]


class _Computed(Collector):
    """A collector whose metrics are made when they are asked for."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics as of now."""
        return self._source()

    def describe(self) -> Iterator[Metric]:
        """Yield nothing: names need no check against those of others."""
        return iter(())


def registry_of(source: Source) -> CollectorRegistry:
    """Return a registry that has what ``source`` makes and nothing else."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Computed(source))
    return registry


def everything(snapshot: Snapshot, period: float) -> Iterator[Metric]:
    """Yield the metrics of the log, of every schedule and of every model."""
    yield from log_families(snapshot)
    yield from schedule_families(snapshot)
    yield from families(snapshot, period)


def text_of(snapshot: Snapshot, period: float) -> str:
    """Return the metrics in the text format of Prometheus."""
    return generate_latest(registry_of(lambda: everything(snapshot, period))).decode()


def push(snapshot: Snapshot, rules: MetricsRules, models: Sequence[str] | None = None) -> None:
    """Add the metrics to a Pushgateway: those of the log, and those of ``models`` by schedule.

    The metrics of the log are one group, whoever pushes them, so that the newest stand there.
    Those of schedules are not pushed: the daemon that keeps schedules is scraped.
    Raises ``PushFailedError`` after at most about twice ``rules.timeout`` seconds,
    however slowly the gateway answers.
    """
    _pushadd(rules, lambda: log_families(snapshot), {})
    of_models = families(snapshot, rules.period, models)
    _pushadd(rules, lambda: of_models, {"schedule": rules.schedule})


def _pushadd(rules: MetricsRules, source: Source, group: Mapping[str, str]) -> None:
    url, handler = _place(rules.gateway or "")
    try:
        pushadd_to_gateway(
            url,
            rules.job,
            registry_of(source),
            grouping_key=dict(group),
            timeout=rules.timeout,
            handler=_within(rules.timeout + SLACK, handler),
        )
    except HTTPError as error:
        raise PushFailedError(
            f"The Pushgateway {without_user(url)} refused the metrics: {error.code} "
            f"{_first_line(error)}."
        ) from error
    except (OSError, http.client.HTTPException) as error:
        raise PushFailedError(
            f"The Pushgateway {without_user(url)} does not answer: {_cause(error)}."
        ) from error


def without_user(url: str) -> str:
    """Return a URL without the user and the password in it."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _place(gateway: str) -> tuple[str, Handler]:
    """Return where to push, and how: with user and password if the URL names them."""
    parts = urlsplit(gateway)
    if parts.username is None:
        return gateway, default_handler
    user, password = unquote(parts.username), unquote(parts.password or "")

    def handler(**request: object) -> Callable[[], None]:
        return basic_auth_handler(**request, username=user, password=password)  # type: ignore[arg-type]  # what the library passes on

    return without_user(gateway), handler


def _within(seconds: float, handler: Handler) -> Handler:
    """Return a handler that gives up after ``seconds``, however slowly an answer trickles in.

    The library's own limit is one between two bytes. Whoever waits for the rest of such an answer
    is a thread that nobody waits for.
    """

    def limited(**request: object) -> Callable[[], None]:
        call, ended = handler(**request), SimpleQueue[Exception | None]()

        def work() -> None:
            try:
                ended.put(call())  # None: it went well
            except (OSError, http.client.HTTPException) as error:
                ended.put(error)

        def wait() -> None:
            threading.Thread(target=work, name="push", daemon=True).start()
            try:
                error = ended.get(timeout=seconds)
            except Empty:
                raise TimeoutError("timed out") from None
            if error is not None:
                raise error

        return wait

    return limited


def _first_line(error: HTTPError) -> str:
    lines = error.read(500).decode(errors="replace").strip().splitlines()
    return lines[0].rstrip(".") if lines else str(error.reason)


def _cause(error: Exception) -> str:
    reason = getattr(error, "reason", error)
    return str(getattr(reason, "strerror", None) or reason or type(error).__name__)
