"""Exports: whole or not there, right types, and a bundle that convinces a stranger."""

import csv
import hashlib
import itertools
import json
import math
import os
import re
import shutil
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Callable, Iterator
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pytest
import structlog
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from stairways import cli, codec
from stairways.core import events as e
from stairways.core.merkle import root_of
from stairways.core.values import MICROS_PER_DOLLAR, StreamName
from stairways.errors import ExportError
from stairways.service.export.bundle import VERIFIER
from stairways.service.export.charts import Scale
from stairways.service.export.proofs import gaps, prove_records
from stairways.service.export.report import _counted, falls_of, report_page
from stairways.service.export.report_facts import gather
from stairways.service.export.story import records_of
from stairways.service.export.tables import all_rows, columns_of, table_names, write_parquet
from stairways.service.export.verify_bundle import Leaves
from stairways.service.export.verify_bundle import root_of as stranger_root
from stairways.service.export.writing import whole
from stairways.service.seal import seal_log
from stairways.service.skill.told import conclusion_lines
from stairways.store.asking import Bounds, ask_sql
from stairways.store.contract import Context, Encoded
from stairways.store.opening import open_sql_store
from stairways.store.seal import PrivateKey, new_key, sign
from stairways.store.sql import SqlStore
from tests import made_up, trained
from tests.store.test_views import fill


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="module")
def key() -> PrivateKey:
    return new_key("example.org/log")


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory, key: PrivateKey) -> str:
    """The URL of the sealed log of a trained run and of other records."""
    url = f"sqlite:///{tmp_path_factory.mktemp('export')}/log.db"
    store = open_sql_store(url)
    made_up.write(store, made_up.appends("other"), "other")
    trained.train(store)
    evil = e.RunFailed(reason="=1+1\x1b[31m<script>alert(1)</script>", cycle=1, step=1)
    context = Context(actor="@evil", correlation="r1", append_id="evil")
    store.append(
        StreamName("run-r1"), None, [Encoded(*codec.type_of(evil), codec.encode(evil))], context
    )
    seal_log(store, key, Context(actor="ann", correlation="seal", append_id="seal"))
    store.close()
    return url


def export(url: str, form: str, out: Path, *more: str) -> Result:
    options = ("--database-url", url, "--log-level", "error", "export", "r1")
    return CliRunner().invoke(
        cli.main, [*options, "--format", form, "--out", str(out), "--no-record", *more]
    )


@pytest.fixture(scope="module")
def bundle(log: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("bundle") / "run.zip"
    done = export(log, "bundle", out)
    assert done.exit_code == 0, done.stderr
    return out


def check(bundle: Path, *more: str) -> "subprocess.CompletedProcess[str]":
    """Check a bundle as a stranger: another folder, no package in sight."""
    script = Path(shutil.copy(VERIFIER, bundle.parent / "verify.py"))
    return subprocess.run(
        [sys.executable, "-I", "-S", script, bundle, *more],
        capture_output=True,
        text=True,
        check=False,
        cwd=bundle.parent,
        env={"PATH": os.environ["PATH"]},
    )


def rewritten(bundle: Path, change: Callable[[str, bytes], bytes | None]) -> Path:
    """Write the bundle again with changed entries."""
    out = bundle.with_name("changed.zip")
    with zipfile.ZipFile(bundle) as old, zipfile.ZipFile(out, "w") as new:
        for entry in old.infolist():
            content = change(entry.filename, old.read(entry))
            if content is not None:
                new.writestr(entry.filename, content)
    return out


def test_a_stranger_finds_that_everything_holds(bundle: Path, key: PrivateKey) -> None:
    with zipfile.ZipFile(bundle) as held:
        kept = bundle.parent / "kept"
        kept.write_bytes(held.read("checkpoint"))

    done = check(bundle, "--key", str(key.public), "--kept", str(kept))

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "everything holds, except what is named as not proven"
    assert re.search(r"balances +\d\d+ validation balances derived again", done.stdout)
    file = bundle.parent / "log.pub"
    file.write_text(f"{key.public}\n")
    assert check(bundle, "--key", "log.pub", "--kept", str(kept)).stdout == done.stdout


def test_a_report_counts_in_words_that_agree() -> None:
    assert [_counted(count, "model") for count in (0, 1, 2)] == ["0 models", "1 model", "2 models"]


def test_the_checker_in_the_bundle_is_the_one_of_the_program(bundle: Path) -> None:
    with zipfile.ZipFile(bundle) as held:
        assert held.read("verify.py") == VERIFIER.read_bytes()


def _edit(name: str, old: bytes, new: bytes) -> Callable[[str, bytes], bytes | None]:
    return lambda entry, content: content.replace(old, new, 1) if entry == name else content


def _put(name: str, new: bytes) -> Callable[[str, bytes], bytes]:
    return lambda entry, content: new if entry == name else content


def _with_manifest(bundle: Path) -> Path:
    """Let a changed bundle's manifest name the files that are in it now."""
    with zipfile.ZipFile(bundle) as held:
        manifest = json.loads(held.read("manifest.json"))
        if "files" not in manifest:
            return bundle
        for name in manifest["files"]:
            manifest["files"][name] = hashlib.sha256(held.read(name)).hexdigest()
    again = bundle.rename(bundle.with_name("before.zip"))
    return rewritten(again, _put("manifest.json", json.dumps(manifest).encode()))


CHANGES = {
    "a balance": _edit("records.jsonl", b'"equity":1', b'"equity":2'),
    "an actor": _edit("records.jsonl", b'"actor":"test"', b'"actor":"tess"'),
    "a record left out": lambda name, content: (
        b"\n".join(content.split(b"\n")[:50] + content.split(b"\n")[51:])
        if name == "records.jsonl"
        else content
    ),
    "the root": _edit("proof.json", b'"root": "', b'"root": "0'),
    "a hash of the proof": lambda name, content: (
        re.sub(rb'"[0-9a-f]{64}"', b'"' + b"0" * 64 + b'"', content, count=1)
        if name == "proof.json"
        else content
    ),
    "the bars": lambda name, content: content + b"x" if name.startswith("blobs/") else content,
    "no bars": lambda name, content: None if name.startswith("blobs/") else content,
    "the report": _edit("report.html", b"Verdicts", b"verdicts"),
    "the checkpoint": _edit("checkpoint", b"example.org/log\n", b"example.org/lag\n"),
    "no checkpoint": lambda name, content: None if name == "checkpoint" else content,
    "no manifest": lambda name, content: b"{}" if name == "manifest.json" else content,
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_is_changed_in_a_bundle_is_found(
    bundle: Path, key: PrivateKey, change: str
) -> None:
    done = check(rewritten(bundle, CHANGES[change]), "--key", str(key.public))

    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith("WRONG")


def test_another_key_and_a_forged_signature_are_found(bundle: Path, key: PrivateKey) -> None:
    other = new_key("example.org/log")
    forged = rewritten(
        bundle,
        lambda name, content: (
            sign(content.decode().split("\n\n")[0] + "\n", other).encode()
            if name == "checkpoint"
            else content
        ),
    )

    assert check(bundle, "--key", str(other.public)).returncode == 1
    said = check(forged, "--key", str(key.public))
    assert (said.returncode, "did not sign the checkpoint" in said.stdout) == (1, True)


def test_a_bundle_of_a_log_nobody_signed_says_so(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/log.db"
    store = open_sql_store(url)
    trained.train(store)
    store.close()

    assert export(url, "bundle", tmp_path / "run.zip").exit_code == 0
    done = check(tmp_path / "run.zip")

    assert done.returncode == 2, done.stdout
    assert "NONE: nobody signed the log" in done.stdout
    assert "holds" not in done.stdout


def test_without_a_key_or_a_kept_checkpoint_nothing_is_called_proven(bundle: Path) -> None:
    done = check(bundle)

    assert done.returncode == 2, done.stdout
    assert "signature    NOT CHECKED" in done.stdout
    assert "NOT PROVEN   the bundle agrees with itself" in done.stdout
    assert "holds" not in done.stdout


def _without(log: str, bundle: Path, gone: Callable[[dict[str, Any]], object]) -> Path:
    """Leave records out of the bundle and make proof and manifest fit, as a forger would."""
    with zipfile.ZipFile(bundle) as held:
        lines = held.read("records.jsonl").splitlines(keepends=True)
        proof = json.loads(held.read("proof.json"))
        manifest = json.loads(held.read("manifest.json"))
    kept = [line for line in lines if not gone(json.loads(line))]
    assert len(kept) < len(lines)
    store = open_sql_store(log, read_only=True)
    indexes = [json.loads(line)["position"] - 1 for line in kept]
    proof["hashes"] = [one.hex() for one in prove_records(store, indexes, proof["size"])]
    store.close()
    made = json.dumps(proof).encode()
    manifest["files"]["proof.json"] = hashlib.sha256(made).hexdigest()
    forged = {
        "records.jsonl": b"".join(kept),
        "proof.json": made,
        "manifest.json": json.dumps(manifest).encode(),
    }
    return rewritten(bundle, forged.get)


def _is(type_: str, cycle: int) -> Callable[[dict[str, Any]], bool]:
    return lambda one: one["type"] == type_ and one["payload"]["cycle"] == cycle


LEFT_OUT = {
    "the gates of a cycle": (_is("GateDecided", 1), "record 1 of model-default is missing"),
    "every word about the model": (
        lambda one: one["stream"] == "model-default",
        "the verdict on cycle 1, attempt 1, is missing",
    ),
    "the last promotion": (_is("ModelPromoted", 2), "the promotion that the verdict at"),
    "the last cycle": (
        lambda one: one["payload"].get("cycle") == 2 and one["stream"] == "model-default",
        "the verdict on cycle 2",
    ),
    "a step of training": (
        lambda one: one["type"] == "StepTaken" and one["payload"]["step"] == 7,
        "of run-r1 is missing",
    ),
}


@pytest.mark.parametrize("what", LEFT_OUT)
def test_a_bundle_that_leaves_decisions_out_is_wrong_though_its_proof_fits(
    log: str, bundle: Path, key: PrivateKey, what: str
) -> None:
    gone, said = LEFT_OUT[what]

    done = check(_without(log, bundle, gone), "--key", str(key.public))

    assert done.returncode == 1, done.stdout + done.stderr
    assert "signature    by" in done.stdout
    assert said in done.stdout.splitlines()[-1]


def test_a_bundle_has_what_other_runs_said_of_the_model(log: str, bundle: Path) -> None:
    store = open_sql_store(log, read_only=True)
    due = [r.position for r in store.read(stream=StreamName("model-default"))]
    store.close()

    with zipfile.ZipFile(bundle) as held:
        told = map(json.loads, held.read("records.jsonl").splitlines())
        assert [one["position"] for one in told if one["stream"] == "model-default"] == due


def test_the_results_are_told_from_the_records_and_the_page_is_called_unproven(
    bundle: Path, key: PrivateKey
) -> None:
    def forged(name: str, content: bytes) -> bytes:
        if name == "report.html":
            return page
        return content.replace(digest, hashlib.sha256(page).hexdigest().encode())

    with zipfile.ZipFile(bundle) as held:
        old = held.read("report.html")
    page, digest = old.replace(b"+0.", b"+9."), hashlib.sha256(old).hexdigest().encode()
    done = check(rewritten(bundle, forged), "--key", str(key.public))

    assert re.search(r"result +cycle 1, attempt 1: return [+-]\d\.\d\d%, hold rate", done.stdout)
    assert "not proven   report.html, README.txt and manifest.json" in done.stdout
    with zipfile.ZipFile(bundle) as held:
        assert "report.html    the run on one page: NOT PROVEN" in held.read("README.txt").decode()


def test_a_bundle_without_a_promoted_model_is_wrong(bundle: Path, key: PrivateKey) -> None:
    with zipfile.ZipFile(bundle) as held:
        told = [json.loads(line) for line in held.read("records.jsonl").splitlines()]
    model = next(one["payload"]["state"] for one in told if one["type"] == "ModelPromoted")

    done = check(
        rewritten(bundle, lambda name, content: None if name.endswith(model) else content),
        "--key",
        str(key.public),
    )

    assert (done.returncode, f"blobs/{model} is missing" in done.stdout) == (1, True)


@pytest.mark.parametrize("name", ["../../evil", "blobs/" + "0" * 64, "verify.py", "blobs/"])
def test_a_bundle_with_something_that_does_not_belong_there_is_wrong(
    bundle: Path, key: PrivateKey, name: str
) -> None:
    more = rewritten(bundle, lambda _, content: content)
    with zipfile.ZipFile(more, "a") as added, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile warns of a second verify.py
        added.writestr(name, b"x")

    done = check(more, "--key", str(key.public))

    assert (done.returncode, name in done.stdout.splitlines()[-1]) == (1, True)


RUBBISH = {
    "deep JSON": (_put("proof.json", b"[" * 200_000), "proof.json is malformed"),
    "cut records": (
        lambda name, content: content[:1000] if name == "records.jsonl" else content,
        "of records.jsonl is malformed",
    ),
    "no records": (_put("records.jsonl", b""), "records.jsonl is empty"),
    "fewer records": (
        lambda name, content: (
            content[: content.index(b"\n", len(content) // 2) + 1]
            if name == "records.jsonl"
            else content
        ),
        "the proof is too short for the records",
    ),
    "an empty manifest": (_put("manifest.json", b"{}"), "manifest.json has no format"),
    "a manifest that is a list": (_put("manifest.json", b"[]"), "manifest.json is malformed"),
    "a bad checkpoint": (_put("checkpoint", b"\xff"), "checkpoint is malformed"),
}


@pytest.mark.parametrize("what", RUBBISH)
def test_rubbish_in_a_bundle_is_named_with_its_place(
    bundle: Path, key: PrivateKey, what: str
) -> None:
    change, said = RUBBISH[what]

    done = check(_with_manifest(rewritten(bundle, change)), "--key", str(key.public))

    assert (done.returncode, done.stderr) == (1, "")
    assert said in done.stdout.splitlines()[-1]


@pytest.mark.parametrize("option", ["--key", "--kept"])
def test_an_argument_that_cannot_be_used_is_named_and_is_no_fault_of_the_bundle(
    bundle: Path, option: str
) -> None:
    junk = bundle.parent / "junk"
    junk.write_bytes(b"junk\xff")

    done = check(bundle, option, "junk")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"cannot look: {option} junk: no ")


@pytest.mark.parametrize("size", range(1, 20))
def test_the_proof_of_many_records_leads_to_the_root(size: int) -> None:
    leaves = [hashlib.sha256(bytes([number])).digest() for number in range(size)]
    for chosen in range(1 << min(size, 8)):
        indexes = [number for number in range(size) if chosen >> number % 8 & 1]
        hashes = [root_of(leaves[first:last]) for first, last in gaps(indexes, 0, size)]
        known = Leaves()
        for number in indexes:
            known.add(number, leaves[number])
        assert stranger_root(known, iter(hashes), size) == root_of(leaves)


def test_the_same_log_gives_the_same_bytes(log: str, bundle: Path, tmp_path: Path) -> None:
    size = str(open_sql_store(log, read_only=True).head().size)
    for form, name in (("bundle", "run.zip"), ("html", "run.html")):
        for folder in ("a", "b"):
            (tmp_path / folder).mkdir(exist_ok=True)
            done = export(log, form, tmp_path / folder / name, "--at", size)
            assert done.exit_code == 0, done.stderr
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert (tmp_path / "a" / "run.zip").read_bytes() == bundle.read_bytes()


def test_the_page_stays_the_same_when_the_log_has_grown(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/log.db"
    store = open_sql_store(url)
    trained.train(store)
    size = store.head().size
    assert export(url, "html", tmp_path / "a.html").exit_code == 0
    made_up.write(store, made_up.appends("later"), "later")
    store.close()

    assert export(url, "html", tmp_path / "b.html", "--at", str(size)).exit_code == 0
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_the_page_has_every_part_needs_nothing_and_obeys_nothing(log: str, tmp_path: Path) -> None:
    assert export(log, "html", tmp_path / "run.html").exit_code == 0
    page = (tmp_path / "run.html").read_text(encoding="utf-8")

    parts = re.findall(r"<h2>(.*?)</h2>", page)
    assert parts == [
        "Verdicts", "Hold rate against target", "Controller", "Equity and drawdown", "Statistics",
        "Gates and their evidence", "Divergence and rollbacks", "Data and findings", "Replay",
        "Lineage", "How to verify",
    ]  # fmt: skip
    assert page.count("<svg") >= 6
    assert "<script" not in page
    assert not re.search(r"""(src|href)=|url\(|@import""", page)
    assert "\x1b" not in page


def test_the_page_says_what_the_results_are_worth_beside_what_simple_strategies_earned(
    log: str, tmp_path: Path
) -> None:
    assert export(log, "html", tmp_path / "run.html").exit_code == 0
    page = (tmp_path / "run.html").read_text(encoding="utf-8")
    store = open_sql_store(log, read_only=True)
    facts = gather(store, "r1")
    store.close()

    head = page.split("<h2>")[0]
    *figures, conclusion = conclusion_lines(facts.concluded)
    assert conclusion.startswith("No evidence of skill: ")
    assert all(escape(line) in head for line in (*figures, conclusion))
    assert page.count('<tr class="says">') == len(facts.weighed) > 0
    measured = (one for _, one in facts.told if isinstance(one, e.BaselinesMeasured))
    served = next(measured)
    capital = float(facts.start.settings["trading.starting_capital"])
    ends = facts.simple.buy_and_hold[-1], facts.simple.always_hold[-1]
    assert [end / capital - 1 for end in ends] == pytest.approx(
        [served.buy_and_hold, served.always_hold], abs=1e-9
    )


def test_the_page_draws_a_validation_whole_so_that_its_deepest_fall_is_seen(log: str) -> None:
    store = open_sql_store(log, read_only=True)
    facts = gather(store, "r1")
    assert facts.shown is not None
    judged = [
        event
        for _, event in facts.told
        if isinstance(event, e.EvaluationFinished)
        and (event.cycle, event.attempt) == (facts.shown.cycle, facts.shown.attempt)
    ]
    store.close()

    assert len(facts.shown.equity) == judged[0].decisions
    falls = falls_of(facts.shown.equity, judged[0].start_equity / MICROS_PER_DOLLAR)
    assert -min(falls) == pytest.approx(judged[0].drawdown)


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_what_is_written_at_an_axis_is_round_and_inside_of_it(low: float, width: float) -> None:
    written = Scale(low, low + width, str).ticks()

    assert 2 <= len(written) <= 17
    assert low - 1e-6 * width <= written[0] <= written[-1] <= low + width * (1 + 1e-6)
    steps = {f"{after - before:.4g}" for before, after in itertools.pairwise(written)}
    assert all(step.replace(".", "").strip("0")[0] in "125" for step in steps if "e" not in step)


@pytest.fixture(scope="module")
def parquet(log: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("parquet") / "run"
    assert export(log, "parquet", out).exit_code == 0
    return out


def test_parquet_opens_everywhere_with_the_same_rows(parquet: Path) -> None:
    for name in table_names():
        file = parquet / f"{name}.parquet"
        counted = duckdb.execute(f"SELECT count(*) FROM '{file}'").fetchall()
        assert counted == [(pl.read_parquet(file).height,)]
        assert pl.read_parquet(file).columns == list(columns_of(name))
        assert len(pd.read_parquet(file)) == counted[0][0]


def test_pandas_reads_parquet_with_the_right_types(parquet: Path) -> None:
    steps = pd.read_parquet(parquet / "steps.parquet")

    kinds = {name: str(steps[name].dtype) for name in ("position", "bar_time", "reward", "run")}
    assert kinds == {
        "position": "int64", "bar_time": "datetime64[us, UTC]", "reward": "float64", "run": "str",
    }  # fmt: skip
    assert str(steps["terminated"].dtype) == "bool"
    assert steps["shares"].iloc[0].dtype == "int64"


def test_parquet_has_the_right_types(parquet: Path) -> None:
    file = parquet / "steps.parquet"
    types = dict(
        duckdb.execute(
            f"SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM '{file}')"
        ).fetchall()
    )

    wanted = {
        "position": "BIGINT",
        "bar_time": "TIMESTAMP WITH TIME ZONE",
        "shares": "BIGINT[]",
        "clipped": "BOOLEAN[]",
        "equity": "BIGINT",
        "reward": "DOUBLE",
        "terminated": "BOOLEAN",
        "run": "VARCHAR",
    }
    assert {name: types[name] for name in wanted} == wanted


def test_values_are_those_of_the_log_bit_for_bit(log: str, parquet: Path) -> None:
    store = open_sql_store(log, read_only=True)
    recorded = [
        codec.decode(r.type, r.schema, r.payload)
        for r in store.read(stream=StreamName("run-r1"), types=("StepTaken",))
    ]
    store.close()

    rows = pl.read_parquet(parquet / "steps.parquet").to_dicts()

    assert len(rows) == len(recorded)
    for row, event in zip(rows, recorded, strict=True):
        assert isinstance(event, e.StepTaken)
        assert math.copysign(1, row["reward"]) == math.copysign(1, event.reward)
        assert (row["reward"], row["equity"], tuple(row["shares"])) == (
            event.reward, event.equity, event.shares,
        )  # fmt: skip
        assert row["bar_time"] == event.bar_time


@pytest.fixture(scope="module")
def full_log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqlStore]:
    """A log with every type of event: runs that finished, failed, and just began."""
    url = f"sqlite:///{tmp_path_factory.mktemp('full')}/log.db"
    fill(url)
    store = open_sql_store(url)
    yield store
    store.close()


@pytest.mark.parametrize("table", ["runs", "cycles", "fills", "settings"])
@pytest.mark.parametrize("run", ["r1", "r2", "r3", "r4"])
def test_tables_that_sum_up_say_what_the_views_of_their_names_say(
    full_log: SqlStore, run: str, table: str
) -> None:
    ours = [
        tuple(as_stored(row[name]) for name in columns_of(table))
        for name, row in all_rows(records_of(full_log, run), run)
        if name == table
    ]
    theirs = ask_sql(
        full_log.driver, f"SELECT * FROM audit_{table} WHERE run = '{run}'", Bounds()
    ).rows

    assert sorted(ours, key=repr) == sorted(theirs, key=repr)
    assert ours or table in ("cycles", "fills")


def as_stored(value: object) -> object:
    """Return a value as SQLite's views have it."""
    if isinstance(value, datetime):
        return codec.time_text(value)
    return value.replace("\x00", "\ufffd") if isinstance(value, str) else value


def test_csv_is_harmless_and_its_negative_numbers_are_numbers(log: str, tmp_path: Path) -> None:
    assert export(log, "csv", tmp_path / "run").exit_code == 0

    with (tmp_path / "run" / "failures.csv").open(encoding="utf-8") as file:
        [failure] = csv.DictReader(file)
    with (tmp_path / "run" / "steps.csv").open(encoding="utf-8") as file:
        rewards = [row["reward"] for row in csv.DictReader(file)]
    assert failure["reason"].startswith("'=1+1")
    assert failure["actor"] == "'@evil"
    assert min(map(float, rewards)) < 0
    steps = pd.read_csv(tmp_path / "run" / "steps.csv")
    assert steps["reward"].dtype == "float64"
    assert {file.stem for file in (tmp_path / "run").iterdir()} == set(table_names())


def test_each_line_of_jsonl_is_what_was_hashed(log: str, tmp_path: Path) -> None:
    assert export(log, "jsonl", tmp_path / "run.jsonl").exit_code == 0

    store = open_sql_store(log, read_only=True)
    for line in (tmp_path / "run.jsonl").read_bytes().splitlines()[::50]:
        position = json.loads(line)["position"]
        [leaf] = store.leaves(position, position)
        assert hashlib.sha256(b"\x00" + line).digest() == leaf
    store.close()


def test_the_report_says_how_many_decisions_to_trade_filled_an_order(log: str) -> None:
    store = open_sql_store(log, read_only=True)
    facts = gather(store, "r1")
    page = report_page(store, "r1").decode()
    store.close()

    [first, *_] = [c for c in facts.cycles if c["decisions"]]
    asked = round(first["decisions"] * (1 - first["hold_rate"]))
    assert asked
    assert first["filled"] == first["trades"] / asked
    assert f'<td class="n">{first["filled"]:.2f}</td>' in page.replace("'", '"')


@pytest.mark.parametrize("form", ["csv", "html"])
def test_nothing_is_overwritten_unless_told(log: str, tmp_path: Path, form: str) -> None:
    out = tmp_path / "out"
    assert export(log, form, out).exit_code == 0

    again = export(log, form, out)
    told = export(log, form, out, "--replace")

    assert (again.exit_code, again.stdout) == (2, "")
    assert "is there already" in again.stderr
    assert told.exit_code == 0
    assert [one.name for one in tmp_path.iterdir()] == ["out"]


def test_a_full_disk_leaves_nothing_behind(log: str, tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    options = ["--database-url", log, "export", "r1", "--format", "jsonl", "--no-record"]
    done = subprocess.run(
        [sys.executable, "-m", "stairways", *options, "--out", str(tmp_path / "run.jsonl")],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)),
    )

    assert done.returncode == 2, done.stdout
    assert "cannot be written" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_tables_that_a_disk_refuses_are_refused_in_one_sentence(log: str, tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    store = open_sql_store(log, read_only=True)
    records = list(records_of(store, "r1"))
    store.close()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, before[1]))
    try:
        with (
            pytest.raises(ExportError, match="make room, and export again"),
            whole(tmp_path / "run", replace=False) as part,
        ):
            write_parquet(records, "r1", part)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert list(tmp_path.iterdir()) == []


def test_an_export_is_recorded_with_the_digests_of_its_files(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/log.db"
    store = open_sql_store(url)
    trained.train(store)
    store.close()
    options = ("--database-url", url, "--log-level", "error", "export", "latest")
    out = tmp_path / "run.jsonl"

    done = CliRunner().invoke(cli.main, [*options, "--format", "jsonl", "--out", str(out)])

    store = open_sql_store(url, read_only=True)
    [made] = [codec.decode(r.type, r.schema, r.payload) for r in store.read(types=("ExportMade",))]
    store.close()
    assert done.exit_code == 0, done.stderr
    assert isinstance(made, e.ExportMade)
    assert made.files == {"run.jsonl": hashlib.sha256(out.read_bytes()).hexdigest()}
    assert (made.run, made.format) == ("r1", "jsonl")


@pytest.mark.parametrize("arguments", [("--format", "docx"), ("--at", "0"), ("--at", "99999999")])
def test_bad_requests_are_exit_2(log: str, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = export(log, "html", tmp_path / "x.html", *arguments)

    assert done.exit_code == 2
    assert list(tmp_path.iterdir()) == []
