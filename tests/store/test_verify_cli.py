"""``stairways verify`` and its neighbours as somebody types them."""

import base64
import json
import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from stairways.core.values import NEW, StreamName
from stairways.store.contract import Context, Encoded
from stairways.store.opening import open_sql_store

ROOT = Path(__file__).parents[2]


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "stairways", *arguments],
        cwd=folder,
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "STAIRWAYS_DATABASE_URL": "sqlite:///log.db"},
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a log of 20 steps and a key."""
    store = open_sql_store(f"sqlite:///{tmp_path}/log.db")
    events = [Encoded("StepTaken", 1, b'{"step":%d}' % number) for number in range(20)]
    store.append(
        StreamName("run-1"), NEW, events, Context(actor="a", correlation="c", append_id="1")
    )
    store.close()
    return tmp_path


def test_a_flipped_byte_is_named_with_its_position_and_exit_code_1(folder: Path) -> None:
    assert run(folder, "verify").returncode == 0
    damaged = sqlite3.connect(folder / "log.db")
    trigger = "SELECT sql FROM sqlite_master WHERE name = 'events_refuse_update'"
    [guard] = damaged.execute(trigger).fetchone()
    damaged.execute("DROP TRIGGER events_refuse_update")
    damaged.execute("UPDATE events SET payload = ? WHERE position = 7", (b'{"step":7}',))
    damaged.execute(guard)
    damaged.commit()
    damaged.close()

    said = run(folder, "verify")
    report = json.loads(run(folder, "verify", "--json").stdout)

    assert said.returncode == 1
    assert said.stderr.startswith("position 7: events.payload is ")
    assert (report["clean"], report["first_position"]) == (False, 7)
    finding = report["findings"][0]
    assert finding["field"] == "events.payload"
    assert bytes.fromhex(finding["expected"]) == b'{"step":6}'
    assert bytes.fromhex(finding["actual"]) == b'{"step":7}'


def test_what_is_no_log_could_not_be_looked_at(folder: Path) -> None:
    (folder / "log.db").write_bytes(b"no database" * 500)
    said = run(folder, "verify")
    assert said.returncode == 2
    assert "log.db cannot be read: file is not a database. It is damaged, or no log" in said.stderr
    (folder / "log.db").unlink()
    assert run(folder, "verify").returncode == 2


def test_a_log_on_a_read_only_medium_is_verified(folder: Path) -> None:
    (folder / "log.db").chmod(0o444)
    assert run(folder, "verify").returncode == 0


def test_from_key_to_proof_by_hand(folder: Path) -> None:
    public = run(folder, "keys", "new", "log.key", "--name", "example.org/log").stdout.strip()
    assert stat.S_IMODE((folder / "log.key").stat().st_mode) == 0o600
    assert run(folder, "keys", "show", "log.key").stdout.strip() == public
    sealed = run(folder, "seal", "--key", "log.key")
    (folder / "kept").write_text(sealed.stdout)
    assert run(folder, "verify", "--against", "kept", "--key", public).returncode == 0
    assert run(folder, "proof", "3", "-o", "three").returncode == 0
    checked = run(folder, "proof", "--check", "three", "--key", public)
    assert json.loads(checked.stdout)["payload"] == {"step": 2}
    assert run(folder, "proof", "--check", "three").returncode == 2
    assert run(folder, "backup", "copy.db").returncode == 0
    assert run(folder, "export", "--tiles", "tiles").returncode == 0
    assert (folder / "tiles/checkpoint").read_text() == sealed.stdout


@pytest.mark.parametrize(
    "odd",
    [
        ["--tiles", "t", "latest"],
        ["latest", "--format", "csv"],
        ["--format", "csv", "--out", "o"],
    ],
    ids=" ".join,
)
def test_an_export_is_of_a_run_or_of_tiles(folder: Path, odd: list[str]) -> None:
    said = run(folder, "export", *odd)
    assert said.returncode == 2
    assert "--tiles" in said.stderr
    assert "Traceback" not in said.stderr
    assert not [file for file in folder.iterdir() if not file.name.startswith("log.db")]


def test_what_only_reads_opens_the_log_only_to_read(folder: Path) -> None:
    """Opened for writing, the file would be turned to write-ahead logging."""
    run(folder, "keys", "new", "log.key", "--name", "example.org/log")
    run(folder, "seal", "--key", "log.key")
    with closing(sqlite3.connect(folder / "log.db")) as log:
        assert log.execute("PRAGMA journal_mode = DELETE").fetchone() == ("delete",)
    before = (folder / "log.db").read_bytes()
    for command in (
        ["proof", "3"],
        ["proof", "--consistency", "21", "21"],
        ["seal", "--list"],
        ["export", "--tiles", "tiles"],
        ["archive", "--list"],
        ["archive", "--dry-run"],
        ["hold", "list"],
        ["readmodels", "status"],
    ):
        said = run(folder, *command)
        assert said.returncode == 0, said.stderr
    assert (folder / "log.db").read_bytes() == before
    assert not (folder / "log.db-wal").exists()


def test_a_verification_can_be_recorded(folder: Path) -> None:
    assert run(folder, "verify", "--record").returncode == 0
    store = open_sql_store(f"sqlite:///{folder}/log.db")
    [record] = store.read(types=["LogVerified"])
    store.close()
    assert json.loads(record.payload)["size"] == 20


def test_a_proof_that_does_not_hold_is_a_finding_and_one_that_is_none_cannot_be_looked_at(
    folder: Path,
) -> None:
    key = run(folder, "keys", "new", "log.key", "--name", "example.org/log").stdout.split()[-1]
    run(folder, "seal", "--key", "log.key")
    run(folder, "proof", "7", "-o", "7.proof")
    lines = (folder / "7.proof").read_text().splitlines()
    [place] = [n for n, line in enumerate(lines) if line.startswith("extra ")]
    record = base64.b64decode(lines[place][6:]).replace(b'"step":6', b'"step":7')
    lines[place] = "extra " + base64.b64encode(record).decode()
    (folder / "bad.proof").write_text("\n".join(lines) + "\n")
    (folder / "none").write_bytes(bytes(range(256)))

    held = run(folder, "proof", "--check", "7.proof", "--key", key)
    bad = run(folder, "proof", "--check", "bad.proof", "--key", key)
    none = run(folder, "proof", "--check", "none", "--key", key)

    assert held.returncode == 0, held.stderr
    assert (bad.returncode, bad.stdout, bad.stderr.count("\n")) == (1, "", 1)
    assert "one of them was changed" in bad.stderr
    assert (none.returncode, none.stderr.count("\n")) == (2, 1)


@pytest.mark.parametrize("command", [["verify"], ["proof", "--check", "log.db"]])
def test_a_file_that_holds_no_key_is_named(folder: Path, command: list[str]) -> None:
    (folder / "junk").write_bytes(bytes(range(256)))

    said = run(folder, *command, "--key", "junk")

    assert (said.returncode, said.stdout) == (2, "")
    assert said.stderr.startswith("stairways: junk holds no public key: ")


def test_a_log_is_made_for_its_owner_and_their_group_alone(folder: Path) -> None:
    assert run(folder, "init", "--database-url", "sqlite:///own.db").returncode == 0

    assert stat.S_IMODE((folder / "own.db").stat().st_mode) & 0o137 == 0
