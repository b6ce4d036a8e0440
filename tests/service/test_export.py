"""Exports: whole or not there, right types, and a bundle that convinces a stranger."""

import csv
import hashlib
import json
import math
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pytest
import structlog
from click.testing import CliRunner, Result

from stairways import cli, codec
from stairways.core import events as e
from stairways.core.merkle import root_of
from stairways.core.values import StreamName
from stairways.service.export.bundle import VERIFIER
from stairways.service.export.proofs import gaps
from stairways.service.export.tables import columns_of, table_names
from stairways.service.export.verify_bundle import root_of as stranger_root
from stairways.service.seal import seal_log
from stairways.store.contract import Context, Encoded
from stairways.store.opening import open_sql_store
from stairways.store.seal import PrivateKey, new_key, sign
from tests import made_up, trained


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
    assert done.stdout.splitlines()[-1] == "everything holds"
    assert re.search(r"balances +\d\d+ validation balances derived again", done.stdout)


def test_the_checker_in_the_bundle_is_the_one_of_the_program(bundle: Path) -> None:
    with zipfile.ZipFile(bundle) as held:
        assert held.read("verify.py") == VERIFIER.read_bytes()


def _edit(name: str, old: bytes, new: bytes) -> Callable[[str, bytes], bytes | None]:
    return lambda entry, content: content.replace(old, new, 1) if entry == name else content


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

    assert done.returncode == 0, done.stdout
    assert "NONE: nobody signed the log" in done.stdout


@pytest.mark.parametrize("size", range(1, 20))
def test_the_proof_of_many_records_leads_to_the_root(size: int) -> None:
    leaves = [hashlib.sha256(bytes([number])).digest() for number in range(size)]
    for chosen in range(1 << min(size, 8)):
        indexes = [number for number in range(size) if chosen >> number % 8 & 1]
        hashes = [root_of(leaves[first:last]) for first, last in gaps(indexes, 0, size)]
        known = {number: leaves[number] for number in indexes}
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
    assert len(pd.DataFrame(pl.read_parquet(parquet / "steps.parquet").to_dicts())) > 800


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
