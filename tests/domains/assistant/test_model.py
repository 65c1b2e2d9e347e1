"""The assistant with a language model: one that answers from a script, as a server of its own would."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from server.domains import assistant
from server.domains.assistant.rules import NEEDS_PERSON, OFF_TOPIC
from server.errors import ProviderBusyError, ProviderDownError, ProviderError, ProviderRefusedError
from server.errors import ProviderUnknownError as UnknownError
from server.ports import ChatTurn, Completion, EventKind, Tool

QUESTION = "How much to open a locked door?"


class ScriptedModel:
    """Says what it was given, or raises it; keeps what it was asked."""

    def __init__(self, *says: str | ProviderError) -> None:
        self._says = list(says)
        self.asked: list[Sequence[ChatTurn]] = []
        self.offered: list[list[str]] = []

    async def complete(self, turns: Sequence[ChatTurn], *, tools: Sequence[Tool] = ()) -> Completion:
        self.asked.append(turns)
        self.offered.append([tool.name for tool in tools])
        # A model that is down stays down.
        said = self._says.pop(0) if len(self._says) > 1 else self._says[0]
        if isinstance(said, ProviderError):
            raise said
        return Completion(text=said, model="scripted", input_tokens=200, output_tokens=10)


async def reply(database, model, *turns: ChatTurn, business_id: int = 6) -> assistant.Draft:
    return await assistant.draft_reply(
        database, model, business_id=business_id, history=turns, kind=EventKind.TEXT
    )


async def test_a_model_s_answer_is_sent_with_its_sources_and_its_cost(database):
    model = ScriptedModel("Opening a door that fell shut costs 250 NIS by day.")
    draft = await reply(database, model, ChatTurn("user", QUESTION))
    assert draft.text == "Opening a door that fell shut costs 250 NIS by day."
    assert draft.sources[0]["title"] == "Price of opening a locked door"
    assert (draft.is_sure, draft.hands_over) == (True, False)
    assert (draft.model, draft.input_tokens, draft.output_tokens) == ("scripted", 200, 10)


async def test_a_model_is_told_the_business_its_knowledge_and_what_everybody_wrote(database):
    model = ScriptedModel("Yes.")
    turns = [ChatTurn("user", "Hi"), ChatTurn("assistant", "Dana here, hello"), ChatTurn("user", "")]
    await reply(database, model, *turns, ChatTurn("user", QUESTION))
    rules, *spoken = model.asked[0]
    assert rules.role == "system"
    assert "מנעולי דנה" in rules.content
    assert "A steel door locked with a key costs 390 NIS." in rules.content
    assert [turn.content for turn in spoken] == ["Hi", "Dana here, hello", QUESTION]


async def test_a_model_reads_the_last_forty_turns_and_no_other_business_s_knowledge(database):
    model = ScriptedModel("Yes.")
    turns = [ChatTurn("user", f"line {number}") for number in range(60)]
    await reply(database, model, *turns, ChatTurn("user", QUESTION))
    assert [turn.content for turn in model.asked[0][1:]] == [
        *(f"line {number}" for number in range(21, 60)),
        QUESTION,
    ]
    assert "tulip" not in model.asked[0][0].content.lower()


async def test_a_model_that_cannot_answer_hands_over_and_its_tokens_still_count(database):
    draft = await reply(database, ScriptedModel(f"{NEEDS_PERSON}."), ChatTurn("user", QUESTION))
    assert "a person from our team will reply" in draft.text
    assert NEEDS_PERSON not in draft.text
    assert (draft.is_sure, draft.hands_over, draft.input_tokens) == (False, True, 200)


@pytest.mark.parametrize("invented", ["It costs 99 NIS.", "We come at 23:45.", "Call 03-5551234."])
async def test_a_figure_nobody_wrote_is_never_promised(database, invented):
    draft = await reply(database, ScriptedModel(invented), ChatTurn("user", QUESTION))
    assert draft.text != invented
    assert draft.hands_over


@pytest.mark.parametrize("true", ["For door 1234 it is 250 NIS.", "250-350 NIS, 1 visit.", "₪390,₪250"])
async def test_figures_from_the_knowledge_or_the_customer_may_be_said(database, true):
    draft = await reply(database, ScriptedModel(true), ChatTurn("user", f"{QUESTION} Flat 1234"))
    assert draft.text == true


@pytest.mark.parametrize(
    "failure",
    [
        ProviderDownError("away"),
        ProviderBusyError("slow down", retry_after_s=3),
        ProviderRefusedError("no quota"),
        UnknownError("timed out"),
        "",
        " \n\x00 ",
    ],
)
async def test_a_model_that_does_not_answer_is_replaced_by_the_knowledge(database, failure):
    draft = await reply(database, ScriptedModel(failure), ChatTurn("user", QUESTION))
    assert "250 NIS" in draft.text
    assert (draft.is_sure, draft.model) == (True, None)


async def test_what_is_not_about_the_business_is_refused_in_the_customer_s_language(database):
    model = ScriptedModel(OFF_TOPIC)
    draft = await reply(database, model, ChatTurn("user", "Who won the game yesterday?"))
    assert draft.text == "I can only help with questions about מנעולי דנה here. What can I do for you?"
    assert (draft.hands_over, draft.model) == (False, "scripted")
    draft = await reply(database, model, ChatTurn("user", "מי ניצח במשחק אתמול?"))
    assert "רק בנושאים של מנעולי דנה" in draft.text


async def test_a_model_may_translate_where_no_entry_is_in_the_customer_s_language(database):
    model = ScriptedModel("עשרה צבעונים עולים 40.")
    draft = await reply(database, model, ChatTurn("user", "כמה עולים צבעונים?"), business_id=9)
    assert draft.text == "עשרה צבעונים עולים 40."
    assert [source["title"] for source in draft.sources] == ["Tulips"]


async def test_a_very_long_answer_is_cut_to_what_a_message_may_hold(database):
    draft = await reply(database, ScriptedModel("door " * 2_000), ChatTurn("user", QUESTION))
    assert len(draft.text) <= 4_000


async def test_no_connection_is_held_while_the_model_thinks(database, clean_database):
    class Looking(ScriptedModel):
        async def complete(self, turns: Sequence[ChatTurn], *, tools: Sequence[Tool] = ()) -> Completion:
            async with database.driver() as connection:
                self.open = await connection.fetchval(
                    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                    " AND state LIKE 'idle in transaction%'"
                )
            return await super().complete(turns, tools=tools)

    model = Looking("Yes.")
    await reply(database, model, ChatTurn("user", QUESTION))
    assert model.open == 0


async def test_a_summary_is_the_model_s_when_it_answers():
    model = ScriptedModel("Asked for a price, was told 250.")
    said = await assistant.summarise(model, [ChatTurn("user", QUESTION), ChatTurn("assistant", "250 NIS")])
    assert said.text == "Asked for a price, was told 250."
    assert (said.spent.model, said.spent.input_tokens) == ("scripted", 200)
    assert model.asked[0][1].content == f"Customer: {QUESTION}\nBusiness: 250 NIS"


@pytest.mark.parametrize("model", [None, ScriptedModel(ProviderDownError("away")), ScriptedModel(" ")])
async def test_a_summary_without_a_model_is_made_of_the_conversation_s_own_lines(model):
    history = [
        ChatTurn("user", ""),
        ChatTurn("user", "How much\nto open a door?"),
        ChatTurn("assistant", "250 NIS"),
        ChatTurn("user", "Come please"),
    ]
    assert (await assistant.summarise(model, history)).text == (
        "The customer wrote: “How much to open a door?” Messages from the customer: 3, answers: 1. "
        "The last message: “Come please”"
    )


async def test_a_hebrew_conversation_is_summarised_in_hebrew():
    said = await assistant.summarise(None, [ChatTurn("user", "כמה עולה פריצה?")])
    assert said.text == "הלקוח כתב: „כמה עולה פריצה?” הודעות מהלקוח: 1, תשובות: 0."


@pytest.mark.parametrize("history", [[], [ChatTurn("user", "")]])
async def test_a_conversation_without_words_is_summarised_by_its_counts(history):
    assert f"customer: {len(history)}, answers: 0." in (await assistant.summarise(None, history)).text
