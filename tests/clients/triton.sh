#!/bin/sh
# Runs triton.py against a server of its own: the packages come from PyPI into .cache/triton, the catalogue goes when it is done.
set -eu
cd "$(dirname "$0")/../.."
venv=.cache/triton
[ -x $venv/bin/pip ] || python3 -m venv --clear $venv
$venv/bin/pip install --quiet 'tritonclient[http]==2.73.0'
data=$(mktemp -d)
target/release/marketrank serve --listen 127.0.0.1:0 --data-dir "$data/catalogue" 2>"$data/log" &
server=$!
trap 'kill $server 2>/dev/null; wait $server 2>/dev/null || true; rm -rf "$data"' EXIT
tries=0
until grep -q 'ready: http' "$data/log"; do
    tries=$((tries + 1))
    if [ $tries -gt 3000 ] || ! kill -0 $server 2>/dev/null; then
        cat "$data/log" >&2
        exit 1
    fi
    sleep 0.1
done
address=$(sed -n 's|.*ready: \(http://[0-9.:]*\)/docs.*|\1|p' "$data/log" | head -n 1)
$venv/bin/python tests/clients/triton.py "$address"
