#!/usr/bin/env bash
# Build stand-ins, from Debian's packages, for the images that docker-compose.yaml names and no machine without an image
# registry can have: the database and the proxy, and those of the profiles when asked for (stand_ins.sh prometheus
# alertmanager redis). They carry the very names, take the same settings and run as the same users, so that the compose file
# stays unchanged.
# Grafana has none: Debian does not package it.
set -euo pipefail
cd "$(dirname "$0")/.."

base=$(sed -n 's/^FROM \(.*\)$/\1/p' include/images/stage/Dockerfile)
image_of() { sed -n "s|^ *image: .*\b\($1:[^ ]*\)$|\1|p" docker-compose.yaml; }
missing() { ! docker image inspect "$1" >/dev/null 2>&1; }

build() {
  local tag=$1 folder
  folder=$(mktemp -d)
  cp .ci/stand_in/* "$folder"
  cat >"$folder/Dockerfile"
  if ! DOCKER_BUILDKIT=0 docker build --quiet --label org.understudy.stand-in=1 --tag "$tag" "$folder" >"$folder/log" 2>&1; then
    tail -n 20 "$folder/log" >&2
    echo "stand-in: $tag could not be built" >&2
    exit 1
  fi
  rm -rf "$folder"
  echo "stand-in: $tag is ready"
}

postgres=$(image_of postgres)
haproxy=$(image_of haproxy)
if missing "$postgres" || missing "$haproxy"; then
  # One installation for both.
  build "$haproxy" <<DOCKERFILE
FROM $base
RUN groupadd --gid 999 postgres && useradd --uid 999 --gid 999 --home-dir /var/lib/postgresql postgres \\
 && mkdir -p /etc/postgresql-common && echo 'create_main_cluster = false' > /etc/postgresql-common/createcluster.conf \\
 && apt-get update -qq \\
 && DEBIAN_FRONTEND=noninteractive apt-get install --yes -qq --no-install-recommends postgresql-15 haproxy \\
 && rm -rf /var/lib/apt/lists/* \\
 && install --directory --owner postgres --group postgres /var/lib/postgresql/data /var/run/postgresql
DOCKERFILE
  build "$postgres" <<DOCKERFILE
FROM $haproxy
COPY postgres_entry_point.sh /usr/local/bin/docker-entrypoint.sh
ENV PATH=\$PATH:/usr/lib/postgresql/15/bin PGDATA=/var/lib/postgresql/data
VOLUME /var/lib/postgresql/data
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["postgres"]
DOCKERFILE
fi

for asked in "$@"; do
  case $asked in
    prometheus) image=$(image_of prom/prometheus) ;;
    alertmanager) image=$(image_of prom/alertmanager) ;;
    redis) image=$(image_of redis) ;;
    *) echo "stand-in: there is none for $asked; ask for prometheus, alertmanager or redis" >&2; exit 2 ;;
  esac
  if ! missing "$image"; then continue; fi
  case $asked in
    prometheus)
      build "$image" <<DOCKERFILE
FROM $base
RUN apt-get update -qq \\
 && DEBIAN_FRONTEND=noninteractive apt-get install --yes -qq --no-install-recommends prometheus \\
 && rm -rf /var/lib/apt/lists/* && install --directory --owner 65534 --group 65534 /prometheus
VOLUME /prometheus
ENTRYPOINT ["prometheus"]
DOCKERFILE
      ;;
    alertmanager)
      build "$image" <<DOCKERFILE
FROM $base
RUN apt-get update -qq \\
 && DEBIAN_FRONTEND=noninteractive apt-get install --yes -qq --no-install-recommends prometheus-alertmanager \\
 && rm -rf /var/lib/apt/lists/* && install --directory --owner 65534 --group 65534 /alertmanager \\
 && ln -s prometheus-alertmanager /usr/bin/alertmanager
VOLUME /alertmanager
ENTRYPOINT ["alertmanager"]
DOCKERFILE
      ;;
    redis)
      build "$image" <<DOCKERFILE
FROM $base
RUN apt-get update -qq \\
 && DEBIAN_FRONTEND=noninteractive apt-get install --yes -qq --no-install-recommends redis-server \\
 && rm -rf /var/lib/apt/lists/*
DOCKERFILE
      ;;
  esac
done
