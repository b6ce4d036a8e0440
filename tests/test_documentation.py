"""The documentation says everything there is, and nothing that is not."""

import re
from pathlib import Path

import click
import pytest
from sqlalchemy import Table

from ops.bench.__main__ import BENCHMARKS, BY_HAND
from ops.event_dictionary import dictionary, fields_of
from ops.settings_reference import reference, settings_of
from stairways import cli
from stairways.codec import SCHEMAS
from stairways.readmodels import tables
from stairways.settings import sections

ROOT = Path(__file__).parents[1]
PAGES = [*ROOT.glob("README.md"), *sorted((ROOT / "docs").glob("*.md"))]
TEXT = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)


def commands() -> list[str]:
    """Every command with its subcommands, as one types it."""
    found = []
    with click.Context(cli.main) as context:
        for name in cli.COMMANDS:
            command = cli.main.get_command(context, name)
            subcommands = command.commands if isinstance(command, click.Group) else {}
            found += [f"stairways {name}", *(f"stairways {name} {sub}" for sub in subcommands)]
    return found


@pytest.mark.parametrize("command", commands())
def test_every_command_is_in_the_documentation(command: str) -> None:
    assert re.search(rf"{command}\b", TEXT), f"`{command}` is missing from README.md and docs/"


@pytest.mark.parametrize("event", SCHEMAS, ids=lambda event: event.__name__)
def test_every_field_of_an_event_is_explained(event: type) -> None:
    unexplained = [field.name for field in fields_of(event) if not field.meaning]

    assert unexplained == [], "comment the field in core/events/"


def test_the_dictionary_of_events_is_up_to_date() -> None:
    written = (ROOT / "docs" / "events.md").read_text(encoding="utf-8")

    assert written == dictionary(), "run: python -m ops.event_dictionary > docs/events.md"


@pytest.mark.parametrize(("section", "kind"), sections().items())
def test_every_setting_is_explained(section: str, kind: type) -> None:
    unexplained = [one.name for one in settings_of(section, kind) if not one.meaning]

    assert unexplained == [], "comment the setting in its dataclass"


def test_the_reference_of_settings_is_up_to_date() -> None:
    written = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")

    assert written == reference(), "run: python -m ops.settings_reference > docs/settings.md"


@pytest.mark.parametrize("table", tables.metadata.sorted_tables, ids=lambda table: table.name)
def test_every_column_of_a_read_model_is_explained_in_its_section(table: Table) -> None:
    page = (ROOT / "docs" / "read-models.md").read_text(encoding="utf-8")
    section = page.split(f"\n## {tables.view_of(table)}\n")[1].split("\n## ")[0]
    columns = {name for name in table.columns.keys() if name != "generation"}  # noqa: SIM118 - no dict

    explained = set(re.findall(r"`(\w+)`", section)) - set(map(tables.view_of, tables.DERIVED))

    assert explained - {"generation", "readmodels"} == columns


def test_no_page_names_a_command_that_is_not_there() -> None:
    known = {command.split()[1] for command in commands()}

    named = set(re.findall(r"`stairways ([a-z]+)", TEXT))

    assert named <= known


def test_no_benchmark_is_left_out_without_a_word() -> None:
    scripts = (ROOT / "ops" / "bench").glob("[!_]*.py")
    measuring = {one.stem for one in scripts if "\ndef main()" in one.read_text(encoding="utf-8")}

    assert measuring == set(BENCHMARKS) | set(BY_HAND)
