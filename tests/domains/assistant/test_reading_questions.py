"""Whatever a customer writes, reading it never fails and never makes a query of it."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from server.domains.assistant import questions, rules
from server.ports import ChatTurn

LEXEMES = re.compile(r"'[^\W_]+'(:\*)?( \| '[^\W_]+'(:\*)?)*")


@given(st.text())
def test_a_term_is_always_a_list_of_quoted_words(text):
    for term in questions.terms_of(text):
        assert LEXEMES.fullmatch(term.forms)
        assert term.kin == "" or LEXEMES.fullmatch(term.kin)


@given(st.lists(st.tuples(st.sampled_from(["user", "assistant"]), st.text()), min_size=1))
def test_any_conversation_can_be_read_and_summarised(lines):
    history = [ChatTurn(role, text) for role, text in lines]
    assert len(questions.looked_for(history)[0]) <= questions.MOST_TERMS
    assert rules.extract(history)


@given(st.text(), st.integers(min_value=1, max_value=50))
def test_what_is_cut_is_never_longer_than_allowed(text, longest):
    assert len(rules.cut(text, longest)) <= longest
