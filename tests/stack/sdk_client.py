"""The vendor's SDKs as clients of the simulator.

Both generations, and both signatures of the present one, ask a running `simulate` what they would
ask the vendor: single and batch, with the right secret, a wrong one, and for a foreign instance.
Whatever they make of the answers is what a user of the vendor's own SDK would see.

Usage: sdk_client.py ANNOUNCEMENT    (the file that holds the line of JSON that `simulate` printed)
"""

import json
import logging
import sys
import urllib.parse
import urllib.request

from aliyunsdkcore.acs_exception.exceptions import ServerException
from aliyunsdkcore.client import AcsClient
from aliyunsdkonsmqtt.request.v20200420.BatchQuerySessionByClientIdsRequest import (
    BatchQuerySessionByClientIdsRequest,
)
from aliyunsdkonsmqtt.request.v20200420.QuerySessionByClientIdRequest import QuerySessionByClientIdRequest
from alibabacloud_onsmqtt20200420 import models
from alibabacloud_onsmqtt20200420.client import Client
from alibabacloud_tea_openapi.exceptions import AlibabaCloudException
from alibabacloud_tea_openapi.models import Config

# The older SDK logs every error that it raises.
logging.getLogger("aliyunsdkcore").setLevel(logging.CRITICAL)


class Refused(Exception):
    """An error answer, however an SDK raises it."""

    def __init__(self, status, code, message):
        super().__init__(f"{status} {code}: {message}")
        self.status, self.code = status, code


class Present:
    """The present generation; signs by V3 unless told otherwise."""

    def __init__(self, announcement, secret, signature=None):
        self.client = Client(
            Config(
                access_key_id=announcement["access_key_id"],
                access_key_secret=secret,
                endpoint=urllib.parse.urlsplit(announcement["endpoint"]).netloc,
                protocol="http",
                region_id=announcement["region"],
                signature_algorithm=signature,
            )
        )

    def single(self, instance, client):
        request = models.QuerySessionByClientIdRequest(client_id=client, instance_id=instance)
        return self._send(self.client.query_session_by_client_id, request).online_status

    def batch(self, instance, clients):
        request = models.BatchQuerySessionByClientIdsRequest(client_id_list=clients, instance_id=instance)
        body = self._send(self.client.batch_query_session_by_client_ids, request)
        return {entry.client_id: entry.online_status for entry in body.online_status_list}

    @staticmethod
    def _send(operation, request):
        try:
            body = operation(request).body
        except AlibabaCloudException as error:
            raise Refused(error.status_code, error.code, error.message) from error
        assert body.request_id, "an answer has a request ID"
        return body


class Older:
    """The older generation; signs by V2."""

    def __init__(self, announcement, secret):
        self.endpoint = urllib.parse.urlsplit(announcement["endpoint"]).netloc
        self.client = AcsClient(announcement["access_key_id"], secret, announcement["region"])

    def single(self, instance, client):
        request = QuerySessionByClientIdRequest()
        request.set_ClientId(client)
        return self._send(request, instance)["OnlineStatus"]

    def batch(self, instance, clients):
        request = BatchQuerySessionByClientIdsRequest()
        request.set_ClientIdLists(clients)
        answer = self._send(request, instance)
        return {entry["ClientId"]: entry["OnlineStatus"] for entry in answer["OnlineStatusList"]}

    def _send(self, request, instance):
        request.set_InstanceId(instance)
        request.set_endpoint(self.endpoint)
        request.set_protocol_type("http")
        try:
            answer = json.loads(self.client.do_action_with_exception(request))
        except ServerException as error:
            raise Refused(error.http_status, error.error_code, error.message) from error
        assert answer["RequestId"], "an answer has a request ID"
        return answer


def expect_refusal(status, code, call):
    try:
        answer = call()
    except Refused as refused:
        assert (refused.status, refused.code) == (status, code), refused
    else:
        raise AssertionError(f"expected {code}, got {answer}")


def impose(announcement, client, online):
    """Makes a client online or offline, so that the answer is known beforehand."""
    body = json.dumps({"client_id": client, "online": online}).encode()
    url = announcement["endpoint"] + "/_simulator/clients"
    urllib.request.urlopen(urllib.request.Request(url, data=body, method="PUT")).close()


def check(sdk, wrong, announcement, wrong_secret_code):
    instance, other = announcement["instance_ids"][:2]
    clients = announcement["clients"][instance][:10]
    truth = {client: number % 3 > 0 for number, client in enumerate(clients)}
    for client, online in truth.items():
        impose(announcement, client, online)

    for client, online in truth.items():
        assert sdk.single(instance, client) is online, client
    assert sdk.single(other, clients[1]) is False, "another instance's client is not connected"
    for unusual in ("GID_test@0001", "GID_test@@@pümp*+~%&=/"):
        assert sdk.single(instance, unusual) is False, unusual

    # The cache that batches are answered from knows within two seconds.
    answer = sdk.batch(instance, clients)
    assert set(answer) == set(clients) and all(type(online) is bool for online in answer.values()), answer

    eleven = announcement["clients"][instance][:11]
    expect_refusal(400, "ParameterCheckFailed", lambda: sdk.batch(instance, eleven))
    expect_refusal(400, "InstancePermissionCheckFailed", lambda: sdk.single("post-cn-foreign", clients[0]))
    expect_refusal(400, "InstancePermissionCheckFailed", lambda: sdk.batch("post-cn-foreign", clients))
    expect_refusal(400, wrong_secret_code, lambda: wrong.single(instance, clients[0]))
    expect_refusal(400, wrong_secret_code, lambda: wrong.batch(instance, clients))


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        announcement = json.load(file)
    secret = announcement["access_key_secret"]
    for name, make, wrong_secret_code in [
        ("present SDK, V3", Present, "SignatureDoesNotMatch"),
        ("present SDK, V2", lambda *args: Present(*args, signature="v2"), "SignatureDoesNotMatch"),
        # This SDK compares the server's string to sign with its own, and blames the secret if they
        # are the same: so they are.
        ("older SDK, V2", Older, "InvalidAccessKeySecret"),
    ]:
        check(make(announcement, secret), make(announcement, "wrong"), announcement, wrong_secret_code)
        print(f"{name}: as with the vendor")


if __name__ == "__main__":
    main()
