"""The Helm chart: linted, rendered with each file of its folder ci, held to Kubernetes's schemas, and
its pods started as a kubelet would, against the stand-in of the API. Usage: chart.py BINARY
"""

import json
import pathlib
import re
import subprocess
import sys

import yaml
from common import DEPLOY, ROOT, Stack, answers, await_, free_address, instance, known
from helm_python import HelmError
from helm_python.chart import Chart, lint

CHART = DEPLOY / "helm/mqtt-presence-exporter"
INSIDE = "/etc/mqtt-presence-exporter"


def render(values, **options):
    """The objects that the chart makes of `values`, by kind and name."""
    with Chart.load(CHART) as chart:
        texts = chart.render(values=values, name="release", namespace="iot", **options)
    objects = [one for path, text in texts.items() if not path.endswith(".txt")
               for one in yaml.safe_load_all(text) if one]
    return {(one["kind"], one["metadata"]["name"]): one for one in objects}


def of_kind(objects, kind):
    return [one for (its, _), one in objects.items() if its == kind]


def refused(values, why):
    try:
        render(values)
    except HelmError as error:
        assert re.search(why, str(error)), f"not for {why!r}: {error}"
    else:
        raise AssertionError(f"the chart takes {values}")


def validate(name, objects, folder):
    """Holds what Kubernetes itself knows to its oldest and newest schemas, and rules to promtool."""
    builtin = [one for one in objects.values() if "monitoring.coreos.com" not in one["apiVersion"]]
    file = folder / f"{name}.yaml"
    file.write_text(yaml.safe_dump_all(builtin))
    with Chart.load(CHART) as chart:
        oldest = re.search(r"1\.\d+", chart.metadata["kubeVersion"])[0]
    for version in [[], ["--kubernetes-version", oldest]]:
        checked = subprocess.run(["kubernetes-validate", "--strict", *version, str(file)], capture_output=True, text=True)
        assert checked.returncode == 0, checked.stdout + checked.stderr
    for rule in of_kind(objects, "PrometheusRule"):
        file.write_text(yaml.safe_dump(rule["spec"]))
        checked = subprocess.run(["promtool", "check", "rules", str(file)], capture_output=True, text=True)
        assert checked.returncode == 0, checked.stdout + checked.stderr


def same_source(objects):
    """Rules and dashboards are the repository's, whole."""
    for rule in of_kind(objects, "PrometheusRule"):
        ours = [group["name"] for file in sorted((ROOT / "prometheus/rules").glob("*.yaml"))
                for group in yaml.safe_load(file.read_text())["groups"]]
        assert [group["name"] for group in rule["spec"]["groups"]] == ours
    shown = [json.loads(text) for one in of_kind(objects, "ConfigMap") for name, text in one["data"].items()
             if name.endswith(".json") and "templating" in text]
    ours = [json.loads(file.read_text()) for file in sorted((ROOT / "grafana/dashboards").glob("*.json"))]
    assert shown in ([], ours), "each dashboard is there as it is"


def own_thresholds(rules, release):
    """The series of thresholds differ between releases in one Prometheus."""
    thresholds = [rule for rule in rules if rule.get("record", "").startswith("mqtt_presence:threshold:")]
    assert thresholds and all(rule["labels"] == {"release": release} for rule in thresholds), thresholds


def own_links(rules):
    """The links of the alerts have the configured prefixes."""
    for rule in (rule for rule in rules if "alert" in rule):
        dashboard, runbook = (rule["annotations"][key] for key in ("dashboard_url", "runbook_url"))
        assert dashboard.startswith("https://grafana.corp/d/mqtt-presence-"), dashboard
        assert runbook == f"https://wiki.corp/alerts#{rule['alert'].lower()}", runbook


class Pod:
    """A pod of the StatefulSet: its command, environment and files, as a kubelet would make them."""

    def __init__(self, objects, ordinal, folder, extra_secrets):
        [self.set] = of_kind(objects, "StatefulSet")
        self.spec = self.set["spec"]["template"]["spec"]
        [self.container] = self.spec["containers"]
        self.name = f"{self.set['metadata']['name']}-{ordinal}"
        self.secrets = {name: dict(one["stringData"]) for (kind, name), one in objects.items() if kind == "Secret"}
        self.secrets |= extra_secrets
        self.maps = {name: one["data"] for (kind, name), one in objects.items() if kind == "ConfigMap"}
        self.folder = folder / self.name
        self.mount()

    def content(self, volume):
        """The files of a volume."""
        if "configMap" in volume:
            return self.maps[volume["configMap"]["name"]]
        if "secret" in volume:
            return self.secrets[volume["secret"]["secretName"]]
        [source] = volume["projected"]["sources"]
        return {source["serviceAccountToken"]["path"]: "a token for " + source["serviceAccountToken"]["audience"]}

    def mount(self):
        volumes = {volume["name"]: volume for volume in self.spec["volumes"] or []}
        for mount in self.container["volumeMounts"] or []:
            assert mount["readOnly"], mount
            files = self.content(volumes.pop(mount["name"]))
            target = self.outside(mount["mountPath"])
            if "subPath" in mount:
                files, target = {target.name: files[mount["subPath"]]}, target.parent
            target.mkdir(parents=True, exist_ok=True)
            for name, text in files.items():
                (target / name).write_text(text)
        assert not volumes, f"mounted nowhere: {volumes}"

    def outside(self, path):
        return self.folder / path.lstrip("/")

    def environment(self):
        for variable in self.container["env"]:
            source = variable.get("valueFrom", {})
            if "fieldRef" in source:
                assert source["fieldRef"]["fieldPath"] == "metadata.name"
                yield variable["name"], self.name
            elif "secretKeyRef" in source:
                wanted = source["secretKeyRef"]
                yield variable["name"], self.secrets[wanted["name"]][wanted["key"]]
            else:
                value = variable["value"]
                yield variable["name"], str(self.outside(value)) if value.startswith("/") else value

    def start(self, stack, binary):
        """Starts the container; where it listens."""
        address = free_address()
        [port] = self.container["ports"]
        arguments = [re.sub(r"=(/.*)", lambda match: f"={self.outside(match[1])}", word)
                     for word in self.container["args"]]
        arguments[arguments.index(f"--web.listen-address=:{port['containerPort']}")] = f"--web.listen-address={address}"
        environment = [f"{name}={value}" for name, value in self.environment()]
        stack.start(self.name, "env", "--ignore-environment", *environment, binary, *arguments)
        return address

    def asks(self, kind, address):
        """The URL that a probe of this kind asks."""
        probe = self.container[kind]["httpGet"]
        return f"{probe['scheme'].lower()}://{address}{probe['path']}"


def hardened(objects):
    [one] = of_kind(objects, "StatefulSet")
    assert not of_kind(objects, "Deployment"), "a Deployment would start a pod before the other has ended"
    spec = one["spec"]["template"]["spec"]
    [container] = spec["containers"]
    assert spec["securityContext"]["runAsNonRoot"] and container["securityContext"]["readOnlyRootFilesystem"]
    assert spec["automountServiceAccountToken"] is False
    user = re.search(r"(?m)^USER (\d+):(\d+)$", (DEPLOY / "docker/Dockerfile").read_text())
    assert [spec["securityContext"][key] for key in ("runAsUser", "runAsGroup")] == [int(user[1]), int(user[2])]


def main(binary):
    cases = {file.stem: yaml.safe_load(file.read_text()) for file in sorted((CHART / "ci").glob("*.yaml"))}
    defaults = yaml.safe_load((CHART / "values.yaml").read_text())
    unused = set(defaults) - set().union(*cases.values())
    assert not unused, f"never set in ci: {unused}"

    with Stack() as stack:
        for name, values in cases.items():
            report = lint(CHART, values, strict=True)
            loud = [message for message in report["messages"] if message["severity"] > 1]
            assert not loud and not report["errors"], report
            objects = render(values)
            validate(name, objects, stack.folder)
            same_source(objects)
            hardened(objects)

        one = {"config": {"instances": [{}]}}
        refused({}, "instances")
        refused({"demo": True, **one}, "config")
        refused({"demo": True, "shards": 2}, "shards")
        refused({**one, "credentials": {"accessKeyId": "LTAI"}}, "accessKeySecret")
        refused({**one, "rrsa": {"roleArn": "acs:ram::1:role/r"}}, "oidcProviderArn")
        refused({**one, "rrsa": {"roleArn": "mqtt-presence"}}, "roleArn")
        refused({**one, "replicas": 2}, "replicas")
        refused({**one, "prometheusRule": {"enabled": True, "thresholds": {"offline": 1}}}, "no threshold offline")

        rule = of_kind(render(cases["demo"]), "PrometheusRule")[0]
        rules = [rule for group in rule["spec"]["groups"] for rule in group["rules"]]
        [threshold] = [rule for rule in rules if rule.get("record") == "mqtt_presence:threshold:offline_seconds"]
        assert threshold["expr"] == "300", threshold
        own_thresholds(rules, "iot/release-presence")
        rule = of_kind(render(cases["everything"]), "PrometheusRule")[0]
        own_links([rule for group in rule["spec"]["groups"] for rule in group["rules"]])

        # What starts the pods anew, and what does not: the exporter sees by itself when its client files change.
        def mark(**values):
            [one] = of_kind(render({**cases["access-key"], **values}), "StatefulSet")
            return one["spec"]["template"]["metadata"]["annotations"]
        assert mark() == mark(clientFiles={"pumps.yaml": [{"targets": ["GID_pumps@@@pump-9"]}]})
        assert mark() != mark(config={"instances": [{"id": "post-cn-other"}]})

        demo = Pod(render(cases["demo"]), 0, stack.folder, {})
        address = demo.start(stack, binary)
        await_("the demo's pod", lambda: answers(demo.asks("readinessProbe", address)) and known(address) == 300)
        assert answers(demo.asks("livenessProbe", address))

        # Real pods, but for the API: an access key, clients from a ConfigMap, three shards.
        announced = stack.simulate(binary, "--clients=30", "--instances=1")
        clients = {"clients": [], "client_files": ["clients/*.yaml"], "labels": {"site": "hangzhou"}}
        values = {"config": {"instances": [instance(announced, **clients)]},
                  "clientFiles": {"all.yaml": [{"targets": instance(announced)["clients"]}]},
                  "credentials": {"existingSecret": "aliyun"}, "shards": 3}
        keys = defaults["credentials"]["keys"]
        secret = {keys["accessKeyId"]: announced["access_key_id"],
                  keys["accessKeySecret"]: announced["access_key_secret"]}
        objects = render(values)
        pods = [Pod(objects, ordinal, stack.folder, {"aliyun": secret}) for ordinal in range(3)]
        addresses = [pod.start(stack, binary) for pod in pods]
        for pod, address in zip(pods, addresses):
            await_("the probes", lambda: all(answers(pod.asks(kind, address)) for kind in
                                             ("startupProbe", "livenessProbe", "readinessProbe")))
        await_("every device has a status", lambda: sum(map(known, addresses)) == 30)
        assert all(0 < known(address) < 30 for address in addresses), "each pod has its shard"
    print(f"chart: {len(cases)} sets of values fit Kubernetes, and pods of three shards know all devices")


main(str(pathlib.Path(sys.argv[1]).resolve()))
