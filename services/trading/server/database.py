"""Creates a PostgreSQL role and schema for each service.

Each role can only use its own schemas, so that no service can read or change another's journal.
"""

from collections.abc import Mapping

import psycopg
from psycopg import sql

from trading.topology import MAX_INSTANCES, SERVICES


def schema_of(service: str, number: int = 1) -> str:
    """Return the schema of the service's instance ``number``, counted from 1.

    The schema of the first instance is also the name of the service's role.
    """
    name = service.replace("-", "_")
    return name if number == 1 else f"{name}_{number}"


def set_up(url: str, passwords: Mapping[str, str]) -> list[str]:
    """Create the roles and schemas of all services that have a password, or correct existing ones.

    ``url`` is that of a role that may create roles; ``passwords`` maps services to the passwords of
    their roles. Returns the names of the schemas. Raises psycopg.Error.
    """
    schemas = []
    with psycopg.connect(url, autocommit=True, connect_timeout=10) as db:
        database = sql.Identifier(db.info.dbname)
        db.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        db.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database))
        for service in SERVICES:
            if service not in passwords:
                continue
            role = sql.Identifier(schema_of(service))
            _create_or_alter_role(db, schema_of(service), passwords[service])
            db.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(database, role))
            # Since PostgreSQL 16, only members of a role may make it the owner of a schema.
            db.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(role))
            for number in range(1, MAX_INSTANCES.get(service, 1) + 1):
                name = schema_of(service, number)
                schema = sql.Identifier(name)
                db.execute(
                    sql.SQL("CREATE SCHEMA IF NOT EXISTS {} AUTHORIZATION {}").format(schema, role)
                )
                db.execute(sql.SQL("REVOKE ALL ON SCHEMA {} FROM PUBLIC").format(schema))
                schemas.append(name)
    return schemas


def _create_or_alter_role(db: psycopg.Connection[object], name: str, password: str) -> None:
    exists = db.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (name,)).fetchone()
    verb = sql.SQL("ALTER ROLE") if exists else sql.SQL("CREATE ROLE")
    # The password is hashed here, so that neither the server nor its logs contain it.
    encrypted = db.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256")
    db.execute(
        sql.SQL("{} {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD {}").format(
            verb, sql.Identifier(name), sql.Literal(encrypted.decode())
        )
    )
