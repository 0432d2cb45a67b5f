#!/usr/bin/env bash
# The command line of the stack that docker-compose.yaml runs, on its machine: `scripts/understudy.sh status powerprice`, or
# with `alias understudy=…/scripts/understudy.sh` every command as the documentation has it.
set -euo pipefail
cd "$(dirname "$0")/.."

. scripts/compose.sh

options=()
# A terminal in between would turn every end of a line in redirected output into two characters.
if [ ! -t 0 ] || [ ! -t 1 ]; then options+=(-T); fi
for name in AIRFLOW__UNDERSTUDY__AIRFLOW_USER AIRFLOW__UNDERSTUDY__AIRFLOW_PASSWORD AIRFLOW__UNDERSTUDY__AIRFLOW_TOKEN; do
  if [ -n "${!name:-}" ]; then options+=(-e "$name"); fi
done

case ${1:-} in
  # Each gateway keeps its own log.
  predictions) exec "${compose[@]}" exec ${options[@]+"${options[@]}"} gateway understudy "$@" ;;
  up | down | demo | practice | gateway | metrics)
    echo "understudy: the services of the stack do that; see docs/compose.md (${compose[*]} up --detach, restart, down)" >&2
    exit 2
    ;;
  *) exec "${compose[@]}" run --rm ${options[@]+"${options[@]}"} cli understudy "$@" ;;
esac
