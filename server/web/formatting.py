"""WhatsApp's own marks in a text: *bold*, _italic_, ~struck~, `code` and ```code```, and addresses of pages.

A text becomes a tree of nodes: a string, or [tag, attributes, children]. Template and script make elements of
it, and never markup: whatever a stranger writes stays a string. One pass over the text, however it is marked.
"""

from __future__ import annotations

import re
from typing import Any, TypeAlias

Node: TypeAlias = str | list[Any]

TAGS = {"*": "strong", "_": "em", "~": "s"}
# What leads out of the house tells nobody where it was followed.
OUTSIDE = {"target": "_blank", "rel": "noopener noreferrer nofollow"}
_TOKEN = re.compile(
    r"```(?P<block>.+?)```|`(?P<code>[^`\n]+)`|(?P<url>https?://[^\s<>\"']{1,2000})|(?P<mark>[*_~])|(?P<line>\n)",
    re.DOTALL,
)
_AFTER_URL = ".,;:!?)]}*_~'\""


def formatted(text: str) -> list[Node]:
    """Return a text as nodes; the caller has made it inert."""
    frames: list[tuple[str, list[Node]]] = [("", [])]
    place = 0
    for token in _TOKEN.finditer(text):
        if token.start() < place:
            continue
        _say(frames, text[place : token.start()])
        place = token.end()
        if token["mark"]:
            _mark(frames, token["mark"], text, token.start())
        elif token["line"]:
            _flatten(frames, 1)
            _say(frames, "\n")
        elif token["url"]:
            url = token["url"].rstrip(_AFTER_URL)
            place = token.start() + len(url)
            frames[-1][1].append(["a", {"href": url, **OUTSIDE}, [url]])
        else:
            frames[-1][1].append(["code", {}, [token["block"] or token["code"]]])
    _say(frames, text[place:])
    _flatten(frames, 1)
    return frames[0][1]


def plain(nodes: list[Node]) -> str:
    """Return the words of these nodes alone."""
    return "".join(node if isinstance(node, str) else plain(node[2]) for node in nodes)


def _mark(frames: list[tuple[str, list[Node]]], mark: str, text: str, place: int) -> None:
    """Open or close what a mark encloses, or take it as written."""
    before, after = text[place - 1 : place] if place else "", text[place + 1 : place + 2]
    level = next((level for level, (open_mark, _) in enumerate(frames) if open_mark == mark), 0)
    if level and not before.isspace() and not _is_word(after):
        _flatten(frames, level + 1)
        _, children = frames.pop()
        frames[-1][1].append([TAGS[mark], {}, children] if children else mark + mark)
    elif not level and after and not after.isspace() and not _is_word(before):
        frames.append((mark, []))
    else:
        _say(frames, mark)


def _flatten(frames: list[tuple[str, list[Node]]], level: int) -> None:
    """Take what was opened from a level on, and not closed, as written."""
    while len(frames) > level:
        mark, children = frames.pop()
        frames[-1][1].extend([mark, *children])


def _say(frames: list[tuple[str, list[Node]]], text: str) -> None:
    if text:
        frames[-1][1].append(text)


def _is_word(character: str) -> bool:
    return character.isalnum()
