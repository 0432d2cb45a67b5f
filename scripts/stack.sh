#!/usr/bin/env bash
# `make stack`: from nothing to a served model, on one server with Docker and compose. Can be repeated: it starts what does
# not run, brings what is older up to date, and trains the sample only where nothing serves.
set -euo pipefail
cd "$(dirname "$0")/.."

. scripts/compose.sh

scripts/make_env.sh
scripts/build_image.sh
scripts/build_image.sh airflow
"${compose[@]}" up --detach --remove-orphans

waiting=
for _ in $(seq 300); do
  # With --all, since version 2 leaves out what has stopped; that of `run` is nobody's service.
  waiting=$("${compose[@]}" ps --all --quiet | xargs docker inspect --format \
    '{{with .Config.Labels}}{{index . "com.docker.compose.service"}} {{index . "com.docker.compose.oneoff"}}{{end}} {{.State.Status}} {{if .State.Health}}{{.State.Health.Status}}{{end}}' \
    | awk '$1 != "init" && $2 != "True" && !($3 == "running" && ($4 == "healthy" || $4 == "")) { printf "%s ", $1 }')
  if [ -z "$waiting" ]; then break; fi
  sleep 2
done
if [ -n "$waiting" ]; then
  echo "stack: not healthy after ten minutes: ${waiting}(look at: ${compose[*]} logs ${waiting% })" >&2
  exit 1
fi

if ! scripts/understudy.sh status powerprice --json </dev/null 2>/dev/null | grep -q '"champion": *{'; then
  # Nobody else has an account yet.
  export AIRFLOW__UNDERSTUDY__AIRFLOW_USER=admin AIRFLOW__UNDERSTUDY__AIRFLOW_PASSWORD
  AIRFLOW__UNDERSTUDY__AIRFLOW_PASSWORD=$(sed -n "s/^STACK_ADMIN_PASSWORD=//p" .env | tail -n 1 | sed "s/^['\"]\(.*\)['\"]\$/\1/")
  scripts/understudy.sh retrain powerprice --as-of 2024-01-01 --reason "The first model" </dev/null
fi

airflow=$("${compose[@]}" port api-server 8080)
gateway=$("${compose[@]}" port edge 8090)
cat <<TEXT
The stack runs.
  Airflow  http://$airflow  (account admin; its password is STACK_ADMIN_PASSWORD in .env)
  Gateway  http://$gateway  (for example: curl http://$gateway/models/powerprice/version)
Commands: scripts/understudy.sh status powerprice
Stop it with: ${compose[*]} down  (what it knows stays in its volumes). Everything else: docs/compose.md
TEXT
if ! grep -Eq '^(export )?AIRFLOW__UNDERSTUDY__ALERTS_TO=.' airflow.env; then
  echo "Nobody is told when something goes wrong: airflow.env says how to change that."
fi
