"""The vendor's SDKs call the simulator, and their signing code checks the exporter's requests.

Usage: sdk.py BINARY
"""

import json
import pathlib
import subprocess
import sys

from stack import Stack, access_key, await_, instance, request

HERE = pathlib.Path(__file__).resolve().parent
AGENT = "mqtt-presence-exporter/"


def python(script, *arguments):
    subprocess.run([sys.executable, str(HERE / script), *map(str, arguments)], check=True)


def announce(stack, binary):
    """A new simulator, and the file with what it announces."""
    announced = stack.simulate(binary, "--clients=60")
    path = stack.folder / "announced.json"
    path.write_text(json.dumps(announced))
    return announced, path


def sdk_calls(binary):
    with Stack() as stack:
        python("sdk_client.py", announce(stack, binary)[1])


def sdk_checks_signatures(binary, version):
    with Stack() as stack:
        announced, path = announce(stack, binary)
        # Two client IDs have to be encoded.
        clients = [announced["clients"][announced["instance_ids"][0]][0], "GID_test@0001", "GID_test@@@pümp*+~%&=/"]
        stack.exporter(binary, {"api": {"signature": version.lower()}, "credentials": access_key(announced),
                                "instances": [instance(announced, clients=clients)]}, "--log.level=error")
        requests = stack.folder / "requests.json"

        def captured():
            """The exporter queries each of its clients once when it starts."""
            text = request(f"{announced['endpoint']}/_simulator/requests")
            requests.write_text(text)
            return text.count(f'"user-agent","{AGENT}') >= len(clients)

        await_("the requests of the exporter", captured)
        python("sdk_signing.py", path, requests, version)


def main(binary):
    sdk_calls(binary)
    for version in ("V3", "V2"):
        sdk_checks_signatures(binary, version)


main(sys.argv[1])
