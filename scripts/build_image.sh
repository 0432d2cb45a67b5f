#!/usr/bin/env bash
# Build an image: the one that stages run in (`build_image.sh`), or the one of Airflow, MLflow and the gateway, which stands
# on it (`build_image.sh airflow`). Where no Docker engine answers, say so and leave it at that. Skips when the image holds
# the present content already.
set -euo pipefail
cd "$(dirname "$0")/.."

kind=${1:-stage}
dockerfile=include/images/$kind/Dockerfile
version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' plugins/understudy/__init__.py)
image=understudy-$kind:$version

if [ "$kind" = stage ] && [ "${AIRFLOW__UNDERSTUDY__ISOLATION:-}" = process ]; then
  echo "image: not needed, stages are isolated by process (AIRFLOW__UNDERSTUDY__ISOLATION=process)"
  exit 0
fi
if ! docker version >/dev/null 2>&1; then
  if [ "$kind" != stage ]; then
    echo "image: no Docker engine answers, and $image cannot be built without one" >&2
    exit 1
  fi
  echo "image: no Docker engine answers, so stages will be isolated by process"
  exit 0
fi

# What the Dockerfile copies, and the image that it stands on.
case $kind in
  stage)
    copied="include/images/stage plugins/understudy/__init__.py plugins/understudy/contract plugins/understudy/stages
      plugins/understudy/gateway/__init__.py plugins/understudy/gateway/exchange.py plugins/understudy/gateway/frames.py
      plugins/understudy/gateway/worker.py plugins/understudy/gateway/scoring"
    base=
    ;;
  airflow)
    copied="requirements.txt include/images/airflow dags plugins docs/runbooks.md"
    base=understudy-stage:$version
    ;;
  *)
    echo "usage: build_image.sh [stage|airflow]" >&2
    exit 2
    ;;
esac
content=$(
  {
    # shellcheck disable=SC2086 # a list of paths without spaces
    find $copied -type f ! -name '*.pyc' -exec cksum {} + | LC_ALL=C sort
    if [ -n "$base" ]; then docker image inspect --format '{{.Id}}' "$base"; fi
  } | cksum | tr ' ' '-'
)
present=$(docker image inspect --format '{{index .Config.Labels "org.understudy.content"}}' "$image" 2>/dev/null || true)
if [ "$present" = "$content" ]; then
  exit 0
fi

# The legacy builder where the engine has no other: Debian's packages bring none.
if docker buildx version >/dev/null 2>&1; then
  builder=1
else
  builder=0
fi
set -- --file "$dockerfile" --tag "$image" --label "org.understudy.content=$content"
if [ "$kind" = airflow ]; then
  commit=$(git rev-parse HEAD 2>/dev/null || echo unknown)
  if [ -n "$(git status --porcelain --untracked-files=no 2>/dev/null)" ]; then commit=$commit+changes; fi
  set -- "$@" --build-arg "STAGE_IMAGE=$base" --build-arg "CODE_COMMIT=$commit"
fi
if [ -n "${UNDERSTUDY_EXTRA_CA:-}" ]; then
  set -- "$@" --build-arg "EXTRA_CA=$(cat "$UNDERSTUDY_EXTRA_CA")"
fi

replaced=$(docker image inspect --format '{{.Id}}' "$image" 2>/dev/null || true)
log=$(mktemp)
trap 'rm -f "$log"' EXIT
started=$SECONDS
echo "image: building $image (the first time takes a minute or two)"
if ! DOCKER_BUILDKIT=$builder docker build "$@" . >"$log" 2>&1; then
  tail -n 20 "$log" >&2
  echo "image: the build failed, see above; to go on without it: export AIRFLOW__UNDERSTUDY__ISOLATION=process" >&2
  exit 1
fi
# Not whatever has our label and no name: images that are made of ours inherit it, and versions are served in them.
if [ -n "$replaced" ] && [ "$replaced" != "$(docker image inspect --format '{{.Id}}' "$image")" ]; then
  docker image rm "$replaced" >/dev/null 2>&1 || true  # others are made of it, or a container runs it
fi
echo "image: $image is ready ($((SECONDS - started)) s)"
