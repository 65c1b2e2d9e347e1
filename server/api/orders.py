"""What a business's own program asks to be sent, read and held to its shape: docs/n8n.md shows each field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import UUID

from server.api.template_parts import read_parts
from server.domains import messaging
from server.errors import BadInputError

# `message`, `media_url` and `mediaUrl` are other names, which flows that were made before use.
FIELDS = frozenset(
    {"to", "conversation_id", "contact_id", "text", "message", "template", "channel", "marketing"}
    | {"media", "media_url", "mediaUrl"}
)
MEDIA_FIELDS = frozenset({"url", "id", "kind", "file_name"})
MEDIA_KINDS = ("image", "video", "audio", "document")
LONGEST_URL, LONGEST_NAME = 2000, 200


def order_of(body: Mapping[str, Any], business_id: int, *, client_key: str) -> messaging.Order:
    """Read what is asked for; raise BadInputError with the field's name."""
    require_known(body, FIELDS, "")
    if not isinstance(body.get("marketing", False), bool):
        raise BadInputError("bad_field", "marketing must be true or false.")
    link, media_id = _media(body)
    template, header = _template(body.get("template"))
    if template is not None and (link or media_id):
        raise BadInputError("bad_field", "media goes into template.components, as the header.")
    if header is not None:
        link, media_id = read_media(header, "template.components")
    return messaging.Order(
        business_id=business_id,
        client_key=client_key,
        to=read_text(body, "to"),
        conversation_id=_id(body, "conversation_id"),
        contact_id=_id(body, "contact_id"),
        text=read_text(body, "text") or read_text(body, "message"),
        template=template,
        link=link,
        media_id=media_id,
        channel=read_text(body, "channel"),
        is_marketing=body.get("marketing", False),
    )


def require_known(told: Mapping[str, Any], names: frozenset[str], where: str) -> None:
    """Raise BadInputError for a field that means nothing here."""
    unknown = sorted(set(told) - names)
    if unknown:
        raise BadInputError(
            "unknown_field", f"{where}{unknown[0][:50]} is not known: use {', '.join(sorted(names))}."
        )


def read_text(body: Mapping[str, Any], name: str, where: str = "") -> str | None:
    """Return a field's text, None where it is not there; raise BadInputError for anything else."""
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise BadInputError("bad_field", f"{where}{name} must be a text.")
    _refuse_nul(f"{where}{name}", value or "")
    return value or None


def read_media(told: Mapping[str, Any], where: str) -> tuple[messaging.Link | None, UUID | None]:
    """Return the file that is to be fetched, or the one that was uploaded."""
    require_known(told, MEDIA_FIELDS, f"{where}.")
    url, media_id = read_text(told, "url", f"{where}."), _id(told, "id", f"{where}.")
    if (url is None) == (media_id is None):
        raise BadInputError("bad_field", f"{where} needs either url or id.")
    kind, name = read_text(told, "kind", f"{where}."), read_text(told, "file_name", f"{where}.") or ""
    if kind is not None and kind not in MEDIA_KINDS:
        raise BadInputError("bad_field", f"{where}.kind must be one of {', '.join(MEDIA_KINDS)}.")
    if len(name) > LONGEST_NAME:
        raise BadInputError("bad_field", f"{where}.file_name has at most {LONGEST_NAME} characters.")
    if url is None:
        return None, media_id
    return messaging.Link(require_address(url, f"{where}.url"), kind, name or _name_in(url)), None


def require_address(url: str, where: str) -> str:
    """Return the address of a file; raise BadInputError `bad_url` for what is none, or holds a password."""
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        raise BadInputError("bad_url", f"{where} is no address.") from None
    if not is_address or len(url) > LONGEST_URL or not url.isprintable() or " " in url:
        raise BadInputError("bad_url", f"{where} must be an http or https address of up to {LONGEST_URL}.")
    if parts.username or parts.password:
        raise BadInputError("bad_url", f"{where} cannot hold a name or a password.")
    return url


def _media(body: Mapping[str, Any]) -> tuple[messaging.Link | None, UUID | None]:
    told, url = body.get("media"), read_text(body, "media_url") or read_text(body, "mediaUrl")
    if told is None:
        return (None, None) if url is None else read_media({"url": url}, "media")
    if not isinstance(told, dict) or url is not None:
        raise BadInputError("bad_field", "media must be {url, kind, file_name}, and the only file.")
    return read_media(told, "media")


def _template(told: Any) -> tuple[messaging.TemplateUse | None, Mapping[str, Any] | None]:
    """Return a template, and what its header says of a file."""
    if told is None:
        return None, None
    body = told.get("body", []) if isinstance(told, dict) else None
    if not isinstance(body, list) or not all(isinstance(one, str) for one in body):
        raise BadInputError("bad_field", "template must be {name, language, body: [texts], components}.")
    _refuse_nul("template.body", "".join(body))
    name, language = read_text(told, "name", "template."), told.get("language")
    # As Meta writes it, and as it is shorter.
    language = language.get("code") if isinstance(language, dict) else language
    if name is None or not isinstance(language, str) or not language:
        raise BadInputError("bad_field", "template needs a name and a language.")
    _refuse_nul("template.language", language)
    require_known(told, frozenset({"name", "language", "body", "components"}), "template.")
    use = messaging.TemplateUse(name, language, body)
    return (use, None) if "components" not in told else read_parts(use, told["components"])


def _refuse_nul(name: str, value: str) -> None:
    # PostgreSQL holds none.
    if "\0" in value:
        raise BadInputError("text_invalid", f"{name} cannot hold the character NUL.")


def _id(body: Mapping[str, Any], name: str, where: str = "") -> UUID | None:
    told = read_text(body, name, where)
    try:
        return None if told is None else UUID(told)
    except ValueError:
        raise BadInputError("bad_field", f"{where}{name} must be an id that ProSaaS gave.") from None


def _name_in(url: str) -> str:
    return unquote(urlsplit(url).path).rpartition("/")[2][:LONGEST_NAME].replace("\0", "")
