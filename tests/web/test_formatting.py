"""WhatsApp's marks in a text, read in one pass; whatever does not fit stays as it was written."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.web.formatting import OUTSIDE, Node, formatted, plain


def link(url: str) -> Node:
    return ["a", {"href": url, **OUTSIDE}, [url]]


@pytest.mark.parametrize(
    ("text", "nodes"),
    [
        ("*bold*", [["strong", {}, ["bold"]]]),
        ("a _b c_ d", ["a ", ["em", {}, ["b c"]], " d"]),
        ("~gone~", [["s", {}, ["gone"]]]),
        ("*a _b_*", [["strong", {}, ["a ", ["em", {}, ["b"]]]]]),
        ("```x * y```", [["code", {}, ["x * y"]]]),
        ("`x*`", [["code", {}, ["x*"]]]),
        ("*שלום* לכולם", [["strong", {}, ["שלום"]], " לכולם"]),
        ("2*3*4 snake_case_name", ["2", "*", "3", "*", "4 snake", "_", "case", "_", "name"]),
        ("* not bold*", ["*", " not bold", "*"]),
        ("*open", ["*", "open"]),
        ("*one\ntwo*", ["*", "one", "\n", "two", "*"]),
        ("*a _b*", [["strong", {}, ["a ", "_", "b"]]]),
        ("see https://a.test/x_y_z.", ["see ", link("https://a.test/x_y_z"), "."]),
        ("javascript:alert(1)", ["javascript:alert(1)"]),
        ("<b>price?</b>", ["<b>price?</b>"]),
    ],
)
def test_a_text_becomes_these_nodes(text, nodes):
    assert formatted(text) == nodes


@given(st.text(alphabet="ab *_~`\n<é", max_size=60))
def test_nothing_but_marks_is_lost(text):
    def unmarked(one):
        return "".join(character for character in one if character not in "*_~`")

    assert unmarked(plain(formatted(text))) == unmarked(text)


@pytest.mark.parametrize(
    "text", ["*a " * 20_000, "(*a_b~" * 10_000, "```" * 20_000, "https://" * 8_000, "`a" * 30_000]
)
def test_sixty_thousand_hostile_characters_take_no_time_worth_speaking_of(text):
    took_s = []
    # The best of three: the collector of a test run's other garbage may fall into one of them.
    for _ in range(3):
        started = time.process_time()
        formatted(text)
        took_s.append(time.process_time() - started)

    assert min(took_s) < 0.5
