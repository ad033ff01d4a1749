"""`make bench`: what the serving path costs and gains, as ratios taken in one run, in a table that goes to BENCHMARKS.md.

Machines are shared and noisy, so the two sides of a ratio are measured one right after the other, several times, and the median of the
ratios counts. Nothing here fails for being slow: the table says what was asked.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from datetime import date
from pathlib import Path

from PIL import Image

from processes import CORES, PHOTOS, ROOT, bare_loop, k6, marketrank, older, peer

SECONDS = 5
REST_SECONDS = 0.2


def paired(pairs, ours, other):
    """Median over pairs of ours/other, and the two medians."""
    measured = [(ours(), other()) for _ in range(pairs)]
    a, b = zip(*measured)
    return statistics.median(x / y for x, y in measured), statistics.median(a), statistics.median(b)


def http_rate(server, kind, **env):
    return lambda: k6("throughput", server, KIND=kind, VUS=16, DURATION=f"{SECONDS}s", **env).per_second


def fresh_http_rate(kind):
    """A server of its own for each measure, as the bare loop is a process of its own: one keeps for life the memory it was given at its
    start, and two starts of the same binary, asked in turns, differed by up to a fifth."""

    def rate():
        with marketrank() as server:
            return http_rate(server, kind)()

    return rate


def bare_rate(what, files):
    def rate():
        ran = bare_loop(what, files, seconds=SECONDS)
        return ran["examples"] / ran["seconds"]

    return rate


def texts(folder: Path) -> Path:
    """Lines like those that lib.js sends."""
    kept = ["used twice", "in good condition", "from a smoke free home", "a little scratched", "as new, boxed"]
    things = ["road bike", "oak table", "washing machine", "iphone 13", "size 9 boots", "two man tent", "electric guitar", "pram"]
    lines = []
    for number in range(4000):
        words = [kept[(number + at) % len(kept)] for at in range(1 + number * 7 % 8)]
        lines.append(f"{things[number % len(things)]} {number} {', '.join(words)}. Collection only.")
    path = folder / "texts.txt"
    path.write_text("\n".join(lines))
    return path


def phone_photo(folder: Path) -> Path:
    """Twelve megapixels with the grain of a camera, 4:2:0 as phones write it."""
    small = Image.open(PHOTOS / "sofa.jpg").convert("RGB")
    large = small.resize((4032, 3024), Image.Resampling.BICUBIC)
    grain = Image.effect_noise(large.size, 12).convert("RGB")
    path = folder / "phone.jpg"
    Image.blend(large, grain, 0.08).save(path, quality=90, subsampling="4:2:0")
    return path


def post_photo(url: str, photo: bytes) -> float:
    """Milliseconds from request to answer."""
    head = b'--x\r\ncontent-disposition: form-data; name="image"; filename="p.jpg"\r\ncontent-type: image/jpeg\r\n\r\n'
    body = head + photo + b"\r\n--x--\r\n"
    request = urllib.request.Request(
        f"{url}/v1/predict-category", body, {"content-type": "multipart/form-data; boundary=x"}
    )
    started = time.perf_counter()
    urllib.request.urlopen(request).read()
    return (time.perf_counter() - started) * 1000


def against_bare_loop(pairs, folder):
    photos = [PHOTOS / f"{name}.jpg" for name in ("bicycle", "sofa", "guitar", "laptop")] * 2
    ratio, ours, bare = paired(pairs, fresh_http_rate("photo"), bare_rate("photos", photos))
    yield "photos a second over HTTP, against the bare loop", f"{ours:.0f} against {bare:.0f}", ratio, "0.90"
    ratio, ours, bare = paired(pairs, fresh_http_rate("text"), bare_rate("texts", [texts(folder)]))
    yield "texts a second over HTTP, against the bare loop", f"{ours:.0f} against {bare:.0f}", ratio, "0.85"


def against(service, name, asked):
    def compare(pairs, _folder):
        with marketrank() as server, service() as other:
            routes = {"PHOTO_ROUTE": "/photo", "TEXT_ROUTE": "/text"}
            for kind, wanted in asked.items():
                ratio, ours, theirs = paired(pairs, http_rate(server, kind), http_rate(other, kind, **routes))
                yield f"{kind}s a second, against {name}", f"{ours:.0f} against {theirs:.0f}", ratio, wanted

    return compare


def waiting(pairs, _folder):
    with marketrank() as server:
        for kind in ("photo", "text"):

            def busy():
                capacity = k6("throughput", server, KIND=kind, VUS=16, DURATION=f"{SECONDS}s")
                rate = max(1, int(0.7 * capacity.requests / capacity.seconds))
                return k6("steady", server, KIND=kind, RATE=rate, DURATION=f"{SECONDS}s", P99_MS=100_000).p99

            def alone():
                return k6("throughput", server, KIND=kind, VUS=1, DURATION="4s").median

            ratio, ours, one = paired(pairs, busy, alone)
            yield f"p99 of {kind}s at 70 % of capacity, against one alone", f"{ours:.1f} ms against {one:.1f}", ratio, "under 5"


def phone_photos(pairs, folder):
    path = phone_photo(folder)
    photo = path.read_bytes()
    with marketrank("--max-batch", "1") as server:

        def full():
            ran = bare_loop("photos", [path], "--full-size", "--workers", "1", "--max-batch", "1", seconds=3)
            return ran["seconds"] / ran["examples"] * 1000

        def ours():
            return statistics.median(post_photo(server.url, photo) for _ in range(20))

        ratio, whole, scaled = paired(pairs, full, ours)
        yield "12 megapixels: decode at full size + run, against request to answer", f"{whole:.0f} ms against {scaled:.0f}", ratio, "3"


def start_and_memory(pairs, _folder):
    photo = (PHOTOS / "sofa.jpg").read_bytes()
    starts, firsts = [], {0.0: [], REST_SECONDS: []}
    # A single request is a noisy measure, and a start is soon over.
    for _ in range(3 * pairs):
        for rest, ratios in firsts.items():
            with marketrank() as server:
                starts.append(server.ready_seconds)
                times = []
                for _ in range(10):
                    time.sleep(rest)
                    times.append(post_photo(server.url, photo))
                ratios.append(times[0] / times[9])
    yield "start to ready", f"{statistics.median(starts):.2f} s", None, "1.5 s"
    yield "first request, against the tenth in a row", "", statistics.median(firsts[0.0]), "about 1"
    # In a row the tenth finds the processor awake and its caches full of the nine before it; after a rest neither does.
    yield f"the same, each after {REST_SECONDS} s of rest", "", statistics.median(firsts[REST_SECONDS]), "about 1"
    with marketrank() as server:
        idle = server.resident_mb()
        for kind in ("photo", "text"):
            k6("throughput", server, KIND=kind, VUS=16, DURATION=f"{SECONDS}s")
        yield "resident memory, idle", f"{idle:.0f} MB", None, "350 MB"
        yield "resident memory after full load", f"{server.resident_mb():.0f} MB", None, "600 MB"


def telemetry(pairs, _folder):
    with marketrank() as counted, marketrank("--no-metrics", port=8172) as silent:
        # Spans are made either way; only a collector makes them leave the process.
        ratio, *_ = paired(pairs, http_rate(counted, "text"), http_rate(silent, "text"))
        yield "texts a second with metrics, against without", "", ratio, "0.98"


PARTS = {
    "against_bare_loop": against_bare_loop,
    "against_peer": against(peer, "FastAPI and ONNX Runtime", {"photo": "1.3", "text": "4"}),
    "against_older": against(older, "FastAPI and PyTorch", {"photo": "3", "text": "10"}),
    "waiting": waiting,
    "phone_photos": phone_photos,
    "start_and_memory": start_and_memory,
    "telemetry": telemetry,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--only", choices=PARTS, action="append")
    parser.add_argument("--older", action="store_true", help="compare with the older service's stack too")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()

    rows, load_before = [], os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        for name, part in PARTS.items():
            if name in (arguments.only or PARTS) and (arguments.older or name != "against_older"):
                for what, measured, ratio, asked in part(arguments.pairs, Path(folder)):
                    rows.append((what, measured, "" if ratio is None else f"{ratio:.2f}", asked))
                    print(" | ".join(rows[-1]), flush=True)
    widths = [max(len(row[i]) for row in [*rows, HEAD]) for i in range(4)]
    line = lambda row: "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |"
    table = "\n".join([line(HEAD), line(["-" * width for width in widths]), *map(line, rows)])
    print("\n" + table)
    if arguments.output:
        arguments.output.write_text(TEXT.format(table=table, pairs=arguments.pairs, date=date.today(), machine=machine(load_before)))


HEAD = ["what", "measured", "ratio", "asked"]
TEXT = """# Benchmarks

`make bench OLDER=older` prints this table and writes it here; without `OLDER` the comparison with PyTorch is left out. Ratios are
medians of {pairs} pairs, the two sides of a pair measured one right after the other; against the bare loop each measure starts a
server of its own. The CPU time of the load generator (k6, on the same cores) is given back to the server it asked.

{table}

Measured on {date}: {machine}.
"""


def machine(load_before) -> str:
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    return f"{CORES} cores of {model}, load average {load_before:.1f} before and {os.getloadavg()[0]:.1f} at the end, commit {commit}"


if __name__ == "__main__":
    sys.exit(main())
