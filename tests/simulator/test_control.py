import asyncio
import socket

import httpx
import pytest

from simulator.calls import CallLog
from tests.simulator.outside import SECRET, Outside, until


def ask_by_raw_socket(port: int) -> bytes:
    """Send a message the plain way and return every byte that comes back before the end of file."""
    body = b'{"to":"972501234567@s.whatsapp.net","type":"text","text":"x","tenantId":"business_6"}'
    head = (
        f"POST /bridge/send HTTP/1.1\r\nHost: x\r\nX-Internal-Secret: {SECRET}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(head.encode() + body)
        answer = b""
        while part := connection.recv(65536):
            answer += part
    return answer


async def test_a_dropped_answer_closes_the_connection_without_a_byte_though_the_message_was_taken(
    outside: Outside,
):
    await outside.behave(drop_answer=True)
    answer = await asyncio.to_thread(ask_by_raw_socket, outside.port)
    assert answer == b""
    assert [bubble["text"] for bubble in await outside.shown()] == ["x"]
    [call] = await outside.calls(provider="whatsapp_bridge")
    assert call["answer"] is None
    assert call["accepted"] is True
    await until(lambda: bool(outside.receiver.echoes() and outside.receiver.receipts()))


async def test_a_refused_message_is_neither_shown_nor_echoed(outside: Outside):
    await outside.behave(status=503)
    answer = await outside.send()
    assert (answer.status_code, answer.json()) == (503, {"error": "WhatsApp not connected"})
    assert await outside.shown() == []
    [call] = await outside.calls()
    assert (call["accepted"], call["answer"]["status"]) == (False, 503)
    assert outside.receiver.bodies == []


async def test_too_many_requests_says_when_to_come_back(outside: Outside):
    await outside.behave(status=429, retry_after_s=7)
    answer = await outside.send()
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")


async def test_behaviours_wait_in_line_and_are_used_up_in_order(outside: Outside):
    await outside.behave(status=500, times=2)
    await outside.behave(status=429)
    statuses = [(await outside.send()).status_code for _ in range(4)]
    assert statuses == [500, 500, 429, 200]


async def test_a_behaviour_with_a_path_waits_for_that_path(outside: Outside):
    await outside.behave(status=500, path="/send")
    typing = {"jid": "972501234567@s.whatsapp.net", "typing": True, "tenantId": "business_6"}
    typed = await outside.client.post(
        "/bridge/sendTyping", json=typing, headers={"X-Internal-Secret": SECRET}
    )
    assert (typed.status_code, (await outside.send()).status_code) == (200, 500)


async def test_a_delayed_call_is_listed_and_shown_before_it_is_answered(outside: Outside):
    await outside.behave(delay_ms=400)
    sending = asyncio.create_task(outside.send())
    await until(lambda: bool(outside.world.calls.after(0, provider=None, limit=1)))
    [call] = await outside.calls()
    assert (call["answer"], call["accepted"], len(await outside.shown())) == (None, True, 1)
    assert (await sending).status_code == 200
    assert (await outside.calls())[0]["answer"]["status"] == 200


async def test_a_hanging_call_ends_with_a_reset_and_without_an_answer(outside: Outside):
    await outside.behave(hang=True)
    sending = asyncio.create_task(outside.send())
    await until(lambda: bool(outside.world.calls.after(0, provider=None, limit=1)))
    await outside.client.post("/sim/reset")
    with pytest.raises(httpx.RemoteProtocolError):
        await sending


async def test_a_hanging_call_ends_when_the_client_leaves(outside: Outside):
    await outside.behave(hang=True)
    with pytest.raises(httpx.ReadTimeout):
        await outside.client.post(
            "/bridge/send",
            json={"to": "1@lid", "type": "text", "text": "x", "tenantId": "business_6"},
            headers={"X-Internal-Secret": SECRET},
            timeout=0.2,
        )
    [call] = await outside.calls()
    assert (call["answer"], call["accepted"]) == (None, True)


async def test_calls_are_numbered_listed_by_provider_and_never_renumbered(outside: Outside):
    await outside.send("a")
    await outside.client.get("/openai/v1/models", headers={"Authorization": "Bearer k"})
    await outside.send("b")
    assert [call["n"] for call in await outside.calls()] == [1, 2, 3]
    assert [call["n"] for call in await outside.calls(provider="whatsapp_bridge", after=1)] == [3]
    assert [call["n"] for call in await outside.calls(limit=2)] == [1, 2]
    await outside.client.post("/sim/reset")
    await outside.send("c")
    assert [call["n"] for call in await outside.calls()] == [4]


async def test_a_call_shows_its_body_and_not_its_secret(outside: Outside):
    await outside.send("hello")
    [call] = await outside.calls()
    assert call["request"]["method"] == "POST"
    assert call["request"]["path"] == "/bridge/send"
    assert call["request"]["body"]["text"] == "hello"
    assert SECRET not in str(call)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"provider": "fax"}, "Unknown provider"),
        ({"times": 0}, "times must be"),
        ({"status": 42}, "status must be"),
        ({"delay_ms": "soon"}, "delay_ms must be"),
        ({"hang": 1}, "hang must be"),
        ({"surprise": True}, "Unknown field"),
        ({"provider": "openai", "echo": False}, "only for whatsapp_bridge"),
    ],
)
async def test_a_behaviour_that_is_not_understood_gets_a_sentence(outside: Outside, body, reason):
    answer = await outside.behave(**body)
    assert answer.status_code == 400
    assert reason in answer.json()["error"]


async def test_a_body_that_is_not_json_gets_a_sentence(outside: Outside):
    answer = await outside.client.post("/sim/behaviour", content=b"{")
    assert (answer.status_code, "not JSON" in answer.json()["error"]) == (400, True)


async def test_a_list_asked_for_with_a_bad_number_gets_a_sentence(outside: Outside):
    answer = await outside.client.get("/sim/calls?after=x")
    assert (answer.status_code, answer.json()["error"]) == (400, "after must be a whole number, not 'x'.")


async def test_the_process_says_that_it_lives(outside: Outside):
    assert (await outside.client.get("/healthz")).json() == {"ok": True}


def test_the_oldest_calls_make_room_and_the_numbers_stay_true():
    log = CallLog(kept=3)
    for _ in range(5):
        log.add("openai", {})
    assert [call.n for call in log.after(0, provider=None, limit=10)] == [3, 4, 5]
    assert [call.n for call in log.after(4, provider="openai", limit=10)] == [5]
