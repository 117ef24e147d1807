"""Holds the dashboards to a real Prometheus with hours of history of two exporters and two servers.

Every query parses and gives data, its legend has the labels that it names, and what is counted is
the fleet, not the fleet once for each exporter or server. All rules run on the same data without an
error. The history has the labels that the reference of metrics tells. Usage: dashboards.py
"""

import json
import re
import subprocess
import time

import history
from stack import ROOT, Stack, await_, query, request

DASHBOARDS = sorted((ROOT / "grafana/dashboards").glob("*.json"))

# How long a block of Prometheus is, in seconds.
BLOCK = 7200

# What Grafana fills in, for a panel of six hours.
BUILT_IN = {"__rate_interval": "5m", "__interval": "1m", "__range": "6h"}


def filled(stack, end):
    """A Prometheus with the history up to `end`, and what the recording rules make of it."""
    data, text = stack.folder / "data", stack.folder / "history.txt"
    with open(text, "w", encoding="utf-8") as file:
        file.writelines(history.openmetrics(end))
    promtool("tsdb", "create-blocks-from", "openmetrics", text, data)
    config = stack.folder / "prometheus.yaml"
    config.write_text(f"rule_files: [{stack.folder}/rules/*.yaml]\nglobal: {{evaluation_interval: 1s}}\n")
    with Stack() as once:
        first = once.prometheus(config, data)
        # From the beginning of a block: promtool gives up at one that is shorter than the rules' interval.
        start = (end - (history.HOURS - 2) * 3600) // BLOCK * BLOCK
        promtool("tsdb", "create-blocks-from", "rules", f"--start={start}", f"--end={end}",
                 f"--url={first}", f"--output-dir={data}", ROOT / "prometheus/rules/availability.yaml")
    write_rules(stack.folder / "rules")
    # What ends in the history ends with a gap: there are no marks of staleness in what promtool imports.
    prometheus = stack.prometheus(config, data, "--query.lookback-delta=150s")
    for series in ("mqtt_presence_availability:ratio30d", "mqtt_presence_offline:seconds", "mqtt_presence_changes:count1h"):
        await_(f"the series client:{series}", lambda: query(prometheus, f"client:{series}"))
    await_("alerts", lambda: query(prometheus, 'ALERTS{alertname="MqttPresenceDiscoveryShrunk", alertstate="firing"}'))
    return prometheus


def write_rules(folder):
    """The rules, evaluated every second. The minutes of availability are in the history already."""
    folder.mkdir()
    for file in (ROOT / "prometheus/rules").glob("*.yaml"):
        text = re.sub(r"(?m)^    interval: .*\n", "", file.read_text())
        text = re.sub(r"(?ms)^      - record: client:\w+:minutes1h\n.*?(?=^      [-#])", "", text)
        (folder / file.name).write_text(text)


def rules_work(prometheus):
    """No rule has an error, for example because a series of two servers matches twice."""
    groups = json.loads(request(f"{prometheus}/api/v1/rules"))["data"]["groups"]
    for rule in (rule for group in groups for rule in group["rules"]):
        assert rule["health"] == "ok", f"{rule['name']}: {rule['health']} {rule.get('lastError')}"


def promtool(*command):
    done = subprocess.run(["promtool", *map(str, command)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def panels(dashboard):
    """All panels that ask for something, those of collapsed rows included."""
    for panel in dashboard["panels"]:
        yield from (one for one in (panel, *panel.get("panels", ())) if one.get("targets"))


def expand(expression, variables):
    """The expression with its variables replaced; one that nothing is known of is an error."""
    return re.sub(r"\$\{?(\w+)\}?", lambda match: (BUILT_IN | variables)[match[1]], expression)


def chosen(prometheus, dashboard, end):
    """For each variable of the dashboard what it is when all is chosen, or else the first value."""
    variables = {}
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "datasource":
            continue
        if variable["type"] == "textbox":
            variables[variable["name"]] = variable["query"]
            continue
        values = options(prometheus, variable, variables, end)
        assert values, f"{variable['name']} has no values"
        some = values if variable["includeAll"] else values[:1]
        escaped = "|".join(map(re.escape, some)).replace("\\", "\\\\")
        variables[variable["name"]] = variable.get("allValue") or f"({escaped})"
    return variables


def options(prometheus, variable, variables, end):
    """What a variable offers: a label of some series, or what its regex takes from a result."""
    kind, asked = re.fullmatch(r"(\w+)\((.*)\)", variable["query"]["query"]).groups()
    if kind == "label_values":
        asked, label = asked.rsplit(", ", 1)
    series = [one["metric"] for one in query(prometheus, expand(asked, variables), time=end)]
    if kind == "label_values":
        return sorted({one.get(label, "") for one in series})
    taken = re.compile(variable["regex"].strip("/"))
    return [taken.search(",".join(f'{key}="{value}"' for key, value in one.items()))[1] for one in series]


def check(prometheus, name, panel, target, variables, end):
    expression, where = expand(target["expr"], variables), f"{name}: {panel['title']!r} {target['refId']}"
    span = {"time": time.time()} if target["instant"] else {"start": end - 6 * 3600, "end": end, "step": 60}
    try:
        result = query(prometheus, expression, **span)
    except AssertionError as error:
        raise AssertionError(f"{where}: {error}") from None
    assert result, f"{where}: no data for {expression}"
    for label in re.findall(r"{{(\w+)}}", target.get("legendFormat", "")):
        # The limiter of the egress IP has no name.
        named = [one for one in result if label != "name" or one["metric"].get("layer") != "egress"]
        assert all(label in one["metric"] for one in named), f"{where}: no label {label} in {result[0]['metric']}"
    return result


def told_labels():
    """By metric, the labels of the reference, but those that a fleet may have besides."""
    told = {}
    for line in (ROOT / "docs/metrics.md").read_text().splitlines():
        if row := re.match(r"\| `(\w+)` \| (\w+) \|([^|]*)\|", line):
            name, kind, labels = row.groups()
            labels = frozenset(re.findall(r"`(\w+)`", labels))
            told[name] = labels
            if kind == "histogram":
                told[f"{name}_bucket"] = labels | {"le"}
    return told


def labels_of_history(prometheus, end):
    told, added = told_labels(), {"job", "instance", "prometheus", "site", "name"}
    for one in query(prometheus, '{__name__=~"(mqtt_presence_|process_).*"}', time=end):
        name, labels = one["metric"].pop("__name__"), frozenset(one["metric"]) - added
        # An empty label is no label; `name` is empty for the limiter of the egress IP.
        assert told[name] - {"revision", "name"} == labels, f"{name} has {set(labels)} in the history"


def main():
    end = int(time.time()) // 60 * 60
    with Stack() as stack:
        prometheus = filled(stack, end)
        labels_of_history(prometheus, end)
        rules_work(prometheus)
        known = {}
        for path in DASHBOARDS:
            dashboard = json.loads(path.read_text())
            variables = chosen(prometheus, dashboard, time.time())
            annotations(prometheus, path.stem, dashboard, variables, end)
            for panel in panels(dashboard):
                for target in panel["targets"]:
                    result = check(prometheus, path.stem, panel, target, variables, end)
                    known[path.stem, panel["title"], target["refId"]] = result
            print(f"{path.name}: {sum(len(panel['targets']) for panel in panels(dashboard))} queries have data")
        counted_once(known)


def annotations(prometheus, name, dashboard, variables, end):
    """Each annotation marks something within six hours, and its text has the labels that it names."""
    for one in (one for one in dashboard["annotations"]["list"] if not one.get("builtIn")):
        result = query(prometheus, expand(one["expr"], variables), start=end - 6 * 3600, end=end, step=60)
        assert result, f"{name}: no data for the annotation {one['name']}"
        named = set(re.findall(r"{{(\w+)}}", one["textFormat"])) - {"pod"}
        assert named <= set(result[0]["metric"]), f"{name}: {one['name']} has no {named - set(result[0]['metric'])}"


def counted_once(known):
    """Two exporters see each device, and two servers scrape them; it counts once, in one row of a table."""
    fleet = sum(size for _, size in history.GROUPS.values())
    value = {title: float(result[0]["value"][1]) if "value" in result[0] else float(result[0]["values"][-1][1])
             for (board, title, ref), result in known.items() if board == "fleet" and ref == "A"}
    total = value["Online"] + value["Offline"] + value["Unknown"]
    assert total == fleet, f"{total} devices of {fleet}"
    for title, most in (("Offline now", value["Offline"]), ("Unknown now", value["Unknown"])):
        rows = [one["metric"]["client_id"] for one in known["fleet", title, "A"]]
        assert len(rows) == len(set(rows)) == most, f"{title}: {rows}, and {most} are counted"
    calls = sum(float(one["values"][-1][1]) for one in known["exporter", "Calls per second and quota", "A"])
    expected = len(history.EXPORTERS) * len(history.INSTANCES)
    assert abs(calls - expected) < 0.1, f"{calls} calls per second, and {expected} are made"
    timeline = known["fleet", "Top 20 devices by changes", "A"]
    flapping = len(known["fleet", "Top flapping", "A"])
    assert len(timeline) == min(20, flapping) > 3, f"{len(timeline)} rows in the timeline of {flapping} devices"


if __name__ == "__main__":
    main()
