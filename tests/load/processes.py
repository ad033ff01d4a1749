"""Servers, load generators and bare loops as processes, and what they cost."""

import json
import os
import re
import subprocess
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".cache/load-python/bin"
OLDER_PYTHON = ROOT / ".cache/older-python/bin"
RUNTIME = ROOT / ".cache/onnxruntime/libonnxruntime.so"
PHOTOS = ROOT / "sample/photos"
CORES = os.cpu_count()
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Server:
    url: str
    pid: int
    ready_seconds: float

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def resident_mb(self, part="VmRSS") -> float:
        """`RssAnon` is what the process holds; the rest of `VmRSS` are pages of files, which the system takes back when it likes."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(rf"{part}:\s+(\d+)", status)[1]) / 1024


@contextmanager
def _running(command, env, url, probe):
    started = time.monotonic()
    log = tempfile.TemporaryFile()
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **env}, stdout=log, stderr=log)
    try:
        while True:
            try:
                urllib.request.urlopen(url + probe, timeout=1).read()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() - started > 300:
                    log.seek(0)
                    raise SystemExit(f"{command[0]} does not start:\n{log.read().decode()[-2000:]}")
                time.sleep(0.005)
        yield Server(url, process.pid, time.monotonic() - started)
    finally:
        process.terminate()
        process.wait()


@contextmanager
def marketrank(*flags, port=8170, cache_mb=0):
    """The server over an empty catalogue. Unless told otherwise it keeps no answers, or the second time would cost nothing."""
    with tempfile.TemporaryDirectory() as folder:
        command = [ROOT / "target/release/marketrank", "serve", "--listen", f"127.0.0.1:{port}"]
        command += ["--data-dir", f"{folder}/catalogue", "--cache-mb", str(cache_mb), "--log", "error", *flags]
        with _running(command, {}, f"http://127.0.0.1:{port}", "/health/ready") as server:
            yield server


def peer(port=8171):
    """The FastAPI service of `peer/`."""
    return _fastapi(PYTHON, "peer", port)


def older(port=8173):
    """The older service's stack of `older/`."""
    return _fastapi(OLDER_PYTHON, "older", port)


@contextmanager
def _fastapi(python, folder, port):
    command = [python / "uvicorn", "--app-dir", f"tests/load/{folder}", "app:app", "--port", str(port), "--log-level", "warning"]
    env = {"MODELS": str(ROOT / "models")}
    with _running(command, env, f"http://127.0.0.1:{port}", "/openapi.json") as server:
        yield server


@dataclass
class Load:
    """What a run of k6 came to. Times in milliseconds."""

    requests: int
    seconds: float
    client_cpu: float
    server_cpu: float
    median: float
    p99: float

    @property
    def per_second(self) -> float:
        """Requests a second, had the load generator run on another machine: its CPU time is given back to the server."""
        return self.requests / (self.seconds - self.client_cpu / CORES)


def k6(script: str, server: Server, **env) -> Load:
    """Runs a script against a server. A threshold that is missed ends the bench."""
    env = {"MARKETRANK_URL": server.url, "PHOTOS": str(PHOTOS), **{key: str(value) for key, value in env.items()}}
    with tempfile.NamedTemporaryFile(suffix=".json") as summary:
        command = [PYTHON / "k6", "run", "--quiet", "--no-usage-report", "--summary-export", summary.name]
        server_before, started = server.cpu_seconds(), time.monotonic()
        process = subprocess.Popen([*command, f"tests/load/{script}.js"], cwd=ROOT, env={**os.environ, **env}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        seconds, server_cpu = time.monotonic() - started, server.cpu_seconds() - server_before
        if status != 0:
            raise SystemExit(f"k6 {script} failed:\n{output.decode()[-3000:]}")
        metrics = json.load(open(summary.name))["metrics"]
    durations = metrics["http_req_duration"]
    # k6 starts up and reads its scripts before the first request.
    running = metrics["iterations"]["count"] / metrics["iterations"]["rate"]
    cpu = (usage.ru_utime + usage.ru_stime) * min(1, running / seconds)
    return Load(metrics["http_reqs"]["count"], running, cpu, server_cpu, durations["med"], durations["p(99)"])


def bare_loop(what: str, files, *flags, seconds=10) -> dict:
    """Examples, seconds and CPU seconds of the loop without a server."""
    command = [ROOT / "target/release/examples/bare_loop", what, *files, "--seconds", str(seconds), *flags]
    return json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout)
