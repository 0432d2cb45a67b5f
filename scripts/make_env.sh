#!/usr/bin/env bash
# Write the secrets of docker-compose.yaml into .env, each generated once, and the files for what nobody can generate beside
# it. What stands there already is never changed, so this can be repeated; a later version's new secrets are added.
set -euo pipefail
cd "$(dirname "$0")/.."

file=${1:-.env}
socket=${STACK_DOCKER_SOCKET:-/var/run/docker.sock}
umask 077
draft=$(mktemp "$file.XXXXXX")
trap 'rm -f "$draft" "$draft.filled"' EXIT
if [ -e "$file" ]; then cat "$file" > "$draft"; fi
# A last line without an end would swallow the next one.
if [ -s "$draft" ] && [ -n "$(tail -c 1 "$draft")" ]; then echo >> "$draft"; fi

added=()
add() {
  local named="^[[:space:]]*(export[[:space:]]+)?$1="
  # Compose takes what is empty for missing, and the last line of several counts.
  if ! grep -E "$named" "$draft" | tail -n 1 | grep -Eqv "$named[[:space:]]*(''|\"\")?[[:space:]]*(#.*)?\$"; then
    grep -Ev "$named" "$draft" > "$draft.filled" || true
    mv "$draft.filled" "$draft"
    printf '%s=%s\n' "$1" "$2" >> "$draft"
    added+=("$1")
  fi
}
# 32 random bytes, in letters that a URL, a shell and compose leave alone.
secret() { head -c 32 /dev/urandom | base64 | tr -d '\n' | tr '+/' '-_'; }

add STACK_ID "$(head -c 6 /dev/urandom | od -An -tx1 | tr -d ' \n')"
for name in POSTGRES_PASSWORD AIRFLOW_DB_PASSWORD MLFLOW_DB_PASSWORD LEDGER_DB_PASSWORD REDIS_PASSWORD \
  ADMIN_PASSWORD MLFLOW_PASSWORD MLFLOW_SECRET_KEY GATEWAY_TOKEN FERNET_KEY API_SECRET_KEY JWT_SECRET GRAFANA_PASSWORD; do
  if [ "$name" = FERNET_KEY ]; then value=$(secret); else value=$(secret | tr -d '='); fi
  add "STACK_$name" "$value"
done
# The group that may use the engine's socket; the socket proxy runs in it. A stat without --format is macOS's, where
# containers do not see this socket but the one in Docker's own machine, which is root's.
add STACK_DOCKER_GID "$(stat --dereference --format %g "$socket" 2>/dev/null || echo 0)"

for example in include/stack/*.env.example; do
  settings=$(dirname "$file")/$(basename "$example" .example)
  if [ ! -e "$settings" ]; then
    cat "$example" > "$settings"
    echo "env: wrote $settings, in which nothing is set yet"
  fi
done

if [ ${#added[@]} -eq 0 ]; then
  chmod 600 "$file"
  echo "env: $file has everything already"
  exit 0
fi
mv "$draft" "$file"
echo "env: added to $file, which only its owner can read: ${added[*]}"
