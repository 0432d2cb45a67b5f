#!/bin/bash
# What docker-compose.yaml needs of the entry point of the official image: an empty volume becomes a cluster, whose first
# start runs the scripts of /docker-entrypoint-initdb.d before anybody can connect by network.
set -euo pipefail

if [ ! -s "$PGDATA/PG_VERSION" ]; then
  read -ra settings <<<"${POSTGRES_INITDB_ARGS:-}"
  initdb --username postgres --pwfile <(printf '%s' "${POSTGRES_PASSWORD:?}") "${settings[@]}"
  echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
  pg_ctl --wait -o "-c listen_addresses=''" start
  for script in /docker-entrypoint-initdb.d/*.sh; do "$script"; done
  pg_ctl --wait --mode fast stop
fi
exec postgres -c listen_addresses='*'
