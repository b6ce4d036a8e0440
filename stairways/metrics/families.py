"""Snapshots as metric families: what was never measured is absent, never nil."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from stairways.metrics.catalogue import (
    OF_A_MODEL,
    OF_A_SCHEDULE,
    OF_THE_LOG,
    OfModel,
)
from stairways.metrics.family import Family, Labelled, Values
from stairways.metrics.follower import Snapshot

What = TypeVar("What")


def families(
    snapshot: Snapshot, period: float, only: Iterable[str] | None = None
) -> Iterator[Metric]:
    """Yield the metrics of every model, or of those in ``only``; unmeasured ones are absent.

    ``period`` is how often, in seconds, a model without a schedule is expected to succeed.
    """
    figures = snapshot.figures
    names = [name for name in (figures.models if only is None else only) if name in figures.models]
    models = [
        OfModel(
            name=name,
            model=figures.models[name],
            rollout=snapshot.rollouts.get(name),
            figures=figures,
            period=period,
        )
        for name in names
    ]
    return _made(OF_A_MODEL, ("model",), [((one.name,), one) for one in models])


def schedule_families(snapshot: Snapshot, only: Iterable[str] | None = None) -> Iterator[Metric]:
    """Yield the metrics of every schedule, or of those in ``only``."""
    known = snapshot.figures.schedules.by_name
    names = [name for name in (known if only is None else only) if name in known]
    owners = [((name, known[name].model), known[name]) for name in names]
    return _made(OF_A_SCHEDULE, ("schedule", "model"), owners)


def log_families(snapshot: Snapshot) -> Iterator[Metric]:
    """Yield the metrics of the log as a whole."""
    return _made(OF_THE_LOG, (), [((), snapshot)])


def _made(
    wanted: Iterable[Family[What]],
    labels: tuple[str, ...],
    owners: Sequence[tuple[tuple[str, ...], What]],
) -> Iterator[Metric]:
    for family in wanted:
        metric = _metric(family, (*labels, *family.labels))
        for names, owner in owners:
            _add(metric, names, family.read(owner))
        if metric.samples:
            yield metric


def _metric(
    family: Family[What], labels: tuple[str, ...]
) -> CounterMetricFamily | GaugeMetricFamily:
    kind = CounterMetricFamily if family.counts else GaugeMetricFamily
    return kind(family.name, family.meaning, labels=labels)


def _add(
    metric: CounterMetricFamily | GaugeMetricFamily, labels: tuple[str, ...], values: Values
) -> None:
    several = values if isinstance(values, Iterable) else [Labelled((), values)]
    for further, value in several:
        if value is not None:
            metric.add_metric([*labels, *further], float(value))
