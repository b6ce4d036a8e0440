"""SIGKILL at any moment costs nothing: the program goes on and ends as if never interrupted."""

import random
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from stairways.store.opening import open_store
from tests.log_content import nameless_at
from tests.processes import bars_file, finish, kill_after, start, train_command, wait_for_event

KILLS_IN_SOAK = 50
"""In each of two databases."""

READY = ("RunStarted", "RunResumed")
NewLog = Callable[[str], str]


def killed(url: str, bars: Path, cycles: int, kills: int, chance: random.Random) -> int:
    """Train under fire until the run has ended or was killed often enough; count the kills."""
    command, made = train_command(url, bars, cycles), 0
    while made < kills:
        process = start(command)
        if chance.random() < 0.8:  # otherwise somewhere between start-up and the end
            wait_for_event(url, process, READY)
            ended = not kill_after(process, chance.uniform(0.0, 1.5))
        else:
            ended = not kill_after(process, chance.uniform(0.0, 6.0))
        if ended:
            assert process.returncode == 0
            return made
        made += 1
        if is_finished(url):  # and killed while it was leaving
            return made
    finish(command)
    return made


def is_finished(url: str) -> bool:
    store = open_store(url)
    try:
        return any(True for _ in store.read(types=["RunFinished"]))
    finally:
        store.close()


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_killed_run_goes_on_and_ends_like_one_never_killed(
    kind: str, new_log: NewLog, tmp_path: Path
) -> None:
    bars, whole, log = bars_file(tmp_path), new_log("sqlite"), new_log(kind)
    finish(train_command(whole, bars, 1))
    assert killed(log, bars, 1, 3, random.Random(kind)) > 0  # noqa: S311 - moments
    assert nameless_at(log) == nameless_at(whole)


@pytest.mark.soak
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_many_kills_at_random_moments_change_nothing(
    kind: str, new_log: NewLog, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bars, whole, chance = bars_file(tmp_path), new_log("sqlite"), random.Random(7)  # noqa: S311 - moments
    finish(train_command(whole, bars, 3))
    wanted, kills, runs = nameless_at(whole), 0, 0
    while kills < KILLS_IN_SOAK:
        log = new_log(kind)
        kills += killed(log, bars, 3, KILLS_IN_SOAK - kills, chance)
        runs += 1
        assert nameless_at(log) == wanted, f"differs after {kills} kills"
    with capsys.disabled():
        sys.stdout.write(f"{kind}: {kills} kills over {runs} runs, each ended the same\n")
