"""How long a real Prometheus takes to evaluate the alerts and the panels for a large fleet.

A stand-in for the exporter serves a fleet of which one device in a hundred is offline. It is scraped
every SCRAPE seconds, and every duration in the rules is divided by 30 / SCRAPE, so that windows
contain as many samples as they do with the shipped interval of 30 s.

Usage: rules.py [CLIENTS [SCRAPE [SECONDS]]]
"""

import http.server
import json
import pathlib
import re
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/stack"))

from stack import Stack, query, request  # noqa: E402

UNITS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
GROUP_SIZE = 500
# Seconds that an evaluation of the rule may take.
ALERT, REACH = "MqttDeviceOffline", 2


def faster(text, factor):
    """Divides durations such as `5m` or `59m59s` by the factor."""

    def divided(match):
        seconds = sum(int(count) * UNITS[unit] for count, unit in re.findall(r"(\d+)([dhms])", match[0]))
        return f"{max(1000, int(seconds * 1000 / factor))}ms"

    return re.sub(r"(?<!\w)(?:\d+[dhms])+(?!\w)", divided, text)


def exposition(clients, start):
    """The metrics, with a placeholder for the time of the observation."""
    groups = {}
    for number in range(clients):
        group = f"GID_{number // GROUP_SIZE:04}"
        labels = f'instance_id="post-cn-north01",client_id="{group}@@@device-{number:06}",group_id="{group}"'
        online = int(number % 100 != 0)
        groups.setdefault(group, [0, 0])[online] += 1
        yield f'mqtt_presence_client_info{{{labels},site="north"}} 1\n'
        yield f'mqtt_presence_client_online{{{labels},site="north"}} {online}\n'
        yield f"mqtt_presence_client_last_observation_timestamp_seconds{{{labels}}} @\n"
        yield f"mqtt_presence_client_status_since_timestamp_seconds{{{labels}}} {start - 3600}\n"
    for group, (offline, online) in groups.items():
        labels = f'instance_id="post-cn-north01",group_id="{group}"'
        for status, count in (("online", online), ("offline", offline), ("unknown", 0)):
            yield f'mqtt_presence_clients{{{labels},status="{status}"}} {count}\n'
        yield f"mqtt_presence_disconnects_total{{{labels}}} {offline}\n"
        yield f"mqtt_presence_connects_total{{{labels}}} 0\n"
    yield 'mqtt_presence_api_up{instance_id="post-cn-north01"} 1\n'
    yield 'mqtt_presence_shard_info{shard="0",shards="1"} 1\n'
    yield 'mqtt_presence_build_info{version="0.2.0",revision=""} 1\n'
    yield f"process_start_time_seconds {start}\n"


def serve(text):
    """Serves the text on a free port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):  # noqa: N802, the name is given
            body = text.replace(b" @\n", b" %d\n" % time.time())
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def evaluations(prometheus):
    """Seconds of the latest evaluation of each rule."""
    groups = json.loads(request(f"{prometheus}/api/v1/rules"))["data"]["groups"]
    return {(rule["type"], rule["name"]): rule["evaluationTime"] for group in groups for rule in group["rules"]}


def panels(prometheus, name="fleet"):
    """Seconds of the instant queries of a dashboard, with all variables at their default."""
    dashboard = json.loads((ROOT / f"grafana/dashboards/{name}.json").read_text())
    for panel in (inner for outer in dashboard["panels"] for inner in (outer, *outer.get("panels", ()))):
        for target in panel.get("targets", ()):
            if not target["instant"]:
                continue
            expression = re.sub(r"\$\{?\w+\}?", ".*", target["expr"].replace("$__rate_interval", "5m"))
            begin = time.monotonic()
            query(prometheus, expression)
            yield f"{panel['title']} {target['refId']}", time.monotonic() - begin


def median(values):
    return sorted(values)[len(values) // 2]


def main(clients=100_000, scrape=5, seconds=90):
    text = "".join(exposition(clients, int(time.time()))).encode()
    with Stack() as stack:
        server = serve(text)
        stack.callback(server.shutdown)
        rules = stack.folder / "rules"
        rules.mkdir()
        for file in (ROOT / "prometheus/rules").glob("*.yaml"):
            (rules / file.name).write_text(faster(file.read_text(), 30 / scrape))
        config = stack.folder / "prometheus.yaml"
        config.write_text(json.dumps({
            "global": {"scrape_interval": f"{scrape}s", "evaluation_interval": f"{scrape * 2}s"},
            "rule_files": [f"{rules}/*.yaml"],
            "scrape_configs": [{"job_name": "mqtt", "static_configs": [{"targets": [f"127.0.0.1:{server.server_port}"]}]}],
        }))
        prometheus = stack.prometheus(config, stack.folder / "data")
        time.sleep(seconds)
        taken = {}
        for _ in range(5):
            for rule, duration in evaluations(prometheus).items():
                taken.setdefault(rule, []).append(duration)
            time.sleep(scrape * 2)
        taken = {rule: median(durations) for rule, durations in taken.items()}
        for (kind, name), duration in sorted(taken.items(), key=lambda item: -item[1])[:12]:
            print(f"{kind} {name}: {duration:.3f} s", file=sys.stderr)
        for name, duration in panels(prometheus):
            print(f"panel {name}: {duration:.3f} s", file=sys.stderr)
        alert = taken["alerting", ALERT]
        whole = sum(taken.values())
        print(f"| the rule `{ALERT}`, {clients:,} clients, Prometheus | ≤ {REACH} s an evaluation | {alert:.2f} s | "
              f"all rules together: {whole:.2f} s | {'yes' if alert <= REACH else '**no**'} |")


main(*map(int, sys.argv[1:]))
