"""What the Dockerfile says about running, done in a folder that has what the image has.

There is no container engine here. A root of its own stands for the image: the binary with the
libraries it needs, a static wget, the working directory; no shell, no user names, no CA
certificates, nothing that can be written. Usage: container.py BINARY
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

from common import DEPLOY, Stack, answers, await_, free_address, instance, known

AS_ROOT = [] if os.geteuid() == 0 else ["sudo"]


def dockerfile():
    """The instructions of the last stage, in order."""
    text = (DEPLOY / "docker/Dockerfile").read_text()
    lines = re.sub(r"\\\n", " ", re.sub(r"(?m)^#.*\n", "", text)).splitlines()
    last = max(at for at, line in enumerate(lines) if line.startswith("FROM "))
    return [line.split(maxsplit=1) for line in lines[last + 1:] if line.strip()]


def image(root, binary, workdir):
    """Fills `root` with what the image has."""
    needed = subprocess.run(["ldd", binary], capture_output=True, text=True, check=True).stdout
    files = {path: path for path in re.findall(r"(/\S+) \(0x", needed)}
    files |= {"/bin/mqtt-presence-exporter": binary, "/bin/wget": shutil.which("busybox")}
    for inside, outside in files.items():
        target = root / inside.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(outside, target)
    (root / workdir.lstrip("/")).mkdir(parents=True)


def main(binary):
    said = dockerfile()
    one = {name: rest for name, rest in said}
    entrypoint, command = json.loads(one["ENTRYPOINT"]), json.loads(one["CMD"])
    health = json.loads(one["HEALTHCHECK"].partition("CMD ")[2])
    user, workdir, port = one["USER"], one["WORKDIR"], one["EXPOSE"]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user), f"Kubernetes sees by its number that {user} is not root"

    with Stack() as stack:
        root = stack.folder / "image"
        image(root, binary, workdir)
        subprocess.run(["chmod", "-R", "a+rX,a-w", root], check=True)
        stack.folder.chmod(0o755)

        # Of the environment only a proxy, which nothing on this host is to be asked through.
        def run(*arguments):
            return [*AS_ROOT, "env", "--ignore-environment", f"PATH={os.environ['PATH']}",
                    "http_proxy=http://127.0.0.1:1", "chroot", f"--userspec={user}", root, *arguments]

        announced = stack.simulate(binary, "--clients=30", "--instances=1")
        config = root / workdir.lstrip("/") / "config.yaml"
        access_key = {key: announced[key] for key in ("access_key_id", "access_key_secret")}

        def configure(**of_instance):
            root.joinpath(workdir.lstrip("/")).chmod(0o755)
            config.write_text(json.dumps({"credentials": {"type": "access_key", **access_key},
                                          "instances": [instance(announced, **of_instance)]}))
            config.chmod(0o644)

        # Plain HTTP needs no certificates. (A container begins in its working directory, a new root in /.)
        configure()
        address = free_address()
        flags = [f"--config.file={workdir}/config.yaml", f"--web.listen-address={address}"]
        healthy = [word.replace(f"127.0.0.1:{port}", address) for word in health]
        assert healthy != health, "the health check asks the port that the image exposes"

        sick = subprocess.run(run(*healthy), capture_output=True, text=True)
        assert sick.returncode != 0, "nothing listens yet"
        server = stack.start("exporter", *run(*entrypoint, *command, *flags))
        await_("every device has a status", lambda: answers(f"http://{address}/-/ready") and known(address) == 30)
        well = subprocess.run(run(*healthy), capture_output=True, text=True)
        assert (well.returncode, well.stdout, well.stderr) == (0, "", ""), well
        server.terminate()
        assert server.wait(timeout=20) == 0

        # The image has certificates, this root has none: HTTPS is refused in words.
        configure(endpoint="https://127.0.0.1:1")
        refused = subprocess.run(run(*entrypoint, *command, *flags), capture_output=True, text=True, timeout=20)
        assert refused.returncode == 64 and "no CA certificates" in refused.stderr, refused
    print("container: runs as nobody in a root that cannot be written, and its health check sees it")


main(str(pathlib.Path(sys.argv[1]).resolve()))
