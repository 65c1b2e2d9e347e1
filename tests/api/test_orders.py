"""Files and templates that programs have sent: what is understood, and which field is wrong where one is."""

from __future__ import annotations

import orjson
import pytest

from server.domains import accounts, contacts, messaging
from tests.api.test_sending import PHONE, bridge, house
from tests.domains.messaging.conftest import CIPHER
from tests.domains.messaging.test_files import PNG
from tests.engine import BUSINESS

__all__ = ["bridge", "house"]

PARTS = [
    {
        "type": "header",
        "parameters": [{"type": "image", "image": {"link": "https://shop.test/a%20door.png"}}],
    },
    {"type": "body", "parameters": [{"type": "text", "text": "דנה"}]},
    {"type": "button", "sub_type": "url", "index": "0", "parameters": [{"type": "text", "text": "812"}]},
    {
        "type": "button",
        "sub_type": "quick_reply",
        "index": 1,
        "parameters": [{"type": "payload", "payload": "CONFIRM:7"}],
    },
]
DOORS = {"name": "doors", "language": {"code": "he"}, "components": PARTS}


@pytest.mark.parametrize(
    "media",
    [
        {"media": {"url": "https://shop.test/a%20door.png"}},
        {"media_url": "https://shop.test/a%20door.png"},
        {"mediaUrl": "https://shop.test/a%20door.png"},
    ],
)
async def test_a_file_by_its_address_is_asked_for_before_its_message_is_sent(house, media):
    answer = await house.send({"to": PHONE, "text": "הדלת"} | media)

    assert answer.status_code == 202
    assert (
        await house.look("SELECT details -> 'link' ->> 'url' FROM message")
        == "https://shop.test/a%20door.png"
    )
    assert await house.look("SELECT file_name || ' ' || state FROM media_file") == "a door.png waiting"
    assert await house.look("SELECT string_agg(kind, ' ') FROM job WHERE state = 'ready'") == "link_fetch_job"


async def upload(house, content, *, name="%D7%93%D7%9C%D7%AA.png", key=None):
    headers = {"authorization": f"Bearer {key or house.key}", "content-type": "image/png"}
    return await house.http.post(f"/api/whatsapp/media?file_name={name}", content=content, headers=headers)


async def test_a_file_that_was_uploaded_goes_with_one_message(house):
    kept = await upload(house, PNG)
    body = {"to": PHONE, "media": {"id": kept.json()["media_id"]}, "text": "הדלת"}
    sent, again = await house.send(body, once="1"), await house.send(body, once="2")

    assert (kept.status_code, kept.json()["kind"], kept.json()["size_bytes"]) == (201, "image", len(PNG))
    assert (sent.status_code, again.status_code, again.json()["error_code"]) == (202, 400, "media_missing")
    assert await house.look("SELECT file_name FROM media_file WHERE message_id IS NOT NULL") == "דלת.png"
    assert await house.look("SELECT kind FROM message") == "image"


async def test_a_file_of_another_business_is_not_there(house):
    kept = (await upload(house, PNG)).json()["media_id"]
    async with house.engine.api.transaction(9) as session:
        _, noas = await accounts.create_api_key(session, 9, "Noa's")
        await messaging.connect_bridge(
            session, 9, base_url="http://bridge.test", secret="another", tenant="business_9", cipher=CIPHER
        )

    answer = await house.send({"to": PHONE, "media": {"id": kept}}, key=noas)

    assert (answer.status_code, answer.json()["error_code"]) == (400, "media_missing")


@pytest.mark.parametrize(
    ("content", "status", "code"), [(b"", 400, "empty"), (b"x" * 10_001, 413, "too_large")]
)
async def test_a_file_that_cannot_be_kept_is_refused(house, content, status, code):
    answer = await upload(house, content)

    assert (answer.status_code, answer.json()["error_code"]) == (status, code)


async def test_a_file_needs_a_key_as_everything_does(house):
    assert (await upload(house, PNG, key="psk_guess")).status_code == 401


async def test_the_same_key_with_another_file_is_refused(house):
    body = {"to": PHONE, "media": {"url": "https://shop.test/1.png"}}
    await house.send(body, once="order 9")
    again = await house.send(body, once="order 9")
    other = await house.send({"to": PHONE, "media": {"url": "https://shop.test/2.png"}}, once="order 9")

    assert (again.status_code, again.headers["idempotency-replayed"]) == (202, "true")
    assert (other.status_code, other.json()["error_code"]) == (422, "key_reused")
    assert await house.look("SELECT count(*) FROM media_file") == 1


async def test_a_template_is_understood_as_meta_writes_it(house):
    answer = await house.send({"to": PHONE, "template": DOORS, "text": "הדלת של דנה"})

    assert answer.status_code == 202
    told = orjson.loads(await house.look("SELECT details -> 'template' FROM message"))
    assert (told["file_kind"], told["body"]) == ("image", ["דנה"])
    assert told["buttons"] == [
        {"index": 0, "kind": "url", "value": "812"},
        {"index": 1, "kind": "quick_reply", "value": "CONFIRM:7"},
    ]
    assert await house.look("SELECT kind || ' ' || file_name FROM media_file") == "image a door.png"


async def test_a_template_that_we_know_is_held_against_what_was_approved(house):
    await house.send({"to": PHONE, "text": "hello"})
    await house.engine.look.execute(
        "INSERT INTO message_template (business_id, channel_id, name, language, category, status, body,"
        " variables, header, buttons)"
        " SELECT business_id, id, 'doors', 'he', 'MARKETING', 'APPROVED', 'שלום {{1}}', 1,"
        ' \'{"format": "image", "text": ""}\', $1 FROM channel',
        orjson.dumps(
            [
                {"type": "url", "text": "Track", "url": "https://shop.test/{{1}}"},
                {"type": "quick_reply", "text": "Yes", "url": ""},
            ]
        ).decode(),
    )
    lacking = [DOORS | {"components": [*PARTS[:place], *PARTS[place + 1 :]]} for place in range(3)]
    wrong = [await house.send({"to": PHONE, "template": one}) for one in lacking]
    right = await house.send({"to": PHONE, "template": DOORS})
    async with house.engine.worker.transaction(BUSINESS) as session:
        contact_id = await house.look("SELECT contact_id FROM conversation")
        await contacts.note_consent(
            session, contact_id, value=contacts.WITHDRAWN, wording="STOP", source="member", key="stop"
        )
    unwanted = await house.send({"to": PHONE, "template": DOORS})

    assert [one.json()["error_code"] for one in wrong] == ["template_invalid"] * 3
    assert ["image" in wrong[0].json()["message"], "1 values" in wrong[1].json()["message"]] == [True, True]
    assert "Button 0" in wrong[2].json()["message"]
    assert right.status_code == 202
    assert await house.look("SELECT text FROM message WHERE kind = 'template'") == "שלום דנה"
    assert (unwanted.status_code, unwanted.json()["error_code"]) == (422, "opted_out")


def components(*parts):
    return {"to": PHONE, "template": {"name": "x", "language": "he", "components": list(parts)}}


def part(kind, *parameters, **more):
    return {"type": kind, "parameters": list(parameters)} | more


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({"to": PHONE, "media": "https://a.test"}, "bad_field", "media"),
        ({"to": PHONE, "media": {}}, "bad_field", "media"),
        ({"to": PHONE, "media": {"url": "https://a.test", "id": "x"}}, "bad_field", "media.id"),
        ({"to": PHONE, "media": {"url": "https://a.test", "type": "image"}}, "unknown_field", "media.type"),
        ({"to": PHONE, "media": {"url": "https://a.test", "kind": "song"}}, "bad_field", "media.kind"),
        ({"to": PHONE, "media": {"url": "https://a.test"}, "media_url": "x"}, "bad_field", "media"),
        *(
            ({"to": PHONE, "media_url": url}, "bad_url", "media.url")
            for url in (
                "ftp://a.test/x",
                "/x",
                "https://",
                "https://u:p@a.test/x",
                "http://[",
                "https://a b/",
            )
        ),
        ({"to": PHONE, "media_url": "https://a.test/" + "x" * 2000}, "bad_url", "2000"),
        ({"to": PHONE, "media_url": "https://a.test/x", "text": "y" * 1025}, "caption_invalid", "1024"),
        (
            {"to": PHONE, "media": {"url": "https://a.test", "kind": "audio"}, "text": "y"},
            "caption_invalid",
            "sound",
        ),
        ({"to": PHONE, "template": {"name": "x", "language": "he"}}, "template_impossible", "bridge"),
        (
            {"to": PHONE, "template": {"name": "x", "language": "he", "vars": []}},
            "unknown_field",
            "template.vars",
        ),
        (components(7), "bad_field", "template.components[0]"),
        (components(part("footer")), "bad_field", "template.components[0].type"),
        (components(part("body", {"type": "currency"})), "bad_field", "template.components[0]"),
        (components(part("body", {"type": "text", "text": "a\nb"})), "template_invalid", "line break"),
        (components(part("header", {"type": "location"})), "bad_field", "template.components[0]"),
        (
            components(part("header", {"type": "image", "image": {"link": "x"}})),
            "bad_url",
            "template.components",
        ),
        (components(part("button", sub_type="flow", index=0)), "bad_field", "sub_type"),
        (components(part("button", sub_type="url", index=12)), "bad_field", "index"),
        (components(part("button", sub_type="url", index=0)), "bad_field", "text"),
        (
            components(
                part("button", {"type": "coupon_code", "coupon_code": "a b"}, sub_type="copy_code", index=0)
            ),
            "template_invalid",
            "code",
        ),
    ],
)
async def test_a_field_that_is_wrong_is_named(house, body, code, field):
    answer = await house.send(body)

    assert (answer.status_code, answer.json()["error_code"]) == (400, code)
    assert field in answer.json()["message"]
    assert await house.look("SELECT count(*) FROM message") == 0
