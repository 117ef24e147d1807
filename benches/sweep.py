"""How long a sweep takes, against what latency, rate and burst allow; under the vendor's quotas.

Usage: sweep.py BINARY

Prints rows of the table in README.md.
"""

import http.client
import json
import statistics
import time

from exporter import exporter, row, simulator

LATENCY = 0.020

# By what `collect.query` says: calls a second, what is saved up in a pause (a twentieth of a
# second), and clients that a call asks for. The rates are the defaults.
MODES = {"single": (220, 11, 1), "batch": (80, 4, 10)}


def sweeps(announced, clients, rounds, query):
    """Some sweeps of so many clients, as scrapes that wait for them see them: how long each took."""
    everyone = announced["clients"][announced["instance_ids"][0]]
    with exporter(announced, everyone[:clients], collect={"max_age": "1s", "query": query}) as running:
        # The first sweep waits until the process is a second old, has no burst, and confirms batches.
        running.scrape()
        for _ in range(rounds):
            time.sleep(1.5)
            start = time.monotonic()
            text = running.scrape()
            yield time.monotonic() - start
            assert text.count(b"\nmqtt_presence_client_online{") == clients, "every client has a status"


def keep_online(admin, announced):
    """Lets no device come or go: each change that a batch shows is confirmed, which takes a call more."""
    for client in announced["clients"][announced["instance_ids"][0]]:
        admin.request("PUT", "/_simulator/clients", json.dumps({"client_id": client, "online": True}))
        admin.getresponse().read()


with simulator("--clients=3000", f"--fault.latency={LATENCY * 1000:.0f}ms") as announced:
    admin = http.client.HTTPConnection(announced["endpoint"].removeprefix("http://"))
    keep_online(admin, announced)
    for query, (rate, burst, size) in MODES.items():
        for clients, rounds in ((1, 15), (10, 15), (100, 15), (1000, 3), (3000, 3)):
            took = statistics.median(sweeps(announced, clients, rounds, query))
            floor = LATENCY + max(0, clients / size - burst) / rate
            row(
                f"sweep of {clients:,} client{'s' * (clients > 1)}, `{query}`, {rate} calls/s, {LATENCY * 1000:.0f} ms",
                "≤ 1.05 × floor + 10 ms",
                f"{took / floor:.3f} × ({took * 1000:,.1f} ms)",
                f"the floor: {floor * 1000:,.1f} ms",
                took <= 1.05 * floor + 0.010,
            )
    # The connection was idle for longer than the simulator keeps one.
    admin.close()
    admin.request("GET", "/_simulator/stats")
    stats = json.load(admin.getresponse())
assert stats["blocks"] == 0 and set(stats["answers"]) == {"OK"}, stats
single, batch = (stats["max_arrivals_per_second"][name] for name in ("QuerySessionByClientId", "BatchQuerySessionByClientIds"))
row(
    "calls arriving in any second of these sweeps",
    "≤ 290 single, ≤ 95 batch",
    f"{single} and {batch}",
    "IP block of the API per operation: above 300",
    single <= 290 and batch <= 95,
)
