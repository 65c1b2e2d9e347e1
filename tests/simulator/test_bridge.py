import base64

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Route

from tests.simulator.outside import DANA, SECRET, Outside, Receiver, listening, outside_world, serving, until

HEADERS = {"X-Internal-Secret": SECRET}
STATUS = "/bridge/whatsapp/business_6/status"


async def test_a_sent_text_is_answered_shown_echoed_and_receipted(outside: Outside):
    answer = (await outside.send("שלום")).json()
    message_id = answer["messageId"]
    assert (answer["ok"], answer["status"], message_id[:4]) == (True, "sent", "3EB0")
    await until(lambda: len(outside.receiver.bodies) == 2)
    echo, receipt = outside.receiver.bodies
    message = echo["payload"]["messages"][0]
    assert (echo["tenantId"], echo["event"]) == ("business_6", "messages.upsert")
    assert message["key"] == {"remoteJid": DANA, "fromMe": True, "id": message_id}
    assert message["message"] == {"extendedTextMessage": {"text": "שלום"}}
    key = {"remoteJid": DANA, "id": message_id, "fromMe": True}
    assert receipt == {
        "tenantId": "business_6",
        "event": "messages.update",
        "payload": {"updates": [{"key": key, "update": {"status": 3}}]},
    }
    assert set(outside.receiver.secrets) == {SECRET}
    assert [bubble["text"] for bubble in await outside.shown()] == ["שלום"]


async def test_the_same_idempotency_key_sends_twice_as_bridges_in_the_field_do(outside: Outside):
    ids = {(await outside.send(idempotencyKey="same")).json()["messageId"] for _ in range(2)}
    assert len(ids) == len(await outside.shown()) == 2


async def test_a_picture_is_shown_and_its_data_shortened_in_the_list(outside: Outside):
    data = base64.b64encode(b"\x89PNG" + b"x" * 20_000).decode()
    media = {"data": data, "mimetype": "image/png", "filename": "a.png"}
    answer = await outside.send(type="image", media=media, caption="הדלת")
    assert answer.status_code == 200
    [bubble] = await outside.shown()
    assert (bubble["kind"], bubble["text"]) == ("image", "הדלת")
    assert (await outside.client.get(bubble["url"])).content == base64.b64decode(data)
    [call] = await outside.calls()
    assert len(call["request"]["body"]["media"]["data"]) < 300


async def test_a_wrong_secret_is_refused_and_listed(outside: Outside):
    answer = await outside.client.post("/bridge/send", json={}, headers={"X-Internal-Secret": "wrong"})
    assert answer.status_code == 401
    [call] = await outside.calls()
    assert (call["accepted"], call["answer"]["status"]) == (False, 401)


async def test_a_missing_field_is_named(outside: Outside):
    for missing in ("to", "type", "tenantId", "text"):
        answer = await outside.send(
            **{missing: None} if missing != "text" else {}, text="" if missing == "text" else "x"
        )
        assert (answer.status_code, missing in answer.json()["error"]) == (400, True)
    assert await outside.shown() == []


async def test_echo_and_receipts_are_switched_off_until_a_reset(outside: Outside):
    await outside.behave(echo=False, receipts=False)
    await outside.send("silent")
    await outside.client.post("/sim/reset")
    await outside.send("loud")
    await until(lambda: len(outside.receiver.bodies) == 2)
    echo = outside.receiver.bodies[0]["payload"]["messages"][0]
    assert echo["message"]["extendedTextMessage"]["text"] == "loud"


async def test_a_duplicated_status_is_posted_twice(outside: Outside):
    await outside.behave(duplicate_status=True)
    await outside.send()
    await until(lambda: len(outside.receiver.receipts()) == 2)
    assert outside.receiver.receipts()[0] == outside.receiver.receipts()[1]


async def test_the_webhook_is_tried_again_after_429_and_500(outside: Outside):
    outside.receiver.answers = [500, 429, 503]
    await outside.send()
    await until(lambda: len(outside.receiver.receipts()) == 1)
    assert len(outside.receiver.echoes()) == 4


async def test_the_webhook_is_given_up_after_five_retries(outside: Outside):
    outside.receiver.answers = [500] * 6
    await outside.send()
    await until(lambda: len(outside.receiver.receipts()) == 1)
    assert len(outside.receiver.echoes()) == 6


async def test_a_webhook_that_refuses_is_not_tried_again(outside: Outside):
    outside.receiver.answers = [401]
    await outside.send()
    await until(lambda: len(outside.receiver.receipts()) == 1)
    assert len(outside.receiver.echoes()) == 1


async def test_typing_shows_on_the_phone_and_reads_what_was_delivered(outside: Outside):
    await outside.write(text="hello?")
    body = {"jid": DANA, "typing": True, "tenantId": "business_6"}
    answer = await outside.client.post("/bridge/sendTyping", json=body, headers=HEADERS)
    assert answer.status_code == 200
    assert [bubble["state"] for bubble in await outside.shown()] == ["read"]


async def resolve(outside: Outside, jid: str, **fields: str) -> dict[str, str | None]:
    body = {"jid": jid, "tenantId": "business_6", **fields}
    answer: httpx.Response = await outside.client.post(
        "/bridge/internal/resolve-jid", json=body, headers=HEADERS
    )
    resolved: dict[str, str | None] = answer.json()
    return resolved


async def test_a_hidden_id_resolves_only_where_its_phone_was_seen(outside: Outside):
    await outside.write(**{"from": "972521234567", "lid": "82399031480511", "text": "hi", "name": "Maya"})
    known = await resolve(outside, "82399031480511@lid")
    unknown = await resolve(outside, "87621728518253@lid")
    direct = await resolve(outside, "972501234567:12@s.whatsapp.net")
    assert known == {"phone_e164": "+972521234567", "source": "whatsapp_query", "push_name": "Maya"}
    assert unknown == {"phone_e164": None, "source": "unresolvable", "push_name": None}
    assert (direct["phone_e164"], direct["source"]) == ("+972501234567", "direct")


async def test_the_tenant_of_the_phone_is_connected_and_no_other(outside: Outside):
    own = (await outside.client.get("/bridge/whatsapp/business_6/status", headers=HEADERS)).json()
    other = (await outside.client.get("/bridge/whatsapp/business_9/status", headers=HEADERS)).json()
    assert (own["sessionState"], own["canSend"]) == ("connected", True)
    assert (other["sessionState"], other["canSend"]) == ("not_started", False)
    assert (await outside.client.get("/bridge/health")).json() == {"status": "ok"}


async def test_an_unreachable_webhook_leaves_the_send_answered(receiver: Receiver):
    async with outside_world(receiver, bridge_webhook_url="http://127.0.0.1:9/hook") as outside:
        assert (await outside.send()).status_code == 200
        written = (await outside.write(text="hello?")).json()
        assert written["webhook_status"] is None
        states = {bubble["state"] for bubble in await outside.shown()}
        assert states <= {"received", "retrying", "failed", "read"}


async def test_the_bridge_reports_its_connection_and_sends_nothing_without_it():
    reports, door = Receiver(), listening()
    status_url = f"http://127.0.0.1:{door.getsockname()[1]}/status"
    app = Starlette(routes=[Route("/status", reports.receive, methods=["POST"])])
    listener = uvicorn.Server(uvicorn.Config(app, log_config=None, ws="none", lifespan="off"))
    async with serving(listener, door), outside_world(Receiver(), bridge_status_url=status_url) as outside:
        await until(lambda: len(reports.bodies) == 1)
        for told in ({"state": "disconnected", "reason": "logged_out"}, {"state": "waiting_qr"}):
            answer = await outside.client.post("/sim/bridge/connection", json=told)
            assert answer.json() == {"webhook_status": 200}
        refused, stands = await outside.send(), await outside.client.get(STATUS, headers=HEADERS)
        await outside.client.post("/sim/bridge/connection", json={"state": "connected"})
        sent = await outside.send()

    reported = [(one["tenant_id"], one["status"], one["reason"]) for one in reports.bodies]
    assert reported == [
        ("business_6", "connected", None),
        ("business_6", "disconnected", "logged_out"),
        ("business_6", "waiting_qr", None),
        ("business_6", "connected", None),
    ]
    assert set(reports.secrets) == {SECRET}
    assert (refused.status_code, sent.status_code) == (503, 200)
    assert (stands.json()["sessionState"], stands.json()["hasQR"]) == ("waiting_qr", True)


async def test_a_connection_that_no_bridge_has_is_refused(outside: Outside):
    for told in ({}, {"state": "gone"}, {"state": "connected", "reason": "logged_out"}):
        answer = await outside.client.post("/sim/bridge/connection", json=told)
        assert answer.status_code == 400
