#!/usr/bin/env python3
"""Writes vectors.json: every stage of both signatures, as the vendor's own Python code has it.

    python3 -m venv .venv
    .venv/bin/pip install alibabacloud-tea-openapi==0.4.6 aliyun-python-sdk-core==2.16.1
    .venv/bin/python tests/data/signing/make_vectors.py > tests/data/signing/vectors.json

V3 is signed by alibabacloud-tea-openapi; what it hashes and what it signs is recorded on the way.
V2 is signed by both of the vendor's generations, which have to agree.
"""

import itertools
import json
from types import SimpleNamespace

from aliyunsdkcore.auth.algorithm import sha_hmac1
from aliyunsdkcore.auth.composer import rpc_signature_composer
from alibabacloud_tea_openapi import utils as tea

SECRET = "example-secret/with+odd=characters"
ACCESS_KEY_ID = "example-key-id"
TOKENS = [None, "example+token/with=odd~characters"]
INSTANCE = "post-cn-example"
HOST = "onsmqtt.cn-hangzhou.aliyuncs.com"
VERSION = "2020-04-20"
DATE = "2024-02-29T23:59:59Z"
NONCE = "00ff10a0b1c2d3e4f5a6978812345678"

AWKWARD = [
    "GID_test@@@pump-1",
    "GID_test@@@pump 1",
    "GID_test@@@a+b",
    "GID_test@@@a*b",
    "GID_test@@@a~b",
    "GID_test@@@100%25",
    "GID_test@@@größe/水泵",
    "GID_test@@@🔌&x=y",
    "GID_test@0001",
    "'\"(){}[]<>|\\^`!$,;:?#",
]


def operations():
    for client in AWKWARD:
        yield "QuerySessionByClientId", {"ClientId": client, "InstanceId": INSTANCE}
    for size in (1, len(AWKWARD)):
        batch = {f"ClientIdList.{n}": client for n, client in enumerate(AWKWARD[:size], 1)}
        yield "BatchQuerySessionByClientIds", {**batch, "InstanceId": INSTANCE}


def v3(action, params, token):
    recorded = {}
    sha256, mac = tea.Utils.hash, tea.signature_method

    def record_hash(raw, algorithm):
        recorded["canonical_request"] = raw.decode()
        return sha256(raw, algorithm)

    def record_mac(secret, source, algorithm):
        recorded["string_to_sign"] = source
        return mac(secret, source, algorithm)

    body_hash = sha256(b"", "ACS3-HMAC-SHA256").hex()
    headers = {
        "host": HOST,
        "x-acs-action": action,
        "x-acs-content-sha256": body_hash,
        "x-acs-date": DATE,
        "x-acs-signature-nonce": NONCE,
        "x-acs-version": VERSION,
    }
    if token:
        headers |= {"x-acs-accesskey-id": ACCESS_KEY_ID, "x-acs-security-token": token}
    request = SimpleNamespace(method="POST", pathname="/", query=params, headers=headers)
    tea.Utils.hash, tea.signature_method = record_hash, record_mac
    try:
        authorization = tea.Utils.get_authorization(request, "ACS3-HMAC-SHA256", body_hash, ACCESS_KEY_ID, SECRET)
    finally:
        tea.Utils.hash, tea.signature_method = sha256, mac
    return {
        "query": tea.get_canonical_query_string(params),
        **recorded,
        "signature": authorization.rpartition("=")[2],
        "authorization": authorization,
    }


def v2(action, params, token):
    signed = {
        **params,
        "AccessKeyId": ACCESS_KEY_ID,
        "Action": action,
        "Format": "JSON",
        "SignatureMethod": "HMAC-SHA1",
        "SignatureNonce": NONCE,
        "SignatureVersion": "1.0",
        "Timestamp": DATE,
        "Version": VERSION,
    }
    if token:
        signed["SecurityToken"] = token
    string_to_sign = getattr(rpc_signature_composer, "__compose_string_to_sign")("POST", signed)
    signature = sha_hmac1.get_sign_string(string_to_sign, SECRET + "&")
    assert signature == tea.Utils.get_rpcsignature(signed, "POST", SECRET), "the generations disagree"
    return {
        "query": tea.get_canonical_query_string(signed),
        "string_to_sign": string_to_sign,
        "signature": signature,
    }


def main():
    requests = [
        {
            "action": action,
            "clients": [value for name, value in params.items() if name != "InstanceId"],
            "token": token,
            "v3": v3(action, params, token),
            "v2": v2(action, params, token),
        }
        for (action, params), token in itertools.product(operations(), TOKENS)
    ]
    common = {
        "secret": SECRET,
        "access_key_id": ACCESS_KEY_ID,
        "instance": INSTANCE,
        "host": HOST,
        "date": DATE,
        "nonce": NONCE,
    }
    print(json.dumps({**common, "requests": requests}, ensure_ascii=False, indent=1))


if __name__ == "__main__":
    main()
