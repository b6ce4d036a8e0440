"""Runs the migrations: on the connection Stairways hands over, or on ``-x url=…``."""

from alembic import context
from sqlalchemy import Connection

from stairways.store.opening import driver_for
from stairways.store.tables import metadata


def _run(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=metadata, transactional_ddl=True)
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    _run(given)
else:
    url = context.get_x_argument(as_dictionary=True)["url"]
    with driver_for(url).engine.begin() as own:
        _run(own)
