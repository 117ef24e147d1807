"""A real Prometheus discovers a thousand targets from /sd and probes them, within quota.

Its configuration is the two examples of docs/discovery.md, with the addresses and IDs of this run
in the place of the ones written there.
"""

import json
import re
import subprocess
import sys
import urllib.parse

from stack import ROOT, Stack, access_key, await_, instance, promtool_accepts, query, request

CLIENTS = 1000
DISCOVERED = 'job="mqtt-presence-probe"'
NAMED = 'job="mqtt-presence-pumps"'


def examples(exporter: str, instance: str, clients: list[str]) -> str:
    """The examples as one configuration file."""
    page = (ROOT / "docs/discovery.md").read_text()
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


def main(binary: str) -> None:
    with Stack() as stack:
        announced = stack.simulate(binary, f"--clients={CLIENTS}", "--instances=2")
        config = {"credentials": access_key(announced), "instances": [instance(announced, n) for n in range(2)]}
        exporter, _ = stack.exporter(binary, config, "--log.level=warn")
        first, clients = announced["instance_ids"][0], announced["clients"]
        file = stack.folder / "prometheus.yml"
        file.write_text(examples(exporter, first, clients[first]))
        subprocess.run(["promtool", "check", "config", "--lint=all", file], check=True)
        prometheus = stack.prometheus(file, stack.folder / "data")

        def probed(what, expression):
            await_(what, lambda: query(prometheus, expression))

        probed("every device has been probed", f"count(probe_success{{{DISCOVERED}}} == 1) == {CLIENTS}")
        probed("so have those with a name", f"count(probe_success{{{NAMED}}} == 1) == 2")
        # Once more, when nothing is new.
        probed("every device has been probed twice",
               f"count(count_over_time(probe_success{{{DISCOVERED}}}[5m]) >= 2) == {CLIENTS}")
        for expression in [
            f"count(mqtt_presence_client_online{{{DISCOVERED}}}) == {CLIENTS}",
            f"count(count by (instance) (up{{{DISCOVERED}}} == 1)) == {CLIENTS}",
            f"count(count by (client_id, instance_id) (mqtt_presence_client_online{{{DISCOVERED}}})) == {CLIENTS}",
            f"count(mqtt_presence_client_online{{{NAMED}}}) == 2",
        ]:
            assert query(prometheus, expression), expression
        for expression in [
            f"min_over_time(probe_success{{{DISCOVERED}}}[5m]) == 0",
            'mqtt_presence_client_online{exported_instance_id!=""}',
            '{__name__=~"process_.*|mqtt_presence_.*", __name__!="mqtt_presence_client_online"}',
        ]:
            assert not query(prometheus, expression), (expression, query(prometheus, expression)[:3])

        form = urllib.parse.urlencode({"client_id": clients[first][0], "instance_id": first})
        promtool_accepts(request(f"http://{exporter}/probe?{form}"))

        stats = json.loads(request(f"{announced['endpoint']}/_simulator/stats"))
        operation = "QuerySessionByClientId"
        assert stats["answers"] == {"OK": stats["arrivals"][operation]}, stats
        assert stats["blocks"] == 0 and stats["max_arrivals_per_second"][operation] <= 290, stats
        busiest = stats["max_arrivals_per_second"][operation]
        print(f"{CLIENTS} targets were discovered and probed twice; the busiest second had {busiest} calls")


main(sys.argv[1])
