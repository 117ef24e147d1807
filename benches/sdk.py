"""What a call costs the vendor's SDK, in CPU time.

Usage: sdk.py ADDRESS    (a server that answers everything as the API answers a single call)

Prints microseconds.
"""

import sys
import time

from alibabacloud_onsmqtt20200420 import models
from alibabacloud_onsmqtt20200420.client import Client
from alibabacloud_tea_openapi.models import Config

CALLS = 500

client = Client(
    Config(
        access_key_id="LTAIbench",
        access_key_secret="none",
        endpoint=sys.argv[1],
        protocol="http",
        region_id="cn-hangzhou",
    )
)
request = models.QuerySessionByClientIdRequest(
    client_id="GID_pumps@@@pump-00000", instance_id="post-cn-0pp12gl4x0b"
)
start = 0.0
for n in range(-CALLS // 10, CALLS):
    if n == 0:
        start = time.process_time()
    assert client.query_session_by_client_id(request).body.online_status
print((time.process_time() - start) / CALLS * 1e6)
