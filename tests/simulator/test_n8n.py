"""A workflow that begins with a webhook: who starts it, and what it says otherwise."""

from __future__ import annotations

import base64
import hashlib
import hmac

from tests.simulator.outside import Outside

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = '{"type":"whatsapp_incoming","data":{"message":"שלום"}}'.encode()


def signed(secret: str) -> dict[str, str]:
    told = b"msg_1.1614265330." + BODY
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signature = base64.b64encode(hmac.digest(key, told, hashlib.sha256)).decode()
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": "1614265330",
        "webhook-signature": f"v1,{signature}",
    }


async def test_a_workflow_starts_for_its_own_secret_alone(outside: Outside):
    await outside.client.post("/sim/n8n", json={"path": "flow", "secret": SECRET})
    another = SECRET.replace("M", "N", 1)

    for secret, status in ((SECRET, 200), (another, 401)):
        answer = await outside.client.post("/n8n/webhook/flow", content=BODY, headers=signed(secret))
        assert answer.status_code == status
    calls = (await outside.client.get("/sim/calls", params={"provider": "n8n"})).json()
    assert [call["accepted"] for call in calls] == [True, False]
    assert calls[0]["request"]["headers"]["webhook-id"] == "msg_1"


async def test_a_workflow_that_is_not_active_says_so_as_n8n_does(outside: Outside):
    answer = await outside.client.post("/n8n/webhook/nothing", content=BODY)

    assert (answer.status_code, "not registered" in answer.json()["message"]) == (404, True)


async def test_it_fails_and_hangs_up_as_it_is_told(outside: Outside):
    await outside.client.post("/sim/behaviour", json={"provider": "n8n", "status": 500, "times": 1})

    answers = [await outside.client.post("/n8n/webhook/prosaas", content=BODY) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [500, 200]
