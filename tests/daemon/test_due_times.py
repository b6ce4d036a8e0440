"""No due time is lost, none is handled twice, and a flood of them is told in few words."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from hypothesis import example, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from stairways.core import events as e
from stairways.daemon.schedule import Schedule, due_between, due_times
from stairways.errors import StairwaysError
from stairways.service.operation import halt, schedules
from tests.daemon.conftest import START, Hands, word

SECOND = timedelta(seconds=1)


def cron(text: str) -> dict[str, str]:
    return {"cron": text, "every": "0", "timezone": "Europe/Berlin"}


def skips(hands: Hands) -> list[e.ScheduleSkipped]:
    return [one for one in hands.said(e.ScheduleSkipped) if isinstance(one, e.ScheduleSkipped)]


def handled(hands: Hands) -> list[datetime]:
    """Return every due time that fired or was skipped, in the order of the log."""
    found, definition = list[datetime](), dict[str, str]()
    for event in hands.said(e.ScheduleDefined, e.ScheduleFired, e.ScheduleSkipped):
        match event:
            case e.ScheduleDefined():
                definition = dict(event.definition)
            case e.ScheduleFired(trigger="time"):
                found.append(event.due)
            case e.ScheduleSkipped():
                times = list(due_times(definition, event.first - SECOND, event.last))
                assert len(times) == event.count
                found += times
    return found


def promised(hands: Hands, until: datetime) -> list[datetime]:
    """Return every due time up to ``until`` of the definition that was in force then."""
    defined = [one for one in hands.said(e.ScheduleDefined) if isinstance(one, e.ScheduleDefined)]
    ends = [one.since for one in defined[1:]] + [until]
    return [
        due
        for one, end in zip(defined, ends, strict=True)
        for due in due_times(one.definition, one.since, end)
    ]


@given(
    st.one_of(
        st.integers(1, 10_000).map(lambda every: {"cron": "", "every": str(every)}),
        st.sampled_from(["*/7 * * * *", "30 2 * * *", "0 0 * * mon"]).map(cron),
    ).map(lambda one: {"timezone": "UTC", **one}),
    st.integers(-(10**9), 10**9),
    st.integers(0, 100_000),
)
def test_due_times_in_a_row_are_those_one_by_one(
    definition: Mapping[str, str], offset: int, length: int
) -> None:
    after = START + timedelta(milliseconds=offset)
    until = after + timedelta(seconds=length % 10_000 if definition["every"] == "1" else length)
    times = list(due_times(definition, after, until))

    found = due_between(definition, after, until)

    if not times:
        assert found is None
        return
    assert found is not None
    assert (found.first, found.last, found.count) == (times[0], times[-1], len(times))
    earlier = found.earlier()
    assert (earlier is None) == (len(times) == 1)
    if earlier is not None:
        assert (earlier.last, earlier.count) == (times[-2], len(times) - 1)


def test_a_schedule_due_each_second_is_looked_at_in_no_time_after_a_year() -> None:
    secondly = {"cron": "", "every": "1", "timezone": "UTC"}

    found = due_between(secondly, START, START + timedelta(days=365))

    assert found is not None
    assert found.count == 365 * 86_400


def test_due_times_that_a_run_outlasts_are_an_event_a_minute_and_none_is_lost(
    hands: Hands, minutely: Schedule
) -> None:
    daemon = hands.daemon(nightly=replace(minutely, every=1))
    for _ in range(600):
        hands.wait(1)
        daemon.tick()
    hands.finish(hands.workers[0].run)
    daemon.tick()
    hands.wait(1)
    daemon.tick()

    told = skips(hands)
    assert {one.cause for one in told} == {"overlap"}
    assert {one.reason for one in told} == {f"run {hands.workers[0].run} has not ended"}
    assert len(told) <= 12
    assert handled(hands) == promised(hands, hands.now)


def test_the_first_due_time_that_is_skipped_is_told_at_once(
    hands: Hands, minutely: Schedule
) -> None:
    daemon = hands.daemon(nightly=replace(minutely, every=1))
    hands.wait(1)
    daemon.tick()
    hands.wait(1)
    daemon.tick()

    assert [(one.cause, one.count) for one in skips(hands)] == [("overlap", 1)]


def test_what_was_due_while_it_was_paused_is_not_trained_when_it_goes_on(
    hands: Hands, minutely: Schedule
) -> None:
    daemon = hands.daemon(nightly=replace(minutely, every=5))
    schedules.pause(hands.store, "nightly", who="ada", reason="holiday", context=word())
    for _ in range(10):
        hands.wait(5)
        daemon.tick()
    schedules.resume(hands.store, "nightly", who="bob", reason="back", context=word())
    daemon.tick()

    assert hands.workers == []
    assert {one.cause for one in skips(hands)} == {"paused"}
    assert handled(hands) == promised(hands, hands.now)


def test_what_was_due_by_the_old_trigger_is_trained_by_whoever_takes_over_with_another(
    hands: Hands, minutely: Schedule
) -> None:
    hands.daemon(nightly=replace(minutely, every=0, cron="1 14 * * *"))
    hands.wait(31)  # it fell silent just before 14:01, when it was due
    standby = hands.daemon(name="two", nightly=replace(minutely, every=0, cron="30 15 * * *"))
    hands.wait(11)
    standby.tick()

    due = START.replace(minute=1, second=0)
    (fire,) = (one for one in hands.said(e.ScheduleFired) if isinstance(one, e.ScheduleFired))
    assert (fire.due, fire.holder) == (due, "pid 1 on two")
    assert [one.run for one in hands.workers] == [fire.run]
    defined = [one for one in hands.said(e.ScheduleDefined) if isinstance(one, e.ScheduleDefined)]
    assert [one.since for one in defined] == [START, hands.now]


def test_what_was_due_by_the_old_trigger_long_ago_is_recorded_as_missed(
    hands: Hands, minutely: Schedule
) -> None:
    hands.daemon(nightly=replace(minutely, every=3600)).stop("SIGTERM", hands.wait)
    hands.wait(3.7 * 3600)
    later = hands.daemon(name="two", nightly=replace(minutely, every=86_400))
    hands.wait(11)
    later.tick()

    assert [(one.cause, one.count) for one in skips(hands)] == [("coalesced", 2), ("late", 1)]
    assert hands.workers == []


ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.integers(1, 200)),
        st.tuples(st.just("every"), st.sampled_from([1, 7, 60, 90])),
        st.tuples(
            st.sampled_from(["finish", "fail", "pause", "resume", "halt", "lift", "die", "order"]),
            st.just(0),
        ),
    ),
    max_size=40,
)


@settings(max_examples=50)
@example([("wait", 2), ("order", 0), ("die", 0), ("every", 1), ("order", 0), ("every", 90)])
@given(ACTS)
def test_whatever_happens_each_due_time_is_handled_once(acts: list[tuple[str, int]]) -> None:
    with capture_logs():
        hands = lived(acts)

    assert handled(hands) == promised(hands, handled(hands)[-1])


def lived(acts: list[tuple[str, int]]) -> Hands:
    """Let daemons live through all that, until nothing is open and all due times were looked at."""
    hands = Hands()
    schedule = Schedule(every=7, data="bars", model="m", attempts=2, backoff=3, late=40)
    daemon, names = hands.daemon(nightly=schedule), iter(range(2, 100))
    for act, number in acts:
        match act:
            case "wait":
                for _ in range(number // 5 + 1):
                    hands.wait(min(number, 5))
                    daemon.tick()
            case "every":
                schedule = replace(schedule, every=number)
                daemon.reload({"nightly": schedule})
            case "die":
                daemon = hands.daemon(name=f"d{next(names)}", nightly=schedule)
                hands.wait(11)
            case _:
                happen(hands, act)
        daemon.tick()
    happen(hands, "resume")
    happen(hands, "lift")
    daemon.tick()
    for _ in range(4):  # whatever run is open ends; then nothing is in the way any more
        happen(hands, "finish")
        daemon.tick()
        hands.wait(3)
        daemon.tick()
    schedules.pause(hands.store, "nightly", who="ada", reason="the end", context=word())
    hands.wait(100)
    daemon.tick()
    return hands


def happen(hands: Hands, act: str) -> None:
    """Let something happen around daemons, if it can."""
    open_now = [one for one in hands.workers if not one.ended()]
    try:
        match act:
            case "finish" if open_now:
                hands.finish(open_now[-1].run)
                open_now[-1].ending = "fine"
            case "fail" if open_now:
                open_now[-1].ending = "bad"
            case "pause":
                schedules.pause(hands.store, "nightly", who="a", reason="r", context=word())
            case "resume":
                schedules.resume(hands.store, "nightly", who="a", reason="r", context=word())
            case "halt":
                halt.halt(hands.store, who="a", reason="r", context=word())
            case "lift":
                halt.lift(hands.store, who="a", reason="r", context=word())
            case "order":
                schedules.run_now(
                    hands.store, "nightly", now=hands.now, who="a", reason="r", context=word()
                )
    except StairwaysError:  # it is so already
        return
