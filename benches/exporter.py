"""The exporter and the simulator as processes, and the rows that benches print.

The scripts that use it are called with the binary: `BENCH.py BINARY`.
"""

import contextlib
import http.client
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import time

BINARY = sys.argv[1]


def row(what, reach, here, reference, reached):
    print(f"| {what} | {reach} | {here} | {reference} | {'yes' if reached else '**no**'} |", flush=True)


@contextlib.contextmanager
def ended(process):
    """Ends a process with its block."""
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=20)


@contextlib.contextmanager
def simulator(*flags):
    """The stand-in of the API, under the vendor's quotas: what it announced."""
    command = [BINARY, "simulate", "--web.listen-address=127.0.0.1:0", "--instances=1", *flags]
    with ended(subprocess.Popen(command, stdout=subprocess.PIPE)) as process:
        yield json.loads(process.stdout.readline())


class Exporter:
    """A running exporter."""

    def __init__(self, process, started):
        # It says so in a line of its log when it listens.
        address = next(match[1] for line in process.stderr if (match := re.search(r"msg=listening address=(\S+)", line)))
        self.starting = time.monotonic() - started
        self.process, self.address = process, address

    def scrape(self, timeout=60):
        """One scrape: its text."""
        connection = http.client.HTTPConnection(self.address, timeout=timeout)
        connection.request("GET", "/metrics", headers={"X-Prometheus-Scrape-Timeout-Seconds": str(timeout)})
        answer = connection.getresponse()
        assert answer.status == 200, answer.status
        return answer.read()

    def memory(self, what="VmRSS"):
        """Resident bytes, now or (`VmHWM`) at the highest since `forget_peak`."""
        return resident(self.process.pid, what)

    def forget_peak(self):
        pathlib.Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")


def resident(pid, what="VmRSS"):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(rf"^{what}:\s+(\d+) kB$", status, re.MULTILINE)[1]) * 1024


@contextlib.contextmanager
def exporter(announced, clients, **top):
    """An exporter of the first instance that the simulator announced. The clients are in a file, as large fleets are."""
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "clients.json").write_text(json.dumps([{"targets": clients, "labels": {"site": "hangzhou"}}]))
        config = pathlib.Path(folder, "config.yaml")
        instance = {"id": announced["instance_ids"][0], "region": announced["region"], "endpoint": announced["endpoint"]}
        access_key = {key: announced[key] for key in ("access_key_id", "access_key_secret")}
        config.write_text(
            json.dumps(
                {
                    "credentials": {"type": "access_key", **access_key},
                    "instances": [{**instance, "calls_per_second": 220, "client_files": ["clients.json"]}],
                    **top,
                }
            )
        )
        command = [BINARY, f"--config.file={config}", "--web.listen-address=127.0.0.1:0"]
        started = time.monotonic()
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        with ended(process):
            yield Exporter(process, started)
