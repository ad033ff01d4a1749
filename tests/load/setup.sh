#!/bin/sh
# What the load tests and `make bench` need, in .cache/load-python: k6 and the Python service that marketrank is compared with. With
# `older`, what the older service's stack needs too, in .cache/older-python.
set -eu
cd "$(dirname "$0")/../.."

# bring FOLDER PINS: a Python environment with these packages, made anew where the pins have changed.
bring() {
    if ! cmp -s "$2" "$1/installed.txt"; then
        python3 -m venv --clear "$1"
        "$1/bin/pip" install --quiet --disable-pip-version-check --requirement "$2"
        cp "$2" "$1/installed.txt"
    fi
}

bring .cache/load-python tests/load/requirements.txt
if [ "${1:-}" = older ]; then
    bring .cache/older-python tests/load/older/requirements.txt
fi
