#!/bin/sh
# Puts the ONNX Runtime shared library at .cache/onnxruntime/libonnxruntime.so, taken from the pinned wheel.
# The wheel's hash is checked by pip. The library does not depend on Python, so any Python 3 with pip will do.
set -eu
cd "$(dirname "$0")/.."
folder=.cache/onnxruntime
pin=setup/onnxruntime.txt

if [ -f "$folder/libonnxruntime.so" ] && cmp -s "$pin" "$folder/pin.txt"; then
    exit 0
fi
if ! python3 -m pip --version >/dev/null 2>&1; then
    echo "setup: python3 with pip is needed (Debian: apt-get install python3-pip)" >&2
    exit 1
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
machine=$(uname -m)
python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --require-hashes \
    --platform "manylinux_2_28_$machine" --python-version 3.13 --implementation cp --abi cp313 \
    --dest "$work" --requirement "$pin"

mkdir -p "$folder"
python3 - "$work"/*.whl "$work/libonnxruntime.so" <<'PYTHON'
import re, shutil, sys, zipfile
wheel, target = sys.argv[1:]
with zipfile.ZipFile(wheel) as archive:
    names = [n for n in archive.namelist() if re.fullmatch(r"onnxruntime/capi/libonnxruntime\.so\.[\d.]+", n)]
    with archive.open(names[0]) as source, open(target, "wb") as file:
        shutil.copyfileobj(source, file)
PYTHON
mv "$work/libonnxruntime.so" "$folder/libonnxruntime.so"
cp "$pin" "$folder/pin.txt"
echo "setup: ONNX Runtime is at $folder/libonnxruntime.so"
