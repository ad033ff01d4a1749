"""`make soak`: half an hour of mixed load with faults in between; answers, p99, memory and file descriptors must stay as they were.

Each fault comes once in every window of time, so windows can be compared. The first windows fill caches and the catalogue; those
after them are halved, and the medians of the two halves compared.
"""

import argparse
import gzip
import http.client
import json
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from processes import PHOTOS, PYTHON, ROOT, Server, marketrank

PORT = 8172
PAUSE = 10
WARM_UP = 0.2
"""Share of the windows that are not compared."""
MOST_TURNED_AWAY = 0.01
"""Of all requests; a fault may cost a few."""
MOST = {"p99": 1.25, "held": 1.05, "descriptors": 1.05}
"""Second half against first, at most."""


@contextmanager
def stalling_photos():
    """The URL of a photo whose server takes every request and answers none."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        held = []

        def accept():
            while True:
                try:
                    held.append(server.accept()[0])
                except OSError:
                    return

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/photo.jpg"
        for connection in held:
            connection.close()


class Faults:
    """What goes wrong around a shop. Each says what it expects of the server, and fails where that is not what comes."""

    def __init__(self, server: Server, models: Path, photo_url: str):
        self.server, self.models, self.photo_url = server, models, photo_url
        self.random = random.Random(1)

    def all(self):
        return [
            self.reload, self.torn_models, self.noise, self.half_requests, self.burst,
            self.stalling_photo, self.cut_off_write, self.backup, self.hang_up,
        ]

    def ask(self, method, route, body=None, timeout=60):
        connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=timeout)
        try:
            content = None if body is None else json.dumps(body)
            connection.request(method, route, content, {"content-type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def expect(self, statuses, method, route, body=None):
        status, answer = self.ask(method, route, body)
        if status not in statuses:
            raise AssertionError(f"{method} {route} answers {status}, expected {statuses}: {answer[:300]}")
        return answer

    def reload(self):
        self.expect([200], "POST", "/v1/admin/reload")

    def torn_models(self):
        torn = self.models / "text.int8.onnx"
        whole = torn.resolve()
        torn.unlink()
        torn.write_bytes(whole.read_bytes()[:100_000])
        try:
            self.expect([409], "POST", "/v1/admin/reload")
        finally:
            torn.unlink()
            torn.symlink_to(whole)

    def noise(self):
        for _ in range(100):
            with socket.create_connection(("127.0.0.1", PORT), timeout=10) as connection:
                connection.sendall(self.random.randbytes(self.random.randrange(1, 3000)))

    def half_requests(self):
        """Clients that go away in the middle of a photo, and others that stay and say nothing more."""
        photo = (PHOTOS / "sofa.jpg").read_bytes()
        head = b"POST /predict/image HTTP/1.1\r\nhost: a\r\ncontent-type: multipart/form-data; boundary=b\r\n"
        part = b'--b\r\ncontent-disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n'
        quiet = []
        for number in range(40):
            connection = socket.create_connection(("127.0.0.1", PORT), timeout=10)
            connection.sendall(head + f"content-length: {len(photo) + 500}\r\n\r\n".encode() + part + photo[: len(photo) // 2])
            if number % 2:
                quiet.append(connection)
            else:
                connection.close()
        time.sleep(3)
        for connection in quiet:
            connection.close()

    def burst(self):
        """More at once than may wait: answered or turned away."""
        def one(number):
            listing = {"title": f"Road bike {number}", "description": "new tyres and brakes. " * 60}
            return self.ask("POST", "/v1/predict-category", listing)[0]

        with ThreadPoolExecutor(64) as clients:
            statuses = set(clients.map(one, range(200)))
        if not statuses <= {200, 429}:
            raise AssertionError(f"a burst is answered {statuses}")

    def stalling_photo(self):
        def one(_):
            self.expect([422, 504], "POST", "/v1/predict-category", {"images": [{"url": self.photo_url}]})

        with ThreadPoolExecutor(4) as clients:
            list(clients.map(one, range(4)))

    def cut_off_write(self):
        """An NDJSON stream that ends in the middle of a line: what was acknowledged counts, the rest does not."""
        lines = "".join(json.dumps({"id": f"cut-{number}", "title": "Lamp"}) + "\n" for number in range(50))
        head = "POST /v1/products HTTP/1.1\r\nhost: a\r\ncontent-type: application/x-ndjson\r\ncontent-length: 1000000\r\n\r\n"
        with socket.create_connection(("127.0.0.1", PORT), timeout=30) as connection:
            connection.sendall((head + lines + '{"id": "never-whole", "ti').encode())
            connection.recv(1)
        self.expect([404], "GET", "/v1/products/never-whole")

    def backup(self):
        content = self.expect([200], "POST", "/v1/admin/backup")
        gzip.decompress(content)

    def hang_up(self):
        os.kill(self.server.pid, signal.SIGHUP)


@dataclass
class Watch:
    """What the process takes, each second."""

    server: Server
    samples: list = field(default_factory=list)

    def run(self, seconds: float):
        started = time.monotonic()
        while (elapsed := time.monotonic() - started) < seconds:
            descriptors = len(os.listdir(f"/proc/{self.server.pid}/fd"))
            held, files = (self.server.resident_mb(part) for part in ("RssAnon", "RssFile"))
            self.samples.append((elapsed, held, files, descriptors))
            time.sleep(1)

    def medians(self, window: int, seconds: float):
        inside = [sample for sample in self.samples if window * seconds <= sample[0] < (window + 1) * seconds]
        return [statistics.median(column) for column in list(zip(*inside))[1:]]


def linked_models(folder: Path) -> Path:
    """A folder of links to the models, of which a fault may replace one."""
    models = folder / "models"
    models.mkdir()
    for file in (ROOT / "models").iterdir():
        (models / file.name).symlink_to(file)
    return models


def inject(faults, windows: int, problems: list):
    """Every fault once in each window, at the same time of it."""
    started = time.monotonic()
    for number in range(windows * len(faults)):
        time.sleep(max(0.0, started + number * PAUSE + PAUSE / 2 - time.monotonic()))
        fault = faults[number % len(faults)]
        try:
            fault()
        except Exception as problem:
            problems.append(f"{fault.__name__} in window {number // len(faults)}: {problem!r}")


def load(server: Server, windows: int, seconds: int, rate: int, summary: str):
    env = {"MARKETRANK_URL": server.url, "PHOTOS": str(PHOTOS), "RATE": str(rate), "WINDOWS": str(windows), "WINDOW_SECONDS": str(seconds)}
    command = [PYTHON / "k6", "run", "--quiet", "--no-usage-report", "--summary-export", summary, "tests/load/soak.js"]
    return subprocess.Popen(command, cwd=ROOT, env={**os.environ, **env}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def halves(values):
    """Medians of the first and the second half of the windows that are compared."""
    compared = values[int(len(values) * WARM_UP) :]
    middle = len(compared) // 2
    return statistics.median(compared[:middle] or compared), statistics.median(compared[middle:])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--rate", type=int, default=20, help="requests a second")
    options = parser.parse_args()

    problems = []
    with tempfile.TemporaryDirectory() as folder, stalling_photos() as photo_url:
        models = linked_models(Path(folder))
        flags = ["--models", models, "--fetch-private", "--timeout-ms", "5000", "--max-wait-ms", "2000", "--overload-wait-ms", "2000"]
        with marketrank(*flags, port=PORT, cache_mb=8) as server:
            faults = Faults(server, models, photo_url).all()
            seconds = len(faults) * PAUSE
            windows = max(2, round(options.minutes * 60 / seconds))
            summary, watch = f"{folder}/summary.json", Watch(server)
            k6 = load(server, windows, seconds, options.rate, summary)
            threads = [
                threading.Thread(target=watch.run, args=(windows * seconds,)),
                threading.Thread(target=inject, args=(faults, windows, problems)),
            ]
            for thread in threads:
                thread.start()
            output = k6.stdout.read().decode()
            for thread in threads:
                thread.join()
            if k6.wait() != 0:
                problems.append(f"k6: {output[-3000:]}")
            metrics = json.load(open(summary))["metrics"]

    p99 = [metrics[f"http_req_duration{{window:{window}}}"]["p(99)"] for window in range(windows)]
    held, files, descriptors = zip(*(watch.medians(window, seconds) for window in range(windows)))
    print("| window | p99, ms | held, MB | pages of files, MB | descriptors |\n| --- | --- | --- | --- | --- |")
    for window in range(windows):
        print(f"| {window} | {p99[window]:.0f} | {held[window]:.0f} | {files[window]:.0f} | {descriptors[window]:.0f} |")
    for name, values in {"p99": p99, "held": held, "descriptors": descriptors}.items():
        first, second = halves(list(values))
        print(f"{name}: {first:.1f}, then {second:.1f}: {second / first:.3f} of it, at most {MOST[name]}")
        if second / first > MOST[name]:
            problems.append(f"{name} is not flat")
    turned_away = metrics.get("turned_away", {}).get("count", 0)
    print(f"{metrics['http_reqs']['count']} requests, {turned_away} turned away, {windows * len(faults)} faults")
    if turned_away > MOST_TURNED_AWAY * metrics["http_reqs"]["count"]:
        problems.append(f"{turned_away} requests were turned away by a server that could serve them")
    for problem in problems:
        print(f"PROBLEM: {problem}")
    print(f"{0 if problems else 1} passed, {1 if problems else 0} failed")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
