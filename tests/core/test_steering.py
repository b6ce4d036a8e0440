"""What the controller's actuators were worth, folded from a run's events."""

from dataclasses import replace

from stairways.core import events as e
from stairways.core.steering import STEERED, Steering, steering
from stairways.core.values import StreamName
from tests.made_up import update, validation


def learned(number: int, **changes: float | None) -> e.PolicyUpdated:
    return replace(update(1, 1, number, 600 * number, 0.01), **changes)  # type: ignore[arg-type] # fields of the event


def test_training_is_the_mean_over_updates_and_validation_what_its_events_say() -> None:
    judged = [
        event
        for _, events in validation(StreamName("run-r"), cycle=1, attempt=1, target=0.7)
        for event in events
        if type(event).__name__ in STEERED
    ]
    updates = [
        learned(1, bonus_ratio=1.0, margin_reach=2.0, saturated=0.0),
        learned(2, bonus_ratio=2.0, margin_reach=4.0, saturated=0.5),
    ]

    found = steering([*updates, *judged])

    assert found == {
        (1, 1): Steering(
            bonus_ratio=1.5,
            training_margin_reach=3.0,
            training_saturated=0.25,
            margin_reach=0.375,
            saturated=0.0,
        )
    }


def test_an_old_log_that_did_not_record_it_says_nothing() -> None:
    old = learned(1, bonus_ratio=None, margin_reach=None, saturated=None)

    assert steering([old]) == {(1, 1): Steering()}
    assert not Steering().was_saturated


def test_a_tenth_of_all_decisions_at_a_limit_is_long() -> None:
    assert Steering(training_saturated=0.1).was_saturated
    assert Steering(saturated=0.1).was_saturated
    assert not Steering(training_saturated=0.09, saturated=0.09).was_saturated
