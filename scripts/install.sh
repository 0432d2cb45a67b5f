#!/usr/bin/env bash
# Create or repair .venv with uv, which pip fetches where it is not installed; else with pip alone. Says nothing and takes no time when it is up to
# date. Works with the bash 3.2 of macOS.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=.venv
stamp=$venv/.understudy-stamp

fail() {
  printf 'install: %s\n' "$*" >&2
  exit 1
}

# The place is part of it: an environment cannot be moved.
wanted="$(cat requirements.txt requirements-dev.txt pyproject.toml scripts/install.sh | cksum) $PWD"
if [ -x $venv/bin/understudy ] && [ "$(cat $stamp 2>/dev/null)" = "$wanted" ] && $venv/bin/python -c '' 2>/dev/null; then
  exit 0
fi

is_supported() {
  "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' 2>/dev/null
}

find_python() {
  for candidate in ${UNDERSTUDY_PYTHON:-python3 python3.12 python3.11 python3.13 python3.10 python}; do
    if is_supported "$candidate"; then
      command -v "$candidate"
      return
    fi
  done
  return 1
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT

# Print the package that could be had as source code only and could not be built, by the words of uv or of pip.
unbuilt() {
  sed -nE -e 's/.*Failed to build( installable wheels for some pyproject.toml based projects \()?[ `]*([A-Za-z0-9._-]+).*/\2/p' \
    -e 's/.*Failed building wheel for ([A-Za-z0-9._-]+).*/\1/p' "$log" | head -n 1
}

# Run a step quietly; of one that fails, tell the reason in a sentence where it is known, else show its last words.
run() {
  if "$@" >"$log" 2>&1; then
    return
  fi
  if grep -qiE 'ensurepip|python3-venv' "$log"; then
    fail "this Python has no venv module; install it (on Debian: apt-get install python3-venv) and try again."
  fi
  if grep -qiE 'certificate|CERTIFICATE_VERIFY_FAILED|UnknownIssuer' "$log"; then
    fail "the package index presented an unknown certificate; point SSL_CERT_FILE and PIP_CERT to your company's CA bundle."
  fi
  package=$(unbuilt)
  if [ -n "$package" ]; then
    tail -n 20 "$log" >&2
    fail "$package has no ready-made wheel for this Python and could not be built here (its last words are above);" \
      "remove .venv and name another Python, 3.10 to 3.13, with UNDERSTUDY_PYTHON."
  fi
  if grep -qiE 'dns|from versions: none|resolve host|name resolution|failed to fetch|connection (refused|error|reset)|NewConnectionError|timed out|unreachable' "$log"; then
    fail "the package index could not be reached; check the network (or UV_INDEX_URL / PIP_INDEX_URL) and try again."
  fi
  if grep -qi 'no space left' "$log"; then
    fail "the disk is full; the environment needs about 2 GB."
  fi
  tail -n 20 "$log" >&2
  fail "'$*' failed; its last words are above."
}

if [ -e $venv ] && ! is_supported $venv/bin/python; then
  rm -rf $venv
fi
rm -f $stamp

uv=$(command -v uv || true)
if [ ! -e $venv ] && ! python=$(find_python) && [ -z "$uv" ]; then
  found=$(${UNDERSTUDY_PYTHON:-python3} --version 2>/dev/null || echo none)
  fail "Python 3.10 to 3.13 is needed (found: $found); install one, or name it with UNDERSTUDY_PYTHON."
fi

started=$SECONDS
echo "install: creating $venv (about a minute and a half the first time)"
if [ ! -e $venv ]; then
  if [ -n "$uv" ]; then
    # uv finds or fetches an interpreter itself where the PATH has none.
    run uv venv --python "${python:->=3.10,<3.14}" $venv
  else
    run "$python" -m venv $venv
  fi
fi
if [ -z "$uv" ]; then
  # pip may search ten minutes for versions that fit together where uv needs seconds: so pip's first errand is uv.
  # A run that was killed may have left an environment without pip.
  $venv/bin/python -m pip --version >/dev/null 2>&1 || run $venv/bin/python -m ensurepip
  if $venv/bin/python -m pip install --disable-pip-version-check --quiet "$(grep '^uv==' requirements-dev.txt)" \
    >/dev/null 2>&1; then
    uv=$venv/bin/uv
  fi
fi
if [ -n "$uv" ]; then
  # Byte-compiled here as pip does it: every stage is a process of its own, and the first import of each module costs
  # seconds, again and again where PYTHONDONTWRITEBYTECODE is set.
  install_into_venv() { run "$uv" pip install --compile-bytecode --python $venv/bin/python "$@"; }
else
  install_into_venv() { run $venv/bin/python -m pip install --disable-pip-version-check "$@"; }
fi
install_into_venv --requirement requirements.txt --requirement requirements-dev.txt
install_into_venv --no-deps --editable .
# A stage writes no byte code, so what only stages import would be compiled at each start.
run $venv/bin/python -m compileall -q plugins

printf '%s\n' "$wanted" >$stamp
echo "install: $venv is ready ($((SECONDS - started)) s)"
