"""The jsonnet example of docs/alerts.md: it loads all rules, and its overrides apply.

Usage: jsonnet_example.py
"""

import json
import re
import subprocess
import tempfile

import _jsonnet

from stack import ROOT

manual = (ROOT / "docs/alerts.md").read_text()
[example] = re.findall(r"(?ms)^```jsonnet\n(.*?)^```", manual)


def load(folder, name):
    """Files of imports, relative to the repository."""
    path = ROOT / name
    return str(path), path.read_bytes()


manifest = json.loads(_jsonnet.evaluate_snippet("rules.jsonnet", example, import_callback=load))
groups = manifest["spec"]["groups"]
rules = {rule.get("alert") or rule["record"]: rule for group in groups for rule in group["rules"]}

names = set()
for file in (ROOT / "prometheus/rules").glob("*.yaml"):
    names |= set(re.findall(r"- (?:alert|record): (\S+)", file.read_text()))
assert set(rules) == names, set(rules) ^ names
assert rules["mqtt_presence:threshold:offline_seconds"]["expr"] == "300"
assert rules["mqtt_presence:threshold:mass_devices"]["expr"] == "5"
offline = rules["MqttDeviceOffline"]
assert offline["labels"] == {"severity": "critical", "cluster": "east"}, offline["labels"]
assert offline["annotations"]["runbook_url"] == "https://wiki.corp/alerts.md#mqttdeviceoffline"
assert offline["annotations"]["dashboard_url"].startswith("https://grafana.corp/d/"), offline["annotations"]
assert '{site="hangzhou"}' in rules["client:mqtt_presence_offline:info"]["expr"]

# JSON is YAML.
with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
    json.dump({"groups": groups}, file)
    file.flush()
    checked = subprocess.run(["promtool", "check", "rules", file.name], capture_output=True, text=True)
assert checked.returncode == 0, checked.stdout + checked.stderr
print(f"{len(rules)} rules from jsonnet")
