"""A real Prometheus scrapes the demo.

The target is up, every family of the exporter arrives, and promtool reports nothing about the text.
Prometheus and promtool accept duplicate series and split families: both are checked here.
"""

import json
import re
import sys
import urllib.parse

from stack import Stack, await_, promtool_accepts, query, request

SAMPLE = re.compile(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{.*\})? \S+$")
HISTOGRAM_SUFFIX = re.compile(r"_(bucket|sum|count)$")


def families(text: str) -> dict[str, str]:
    """Types by family; ends the test where the text is not what it should be."""
    types, seen, closed, current = {}, set(), set(), None
    for line in text.splitlines():
        if line.startswith("# HELP "):
            continue
        if line.startswith("# TYPE "):
            _, _, family, kind = line.split(" ")
            types[family] = kind
        else:
            match = SAMPLE.match(line)
            assert match, f"not a sample: {line!r}"
            name = match[1]
            assert line.rsplit(" ", 1)[0] not in seen, f"a series comes twice: {line!r}"
            seen.add(line.rsplit(" ", 1)[0])
            family = name if name in types else HISTOGRAM_SUFFIX.sub("", name)
            assert family in types, f"no TYPE before {line!r}"
        if family != current:
            assert family not in closed, f"family {family} is split"
            closed.add(current)
            current = family
    return types


def main(binary):
    with Stack() as stack:
        out = stack.folder / "demo.txt"
        with open(out, "wb") as file:
            stack.start("demo", binary, "demo", "--web.listen-address=127.0.0.1:0", out=file)
        url = await_("the demo", lambda: re.search(r"http://\S+/metrics", out.read_text()))[0]
        job = {"job_name": "mqtt-presence", "scrape_interval": "2s",
               "static_configs": [{"targets": [urllib.parse.urlsplit(url).netloc]}]}
        config = stack.folder / "prometheus.yml"
        config.write_text(json.dumps({"scrape_configs": [job]}))
        server = stack.prometheus(config, stack.folder / "data")
        await_("every device has a status", lambda: query(server, "count(mqtt_presence_client_online) == 300"))
        assert query(server, "up == 1"), "the target is up"

        # Families that have no sample yet come with the first one: a scrape behind a sweep has all.
        text = request(url)
        promtool_accepts(text)
        shown = families(text)

        def arrived():
            metadata = json.loads(request(f"{server}/api/v1/metadata"))["data"]
            missing = {family for family in shown if family not in metadata}
            wrong = {family for family in shown if family not in missing and metadata[family][0]["type"] != shown[family]}
            assert not wrong, f"Prometheus reads these as another type: {wrong}"
            return not missing

        await_("every family has arrived", arrived)
        assert len(shown) > 30, sorted(shown)
        duplicates = query(server, "count by (client_id, instance_id) (mqtt_presence_client_info) > 1")
        assert not duplicates, duplicates
        print(f"{len(shown)} families of 300 devices have arrived")


main(sys.argv[1])
