"""What the suites of packages share: a stand-in of the API to watch, and a look at an exporter."""

import json
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from stack import ROOT, Stack, answers, await_, free_address, request  # noqa: E402, F401

DEPLOY = ROOT / "deploy"


def simulate(stack, binary, clients=30):
    """Starts the stand-in; what it announces."""
    out = stack.folder / "announcement.json"
    with open(out, "wb") as file:
        stack.start("simulate", binary, "simulate", f"--clients={clients}", "--instances=1", out=file)
    return json.loads(await_("the announcement", lambda: out.read_text().endswith("\n") and out.read_text()))


def instance(announced, **more):
    """The announced instance, as a configuration names it."""
    identity = announced["instance_ids"][0]
    return {"id": identity, "region": announced["region"], "endpoint": announced["endpoint"],
            "clients": announced["clients"][identity], **more}


def known(address):
    """How many clients the exporter at `address` knows the status of."""
    return len(re.findall(r"^mqtt_presence_client_online\{", request(f"http://{address}/metrics"), re.MULTILINE))
