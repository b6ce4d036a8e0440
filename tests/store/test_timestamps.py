"""Time stamps from a real authority: openssl's, on this machine."""

import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from stairways.core.values import NEW, StreamName
from stairways.errors import SealError
from stairways.service.seal import seal_log
from stairways.service.timestamps import request_for, time_stamp
from stairways.store.contract import Context, Encoded
from stairways.store.opening import open_sql_store
from stairways.store.seal import new_key

CONFIG = """
[tsa]
default_tsa = here
[here]
serial = {folder}/serial
signer_cert = {folder}/tsa.pem
certs = {folder}/tsa.pem
signer_key = {folder}/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
ess_cert_id_alg = sha256
[req]
distinguished_name = name
x509_extensions = stamps
prompt = no
[name]
CN = test authority
[stamps]
basicConstraints = critical,CA:false
keyUsage = critical,digitalSignature
extendedKeyUsage = critical,timeStamping
"""


def openssl(folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("no openssl on this machine")
    return subprocess.run([program, *arguments], cwd=folder, check=False, capture_output=True)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Serve an authority; yield its address and the folder with its certificate."""
    folder = tmp_path_factory.mktemp("tsa")
    (folder / "tsa.conf").write_text(CONFIG.format(folder=folder))
    (folder / "serial").write_text("01\n")
    made = openssl(
        folder, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
        "-config", "tsa.conf", "-keyout", "tsa.key", "-out", "tsa.pem",
    )  # fmt: skip
    assert made.returncode == 0, made.stderr

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = self.rfile.read(int(self.headers["Content-Length"]))
            (folder / "query").write_bytes(query)
            done = openssl(
                folder, "ts", "-reply", "-config", "tsa.conf", "-queryfile", "query",
                "-out", "answer",
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            content = b"\x30\x05\x30\x03\x02\x01\x02"  # PKIStatus 2: rejected
            if self.path == "/stamp":
                content = (folder / "answer").read_bytes()
            if self.path == "/kept":
                content = (folder / "kept.tsr").read_bytes()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", folder
    server.shutdown()
    server.server_close()


def test_openssl_verifies_the_time_stamp_of_a_checkpoint_and_of_no_other(
    authority: tuple[str, Path],
) -> None:
    url, folder = authority
    (folder / "stamp.tsr").write_bytes(time_stamp(b"checkpoint\n", f"{url}/stamp"))
    for content, code in ((b"checkpoint\n", 0), (b"another\n", 1)):
        (folder / "data").write_bytes(content)
        done = openssl(
            folder, "ts", "-verify", "-data", "data", "-in", "stamp.tsr", "-CAfile", "tsa.pem"
        )
        assert done.returncode == code, done.stderr


def test_an_answer_that_somebody_kept_is_not_taken_for_this_one(
    authority: tuple[str, Path],
) -> None:
    url, folder = authority
    (folder / "kept.tsr").write_bytes(time_stamp(b"checkpoint\n", f"{url}/stamp"))
    for content in (b"checkpoint\n", b"another\n"):
        with pytest.raises(SealError, match="answered something else"):
            time_stamp(content, f"{url}/kept")


def test_the_checkpoint_of_either_database_is_stamped(
    authority: tuple[str, Path], database_url: str
) -> None:
    url, folder = authority
    store = open_sql_store(database_url)
    context = Context(actor="ada", correlation="", append_id="a")
    store.append(StreamName("run-1"), NEW, [Encoded("StepTaken", 1, b'{"step":1}')], context)
    note = seal_log(store, new_key("example.org/log"), replace(context, append_id="s"))
    store.close()
    (folder / "data").write_text(note)
    (folder / "stamp.tsr").write_bytes(time_stamp(note.encode(), f"{url}/stamp"))
    done = openssl(
        folder, "ts", "-verify", "-data", "data", "-in", "stamp.tsr", "-CAfile", "tsa.pem"
    )
    assert done.returncode == 0, done.stderr


def test_the_request_is_what_openssl_reads(tmp_path: Path) -> None:
    (tmp_path / "query").write_bytes(request_for(b"checkpoint\n", 2**63 - 1))
    done = openssl(tmp_path, "ts", "-query", "-in", "query", "-text")
    assert b"Hash Algorithm: sha256" in done.stdout
    assert b"Nonce: 0x7FFFFFFFFFFFFFFF" in done.stdout
    assert b"Certificate required: yes" in done.stdout


def test_an_authority_that_refuses_or_is_not_there_is_named(authority: tuple[str, Path]) -> None:
    with pytest.raises(SealError, match="granted no time stamp"):
        time_stamp(b"x", f"{authority[0]}/refuse")
    with pytest.raises(SealError, match="does not answer"):
        time_stamp(b"x", "http://127.0.0.1:9", seconds=1)
    with pytest.raises(SealError, match="http://"):
        time_stamp(b"x", "ftp://example.org")
