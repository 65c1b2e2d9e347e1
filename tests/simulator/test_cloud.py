import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.simulator.outside import ACCESS_TOKEN, APP_SECRET, Outside, Receiver, until

PHONE = "972501234567"
TEXT: dict[str, Any] = {"type": "text", "text": {"body": "שלום"}}
BEARER = {"Authorization": f"Bearer {ACCESS_TOKEN}"}
NUMBER = "/cloud/v23.0/106540352242922"


@pytest.fixture
async def cloud(outside: Outside) -> Outside:
    assert (await outside.connect_cloud())["verified"] is True
    return outside


async def shown(cloud: Outside) -> list[dict[str, Any]]:
    return await cloud.shown(PHONE)


async def test_a_text_is_accepted_shown_and_reported_with_what_the_caller_gave_along(cloud: Outside):
    answer = (await cloud.send_cloud(**TEXT, biz_opaque_callback_data="reply:1")).json()
    message_id = answer["messages"][0]["id"]
    assert answer["contacts"] == [{"input": PHONE, "wa_id": PHONE}]
    assert (answer["messages"][0]["message_status"], message_id[:6]) == ("accepted", "wamid.")
    assert [(one["id"], one["text"]) for one in await shown(cloud)] == [(message_id, "שלום")]
    await until(lambda: len(cloud.receiver.statuses()) == 2)
    told = [(one["id"], one["status"], one["biz_opaque_callback_data"]) for one in cloud.receiver.statuses()]
    assert told == [(message_id, "sent", "reply:1"), (message_id, "delivered", "reply:1")]


async def test_every_webhook_is_signed_over_its_raw_bytes_with_non_ascii_escaped(cloud: Outside):
    await cloud.client.post("/sim/cloud/templates", json={"name": "new", "body": "שלום", "reason": "אין"})
    [raw], [signature] = cloud.receiver.raw, cloud.receiver.signatures
    digest = hmac.new(APP_SECRET.encode(), raw, hashlib.sha256).hexdigest()
    assert signature == f"sha256={digest}"
    assert raw.isascii()
    assert b"\\u05d0" in raw


@pytest.mark.parametrize("fields", [{"verify_token": "another"}, {"webhook_url": "http://127.0.0.1:9/hook"}])
async def test_a_webhook_that_does_not_give_the_challenge_back_is_not_verified(outside: Outside, fields):
    assert (await outside.connect_cloud(**fields))["verified"] is False


async def test_nobody_sends_before_the_number_is_connected(outside: Outside):
    answer = await outside.send_cloud(**TEXT)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, 190)


async def test_a_wrong_bearer_is_refused_and_listed(cloud: Outside):
    answer = await cloud.send_cloud(token="stolen", **TEXT)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, 190)
    [call] = await cloud.calls(provider="whatsapp_cloud")
    assert call["accepted"] is False


@pytest.mark.parametrize(
    ("message", "status", "code"),
    [
        ({"to": ""}, 400, 100),
        ({"to": "IL.123", **TEXT}, 400, 131009),
        ({"recipient": "972501234567", **TEXT}, 400, 131009),
        ({"type": "fax"}, 400, 100),
        ({"type": "text", "text": {"body": "x" * 4097}}, 400, 100),
        ({"type": "text", "text": {"body": " "}}, 400, 131008),
        ({"messaging_product": "sms", **TEXT}, 400, 100),
        ({"type": "image", "image": {"id": "1"}}, 400, 131009),
        ({"type": "audio", "audio": {"link": "https://a.test/a.ogg", "caption": "x"}}, 400, 100),
        ({"type": "template", "template": {"name": "none", "language": {"code": "he"}}}, 404, 132001),
        ({"type": "template", "template": {"name": "old_offer", "language": {"code": "he"}}}, 400, 132015),
        (
            {"type": "template", "template": {"name": "appt_reminder", "language": {"code": "he"}}},
            400,
            132000,
        ),
        ({"type": "reaction", "reaction": {"message_id": "wamid.none", "emoji": "x"}}, 400, 131009),
        ({"status": "read", "message_id": "wamid.none"}, 400, 131009),
        ({"to": "97230000000", **TEXT}, 400, 131021),
        ({"context": {}, **TEXT}, 400, 131009),
    ],
)
async def test_what_meta_refuses_is_refused_with_its_code(cloud: Outside, message, status, code):
    answer = await cloud.send_cloud(**message)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert await shown(cloud) == []


async def test_another_numbers_address_is_refused(cloud: Outside):
    answer = await cloud.client.post("/cloud/v23.0/1/messages", json={**TEXT}, headers=BEARER)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, 100)


async def test_a_template_is_filled_and_shows_its_buttons(cloud: Outside):
    values = [{"type": "text", "text": "דנה"}, {"type": "text", "text": "10:30"}]
    pressed = [{"type": "payload", "payload": "CONFIRM:apt_91"}]
    button = {"type": "button", "sub_type": "quick_reply", "index": "0", "parameters": pressed}
    components = [{"type": "body", "parameters": values}, button]
    template = {"name": "appt_reminder", "language": {"code": "he"}, "components": components}
    assert (await cloud.send_cloud(type="template", template=template)).status_code == 200
    [bubble] = await shown(cloud)
    assert bubble["text"] == "שלום דנה, מזכירים את התור שלך ב-10:30."
    assert [choice["id"] for choice in bubble["choices"]] == ["CONFIRM:apt_91", "לא יכול"]


async def test_a_file_is_uploaded_sent_by_its_id_and_fetched_with_the_bearer_alone(cloud: Outside):
    form = {"messaging_product": "whatsapp", "type": "image/png"}
    uploaded = await cloud.client.post(
        f"{NUMBER}/media", data=form, files={"file": ("a.png", b"\x89PNG", "image/png")}, headers=BEARER
    )
    media_id = uploaded.json()["id"]
    await cloud.send_cloud(type="image", image={"id": media_id, "caption": "הדלת"})
    [bubble] = await shown(cloud)
    told = (await cloud.client.get(f"/cloud/v23.0/{media_id}", headers=BEARER)).json()
    assert (bubble["kind"], bubble["text"]) == ("image", "הדלת")
    assert (told["mime_type"], told["file_size"], told["id"]) == ("image/png", 4, media_id)
    assert (await cloud.client.get(told["url"])).status_code == 401
    assert (await cloud.client.get(told["url"], headers=BEARER)).content == b"\x89PNG"


async def test_a_files_address_runs_out(outside: Outside):
    await outside.connect_cloud(media_url_lives_s=0)
    stored = outside.world.media.add(b"x", "image/png")
    told = (await outside.client.get(f"/cloud/v23.0/{stored.id}", headers=BEARER)).json()
    assert (await outside.client.get(told["url"], headers=BEARER)).status_code == 404


async def test_free_text_is_refused_outside_the_window_and_a_template_is_not(outside: Outside):
    await outside.connect_cloud(enforce_window=True)
    refused = await outside.send_cloud(**TEXT)
    template = {"name": "hello_world", "language": {"code": "en_US"}}
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, 131047)
    assert (await outside.send_cloud(type="template", template=template)).status_code == 200
    outside.world.cloud.note_customer(PHONE, datetime.now(UTC) - timedelta(hours=23))
    assert (await outside.send_cloud(**TEXT)).status_code == 200


@pytest.mark.parametrize(("code", "status"), [(131056, 400), (190, 401), (130429, 429), (131050, 400)])
async def test_a_behaviour_refuses_with_metas_code(cloud: Outside, code, status):
    await cloud.behave(provider="whatsapp_cloud", error_code=code)
    answer = await cloud.send_cloud(**TEXT)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert (await cloud.send_cloud(**TEXT)).status_code == 200


async def test_a_message_can_be_accepted_and_then_fail(cloud: Outside):
    await cloud.behave(provider="whatsapp_cloud", fail_status_code=131049)
    assert (await cloud.send_cloud(**TEXT)).status_code == 200
    await until(lambda: len(cloud.receiver.statuses()) == 1)
    [told] = cloud.receiver.statuses()
    assert (told["status"], told["errors"][0]["code"]) == ("failed", 131049)
    assert await shown(cloud) == []


async def test_the_statuses_can_come_before_the_answer(cloud: Outside):
    await cloud.behave(provider="whatsapp_cloud", status_first=True, duplicate_status=True)
    await cloud.send_cloud(**TEXT)
    assert [one["status"] for one in cloud.receiver.statuses()] == ["sent", "sent", "delivered", "delivered"]


async def test_a_webhook_is_tried_again_after_anything_but_200(cloud: Outside):
    cloud.receiver.answers = [404, 202, 500]
    await cloud.send_cloud(**TEXT)
    await until(lambda: len(cloud.receiver.statuses()) == 5)
    assert [one["status"] for one in cloud.receiver.statuses()] == ["sent"] * 4 + ["delivered"]


async def test_the_templates_come_a_page_at_a_time(cloud: Outside):
    names: list[str] = []
    url = "/cloud/v23.0/102290129340398/message_templates?limit=3"
    while url:
        page = (await cloud.client.get(url, headers=BEARER)).json()
        names += [template["name"] for template in page["data"]]
        url = page["paging"].get("next")
    assert len(names) == len(cloud.world.cloud.templates) > 6


async def test_a_status_webhook_is_switched_off_until_a_reset(cloud: Outside, receiver: Receiver):
    await cloud.behave(provider="whatsapp_cloud", receipts=False)
    await cloud.send_cloud(**TEXT)
    await cloud.client.post("/sim/reset")
    await cloud.send_cloud(**TEXT)
    await until(lambda: len(receiver.statuses()) == 2)
    assert len({one["id"] for one in receiver.statuses()}) == 1


async def test_an_app_subscribes_to_the_account_and_to_no_other(cloud: Outside):
    mine = await cloud.client.post("/cloud/v23.0/102290129340398/subscribed_apps", headers=BEARER)
    other = await cloud.client.post("/cloud/v23.0/1/subscribed_apps", headers=BEARER)
    assert (mine.json(), other.status_code) == ({"success": True}, 400)
