"""Fixtures of the tests about metrics."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.prometheus_parts import pushgateway


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[str]:
    with pushgateway(tmp_path) as url:
        yield url
