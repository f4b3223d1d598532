"""One PostgreSQL role and schema for each service: none reads another's journal."""

from collections.abc import Mapping

import psycopg
from psycopg import sql

from trading.topology import INSTANCES, SERVICES


def schema_of(service: str, number: int = 1) -> str:
    """Of the service's ``number``-th instance; its role is that of the first."""
    name = service.replace("-", "_")
    return name if number == 1 else f"{name}_{number}"


def set_up(url: str, passwords: Mapping[str, str]) -> list[str]:
    """Make, or put right, the roles and schemas of all services that have a password. ``url``: of a
    role that may create others. Returns the schemas. Raises psycopg.Error.
    """
    made = []
    with psycopg.connect(url, autocommit=True, connect_timeout=10) as db:
        database = sql.Identifier(db.info.dbname)
        db.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        db.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database))
        for service in SERVICES:
            if service not in passwords:
                continue
            role = sql.Identifier(schema_of(service))
            _make_role(db, schema_of(service), passwords[service])
            db.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(database, role))
            # On PostgreSQL 16 and newer only members of a role may make it an owner.
            db.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(role))
            for number in range(1, INSTANCES.get(service, 1) + 1):
                name = schema_of(service, number)
                schema = sql.Identifier(name)
                db.execute(
                    sql.SQL("CREATE SCHEMA IF NOT EXISTS {} AUTHORIZATION {}").format(schema, role)
                )
                db.execute(sql.SQL("REVOKE ALL ON SCHEMA {} FROM PUBLIC").format(schema))
                made.append(name)
    return made


def _make_role(db: psycopg.Connection[object], name: str, password: str) -> None:
    known = db.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (name,)).fetchone()
    verb = sql.SQL("ALTER ROLE") if known else sql.SQL("CREATE ROLE")
    # The server never sees the password itself, nor do its logs.
    scrambled = db.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256")
    db.execute(
        sql.SQL("{} {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD {}").format(
            verb, sql.Identifier(name), sql.Literal(scrambled.decode())
        )
    )
