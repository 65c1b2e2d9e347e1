import asyncio
import base64
import json
import struct
from typing import Any

import pytest

from tests.simulator.outside import DANA, Outside, until


def envelope(key: dict[str, Any], message: dict[str, Any], name: str = "דנה") -> dict[str, Any]:
    """Build the recorded shape of a bridge's webhook; a type stands for any value of that type."""
    shell = {
        "key": {"fromMe": False, "id": str, **key},
        "messageTimestamp": int,
        "pushName": name,
        "message": message,
    }
    return {"tenantId": "business_6", "payload": {"type": "notify", "messages": [shell]}}


def assert_shape(actual: Any, shape: Any) -> None:
    """Compare key by key; where the shape holds a type, any value of it will do."""
    if isinstance(shape, dict):
        assert isinstance(actual, dict)
        assert set(actual) == set(shape)
        for name, part in shape.items():
            assert_shape(actual[name], part)
    elif isinstance(shape, list):
        assert len(actual) == len(shape)
        for one, part in zip(actual, shape, strict=True):
            assert_shape(one, part)
    elif isinstance(shape, type):
        assert type(actual) is shape
    else:
        assert actual == shape


PHONE = {"remoteJid": DANA}
HIDDEN = {"remoteJid": "82399031480511@lid", "addressingMode": "lid"}
IMAGE = {"mimetype": "image/png", "url": str, "fileLength": str}
VOICE = {"mimetype": "audio/ogg; codecs=opus", "seconds": int, "ptt": True, "url": str, "fileLength": str}


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ({"text": "היי"}, envelope(PHONE, {"conversation": "היי"})),
        ({"kind": "image"}, envelope(PHONE, {"imageMessage": IMAGE})),
        (
            {"kind": "image", "text": "זו הדלת"},
            envelope(PHONE, {"imageMessage": {**IMAGE, "caption": "זו הדלת"}}),
        ),
        ({"kind": "voice"}, envelope(PHONE, {"audioMessage": VOICE})),
        (
            {"kind": "location"},
            envelope(PHONE, {"locationMessage": {"degreesLatitude": 32.08, "degreesLongitude": 34.78}}),
        ),
        (
            {"from": "972521234567", "lid": "82399031480511", "text": "היי"},
            envelope({**HIDDEN, "remoteJidAlt": "972521234567@s.whatsapp.net"}, {"conversation": "היי"}),
        ),
        ({"from": None, "lid": "82399031480511", "text": "היי"}, envelope(HIDDEN, {"conversation": "היי"})),
        ({"from": "82399031480511@lid", "text": "היי"}, envelope(HIDDEN, {"conversation": "היי"})),
    ],
)
async def test_what_a_customer_writes_has_the_shape_that_bridges_post(outside: Outside, written, expected):
    answer = await outside.write(**written)
    assert answer.json()["webhook_status"] == 200
    [body] = outside.receiver.bodies
    assert_shape(body, expected)
    assert answer.json()["ids"] == [body["payload"]["messages"][0]["key"]["id"]]


async def test_a_photo_and_a_voice_note_can_be_fetched(outside: Outside):
    await outside.write(kind="image")
    await outside.write(kind="voice")
    photo, voice = [body["payload"]["messages"][0]["message"] for body in outside.receiver.bodies]
    image = await outside.client.get(photo["imageMessage"]["url"])
    sound = await outside.client.get(voice["audioMessage"]["url"])
    assert image.content.startswith(b"\x89PNG")
    assert struct.unpack(">II", image.content[16:24]) == (320, 240)
    assert (sound.content[:4], sound.headers["content-type"]) == (b"OggS", "audio/ogg; codecs=opus")


async def test_a_recording_is_served_in_parts_so_that_its_length_is_known(outside: Outside):
    await outside.write(kind="voice")
    url = outside.receiver.bodies[0]["payload"]["messages"][0]["message"]["audioMessage"]["url"]
    part = await outside.client.get(url, headers={"Range": "bytes=0-3"})
    beyond = await outside.client.get(url, headers={"Range": "bytes=999999-"})
    assert (part.status_code, part.content) == (206, b"OggS")
    assert part.headers["content-range"].startswith("bytes 0-3/")
    assert beyond.status_code == 416


async def test_a_chosen_picture_travels_as_it_is(outside: Outside):
    media = {"data": base64.b64encode(b"picture").decode(), "mimetype": "image/jpeg"}
    await outside.write(kind="image", media=media)
    image = outside.receiver.bodies[0]["payload"]["messages"][0]["message"]["imageMessage"]
    assert (image["mimetype"], image["fileLength"]) == ("image/jpeg", "7")
    assert (await outside.client.get(image["url"])).content == b"picture"


async def test_copies_carry_the_same_id_and_make_one_bubble(outside: Outside):
    answer = await outside.write(text="hi", copies=3, provider_id="3EB0SAME")
    ids = [body["payload"]["messages"][0]["key"]["id"] for body in outside.receiver.bodies]
    assert ids == ["3EB0SAME"] * 3
    assert answer.json() == {"ids": ["3EB0SAME"], "webhook_status": 200}
    assert [bubble["note"] for bubble in await outside.shown()] == ["twice"]


async def test_out_of_order_posts_the_second_first_with_the_later_time(outside: Outside):
    await outside.write(texts=["first", "second"], reversed=True)
    posted = [body["payload"]["messages"][0] for body in outside.receiver.bodies]
    assert [message["message"]["conversation"] for message in posted] == ["second", "first"]
    assert posted[0]["messageTimestamp"] > posted[1]["messageTimestamp"]
    assert [bubble["text"] for bubble in await outside.shown()] == ["first", "second"]


async def test_three_quick_lines_are_three_messages(outside: Outside):
    answer = await outside.write(texts=["a", "b", "c"])
    assert len(set(answer.json()["ids"])) == len(outside.receiver.bodies) == 3


async def test_a_message_is_tried_again_until_the_webhook_takes_it(outside: Outside):
    outside.receiver.answers = [503, 500]
    answer = await outside.write(text="hi")
    assert answer.json()["webhook_status"] == 503
    await until(lambda: outside.world.phones.messages(DANA)[0].state == "delivered")
    assert len(outside.receiver.bodies) == 3


async def test_a_refused_message_shows_as_not_delivered(outside: Outside):
    outside.receiver.answers = [401]
    await outside.write(text="hi")
    assert [bubble["state"] for bubble in await outside.shown()] == ["failed"]


async def test_an_answer_to_the_phone_of_a_hidden_id_appears_in_its_chat(outside: Outside):
    await outside.write(**{"from": "972521234567", "lid": "82399031480511", "text": "hi"})
    await outside.send("answer", to="972521234567@s.whatsapp.net")
    assert [bubble["text"] for bubble in await outside.shown("82399031480511@lid")] == ["hi", "answer"]


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ({"from": None}, "Say who writes"),
        ({"from": "me"}, "from must be"),
        ({"kind": "fax"}, "Unknown kind"),
        ({"text": " "}, "text must not be empty"),
        ({"text": "x", "copies": 0}, "copies must be"),
        ({"text": "x", "provider_id": "a b"}, "provider_id must be"),
        ({"kind": "image", "media": {"data": "%", "mimetype": "image/png"}}, "base64"),
    ],
)
async def test_what_cannot_be_sent_gets_a_sentence(outside: Outside, written, reason):
    answer = await outside.write(**written)
    assert answer.status_code == 400
    assert reason in answer.json()["error"]
    assert outside.receiver.bodies == []


async def test_events_tell_of_the_message_its_ticks_and_the_reply(outside: Outside):
    seen: list[tuple[str, dict[str, Any]]] = []
    async with outside.client.stream("GET", "/sim/phone/events") as stream:
        lines = stream.aiter_lines()
        assert await anext(lines) == ": open"
        await outside.write(text="hi")
        await outside.send("hello")
        async with asyncio.timeout(5):
            while len(seen) < 4:
                line = await anext(lines)
                if line.startswith("event: "):
                    data = (await anext(lines)).removeprefix("data: ")
                    seen.append((line.removeprefix("event: "), json.loads(data)))
    told = [(name, data.get("direction"), data["state"]) for name, data in seen]
    assert told == [
        ("message", "sent", "sending"),
        ("state", None, "delivered"),
        ("message", "received", "received"),
        ("state", None, "read"),
    ]


async def test_the_page_is_strict_about_what_runs_and_who_may_frame_it(outside: Outside):
    page = await outside.client.get("/phone?lang=he")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
    assert policy.endswith("frame-ancestors http://127.0.0.1:8000")
    assert 'lang="he" dir="rtl"' in page.text
    assert "<style" not in page.text
    assert " style=" not in page.text
    assert 'lang="en" dir="ltr"' in (await outside.client.get("/phone?lang=en")).text
    for name in ("phone.css", "kinds.css", "phone.js", "bubbles.js", "actions.js", "formatting.js"):
        assert (await outside.client.get(f"/static/{name}")).status_code == 200
