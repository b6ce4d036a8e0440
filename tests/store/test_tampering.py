"""What only a kept checkpoint shows: rewritten, re-signed, truncated, forked and old logs."""

import base64
import shutil
import subprocess
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from stairways.core.values import Position, StreamName
from stairways.errors import SealError
from stairways.service import seal
from stairways.service.seal import (
    check_proof,
    consistency_file,
    newest_note,
    prove_record,
    rotate_key,
    seal_log,
)
from stairways.service.stairway.journal import decoded
from stairways.service.verify.checkpoints import read_checkpoint
from stairways.service.verify.log import VerifyReport, verify_log
from stairways.store.contract import Context, Encoded
from stairways.store.opening import driver_for, open_sql_store
from stairways.store.seal import Checkpoint, PrivateKey, PublicKey, new_key
from stairways.store.sql import SqlStore

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
RUN = StreamName("run-1")
NewLog = Callable[[str], str]


def by(append_id: str) -> Context:
    return Context(actor="train", correlation="run-1", append_id=append_id)


def steps(first: int, last: int, profit: int = 0) -> list[Encoded]:
    return [
        Encoded("StepTaken", 1, b'{"profit":%d,"step":%d}' % (profit, number))
        for number in range(first, last + 1)
    ]


@pytest.fixture(params=["sqlite", "postgres"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def key() -> PrivateKey:
    return new_key("example.org/log")


@pytest.fixture
def store(kind: str, new_log: NewLog) -> SqlStore:
    return open_sql_store(new_log(kind))


def url_of(store: SqlStore) -> str:
    return store.driver.engine.url.render_as_string(hide_password=False)


def sealed_log(store: SqlStore, key: PrivateKey, *profits: int) -> list[Checkpoint]:
    """Fill a log, signing it after every append; return what an auditor kept."""
    kept = []
    for number, profit in enumerate(profits):
        store.append(RUN, None, steps(1, 20, profit), by(f"a{number}"))
        note = seal_log(store, key, by(f"s{number}"))
        kept.append(read_checkpoint(note.encode(), [key.public]))
    return kept


def verified(
    store: SqlStore, against: Sequence[Checkpoint] = (), keys: Sequence[PublicKey] = ()
) -> VerifyReport:
    store.close()
    return verify_log(url_of(store), against=against, keys=keys, processes=1)


def test_a_log_that_went_on_agrees_with_what_was_kept(store: SqlStore, key: PrivateKey) -> None:
    kept = sealed_log(store, key, 1, 2, 3)
    report = verified(store, kept, [key.public])
    assert report.clean, report.findings
    assert report.checkpoints == 3


def test_a_history_rewritten_and_signed_again_contradicts_what_was_kept(
    kind: str, new_log: NewLog, store: SqlStore, key: PrivateKey
) -> None:
    kept = sealed_log(store, key, 1, 2, 3)
    store.close()
    forged = open_sql_store(new_log(kind))
    sealed_log(forged, key, 1, 999, 3)

    assert verified(forged, (), [key.public]).clean
    # the clock differs as well, so the first record already is another one
    report = verified(forged, kept, [key.public])

    assert [finding.field for finding in report.findings] == ["kept checkpoint"]
    assert report.findings[0].expected == kept[0].root.hex()


def test_a_forked_history_is_dated_by_the_last_checkpoint_it_shares(
    kind: str, new_log: NewLog, key: PrivateKey
) -> None:
    mine, forged = (open_sql_store(new_log(kind), clock=lambda: MONDAY) for _ in range(2))
    kept = sealed_log(mine, key, 1, 2, 3)
    sealed_log(forged, key, 1, 999, 3)
    mine.close()
    report = verified(forged, kept, [key.public])
    assert (report.findings[0].position, report.findings[0].until) == (22, 42)


def test_an_older_copy_put_back_is_behind_what_was_kept(tmp_path: Path, key: PrivateKey) -> None:
    store = open_sql_store(f"sqlite:///{tmp_path}/log.db")
    sealed_log(store, key, 1)
    store.close()
    shutil.copy(tmp_path / "log.db", tmp_path / "old.db")
    store = open_sql_store(f"sqlite:///{tmp_path}/log.db")
    store.append(RUN, None, steps(1, 5), by("later"))
    kept = read_checkpoint(seal_log(store, key, by("s")).encode(), [key.public])
    store.close()

    report = verify_log(f"sqlite:///{tmp_path}/old.db", against=[kept])

    assert report.findings[0].field == "kept checkpoint"
    assert (report.findings[0].expected, report.findings[0].actual) == ("27 events", "22 events")


def test_what_was_signed_is_an_event_so_that_a_checkpoint_cannot_vanish(
    store: SqlStore, key: PrivateKey
) -> None:
    kept = sealed_log(store, key, 1, 2)
    signed = [decoded(record) for record in store.read(types=["CheckpointSigned"])]
    assert [(one.checkpoint, one.size, one.keys) for one in signed] == [  # type: ignore[union-attr]
        (1, kept[0].size, (str(key.public),)),
        (2, kept[1].size, (str(key.public),)),
    ]
    driver = driver_for(url_of(store))
    on = "" if driver.name == "sqlite" else " ON checkpoints"
    name = "delete" if driver.name == "sqlite" else "change"
    with driver.engine.begin() as connection:
        connection.exec_driver_sql(f"DROP TRIGGER checkpoints_refuse_{name}{on}")
        connection.exec_driver_sql("DELETE FROM checkpoints WHERE id = 2")
    driver.engine.dispose()
    report = verified(store)
    assert report.findings[0].field == "checkpoints.note of 2"
    assert report.findings[0].actual == "missing"


def test_two_who_sign_at_once_do_not_take_the_same_number(
    store: SqlStore, key: PrivateKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed_log(store, key, 1)
    before = store.head()
    monkeypatch.setattr(store, "checkpoints", list)
    with pytest.raises(SealError, match="Another process signed"):
        seal_log(store, key, by("late"))
    monkeypatch.undo()
    assert (store.head(), len(store.checkpoints())) == (before, 1)
    store.close()


def test_a_checkpoint_of_another_key_is_found(store: SqlStore, key: PrivateKey) -> None:
    sealed_log(store, key, 1)
    report = verified(store, (), [new_key("example.org/log").public])
    assert report.findings[0].field.startswith("checkpoints.note")


def test_a_rotation_is_recorded_and_signed_by_both_keys(store: SqlStore, key: PrivateKey) -> None:
    sealed_log(store, key, 1)
    later = new_key("example.org/log")
    with pytest.raises(SealError, match="keys rotate"):
        seal_log(store, later, by("s"))
    rotate_key(store, key, later, "yearly", by("r"))
    seal_log(store, later, by("s2"))
    assert [r.type for r in store.read(types=["KeyRotated"])] == ["KeyRotated"] * 2
    assert verified(store, (), [key.public, later.public]).clean
    assert not verified(store, (), [later.public]).clean


def test_a_key_that_was_retired_signs_nothing_any_more(store: SqlStore, key: PrivateKey) -> None:
    """Whoever stole it writes a checkpoint and the event of it as the program did."""
    sealed_log(store, key, 1)
    later = new_key("example.org/log")
    rotate_key(store, key, later, "it was stolen", by("r"))
    seal._sign_and_store(store, store.head(), key.name, by("forged"), key)
    [finding] = verified(store, (), [key.public, later.public]).findings
    assert finding.field == "checkpoints.note of 3"
    assert (finding.expected, finding.actual) == (
        "a signature of the key of its time",
        "signed by one retired before",
    )


def test_a_proof_convinces_without_the_log(store: SqlStore, key: PrivateKey) -> None:
    sealed_log(store, key, 1, 2)
    for position in (1, 7, 21, 41):
        text = str(prove_record(store, Position(position), newest_note(store)))
        proof, _ = check_proof(text, [key.public])
        assert proof.index == position - 1
        assert f'"position":{position},'.encode() in (proof.extra or b"")
        forged = text.replace(
            base64.b64encode(proof.extra or b"").decode(),
            base64.b64encode((proof.extra or b"").replace(b'"profit":1', b'"profit":9')).decode(),
        )
        if forged != text:
            with pytest.raises(SealError, match="was changed"):
                check_proof(forged, [key.public])
        with pytest.raises(SealError, match="None of the given keys"):
            check_proof(text, [new_key("example.org/other").public])
    store.close()


def test_a_proof_beyond_the_checkpoint_is_refused(store: SqlStore, key: PrivateKey) -> None:
    sealed_log(store, key, 1)
    store.append(RUN, None, steps(1, 1), by("later"))
    with pytest.raises(SealError, match="covers positions 1 to 21"):
        prove_record(store, Position(22), newest_note(store))
    store.close()


def test_openssl_verifies_the_signature_of_a_checkpoint(
    tmp_path: Path, key: PrivateKey, kind: str, new_log: NewLog
) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl on this machine")
    store = open_sql_store(new_log(kind))
    sealed_log(store, key, 1)
    text, _, signatures = newest_note(store).rpartition("\n\n")
    store.close()
    signature = base64.b64decode(signatures.split(" ")[2])[4:]
    header = bytes.fromhex("302a300506032b6570032100")  # SubjectPublicKeyInfo of Ed25519
    (tmp_path / "key.der").write_bytes(header + key.public.raw)
    (tmp_path / "signature").write_bytes(signature)
    for body, code in ((text + "\n", 0), (text.replace("21", "22") + "\n", 1)):
        (tmp_path / "text").write_text(body)
        done = subprocess.run(
            [
                *(openssl, "pkeyutl", "-verify", "-pubin", "-keyform", "DER"),
                *("-inkey", "key.der", "-rawin", "-in", "text", "-sigfile", "signature"),
            ],
            cwd=tmp_path,
            check=False,
            capture_output=True,
        )
        assert done.returncode == code, done.stderr


GO = """
package main

import (
	"encoding/base64"
	"fmt"
	"os"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func must(err error) {
	if err != nil {
		fmt.Println("REFUSED", err)
		os.Exit(1)
	}
}

func hashes(lines []string) []tlog.Hash {
	var out []tlog.Hash
	for _, line := range lines {
		h, err := tlog.ParseHash(line)
		must(err)
		out = append(out, h)
	}
	return out
}

func checkpoint(text, vkey string) (int64, tlog.Hash) {
	verifier, err := note.NewVerifier(vkey)
	must(err)
	opened, err := note.Open([]byte(text), note.VerifierList(verifier))
	must(err)
	lines := strings.Split(opened.Text, "\\n")
	var size int64
	fmt.Sscan(lines[1], &size)
	root, err := tlog.ParseHash(lines[2])
	must(err)
	return size, root
}

func main() {
	vkey := os.Args[1]
	data, err := os.ReadFile(os.Args[2])
	must(err)
	head, rest, _ := strings.Cut(string(data), "\\n\\n")
	lines := strings.Split(head, "\\n")
	size, root := checkpoint(rest, vkey)
	if strings.HasPrefix(lines[0], "old ") {
		var old int64
		fmt.Sscan(lines[0][4:], &old)
		_, oldRoot := checkpoint(os.Args[3], vkey)
		must(tlog.CheckTree(tlog.TreeProof(hashes(lines[1:])), size, root, old, oldRoot))
	} else {
		record, err := base64.StdEncoding.DecodeString(lines[1][len("extra "):])
		must(err)
		var index int64
		fmt.Sscan(lines[2][len("index "):], &index)
		proof := tlog.RecordProof(hashes(lines[3:]))
		must(tlog.CheckRecord(proof, size, root, index, tlog.RecordHash(record)))
	}
	fmt.Println("HOLDS")
}
"""


@pytest.fixture(scope="session")
def go_verifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A verifier made of Go's own sumdb packages, as Debian ships them."""
    go, module = shutil.which("go"), Path("/usr/share/gocode/src/golang.org/x/mod")
    if go is None or not module.is_dir():
        pytest.skip(
            "no Go with golang.org/x/mod (apt-get install golang-go golang-golang-x-mod-dev)"
        )
    folder = tmp_path_factory.mktemp("go")
    (folder / "main.go").write_text(GO)
    (folder / "go.mod").write_text(
        "module verifier\n\ngo 1.19\n\nrequire golang.org/x/mod v0.0.0\n\n"
        f"replace golang.org/x/mod => {module}\n"
    )
    environment = {
        "GOFLAGS": "-mod=mod",
        "GOPROXY": "off",
        "HOME": str(folder),
        "PATH": "/usr/bin:/bin",
    }
    subprocess.run([go, "build", "-o", "verifier", "."], cwd=folder, check=True, env=environment)
    return folder / "verifier"


def test_go_accepts_our_proofs_and_refuses_forged_ones(
    go_verifier: Path, tmp_path: Path, store: SqlStore, key: PrivateKey
) -> None:
    sealed_log(store, key, 1, 2, 3)
    file = tmp_path / "proof"

    def judged(text: str, *more: str) -> bool:
        file.write_text(text)
        done = subprocess.run(
            [go_verifier, str(key.public), file, *more],
            check=False,
            capture_output=True,
            text=True,
        )
        return done.stdout == "HOLDS\n"

    for position in (1, 2, 42, 61):
        text = str(prove_record(store, Position(position), newest_note(store)))
        assert judged(text)
        assert not judged(text.replace(f"index {position - 1}\n", f"index {position}\n"))
    notes = [note.decode() for note in store.checkpoints()]
    for old, size in zip(notes, (21, 42), strict=False):
        text = consistency_file(store, size, 63)
        assert judged(text, old)
        assert not judged(text, notes[2])
    store.close()
