"""docs/metrics.md says every metric there is, and nothing that is not."""

from pathlib import Path

from ops.metrics_reference import reference

ROOT = Path(__file__).parents[2]


def test_the_reference_of_metrics_is_up_to_date() -> None:
    written = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")

    assert written == reference(), "run: python -m ops.metrics_reference > docs/metrics.md"
