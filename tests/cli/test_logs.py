import io
import json
import logging
import warnings
from collections.abc import Iterator

import click
import pytest
import structlog
from rich.console import Console

from stairways import logs


@pytest.fixture(autouse=True)
def untouched() -> Iterator[None]:
    """Leave logging as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


def screen(width: int = 100) -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=width, highlight=False)


def pipe() -> Console:
    return Console(file=io.StringIO(), force_terminal=False, width=40)


def said(console: Console) -> list[str]:
    written = console.file
    assert isinstance(written, io.StringIO)
    return written.getvalue().splitlines()


def test_elsewhere_than_on_a_terminal_a_line_is_one_json_object_however_long() -> None:
    console = pipe()
    logs.configure(console, level="info", style="auto")

    structlog.get_logger().info("stored", what="x" * 500, markup="[red]no[/red]")

    (line,) = said(console)
    found = json.loads(line)
    assert (found["event"], found["what"], found["markup"]) == (
        "stored",
        "x" * 500,
        "[red]no[/red]",
    )
    assert found["timestamp"].endswith("Z")


def test_on_a_terminal_a_line_is_for_eyes() -> None:
    console = screen()
    logs.configure(console, level="info", style="auto")

    structlog.get_logger().warning("late", seconds=3)

    (line,) = said(console)
    assert "late" in line
    assert "{" not in line


def test_libraries_speak_through_the_same_console_from_warnings_on() -> None:
    console = pipe()
    logs.configure(console, level="info", style="json")

    logging.getLogger("alembic").warning("slow by %d s", 3)
    logging.getLogger("alembic").info("running")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old call", UserWarning, stacklevel=1)

    first, second = (json.loads(line) for line in said(console))
    assert (first["event"], first["logger"], first["level"]) == (
        "slow by 3 s",
        "alembic",
        "warning",
    )
    assert "old call" in second["event"]


def fail(password: str) -> None:
    raise ValueError(len(password))


@pytest.mark.parametrize("style", ["json", "text"])
def test_a_traceback_shows_no_local_variables(style: str) -> None:
    console = pipe()
    logs.configure(console, level="info", style=style)

    try:
        fail("s3cret".upper())
    except ValueError:
        structlog.get_logger().exception("failed")

    text = "\n".join(said(console))
    assert "ValueError: 6" in text
    assert "S3CRET" not in text


def test_progress_without_a_terminal_is_a_line_for_every_tenth() -> None:
    console = pipe()
    logs.configure(console, level="info", style="json")

    with logs.progress(console, "train", 1000) as bar:
        for _ in range(100):
            bar.advance(10, note="cycle 1")

    lines = [json.loads(line) for line in said(console)]
    assert [line["done"] for line in lines] == list(range(100, 1001, 100))
    assert {(line["event"], line["total"], line["note"]) for line in lines} == {
        ("train", 1000, "cycle 1")
    }


def test_a_log_line_beside_a_bar_stands_on_a_line_of_its_own() -> None:
    console = screen()
    logs.configure(console, level="info", style="auto")

    with logs.progress(console, "train", 10) as bar:
        bar.advance(3, note="cycle 1")
        structlog.get_logger().info("promoted")
        bar.advance(7)

    (line,) = [line for line in said(console) if "promoted" in line]
    assert "train" not in line


def test_work_of_no_length_is_shown_too() -> None:
    console = pipe()
    logs.configure(console, level="info", style="json")

    with logs.progress(console, "nothing", 0) as bar:
        bar.advance(0)

    assert said(console) == []


@pytest.mark.parametrize(
    ("width", "times", "note"),
    [
        (50, False, False),
        (60, True, False),
        (80, True, False),
        (100, True, True),
        (140, True, True),
    ],
)
def test_where_there_is_little_room_bar_and_count_stay(
    width: int, *, times: bool, note: bool
) -> None:
    console = screen(width)
    logs.configure(console, level="info", style="auto")

    with logs.progress(console, "run 20260101-aaaaaa", 48_000) as bar:
        bar.advance(12_345, note="cycle_01_hold_75% attempt 1, holding 75%")

    line = click.unstyle(said(console)[-1].rpartition("\x1b[1A")[0] or "\n".join(said(console)))
    assert "12345/48000" in line
    assert "━━━━━" in line
    assert ("-:--:--" in line) == times
    assert ("holding 75%" in line) == note
    assert "…" not in line


def test_on_a_terminal_a_line_breaks_between_words() -> None:
    console = screen(60)
    logs.configure(console, level="info", style="text")
    words = [f"gate_{number}" for number in range(30)]

    structlog.get_logger().info("rejected", failed=", ".join(words))

    lines = said(console)
    assert max(len(click.unstyle(line)) for line in lines) <= 60
    assert all(any(word in line for line in lines) for word in words)


def test_json_on_a_terminal_is_never_broken() -> None:
    console = screen(60)
    logs.configure(console, level="info", style="json")

    structlog.get_logger().info("stored", what="x y " * 100)

    (line,) = said(console)
    assert json.loads(line)["what"] == "x y " * 100


def test_waiting_is_told_on_a_terminal_only() -> None:
    terminal, other = screen(), pipe()
    for console in (terminal, other):
        with logs.waiting(console, "loading torch"):
            pass

    assert "loading torch" in "".join(said(terminal))
    assert said(other) == []
