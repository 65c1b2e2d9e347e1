import json
from typing import Any

from simulator.replies import knowledge_entries, reply_to
from tests.simulator.outside import Outside

HEADERS = {"Authorization": "Bearer any"}
KNOWLEDGE = """You are the front desk of a locksmith. Answer briefly.

Knowledge:
- פריצת דלת רגילה עולה 250 ש"ח, כולל הגעה.
- אנחנו פתוחים כל יום עד שמונה בערב.
- Replacing a lock costs 320 shekels.
"""


def conversation(question: str) -> list[dict[str, Any]]:
    return [{"role": "system", "content": KNOWLEDGE}, {"role": "user", "content": question}]


async def complete(outside: Outside, question: str, **fields: Any) -> dict[str, Any]:
    body = {"model": "m", "messages": conversation(question), **fields}
    answer = await outside.client.post("/openai/v1/chat/completions", json=body, headers=HEADERS)
    completion: dict[str, Any] = answer.json()
    return completion


async def test_a_question_is_answered_from_the_knowledge_it_overlaps_with(outside: Outside):
    completion = await complete(outside, "שלום, כמה עולה פריצת דלת?")
    assert completion["choices"][0]["message"]["content"] == 'פריצת דלת רגילה עולה 250 ש"ח, כולל הגעה.'
    usage = completion["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] > 10


async def test_the_same_question_has_the_same_answer(outside: Outside):
    first, second = [await complete(outside, "What does replacing my lock cost?") for _ in range(2)]
    assert first["choices"] == second["choices"]
    assert first["id"] == second["id"]


def test_an_unknown_question_is_answered_neutrally_in_its_language():
    assert reply_to(conversation("יש לכם גלידה?")).startswith("תודה שפנית")
    assert reply_to(conversation("Any icecream?")).startswith("Thank you")
    assert reply_to(conversation("Мороженое?")).startswith("Спасибо")


def test_knowledge_is_parted_by_blank_lines_or_bullets_and_questions_are_left_out():
    text = "<knowledge>\nQ: Where are you?\nA: Herzl street 5.\n\nParking is free.\n</knowledge>"
    assert "Parking is free." in " ".join(knowledge_entries(text))
    assert reply_to(
        [{"role": "system", "content": text}, {"role": "user", "content": "where is Herzl?"}]
    ) == ("Herzl street 5.")


async def test_a_stream_comes_in_several_deltas_and_says_that_it_is_done(outside: Outside):
    body = {"model": "m", "messages": conversation("lock price, replacing costs?"), "stream": True}
    answer = await outside.client.post("/openai/v1/chat/completions", json=body, headers=HEADERS)
    assert answer.headers["content-type"].startswith("text/event-stream")
    lines = [line.removeprefix("data: ") for line in answer.text.splitlines() if line]
    assert lines[-1] == "[DONE]"
    deltas = [json.loads(line)["choices"][0]["delta"].get("content", "") for line in lines[:-1]]
    assert "".join(deltas) == "Replacing a lock costs 320 shekels."
    assert len([delta for delta in deltas if delta]) > 1


async def test_a_stream_counts_tokens_where_asked_to(outside: Outside):
    options = {"stream": True, "stream_options": {"include_usage": True}}
    body = {"model": "m", "messages": conversation("hi"), **options}
    answer = await outside.client.post("/openai/v1/chat/completions", json=body, headers=HEADERS)
    last = json.loads(answer.text.split("data: ")[-2])
    assert (last["choices"], last["usage"]["completion_tokens"] > 0) == ([], True)


async def test_a_caller_without_a_key_is_refused(outside: Outside):
    answer = await outside.client.post("/openai/v1/chat/completions", json={})
    assert (answer.status_code, answer.json()["error"]["type"]) == (401, "authentication_error")


async def test_a_request_without_messages_is_refused_with_a_sentence(outside: Outside):
    answer = await outside.client.post("/openai/v1/chat/completions", json={"model": "m"}, headers=HEADERS)
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")


async def test_a_behaviour_of_one_provider_leaves_the_other_alone(outside: Outside):
    await outside.behave(provider="openai", status=429, retry_after_s=3)
    assert (await outside.send()).status_code == 200
    body = {"model": "m", "messages": conversation("hi")}
    refused = await outside.client.post("/openai/v1/chat/completions", json=body, headers=HEADERS)
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "3")


async def test_models_are_listed(outside: Outside):
    listed = (await outside.client.get("/openai/v1/models", headers=HEADERS)).json()
    assert [model["object"] for model in listed["data"]] == ["model", "model"]


async def test_the_model_says_and_calls_what_its_script_tells_it(outside: Outside):
    call = {"name": "set_reminder", "arguments": {"text": "Call Maya"}}
    lines = [{"text": "Only for pianos.", "when": "piano"}, {"calls": [call]}, {"text": "Done."}]
    told = await outside.client.post("/sim/openai/script", json={"lines": lines})
    assert told.json() == {"ok": True, "lines": 3}

    first, second, third = [await complete(outside, "remind me") for _ in range(3)]

    [choice] = first["choices"]
    assert choice["finish_reason"] == "tool_calls"
    [function] = [one["function"] for one in choice["message"]["tool_calls"]]
    assert (function["name"], json.loads(function["arguments"])) == ("set_reminder", {"text": "Call Maya"})
    assert second["choices"][0]["message"]["content"] == "Done."
    assert third["choices"][0]["message"]["content"].startswith("Thank you")
    piano = await complete(outside, "a piano?")
    assert piano["choices"][0]["message"]["content"] == "Only for pianos."


async def test_a_script_that_cannot_be_read_is_refused(outside: Outside):
    unreadable: list[Any] = [[], "x", [{}], [{"calls": [{"name": ""}]}], [{"text": 5}]]
    for lines in unreadable:
        answer = await outside.client.post("/sim/openai/script", json={"lines": lines})
        assert answer.status_code == 400
