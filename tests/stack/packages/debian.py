"""Builds the Debian package, and installs, upgrades, removes and purges it on this machine. Runs the
command of its systemd unit as the user of the package. Usage: debian.py BINARY
"""

import contextlib
import json
import os
import pathlib
import pwd
import re
import shutil
import subprocess
import sys

from common import ROOT, Stack, answers, await_, free_address, instance, known

NAME = "mqtt-presence-exporter"
CONFIGURATION = pathlib.Path("/etc") / NAME
DEFAULTS = pathlib.Path("/etc/default") / NAME
UNIT = pathlib.Path("/usr/lib/systemd/system") / f"{NAME}.service"
AS_ROOT = [] if os.geteuid() == 0 else ["sudo"]
# apt and dpkg find the tools of the administrator there.
ENVIRONMENT = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"}


def run(*command, root=False, cwd=ROOT, **options):
    command = [*(AS_ROOT if root else []), *map(str, command)]
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, cwd=cwd, **options)
    assert done.returncode == 0, f"{command}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def write(path, text):
    run("tee", path, root=True, input=text)


def build(binary, revision, folder):
    run("deploy/release.sh", f"--binary={binary}", f"--deb-revision={revision}", "deb")
    [package] = (ROOT / "target/packages").glob("*.deb")
    run("sha256sum", "--check", "--quiet", "SHA256SUMS", cwd=ROOT / "target/packages")
    return shutil.copy(package, folder)


def user():
    with contextlib.suppress(KeyError):
        return pwd.getpwnam(NAME)


def files(package):
    """The files of a package, not its directories."""
    listed = run("dpkg-deb", "--contents", package)
    return [pathlib.Path(line.split()[5][1:]) for line in listed.splitlines() if not line.startswith("d")]


def install(package):
    run("apt-get", "--quiet", "install", "--yes", "--no-install-recommends", package, root=True)


def start(stack, announced):
    """Starts the command of the installed unit as its user; where it listens, and the process."""
    text = UNIT.read_text()
    [command] = re.findall(r"(?m)^ExecStart=(.*)$", text)
    [account] = re.findall(r"(?m)^User=(.*)$", text)
    assert account == NAME and command.startswith("/usr/bin/"), (account, command)
    # systemd would pass the credentials to the service in a directory of its own.
    profile = stack.folder / "credentials.ini"
    profile.write_text("[default]\ntype = access_key\n" + "".join(
        f"{key} = {announced[key]}\n" for key in ("access_key_id", "access_key_secret")))
    profile.chmod(0o644)
    stack.folder.chmod(0o755)
    arguments = re.search(r'(?m)^ARGS="(.*)"$', DEFAULTS.read_text())[1]
    server = stack.start("exporter", *AS_ROOT, "setpriv", f"--reuid={account}", f"--regid={account}", "--init-groups",
                         "--no-new-privs", "env", "--ignore-environment", f"ALIBABA_CLOUD_CREDENTIALS_FILE={profile}",
                         *command.replace("$ARGS", arguments).split())
    address = arguments.rpartition("=")[2]
    await_("every device has a status", lambda: answers(f"http://{address}/-/ready") and known(address) == 30)
    return server


def main(binary):
    assert not CONFIGURATION.exists() and not user(), f"{NAME} is installed here: this test would remove it"
    try:
        with Stack() as stack:
            old, new = (build(binary, revision, stack.folder) for revision in (1, 2))
            for package in (old, new):
                run("lintian", "--allow-root", "--fail-on=error,warning,info", package)
            installed = files(new)
            announced = stack.simulate(binary, "--clients=30", "--instances=1")
            install(old)
            assert all(path.exists() for path in installed), [path for path in installed if not path.exists()]
            assert user().pw_shell == "/usr/sbin/nologin" and CONFIGURATION.is_dir()
            said = subprocess.run(["systemd-analyze", "verify", UNIT], capture_output=True, text=True, check=True)
            assert not said.stdout + said.stderr, said

            write(CONFIGURATION / "config.yaml", json.dumps({"instances": [instance(announced)]}))
            edited = f'ARGS="--web.listen-address={free_address()}"\n'
            write(DEFAULTS, edited)
            server = start(stack, announced)

            # What the administrator wrote survives the upgrade.
            install(new)
            shown = run("dpkg-query", "--show", "--showformat=${Version}", NAME)
            assert shown.endswith("-2"), shown
            assert DEFAULTS.read_text() == edited and (CONFIGURATION / "config.yaml").exists()
            server.terminate()
            assert server.wait(timeout=20) == 0
            start(stack, announced).terminate()

        run("apt-get", "--quiet", "remove", "--yes", NAME, root=True)
        left = [path for path in installed if path.exists()]
        assert left == [DEFAULTS] and (CONFIGURATION / "config.yaml").exists(), left
        run("apt-get", "--quiet", "purge", "--yes", NAME, root=True)
        left = [path for path in [*installed, CONFIGURATION] if path.exists()]
        assert not left and not user(), left
    finally:
        run("dpkg", "--purge", NAME, root=True)
    print("debian: the package installs, runs as its user, upgrades, and is removed without a trace")


main(str(pathlib.Path(sys.argv[1]).resolve()))
