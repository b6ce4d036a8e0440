#!/bin/sh
# with-password.sh USER SECRET [COMMAND …]: run stairways as a user of the database whose password
# is the secret of that name. The password is in no URL, no settings and no command line.
set -eu
user=$1 secret=$2
shift 2
PGPASSWORD=$(cat "${SECRETS:-/run/secrets}/$secret")
export PGPASSWORD
export STAIRWAYS_DATABASE_URL="postgresql+psycopg://$user@postgres/stairways"
exec stairways --json-logs "$@"
