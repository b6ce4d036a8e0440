"""Metrics beside other work: a thread of its own follows the log, serves and pushes.

Whoever trains has nothing to say to it: the log says everything, and is looked at every few
seconds. However much was written between two looks is one batch. Scrapes are answered from the
last look, so that neither a slow database nor a slow gateway makes anybody wait.
"""

import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from types import TracebackType
from typing import Self
from wsgiref.simple_server import WSGIServer

import structlog
from prometheus_client.exposition import start_http_server

from stairways.core import events as e
from stairways.core.values import StreamName
from stairways.errors import MetricsUnavailableError, PushFailedError, StairwaysError
from stairways.metrics.exposition import everything, push, registry_of, without_user
from stairways.metrics.follower import Follower, Snapshot
from stairways.metrics.rules import MetricsRules
from stairways.readmodels.projector import Projector
from stairways.service.stairway.journal import ContextSource, encoded
from stairways.store.contract import EventStore
from stairways.store.sql import SqlStore

ALERTS = StreamName("alerts")
"""The stream of what kept alerts from being told."""

LONGEST_PAUSE = 60.0
"""Seconds between two pushes at most: a gateway may be gone, or have forgotten everything."""

_LOG = structlog.get_logger("metrics")


class Exporter:
    """Keeps the metrics of a log up to date, to be scraped, pushed, or both.

    ``serve`` opens the scrape endpoint of the rules, ``waits`` for its port where another process
    has it, ``project`` keeps the read models in step too, ``models`` are those whose metrics are
    pushed (all by default). A gateway that does not
    answer costs a warning and an AlertPushFailed event, at most one for each while of
    ``rules.report_every`` seconds.
    """

    def __init__(
        self,
        store: EventStore,
        rules: MetricsRules,
        context: ContextSource,
        clock: Callable[[], datetime],
        *,
        serve: bool = False,
        waits: bool = False,
        project: bool = False,
        models: Sequence[str] | None = None,
    ) -> None:
        self._store, self._rules, self._models = store, rules, models
        self._context, self._clock = context, clock
        self._serve = serve and rules.port > 0
        self._waits, self._is_deaf = waits, False
        self._projector = Projector(store) if project and isinstance(store, SqlStore) else None
        self._follower = Follower(store)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="metrics", daemon=True)
        self._server: tuple[WSGIServer, threading.Thread] | None = None
        self._pushed: Snapshot | None = None
        self._pushed_at = 0.0
        self._failures = 0
        self._is_behind = False
        self._not_before = 0.0

    @property
    def snapshot(self) -> Snapshot:
        """The figures as of the last look at the log."""
        return self._follower.snapshot

    @property
    def port(self) -> int | None:
        """The port that is listened on; None without a scrape endpoint."""
        return self._server[0].server_port if self._server else None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Begin to follow the log, and to listen if that was asked for.

        Raises ``MetricsUnavailableError`` if the port cannot be had, unless that is waited for.
        """
        if self._serve and self._waits:
            self._try_to_listen()
        elif self._serve:
            self._server = self._listen()
        self._thread.start()

    def stop(self) -> None:
        """Look and push once more and end; waits hardly longer than a push may take."""
        self._stopping.set()
        self._thread.join(self._rules.timeout + 1.0)
        if self._server is not None:
            server, thread = self._server
            server.shutdown()
            server.server_close()
            thread.join()

    def _try_to_listen(self) -> None:
        """Listen if the port can be had now; say once that it cannot, and once that it could."""
        try:
            self._server = self._listen()
        except MetricsUnavailableError as error:
            if not self._is_deaf:
                _LOG.warning("no metrics can be scraped here yet; waiting", reason=str(error))
            self._is_deaf = True
            return
        if self._is_deaf:
            _LOG.info("metrics can be scraped now", port=self.port)

    def _listen(self) -> tuple[WSGIServer, threading.Thread]:
        rules = self._rules
        registry = registry_of(lambda: everything(self.snapshot, rules.period))
        try:
            return start_http_server(rules.port, rules.address, registry)
        except OSError as error:
            raise MetricsUnavailableError(
                f"Metrics cannot be served at {rules.address}:{rules.port}: {error.strerror}. "
                "Choose another metrics.port, or 0 for none."
            ) from error

    def _work(self) -> None:
        """Look and push until told to stop, and then once more."""
        while not self._stopping.is_set():
            self._turn()
            self._stopping.wait(self._rules.interval)
        self._not_before = 0.0
        self._turn()

    def _turn(self) -> None:
        if self._serve and self._server is None and not self._stopping.is_set():
            self._try_to_listen()
        self._project()
        try:
            snapshot = self._follower.catch_up()
        except StairwaysError as error:
            if self.snapshot.reachable:
                _LOG.warning(
                    "metrics are of an earlier moment: the log cannot be read", why=str(error)
                )
            snapshot = self._follower.lost()
        if self._rules.gateway is not None and self._is_due(snapshot):
            self._push(snapshot)

    def _project(self) -> None:
        """Fill the read models; whoever may not, or cannot now, leaves them behind."""
        if self._projector is None:
            return
        try:
            self._projector.catch_up()
        except StairwaysError as error:
            if not self._is_behind:
                _LOG.warning("the read models stay behind the log", why=str(error))
            self._is_behind = True
        else:
            self._is_behind = False

    def _is_due(self, snapshot: Snapshot) -> bool:
        now = time.monotonic()
        news = snapshot != self._pushed or now - self._pushed_at >= LONGEST_PAUSE
        return news and now >= self._not_before

    def _push(self, snapshot: Snapshot) -> None:
        try:
            push(snapshot, self._rules, self._models)
        except PushFailedError as error:
            self._failed(snapshot, error)
            return
        if self._failures:
            _LOG.info("metrics reach the Pushgateway again", failures=self._failures)
        self._pushed, self._pushed_at, self._failures = snapshot, time.monotonic(), 0

    def _failed(self, snapshot: Snapshot, error: PushFailedError) -> None:
        """Warn once in a row of failures, and record it unless that was done a while ago."""
        self._failures += 1
        pause = min(LONGEST_PAUSE, self._rules.interval * 2**self._failures)
        self._not_before = time.monotonic() + pause
        if self._failures == 1:
            _LOG.warning("metrics were not pushed; training goes on", why=str(error))
        if not self._is_reported(snapshot):
            self._record(error)

    def _is_reported(self, snapshot: Snapshot) -> bool:
        """Say whether the log tells of a failure not long ago, whoever wrote that."""
        told = snapshot.figures.pushes.get(self._rules.schedule)
        now = self._clock().timestamp()
        return told is not None and now - told.last < self._rules.report_every

    def _record(self, error: PushFailedError) -> None:
        event = e.AlertPushFailed(
            schedule=self._rules.schedule,
            gateway=without_user(self._rules.gateway or ""),
            reason=str(error),
            failures=self._failures,
        )
        try:
            self._store.append(ALERTS, None, encoded([event]), self._context())
        except StairwaysError as refusal:
            _LOG.warning("that metrics were not pushed could not be recorded", why=str(refusal))
