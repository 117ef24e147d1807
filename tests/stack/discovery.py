"""What Prometheus sees while client files, the configuration and their mistakes come and go.

Usage: discovery.py BINARY
"""

import json
import os
import re
import signal
import subprocess
import sys
import time

from stack import ROOT, Stack, access_key, answers, await_, free_address, query, request

INFO, ONLINE = "mqtt_presence_client_info", "mqtt_presence_client_online"
FAILURES = "mqtt_presence_discovery_failures_total"


def write(path, text):
    """Replaces a file as a whole."""
    new = path.with_suffix(".new")
    new.write_text(text)
    os.replace(new, path)


def the_documented_script_writes_the_documented_file(folder):
    page = (ROOT / "docs" / "discovery.md").read_text()
    blocks = dict(re.findall(r"\n```\w+ (\S+)\n(.*?\n)```", page.split("\n## ")[1], re.DOTALL))
    for name in ("export.py", "devices.csv"):
        (folder / name).write_text(blocks[name])
    subprocess.run([sys.executable, "export.py", "devices.csv", "cmdb.json"], cwd=folder, check=True)
    written = json.loads((folder / "cmdb.json").read_text())
    assert written == json.loads(blocks["clients/cmdb.json"]), written


class Exporter:
    """The exporter in front of a simulator, and the Prometheus that scrapes it each second."""

    def __init__(self, stack, binary):
        self.announced = stack.simulate(binary, "--clients=600", "--instances=1", "--fault.latency=20ms")
        self.instance = self.announced["instance_ids"][0]
        self.devices = self.announced["clients"][self.instance][:200]
        self.file = stack.folder / "clients.json"
        self.config = stack.folder / "config.yaml"
        self.list(self.devices)
        self.configure()
        address = free_address()
        self.url = f"http://{address}"
        self.process = stack.start("exporter", binary, f"--config.file={self.config}",
                                   f"--web.listen-address={address}", "--web.enable-lifecycle")
        await_("the exporter", lambda: answers(f"{self.url}/-/ready"))
        scrape = {"job_name": "mqtt-presence", "scrape_interval": "1s", "static_configs": [{"targets": [address]}]}
        prometheus = stack.folder / "prometheus.yaml"
        prometheus.write_text(json.dumps({"scrape_configs": [scrape]}))
        self.prometheus = stack.prometheus(prometheus, stack.folder / "data")

    def list(self, devices):
        write(self.file, json.dumps([{"targets": devices, "labels": {"site": "hangzhou"}}]))

    def configure(self, **more):
        """JSON is YAML."""
        instance = {"id": self.instance, "endpoint": self.announced["endpoint"], "calls_per_second": 220,
                    "client_files": [self.file.name]}
        config = {"collect": {"max_age": "1s"}, "credentials": access_key(self.announced),
                  "instances": [instance], **more}
        write(self.config, json.dumps(config))

    def value(self, expression):
        """The one value of an expression; `None` where it has no series."""
        result = query(self.prometheus, expression)
        assert len(result) <= 1, result
        return float(result[0]["value"][1]) if result else None

    def all_online_or_not(self):
        return self.value(f"count({ONLINE})") == self.value(f"count({INFO})") == len(self.devices)

    def undisturbed(self, since):
        """Since then, no scrape failed, and none missed a device or its status."""
        seconds = max(2, int(time.time() - since))
        for expression in ("sum(up)", f"count({INFO})", f"count({ONLINE})"):
            lowest = self.value(f"min_over_time(({expression})[{seconds}s:1s])")
            want = 1 if expression == "sum(up)" else len(self.devices)
            assert lowest == want, f"{expression} was {lowest}, not {want}, within {seconds} s"

    def own(self, name):
        """A sample of the exporter's that has no labels, without a detour."""
        text = request(f"{self.url}/metrics")
        return float(re.search(rf"^{name} (\S+)$", text, re.MULTILINE)[1])


def devices_come_and_go(exporter):
    added, removed = exporter.announced["clients"][exporter.instance][200], exporter.devices[0]
    exporter.devices = [*exporter.devices[1:], added]
    exporter.list(exporter.devices)
    await_("the new device is scraped", lambda: exporter.value(f'{ONLINE}{{client_id="{added}"}}') is not None)
    # Prometheus shows the last value for five minutes, unless the series was marked as stale.
    gone = f'count({{client_id="{removed}"}})'
    await_("the removed device is stale", lambda: exporter.value(gone) is None, seconds=30)
    await_("all of them", exporter.all_online_or_not)
    print("a device came, another one left")


def what_is_bad_changes_nothing(exporter):
    since = time.time()
    write(exporter.file, '[{"targets": [')
    await_("the failure is counted", lambda: exporter.value(f"sum({FAILURES})"))
    exporter.configure(max_clients=0)
    exporter.process.send_signal(signal.SIGHUP)
    reloaded = "mqtt_presence_config_last_reload_successful"
    await_("the refusal is shown", lambda: exporter.value(reloaded) == 0)
    time.sleep(3)
    exporter.undisturbed(since)
    exporter.list(exporter.devices)
    exporter.configure()
    exporter.process.send_signal(signal.SIGHUP)
    await_("it is loaded", lambda: exporter.value(reloaded) == 1)
    exporter.undisturbed(since)
    print("a bad file and a bad reload changed nothing")


def a_storm_of_hangups(exporter):
    def reload():
        exporter.process.send_signal(signal.SIGHUP)

    # What a first reload leaves behind is not a leak.
    reload()
    time.sleep(3)
    before = {name: exporter.own(name) for name in ("process_open_fds", "process_threads")}
    resident, since = exporter.own("process_resident_memory_bytes"), time.time()
    for n in range(300):
        if n % 10 == 0:
            # Now and then there is something to do.
            exporter.configure(collect={"max_age": "1s", "retries": n // 10 % 3})
        reload()
        time.sleep(0.01)
    exporter.configure()
    reload()
    over = time.time()
    await_("every device is asked again", lambda: exporter.value(
        f"min(mqtt_presence_client_last_observation_timestamp_seconds) > {over}"), seconds=120)
    exporter.undisturbed(since)
    stats = json.loads(request(f"{exporter.announced['endpoint']}/_simulator/stats"))
    assert stats["blocks"] == 0 and set(stats["answers"]) == {"OK"}, stats
    assert stats["max_arrivals_per_second"]["QuerySessionByClientId"] <= 290, stats

    def settled():
        """Connections of Prometheus and to the simulator come and go by a few."""
        return all(exporter.own(name) <= value + 8 for name, value in before.items())

    await_("open files and threads are as before", settled, seconds=60)
    grown = exporter.own("process_resident_memory_bytes") - resident
    assert grown < 16 << 20, f"{grown / (1 << 20):.1f} MiB more"
    print(f"300 hangups: at most {stats['max_arrivals_per_second']['QuerySessionByClientId']} calls in a second, "
          f"{grown / (1 << 20):+.1f} MiB resident")


def main(binary):
    with Stack() as stack:
        the_documented_script_writes_the_documented_file(stack.folder)
        exporter = Exporter(stack, binary)
        await_("every device has a status", exporter.all_online_or_not)
        devices_come_and_go(exporter)
        what_is_bad_changes_nothing(exporter)
        a_storm_of_hangups(exporter)


main(sys.argv[1])
