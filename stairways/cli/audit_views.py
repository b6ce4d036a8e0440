"""``stairways audit views``: which views there are, and the same views for DuckDB."""

import click

from stairways.bootstrap import App
from stairways.cli.printing import Column, Form, form_options, print_rows
from stairways.service.tabular import Row
from stairways.store.views import about, all_views, columns_of, statements

VIEWS = ("view", "columns", Column("holds", wraps=True))
ALL_OF_VIEWS = ("view", "column", "kind")
DUCKDB = """\
-- The views of docs/views.md with DuckDB's own types, over a log attached as `log`:
-- ATTACH 'stairways.db' AS log (TYPE sqlite, READ_ONLY);
"""


@click.command(short_help="List the views for your own tools; write them for DuckDB.")
@click.option("--duckdb", "for_duckdb", is_flag=True, help="Print SQL that makes them in DuckDB.")
@form_options
@click.pass_obj
def views(app: App, form: Form, for_duckdb: bool) -> None:  # noqa: FBT001 - a flag
    """List the views of docs/views.md: what each holds, as JSON or CSV with every column.

    SQLite tells DuckDB no types of a view's columns, so there they would be text. With --duckdb
    comes SQL that makes the same views in DuckDB, typed, over a log attached as `log`.
    """
    if for_duckdb:
        click.echo(DUCKDB + "".join(f"{one};\n" for one in statements("duckdb")), nl=False)
    elif form == "table":
        rows: list[Row] = [
            {"view": one.name, "columns": len(columns_of(one)), "holds": about(one)}
            for one in all_views()
        ]
        print_rows(app.out, rows, VIEWS, form)
    else:
        every: list[Row] = [
            {"view": one.name, "column": column.name, "kind": column.kind}
            for one in all_views()
            for column in columns_of(one)
        ]
        print_rows(app.out, every, ALL_OF_VIEWS, form)
