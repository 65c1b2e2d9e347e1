"""What stands within a bubble, as nodes that the template and the script both make elements of."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from server.domains import media
from server.domains.messaging.attachments import NOTHING, Attached, File, Quoted
from server.domains.messaging.pages import MessageRow
from server.web.formatting import OUTSIDE, Node, formatted, plain
from server.web.text import inert, told_size
from server.web.words import Words

KINDS = {
    "image": "kind.image",
    "video": "kind.video",
    "document": "kind.document",
    "audio": "kind.audio",
    "voice": "kind.voice",
    "sticker": "kind.sticker",
    "location": "kind.location",
    "contact": "kind.contact",
    "choice": "kind.choice",
    "reaction": "kind.reaction",
    "template": "kind.template",
    "edit": "kind.edit",
    "delete": "kind.delete",
    "unsupported": "kind.unsupported",
}
AUTHORS = {
    "customer": "author.customer",
    "assistant": "author.assistant",
    "person": "author.person",
    "api": "author.api",
}
ICONS = {"location": "i-pin", "contact": "i-hand"}
MARKS = {"view_once": "mark.view_once", "ephemeral": "mark.ephemeral", "history": "mark.history"}
# Why a file is not there, where the words are ours; anything else is a provider's.
MISSING = {
    media.TOO_LARGE: "file.too_large",
    media.EMPTY: "file.empty",
    media.UNNAMED: "file.unnamed",
    media.NOT_FETCHED: "file.not_fetched",
    media.DELETED: "file.deleted",
    media.KEPT_LONG_ENOUGH: "file.kept_long_enough",
}
MAP = "https://www.openstreetmap.org/?mlat={0}&mlon={1}#map=17/{0}/{1}"
MOST_EARLIER = 5
_NOT_DIALLED = re.compile(r"[^0-9+*#]")


def anchor(message_id: object) -> str:
    """Return where a page shows a message, for links that lead to it."""
    return f"m-{message_id}"


class Bubble:
    """Turns messages into nodes, for readers of one language."""

    def __init__(self, words: Words) -> None:
        self._words = words

    def nodes(self, row: MessageRow, attached: Attached = NOTHING) -> list[Node]:
        """Return all that a bubble says, from top to bottom."""
        if row.details.get("deleted"):
            who = "mark.deleted" if row.direction == "in" else "mark.deleted_by_us"
            return [_tag("p", "gone", [self._words(who)])]
        nodes: list[Node] = [self._quote(attached.quoted)] if attached.quoted else []
        nodes += self._content(row, attached)
        if row.text and row.kind != "reaction":
            nodes.append(["p", {"class": "words", "dir": "auto"}, formatted(inert(row.text))])
        nodes += self._marks(row.details)
        if attached.reactions:
            nodes.append(["ul", {"class": "reactions"}, [self._reaction(one) for one in attached.reactions]])
        return nodes

    def kind(self, kind: str | None) -> str:
        """Name a kind of message; nothing for plain words."""
        key = KINDS.get(kind or "")
        return self._words(key) if key else ""

    def _content(self, row: MessageRow, attached: Attached) -> Iterator[Node]:
        match row.kind:
            case _ if attached.file is not None:
                yield from self._file(attached.file, row)
            case "location":
                yield self._place(row.details)
            case "contact":
                yield self._label("contact")
                yield ["ul", {"class": "cards"}, [_card(one) for one in _cards(row.details)]]
            case "reaction":
                emoji = inert(row.text or "")
                yield _tag("p", "kind", [self._words("reaction.elsewhere", emoji=emoji)])
            case _ if row.kind in KINDS:
                yield self._label(row.kind)
            case _:
                return

    def _label(self, kind: str) -> Node:
        return _tag("span", "kind", [_icon(ICONS.get(kind, "i-file")), self.kind(kind)])

    def _quote(self, quoted: Quoted) -> Node:
        if quoted.id is None:
            return _tag("span", "quote", [self._words("quote.unknown")])
        said = (
            self._words("mark.deleted")
            if quoted.is_deleted
            else plain(formatted(inert(quoted.text or ""))).strip()
        )
        by = self._words(AUTHORS[quoted.author]) if quoted.author in AUTHORS else ""
        inner = [
            _tag("span", "quote-by", [by]),
            ["span", {"class": "quote-words", "dir": "auto"}, [said or self.kind(quoted.kind)]],
        ]
        return ["a", {"class": "quote", "href": f"#{anchor(quoted.id)}"}, inner]

    def _file(self, file: File, row: MessageRow) -> Iterator[Node]:
        if file.state == "waiting":
            yield self._label(file.kind)
            yield _tag("p", "coming", [self._words("file.waiting")])
        elif file.state == "stored":
            yield from self._stored(file)
        elif row.status == "failed":
            # Why is said below, where the whole message may be sent again.
            yield self._label(file.kind)
        else:
            yield self._label(file.kind)
            key = MISSING.get(file.reason or "")
            yield _tag("p", "missing", [self._words(key) if key else inert(file.reason or "")])
            if file.state == "gone":
                again = ["button", {"class": "small"}, [self._words("file.again")]]
                action = f"/media/{file.id}/again"
                yield ["form", {"method": "post", "action": action}, [["csrf", {}, []], again]]

    def _stored(self, file: File) -> Iterator[Node]:
        url, name = f"/media/{file.id}", self.kind(file.kind)
        sides = {"width": str(file.width), "height": str(file.height)} if file.width and file.height else {}
        match media.shown_as(file.kind, file.mimetype):
            case "image":
                picture = ["img", {"src": url, "alt": name, "loading": "lazy", **sides}, []]
                shape = "sticker" if file.kind == "sticker" else "picture"
                yield ["a", {"class": shape, "href": url, "target": "_blank"}, [picture]]
            case "video":
                yield ["video", {"src": url, "controls": "", "preload": "metadata", "aria-label": name}, []]
            case "audio":
                yield self._label(file.kind)
                yield ["audio", {"src": url, "controls": "", "preload": "metadata", "aria-label": name}, []]
            case _:
                inner = [
                    _icon("i-file"),
                    ["bdi", {"class": "file-name"}, [inert(file.name or name)]],
                    _tag("small", "file-size", [told_size(file.size_bytes or 0, self._words)]),
                ]
                yield ["a", {"class": "file", "href": url, "download": ""}, inner]

    def _place(self, details: Mapping[str, Any]) -> Node:
        latitude, longitude = details.get("latitude"), details.get("longitude")
        told = [inert(str(details[name])) for name in ("name", "address") if details.get(name)]
        inner = [_icon("i-pin"), ["bdi", {}, [" · ".join(told) or self.kind("location")]]]
        if not isinstance(latitude, int | float) or not isinstance(longitude, int | float):
            return _tag("span", "place", inner)
        return ["a", {"class": "place", "href": MAP.format(latitude, longitude), **OUTSIDE}, inner]

    def _marks(self, details: Mapping[str, Any]) -> Iterator[Node]:
        for name, key in MARKS.items():
            if details.get(name):
                yield _tag("span", "mark", [self._words(key)])
        if not details.get("edited"):
            return
        earlier = [inert(str(one)) for one in details.get("earlier", ()) if one][-MOST_EARLIER:]
        if not earlier:
            yield _tag("span", "mark", [self._words("mark.edited")])
            return
        told: list[Node] = [["p", {"class": "words", "dir": "auto"}, [one]] for one in earlier]
        summary = ["summary", {}, [self._words("mark.edited")]]
        yield ["details", {"class": "mark"}, [summary, *told]]

    def _reaction(self, one: Mapping[str, Any]) -> Node:
        by = self._words(AUTHORS[one["author"]]) if one["author"] in AUTHORS else ""
        return ["li", {"title": by}, [inert(one["emoji"])]]


def fingerprint(nodes: list[Node]) -> str:
    """Return a short name of these nodes: a page leaves alone what has not changed, such as what plays."""
    return hashlib.sha256(orjson.dumps(nodes)).hexdigest()[:12]


def _cards(details: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    # Of messages from before numbers were kept there are names alone.
    older = [{"name": str(name), "phones": []} for name in details.get("names", ())]
    cards: Sequence[Mapping[str, Any]] = details.get("cards", older)
    return cards


def _card(card: Mapping[str, Any]) -> Node:
    phones: list[Node] = [
        ["a", {"href": f"tel:{_NOT_DIALLED.sub('', phone)}", "dir": "ltr"}, [inert(phone)]]
        for phone in card["phones"]
    ]
    return ["li", {"dir": "auto"}, [inert(card["name"]), *phones]]


def _tag(name: str, kind: str, children: list[Node]) -> Node:
    return [name, {"class": kind}, children]


def _icon(name: str) -> Node:
    return ["icon", {"name": name}, []]
