import io
import json
import logging
import warnings
from collections.abc import Iterator

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


def screen() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=100, highlight=False)


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
