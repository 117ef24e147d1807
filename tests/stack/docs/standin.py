"""Stands in for programs that are not on a machine that tests, or would reach beyond a page's
folder. Each does what can be done here, and fails where the real one would: a file is not there, a
flag is unknown, a name is nobody's. Usage: standin.py PROGRAM ARGUMENT…
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import time
import urllib.request

import yaml

SANDBOX = pathlib.Path(os.environ["SANDBOX"])
BINARY, ADDRESS = os.environ["BINARY"], os.environ["ADDRESS"]
# What `sudo` writes to, in place of /.
SYSTEM = SANDBOX / "system"


def refuse(why):
    raise SystemExit(f"{sys.argv[1]}: {why}")


def need(condition, why):
    if not condition:
        refuse(why)


def need_file(path):
    need(pathlib.Path(path).exists(), f"there is no {path}")


def is_ready():
    try:
        with urllib.request.urlopen(f"http://{ADDRESS}/-/ready", timeout=1):
            return True
    except OSError:
        return False


def stop_servers():
    """Ends what the page has started before; a reader would have to as well, since they share a port."""
    servers = SANDBOX / "servers"
    for process in servers.read_text().split():
        os.kill(int(process), 15)
    servers.write_text("")
    while is_ready():
        time.sleep(0.05)


def start(*arguments):
    """Starts the exporter in the background, and waits until it is ready."""
    with open(SANDBOX / "log", "ab") as log:
        # No call leaves this machine, whatever the configuration names.
        environment = {**os.environ, "HTTPS_PROXY": "http://127.0.0.1:1"}
        process = subprocess.Popen([BINARY, *arguments, f"--web.listen-address={ADDRESS}"], stdout=log, stderr=log,
                                   stdin=subprocess.DEVNULL, start_new_session=True, env=environment)
    (SANDBOX / "servers").write_text(f"{process.pid}\n")
    for _ in range(400):
        if is_ready():
            return
        need(process.poll() is None, "it ended:\n" + (SANDBOX / "log").read_text())
        time.sleep(0.05)
    refuse("it is not ready")


def exporter(arguments):
    command = next((word for word in arguments if not word.startswith("-")), "serve")
    if {"--version", "--help"} & set(arguments):
        command = "say something"
    if command == "demo":
        stop_servers()
        start(*arguments)
    elif command == "serve":
        # As it is written, and then, since the vendor cannot be asked from here, the demo in its place.
        stop_servers()
        start(*arguments)
        stop_servers()
        start("demo")
    elif command == "query":
        query(arguments)
    else:
        os.execv(BINARY, [BINARY, *arguments])


def query(arguments):
    """Asks the stand-in of the API, of which the configuration's instances become part."""
    [file] = option(arguments, "--config.file") or ["config.yaml"]
    config = yaml.safe_load(pathlib.Path(file).read_text())
    simulate = [BINARY, "simulate", "--web.listen-address=127.0.0.1:0", f"--instances={len(config['instances'])}"]
    with subprocess.Popen(simulate, stdout=subprocess.PIPE, text=True) as simulator:
        announced = json.loads(simulator.stdout.readline())
        key = {name: announced[name] for name in ("access_key_id", "access_key_secret")}
        config["credentials"] = {"type": "access_key", **key}
        for instance, name in zip(config["instances"], announced["instance_ids"]):
            instance |= {"id": name, "endpoint": announced["endpoint"], "credentials": None}
        rest = [word for word in arguments if not word.startswith("--config.file")]
        (SANDBOX / "query.yaml").write_text(yaml.safe_dump(config))
        done = subprocess.run([BINARY, *rest, f"--config.file={SANDBOX}/query.yaml"], check=False)
        simulator.terminate()
    # Nobody there has the names of the manual's devices: they are offline, which is an answer.
    need(done.returncode in (0, 2), f"exit code {done.returncode}")


def cargo(arguments):
    match arguments:
        case ["run", "--release", "--", *rest]:
            exporter(rest)
        case ["build", "--release"]:
            target = pathlib.Path("target/release/mqtt-presence-exporter")
            target.parent.mkdir(parents=True, exist_ok=True)
            # Everything that is run as the exporter is the stand-in, which knows where to listen.
            target.unlink(missing_ok=True)
            target.symlink_to(SANDBOX / "bin/mqtt-presence-exporter")
        case ["test", *_]:
            pass
        case _:
            refuse(f"unknown: {arguments}")


def option(arguments, name):
    """The values of an option, as `--name value` or `--name=value`."""
    pairs = zip(arguments, [*arguments[1:], ""])
    return [word.partition("=")[2] if "=" in word else after for word, after in pairs
            if word == name or word.startswith(name + "=")]


def docker(arguments):
    match arguments:
        case ["compose", *_]:
            [folder] = option(arguments, "--project-directory") or [""]
            files = option(arguments, "--file") or [f"{folder}/compose.yaml"]
            for file in files:
                need_file(file)
            need("up" in arguments, "only `up` is known")
        case ["build", *_, context]:
            need(pathlib.Path(context).is_dir(), f"{context} is no folder")
            for file in option(arguments, "--file"):
                need_file(file)
        case ["run", *_, image]:
            need(not image.startswith("-"), "no image")
            for volume in option(arguments, "--volume"):
                need_file(volume.split(":")[0])
        case _:
            refuse(f"unknown: {arguments}")


def helm(arguments):
    from helm_python.chart import Chart

    match arguments:
        case ["upgrade", "--install", name, folder, *_]:
            shown = []
        case ["template", name, folder, *_]:
            shown = option(arguments, "--show-only")
        case _:
            refuse(f"unknown: {arguments}")
    values = {}
    for file in option(arguments, "--values"):
        values |= yaml.safe_load(pathlib.Path(file).read_text())
    settings = [one for setting in option(arguments, "--set") for one in setting.split(",")]
    for setting in settings:
        path, _, value = setting.partition("=")
        *parents, key = path.split(".")
        inner = values
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[key] = yaml.safe_load(value)
    with Chart.load(folder) as chart:
        texts = chart.render(values=values, name=name, namespace="default")
    for path in shown:
        found = [text for file, text in texts.items() if file.endswith(path)]
        need(found and found[0].strip(), f"could not find template {path}")
        print(found[0])
    objects = [one for path, text in texts.items() if path.endswith(".yaml") for one in yaml.safe_load_all(text) if one]
    names = [f"{one['kind'].lower()}/{one['metadata']['name']}" for one in objects]
    (SANDBOX / "objects").write_text("\n".join(names))


def kubectl(arguments):
    match arguments:
        case ["create", "secret", "generic", *_]:
            for file in option(arguments, "--from-file"):
                need_file(file.rpartition("=")[2])
        case ["port-forward" | "scale", name, *_]:
            need(name in (SANDBOX / "objects").read_text().split(), f"nothing is called {name}")
        case _:
            refuse(f"unknown: {arguments}")


def system(path):
    """Where it is here; a folder keeps the `/` at its end."""
    return f"{SYSTEM}{path}" if re.match(r"/(etc|usr)/", path) else path


def sudo(arguments):
    """Writes below the folder that stands for the system."""
    if arguments[0] == "install":
        arguments = [system(word) for word in arguments]
        target = pathlib.Path(arguments[-1])
        (target if arguments[-1].endswith("/") else target.parent).mkdir(parents=True, exist_ok=True)
    else:
        need(arguments[0] == "systemctl", f"unknown: {arguments}")
    os.execvp(arguments[0], arguments)


def systemctl(arguments):
    """A unit that is started has everything that it names."""
    if arguments[0] != "enable":
        need(arguments == ["daemon-reload"], f"unknown: {arguments}")
        return
    unit = SYSTEM / f"etc/systemd/system/{arguments[-1]}.service"
    need_file(unit)
    text = unit.read_text()
    [command] = re.findall(r"(?m)^ExecStart=(\S+) (.*)$", text)
    needed = [command[0], *re.findall(r"=(/\S+)", command[1]), *re.findall(r"(?m)^LoadCredential=\w+\.\w+:(\S+)", text)]
    for path in needed:
        need_file(system(path))


def journalctl(arguments):
    [unit] = option(arguments, "--unit")
    need_file(SYSTEM / f"etc/systemd/system/{unit}.service")


PROGRAMS = {"mqtt-presence-exporter": exporter, "cargo": cargo, "docker": docker, "helm": helm, "kubectl": kubectl,
            "sudo": sudo, "systemctl": systemctl, "journalctl": journalctl}
PROGRAMS[sys.argv[1]](sys.argv[2:])
