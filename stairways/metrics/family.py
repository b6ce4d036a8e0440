"""What one metric is: a name, a meaning, and where its value comes from."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

Value = float | int | bool | None
What = TypeVar("What")


class Labelled(NamedTuple):
    """A value under further labels."""

    labels: tuple[str, ...]
    value: Value


Values = Value | Iterable[Labelled]


@dataclass(frozen=True)  # slots and type arguments do not go together in Python 3.11
class Family(Generic[What]):
    """One metric: its name, its meaning, where its value is, and labels besides the owner's."""

    name: str
    meaning: str
    read: Callable[[What], Values]
    labels: tuple[str, ...] = ()
    counts: bool = False

    @property
    def shown(self) -> str:
        """Return the name as Prometheus shows it."""
        return f"{self.name}_total" if self.counts else self.name
