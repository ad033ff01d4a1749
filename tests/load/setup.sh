#!/bin/sh
# What the load tests and `make bench` need, in .cache/load-python: k6 and the Python service that marketrank is compared with.
set -eu
cd "$(dirname "$0")/../.."
python=.cache/load-python
pins=tests/load/requirements.txt

if ! cmp -s "$pins" "$python/installed.txt"; then
    python3 -m venv --clear "$python"
    "$python/bin/pip" install --quiet --disable-pip-version-check --requirement "$pins"
    cp "$pins" "$python/installed.txt"
fi
