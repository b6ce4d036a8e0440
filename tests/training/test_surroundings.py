"""One seed gives one log, whatever keeps it, whoever watches, and however much is said."""

import contextlib
import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.log_content import nameless_at
from tests.processes import LONGEST, ROOT, bars_file, finish, train_command

NewLog = Callable[[str], str]


def shown_on_a_terminal(command: Sequence[str]) -> bytes:
    """Run the program to its good end on a terminal of its own; return what a person saw."""
    ours, theirs = os.openpty()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color"}
    process = subprocess.Popen(
        command, env=environment, stdin=theirs, stdout=theirs, stderr=theirs, cwd="/"
    )
    os.close(theirs)
    seen = b""
    with contextlib.suppress(OSError):  # how a terminal ends when nobody writes to it any more
        while part := os.read(ours, 65_536):
            seen += part
    os.close(ours)
    assert process.wait(LONGEST) == 0
    return seen


def test_the_log_is_the_same_whatever_the_database_the_terminal_and_the_log_level(
    new_log: NewLog, tmp_path: Path
) -> None:
    bars, still, watched = bars_file(tmp_path), new_log("sqlite"), new_log("postgres")
    finish(train_command(still, bars, 1))
    loud = ["debug" if word == "error" else word for word in train_command(watched, bars, 1)]

    seen = shown_on_a_terminal(loud)

    assert b"\x1b[" in seen  # it drew for a person
    assert nameless_at(watched) == nameless_at(still)
