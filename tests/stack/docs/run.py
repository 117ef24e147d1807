"""Runs every command and loads every configuration of the manual.

A page is read from top to bottom in a copy of the repository. A block that is named, such as
```yaml config.yaml, is written to that file. Every YAML or JSON block is loaded by whatever its keys
say it is for. Of console blocks, the lines behind `$` are run, by Bash, with `standin.py` in place of
programs that are not here or would reach beyond this folder. Usage: run.py BINARY
"""

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys

import yaml

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import configurations  # noqa: E402
from stack import ROOT, Stack, answers, await_, free_address  # noqa: E402

STAND_INS = ["cargo", "docker", "helm", "journalctl", "kubectl", "mqtt-presence-exporter", "sudo", "systemctl"]


def pages():
    """The manual's pages. Those whose examples have tests of their own are read by these."""
    found = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
    own = re.findall(r'"(docs/[\w-]+\.md)"', (ROOT / "tests/it/docs/discovery.rs").read_text())
    return sorted(page for page in found if str(page.relative_to(ROOT)) not in own)


def blocks(page):
    """Language, file name and text of each block of code, and the line it begins at."""
    lines = iter(enumerate(page.read_text().splitlines(), 1))
    for number, line in lines:
        if line.startswith("```"):
            language, _, name = line[3:].partition(" ")
            text = []
            while (line := next(lines)[1]) != "```":
                text.append(line)
            yield language, name, "\n".join(text) + "\n", number


def commands(text):
    """What is typed: a line behind `$`, and those behind `>` that it goes on with."""
    typed = []
    for line in text.splitlines():
        if line.startswith("$ "):
            typed.append(line[2:])
        elif line.startswith("> ") and typed:
            typed[-1] += "\n" + line[2:]
    return typed


class Sandbox:
    """A copy of the repository in which the commands of one page are run."""

    def __init__(self, folder, binary, alertmanager):
        self.folder = folder / "repository"
        tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
        for name in filter(None, tracked.stdout.split("\0")):
            target = self.folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / name).exists():
                shutil.copy(ROOT / name, target, follow_symlinks=False)
        bin_folder = folder / "bin"
        bin_folder.mkdir()
        for name in STAND_INS:
            (bin_folder / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" "{HERE}/standin.py" {name} "$@"\n')
            (bin_folder / name).chmod(0o755)
        # The tests would run themselves.
        (self.folder / "tests/run.sh").write_text("#!/bin/sh\n")
        self.address = free_address()
        self.addresses = {"127.0.0.1:10120": self.address, "localhost:10120": self.address,
                          "exporter.example:10120": self.address, "alertmanager.example:9093": alertmanager}
        self.environment = {
            "PATH": f"{bin_folder}:{os.environ['PATH']}", "HOME": str(folder / "home"), "LANG": "C.UTF-8",
            "no_proxy": "127.0.0.1", "SANDBOX": str(folder), "BINARY": binary, "ADDRESS": self.address,
        }
        (folder / "home").mkdir()
        self.servers = folder / "servers"
        self.servers.touch()

    def run(self, command):
        # Who asks the exporter without a word of its start has one running.
        if re.search(r"(127\.0\.0\.1|localhost):10120", command) and not self.servers.read_text():
            self.run("mqtt-presence-exporter demo")
        for name, real in self.addresses.items():
            command = command.replace(name, real)
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", command], cwd=self.folder, env=self.environment,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, f"exit code {done.returncode}\n{done.stdout}{done.stderr}"

    def stop(self):
        for line in self.servers.read_text().split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(line), signal.SIGTERM)


def read(page, sandbox, binary, prometheus):
    """Reads one page; how much there was to run and to load."""
    ran = loaded = 0
    for language, name, text, line in blocks(page):
        try:
            if name:
                target = sandbox.folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(text)
            if language == "console":
                assert commands(text), "no command in it"
                for command in commands(text):
                    sandbox.run(command)
                    ran += 1
            elif language in ("yaml", "json", "promql"):
                configurations.load(language, text, name, sandbox.folder, binary, prometheus)
                loaded += 1
            else:
                # tests/stack/jsonnet.sh evaluates the blocks of jsonnet.
                assert language in ("", "ini", "text", "jsonnet"), f"no test checks blocks of {language}"
        except (AssertionError, OSError, ValueError, yaml.YAMLError, subprocess.SubprocessError) as error:
            raise SystemExit(f"{page.relative_to(ROOT)}:{line}: {error}") from error
    return ran, loaded


def main(binary):
    total = [0, 0]
    with Stack() as stack:
        config = stack.folder / "prometheus.json"
        config.write_text(json.dumps({}))
        prometheus = stack.prometheus(config, stack.folder / "data")
        alertmanager = free_address()
        stack.start("alertmanager", "prometheus-alertmanager", f"--config.file={ROOT}/prometheus/alertmanager.yaml",
                    f"--storage.path={stack.folder}/alertmanager", f"--web.listen-address={alertmanager}",
                    "--cluster.listen-address=")
        await_("Alertmanager", lambda: answers(f"http://{alertmanager}/-/ready"))
        for number, page in enumerate(pages()):
            folder = stack.folder / str(number)
            folder.mkdir()
            sandbox = Sandbox(folder, binary, alertmanager)
            try:
                total = [sum(pair) for pair in zip(total, read(page, sandbox, binary, prometheus))]
            finally:
                sandbox.stop()
    print(f"{total[0]} commands of the manual were run, and {total[1]} of its configurations loaded")


main(str(pathlib.Path(sys.argv[1]).resolve()))
