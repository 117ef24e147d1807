"""The library of the suites: starts servers, waits for them, queries them, and stops them."""

import contextlib
import json
import pathlib
import re
import socket
import subprocess
import tempfile
import time
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]

# No proxy of the environment: everything is on this host.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def request(url, method="GET", body=None):
    """The answer's text; an error status is an exception."""
    data = None if body is None else json.dumps(body).encode()
    headers = {} if body is None else {"Content-Type": "application/json"}
    with _OPENER.open(urllib.request.Request(url, data, headers, method=method), timeout=30) as answer:
        return answer.read().decode()


def await_(what, attempt, seconds=60):
    """Tries until `attempt` gives something true, and gives that back."""
    end = time.monotonic() + seconds
    while not (result := attempt()):
        if time.monotonic() > end:
            raise AssertionError(f"in vain: {what}")
        time.sleep(0.05)
    return result


def free_address():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return "127.0.0.1:{}".format(listener.getsockname()[1])


class Stack(contextlib.ExitStack):
    """The servers of one run, and a folder for what they write. Leaving it stops them."""

    def __enter__(self):
        super().__enter__()
        self.folder = pathlib.Path(self.enter_context(tempfile.TemporaryDirectory(prefix="presence-")))
        return self

    def start(self, name, *command, out=None):
        """Starts a server, whose log is shown when the run fails."""
        log = self.folder / f"{name}.log"
        with open(log, "ab") as err:
            server = subprocess.Popen([str(word) for word in command], stdout=out or err, stderr=err)
        self.callback(stop, server)
        self.push(lambda kind, _error, _trace: kind and print(f"--- {log.name}\n{log.read_text()[-4000:]}"))
        return server

    def simulate(self, binary, *flags):
        """Starts the simulator; what it announces."""
        out = self.folder / f"announcement-{len(list(self.folder.glob('announcement-*')))}.json"
        with open(out, "wb") as file:
            self.start("simulate", binary, "simulate", "--web.listen-address=127.0.0.1:0", *flags, out=file)
        return json.loads(await_("the simulator", lambda: out.read_text().endswith("\n") and out.read_text()))

    def exporter(self, binary, config, *flags):
        """Starts an exporter and waits until it is ready; its address and its process."""
        address, path = free_address(), self.folder / "config.yaml"
        # JSON is YAML.
        path.write_text(json.dumps(config))
        process = self.start("exporter", binary, f"--config.file={path}", f"--web.listen-address={address}", *flags)
        await_("the exporter", lambda: answers(f"http://{address}/-/ready"))
        return address, process

    def prometheus(self, config, data, *flags):
        """Starts a Prometheus and waits until it is ready; its URL."""
        address = free_address()
        self.start("prometheus", "prometheus", f"--config.file={config}", f"--storage.tsdb.path={data}",
                   f"--web.listen-address={address}", "--log.level=warn", *flags)
        await_("Prometheus", lambda: answers(f"http://{address}/-/ready"))
        return f"http://{address}"


def stop(server):
    server.terminate()
    server.wait(timeout=20)


def answers(url):
    try:
        return request(url) or True
    except OSError:
        return None


def access_key(announced):
    """The simulator's access key, as a configuration has it."""
    return {"type": "access_key", **{key: announced[key] for key in ("access_key_id", "access_key_secret")}}


def instance(announced, number=0, **more):
    """An announced instance, as a configuration has it."""
    identity = announced["instance_ids"][number]
    return {"id": identity, "region": announced["region"], "endpoint": announced["endpoint"],
            "clients": announced["clients"][identity], **more}


def known(address):
    """How many clients the exporter at `address` knows the status of."""
    return len(re.findall(r"^mqtt_presence_client_online\{", request(f"http://{address}/metrics"), re.MULTILINE))


def promtool_accepts(text):
    """promtool reports nothing about a scrape."""
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
    assert done.returncode == 0 and not done.stdout + done.stderr, done.stdout + done.stderr


def query(prometheus, expression, **parameters):
    """The result of an instant query, or of a range query where a `start` is given."""
    kind = "query_range" if "start" in parameters else "query"
    form = urllib.parse.urlencode({"query": expression, **parameters})
    try:
        return json.loads(request(f"{prometheus}/api/v1/{kind}?{form}"))["data"]["result"]
    except urllib.error.HTTPError as error:
        raise AssertionError(f"{json.load(error)['error']}: {expression}") from None
