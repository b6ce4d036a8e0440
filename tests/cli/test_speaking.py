"""Sentences on a terminal."""

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from pathlib import Path

COLUMNS = 60


def on_a_terminal(*words: str) -> str:
    """Run the program with stderr on a terminal of 60 columns; return what stood there."""
    mine, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
    command = [sys.executable, "-m", "stairways", *words]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=its, check=False)
    os.close(its)
    assert done.returncode == 2
    text = os.read(mine, 65_536).decode()
    os.close(mine)
    return text


def test_on_a_terminal_a_sentence_breaks_between_words(tmp_path: Path) -> None:
    folder = tmp_path / "there-is-no-such-folder-here" / "nor-this-one"

    lines = on_a_terminal("--database-url", f"sqlite:///{folder}/log.db", "verify").splitlines()

    assert len(lines) > 1
    assert all(len(line) <= COLUMNS or " " not in line for line in lines)
    sentence = f"stairways: The folder of {folder}/log.db does not exist. Make it first."
    assert " ".join(lines) == sentence
