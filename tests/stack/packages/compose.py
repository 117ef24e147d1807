"""What Compose would start: every file that is mounted is there and is found under its new name,
every name that a server looks for is somebody's, and the servers start with the flags they are
given. Usage: compose.py BINARY
"""

import pathlib
import re
import subprocess
import sys
import urllib.parse

import yaml
from common import DEPLOY, ROOT, Stack, answers, await_, free_address, known

FOLDER = DEPLOY / "compose"
SERVICES = yaml.safe_load((FOLDER / "compose.yaml").read_text())["services"]


def names():
    """Who answers to which name and port."""
    found = set()
    for name, service in SERVICES.items():
        inside = [port.rpartition(":")[2] for port in service["ports"]]
        for alias in [name, *service.get("networks", {}).get("default", {}).get("aliases", [])]:
            found |= {f"{alias}:{port}" for port in inside}
    return found


def outside(service, path, stack):
    """Where a container's path is on this machine."""
    for volume in SERVICES[service]["volumes"]:
        source, target, *_ = volume.split(":")
        if path == target or path.startswith(target + "/"):
            if not source.startswith("."):
                folder = stack.folder / source
                folder.mkdir(exist_ok=True)
                return folder
            found = (FOLDER / source).resolve() / path.removeprefix(target).lstrip("/")
            assert found.exists(), f"{service}: there is no {found} to mount as {path}"
            return found
    raise AssertionError(f"{service}: {path} is mounted from nowhere")


def flags(service, stack):
    """The flags of a service, with its paths as they are on this machine."""
    result = []
    for flag in SERVICES[service]["command"]:
        name, _, value = flag.partition("=")
        result.append(f"{name}={outside(service, value, stack)}" if value.startswith("/") else flag)
    return result


def looked_for():
    """The names that the servers look for, as their configurations say."""
    prometheus = yaml.safe_load((ROOT / "prometheus/prometheus.yaml").read_text())
    groups = [group for job in prometheus["scrape_configs"] for group in job["static_configs"]]
    groups += [group for one in prometheus["alerting"]["alertmanagers"] for group in one["static_configs"]]
    sources = yaml.safe_load((ROOT / "grafana/provisioning/datasources/prometheus.yaml").read_text())["datasources"]
    targets = {target for group in groups for target in group["targets"]}
    return targets | {urllib.parse.urlsplit(source["url"]).netloc for source in sources}


def main(binary):
    for name, service in SERVICES.items():
        for port in service["ports"]:
            assert port.startswith("127.0.0.1:"), f"{name} is open to others: {port}"
        assert "build" in service or re.search(r":v?\d+\.\d+\.\d+$", service["image"]), f"{name}: which version?"
    build = SERVICES["exporter"]["build"]
    context = (FOLDER / build["context"]).resolve()
    assert context == ROOT and (context / build["dockerfile"]).is_file()
    assert looked_for() <= names(), f"nobody is called {looked_for() - names()}"

    with Stack() as stack:
        address = free_address()
        command = SERVICES["exporter"]["command"]
        here = [word.replace("=:10120", f"={address}") for word in command]
        assert here != command, "it listens to the other containers"
        stack.start("exporter", binary, *here)
        await_("the demo", lambda: answers(f"http://{address}/-/ready") and known(address) == 300)

        # The rules, by the paths that Prometheus has in its container.
        config = outside("prometheus", "/etc/prometheus/prometheus.yaml", stack)
        checked = subprocess.run(["promtool", "check", "config", config], capture_output=True, text=True)
        assert checked.returncode == 0 and "rules found" in checked.stdout, checked
        prometheus = flags("prometheus", stack)
        assert "--storage.tsdb.retention.time=35d" in prometheus, "availability is judged over 30 days"
        address = free_address()
        stack.start("prometheus", "prometheus", *prometheus, f"--web.listen-address={address}")
        await_("Prometheus", lambda: answers(f"http://{address}/-/ready"))
        address = free_address()
        stack.start("alertmanager", "prometheus-alertmanager", *flags("alertmanager", stack),
                    f"--web.listen-address={address}")
        await_("Alertmanager", lambda: answers(f"http://{address}/-/ready"))

        # Grafana looks for dashboards where its provisioning says.
        provider = yaml.safe_load(
            outside("grafana", "/etc/grafana/provisioning/dashboards/mqtt-presence.yaml", stack).read_text())
        dashboards = outside("grafana", provider["providers"][0]["options"]["path"], stack)
        assert dashboards == ROOT / "grafana/dashboards" and list(dashboards.glob("*.json")), dashboards
    print("compose: every mounted file is there, every name is somebody's, the servers take their flags")


main(str(pathlib.Path(sys.argv[1]).resolve()))
