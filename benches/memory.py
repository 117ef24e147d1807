"""How much memory the exporter takes, idle and scraped, with a hundred clients and with a million;
and how soon it is up with a million.

Usage: memory.py BINARY    (with the Python of .venv, which has the vendor's SDK)

Prints rows of the table in README.md.
"""

import json
import pathlib
import socket
import statistics
import subprocess
import sys
import tempfile
import time

from exporter import ended, exporter, resident, row, simulator

MIB = 1 << 20
CLIENTS = 1_000_000
INFO = b'mqtt_presence_client_info{client_id="'


def read_file(path):
    """How long Python's own reader takes for a JSON file."""
    start = time.monotonic()
    json.loads(pathlib.Path(path).read_bytes())
    return time.monotonic() - start


def overlapping(address, scrapes):
    """Scrapes that all have begun before one of them ends."""
    connections = []
    for _ in range(scrapes):
        connection = socket.create_connection(address.rsplit(":", 1))
        connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert connection.recv(1)
        connections.append(connection)
    for connection in connections:
        while connection.recv(MIB):
            pass
        connection.close()


def million():
    """A million clients from one file; their sweep, which takes more than an hour, is going on."""
    clients = [f"GID_pumps_{n % 20}@@@pump-{n:07}" for n in range(CLIENTS)]
    with simulator("--clients=1") as announced:
        with exporter(announced, clients[:100]) as running:
            time.sleep(3)
            running.scrape()
            few = running.memory()
        starts = []
        for _ in range(3):
            with exporter(announced, clients, max_clients=CLIENTS) as running:
                starts.append(running.starting)
                time.sleep(3)
                idle = running.memory()
                running.forget_peak()
                text = sum(len(line) - len(INFO) - len(b"} 1") for line in running.scrape().splitlines() if line.startswith(INFO))
                one = running.memory("VmHWM") - idle
                overlapping(running.address, 8)
                several = running.memory("VmHWM") - idle
    with tempfile.NamedTemporaryFile("w+") as file:
        json.dump([{"targets": clients}], file)
        file.flush()
        python = statistics.median(read_file(file.name) for _ in range(3))
    beyond = (idle - few - text) / CLIENTS
    row(
        "memory, 1,000,000 clients, a sweep in flight",
        "≤ 64 B per client in addition to its labels",
        f"{beyond:.0f} B per client ({idle / MIB:.0f} MiB in all)",
        f"text of its labels: {text / CLIENTS:.0f} B per client",
        beyond <= 64,
    )
    row(
        "a scrape of them adds",
        "≤ 16 B per client and 1 MiB",
        f"{one / MIB:.1f} MiB",
        f"16 B per client: {16 * CLIENTS / MIB:.1f} MiB",
        one <= 16 * CLIENTS + MIB,
    )
    row(
        "8 overlapping scrapes of them add",
        "≤ 16 B per client and 8 MiB",
        f"{several / MIB:.1f} MiB",
        f"16 B per client: {16 * CLIENTS / MIB:.1f} MiB",
        several <= 16 * CLIENTS + 8 * MIB,
    )
    start = statistics.median(starts)
    row(
        "start with 1,000,000 clients from one JSON file",
        "≤ 3 s",
        f"{start:.2f} s",
        f"Python's `json` reading the same file: {python:.2f} s",
        start <= 3,
    )
    return few


def sdk():
    """The resident size of a script that has done no more than import the vendor's SDK."""
    script = "import alibabacloud_onsmqtt20200420.client, sys; sys.stdout.write('.'); sys.stdout.flush(); input()"
    with ended(subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)) as process:
        process.stdout.read(1)
        return resident(process.pid)


few = million()
row(
    "idle resident size, 100 clients",
    "≤ 20 MiB",
    f"{few / MIB:.1f} MiB",
    f"a script that imports the Alibaba Cloud SDK for Python: {sdk() / MIB:.1f} MiB",
    few <= 20 * MIB,
)
