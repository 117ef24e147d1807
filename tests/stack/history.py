"""Hours of a made-up fleet, as two exporters that both watch all of it would have been scraped.

Every metric of the exporter is in it, the ones included that a demo does not have. The fleet has
what dashboards are for: devices that flap, some that are always offline, a group that drops
together, and an outage of the API that is long enough to make its devices unknown.
"""

import itertools
import random

HOURS = 8
STEP = 60
EXPORTERS = ("exporter-1:10120", "exporter-2:10120")
# Servers that scrape both exporters and write into one storage.
SERVERS = ("a", "b")
JOB = "mqtt-presence"
GROUPS = {"GID_pumps": ("post-cn-north01", 16), "GID_meters": ("post-cn-north01", 24), "GID_gates": ("post-cn-south01", 12)}
INSTANCES = sorted({instance for instance, _ in GROUPS.values()})
SINGLE, BATCH = "QuerySessionByClientId", "BatchQuerySessionByClientIds"
STALE_AFTER = 300

# Minutes from the beginning.
DROP, DROPPED = ("GID_pumps", "post-cn-north01"), range(290, 322)
OUTAGE, UNREACHABLE = "post-cn-south01", range(150, 185)


class Device:
    """One device and what is known of it, minute by minute."""

    def __init__(self, group, number, minutes):
        dice = random.Random(f"{group} {number}")
        self.group, (self.instance, _) = group, GROUPS[group]
        kind = group.removeprefix("GID_").removesuffix("s")
        self.client = f"{group}@@@{kind}-{number:02}"
        self.labels = {"site": "north" if self.instance == "post-cn-north01" else "south", "name": f"{kind} {number}"}
        period, up, phase = dice.randint(9, 40), dice.uniform(0.6, 0.9), dice.randint(0, 40)
        gone = [range(at, at + dice.randint(4, 25)) for at in dice.sample(range(minutes), dice.randint(0, 2))]
        late = dice.randint(0, 4)

        def online(minute):
            if (group, self.instance) == DROP and DROPPED.start <= minute < DROPPED.stop + late and number > 2:
                return False
            if number == 1:
                return False
            if number <= 4:
                return (minute + phase) % period < period * up
            # One that is gone now.
            return not any(minute in span for span in gone) and not (number == 7 and minute > minutes - 40)

        self.observed, self.online, self.since = [], [], []
        self.connects, self.disconnects = [0] * minutes, [0] * minutes
        seen = None
        for minute in range(minutes):
            if self.instance != OUTAGE or minute not in UNREACHABLE:
                now = online(minute)
                if seen is None or now != seen[0]:
                    changed = (self.connects if now else self.disconnects) if seen else [0] * minutes
                    changed[minute] = 1
                    since = minute
                seen = (now, minute)
                # Asked in vain for a while: it is unknown in the end.
                if number == 9 and minute > minutes - 30:
                    seen = (now, minutes - 30)
            known = (minute - seen[1]) * STEP < STALE_AFTER
            if not known:
                since = minute + 1
            self.online.append(int(seen[0]) if known else None)
            self.observed.append(seen[1] if known else None)
            self.since.append(min(since, minute) if known else None)


def openmetrics(end):
    """The history up to the Unix time `end`, in the format that promtool imports."""
    minutes = HOURS * 60
    times = [end - (minutes - 1 - minute) * STEP for minute in range(minutes)]
    devices = [Device(group, number, minutes) for group, (_, size) in GROUPS.items() for number in range(1, size + 1)]

    def at(minute):
        return None if minute is None else times[minute] - 3

    for name, labels, values in series(devices, times, at):
        for exporter, server in itertools.product(EXPORTERS, SERVERS):
            pairs = {"job": JOB, "instance": exporter, "prometheus": server} | labels
            text = ",".join(f'{key}="{value}"' for key, value in pairs.items())
            for time, value in zip(times, values, strict=True):
                if value is not None:
                    yield f"{name}{{{text}}} {value} {time}\n"
    yield "# EOF\n"


def series(devices, times, at):
    """Name, labels and values of every series of one exporter."""
    minutes, dice = len(times), random.Random("exporter")

    def constant(value):
        return [value] * minutes

    def grows(by):
        total, values = 0, []
        for minute in range(minutes):
            total += by(minute)
            values.append(total)
        return values

    for name, value in (("info", lambda device: constant(1)), ("online", lambda device: device.online),
                        ("last_observation_timestamp_seconds", lambda device: map(at, device.observed)),
                        ("status_since_timestamp_seconds", lambda device: map(at, device.since))):
        for device in devices:
            ids = {"instance_id": device.instance, "group_id": device.group, "client_id": device.client}
            more = device.labels if name in ("info", "online") else {}
            yield f"mqtt_presence_client_{name}", ids | more, list(value(device))

    for status, value in (("online", 1), ("offline", 0), ("unknown", None)):
        for group, (instance, _) in GROUPS.items():
            members = [device for device in devices if device.group == group]
            counts = [sum(member.online[minute] == value for member in members) for minute in range(minutes)]
            yield "mqtt_presence_clients", {"instance_id": instance, "group_id": group, "status": status}, counts
    for kind in ("connects", "disconnects"):
        for group, (instance, _) in GROUPS.items():
            members = [getattr(device, kind) for device in devices if device.group == group]
            labels = {"instance_id": instance, "group_id": group}
            yield f"mqtt_presence_{kind}_total", labels, grows(lambda minute: sum(one[minute] for one in members))

    def down(instance, minute):
        return instance == OUTAGE and minute in UNREACHABLE

    for instance in INSTANCES:
        labels, both = {"instance_id": instance}, {"instance_id": instance, "operation": SINGLE}
        yield "mqtt_presence_api_up", labels, [int(not down(instance, minute)) for minute in range(minutes)]
        yield "mqtt_presence_sweep_duration_seconds", labels, [round(dice.uniform(0.4, 0.7), 3) for _ in times]
        yield "mqtt_presence_sweep_last_end_timestamp_seconds", labels, [time - 2 for time in times]
        yield "mqtt_presence_sweep_coverage_ratio", labels, [0 if down(instance, minute) else 1 for minute in range(minutes)]
        yield "mqtt_presence_stale_after_seconds", labels, constant(STALE_AFTER)
        yield "mqtt_presence_clock_offset_seconds", labels, constant(0)
        for result in ("complete", "incomplete", "stopped"):
            ended = lambda minute: 2 * ((result == "incomplete") == down(instance, minute)) * (result != "stopped")  # noqa: B023
            yield "mqtt_presence_sweeps_total", labels | {"result": result}, grows(ended)
        yield "mqtt_presence_api_requests_total", both, grows(lambda _: 60)
        yield "mqtt_presence_api_retries_total", both, grows(lambda _: dice.random() < 0.1)
        yield "mqtt_presence_clients_missing_total", labels, grows(lambda _: dice.random() < 0.05)
        for result, often in (("confirmed", 0.5), ("rejected", 0.1), ("failed", 0.01)):
            yield "mqtt_presence_confirmations_total", labels | {"result": result}, grows(lambda _: dice.random() < often)  # noqa: B023
        for code, often in (("timeout", 0.1), ("Throttling.User", 0.05), ("NoPermission", 0)):
            failed = lambda minute: 20 * (code == "timeout" and down(instance, minute)) + (dice.random() < often)  # noqa: B023
            yield "mqtt_presence_api_errors_total", both | {"code": code}, grows(failed)
        yield "mqtt_presence_projected_calls_per_second", both, constant(1)

    bounds = {"0.01": 0, "0.025": 20, "0.05": 90, "0.1": 115, "0.25": 119, "5": 120, "+Inf": 120}
    for bound, calls in bounds.items():
        labels = {"operation": SINGLE, "le": bound}
        yield "mqtt_presence_api_request_duration_seconds_bucket", labels, grows(lambda minute: calls)  # noqa: B023
    for layer, name in (("egress", ""), ("account", "default"), *(("instance", instance) for instance in INSTANCES)):
        labels = {"layer": layer, "name": name, "operation": SINGLE}
        yield "mqtt_presence_limiter_calls_per_second", labels, constant(100 if layer == "instance" else 220)
        yield "mqtt_presence_limiter_wait_seconds_total", labels, grows(lambda _: dice.random())
    for operation, quota in ((SINGLE, 220), (BATCH, 80)):
        yield "mqtt_presence_quota_calls_per_second", {"operation": operation}, constant(quota)
    yield "mqtt_presence_scrapes_incomplete_total", {}, grows(lambda _: dice.random() < 0.02)

    hour = 3600 // STEP
    yield "mqtt_presence_credential_expiry_timestamp_seconds", {"credentials": "ecs_ram_role"}, [
        times[0] + (minute // hour + 1) * 3600 + 900 for minute in range(minutes)]
    for result in ("success", "failure"):
        renewed = lambda minute: result == "success" and minute % hour == 0  # noqa: B023
        yield "mqtt_presence_credential_refreshes_total", {"credentials": "ecs_ram_role", "result": result}, grows(renewed)
    yield "mqtt_presence_config_last_reload_successful", {}, constant(1)
    yield "mqtt_presence_config_last_reload_success_timestamp_seconds", {}, constant(times[0])
    for source, clients, before in (("clients/north.yaml", 40, 40), ("clients/south.yaml", 12, 30)):
        counts = [before if minute < minutes - 30 else clients for minute in range(minutes)]
        yield "mqtt_presence_discovery_clients", {"source": source}, counts
        yield "mqtt_presence_discovery_failures_total", {"source": source}, grows(lambda minute: minute == 100)
        yield "mqtt_presence_discovery_last_success_timestamp_seconds", {"source": source}, constant(times[0])
    yield "mqtt_presence_shard_info", {"shard": "0", "shards": "1"}, constant(1)
    yield "mqtt_presence_build_info", {"version": "0.2.0", "revision": ""}, constant(1)
    yield "process_cpu_seconds_total", {}, grows(lambda _: 0.4)
    yield "process_resident_memory_bytes", {}, constant(17_000_000)
    yield "process_open_fds", {}, constant(24)
    yield "process_start_time_seconds", {}, constant(times[0])
    yield "up", {}, constant(1)
    alert = {"alertname": "MqttGroupMassDisconnect", "alertstate": "firing", "severity": "critical",
             "group_id": DROP[0], "instance_id": DROP[1]}
    yield "ALERTS", alert, [1 if minute in DROPPED else None for minute in range(minutes)]
