"""The systemd unit's command with what the unit hands it: the credentials file that its comment shows
is all that the exporter knows of an access key. Usage: service.py BINARY
"""

import configparser
import json
import os
import pathlib
import re
import sys

from common import DEPLOY, Stack, answers, await_, free_address, instance, known


def unit():
    """The settings of the unit's service; of one that is there several times, all."""
    text = (DEPLOY / "systemd/mqtt-presence-exporter.service").read_text()
    settings = {}
    for name, value in re.findall(r"(?m)^(\w+)=(.*)$", text):
        settings.setdefault(name, []).append(value)
    return settings, text


def main(binary):
    settings, text = unit()
    with Stack() as stack:
        announced = stack.simulate(binary, "--clients=30", "--instances=1")
        configuration, credentials = stack.folder / "etc", stack.folder / "credentials"
        configuration.mkdir()
        credentials.mkdir()
        (configuration / "config.yaml").write_text(json.dumps({"instances": [instance(announced)]}))

        # The example in the comment, with a real key.
        example = "\n".join(re.findall(r"(?m)^#     (.*)$", text))
        profile = configparser.ConfigParser(interpolation=None)
        profile.read_string(example)
        for key in ("access_key_id", "access_key_secret"):
            profile["default"][key] = announced[key]
        [loaded] = settings["LoadCredential"]
        with open(credentials / loaded.partition(":")[0], "w", encoding="utf-8") as file:
            profile.write(file)

        environment = dict(line.replace("%d", str(credentials)).split("=", 1) for line in settings["Environment"])
        address = free_address()
        [command] = settings["ExecStart"]
        command = command.replace("/etc/mqtt-presence-exporter", str(configuration))
        command = command.replace("$ARGS", f"--web.listen-address={address}").split()
        assert command[0] == "/usr/local/bin/mqtt-presence-exporter"
        stack.start("exporter", "env", "--ignore-environment", *map("=".join, environment.items()), binary, *command[1:])
        await_("every device has a status", lambda: answers(f"http://{address}/-/ready") and known(address) == 30)
    print("service: the unit's command finds the access key where the unit puts it")


main(str(pathlib.Path(sys.argv[1]).resolve()))
