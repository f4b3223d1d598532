#!/bin/sh
# What of the official image's entrypoint a deployment here uses: a new data directory with a
# password from a file, then the server with the given arguments.
set -eu
export PATH="/usr/lib/postgresql/17/bin:$PATH"
if [ ! -s "$PGDATA/PG_VERSION" ]; then
	initdb --username=postgres --pwfile="$POSTGRES_PASSWORD_FILE" --pgdata="$PGDATA" \
		--auth-local=trust ${POSTGRES_INITDB_ARGS:-}
	printf 'host all all all scram-sha-256\n' >> "$PGDATA/pg_hba.conf"
	pg_ctl --pgdata="$PGDATA" --wait --options="-c listen_addresses=" start
	createdb --username=postgres "$POSTGRES_DB"
	pg_ctl --pgdata="$PGDATA" --wait stop
fi
exec "$@" -c listen_addresses='*'
