"""Bars together with what was seen on the way to them."""

from collections.abc import Mapping
from dataclasses import dataclass

from stairways.core.values import Digest
from stairways.market.bars import Bars
from stairways.market.findings import Finding


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Aligned:
    """Bars on one clock, what the join left out, where they came from, what is odd.

    ``dropped`` counts by symbol the bars that the join left out because another symbol has
    none at that time. ``sources`` maps the name of each file to the SHA-256 of its bytes as
    they lie on the disk, so ``sha256sum`` proves it.
    """

    bars: Bars
    dropped: Mapping[str, int]
    sources: Mapping[str, Digest]
    findings: tuple[Finding, ...]
