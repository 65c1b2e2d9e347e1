"""Any server that speaks OpenAI's chat completions."""

from __future__ import annotations

import orjson
import pytest

from server.errors import ProviderBusyError, ProviderDownError, ProviderRefusedError, ProviderUnknownError
from server.ports import ChatTurn, Completion, Tool, ToolCall
from server.providers.openai_chat import OpenAiChat

TURNS = [ChatTurn("system", "Be kind."), ChatTurn("user", "כמה?")]


def model(http, base_url: str, *, timeout_s: float = 5, api_key: str = "sk-test") -> OpenAiChat:
    return OpenAiChat(http, base_url=base_url, api_key=api_key, model="small", timeout_s=timeout_s)


def answer(text: object, **more: object) -> dict[str, object]:
    return {"model": "small-2026", "choices": [{"message": {"role": "assistant", "content": text}}]} | more


async def test_a_conversation_is_continued_and_nothing_is_left_with_the_vendor(http, raw):
    raw.says(200, answer(" 250 ש״ח ", usage={"prompt_tokens": 12, "completion_tokens": 3}))

    completion = await model(http, raw.url + "/v1/").complete(TURNS)

    assert completion == Completion("250 ש״ח", "small-2026", 12, 3)
    assert raw.heads[0].startswith("post /v1/chat/completions ")
    assert "authorization: bearer sk-test" in raw.heads[0]
    assert orjson.loads(raw.bodies[0]) == {
        "model": "small",
        "messages": [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": "כמה?"},
        ],
        "store": False,
    }


async def test_a_server_that_needs_no_key_gets_none(http, raw):
    raw.says(200, answer("yes"))

    await model(http, raw.url, api_key="").complete(TURNS)

    assert "authorization" not in raw.heads[0]


async def test_a_rate_limit_says_how_long_to_wait(http, raw):
    raw.says(429, {"error": {"code": "rate_limit_exceeded"}}, retry_after="9")

    with pytest.raises(ProviderBusyError) as busy:
        await model(http, raw.url).complete(TURNS)

    assert busy.value.retry_after_s == 9


@pytest.mark.parametrize("field", ["code", "type"])
async def test_an_account_without_quota_is_refused_for_good(http, raw, field):
    raw.says(429, {"error": {"code": "other", "type": "other"} | {field: "insufficient_quota"}})

    with pytest.raises(ProviderRefusedError, match="quota"):
        await model(http, raw.url).complete(TURNS)


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 422])
async def test_a_refusal_is_for_good_and_keeps_the_key_to_itself(http, raw, status):
    raw.says(status, {"error": {"message": "Incorrect API key provided: sk-test"}})

    with pytest.raises(ProviderRefusedError) as refused:
        await model(http, raw.url).complete(TURNS)

    assert "sk-test" not in str(refused.value)


@pytest.mark.parametrize("status", [500, 502, 503])
async def test_a_failing_server_may_be_asked_again(http, raw, status):
    raw.says(status, b"oops")

    with pytest.raises(ProviderDownError):
        await model(http, raw.url).complete(TURNS)


async def test_a_server_that_does_not_listen_is_down(http, free_port):
    with pytest.raises(ProviderDownError):
        await model(http, f"http://127.0.0.1:{free_port}").complete(TURNS)


async def test_a_server_that_never_answers_is_given_up_in_time(http, raw):
    raw.answer = None

    with pytest.raises(ProviderUnknownError):
        await model(http, raw.url, timeout_s=0.05).complete(TURNS)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no json",
        [],
        {},
        {"choices": []},
        {"choices": [1]},
        {"choices": [{}]},
        answer(None),
        answer(" "),
    ],
)
async def test_an_answer_without_words_is_no_answer(http, raw, body):
    raw.says(200, body)

    with pytest.raises(ProviderUnknownError):
        await model(http, raw.url).complete(TURNS)


async def test_tokens_that_are_no_numbers_count_as_none(http, raw):
    raw.says(200, answer("yes", usage={"prompt_tokens": "many"}, model=5))

    assert await model(http, raw.url).complete(TURNS) == Completion("yes", "small", 0, 0)


async def test_what_a_model_thinks_is_not_what_it_says(http, raw):
    raw.says(200, answer("<think>\nThe customer is rude.\n</think>\n\n250 ש״ח"))

    assert (await model(http, raw.url).complete(TURNS)).text == "250 ש״ח"


async def test_an_answer_in_parts_is_put_together(http, raw):
    raw.says(200, answer([{"type": "text", "text": "250 "}, {"type": "text", "text": "ש״ח"}, 7]))

    assert (await model(http, raw.url).complete(TURNS)).text == "250 ש״ח"


async def test_half_an_answer_is_none(http, raw):
    cut_off = {"message": {"content": "We open at"}, "finish_reason": "length"}
    raw.says(200, {"choices": [cut_off]})

    with pytest.raises(ProviderRefusedError, match="cut off"):
        await model(http, raw.url).complete(TURNS)


async def test_characters_that_nobody_can_store_are_no_obstacle(http, raw):
    raw.says(200, b'{"choices": [{"message": {"content": "yes\\u0000!"}}]}')

    assert (await model(http, raw.url).complete([ChatTurn("user", "\ud83d")])).text == "yes!"


REMIND = Tool("set_reminder", "Set a reminder.", {"type": "object", "properties": {}})


async def test_a_model_asks_for_tools_and_hears_what_came_of_them(http, raw):
    call = {"id": "c1", "type": "function", "function": {"name": "set_reminder", "arguments": '{"at": 1}'}}
    message = {"role": "assistant", "content": None, "tool_calls": [call, {"function": {}}, "?"]}
    raw.says(
        200, {"choices": [{"message": message}], "usage": {"prompt_tokens": 1000, "completion_tokens": 10}}
    )
    asked = ToolCall("c0", "set_reminder", "{}")
    turns = [*TURNS, ChatTurn("assistant", "", [asked]), ChatTurn("tool", "Done.", call_id="c0")]

    priced = OpenAiChat(http, base_url=raw.url, api_key="", model="small", timeout_s=5, prices=(0.15, 0.60))
    completion = await priced.complete(turns, tools=[REMIND])

    assert completion.calls == (ToolCall("c1", "set_reminder", '{"at": 1}'),)
    assert (completion.text, completion.cost_micro) == ("", 156)
    sent = orjson.loads(raw.bodies[0])
    assert sent["tools"][0]["function"]["name"] == "set_reminder"
    assert sent["messages"][2]["tool_calls"][0]["function"] == {"name": "set_reminder", "arguments": "{}"}
    assert sent["messages"][3] == {"role": "tool", "tool_call_id": "c0", "content": "Done."}


async def test_a_model_that_knows_no_tools_is_asked_without_them(http, raw):
    raw.says(400, {"error": {"message": "small does not support tools"}})
    asked = model(http, raw.url)
    with pytest.raises(ProviderRefusedError):
        await asked.complete(TURNS, tools=[REMIND])

    raw.says(200, answer("250"))
    said = await asked.complete(TURNS, tools=[REMIND])

    assert said.text == "250"
    assert ["tools" in orjson.loads(body) for body in raw.bodies] == [True, False, False]
