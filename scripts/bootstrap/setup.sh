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

# The kernel frees the lock when the last process of a setup is gone, so a killed one never blocks the next,
# and a pip that outlived it is waited for.
if command -v flock >/dev/null 2>&1; then
  flock --nonblock "$root/.espalier/lock" true || echo "espalier setup: waiting for another setup in this checkout" >&2
  exec flock "$root/.espalier/lock" node "$root/scripts/bootstrap/main.mjs" "$@"
fi
exec node "$root/scripts/bootstrap/main.mjs" "$@"
