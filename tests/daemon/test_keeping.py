"""What a daemon does, with a clock moved by hand and workers that are pretended."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from structlog.testing import capture_logs

from stairways.core import events as e
from stairways.core.values import Position, StreamName, digest_of
from stairways.daemon.keeping import Daemon
from stairways.daemon.schedule import LONGEST, Schedule
from stairways.daemon.standing import is_in_order, schedule_rows
from stairways.errors import HaltedError, NoSuchScheduleError
from stairways.service.operation import halt, schedules
from stairways.service.operation.leases import model_lease
from stairways.service.stairway.journal import decoded, encoded
from stairways.store.contract import Holder
from tests.daemon.conftest import START, Hands, word

DUE = START.replace(minute=1, second=0)
MINUTE = timedelta(minutes=1)


def skips(hands: Hands) -> list[tuple[str, int]]:
    found = hands.said(e.ScheduleSkipped)
    return [(one.cause, one.count) for one in found if isinstance(one, e.ScheduleSkipped)]


def fired(hands: Hands) -> list[e.ScheduleFired]:
    return [one for one in hands.said(e.ScheduleFired) if isinstance(one, e.ScheduleFired)]


def begun(hands: Hands, schedule: Schedule) -> Daemon:
    """Return a daemon that trains the first due time."""
    daemon = hands.daemon(nightly=schedule)
    hands.wait(30)
    daemon.tick()
    daemon.tick()
    assert len(hands.workers) == 1
    return daemon


def test_a_due_time_fires_once_and_its_run_is_seen_to_its_end(
    hands: Hands, minutely: Schedule
) -> None:
    daemon = begun(hands, minutely)
    (fire,) = fired(hands)
    assert (fire.due, fire.late, fire.trigger, fire.epoch) == (DUE, 0.0, "time", 1)
    assert hands.workers[0].run == fire.run

    daemon.tick()
    assert len(hands.workers) == 1
    hands.finish(fire.run)
    daemon.tick()

    assert hands.said(e.ScheduleFinished, e.ScheduleFailed) == [
        e.ScheduleFinished(schedule="nightly", due=DUE, run=fire.run, attempts=1)
    ]
    hands.wait(60)
    daemon.tick()
    assert [one.due for one in fired(hands)] == [DUE, DUE + MINUTE]


def test_nothing_is_due_before_a_schedule_was_first_kept(hands: Hands, minutely: Schedule) -> None:
    hands.daemon(nightly=minutely).tick()

    assert fired(hands) == []
    assert skips(hands) == []


def test_due_times_missed_while_no_daemon_ran_are_coalesced_and_the_last_is_late(
    hands: Hands, minutely: Schedule
) -> None:
    hands.daemon(nightly=minutely).stop("SIGTERM", hands.wait)
    hands.wait(5 * 60)

    later = hands.daemon(name="two", nightly=minutely)
    hands.wait(11)  # the first one did not give its lease back here
    later.tick()

    assert skips(hands) == [("coalesced", 4)]
    (fire,) = fired(hands)
    assert fire.due == DUE + 4 * MINUTE
    assert fire.late == 41.0


def test_a_due_time_missed_by_too_much_is_skipped(hands: Hands, minutely: Schedule) -> None:
    daemon = hands.daemon(nightly=replace(minutely, every=3600))
    hands.wait(2.5 * 3600)

    daemon.tick()

    assert skips(hands) == [("coalesced", 1), ("late", 1)]
    assert fired(hands) == []


def test_while_a_run_has_not_ended_due_times_are_skipped(hands: Hands, minutely: Schedule) -> None:
    daemon = begun(hands, minutely)
    hands.wait(60)
    daemon.tick()

    assert skips(hands) == [("overlap", 1)]
    assert len(hands.workers) == 1


def test_two_schedules_of_one_model_never_train_at_a_time(hands: Hands, minutely: Schedule) -> None:
    daemon = hands.daemon(one=minutely, two=replace(minutely, every=90))
    hands.wait(30)
    daemon.tick()
    daemon.tick()
    hands.wait(30)
    daemon.tick()
    daemon.tick()

    assert len(hands.workers) == 1
    assert skips(hands) == [("overlap", 1)]


def test_a_model_that_somebody_trains_by_hand_is_left_alone(
    hands: Hands, minutely: Schedule
) -> None:
    somebody = Holder("pid 9 on desk", "desk/pid:[1]/9/9")
    lease = hands.store.claim(model_lease("m"), None, somebody, 10)
    assert lease
    daemon = hands.daemon(nightly=minutely)
    hands.wait(30)
    hands.store.renew([lease])
    daemon.tick()

    assert skips(hands) == [("overlap", 1)]
    assert hands.workers == []


def test_a_failed_attempt_is_repeated_later_and_then_given_up(
    hands: Hands, minutely: Schedule
) -> None:
    daemon = begun(hands, minutely)
    hands.workers[0].ending = "The training process was killed by SIGSEGV."
    daemon.tick()
    (retried,) = hands.said(e.ScheduleRetried)
    assert isinstance(retried, e.ScheduleRetried)
    assert retried.retry_at == hands.now + timedelta(seconds=30)
    assert retried.reason == "The training process was killed by SIGSEGV."

    hands.wait(29)
    daemon.tick()
    assert len(hands.workers) == 1
    hands.wait(1)
    daemon.tick()
    assert len(hands.workers) == 2
    assert hands.workers[1].run == hands.workers[0].run
    hands.workers[1].ending = "again"
    daemon.tick()

    (failed,) = hands.said(e.ScheduleFailed)
    assert isinstance(failed, e.ScheduleFailed)
    assert (failed.attempts, failed.reason) == (2, "again")
    assert schedule_rows(hands.store, hands.now)[0][0]["result"] == "failed"


def test_failures_are_told_until_a_run_succeeds_and_who_trains_decides_what_runs(
    hands: Hands, minutely: Schedule
) -> None:
    daemon = begun(hands, replace(minutely, attempts=1))
    hands.workers[0].ending = "no memory"
    daemon.tick()
    hands.wait(60)
    daemon.tick()
    daemon.tick()
    (row,), _ = schedule_rows(hands.store, hands.now)
    assert (row["result"], row["failed_in_a_row"], row["last_failure"]) == (
        *("running", 1),
        "no memory",
    )
    assert not is_in_order(row)

    hands.wait(61)
    (row,), _ = schedule_rows(hands.store, hands.now)
    assert row["result"] == "interrupted"
    trainer = Holder("pid 9 on one", "one/pid:[1]/9/9")
    assert hands.store.claim(model_lease("m"), None, trainer, 10)
    (row,), _ = schedule_rows(hands.store, hands.now)
    assert row["result"] == "running"

    hands.finish(hands.workers[1].run)
    daemon.tick()
    (row,), _ = schedule_rows(hands.store, hands.now)
    assert (row["result"], row["failed_in_a_row"]) == ("finished", 0)
    assert is_in_order(row)


def test_an_attempt_that_is_trained_again_waits_no_more(hands: Hands, minutely: Schedule) -> None:
    daemon = begun(hands, minutely)
    hands.workers[0].ending = "bad"
    daemon.tick()
    (row,), _ = schedule_rows(hands.store, hands.now)
    assert row["result"] == "waiting"

    trainer = Holder("pid 9 on one", "one/pid:[1]/9/9")
    assert hands.store.claim(model_lease("m"), None, trainer, 10)

    (row,), _ = schedule_rows(hands.store, hands.now)
    assert row["result"] == "running"


def test_a_schedule_that_nobody_keeps_is_in_order_once_it_is_paused(
    hands: Hands, minutely: Schedule
) -> None:
    daemon = hands.daemon(nightly=minutely)
    daemon.reload({})
    (row,), _ = schedule_rows(hands.store, hands.now)
    assert not is_in_order(row)

    schedules.pause(hands.store, "nightly", who="ada", reason="renamed", context=word())

    (row,), _ = schedule_rows(hands.store, hands.now)
    assert is_in_order(row)


def test_a_line_about_an_event_names_its_position(hands: Hands, minutely: Schedule) -> None:
    with capture_logs() as lines:
        daemon = begun(hands, minutely)
        hands.workers[0].ending = "bad"
        daemon.tick()

    said = {one["event"]: one["position"] for one in lines if one["event"] != "trains"}
    kinds = {record.type: record.position for record in hands.store.read()}
    assert said == {
        "keeps a schedule": kinds["LeaseTaken"],
        "fired": kinds["ScheduleFired"],
        "attempt failed": kinds["ScheduleRetried"],
    }


def test_each_further_attempt_waits_twice_as_long(hands: Hands, minutely: Schedule) -> None:
    daemon = begun(hands, replace(minutely, attempts=4, every=0, cron="1 14 * * *"))
    waits = []
    for _ in range(3):
        hands.workers[-1].ending = "bad"
        daemon.tick()
        retried = hands.said(e.ScheduleRetried)[-1]
        assert isinstance(retried, e.ScheduleRetried)
        waits.append((retried.retry_at - hands.now).total_seconds())
        hands.wait(waits[-1])
        daemon.tick()

    assert waits == [30, 60, 120]


@pytest.mark.parametrize("attempt", [25, 1000, 10**12])
def test_after_many_attempts_the_wait_is_a_year_and_no_more(
    minutely: Schedule, attempt: int
) -> None:
    patient = replace(minutely, attempts=attempt + 1)

    assert patient.pause_after(attempt).total_seconds() == LONGEST


def test_a_standby_takes_over_the_run_of_a_daemon_that_fell_silent(
    hands: Hands, minutely: Schedule
) -> None:
    daily = replace(minutely, every=0, cron="1 14 * * *")
    begun(hands, daily)
    standby = hands.daemon(name="two", nightly=daily)
    assert len(hands.workers) == 1

    hands.wait(10.5)
    standby.tick()

    assert len(hands.workers) == 2
    assert hands.workers[0].run == hands.workers[1].run
    takings = [one for one in hands.said(e.LeaseTaken) if isinstance(one, e.LeaseTaken)]
    assert [(one.holder, one.epoch, one.previous) for one in takings] == [
        ("pid 1 on one", 1, ""),
        ("pid 1 on two", 2, "pid 1 on one"),
    ]


def test_a_daemon_that_was_only_thought_dead_writes_nothing_and_stops_its_run(
    hands: Hands, minutely: Schedule
) -> None:
    stale = begun(hands, minutely)
    standby = hands.daemon(name="two", nightly=minutely)
    hands.wait(10.5)
    standby.tick()
    hands.wait(60)
    before = hands.store.head().size

    stale.tick()  # it still believes that it holds the lease
    assert hands.store.head().size == before
    stale._out.holding.renew()  # its heart beats again
    stale.tick()

    assert hands.workers[0].told == ["stop"]
    assert hands.store.head().size == before


def test_a_daemon_that_loses_its_lease_while_it_attends_a_schedule_writes_nothing_about_it(
    hands: Hands, minutely: Schedule
) -> None:
    stale = hands.daemon(nightly=minutely)
    standby = hands.daemon(name="two", nightly=minutely)
    stale.reload({"nightly": replace(minutely, every=20)})
    hands.wait(10.5)
    sizes: list[int] = []

    def clock() -> datetime:
        """Let it be stopped just here, as by SIGSTOP, until another one has taken over."""
        if not sizes:
            standby.tick()
            stale._out.holding.renew()  # its heart beats first when it is woken
            sizes.append(hands.store.head().size)
        return hands.now

    object.__setattr__(stale._out, "clock", clock)
    stale.tick()

    assert stale._out.holding.names() == []
    assert [hands.store.head().size] == sizes


def test_a_daemon_that_stops_after_another_took_over_writes_nothing_about_its_run(
    hands: Hands, minutely: Schedule
) -> None:
    stale = begun(hands, minutely)
    standby = hands.daemon(name="two", nightly=minutely)
    hands.wait(10.5)
    standby.tick()
    stale._out.holding.renew()
    hands.finish(hands.workers[0].run)
    hands.workers[0].ending = "fine"  # of the other one; this one saw it end as well
    before = hands.store.head().size

    stale.stop("SIGTERM", hands.wait)

    said = [decoded(record) for record in hands.store.read(after=Position(before))]
    assert said == [e.DaemonStopped(holder="pid 1 on one", reason="SIGTERM")]


def test_two_daemons_never_fire_a_due_time_twice(hands: Hands, minutely: Schedule) -> None:
    daemons = [hands.daemon(name=name, nightly=minutely) for name in ("one", "two", "three")]
    for _ in range(40):
        hands.wait(7.5)
        for daemon in daemons:
            daemon.tick()
            if hands.workers and not hands.workers[-1].ended():
                hands.finish(hands.workers[-1].run)

    due = [one.due for one in fired(hands)]
    assert len(due) == len(set(due)) == 5


def test_a_clock_put_back_an_hour_fires_nothing_twice(hands: Hands, minutely: Schedule) -> None:
    daemon = begun(hands, minutely)
    hands.finish(hands.workers[0].run)
    daemon.tick()
    hands.set_clock_back(3600)
    for _ in range(70):
        hands.wait(60)
        daemon.tick()
        if not hands.workers[-1].ended():
            hands.finish(hands.workers[-1].run)

    due = [one.due for one in fired(hands)]
    assert due == sorted(set(due))
    assert due[1] == DUE + MINUTE
    assert skips(hands) == []


def test_a_paused_schedule_does_not_fire_and_goes_on_at_its_next_due_time(
    hands: Hands, minutely: Schedule
) -> None:
    daemon = hands.daemon(nightly=minutely)
    schedules.pause(hands.store, "nightly", who="ada", reason="holiday", context=word())
    hands.wait(60)
    daemon.tick()
    assert skips(hands) == [("paused", 1)]
    rows, _ = schedule_rows(hands.store, hands.now)
    assert (rows[0]["paused"], rows[0]["next_due"]) == ("ada: holiday", None)

    schedules.resume(hands.store, "nightly", who="bob", reason="back", context=word())
    daemon.tick()
    assert fired(hands) == []
    hands.wait(60)
    daemon.tick()
    assert len(fired(hands)) == 1


def test_a_triggered_schedule_is_trained_at_once_even_while_it_is_paused(
    hands: Hands, minutely: Schedule
) -> None:
    daemon = hands.daemon(nightly=minutely)
    schedules.pause(hands.store, "nightly", who="ada", reason="holiday", context=word())
    schedules.run_now(
        hands.store, "nightly", now=hands.now, who="bob", reason="now", context=word()
    )
    daemon.tick()
    daemon.tick()

    (fire,) = fired(hands)
    assert (fire.due, fire.trigger) == (START, "bob")
    assert len(hands.workers) == 1


def test_a_halt_stops_runs_and_skips_due_times_until_it_is_lifted(
    hands: Hands, minutely: Schedule
) -> None:
    daemon = begun(hands, minutely)
    halt.halt(hands.store, who="ada", reason="smoke", context=word())
    daemon.tick()
    assert hands.workers[0].told == ["stop"]
    run = hands.workers[0].run
    hands.end(run, e.RunStopped(reason="smoke", cycle=1, steps=0), "stopped")
    hands.wait(60)
    daemon.tick()
    assert skips(hands) == [("halted", 1)]
    with pytest.raises(HaltedError):
        schedules.run_now(
            hands.store, "nightly", now=hands.now, who="b", reason="r", context=word()
        )
    assert len(hands.workers) == 1

    halt.lift(hands.store, who="bob", reason="no fire", context=word())
    daemon.tick()
    assert [one.run for one in hands.workers] == [run, run]
    assert hands.said(e.ScheduleRetried, e.ScheduleFailed) == []


def test_a_run_that_is_stopped_while_it_starts_has_not_failed(
    hands: Hands, minutely: Schedule
) -> None:
    daemon = begun(hands, minutely)
    halt.halt(hands.store, who="ada", reason="smoke", context=word())
    daemon.tick()
    hands.workers[0].ending = "The training process was killed by SIGTERM."
    daemon.tick()
    halt.lift(hands.store, who="bob", reason="no fire", context=word())
    daemon.tick()

    assert [one.run for one in hands.workers] == [hands.workers[0].run] * 2
    assert hands.said(e.ScheduleRetried, e.ScheduleFailed) == []


def test_a_run_that_stopped_earlier_and_now_fails_to_start_has_failed(
    hands: Hands, minutely: Schedule
) -> None:
    daemon = begun(hands, minutely)
    run = hands.workers[0].run
    hands.end(run, e.RunStopped(reason="SIGTERM", cycle=1, steps=0), "stopped")
    daemon.tick()
    assert len(hands.workers) == 2
    hands.workers[1].ending = "no memory"
    daemon.tick()

    (retried,) = hands.said(e.ScheduleRetried)
    assert isinstance(retried, e.ScheduleRetried)
    assert retried.reason == "no memory"


def test_a_run_that_ended_just_before_its_daemon_died_is_not_trained_again(
    hands: Hands, minutely: Schedule
) -> None:
    begun(hands, minutely)
    hands.finish(hands.workers[0].run)
    later = hands.daemon(name="two", nightly=minutely)
    hands.wait(10.5)
    later.tick()

    assert len(hands.workers) == 1
    assert len(hands.said(e.ScheduleFinished)) == 1


def test_a_stopped_daemon_lets_runs_end_or_kills_them_when_their_time_is_up(
    hands: Hands, minutely: Schedule
) -> None:
    daemon = begun(hands, minutely)

    daemon.stop("SIGTERM", hands.wait)

    assert hands.workers[0].told == ["stop", "kill"]
    assert hands.passed == pytest.approx(38.0, abs=0.2)
    assert hands.said(e.DaemonStopped)


def test_other_settings_count_from_the_reload_on(hands: Hands, minutely: Schedule) -> None:
    daemon = hands.daemon(nightly=minutely)
    hands.wait(3)
    daemon.reload({"nightly": replace(minutely, every=20), "other": minutely})
    daemon.tick()
    daemon.tick()
    hands.wait(10)
    daemon.tick()

    assert [one.due for one in fired(hands)] == [START + timedelta(seconds=10)]
    defined = [one for one in hands.said(e.ScheduleDefined) if isinstance(one, e.ScheduleDefined)]
    assert [(one.schedule, one.since) for one in defined] == [
        ("nightly", START),
        ("nightly", START + timedelta(seconds=3)),
        ("other", START + timedelta(seconds=3)),
    ]


def test_a_schedule_that_left_the_settings_is_given_back_once_its_run_has_ended(
    hands: Hands, minutely: Schedule
) -> None:
    daemon = begun(hands, minutely)
    daemon.reload({})
    daemon.tick()
    (lease,) = hands.store.leases("schedule-")
    assert lease.holder

    hands.finish(hands.workers[0].run)
    daemon.tick()
    (lease,) = hands.store.leases("schedule-")
    assert lease.holder is None
    assert len(hands.said(e.ScheduleFinished)) == 1


def test_a_fault_in_keeping_one_schedule_spares_the_others_and_is_recorded(
    hands: Hands, minutely: Schedule
) -> None:
    daemon = hands.daemon(bad=minutely, good=replace(minutely, model="g"))

    def launch(name: str, schedule: Schedule, run: str, seed: int, /) -> object:
        if schedule.model == "m":
            raise ZeroDivisionError("oh")
        return Hands.launch(hands, name, schedule, run, seed)

    object.__setattr__(daemon._out, "launch", launch)
    hands.wait(30)
    daemon.tick()
    daemon.tick()

    assert len(hands.workers) == 1
    (retried,) = hands.said(e.ScheduleRetried)
    assert isinstance(retried, e.ScheduleRetried)
    assert retried.reason == "Fault in the daemon: ZeroDivisionError: oh"


def test_seeds_advance_with_every_fire_if_the_schedule_says_so(
    hands: Hands, minutely: Schedule
) -> None:
    daemon = hands.daemon(nightly=replace(minutely, seed=7, seeds="advance"))
    for _ in range(3):
        hands.wait(60)
        daemon.tick()
        daemon.tick()
        hands.finish(hands.workers[-1].run)
        daemon.tick()

    assert [one.seed for one in hands.workers] == [7, 8, 9]


def test_orders_about_a_schedule_that_is_not_there_are_refused_with_those_there_are(
    hands: Hands, minutely: Schedule
) -> None:
    hands.daemon(nightly=minutely)

    with pytest.raises(NoSuchScheduleError, match=r"knows no schedule daily\. It knows nightly\."):
        schedules.pause(hands.store, "daily", who="ada", reason="x", context=word())
    with pytest.raises(NoSuchScheduleError, match="not paused"):
        schedules.resume(hands.store, "nightly", who="ada", reason="x", context=word())


def test_a_standby_with_other_settings_says_so_once(hands: Hands, minutely: Schedule) -> None:
    hands.daemon(nightly=minutely).tick()
    with capture_logs() as lines:
        standby = hands.daemon(name="two", nightly=replace(minutely, seed=7, attempts=5))
        hands.wait(1)
        standby.tick()

    (said,) = (one for one in lines if "with other settings" in one["event"])
    assert said["differ"] == "attempts, seed"


def test_daemons_that_die_in_a_row_over_a_run_that_gets_no_further_end_it(
    hands: Hands, minutely: Schedule
) -> None:
    daily = replace(minutely, every=0, cron="1 14 * * *", crashes=3)
    begun(hands, daily)
    run = hands.workers[0].run

    def take_over(name: str) -> None:
        daemon = hands.daemon(name=name, nightly=daily)
        hands.wait(10.5)
        daemon.tick()

    take_over("two")
    take_over("three")
    further = e.DivergenceDetected(
        cycle=1, attempt=1, update=1, divergence=0.2, limit=0.1, reference=digest_of(b"")
    )
    hands.store.append(StreamName(f"run-{run}"), None, encoded([further]), word())
    take_over("four")
    take_over("five")
    assert [one.run for one in hands.workers] == [run] * 5
    assert hands.said(e.ScheduleFailed) == []
    take_over("six")

    assert len(hands.workers) == 5
    (failed,) = hands.said(e.ScheduleFailed)
    assert isinstance(failed, e.ScheduleFailed)
    assert (failed.run, failed.attempts) == (run, 1)
    assert failed.reason.startswith("3 daemons in a row died while they trained this run")
