"""The vendor's credentials package and the exporter, side by side.

For each case there is a home directory with files and an environment. The vendor's default chain
looks for credentials in it, its requests led to the simulator's services, and so does the exporter,
whose calls the simulator captures. Both have to come to the same access key; where the key is
issued anew each time, to one of the same role, asked for with the same parameters.

Usage: credentials.py BINARY
       credentials.py --resolve ENDPOINT      (the vendor's side, in the environment of a case)
"""

import json
import os
import pathlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qsl, urlsplit

from stack import Stack, await_, request as fetch

OURS = "mqtt-presence-exporter/"
ROLE = ("RoleArn", "RoleSessionName", "DurationSeconds", "Policy", "ExternalId", "OIDCProviderArn", "OIDCToken")


def resolve(endpoint):
    """What the vendor's default chain finds, on standard output."""
    from alibabacloud_credentials.client import Client
    from Tea.core import TeaCore

    do_action = TeaCore.do_action

    def led_to_the_simulator(request, runtime=None):
        request.protocol = "http"
        request.port = None
        request.headers["host"] = urlsplit(endpoint).netloc
        return do_action(request, runtime)

    TeaCore.do_action = staticmethod(led_to_the_simulator)
    found = Client().get_credential()
    print(json.dumps([found.access_key_id, found.access_key_secret, found.security_token or None]), flush=True)
    # The package leaves a thread behind that refreshes.
    os._exit(0)


def cases(key_id, secret, identity):
    """By name: files below the home directory, environment variables."""
    reader, hop = identity["role_arns"]
    provider = identity["oidc_provider_arn"]
    key = {"access_key_id": key_id, "access_key_secret": secret}
    profiles = [
        {"name": "key", "mode": "AK", **key, "region_id": "cn-hangzhou", "output_format": "json"},
        {"name": "sts", "mode": "StsToken", **key, "sts_token": "a-token"},
        {"name": "role", "mode": "RamRoleArn", **key, "ram_role_arn": reader, "ram_session_name": "cli-role",
         "expired_seconds": 1800, "policy": '{"Version": "1"}', "external_id": "an id", "sts_region": "cn-hangzhou"},
        {"name": "hop", "mode": "RamRoleArn", **key, "ram_role_arn": hop, "ram_session_name": "cli-hop"},
        {"name": "hops", "mode": "ChainableRamRoleArn", "source_profile": "hop", "ram_role_arn": reader,
         "ram_session_name": "cli-hops", "enable_vpc": True},
        {"name": "instance", "mode": "EcsRamRole", "ram_role_name": "presence-reader"},
        {"name": "cluster", "mode": "OIDC", "ram_role_arn": reader, "oidc_provider_arn": provider,
         "oidc_token_file": "$HOME/token", "role_session_name": "cli-cluster"},
    ]
    cli = {".aliyun/config.json": json.dumps({"current": "key", "profiles": profiles}, indent=4)}
    ini_text = f"""
; profiles of the SDKs
[default]
enable = true
type = access_key             # a comment
access_key_id = {key_id}
access_key_secret: {secret}

[other]
TYPE = access_key
Access_Key_Id = other-id
access_key_secret = other=secret

[role]
type = ram_role_arn
access_key_id = {key_id}
access_key_secret = {secret}
role_arn = {reader}
role_session_name = ini-role

[cluster]
type = oidc_role_arn
role_arn = {reader}
oidc_provider_arn = {provider}
oidc_token_file_path = $HOME/token
role_session_name = ini-cluster

[instance]
type = ecs_ram_role
role_name = presence-reader
"""
    ini = {".alibabacloud/credentials.ini": ini_text}
    token = {"token": identity["oidc_token"]}
    env_key = {"ALIBABA_CLOUD_ACCESS_KEY_ID": "env-id", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "env-secret"}
    oidc = {
        "ALIBABA_CLOUD_ROLE_ARN": reader,
        "ALIBABA_CLOUD_OIDC_PROVIDER_ARN": provider,
        "ALIBABA_CLOUD_OIDC_TOKEN_FILE": "$HOME/token",
        "ALIBABA_CLOUD_ROLE_SESSION_NAME": "env-cluster",
    }
    uri = {"ALIBABA_CLOUD_CREDENTIALS_URI": identity["credentials_uri"], "ALIBABA_CLOUD_ECS_METADATA_DISABLED": "true"}

    def profile(name, **more):
        return {"ALIBABA_CLOUD_PROFILE": name, **more}

    no_cli = {"ALIBABA_CLOUD_CLI_PROFILE_DISABLED": "true"}
    return {
        "environment": ({}, env_key),
        "environment with a token": ({}, env_key | {"ALIBABA_CLOUD_SECURITY_TOKEN": "env-token"}),
        "environment before everything": (cli | ini | token, env_key | oidc | uri),
        "cluster": (token, oidc),
        "cluster before files": (cli | ini | token, oidc),
        "the CLI's current profile": (cli | ini, {}),
        "the CLI's StsToken": (cli, profile("sts")),
        "the CLI's RamRoleArn": (cli, profile("role")),
        "the CLI's ChainableRamRoleArn": (cli, profile("hops")),
        "the CLI's EcsRamRole": (cli, profile("instance")),
        "the CLI's OIDC": (cli | token, profile("cluster")),
        "the SDKs' default": (ini, {}),
        "the SDKs' file where the CLI's is disabled": (cli | ini, no_cli),
        "the SDKs' other profile": (ini, profile("other")),
        "the SDKs' ram_role_arn": (ini, profile("role")),
        "the SDKs' oidc_role_arn": (ini | token, profile("cluster")),
        "the SDKs' ecs_ram_role": (ini, profile("instance")),
        "the SDKs' file elsewhere": ({"elsewhere": ini_text}, {"ALIBABA_CLOUD_CREDENTIALS_FILE": "$HOME/elsewhere"}),
        "the instance's role": ({}, {}),
        "the instance's role by name": ({}, {"ALIBABA_CLOUD_ECS_METADATA": "presence-reader"}),
        "credentials URI": ({}, uri),
    }


def parameters(request):
    """The parameters of a request, wherever they travel."""
    return dict(parse_qsl(urlsplit(request["target"]).query)) | dict(parse_qsl(request["body"]))


class Captured:
    """Every request that the simulator saw; it keeps only the last hundred itself."""

    def __init__(self, endpoint):
        self.endpoint, self.seen = endpoint, {}

    def look(self):
        for request in json.loads(fetch(self.endpoint + "/_simulator/requests")):
            self.seen[json.dumps(request, sort_keys=True)] = request
        return self.seen.values()


def run(binary, home, variables, endpoint, instance, client):
    """Both sides of one case: what the vendor's package found, and the exporter, which runs."""
    environment = {name: value.replace("$HOME", str(home)) for name, value in variables.items()}
    environment |= {"HOME": str(home), "NO_PROXY": "127.0.0.1", "PATH": os.environ["PATH"]}
    command = [sys.executable, __file__, "--resolve", endpoint]
    found = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    assert found.returncode == 0 and found.stdout, f"the vendor's package: {found.stderr}"
    places = {"sts_endpoint": endpoint, "metadata_endpoint": endpoint}
    config = {
        "credentials": {
            "type": "chain",
            # The vendor's order.
            "providers": [
                {"type": "env"},
                {"type": "oidc", "sts_endpoint": endpoint},
                {"type": "profile", **places},
                {"type": "ecs_ram_role", "metadata_endpoint": endpoint},
                {"type": "uri"},
            ],
        },
        "instances": [{"id": instance, "endpoint": endpoint, "clients": [client]}],
    }
    (home / "exporter.yaml").write_text(json.dumps(config), encoding="utf-8")
    arguments = [f"--config.file={home / 'exporter.yaml'}", "--web.listen-address=127.0.0.1:0"]
    return json.loads(found.stdout), subprocess.Popen([binary, *arguments], env=environment, stderr=subprocess.DEVNULL)


def call_about(client, captured):
    """The exporter's call about `client`."""
    calls = (lambda request: parameters(request).get("ClientId") == client)
    return await_(f"the call about {client}", lambda: next(filter(calls, captured.look()), None))


def assumed(session, captured, by_us):
    """The parameters with which a role was asked for in this session."""
    for request in captured.look():
        given = parameters(request)
        agent = dict(request["headers"]).get("user-agent", "")
        if given.get("RoleSessionName") == session and agent.startswith(OURS) == by_us:
            return {name: given[name] for name in ROLE if name in given}
    raise AssertionError(f"no role was requested in the session {session}")


def compare(name, theirs, call, sessions, captured):
    from sdk_signing import check_v3

    headers = dict(call["headers"])
    key_id, secret, token = theirs
    ours = headers["authorization"].partition("Credential=")[2].partition(",")[0]
    if key_id.startswith("STS."):
        # Each time another one, but of the same role.
        assert ours.rpartition(".")[0] == key_id.rpartition(".")[0], f"{name}: {ours} is not {key_id}"
        assert headers.get("x-acs-security-token"), f"{name}: a temporary key without a token"
    else:
        assert (ours, headers.get("x-acs-security-token")) == (key_id, token), f"{name}: {ours} is not {key_id}"
        check_v3(call, headers, dict(parse_qsl(urlsplit(call["target"]).query)), key_id, secret)
    for session in sessions:
        theirs, ours = assumed(session, captured, by_us=False), assumed(session, captured, by_us=True)
        assert theirs == ours, f"{name}: {ours} is not {theirs}"


def main(binary):
    with Stack() as stack:
        announced = stack.simulate(binary, "--no-quotas")
        endpoint, instance = announced["endpoint"], announced["instance_ids"][0]
        identity = json.loads(fetch(endpoint + "/_simulator/identity"))
        captured = Captured(endpoint)
        everything = cases(announced["access_key_id"], announced["access_key_secret"], identity)

        def one(number, name):
            files, variables = everything[name]
            home = stack.folder / str(number)
            home.mkdir()
            for path, text in files.items():
                (home / path).parent.mkdir(parents=True, exist_ok=True)
                (home / path).write_text(text.replace("$HOME", str(home)), encoding="utf-8")
            client = f"GID_case@@@{number}"
            theirs, exporter = run(binary, home, variables, endpoint, instance, client)
            try:
                return name, theirs, call_about(client, captured)
            finally:
                exporter.kill()
                exporter.wait()

        # Two at a time: both sides are processes.
        with ThreadPoolExecutor(2) as pool:
            outcomes = list(pool.map(one, range(len(everything)), everything))
        sessions = {
            "cluster": ["env-cluster"],
            "the CLI's RamRoleArn": ["cli-role"],
            "the CLI's ChainableRamRoleArn": ["cli-hop", "cli-hops"],
            "the CLI's OIDC": ["cli-cluster"],
            "the SDKs' ram_role_arn": ["ini-role"],
            "the SDKs' oidc_role_arn": ["ini-cluster"],
        }
        for name, theirs, call in outcomes:
            compare(name, theirs, call, sessions.get(name, []), captured)
        print(f"the vendor's package and the exporter agree in {len(outcomes)} cases: {', '.join(everything)}")


if __name__ == "__main__":
    if sys.argv[1] == "--resolve":
        resolve(sys.argv[2])
    else:
        main(sys.argv[1])
