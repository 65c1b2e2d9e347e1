"""The phone of a customer of the Cloud number: what Meta posts for everything they do."""

from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from tests.simulator.outside import ACCESS_TOKEN, Outside, until

FIXTURES = Path(__file__).parents[1] / "fixtures" / "whatsapp" / "cloud"
DANA = "972501234567"
PRESSED = {"id": "svc_3", "title": "פריצת דלת"}


@pytest.fixture
async def cloud(outside: Outside) -> Outside:
    await outside.connect_cloud()
    return outside


async def write(cloud: Outside, **fields: Any) -> httpx.Response:
    return await cloud.write(channel="cloud", **fields)


def message(cloud: Outside) -> dict[str, Any]:
    [value] = cloud.receiver.changes()
    [told] = value["messages"]
    assert isinstance(told, dict)
    return told


def names(value: Any) -> Any:
    """Keep an object's names and no value: what a recorded sample and a simulated one have in common."""
    if isinstance(value, dict):
        return {name: names(part) for name, part in value.items()}
    return [names(part) for part in value] if isinstance(value, list) else None


@pytest.mark.parametrize(
    ("sample", "order"),
    [
        ("text", {"text": "שלום"}),
        ("interactive_list_answer", {"kind": "choice", "choice": {"how": "list", **PRESSED}}),
        ("template_button_answer", {"kind": "choice", "choice": {"how": "template", **PRESSED}}),
        ("reaction_removed", {"kind": "reaction", "target": "wamid.OURS1"}),
    ],
)
async def test_a_deed_has_the_shape_of_the_recorded_sample(cloud: Outside, sample, order):
    await write(cloud, **order)
    recorded = orjson.loads((FIXTURES / f"{sample}.json").read_bytes())
    assert names(cloud.receiver.bodies[0]) == names(recorded)
    assert cloud.receiver.bodies[0]["entry"][0]["id"] == "102290129340398"


async def test_a_person_with_a_username_alone_has_no_phone_anywhere(cloud: Outside):
    maya = {"from": None, "username": "maya.l", "name": "Maya", "user_id": "IL.88120011223344"}
    await write(cloud, **maya, kind="voice", quotes="wamid.OURS1")
    [value] = cloud.receiver.changes()
    assert value["contacts"] == [
        {"profile": {"name": "Maya", "username": "maya.l"}, "user_id": "IL.88120011223344"}
    ]
    told = value["messages"][0]
    assert (told["from_user_id"], "from" in told, told["audio"]["voice"]) == (
        "IL.88120011223344",
        False,
        True,
    )
    assert told["context"] == {"from": "97230000000", "id": "wamid.OURS1"}
    answer = await cloud.send_cloud(to=None, recipient="IL.88120011223344", type="text", text={"body": "hi"})
    assert answer.json()["contacts"] == [{"input": "IL.88120011223344", "user_id": "IL.88120011223344"}]
    assert [bubble["kind"] for bubble in await cloud.shown("IL.88120011223344")] == ["voice", "text"]


async def test_an_answer_to_a_business_scoped_id_appears_in_the_chat_of_its_phone(cloud: Outside):
    await write(cloud, text="hi")
    await cloud.send_cloud(to=None, recipient=message(cloud)["from_user_id"], type="text", text={"body": "x"})
    assert [bubble["text"] for bubble in await cloud.shown(DANA)] == ["hi", "x"]


async def test_a_customers_file_is_fetched_by_its_id(cloud: Outside):
    await write(cloud, kind="document", text="ההצעה")
    told, bearer = message(cloud)["document"], {"Authorization": f"Bearer {ACCESS_TOKEN}"}
    node = (await cloud.client.get(f"/cloud/v23.0/{told['id']}", headers=bearer)).json()
    content = (await cloud.client.get(node["url"], headers=bearer)).content
    assert (told["filename"], told["caption"], told["sha256"]) == ("quote.pdf", "ההצעה", node["sha256"])
    assert content.startswith(b"%PDF-1.4")


@pytest.mark.parametrize(
    ("order", "kind"),
    [
        ({"kind": "image", "view_once": True}, "unsupported"),
        ({"kind": "edit", "target": "wamid.A", "text": "x"}, "edit"),
        ({"kind": "delete", "target": "wamid.A"}, "revoke"),
        ({"kind": "order"}, "order"),
        ({"kind": "welcome"}, "request_welcome"),
        ({"kind": "number_change", "details": {"wa_id": "972509999999"}}, "system"),
        ({"kind": "contact"}, "contacts"),
        ({"kind": "sticker"}, "sticker"),
        ({"text": "from an ad", "referral": True}, "text"),
    ],
)
async def test_meta_has_kinds_of_its_own(cloud: Outside, order, kind):
    assert (await write(cloud, **order)).json()["webhook_status"] == 200
    told = message(cloud)
    assert told["type"] == kind
    assert ("referral" in told) is bool(order.get("referral"))


async def test_history_comes_as_a_field_of_its_own(cloud: Outside):
    await write(cloud, text="old", history=True)
    [value] = cloud.receiver.changes("history")
    [thread] = value["history"][0]["threads"]
    assert (thread["id"], thread["messages"][0]["text"]["body"]) == (DANA, "old")


async def test_the_owners_own_message_is_an_echo(cloud: Outside):
    body = {"channel": "cloud", "from": DANA, "text": "מטפל בזה"}
    answer = await cloud.client.post("/sim/phone/owner", json=body)
    [value] = cloud.receiver.changes("smb_message_echoes")
    [echo] = value["message_echoes"]
    assert (echo["from"], echo["to"], echo["id"]) == ("97230000000", DANA, answer.json()["ids"][0])
    assert [bubble["direction"] for bubble in await cloud.shown(DANA)] == ["received"]


async def test_stop_in_whatsapps_settings_is_a_preference(cloud: Outside):
    body = {"channel": "cloud", "from": DANA, "value": "stop"}
    assert (await cloud.client.post("/sim/phone/preference", json=body)).json() == {"webhook_status": 200}
    [told] = cloud.receiver.changes("user_preferences")[0]["user_preferences"]
    assert (told["category"], told["value"], told["wa_id"]) == ("marketing_messages", "stop", DANA)


async def test_reading_the_customers_message_turns_its_ticks_blue_and_shows_typing(cloud: Outside):
    message_id = (await write(cloud, text="hi")).json()["ids"][0]
    told = {"status": "read", "message_id": message_id, "typing_indicator": {"type": "text"}}
    assert (await cloud.send_cloud(**told)).json() == {"success": True}
    assert [bubble["state"] for bubble in await cloud.shown(DANA)] == ["read"]


async def test_looking_at_the_phone_reports_read_with_what_the_sender_gave_along(cloud: Outside):
    await cloud.send_cloud(type="text", text={"body": "hi"}, biz_opaque_callback_data="reply:1")
    await until(lambda: len(cloud.receiver.statuses()) == 2)
    await cloud.client.post("/sim/phone/look", json={"channel": "cloud", "from": DANA})
    await until(lambda: len(cloud.receiver.statuses()) == 3)
    last = cloud.receiver.statuses()[-1]
    assert (last["status"], last["biz_opaque_callback_data"]) == ("read", "reply:1")


async def test_reactions_edits_and_deletions_show_on_the_bubble(cloud: Outside):
    first, second = [(await write(cloud, text=text)).json()["ids"][0] for text in ("one", "two")]
    await cloud.send_cloud(type="reaction", reaction={"message_id": first, "emoji": "👍"})
    await write(cloud, kind="edit", target=first, text="one!")
    await write(cloud, kind="delete", target=second)
    one, two = await cloud.shown(DANA)
    assert (one["text"], one["edited"], one["reactions"]) == ("one!", True, {"received": "👍"})
    assert two["deleted"] is True


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        ({"from": None}, "Say who writes"),
        ({"user_id": "maya"}, "user_id must be"),
        ({"kind": "reaction"}, "needs target"),
        ({"kind": "choice"}, "needs choice"),
        ({"text": "x", "place": "group"}, "has no group"),
        ({"text": "x", "ephemeral": True}, "bridge's alone"),
        ({"kind": "number_change"}, "details.wa_id"),
    ],
)
async def test_what_a_cloud_customer_cannot_do_gets_a_sentence(cloud: Outside, order, reason):
    answer = await write(cloud, **order)
    assert answer.status_code == 400
    assert reason in answer.json()["error"]
    assert cloud.receiver.bodies == []


async def test_a_number_that_nobody_connected_says_so(outside: Outside):
    answer = await write(outside, text="hi")
    assert (answer.status_code, "POST /sim/cloud" in answer.json()["error"]) == (400, True)


async def test_a_large_file_is_made_of_zeros_and_can_be_gone(cloud: Outside):
    media = {"size_bytes": 3_000_000, "mimetype": "application/zip", "file_name": "plans.zip"}
    await write(cloud, kind="document", media=media)
    media_id, bearer = message(cloud)["document"]["id"], {"Authorization": f"Bearer {ACCESS_TOKEN}"}
    node = (await cloud.client.get(f"/cloud/v23.0/{media_id}", headers=bearer)).json()
    assert (
        node["file_size"] == len((await cloud.client.get(node["url"], headers=bearer)).content) == 3_000_000
    )
    assert (await cloud.client.delete(f"/sim/media/{media_id}")).json() == {"forgotten": True}
    gone = await cloud.client.get(f"/cloud/v23.0/{media_id}", headers=bearer)
    assert (gone.status_code, gone.json()["error"]["code"]) == (400, 100)
    assert (await cloud.client.get(node["url"], headers=bearer)).status_code == 404


async def test_any_other_field_of_the_account_can_be_told(cloud: Outside):
    told = {"field": "account_update", "value": {"event": "VERIFIED_ACCOUNT"}}
    assert (await cloud.client.post("/sim/cloud/change", json=told)).json() == {"webhook_status": 200}
    assert cloud.receiver.changes("account_update") == [{"event": "VERIFIED_ACCOUNT"}]
