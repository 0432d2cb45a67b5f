#!/bin/bash
# Run once, by the database's own entry point, on an empty volume: a database and a role for each that needs one. No role
# may connect to another's database, and none but `postgres` may do more than own its own.
set -euo pipefail

sql() { psql --quiet --set ON_ERROR_STOP=1 --username postgres --dbname postgres "$@"; }

for name in airflow mlflow ledger; do
  # The password is read from the environment by psql itself: an argument would be seen in the list of processes.
  sql --set role="$name" <<SQL
\getenv password ${name^^}_DB_PASSWORD
CREATE ROLE :"role" LOGIN PASSWORD :'password' NOSUPERUSER NOCREATEDB NOCREATEROLE;
CREATE DATABASE :"role" OWNER :"role" ENCODING 'UTF8' TEMPLATE template0;
REVOKE ALL ON DATABASE :"role" FROM PUBLIC;
SQL
done
sql --command 'REVOKE CONNECT ON DATABASE postgres FROM PUBLIC'
