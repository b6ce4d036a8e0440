"""What verify says is short, tells one damage once, and names what was done."""

import contextlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from stairways import cli
from stairways.core.values import StreamName
from stairways.service.seal import seal_log
from stairways.service.verify.findings import Finding, Findings, contrasted, counted
from stairways.service.verify.log import verify_log
from stairways.store.contract import Context, Encoded
from stairways.store.opening import open_sql_store
from stairways.store.seal import new_key, sign
from tests.cli.test_damage import damage
from tests.store.test_attacks import _fill


def by(append_id: str) -> Context:
    return Context(actor="ada", correlation="c", append_id=append_id)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log of 60 appends of ten steps to two streams in turn."""
    file = tmp_path / "log.db"
    store = open_sql_store(f"sqlite:///{file}")
    for number in range(60):
        steps = [Encoded("StepTaken", 1, b'{"step":%d}' % step) for step in range(10)]
        store.append(StreamName(("alpha", "beta")[number % 2]), None, steps, by(f"a{number}"))
    store.close()
    return file


def said(file: Path) -> Sequence[str]:
    report = verify_log(f"sqlite:///{file}", processes=1)
    assert report.found == len(report.findings)
    return [finding.sentence() for finding in report.findings]


def verify(file: Path) -> Result:
    options = ["--database-url", f"sqlite:///{file}", "--log-level", "error"]
    return CliRunner().invoke(cli.main, [*options, "verify"])


def test_a_long_payload_is_shown_where_it_differs() -> None:
    was = b'{"cycle":1,"parameters":"%b","state":"%b"}' % (b"a" * 63 + b"3", b"b" * 64)
    is_ = was.replace(b"a3", b"a4")

    expected, actual = contrasted(was, is_)

    assert expected == 'parameters: "' + "a" * 63 + '3"'
    assert actual == 'parameters: "' + "a" * 63 + '4"'
    expected, actual = contrasted(was, was.replace(b'"cycle"', b'"cycle'))
    assert expected != actual
    assert max(len(expected), len(actual)) <= 80
    assert contrasted(b"ab", b"ac") == ("6162", "6163")


def test_a_tail_that_was_deleted_is_one_finding_with_its_range(log: Path) -> None:
    damage(log, "DELETE FROM events WHERE position > 200", "DELETE FROM appends WHERE first > 200")

    assert "positions 201 to 600 are missing (400)" in said(log)
    assert len(said(log)) < 4


def test_one_deleted_event_is_not_called_rewritten(log: Path) -> None:
    damage(log, "DELETE FROM events WHERE position = 204")

    sentences = said(log)

    assert sentences[0].startswith("position 204: events.position is missing")
    assert not [one for one in sentences if "record and leaf" in one]
    assert [one for one in sentences[1:] if "not to be computed without position 204" in one]


def test_a_renamed_stream_is_one_finding_that_names_the_table(log: Path) -> None:
    damage(log, "UPDATE streams SET name = 'something else' WHERE name = 'alpha'")

    report = verify_log(f"sqlite:///{log}", processes=1)

    assert len(report.findings) == 1
    assert report.findings[0].position == 1
    assert "something else in streams renamed" in report.findings[0].expected


def test_a_stream_renamed_to_nearly_the_same_is_named_with_its_name(log: Path) -> None:
    damage(log, "UPDATE streams SET name = 'alphx' WHERE name = 'alpha'")

    [finding] = verify_log(f"sqlite:///{log}", processes=1).findings

    assert (finding.field, finding.expected, finding.actual) == ("streams.name", "alpha", "alphx")


def test_a_segment_that_is_gone_is_one_finding(tmp_path: Path) -> None:
    file = tmp_path / "log.db"
    _fill(f"sqlite:///{file}")
    with contextlib.closing(sqlite3.connect(file)) as opened:
        segments = opened.execute("SELECT digest, events FROM segments").fetchall()
    gone, held = max(segments, key=lambda row: row[1])
    assert held > 1
    damage(file, f"DELETE FROM blobs WHERE digest = '{gone}'")

    told = [one for one in said(file) if "events.payload" in one]

    assert len(told) == 1
    assert told[0].startswith("positions ")
    assert told[0].endswith(f"in segment {gone}, which is missing")


def test_a_log_without_a_table_says_that_nothing_was_rehashed(log: Path) -> None:
    with contextlib.closing(sqlite3.connect(log)) as opened:
        opened.execute("DROP TABLE checkpoints")

    result = verify(log)

    assert result.exit_code == 1, result.output
    assert "NOTHING was rehashed, for want of tables" in result.stdout
    assert "Root" not in result.stdout


def test_a_table_that_is_no_longer_as_it_was_made_is_rehashed_all_the_same(log: Path) -> None:
    with contextlib.closing(sqlite3.connect(log)) as opened:
        opened.execute("DROP TABLE leases")

    result = verify(log)

    assert result.exit_code == 1, result.output
    assert "table leases is missing" in result.stderr
    assert "Root" in result.stdout


def test_one_finding_is_a_finding_and_nobody_is_said_to_have_given_a_key(log: Path) -> None:
    store = open_sql_store(f"sqlite:///{log}")
    note = seal_log(store, new_key("example.org/log"), by("seal"))
    store.close()
    forged = sign(note.partition("\n\n")[0] + "\n", new_key("example.org/other"))
    damage(log, "UPDATE checkpoints SET note = CAST('" + forged + "' AS BLOB)")

    result = verify(log)

    assert "checkpoints.note of 1 is signed by none, expected a signature of a key of the log" in (
        result.stderr
    )
    assert "given" not in result.stderr
    assert ", 0 blobs and 0 checkpoints: 2 findings. Root" in result.stdout
    assert (counted(1, "finding"), counted(2_000, "event")) == ("1 finding", "2,000 events")


def test_what_is_missing_one_after_the_other_is_counted_once() -> None:
    findings = Findings()
    findings.extend(Finding(n, "events.position", str(n), "missing") for n in (5, 6, 7, 9))
    findings.drop_after(6)
    findings.add(Finding(6, "events.position", "6", "missing"))

    assert [one.sentence() for one in findings.ordered()] == ["positions 5 to 6 are missing (2)"]
    assert findings.count == 1
