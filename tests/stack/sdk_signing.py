"""The vendor's own signing code over requests of ours.

Takes requests as the simulator captured them (`GET /_simulator/requests`), keeps those of the
exporter, computes each signature anew with the code of the vendor's SDKs, and compares. V2
signatures are computed by both generations.

Usage: sdk_signing.py ANNOUNCEMENT CAPTURE V3|V2

ANNOUNCEMENT holds the line of JSON that `simulate` printed, CAPTURE the captured requests; the
last word says which version all of them have to have.
"""

import hashlib
import json
import sys
from types import SimpleNamespace
from urllib.parse import parse_qsl, urlsplit

from aliyunsdkcore.auth.composer import rpc_signature_composer as older
from alibabacloud_tea_openapi.utils import Utils as Present

OURS = "mqtt-presence-exporter/"


def check_v3(request, headers, query, key_id, secret):
    claimed = headers["authorization"]
    _, _, rest = claimed.partition("SignedHeaders=")
    names = rest.partition(",")[0].split(";")
    unsigned = {name for name in headers if name == "host" or name.startswith("x-acs-")} - set(names)
    assert not unsigned, f"not signed: {unsigned}"

    payload = hashlib.sha256(request["body"].encode()).hexdigest()
    assert headers["x-acs-content-sha256"] == payload
    described = SimpleNamespace(
        method=request["method"],
        pathname=urlsplit(request["target"]).path,
        query=query,
        headers={name: headers[name] for name in names},
    )
    computed = Present.get_authorization(described, "ACS3-HMAC-SHA256", payload, key_id, secret)
    assert claimed == computed, f"\n ours: {claimed}\ntheirs: {computed}"


def check_v2(request, headers, query, key_id, secret):
    claimed = query.pop("Signature")
    assert query["AccessKeyId"] == key_id
    signed = query | dict(parse_qsl(request["body"], keep_blank_values=True))
    computed = Present.get_rpcsignature(signed, request["method"], secret)
    assert claimed == computed, f"present SDK: {claimed} is not {computed}"

    # Not exported, and what is would put in a timestamp and a nonce of its own.
    string_to_sign = getattr(older, "__compose_string_to_sign")(request["method"], signed)
    computed = getattr(older, "__get_signature")(string_to_sign, secret)
    assert claimed == computed, f"older SDK: {claimed} is not {computed}"


def main():
    _, announcement, capture, version = sys.argv
    with open(announcement, encoding="utf-8") as file:
        announcement = json.load(file)
    with open(capture, encoding="utf-8") as file:
        requests = json.load(file)
    check = {"V3": check_v3, "V2": check_v2}[version]

    actions = set()
    for request in requests:
        headers = dict(request["headers"])
        if not headers.get("user-agent", "").startswith(OURS):
            continue
        pairs = parse_qsl(urlsplit(request["target"]).query, keep_blank_values=True)
        query = dict(pairs)
        assert len(query) == len(pairs), "no parameter comes twice"
        assert headers["content-length"] == "0" and request["method"] == "POST", "the form of the vendor's SDKs"
        actions.add(headers.get("x-acs-action") or query["Action"])
        check(request, headers, query, announcement["access_key_id"], announcement["access_key_secret"])
    assert actions, "no request of ours was captured"
    print(f"{version}: signed as the vendor's SDKs do: {', '.join(sorted(actions))}")


if __name__ == "__main__":
    main()
