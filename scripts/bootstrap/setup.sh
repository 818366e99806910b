#!/bin/sh
# Finds a Node that can run the bootstrap and hands over to main.mjs, one setup at a time in a checkout.
# Plain POSIX sh, because it must be able to say "node is missing".
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)

stop() {
  printf 'espalier setup: %s\n  fix: %s\n' "$1" "$2" >&2
  exit 1
}

command -v node >/dev/null 2>&1 || stop "node is not on PATH" "install Node.js 20 or newer together with npm (Debian: the nodejs and npm packages)"
# The version test is ES5, so that an ancient Node fails on the test and not on the syntax.
node -e 'process.exit(parseInt(process.versions.node, 10) >= 20 ? 0 : 1)' ||
  stop "node $(node --version) is too old" "install Node.js 20 or newer; it only starts the setup, everything else runs on the Node that npm brings"
command -v npm >/dev/null 2>&1 || stop "npm is not on PATH" "install npm (Debian: the npm package)"

mkdir -p "$root/.espalier" || stop "$root/.espalier cannot be created" "make the checkout writable for $(id -un)"

# The kernel frees the lock when the last process that holds it is gone: a killed setup never blocks the next one,
# and the commands that main.mjs starts hold it too, so that a pip which outlived its setup is waited for.
if command -v flock >/dev/null 2>&1; then
  exec 9>"$root/.espalier/lock"
  if ! flock --nonblock 9; then
    echo "espalier setup: waiting for another setup in this checkout" >&2
    flock 9
  fi
  export ESPALIER_LOCK_FD=9
fi
exec node "$root/scripts/bootstrap/main.mjs" "$@"
