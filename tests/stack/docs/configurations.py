"""Loads a block of the manual by the program that it is for."""

import json
import re
import subprocess
import urllib.parse

import yaml
from helm_python.chart import Chart
from stack import ROOT, request

CHART = ROOT / "deploy/helm/mqtt-presence-exporter"
INSTANCES = "instances: [{id: post-cn-0pp12gl1234, region: cn-hangzhou, clients: [GID_pumps@@@pump-1]}]\n"
VALUES = set(yaml.safe_load((CHART / "values.yaml").read_text()))


def check(*command, **options):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stdout + done.stderr


def keys_are(*known):
    return lambda data: isinstance(data, dict) and data and set(data) <= set(known)


def exporter(text, folder, binary, _):
    """A configuration, or the part of one."""
    if "instances:" not in text:
        text += INSTANCES
    file = folder / "configuration-of-the-page.yaml"
    file.write_text(text)
    check(binary, "check-config", f"--config.file={file}", cwd=folder)


def client_file(text, folder, binary, _):
    (folder / "clients-of-the-page.yaml").write_text(text)
    exporter(INSTANCES.replace("clients: [GID_pumps@@@pump-1]", "client_files: [clients-of-the-page.yaml]"), folder,
             binary, _)


def web(text, folder, binary, _):
    """A web configuration; its files are made, and what stands for a hash becomes one."""
    check("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj",
          "/CN=localhost", "-keyout", folder / "server.key", "-out", folder / "server.pem")
    (folder / "ca.pem").write_bytes((folder / "server.pem").read_bytes())
    file = folder / "web-of-the-page.yaml"
    file.write_text(text.replace("$2y$10$…", "$2a$10$ar.MaFt1lj.4ukM4e9K/s.38P.vRZmsKgPml5FO9U9LXGyrnwhKzW"))
    configuration = folder / "configuration-of-the-page.yaml"
    configuration.write_text(INSTANCES)
    check(binary, "check-config", f"--config.file={configuration}", f"--web.config.file={file}", cwd=folder)


def prometheus(text, folder, *_):
    # promtool wants to see the files of TLS; which ones they are is not the page's business.
    for name in re.findall(r"_file: ([\w.-]+)", text):
        (folder / name).touch()
    # Nor are the rules, which a reader copies to where they are expected.
    linked = folder / "rules"
    if made := not linked.exists():
        linked.symlink_to(folder / "prometheus/rules")
    file = folder / "prometheus-of-the-page.yaml"
    file.write_text(text)
    check("promtool", "check", "config", file)
    if made:
        linked.unlink()


def alertmanager(text, folder, *_):
    file = folder / "alertmanager-of-the-page.yaml"
    file.write_text(text)
    check("amtool", "check-config", file)


def rules(text, folder, *_):
    file = folder / "rules-of-the-page.yaml"
    file.write_text(text)
    check("promtool", "check", "rules", file)


def compose(text, folder, *_):
    file = folder / "deploy/compose/services-of-the-page.yaml"
    file.write_text(text)
    check("check-jsonschema", "--builtin-schema", "vendor.compose-spec", file)
    for service in yaml.safe_load(text)["services"].values():
        for volume in service.get("volumes", []):
            source = file.parent / volume.split(":")[0]
            assert source.resolve().exists(), f"nothing to mount at {source}"


def values(text, folder, binary, _):
    """Values of the chart, and the configuration of the exporter that they contain."""
    data = yaml.safe_load(text)
    with Chart.load(CHART) as chart:
        chart.render(values=data, name="release", namespace="iot")
    if data.get("config"):
        exporter(yaml.safe_dump(data["config"]), folder, binary, _)


def kubernetes(text, folder, *_):
    file = folder / "manifest-of-the-page.yaml"
    file.write_text(text)
    check("kubernetes-validate", "--strict", file)


KINDS = [
    (keys_are("collect", "limits", "exposition", "api", "max_clients", "probe", "credentials", "instances"), exporter),
    (lambda data: isinstance(data, list) and all("targets" in one for one in data), client_file),
    (keys_are("tls_server_config", "http_server_config", "basic_auth_users", "rate_limit"), web),
    (keys_are("global", "scrape_configs", "rule_files", "alerting"), prometheus),
    (keys_are("global", "route", "receivers", "inhibit_rules", "templates"), alertmanager),
    (keys_are("groups"), rules),
    (keys_are("services", "volumes", "networks", "name"), compose),
    (keys_are(*VALUES), values),
    (lambda data: isinstance(data, dict) and "apiVersion" in data, kubernetes),
]


def load(language, text, name, folder, binary, server):
    if language == "promql":
        request(f"{server}/api/v1/format_query?" + urllib.parse.urlencode({"query": text}))
        return
    if language == "json" and not name:
        json.loads(text)
        return
    data = yaml.safe_load(text)
    for fits, loader in KINDS:
        if fits(data):
            loader(text, folder, binary, server)
            return
    raise AssertionError("nobody knows what this is a configuration of")
