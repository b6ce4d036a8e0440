import csv
import io
import json
import re
import sqlite3
from pathlib import Path

import pytest
import structlog
from click.testing import CliRunner, Result

from stairways import cli
from stairways.cli import gate_matrix
from stairways.store.opening import open_sql_store
from tests import made_up

RUNS = ("20260101-aaaaaa", "20260102-bbbbbb")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log with bars and two runs."""
    file = tmp_path_factory.mktemp("audit") / "log.db"
    store = open_sql_store(f"sqlite:///{file}")
    made_up.write(store, [made_up.registration()], "data")
    for run in RUNS:
        made_up.write(store, made_up.appends(run), run)
    store.close()
    return file


def audit(file: Path, *arguments: str) -> Result:
    result = CliRunner().invoke(
        cli.main,
        ["--database-url", f"sqlite:///{file}", "--set", "audit.record=false", "audit", *arguments],
    )
    structlog.reset_defaults()
    return result


def rows(result: Result) -> list[dict[str, object]]:
    assert result.exit_code == 0, result.output
    found: list[dict[str, object]] = json.loads(result.stdout)
    return found


def test_runs_are_listed_newest_first_with_their_symbols(recorded: Path) -> None:
    found = rows(audit(recorded, "runs", "--json"))

    assert [row["run"] for row in found] == list(reversed(RUNS))
    assert found[0]["symbols"] == "AAPL,MSFT"
    assert found[0]["status"] == "finished"
    assert str(found[0]["started_at"]).endswith("Z")


def test_latest_is_the_newest_run_and_what_is_meant_by_default(recorded: Path) -> None:
    found = audit(recorded, "cycles", "--json").stdout

    assert found == audit(recorded, "cycles", "latest", "--json").stdout
    assert found == audit(recorded, "cycles", RUNS[1], "--json").stdout
    assert found == audit(recorded, "cycles", f"run-{RUNS[1]}", "--json").stdout
    assert found != audit(recorded, "cycles", RUNS[0], "--json").stdout


def test_an_unknown_run_is_refused_with_the_newest_names(recorded: Path) -> None:
    result = audit(recorded, "cycles", "ghost")

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        f"stairways: There is no run ghost. The newest are: {RUNS[1]}, {RUNS[0]}.\n"
    )


def test_a_nearly_right_run_is_suggested(recorded: Path) -> None:
    assert f"Did you mean {RUNS[0]}?" in audit(recorded, "gates", "20260101-aaaaab").stderr


def test_cycles_tell_each_attempt_and_its_verdict(recorded: Path) -> None:
    found = rows(audit(recorded, "cycles", "--json"))

    told = [(row["cycle"], row["attempt"], row["verdict"], row["hold_rate"]) for row in found]
    assert told == [(1, 1, "promoted", 0.75), (2, 1, "rolled back", None), (2, 2, "rejected", 0.75)]


def test_cycles_tell_what_the_actuators_were_worth(recorded: Path) -> None:
    first = rows(audit(recorded, "cycles", "--json"))[0]
    assert (first["bonus_ratio"], first["training_margin_reach"]) == (1.1, 1.5)
    assert (first["margin_reach"], first["saturated"]) == (0.375, 0.0)
    assert "a hold earned 1.10 standard deviations" in audit(recorded, "cycles").stderr


def test_the_table_of_cycles_is_for_eyes(recorded: Path) -> None:
    text = audit(recorded, "cycles").stdout

    assert "-2.50%" in text
    assert text.splitlines()[3].endswith("rejected     drawdown")


def test_gates_can_be_asked_for_one_cycle(recorded: Path) -> None:
    found = rows(audit(recorded, "gates", "--cycle", "2", "--json"))

    assert [(row["gate"], row["passed"]) for row in found] == [
        ("hold_rate", True),
        ("drawdown", False),
    ]


def test_events_in_json_and_csv_are_complete_and_the_same(recorded: Path) -> None:
    as_json = rows(audit(recorded, "events", "--json"))
    as_csv = list(csv.DictReader(io.StringIO(audit(recorded, "events", "--csv").stdout)))

    assert [row["position"] for row in as_json] == list(range(1, len(as_json) + 1))
    assert [int(row["position"]) for row in as_csv] == [row["position"] for row in as_json]
    assert [row["leaf"] for row in as_csv] == [row["leaf"] for row in as_json]


def test_a_table_of_events_says_when_it_shows_a_part_only(recorded: Path) -> None:
    result = audit(recorded, "events")

    assert len(result.stdout.splitlines()) == 51
    assert result.stderr == "Only the first 50 are shown; --limit 0 shows all.\n"
    assert len(audit(recorded, "events", "--limit", "0").stdout.splitlines()) > 1000


def test_the_last_events_can_be_asked_for(recorded: Path) -> None:
    (last,) = rows(audit(recorded, "events", "--tail", "1", "--json"))

    assert last["type"] == "RunFinished"


def test_events_are_told_to_people_in_sentences(recorded: Path) -> None:
    told = audit(recorded, "events", "--run", RUNS[0], "--type", "GateDecided").stdout
    many = audit(recorded, "events", "--run", RUNS[0], "--type", "StepTaken").stdout

    assert re.search(r"gate \w+ (passed|failed)", " ".join(told.split()))
    assert "evidence=" not in told
    assert re.search(r"step [\d,]+ lane \d+, bar \d+ \(2020-.*\): (hold|buy|sell), ", many)
    assert re.search(r"equity 1\d\d,\d\d\d\.\d\d, reward", many)  # in dollars, as everywhere


def test_events_of_a_run_include_what_was_decided_about_it_elsewhere(recorded: Path) -> None:
    found = rows(audit(recorded, "events", "--run", RUNS[0], "--json"))

    assert {row["stream"] for row in found} == {f"run-{RUNS[0]}", "model-pair"}
    assert {row["correlation"] for row in found} == {RUNS[0]}
    assert len(found) == len(made_up.events(RUNS[0]))


def test_events_of_a_cycle_are_all_of_its_attempts_and_nothing_else(recorded: Path) -> None:
    first = rows(audit(recorded, "events", "--run", RUNS[0], "--cycle", "1", "--json"))
    second = rows(audit(recorded, "events", "--run", RUNS[0], "--cycle", "2", "--json"))
    everything = rows(audit(recorded, "events", "--run", RUNS[0], "--json"))

    assert first[0]["type"] == second[0]["type"] == "CycleStarted"
    ends = ("RunStarted", "RunFinished")
    inner = [row["position"] for row in everything if row["type"] not in ends]
    found = [row["position"] for row in [*first, *second] if row["type"] not in ends]
    assert found == inner


@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        (["--type", "GateDecided"], 8),
        (["--type", "gatedecided", "--type", "ModelPromoted"], 10),
        (["--stream", "model-pair", "--type", "ModelRolledBack"], 4),
        (["--actor", "ann@desk", "--to", "3"], 3),
        (["--actor", "eve"], 0),
        (["--type", "ModelPromoted", "--contains", RUNS[0]], 1),
        (["--contains", 'nobody says "this" \x01 é'], 0),
        (["--after", "2", "--to", "5"], 3),
        (["--until", "2000-01-01"], 0),
        (["--since", "2000-01-01T00:00+02:00", "--to", "4"], 4),
        (["--stream", "nothing"], 0),
    ],
)
def test_events_are_filtered(recorded: Path, arguments: list[str], count: int) -> None:
    assert len(rows(audit(recorded, "events", *arguments, "--json"))) == count


def test_steps_join_decision_books_and_controller(recorded: Path) -> None:
    first, *others = rows(audit(recorded, "steps", "--json"))

    assert [row["step"] for row in others] == list(range(2, 901))
    assert first["action"] == "hold hold"
    assert first["equity"] == 100_000.000001
    assert (first["reward"], first["target"], first["margin"]) == (1.5, 0.75, 0.3)
    (record,) = rows(
        audit(
            recorded,
            "events",
            "--after",
            str(int(str(first["position"])) - 1),
            "--limit",
            "1",
            "--json",
        )
    )
    assert record["type"] == "StepTaken"


def test_validation_steps_can_be_asked_for_a_cycle(recorded: Path) -> None:
    found = rows(audit(recorded, "steps", "--validation", "--cycle", "1", "--json"))

    assert len(found) == made_up.VALIDATION_BARS
    assert found[0]["bar"] == 1220


def test_a_cycle_that_is_not_there_is_refused(recorded: Path) -> None:
    for question in ("steps", "gates"):
        result = audit(recorded, question, "--cycle", "9")

        assert (result.exit_code, result.stdout) == (2, "")
        assert "has no cycle 9 so far" in result.stderr


def test_filters_that_nothing_can_pass_are_refused_and_those_nothing_passes_say_so(
    recorded: Path,
) -> None:
    swapped = audit(recorded, "events", "--since", "2026-02-01", "--until", "2026-01-01")
    behind = audit(recorded, "events", "--after", "5", "--to", "3")
    nobody = audit(recorded, "events", "--actor", "nobody", "--json")

    assert (swapped.exit_code, behind.exit_code, nobody.exit_code) == (2, 2, 0)
    assert "--since" in swapped.stderr
    assert "--after" in behind.stderr
    assert json.loads(nobody.stdout) == []
    assert "No event of this log passes these filters." in nobody.stderr


def test_the_newest_events_are_the_last_of_all_that_pass(recorded: Path) -> None:
    for filters in ((), ("--type", "GateDecided"), ("--run", RUNS[0]), ("--cycle", "1")):
        every = rows(audit(recorded, "events", *filters, "--to", "900", "--json"))

        last = audit(recorded, "events", *filters, "--to", "900", "--tail", "7", "--json")

        assert rows(last) == every[-7:]


def test_a_record_is_shown_with_the_line_whose_hash_is_in_the_log(recorded: Path) -> None:
    result = audit(recorded, "show", "4")

    assert result.exit_code == 0
    assert '"name": "cycle_01_hold_75%"' in result.stdout
    assert "which is the stored leaf" in result.stdout


def test_a_position_beyond_the_end_is_refused(recorded: Path) -> None:
    for position in ("0", "999999"):
        result = audit(recorded, "show", position)
        assert result.exit_code == 2
        assert f"There is no position {position}; the log holds 1 to" in result.stderr


def test_a_changed_record_is_a_finding(recorded: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "copy.db"
    with sqlite3.connect(recorded) as source, sqlite3.connect(damaged) as copy:
        source.backup(copy)
        ((guard,),) = copy.execute(
            "SELECT sql FROM sqlite_master WHERE name = 'events_refuse_update'"
        )
        copy.execute("DROP TRIGGER events_refuse_update")
        copy.execute(
            "UPDATE events SET payload = CAST(replace(CAST(payload AS TEXT), '0.75', '0.57')"
            " AS BLOB) WHERE position = 4"
        )
        copy.execute(guard)
    copy.close()
    source.close()

    result = audit(damaged, "show", "4", "--json")

    assert result.exit_code == 1, result.stderr
    assert json.loads(result.stdout)["intact"] is False


def test_a_log_that_is_not_there_is_not_made_by_asking(tmp_path: Path) -> None:
    result = audit(tmp_path / "none.db", "runs")

    assert (result.exit_code, result.stdout) == (2, "")
    assert "There is no log at sqlite:///" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_log_without_runs_says_how_to_start_one(tmp_path: Path) -> None:
    file = tmp_path / "log.db"
    open_sql_store(f"sqlite:///{file}").close()

    assert rows(audit(file, "runs", "--json")) == []
    assert "start one with `stairways train`" in audit(file, "cycles").stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["events", "--type", "Nonsense"],
        ["events", "--since", "yesterday"],
        ["events", "--limit", "-1"],
        ["show", "x"],
        ["nonsense"],
    ],
)
def test_bad_questions_are_exit_2(recorded: Path, arguments: list[str]) -> None:
    result = audit(recorded, *arguments)

    assert (result.exit_code, result.stdout) == (2, "")


def test_names_of_columns_are_those_that_were_asked_for(recorded: Path) -> None:
    done = audit(recorded, "sql", "SELECT position AS the_place FROM audit_events LIMIT 1")

    assert done.stdout.splitlines()[0] == "the_place"


def test_a_range_is_shown_whole_and_a_value_above_its_limit_says_why_it_passed() -> None:
    gate = {"cycle": 1, "attempt": 1, "blocking": True, "passed": True, "reason": "no model yet"}
    gates = [
        {**gate, "gate": "divergence", "value": 0.359, "threshold": 0.15},
        {**gate, "gate": "hold_rate_range", "value": 0.6, "threshold": 0.75,
         "reason": "hold rate on validation 0.6 is inside [0.4, 0.75]"},
    ]  # fmt: skip

    rows, _ = gate_matrix.matrix(gates, [{"cycle": 1, "verdict": "promoted"}])

    assert rows[0] == {"gate": "divergence", "limit": "0.15", "cycle_1": "0.359 °"}
    assert (rows[1]["limit"], rows[1]["cycle_1"]) == ("0.4 to 0.75", "0.6")
    assert gate_matrix.apart(gates) == "° cycle 1 divergence: no model yet"
