"""Routes, inhibition and templates of the sample configurations of Alertmanager, with amtool.

Usage: notifications.py
"""

import json
import pathlib
import re
import subprocess
import tempfile

PROMETHEUS = pathlib.Path(__file__).resolve().parents[2] / "prometheus"

# Labels of an alert, and the receiver of its notification.
ROUTES = [
    ("alertname=MqttDeviceOffline severity=critical", "pager"),
    ("alertname=MqttDeviceFlapping severity=warning", "team"),
    ("alertname=MqttDeviceUnknown severity=warning", "team"),
    ("alertname=MqttGroupMassDisconnect severity=critical", "pager"),
    ("alertname=MqttInstanceMassDisconnect severity=critical", "pager"),
    ("alertname=MqttPresenceApiDown severity=critical", "pager"),
    ("alertname=MqttPresenceApiThrottled severity=warning", "team"),
    ("alertname=MqttPresenceCredentials severity=critical", "pager"),
    ("alertname=MqttPresenceCredentials severity=warning", "team"),
    ("alertname=Other severity=warning", "team"),
]


def amtool(*command):
    done = subprocess.run(["amtool", *map(str, command)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def routing(name):
    """Routes and inhibition rules of a configuration, as text."""
    return re.search(r"(?ms)^route:.*^(?=receivers:)", (PROMETHEUS / name).read_text())[0]


def routes():
    assert routing("alertmanager.yaml") == routing("alertmanager.zh-CN.yaml"), "the samples have different routes"
    for labels, receiver in ROUTES:
        config = PROMETHEUS / "alertmanager.yaml"
        amtool("config", "routes", "test", f"--config.file={config}", f"--verify.receivers={receiver}", *labels.split())


def render(template, data):
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(data, file)
        file.flush()
        return amtool("template", "render", f"--template.glob={PROMETHEUS}/templates/*.tmpl",
                      f"--template.text={{{{ template \"{template}\" . }}}}", f"--template.data={file.name}")


def notification(labels, alerts, status="firing"):
    annotations = {"runbook_url": "https://runbook.example"}
    return {"receiver": "pager", "status": status, "alerts": alerts, "groupLabels": labels, "commonLabels": labels,
            "commonAnnotations": annotations, "externalURL": "https://alertmanager.example"}


def alert(number, status="firing"):
    labels = {"instance_id": "post-1", "group_id": "GID_p", "client_id": f"GID_p@@@{number}", "name": f"水泵 {number}"}
    dashboard = f"https://grafana.example/d/mqtt-presence-device?var-client_id={number}"
    return {"status": status, "labels": labels, "annotations": {"dashboard_url": dashboard},
            "startsAt": "2026-01-02T03:04:05+08:00", "endsAt": "2026-01-02T04:05:06+08:00"}


def templates():
    named = set()
    for file in sorted((PROMETHEUS / "rules").glob("*.yaml")):
        named |= set(re.findall(r"- alert: (\w+)", file.read_text()))
    for name in named:
        title = render("mqtt.zh.title", notification({"alertname": name}, [alert(1)]))
        assert re.fullmatch(r"【告警】[^，]*[\u4e00-\u9fff][^，]*，1 条未恢复", title) and name not in title, title

    labels = {"alertname": "MqttDeviceOffline", "instance_id": "post-1", "group_id": "GID_p"}
    text = render("mqtt.zh.text", notification(labels, [alert(1), alert(2, "resolved")]))
    for part in ("【告警】设备离线 实例 post-1 组 GID_p，1 条未恢复", "● 设备 GID_p@@@1（水泵 1），始于 2026-01-02 03:04:05 +08:00",
                 "○ 设备 GID_p@@@2（水泵 2），恢复于 2026-01-02 04:05:06 +08:00",
                 "大盘：https://grafana.example/d/mqtt-presence-device?var-client_id=1", "处理手册：https://runbook.example"):
        assert part in text, f"{part!r} is not in\n{text}"
    text = render("mqtt.zh.text", notification(labels, [alert(number) for number in range(45)]))
    assert text.count("●") == 20 and "共 45 条，仅显示前 20 条。" in text, text
    assert render("mqtt.zh.title", notification(labels, [alert(1, "resolved")], "resolved")).startswith("【恢复】设备离线")
    return len(named)


routes()
print(f"{len(ROUTES)} routes, and Chinese texts of {templates()} alerts")
