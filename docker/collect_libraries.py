"""Brings the shared libraries of ONNX Runtime and of NVIDIA's wheels together in one folder, under the names they are opened by.

    collect_libraries.py WHEELS LIBRARIES
"""

import re
import shutil
import sys
from pathlib import Path

wheels, libraries = map(Path, sys.argv[1:])
libraries.mkdir(parents=True)
runtime = wheels / "onnxruntime" / "capi"
found = [*runtime.glob("libonnxruntime.so.*"), *runtime.glob("libonnxruntime_providers_*.so"),
         *(wheels / "nvidia").glob("**/lib/*.so*")]
for path in found:
    # TensorRT is not used, and its provider needs libraries that are not here.
    if "tensorrt" in path.name:
        continue
    name = "libonnxruntime.so" if re.fullmatch(r"libonnxruntime\.so\.[\d.]+", path.name) else path.name
    shutil.copy2(path, libraries / name)
for needed in ("libonnxruntime.so", "libonnxruntime_providers_shared.so", "libonnxruntime_providers_cuda.so"):
    if not (libraries / needed).is_file():
        sys.exit(f"the wheels hold no {needed}")
