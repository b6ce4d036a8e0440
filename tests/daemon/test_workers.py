"""What a training process says reaches the log of its daemon, as lines of the same kind."""

import os
import sys
import time

import pytest
from structlog.testing import capture_logs

from stairways.daemon.workers import Process

SCRIPT = r"""
import sys
sys.stderr.write('{"event": "fine"}\n\nUsage: stairways train\nError: No such option: --x\n')
sys.exit(2)
"""


def test_a_wrong_command_line_is_the_reason_and_no_line_breaks_the_json(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with capture_logs() as lines:
        process = Process([sys.executable, "-c", SCRIPT], os.environ, is_json=True)
        deadline = time.monotonic() + 60
        while not process.ended() and time.monotonic() < deadline:
            time.sleep(0.05)
        reason = process.reason()

    assert reason == "No such option: --x"
    assert capfd.readouterr().err == '{"event": "fine"}\n'
    assert [one["said"] for one in lines] == [
        "Usage: stairways train",
        "Error: No such option: --x",
    ]
