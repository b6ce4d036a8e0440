"""What wakes a daemon at due times."""

import threading
from collections.abc import Mapping

from stairways.daemon.schedule import Schedule


class Alarm:
    """APScheduler's clockwork: wakes the daemon at every due time.

    It only wakes. What is due is decided from the log, so an alarm that comes twice, late or
    not at all changes nothing: the daemon looks every ``poll_seconds`` anyway.
    """

    def __init__(self, wake: threading.Event) -> None:
        from apscheduler.schedulers.background import (  # noqa: PLC0415 - only daemons pay for it
            BackgroundScheduler,
        )

        self._wake = wake
        self._scheduler = BackgroundScheduler(
            timezone="UTC", job_defaults={"coalesce": True, "misfire_grace_time": None}
        )

    def set(self, schedules: Mapping[str, Schedule]) -> None:
        """Ring at the due times of these schedules from now on."""
        from stairways.daemon.schedule import trigger  # noqa: PLC0415 - as above

        self._scheduler.remove_all_jobs()
        for name, one in schedules.items():
            at = trigger(one.cron, one.every, one.timezone)
            self._scheduler.add_job(self._wake.set, at, id=name)
        if not self._scheduler.running:
            self._scheduler.start()

    def stop(self) -> None:
        """Ring no more."""
        if self._scheduler.running:
            self._scheduler.pause()  # a shutdown that meets a job being submitted raises
            self._scheduler.shutdown(wait=False)
