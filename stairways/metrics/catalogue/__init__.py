"""The metrics by name: what each means, and where its value comes from.

``docs/metrics.md`` is made from these tables. Names follow Prometheus' rules: base units,
``_ratio`` for shares from 0 to 1, ``_total`` for what only grows.
"""

from stairways.metrics.catalogue.model import OF_A_MODEL, OfModel
from stairways.metrics.catalogue.operation import OF_A_SCHEDULE, OF_THE_LOG

__all__ = ["OF_A_MODEL", "OF_A_SCHEDULE", "OF_THE_LOG", "OfModel"]
