#!/bin/sh
# What the tests around the server need (`browser`, `clients`, `operations`): Node (20 or newer) and Chromium from Debian where they are
# missing, the npm packages of the two package-lock.json, the Python packages of requirements.txt. Does nothing when all is there.
set -eu
cd "$(dirname "$0")"
python=../.cache/tests-python

missing=
command -v node >/dev/null && command -v npm >/dev/null || missing="nodejs npm"
command -v chromium >/dev/null || missing="$missing chromium fonts-dejavu-core"
command -v curl >/dev/null || missing="$missing curl"
python3 -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"
if [ -n "$missing" ]; then
    if [ "$(id -u)" != 0 ]; then
        echo "tests: these are missing: apt-get install $missing" >&2
        exit 1
    fi
    echo "tests: installing $missing"
    apt-get update -qq
    # shellcheck disable=SC2086 # the words are packages
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
fi

if [ "$(node --print 'process.versions.node.split(".")[0] >= 20')" != true ]; then
    echo "tests: Node 20 or newer is needed, here is $(node --version)" >&2
    exit 1
fi

for folder in . ../openapi/typescript; do
    if ! cmp -s "$folder/package-lock.json" "$folder/node_modules/.installed"; then
        (cd "$folder" && npm ci --silent --no-audit --no-fund --ignore-scripts)
        cp "$folder/package-lock.json" "$folder/node_modules/.installed"
    fi
done

if ! cmp -s requirements.txt "$python/installed.txt"; then
    python3 -m venv --clear "$python"
    "$python/bin/pip" install --quiet --disable-pip-version-check --requirement requirements.txt
    cp requirements.txt "$python/installed.txt"
fi
