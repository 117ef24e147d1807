"""A real Prometheus discovers a thousand targets from /sd and probes them, within quota.

Its configuration is the two examples of docs/discovery.md, with the addresses and IDs of this run
in the place of the ones written there.
"""

import contextlib
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import urllib.parse

from prometheus import free_port, get, wait_for

CLIENTS = 1000
DISCOVERED = 'job="mqtt-presence-probe"'
NAMED = 'job="mqtt-presence-pumps"'


def examples(exporter: str, instance: str, clients: list[str]) -> str:
    """The examples as one configuration file."""
    page = pathlib.Path(__file__, "../../../docs/discovery.md").resolve().read_text()
    found = re.findall(r"<!-- tests/stack loads this -->\n```yaml\nscrape_configs:\n(.*?)```", page, re.DOTALL)
    assert len(found) == 2, "two examples"
    text = "scrape_configs:\n" + "".join(found)
    for written, ours in [
        ("exporter.example:10120", exporter),
        ("post-cn-0pp12gl1234", instance),
        ("GID_pumps@@@pump-1", clients[0]),
        ("GID_pumps@@@pump-2", clients[1]),
        ("scrape_interval: 1m", "scrape_interval: 15s"),
    ]:
        assert written in text, written
        text = text.replace(written, ours)
    return text


@contextlib.contextmanager
def running(*command: str, **options):
    process = subprocess.Popen(command, text=True, **options)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=20)


def main(binary: str) -> None:
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        simulator = stack.enter_context(
            running(binary, "simulate", f"--clients={CLIENTS}", "--instances=2", stdout=subprocess.PIPE)
        )
        announced = json.loads(simulator.stdout.readline())
        endpoint, clients = announced["endpoint"], announced["clients"]
        access_key = {key: announced[key] for key in ("access_key_id", "access_key_secret")}
        instances = [{"id": id, "endpoint": endpoint, "clients": ids} for id, ids in clients.items()]
        # JSON is YAML.
        config = {"credentials": {"type": "access_key", **access_key}, "instances": instances}
        pathlib.Path(folder, "config.yaml").write_text(json.dumps(config))
        exporter = f"127.0.0.1:{free_port()}"
        stack.enter_context(
            running(
                binary,
                f"--config.file={folder}/config.yaml",
                f"--web.listen-address={exporter}",
                "--log.level=warn",
            )
        )
        wait_for("the exporter is ready", lambda: get(f"http://{exporter}/-/ready"))

        prometheus_config = pathlib.Path(folder, "prometheus.yml")
        first = next(iter(clients))
        prometheus_config.write_text(examples(exporter, first, clients[first]))
        subprocess.run(["promtool", "check", "config", "--lint=all", prometheus_config], check=True)
        port = free_port()
        stack.enter_context(
            running(
                "prometheus",
                f"--config.file={prometheus_config}",
                f"--storage.tsdb.path={folder}/data",
                f"--web.listen-address=127.0.0.1:{port}",
                "--log.level=warn",
            )
        )

        def query(expression: str) -> list:
            url = f"http://127.0.0.1:{port}/api/v1/query?" + urllib.parse.urlencode({"query": expression})
            return json.loads(get(url))["data"]["result"]

        wait_for(
            "every device has been probed",
            lambda: query(f"count(probe_success{{{DISCOVERED}}} == 1) == {CLIENTS}"),
        )
        wait_for("so have those with a name", lambda: query(f"count(probe_success{{{NAMED}}} == 1) == 2"))
        # Another round, in which nothing is new.
        wait_for(
            "every device has been probed twice",
            lambda: query(f"count(count_over_time(probe_success{{{DISCOVERED}}}[5m]) >= 2) == {CLIENTS}"),
        )
        for expression in [
            f"count(mqtt_presence_client_online{{{DISCOVERED}}}) == {CLIENTS}",
            f"count(count by (instance) (up{{{DISCOVERED}}} == 1)) == {CLIENTS}",
            f"count(count by (client_id, instance_id) (mqtt_presence_client_online{{{DISCOVERED}}})) == {CLIENTS}",
            f"count(mqtt_presence_client_online{{{NAMED}}}) == 2",
        ]:
            assert query(expression), expression
        for expression in [
            f"min_over_time(probe_success{{{DISCOVERED}}}[5m]) == 0",
            'mqtt_presence_client_online{exported_instance_id!=""}',
            '{__name__=~"process_.*|mqtt_presence_.*", __name__!="mqtt_presence_client_online"}',
        ]:
            assert not query(expression), (expression, query(expression)[:3])

        probed = get(f"http://{exporter}/probe?" + urllib.parse.urlencode({"client_id": clients[first][0], "instance_id": first}))
        checked = subprocess.run(["promtool", "check", "metrics"], input=probed, capture_output=True, text=True)
        assert checked.returncode == 0 and not checked.stdout + checked.stderr, checked.stdout + checked.stderr

        stats = json.loads(get(f"{endpoint}/_simulator/stats"))
        operation = "QuerySessionByClientId"
        assert stats["answers"] == {"OK": stats["arrivals"][operation]}, stats
        assert stats["blocks"] == 0 and stats["max_arrivals_per_second"][operation] <= 290, stats
        busiest = stats["max_arrivals_per_second"][operation]
        print(f"{CLIENTS} targets were discovered and probed twice; the busiest second had {busiest} calls")


main(sys.argv[1])
