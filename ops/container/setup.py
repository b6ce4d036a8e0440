"""Make the log's tables, its roles and two users, as the owner; doing it again changes nothing.

Takes the passwords from /run/secrets/owner, writer and auditor (or the folder that the variable
SECRETS names), and the server from PGHOST.
"""

import os
import subprocess
import sys
from pathlib import Path

import psycopg
from psycopg import sql

SECRETS = Path(os.environ.get("SECRETS", "/run/secrets"))
DATABASE = os.environ.get("PGDATABASE", "stairways")
USERS = {
    "stairways_daemon": ("writer", "stairways_writer"),
    "stairways_console": ("auditor", "stairways_auditor"),
}
"""User to the secret that is its password and the role it has."""


def password(secret: str) -> str:
    """Return the one line of a secret."""
    return (SECRETS / secret).read_text(encoding="utf-8").strip()


def main() -> None:
    """Make tables and roles by ``stairways init``, then users who have one role each."""
    owner = os.environ.get("PGUSER", "stairways")
    url = f"postgresql+psycopg://{owner}@/{DATABASE}?host={os.environ['PGHOST']}"
    os.environ["PGPASSWORD"] = password("owner")
    stairways = [sys.executable, "-m", "stairways", "--database-url", url]
    subprocess.run([*stairways, "init", "--roles"], check=True)  # noqa: S603 - our own program
    with psycopg.connect(dbname=DATABASE, user=owner, autocommit=True) as connection:
        for user, (secret, role) in USERS.items():
            make_user(connection, user, password(secret), role)
    print("users:", ", ".join(USERS))


def make_user(connection: psycopg.Connection, user: str, word: str, role: str) -> None:
    """Make a user with a password and one role, or give an existing one both anew."""
    known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (user,)).fetchone()
    verb = sql.SQL("ALTER" if known else "CREATE")
    name = sql.Identifier(user)
    connection.execute(
        sql.SQL("{} ROLE {} LOGIN PASSWORD {}").format(verb, name, sql.Literal(word))
    )
    connection.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(role), name))


if __name__ == "__main__":
    main()
