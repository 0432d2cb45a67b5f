#!/usr/bin/env bash
# Build a stand-in for the image named in $1 from Debian's packages, for machines that reach no image registry.
# Only this stand-in trusts the machine's own CA bundle (CI may sit behind a TLS proxy); the project's Dockerfiles,
# which start FROM the same name, stay unchanged.
set -euo pipefail

tag=${1:?usage: base_image.sh TAG}
if docker image inspect "$tag" >/dev/null 2>&1; then
  exit 0
fi

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
chmod 755 "$root"
debootstrap --variant=minbase --include=ca-certificates,python3,python3-venv bookworm "$root" >/dev/null

# apt's caches are a third of the size and nothing in a stage needs them.
rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
cp "${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}" "$root/etc/ssl/certs/ca-certificates.crt"
# The mirror that the machine itself installs from works inside a build, too.
for source in /etc/apt/sources.list /etc/apt/sources.list.d/debian.sources; do
  if [[ -s $source ]]; then cp "$source" "$root$source"; fi
done

bundle=/etc/ssl/certs/ca-certificates.crt
tar -C "$root" -c . | docker import \
  --change "ENV SSL_CERT_FILE=$bundle PIP_CERT=$bundle REQUESTS_CA_BUNDLE=$bundle" \
  --change "LABEL org.understudy.stand-in=1" \
  - "$tag" >/dev/null
