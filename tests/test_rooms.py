"""The rooms of the house, read from the source: who may import whom, and what core may not."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import stairways

PACKAGE = Path(stairways.__file__).parent

ROOMS = (
    "errors",
    "core",
    "codec",
    "market",
    "features",
    "env",
    "store",
    "readmodels",
    "training",
    "service",
    "metrics",
    "daemon",
    "console",
    "fleet",
    "settings",
    "logs",
    "bootstrap",
    "cli",
    "__main__",
)
"""A module may import what stands above its room, and its own room."""

OUTSIDE = {
    "asyncio", "importlib", "io", "logging", "multiprocessing", "os", "pathlib", "random",
    "secrets", "shutil", "socket", "sqlite3", "subprocess", "sys", "tempfile", "threading",
    "time", "urllib", "uuid",
    "alembic", "click", "gymnasium", "pandas", "polars", "psycopg", "rich", "sqlalchemy",
    "stable_baselines3", "structlog", "torch",
}  # fmt: skip
"""What core never touches: clocks, chance, files, databases, screens and models."""

BUILTINS = {"__import__", "breakpoint", "compile", "eval", "exec", "input", "open", "print"}
METHODS = {"import_module", "now", "open", "read_bytes", "read_text", "today", "utcnow"}
"""Names by which core would reach outside although no import of its own says so."""


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def room_of(module: Path) -> str:
    return module.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(module: Path) -> Iterator[str]:
    """Yield the dotted name of everything a module imports, wherever in it that happens."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def reaches(module: Path) -> Iterator[str]:
    """Yield what a module uses, called or passed on, that looks at clocks, files or modules."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and node.attr in METHODS:
            yield node.attr
        elif isinstance(node, ast.Name) and node.id in BUILTINS:
            yield node.id


def imported_by_text(module: Path) -> Iterator[str]:
    """Yield the modules of this package that are named in text, as for ``import_module``."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        text = node.value if isinstance(node, ast.Constant) else None
        if isinstance(text, str) and re.fullmatch(r"stairways(\.\w+)+", text):
            yield text


def rooms_imported(module: Path) -> set[str]:
    names = [*imports(module), *imported_by_text(module)]
    parts = (name.split(".") for name in names)
    return {name[1] for name in parts if name[0] == "stairways" and len(name) > 1} & set(ROOMS)


def test_every_module_stands_in_a_known_room() -> None:
    assert {room_of(module) for module in modules()} - {"__init__"} <= set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_what_stands_above_it(room: str) -> None:
    allowed = set(ROOMS[: ROOMS.index(room) + 1])

    wrong = {
        f"{module.relative_to(PACKAGE)} imports {other}"
        for module in modules()
        if room_of(module) == room
        for other in rooms_imported(module) - allowed
    }

    assert wrong == set()


def test_core_imports_errors_only() -> None:
    found = set().union(*(rooms_imported(one) for one in modules() if room_of(one) == "core"))

    assert found <= {"core", "errors"}


def test_core_has_no_clock_no_chance_no_files_no_database_and_no_model() -> None:
    wrong = {
        f"{module.relative_to(PACKAGE)} imports {name}"
        for module in modules()
        if room_of(module) == "core"
        for name in imports(module)
        if name.split(".")[0] in OUTSIDE
    }

    assert wrong == set()


def test_core_reaches_outside_by_no_call_either() -> None:
    wrong = {
        f"{module.relative_to(PACKAGE)} uses {name}"
        for module in modules()
        if room_of(module) == "core"
        for name in reaches(module)
    }

    assert wrong == set()


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("datetime.now()", "now"),
        ("datetime.datetime.utcnow()", "utcnow"),
        ("date.today()", "today"),
        ("open('x')", "open"),
        ("Path('x').open()", "open"),
        ("importlib.import_module('stairways.store.sql')", "import_module"),
        ("clock = datetime.now", "now"),
        ("__import__('os')", "__import__"),
    ],
)
def test_the_reader_of_calls_sees_what_reaches_outside(
    tmp_path: Path, line: str, name: str
) -> None:
    module = tmp_path / "module.py"
    module.write_text(line)

    assert name in set(reaches(module))


def test_an_import_by_name_counts_as_an_import(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text("importlib.import_module('stairways.store.sql')")

    assert rooms_imported(module) == {"store"}


def test_only_bootstrap_and_tests_build_objects_from_settings() -> None:
    allowed = {"settings", "bootstrap", "cli"}

    assert {room_of(one) for one in modules() if "settings" in rooms_imported(one)} <= allowed


def test_the_reader_of_imports_sees_every_kind_of_import(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text(
        "import stairways.store.sql\n"
        "from stairways import codec, __version__\n"
        "def late():\n    from stairways.cli.audit import command\n"
    )

    assert rooms_imported(module) == {"store", "codec", "cli"}
