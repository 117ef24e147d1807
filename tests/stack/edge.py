"""Holds `--web.config.file` to the clients and the checker that it is made for.

Prometheus's own checker says of the same files what the exporter says. curl meets each version of
TLS, with and without a certificate, with right and wrong passwords, and finds what the toolkit's
documentation promises; so does a Prometheus that scrapes by HTTP/2. Certificates are exchanged
while many ask. A socket that was handed over is listened at.
"""

import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading

from stack import Stack, await_, query

HERE = pathlib.Path(__file__).resolve().parent
FIXTURES = HERE.parent / "data" / "web_config"
PASSWORD = "correct horse: battery"
CONFIG = "instances: [{id: post-cn-1, endpoint: 'http://127.0.0.1:9', clients: [GID_test@@@a]}]\n"

# What the promtool of Debian 12 does not know yet, and what it finds only when it serves.
LATER = re.compile(r"rate_limit|client_allowed_sans|^  (cert|key|client_ca):", re.MULTILINE)
ONLY_WHEN_SERVING = {"suite_of_http2_missing.yml"}


def run(*command, **options) -> subprocess.CompletedProcess:
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=60, **options)


def must(*command, **options) -> str:
    done = run(*command, **options)
    assert done.returncode == 0, f"{command} failed: {done.stdout}{done.stderr}"
    return done.stdout


class Pki:
    """An authority, and what it issues; all of it in one folder."""

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        self.own("ca", "/CN=test authority")
        self.own("stranger", "/CN=stranger")
        self.issue("client", "DNS:prometheus.example")
        self.issue("server", "DNS:localhost,IP:127.0.0.1")

    def own(self, name: str, subject: str):
        must("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", subject,
             "-keyout", f"{name}.key", "-out", f"{name}.pem", cwd=self.folder)

    def issue(self, name: str, names: str):
        """Writes NAME.pem and NAME.key, each at once, as whoever rotates certificates should."""
        must("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
             "-subj", f"/CN={name}", "-keyout", f"{name}.key.new", "-out", f"{name}.csr", cwd=self.folder)
        must("openssl", "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", "2",
             "-extfile", "/dev/stdin", "-out", f"{name}.pem.new", cwd=self.folder, input=f"subjectAltName={names}\n")
        for kind in ("key", "pem"):
            os.replace(self.folder / f"{name}.{kind}.new", self.folder / f"{name}.{kind}")


class Exporter:
    """An exporter behind a web configuration, on a port of its own."""

    def __init__(self, binary: str, folder: pathlib.Path, web_config: str, name: str = "web.yml"):
        (folder / "config.yaml").write_text(CONFIG)
        self.web_config = folder / name
        self.web_config.write_text(web_config)
        self.log = open(folder / f"{name}.log", "w+b")
        self.process = subprocess.Popen(
            [binary, f"--config.file={folder}/config.yaml", f"--web.config.file={self.web_config}",
             "--web.listen-address=127.0.0.1:0"], stderr=self.log)
        self.port = await_("listening", self.listening)

    def logged(self) -> str:
        return pathlib.Path(self.log.name).read_text()

    def listening(self):
        assert self.process.poll() is None, self.logged()
        found = re.search(r"msg=listening.*address=127\.0\.0\.1:(\d+)", self.logged())
        return found and int(found[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        assert self.process.wait(timeout=20) == 0
        self.log.close()


def curl(exporter: Exporter, *options, scheme="https", path="/-/healthy") -> str:
    """The status that curl got and how; "none" where it got none."""
    done = run("curl", "--silent", "--output", "/dev/null", "--max-time", "20", "--noproxy", "*",
               "--write-out", "%{http_code} HTTP/%{http_version}", *options,
               f"{scheme}://localhost:{exporter.port}{path}", "--resolve", f"localhost:{exporter.port}:127.0.0.1")
    return done.stdout if done.returncode == 0 else "none"


def same_verdict_as_promtool(binary: str, pki: Pki):
    """Each fixture is good for both or bad for both, but for those that only the toolkit takes."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        (folder / "config.yaml").write_text(CONFIG)
        for file in pki.folder.glob("*.*"):
            shutil.copy(file, folder)
        for name, ours, theirs in (("good", True, True), ("bad", False, False), ("refused", False, True)):
            for fixture in sorted((FIXTURES / name).iterdir()):
                file = shutil.copy(fixture, folder)
                checked = run(binary, "check-config", f"--config.file={folder}/config.yaml", f"--web.config.file={file}")
                assert checked.returncode == (0 if ours else 64), f"{fixture}: {checked.stdout}{checked.stderr}"
                if LATER.search(fixture.read_text()) or fixture.name in ONLY_WHEN_SERVING:
                    continue
                checked = run("promtool", "check", "web-config", file)
                assert (checked.returncode == 0) == theirs, f"promtool, {fixture}: {checked.stdout}{checked.stderr}"

        # Where no authority is named, those of the system are trusted.
        file = folder / "system.yml"
        file.write_text("tls_server_config: {cert_file: server.pem, key_file: server.key, "
                        "client_auth_type: RequireAndVerifyClientCert}\n")
        for authorities, code in (("ca.pem", 0), ("server.key", 64)):
            checked = run(binary, "check-config", f"--config.file={folder}/config.yaml", f"--web.config.file={file}",
                          env={"SSL_CERT_FILE": str(folder / authorities)})
            assert checked.returncode == code, f"{checked.stdout}{checked.stderr}"


def versions_and_certificates(binary: str, pki: Pki):
    trust = ("--cacert", pki.folder / "ca.pem")
    client = ("--cert", pki.folder / "client.pem", "--key", pki.folder / "client.key")
    stranger = ("--cert", pki.folder / "stranger.pem", "--key", pki.folder / "stranger.key")
    pair = "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n"
    versions = {"1.2": ("--tlsv1.2", "--tls-max", "1.2"), "1.3": ("--tlsv1.3",)}

    with Exporter(binary, pki.folder, pair) as exporter:
        for options in versions.values():
            assert curl(exporter, *trust, *options) == "200 HTTP/2"
            assert curl(exporter, *trust, *options, "--http1.1") == "200 HTTP/1.1"
        old = ("--tlsv1.0", "--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0")
        assert curl(exporter, *trust, *old) == "none"
        assert curl(exporter) == "none", "a certificate that curl does not trust"
        assert curl(exporter, scheme="http") == "400 HTTP/1.1"

    with Exporter(binary, pki.folder, pair + "http_server_config: {http2: false}\n") as exporter:
        assert curl(exporter, *trust) == "200 HTTP/1.1"

    for policy, nobody, unknown in (
        ("RequestClientCert", True, True),
        ("RequireAnyClientCert", False, True),
        ("VerifyClientCertIfGiven", True, False),
        ("RequireAndVerifyClientCert", False, False),
    ):
        config = f"{pair}  client_auth_type: {policy}\n  client_ca_file: ca.pem\n"
        with Exporter(binary, pki.folder, config) as exporter:
            for options in versions.values():
                for shown, let_in in (((), nobody), (stranger, unknown), (client, True)):
                    got = curl(exporter, *trust, *options, *shown)
                    assert got == ("200 HTTP/2" if let_in else "none"), (policy, options, shown, got)


def passwords(binary: str, pki: Pki, users: str):
    trust = ("--cacert", pki.folder / "ca.pem")
    for secured, options in (("tls_server_config: {cert_file: server.pem, key_file: server.key}\n", trust), ("", ())):
        scheme, version = ("https", "HTTP/2") if secured else ("http", "HTTP/1.1")
        with Exporter(binary, pki.folder, secured + users) as exporter:
            for path in ("/-/healthy", "/metrics", "/"):
                for credentials, status in (
                    (("--user", f"alice:{PASSWORD}"), 200),
                    (("--user", "alice:wrong"), 401),
                    (("--user", f"bob:{PASSWORD}"), 401),
                    (("--oauth2-bearer", PASSWORD), 401),
                    ((), 401),
                ):
                    got = curl(exporter, *options, *credentials, scheme=scheme, path=path)
                    assert got == f"{status} {version}", (path, credentials, got)
            assert PASSWORD not in exporter.logged() and "$2y$" not in exporter.logged()


def rotation_under_load(binary: str, pki: Pki):
    trust = ("--cacert", pki.folder / "ca.pem")
    with Exporter(binary, pki.folder, "tls_server_config: {cert_file: server.pem, key_file: server.key}\n") as exporter:
        stop = threading.Event()

        def load() -> list[str]:
            got = []
            while not stop.is_set():
                got.append(curl(exporter, *trust))
            return got

        def shown() -> str:
            hello = run("openssl", "s_client", "-connect", f"127.0.0.1:{exporter.port}", input="")
            return must("openssl", "x509", "-noout", "-fingerprint", "-sha256", input=hello.stdout)

        with concurrent.futures.ThreadPoolExecutor() as pool:
            loads = [pool.submit(load) for _ in range(4)]
            try:
                for _ in range(3):
                    before = shown()
                    pki.issue("server", "DNS:localhost,IP:127.0.0.1")
                    await_("a new certificate", lambda: shown() != before)
                (pki.folder / "server.key").write_text("broken")
                await_("a complaint", lambda: "the previous configuration stays in effect" in exporter.logged())
                assert curl(exporter, *trust) == "200 HTTP/2", "what was in force stays so"
            finally:
                stop.set()
        answers = [answer for load in loads for answer in load.result()]
        assert len(answers) > 20 and set(answers) == {"200 HTTP/2"}, set(answers)
        pki.issue("server", "DNS:localhost,IP:127.0.0.1")


def prometheus_scrapes(binary: str, pki: Pki, users: str):
    config = (
        "tls_server_config: {cert_file: server.pem, key_file: server.key, client_ca_file: ca.pem, "
        f"client_auth_type: RequireAndVerifyClientCert, client_allowed_sans: [prometheus.example]}}\n{users}"
    )
    with Exporter(binary, pki.folder, config) as exporter, Stack() as stack:
        (pki.folder / "password").write_text(PASSWORD)
        (pki.folder / "prometheus.json").write_text(json.dumps({"scrape_configs": [{
            "job_name": "presence",
            "scrape_interval": "1s",
            "scrape_timeout": "1s",
            "scheme": "https",
            "tls_config": {"ca_file": "ca.pem", "cert_file": "client.pem", "key_file": "client.key"},
            "basic_auth": {"username": "alice", "password_file": "password"},
            "static_configs": [{"targets": [f"localhost:{exporter.port}"]}],
        }]}))
        server = stack.prometheus(pki.folder / "prometheus.json", stack.folder / "data")
        await_("a scrape", lambda: query(server, "up == 1"))


def handed_over_socket(binary: str, pki: Pki):
    """As systemd does it: the socket is file descriptor 3, and the environment says so."""
    arguments = [binary, f"--config.file={pki.folder}/config.yaml", "--web.systemd-socket"]
    without = run(*arguments)
    assert without.returncode == 1 and "LISTEN_FDS" in without.stderr, without.stderr

    starter = (
        "import os, sys; os.dup2(int(sys.argv[1]), 3); os.set_inheritable(3, True); "
        "os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid())); os.execv(sys.argv[2], sys.argv[2:])"
    )
    with socket.create_server(("127.0.0.1", 0)) as listener, open(pki.folder / "socket.log", "w") as log:
        port = listener.getsockname()[1]
        process = subprocess.Popen([sys.executable, "-c", starter, str(listener.fileno()), *arguments],
                                   stderr=log, pass_fds=[listener.fileno()])
        try:
            # It was listened at before the exporter began, so that nobody is ever turned away.
            answer = must("curl", "--silent", "--fail", "--max-time", "30", "--noproxy", "*",
                          f"http://127.0.0.1:{port}/-/healthy")
            assert "Healthy" in answer
        finally:
            process.terminate()
            assert process.wait(timeout=20) == 0


def main():
    binary = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        pki = Pki(pathlib.Path(folder))
        same_verdict_as_promtool(binary, pki)
        versions_and_certificates(binary, pki)
        hash_ = must("htpasswd", "-niBC", "10", "alice", input=PASSWORD).strip().partition(":")[2]
        users = f"basic_auth_users:\n  alice: {hash_}\n"
        passwords(binary, pki, users)
        rotation_under_load(binary, pki)
        prometheus_scrapes(binary, pki, users)
        handed_over_socket(binary, pki)


main()
