"""From a device that disconnects to the notification, with a real Prometheus and Alertmanager.

The shipped rules and sample configurations run as they are, but faster: every duration in them is
divided by SPEED. Usage: alerts.py BINARY
"""

import datetime
import http.server
import json
import re
import sys
import threading
import time

from stack import ROOT, Stack, access_key, answers, await_, free_address, instance, query, request

SPEED = 20
UNITS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}


def sooner(text):
    """Divides durations such as `5m` or `59m59s`, and thresholds in seconds, by SPEED."""

    def divided(match):
        seconds = sum(int(count) * UNITS[unit] for count, unit in re.findall(r"(\d+)([dhms])", match[0]))
        return f"{seconds * 1000 // SPEED}ms"

    text = re.sub(r"(?<!\w)(?:\d+[dhms])+(?!\w)", divided, text)
    return re.sub(r"(_seconds\n *expr: )(\d+)", lambda match: match[1] + str(int(match[2]) / SPEED), text)


class Webhook(http.server.BaseHTTPRequestHandler):
    """Keeps every notification with the time of its arrival."""

    arrived = []

    def do_POST(self):  # noqa: N802, the name is given
        notification = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        for alert in notification["alerts"][:3]:
            labels, status = alert["labels"], notification["status"]
            print(f"    {notification['receiver']}: {status} {labels['alertname']} {alert['annotations']['summary']}")
        self.arrived.append((time.monotonic(), notification))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


def notified(alertname, status):
    """The notifications about an alert so far."""
    return [(at, one) for at, one in Webhook.arrived
            if one["groupLabels"]["alertname"] == alertname and one["status"] == status]


def told(before):
    """What was notified since then, as alert and status."""
    return [(one["groupLabels"]["alertname"], one["status"]) for _, one in Webhook.arrived[before:]]


def wait_for(alertname, status, before):
    return await_(f"{alertname} {status}",
                  lambda: [one for one in notified(alertname, status) if one in Webhook.arrived[before:]])[0]


class World:
    """The simulator, the exporter, Prometheus and Alertmanager."""

    def __init__(self, stack, binary):
        self.stack, self.binary, self.exporter = stack, binary, None
        self.announced = stack.simulate(binary, "--clients=30", "--instances=1")
        (self.instance, self.clients), = self.announced["clients"].items()
        for client in self.clients:
            self.set_online(client, True)

        self.address = free_address()
        self.run_exporter(self.announced["access_key_secret"])

        webhook = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Webhook)
        stack.callback(webhook.shutdown)
        threading.Thread(target=webhook.serve_forever, daemon=True).start()
        hook = "127.0.0.1:{}".format(webhook.server_port)
        alertmanager = self.alertmanager = free_address()
        config = self.write("alertmanager.yaml", re.sub(r"(pager|team)\.example", hook, self.shipped("alertmanager.yaml")))
        stack.start("alertmanager", "prometheus-alertmanager", f"--config.file={config}",
                    f"--storage.path={stack.folder}/alertmanager", f"--web.listen-address={alertmanager}",
                    "--cluster.listen-address=", "--log.level=warn")
        await_("Alertmanager", lambda: answers(f"http://{alertmanager}/-/ready"))

        (stack.folder / "rules").mkdir()
        for rules in (ROOT / "prometheus/rules").iterdir():
            self.write(f"rules/{rules.name}", self.shipped(f"rules/{rules.name}"))
        config = self.shipped("prometheus.yaml")
        config = config.replace("exporter.example:10120", self.address).replace("alertmanager.example:9093", alertmanager)
        self.prometheus = stack.prometheus(self.write("prometheus.yaml", config), stack.folder / "data",
                                           f"--query.lookback-delta={300 // SPEED}s", "--rules.alert.resend-delay=1s")
        await_("every device seen online", lambda: self.value("sum(mqtt_presence_client_online)") == len(self.clients))

    @staticmethod
    def shipped(name):
        return sooner((ROOT / "prometheus" / name).read_text())

    def write(self, name, text):
        path = self.stack.folder / name
        path.write_text(text)
        return path

    def run_exporter(self, secret):
        if self.exporter:
            self.exporter.terminate()
            self.exporter.wait()
        config = {
            "collect": {"max_age": "1s", "stale_after": f"{300 // SPEED}s"},
            "credentials": {**access_key(self.announced), "access_key_secret": secret},
            "instances": [instance(self.announced)],
        }
        path = self.write("config.yaml", json.dumps(config))
        self.exporter = self.stack.start("exporter", self.binary, f"--config.file={path}", "--timeout-offset=0.1",
                                         f"--web.listen-address={self.address}")
        await_("the exporter", lambda: answers(f"http://{self.address}/-/ready"))

    def simulator(self, resource, body):
        request(f"{self.announced['endpoint']}/_simulator/{resource}", "PUT", body)

    def set_online(self, client, online):
        self.simulator("clients", {"client_id": client, "online": online})

    def value(self, expression):
        result = query(self.prometheus, expression)
        return float(result[0]["value"][1]) if result else None

    def send_alerts(self, alerts, firing=True):
        """Sends alerts to Alertmanager as Prometheus does."""
        ends = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=5 if firing else 0)
        body = [{"labels": labels, "annotations": {"summary": "sent by the test"}, "endsAt": ends.isoformat()} for labels in alerts]
        request(f"http://{self.alertmanager}/api/v2/alerts", "POST", body)

    def firing(self, alertname):
        return self.value(f'count(ALERTS{{alertname="{alertname}", alertstate="firing"}})') or 0

    @staticmethod
    def minutes(count):
        """Time for notifications that should not come."""
        time.sleep(count * 60 / SPEED)


def one_device(world):
    print("\nA device disconnects, and is back:")
    before, device = len(Webhook.arrived), world.clients[4]
    world.set_online(device, False)
    since = time.monotonic()
    at, notification = wait_for("MqttDeviceOffline", "firing", before)
    print(f"    {at - since:.1f} s from disconnect to webhook, at {SPEED} times the speed: "
          f"{(at - since) * SPEED / 60:.1f} min with the shipped intervals and thresholds")
    named = [alert["labels"]["client_id"] for alert in notification["alerts"]]
    assert named == [device], named
    assert notification["receiver"] == "pager", notification["receiver"]
    world.set_online(device, True)
    wait_for("MqttDeviceOffline", "resolved", before)
    world.minutes(2)
    assert told(before) == [("MqttDeviceOffline", "firing"), ("MqttDeviceOffline", "resolved")], told(before)


def api_outage(world):
    print("\nThe API fails until nothing is known, just after a device was called offline:")
    before, device = len(Webhook.arrived), world.clients[7]
    world.set_online(device, False)
    await_("the device offline", lambda: world.value(f'mqtt_presence_client_online{{client_id="{device}"}}') == 0)
    world.simulator("faults", {"internal_error": 1})
    wait_for("MqttPresenceApiDown", "firing", before)
    await_("every device unknown", lambda: world.value("sum(mqtt_presence_clients{status='unknown'})") == len(world.clients))
    await_("the alert about unknown devices", lambda: world.firing("MqttPresenceUnknown"))
    world.set_online(device, True)
    world.minutes(1)
    world.simulator("faults", {})
    wait_for("MqttPresenceApiDown", "resolved", before)
    world.minutes(2)
    assert told(before) == [("MqttPresenceApiDown", "firing"), ("MqttPresenceApiDown", "resolved")], told(before)


def short_outage(world):
    print("\nThe API fails for 180 s:")
    before = len(Webhook.arrived)
    world.simulator("faults", {"internal_error": 1})
    world.minutes(3)
    world.simulator("faults", {})
    world.minutes(6)
    assert told(before) == [], told(before)


def one_cause(world):
    print("\nThe API fails for 50 instances, and 2,500 groups of an instance disconnect:")
    before = len(Webhook.arrived)
    instances = [{"alertname": "MqttPresenceApiDown", "severity": "critical", "job": "mqtt-presence", "instance": "a",
                  "instance_id": f"post-{number}"} for number in range(50)]
    lost = {"severity": "critical", "job": "mqtt-presence", "instance_id": "post-1000"}
    groups = [{**lost, "alertname": name, "group_id": f"GID_{number}"} for number in range(2_500)
              for name in ("MqttGroupMassDisconnect", "MqttDeviceOffline")]
    alerts = [*instances, *groups, {**lost, "alertname": "MqttInstanceMassDisconnect"}]
    world.send_alerts(alerts)
    wait_for("MqttPresenceApiDown", "firing", before)
    wait_for("MqttInstanceMassDisconnect", "firing", before)
    world.minutes(2)
    assert sorted(told(before)) == [("MqttInstanceMassDisconnect", "firing"), ("MqttPresenceApiDown", "firing")], told(before)
    (_, sent), = notified("MqttPresenceApiDown", "firing")[-1:]
    assert len(sent["alerts"]) == 50 and sent["receiver"] == "pager", sent["receiver"]
    world.send_alerts(alerts, firing=False)
    wait_for("MqttPresenceApiDown", "resolved", before)
    wait_for("MqttInstanceMassDisconnect", "resolved", before)


def group(world):
    print("\nA group drops, and is back:")
    before = len(Webhook.arrived)
    pumps = [client for client in world.clients if client.startswith("GID_pumps@@@")]
    for pump in pumps:
        world.set_online(pump, False)
    _, notification = wait_for("MqttGroupMassDisconnect", "firing", before)
    labels, = (alert["labels"] for alert in notification["alerts"])
    assert labels["group_id"] == "GID_pumps", labels
    await_("an alert for each device, held back", lambda: world.firing("MqttDeviceOffline") == len(pumps))
    world.minutes(3)
    assert told(before) == [("MqttGroupMassDisconnect", "firing")], told(before)
    for pump in pumps:
        world.set_online(pump, True)
    wait_for("MqttGroupMassDisconnect", "resolved", before)
    world.minutes(2)
    assert told(before) == [("MqttGroupMassDisconnect", "firing"), ("MqttGroupMassDisconnect", "resolved")], told(before)


def wrong_credentials(world):
    print("\nThe exporter starts again with an access key secret that is wrong:")
    before = len(Webhook.arrived)
    world.run_exporter(world.announced["access_key_secret"][::-1])
    _, notification = wait_for("MqttPresenceCredentials", "firing", before)
    labels, = (alert["labels"] for alert in notification["alerts"])
    assert (labels["instance_id"], labels["code"]) == (world.instance, "SignatureDoesNotMatch"), labels
    await_("the alert about the API, held back", lambda: world.firing("MqttPresenceApiDown"))
    world.minutes(2)
    assert told(before) == [("MqttPresenceCredentials", "firing")], told(before)


def main():
    with Stack() as stack:
        world = World(stack, sys.argv[1])
        for scenario in (one_device, short_outage, api_outage, group, one_cause, wrong_credentials):
            scenario(world)


main()
