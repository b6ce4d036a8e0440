"""Write docs/metrics.md, the dictionary of every metric, from the tables they are made by.

Run it after changing a metric: ``python -m ops.metrics_reference > docs/metrics.md``.
"""

from collections.abc import Iterable
from typing import Any

from stairways.metrics.catalogue import OF_A_MODEL, OF_A_SCHEDULE, OF_THE_LOG
from stairways.metrics.family import Family

HEADER = """# Metrics

The log in figures, for Prometheus. They are a projection like the read models: folded from the
log itself, from its first event on, so that whoever asks gets the same, and a restart loses
nothing. Figures of single steps are those of the newest rollout that was learned from. What was
never measured is absent, not nil. The log stays the truth: money in these figures is rounded.

```console
$ stairways metrics                                    # print them
$ stairways metrics --serve 9464                       # answer scrapes until interrupted
$ stairways metrics --push http://127.0.0.1:9091       # add them to a Pushgateway, once
```

**Scraped.** The daemon answers at `metrics.address` and `metrics.port`, by default
`http://127.0.0.1:9464/metrics`, from what it saw of the log at most `metrics.interval` seconds
ago. It never makes a scrape wait for the database: while that is gone, the last figures stand and
`stairways_log_reachable` is 0.

**Pushed.** With `metrics.gateway` set, `stairways train` pushes while it trains and once more at
its end. A thread of its own looks at the log every `metrics.interval` seconds and pushes what is
new; training never waits for it, and its end at most `metrics.timeout` and a second. A gateway
that is gone costs a warning and an `AlertPushFailed` event, at most one in `metrics.report_every`
seconds for each schedule. Pushes add to a group (`POST`), so that what a push does not know
stays. There are two groups: the metrics of the log under `job` alone, those of a model under
`job` and `schedule`; never a run, for groups last for ever. User and password may stand in the
URL of the gateway.

`metrics.job` names the log: two logs that one Prometheus watches need two names, both beginning
with `stairways`, such as `stairways-paper`, for by that `StairwaysDaemonAbsent` knows the jobs in
which a daemon should answer. Where daemon and gateway both tell of a model,
`ops/prometheus/rules.yml` believes who knows the newest event (`stairways_model_position`,
`stairways_log_position`).

The text is made by `ops/metrics_reference.py`; a test fails when it is not up to date.
"""


def reference() -> str:
    """Return the whole of docs/metrics.md."""
    return HEADER + "".join(
        (
            _section("Of a model", "Label `model`, and what is named.", OF_A_MODEL),
            _section(
                "Of a schedule", "Labels `schedule` and `model`, and what is named.", OF_A_SCHEDULE
            ),
            _section("Of the log", "No label but what is named.", OF_THE_LOG),
        )
    )


def _section(title: str, remark: str, families: Iterable[Family[Any]]) -> str:
    rows = "".join(f"| `{one.shown}` | {_labels(one)} | {_meaning(one)} |\n" for one in families)
    return f"\n## {title}\n\n{remark}\n\n| metric | labels | meaning |\n|---|---|---|\n{rows}"


def _labels(family: Family[Any]) -> str:
    return " ".join(f"`{label}`" for label in family.labels)


def _meaning(family: Family[Any]) -> str:
    return family.meaning.rstrip(".").replace("|", r"\|")


if __name__ == "__main__":
    print(reference(), end="")
