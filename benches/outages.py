"""What throttling, an outage and a frozen gateway cost: the exporter against `simulate`, in real time.

Usage: outages.py BINARY

Prints rows of the table in README.md.
"""

import http.client
import json
import re
import threading
import time

from exporter import exporter, row, simulator

RATE = 220
SINGLE = "QuerySessionByClientId"


class Admin:
    """The admin API of the simulator."""

    def __init__(self, announced):
        self.address = announced["endpoint"].removeprefix("http://")

    def call(self, method, resource, body=None):
        connection = http.client.HTTPConnection(self.address, timeout=10)
        connection.request(method, f"/_simulator/{resource}", None if body is None else json.dumps(body))
        answer = connection.getresponse().read()
        connection.close()
        return json.loads(answer)

    def faults(self, **faults):
        self.call("PUT", "faults", {"latency": "20ms", **faults})

    def arrivals(self):
        stats = self.call("GET", "stats")
        return stats["arrivals"][SINGLE], stats["answers"].get("OK", 0), stats


def scrape_always(running, stop):
    """Demand without pause: a new sweep starts as soon as the last one has ended."""
    while not stop.is_set():
        try:
            running.scrape(timeout=5)
        except OSError:
            pass
        time.sleep(0.05)


class Demand:
    """An exporter of so many clients under scrapes without pause."""

    def __init__(self, announced, clients):
        everyone = announced["clients"][announced["instance_ids"][0]]
        self.exporter = exporter(announced, everyone[:clients], collect={"max_age": "1s"})

    def __enter__(self):
        self.running = self.exporter.__enter__()
        self.stop = threading.Event()
        self.thread = threading.Thread(target=scrape_always, args=(self.running, self.stop))
        self.thread.start()
        return self.running

    def __exit__(self, *error):
        self.stop.set()
        self.thread.join()
        return self.exporter.__exit__(*error)


def granted(admin, seconds):
    """Calls sent and answered with a result per second, over so many seconds."""
    sent, answered, _ = admin.arrivals()
    start = time.monotonic()
    time.sleep(seconds)
    sent_after, answered_after, _ = admin.arrivals()
    took = time.monotonic() - start
    return (sent_after - sent) / took, (answered_after - answered) / took


def fresh_since(running, moment):
    """The clients whose observation is from after this moment."""
    text = running.scrape(timeout=2).decode()
    times = re.findall(r"^mqtt_presence_client_last_observation_timestamp_seconds\{.*\} (\S+)$", text, re.MULTILINE)
    return sum(float(at) >= moment for at in times)


with simulator("--clients=3000", "--fault.latency=20ms") as announced:
    admin = Admin(announced)
    with Demand(announced, 3000):
        time.sleep(5)
        for name, faults, possible, target in (
            ("2 %", {"throttling": 0.02}, RATE * 0.98, 0.85),
            ("10 %", {"throttling": 0.1}, RATE * 0.9, 0.75),
        ):
            admin.faults(**faults)
            time.sleep(20)
            _, answered = granted(admin, 60)
            row(
                f"calls answered at random throttling of {name}, demand without pause",
                f"≥ {target:.0%} of what is possible",
                f"{answered / possible:.0%} ({answered:.0f} calls/s)",
                f"{RATE} calls/s configured: {possible:.0f} calls/s",
                answered >= target * possible,
            )
        admin.faults(quota=[f"{SINGLE}=50"])
        time.sleep(30)
        sent, answered = granted(admin, 60)
        throttled = (sent - answered) / sent
        row(
            "calls answered at an account quota of 50/s that is not configured",
            "≥ 90 % of what is possible, ≤ 8 % throttled",
            f"{answered / 50:.0%}, {throttled:.0%} throttled",
            "50 calls/s",
            answered >= 45 and throttled <= 0.08,
        )

with simulator("--clients=1000", "--fault.latency=20ms") as announced:
    admin = Admin(announced)
    with Demand(announced, 1000) as running:
        time.sleep(10)
        for name, faults in (
            ("reset", {"reset": 1}),
            ("500", {"internal_error": 1}),
            ("no answer", {"hang": 1}),
            ("throttled", {"throttling": 1}),
        ):
            admin.faults(**faults)
            time.sleep(10)
            before, _, _ = admin.arrivals()
            time.sleep(20)
            calls = admin.arrivals()[0] - before
            admin.faults()
            end = time.time()
            while fresh_since(running, end) < 1000 and time.time() < end + 60:
                time.sleep(0.25)
            fresh = time.time() - end
            row(
                f"an outage of 30 s, {name}: calls in its last 20 s · until all 1,000 clients are fresh after it",
                "≤ 60 · ≤ 15 s",
                f"{calls} · {fresh:.1f} s",
                f"a sweep: {1000 / RATE:.1f} s",
                calls <= 60 and fresh <= 15,
            )
            time.sleep(15)

with simulator("--clients=1000", "--fault.latency=20ms") as announced:
    admin = Admin(announced)
    with Demand(announced, 1000) as running:
        time.sleep(10)
        admin.faults(freeze=True)
        time.sleep(60)
        admin.faults()
        end = time.time()
        while fresh_since(running, end) < 1000 and time.time() < end + 60:
            time.sleep(0.25)
        fresh = time.time() - end
        time.sleep(2)
    stats = admin.arrivals()[2]
most = stats["max_arrivals_per_second"][SINGLE]
row(
    "a gateway that freezes for 60 s: most calls arriving in a second · until all 1,000 clients are fresh after it",
    "≤ 290 · ≤ 35 s",
    f"{most} · {fresh:.1f} s",
    "IP block of the API per operation: above 300",
    most <= 290 and fresh <= 35 and stats["blocks"] == 0,
)
