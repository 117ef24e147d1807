"""A real Prometheus scrapes the demo.

It has to find the target up, to take in every family that the exporter shows, and promtool has
nothing to say about the text. What neither of them refuses is looked for here: series that come
twice, and families that are split.
"""

import json
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

SAMPLE = re.compile(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{.*\})? \S+$")
HISTOGRAM_SUFFIX = re.compile(r"_(bucket|sum|count)$")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


def wait_for(what: str, check):
    """Polls `check` until it gives something; a minute is more than it ever takes."""
    for _ in range(600):
        try:
            if found := check():
                return found
        except (urllib.error.URLError, ConnectionError):
            pass
        time.sleep(0.1)
    sys.exit(f"waited in vain: {what}")


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


def main(binary: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        demo = subprocess.Popen(
            [binary, "demo", "--web.listen-address=127.0.0.1:0"], stdout=subprocess.PIPE, text=True
        )
        prometheus = None
        try:
            url = next(match[0] for line in demo.stdout if (match := re.search(r"http://\S+/metrics", line)))
            target = urllib.parse.urlsplit(url).netloc
            port = free_port()
            config = pathlib.Path(folder, "prometheus.yml")
            config.write_text(
                json.dumps(
                    {
                        "scrape_configs": [
                            {
                                "job_name": "mqtt-presence",
                                "scrape_interval": "2s",
                                "static_configs": [{"targets": [target]}],
                            }
                        ]
                    }
                )
            )
            prometheus = subprocess.Popen(
                [
                    "prometheus",
                    f"--config.file={config}",
                    f"--storage.tsdb.path={folder}/data",
                    f"--web.listen-address=127.0.0.1:{port}",
                    "--log.level=warn",
                ]
            )
            server = f"http://127.0.0.1:{port}"

            def query(expression: str) -> list:
                answer = get(f"{server}/api/v1/query?" + urllib.parse.urlencode({"query": expression}))
                return json.loads(answer)["data"]["result"]

            wait_for("every device has a status", lambda: query("count(mqtt_presence_client_online) == 300"))
            assert query("up == 1"), "the target is up"

            # Families that have no sample yet come with the first one: a scrape behind a sweep has all.
            text = get(url)
            checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
            assert checked.returncode == 0 and not checked.stdout + checked.stderr, checked.stdout + checked.stderr
            shown = families(text)

            def arrived() -> bool:
                metadata = json.loads(get(f"{server}/api/v1/metadata"))["data"]
                missing = {family for family in shown if family not in metadata}
                wrong = {family for family in shown if family not in missing and metadata[family][0]["type"] != shown[family]}
                assert not wrong, f"Prometheus takes these for something else: {wrong}"
                return not missing

            wait_for("every family has arrived", arrived)
            assert len(shown) > 30, sorted(shown)
            duplicates = query('count by (client_id, instance_id) (mqtt_presence_client_info) > 1')
            assert not duplicates, duplicates
            print(f"{len(shown)} families of 300 devices have arrived")
        finally:
            for process in (prometheus, demo):
                if process:
                    process.terminate()
                    process.wait(timeout=20)


if __name__ == "__main__":
    main(sys.argv[1])
