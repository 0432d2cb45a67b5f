# Read by the scripts that speak to the stack: sets `compose` to the compose that this machine has, version 2 before 1.29.
if docker compose version >/dev/null 2>&1; then
  compose=(docker compose)
elif docker-compose version >/dev/null 2>&1; then
  compose=(docker-compose)
else
  echo "$(basename "$0" .sh): neither \`docker compose\` nor \`docker-compose\` (1.29 or later) is installed" >&2
  exit 1
fi
