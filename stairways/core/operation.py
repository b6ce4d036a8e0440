"""What operation adds up to: whether training is halted, folded from the words of people."""

from collections.abc import Iterable
from dataclasses import dataclass

from stairways.core import events as e


@dataclass(frozen=True, slots=True)
class Halt:
    """All training and serving is stopped."""

    who: str
    reason: str


def standing_halt(events: Iterable[e.Event]) -> Halt | None:
    """Return the halt that is in force after ``events``, in order; None if there is none."""
    halt: Halt | None = None
    for event in events:
        match event:
            case e.TrainingHalted():
                halt = Halt(event.who, event.reason)
            case e.HaltLifted():
                halt = None
            case _:
                continue
    return halt
