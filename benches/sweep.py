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
RATE = 220
# What is saved up in a pause: a twentieth of a second.
BURST = 11


def sweeps(announced, clients, rounds):
    """Some sweeps of so many clients, as scrapes that wait for them see them: how long each took."""
    everyone = announced["clients"][announced["instance_ids"][0]]
    with exporter(announced, everyone[:clients], collect={"max_age": "1s"}) as running:
        # The first sweep waits until the process is a second old, and has no burst.
        running.scrape()
        for _ in range(rounds):
            time.sleep(1.5)
            start = time.monotonic()
            text = running.scrape()
            yield time.monotonic() - start
            assert text.count(b"\nmqtt_presence_client_online{") == clients, "every client has a status"


def statistics_of(announced):
    connection = http.client.HTTPConnection(announced["endpoint"].removeprefix("http://"))
    connection.request("GET", "/_simulator/stats")
    return json.load(connection.getresponse())


with simulator("--clients=3000", f"--fault.latency={LATENCY * 1000:.0f}ms") as announced:
    for clients, rounds in ((1, 15), (10, 15), (100, 15), (1000, 3), (3000, 3)):
        took = statistics.median(sweeps(announced, clients, rounds))
        floor = LATENCY + max(0, clients - BURST) / RATE
        row(
            f"sweep of {clients:,} client{'s' * (clients > 1)}, {RATE} calls/s, {LATENCY * 1000:.0f} ms",
            "≤ 1.05 × floor + 10 ms",
            f"{took / floor:.3f} × ({took * 1000:,.1f} ms)",
            f"the floor: {floor * 1000:,.1f} ms",
            took <= 1.05 * floor + 0.010,
        )
    stats = statistics_of(announced)
assert stats["blocks"] == 0 and set(stats["answers"]) == {"OK"}, stats
arrivals = stats["max_arrivals_per_second"]["QuerySessionByClientId"]
row("calls arriving in any second of these sweeps", "≤ 290", f"{arrivals}", "the vendor's block: above 300", arrivals <= 290)
