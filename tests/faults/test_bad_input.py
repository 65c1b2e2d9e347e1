"""What senders may get wrong, against real processes: a clear answer, and nothing lost."""

from __future__ import annotations

import asyncio

import pytest

from tests.processes import sample, text_message


@pytest.mark.fault("F6")
async def test_what_cannot_be_accepted_is_refused_with_its_reason(house):
    message = text_message("שלום")
    no_tenant = {"payload": message["payload"]}

    answers = {
        "wrong secret": await house.post(message, secret="wrong"),
        "no secret": await house.http.post("/webhook/whatsapp/incoming", json=message),
        "wrong secret and no json": await house.post(b"{not json", secret="wrong"),
        "not json": await house.post(b"{not json"),
        "not an object": await house.post(b"[1]"),
        "no tenant": await house.post(no_tenant),
        "unknown business": await house.post(message | {"tenantId": "business_999"}),
        "no business at all": await house.post(message | {"tenantId": "the first one"}),
        "too large": await house.post(b"{" + b" " * (3 * 1024 * 1024) + b"}"),
    }

    assert {name: (answer.status_code, answer.json()["error"]) for name, answer in answers.items()} == {
        "wrong secret": (401, "unauthorized"),
        "no secret": (401, "unauthorized"),
        "wrong secret and no json": (401, "unauthorized"),
        "not json": (400, "not_json"),
        "not an object": (400, "not_json"),
        "no tenant": (400, "missing_tenant_id"),
        "unknown business": (404, "unknown_business"),
        "no business at all": (404, "unknown_business"),
        "too large": (413, "too_large"),
    }
    assert await house.value("SELECT count(*) FROM inbox_event") == 0


async def test_a_path_for_posting_says_so_to_whoever_opens_it(house):
    answer = await house.http.get("/webhook/whatsapp/incoming")

    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


async def test_both_paths_and_both_ways_to_name_a_tenant_are_taken(house):
    first = await house.post(text_message("כמה עולה פריצת דלת?", message_id="A1"))
    second = await house.post(
        text_message("מה שעות הפעילות?", phone="972521111111", message_id="A2") | {"tenantId": "6"},
        path="/api/whatsapp/webhook/incoming",
    )

    assert (first.json(), second.json()) == ({"ok": True, "stored": 1}, {"ok": True, "stored": 1})
    await house.until_sent(2)
    assert "Enqueued webhook_process_job" in house.log.read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.fault("F22")
async def test_the_same_webhook_fifty_times_at_once_is_one_message_and_one_reply(house):
    message = text_message("כמה עולה פריצת דלת?")

    answers = await asyncio.gather(*(house.post(message) for _ in range(50)))

    assert {answer.status_code for answer in answers} == {200}
    await house.until_sent(1)
    await house.until_quiet()
    assert await house.value("SELECT count(*) FROM message WHERE direction = 'in'") == 1
    assert len(await house.sends()) == 1
    assert await house.broken_promises() == []


@pytest.mark.slow
@pytest.mark.fault("F6")
@pytest.mark.fault("F24")
async def test_a_bad_message_in_a_batch_is_kept_with_its_reason_and_holds_back_no_other(house):
    answer = await house.post(sample("batch_of_seven_one_poison.json"))
    await house.until_quiet()

    assert answer.json() == {"ok": True, "stored": 7}
    assert await house.value("SELECT count(*) FROM message WHERE direction = 'in'") == 6
    assert (
        await house.value("SELECT count(*) FROM inbox_event WHERE state = 'unreadable' AND reason <> ''") == 1
    )
    assert await house.broken_promises() == []


@pytest.mark.slow
@pytest.mark.fault("F6")
async def test_no_depth_of_nesting_is_an_error_of_ours(house):
    async def post(levels):
        nested = b'{"a":' * levels + b"1" + b"}" * levels
        deep = text_message("שלום", message_id=f"DEEP{levels}")
        deep["payload"]["messages"].append(
            {"key": {"remoteJid": "1@s.whatsapp.net", "id": f"BESIDE{levels}"}}
        )
        body = __import__("json").dumps(deep).encode()
        return await house.post(
            body.replace(b'"messages": [', b'"messages": [{"message": ' + nested + b"}, ")
        )

    answers = [await post(levels) for levels in range(240, 260)]
    tenant = await house.post(b'{"payload":{},"tenantId":' + b"[" * 1015 + b"]" * 1015 + b"}")

    assert {answer.status_code for answer in answers} == {200}
    assert {answer.json()["stored"] for answer in answers} == {3}
    assert tenant.status_code == 404


@pytest.mark.slow
@pytest.mark.fault("F6")
async def test_half_an_emoji_and_a_nul_are_taken_and_do_not_fail_their_neighbours(house):
    cut = text_message("placeholder", message_id="CUT", phone="972521111111")
    raw = __import__("json").dumps(cut).replace("placeholder", r"cut \ud83d and \u0000 nul").encode()

    answers = await asyncio.gather(
        house.post(raw), *(house.post(text_message("שלום", phone=f"97252222222{n}")) for n in range(5))
    )

    assert {answer.status_code for answer in answers} == {200}
    await house.until_quiet()
    assert await house.value("SELECT count(*) FROM message WHERE direction = 'in'") == 6


async def test_the_same_id_with_other_content_is_kept_and_flagged(house):
    await house.post(text_message("first", message_id="SAME"))
    await house.post(text_message("second", message_id="SAME"))
    await house.until_quiet()

    assert await house.value("SELECT text FROM message WHERE direction = 'in'") == "first"
    assert await house.value("SELECT count(*) FROM inbox_conflict") == 1
