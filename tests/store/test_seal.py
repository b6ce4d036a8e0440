"""Notes, checkpoints, keys and proofs against the published vectors of their formats."""

import base64
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stairways.errors import SealError
from stairways.store.seal import (
    Checkpoint,
    PrivateKey,
    PublicKey,
    new_key,
    parse_checkpoint,
    parse_note,
    parse_private_key,
    parse_proof,
    parse_public_key,
    read_key,
    sign,
    verified_by,
    write_key,
)

SHARED = Path(os.environ.get("STAIRWAYS_SHARED", Path(__file__).parents[2] / "../shared"))
VECTORS = SHARED / "vectors"


def vectors(name: str) -> Any:  # noqa: ANN401 - JSON
    file = VECTORS / name
    if not file.is_file():
        pytest.skip(f"no published vectors at {file}; set STAIRWAYS_SHARED")
    return json.loads(file.read_text())


def opened(content: bytes, keys: list[PublicKey]) -> list[str]:
    """Return who signed a note, as Go's note.Open does: nobody known is an error."""
    names = [key.name for key in verified_by(parse_note(content), keys)]
    if not names:
        raise SealError("nobody known signed it")
    return names


def test_published_notes_open_as_published() -> None:
    for case in vectors("signed-note/notes.json"):
        keys = [parse_public_key(text) for text in case["vkeys"]]
        content = base64.b64decode(case["note_b64"])
        if case["ok"]:
            assert opened(content, keys) == case["verified"], case["name"]
        else:
            with pytest.raises(SealError):
                opened(content, keys)


def test_signing_gives_the_published_bytes() -> None:
    case = vectors("signed-note/sign_deterministic.json")
    key = parse_private_key(case["skey"])
    assert sign(case["text"], key) == case["signed_note"]
    assert str(key) == case["skey"]
    for text in case["refuse_texts"]:
        with pytest.raises(SealError):
            sign(text, key)


def test_published_keys_are_read_and_every_other_spelling_refused() -> None:
    cases = vectors("signed-note/vkeys.json")
    for text in cases["valid"]:
        assert str(parse_public_key(text)) == text
        for end in range(len(text)):
            with pytest.raises(SealError):
                parse_public_key(text[:end])
        for place in range(len(text)):
            other = text[:place] + chr(ord(text[place]) + 1) + text[place + 1 :]
            with pytest.raises(SealError):
                parse_public_key(other)
    for case in cases["invalid"]:
        with pytest.raises(SealError):
            parse_public_key(case["vkey"])


def test_published_proofs_are_read_and_malformed_ones_refused() -> None:
    cases = vectors("signed-note/tlog_proof_syntax.json")
    for case in cases["valid"]:
        proof = parse_proof(case["text"])
        assert proof.index == case["index"]
        assert [base64.b64encode(node).decode() for node in proof.hashes] == case["hashes_b64"]
        assert proof.checkpoint == case["checkpoint"]
        assert proof.extra == (case["extra"].encode() if "extra" in case else None)
        assert str(proof) == case["text"]
    for case in cases["invalid"]:
        with pytest.raises(SealError):
            parse_proof(case["text"])


def test_published_tree_texts_are_read_as_checkpoints() -> None:
    cases = vectors("signed-note/tree_text.json")
    for case in cases["valid"]:
        assert parse_checkpoint(case["text"]).size == case["size"]
        assert str(parse_checkpoint(case["text"])) == case["text"]
    for text in cases["invalid"][1:]:  # the first is only another log's name
        with pytest.raises(SealError):
            parse_checkpoint(text)


def test_a_checkpoint_of_more_than_any_log_can_hold_is_refused() -> None:
    [case, *_] = vectors("signed-note/tree_text.json")["valid"]
    name, _, root = case["text"].splitlines()[:3]
    assert parse_checkpoint(f"{name}\n{2**63 - 1}\n{root}\n").size == 2**63 - 1
    with pytest.raises(SealError, match="no log is as large"):
        parse_checkpoint(f"{name}\n{2**63}\n{root}\n")


def test_published_signatures_of_ed25519_are_made_and_verified() -> None:
    for case in vectors("ed25519/rfc8032_7_1.json"):
        key = PrivateKey("x", bytes.fromhex(case["seed_hex"]))
        assert key.public.raw.hex() == case["public_hex"]
        assert key._key().sign(bytes.fromhex(case["message_hex"])).hex() == case["signature_hex"]


@given(st.text(max_size=50).map(lambda text: text.replace("\r", "") + "\n"))
def test_a_signed_text_reads_back_or_is_no_note(text: str) -> None:
    key = new_key("example.org/log")
    content = sign(text, key).encode(errors="surrogatepass")
    if any(letter < " " and letter != "\n" for letter in text) or not text.isprintable():
        return
    note = parse_note(content)
    assert note.text == text
    assert verified_by(note, [key.public]) == [key.public]


def test_a_signature_under_another_text_is_wrong() -> None:
    key = new_key("example.org/log")
    mine = sign(str(Checkpoint("example.org/log", 7, bytes(32))), key)
    with pytest.raises(SealError, match="wrong"):
        verified_by(parse_note(mine.replace("\n7\n", "\n8\n").encode()), [key.public])


def test_a_key_is_written_once_and_for_its_owner_only(tmp_path: Path) -> None:
    file, key = tmp_path / "log.key", new_key("example.org/log")
    write_key(file, key)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert read_key(file) == key
    assert str(key).split("+", 4)[-1] not in repr(key)
    with pytest.raises(SealError, match="never overwritten"):
        write_key(file, key)
    file.chmod(0o640)
    with pytest.raises(SealError, match="chmod 600"):
        read_key(file)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "tab\t"])
def test_a_name_that_breaks_the_format_is_refused(name: str) -> None:
    with pytest.raises(SealError, match="cannot name a key"):
        new_key(name)
