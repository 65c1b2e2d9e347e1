"""The `message` object of Baileys for everything that can be said, as pure functions."""

from collections.abc import Callable

import orjson

from simulator.jsontypes import Json
from simulator.said import FILES, META_ALONE, Choice, File, How, Kind, Quoted, Said

BUSINESS_JID = "97230000000@s.whatsapp.net"
# proto.Message.ProtocolMessage.Type
MESSAGE_EDIT = 14


def content(said: Said, jid: str) -> Json:
    """Build the content; `jid` is the customer's address, which quotes and changes name."""
    told = _CONTENTS[said.kind](said, jid)
    if said.quoted:
        _quote(told, said.quoted, jid)
    if said.kind is Kind.DOCUMENT and said.text:
        told = {"documentWithCaptionMessage": {"message": told}}
    if said.is_view_once:
        told = {"viewOnceMessageV2": {"message": told}}
    if said.is_ephemeral:
        told = {"ephemeralMessage": {"message": told}}
    return told


def _text(said: Said, _jid: str) -> Json:
    return {"extendedTextMessage": {"text": said.text}} if said.quoted else {"conversation": said.text}


def _reaction(said: Said, jid: str) -> Json:
    return {"reactionMessage": {"key": _key(said.target, jid), "text": said.text}}


def _edit(said: Said, jid: str) -> Json:
    changed = {"key": _key(said.target, jid), "type": MESSAGE_EDIT}
    changed["editedMessage"] = {"conversation": said.text}
    return {"editedMessage": {"message": {"protocolMessage": changed}}}


def _delete(said: Said, jid: str) -> Json:
    return {"protocolMessage": {"key": _key(said.target, jid), "type": "REVOKE"}}


def _media(said: Said, _jid: str) -> Json:
    return {"audioMessage" if said.kind is Kind.VOICE else f"{said.kind}Message": _file(said)}


def _something_new(_said: Said, _jid: str) -> Json:
    return {"somethingNewMessage": {"x": 1}}


def _file(said: Said) -> Json:
    file = said.file or File("", "", "application/octet-stream", 0, "")
    told: Json = {"mimetype": file.mimetype}
    if said.text:
        told["caption"] = said.text
    if said.kind is Kind.DOCUMENT:
        told["fileName"] = file.file_name
    if said.kind in {Kind.AUDIO, Kind.VOICE, Kind.VIDEO}:
        told["seconds"] = file.seconds
    if said.kind in {Kind.AUDIO, Kind.VOICE}:
        told["ptt"] = said.kind is Kind.VOICE
    if said.kind is Kind.STICKER:
        told["isAnimated"] = False
    if said.is_view_once:
        told["viewOnce"] = True
    return {**told, "url": file.url, "fileLength": str(file.size_bytes)}


def _location(details: Json) -> Json:
    told = {"degreesLatitude": details["latitude"], "degreesLongitude": details["longitude"]}
    return told | {name: details[name] for name in ("name", "address") if details.get(name)}


def _card(details: Json) -> Json:
    name, phone = details["name"], details["phone"]
    vcard = f"BEGIN:VCARD\nVERSION:3.0\nFN:{name}\nTEL;type=CELL;waid={phone}:+{phone}\nEND:VCARD"
    return {"displayName": name, "vcard": vcard}


def _choice(choice: Choice | None) -> Json:
    if choice is None:
        return {"buttonsResponseMessage": {}}
    match choice.how:
        case How.BUTTON:
            told = {"selectedButtonId": choice.id, "selectedDisplayText": choice.title}
            return {"buttonsResponseMessage": told}
        case How.LIST:
            row = {"title": choice.title, "singleSelectReply": {"selectedRowId": choice.id}}
            return {"listResponseMessage": row}
        case How.TEMPLATE:
            return {
                "templateButtonReplyMessage": {"selectedId": choice.id, "selectedDisplayText": choice.title}
            }
        case How.INTERACTIVE:
            params = orjson.dumps({"id": choice.id}).decode()
            flow = {"name": "quick_reply", "paramsJson": params}
            return {
                "interactiveResponseMessage": {
                    "body": {"text": choice.title},
                    "nativeFlowResponseMessage": flow,
                }
            }


def _key(target: Quoted | None, jid: str) -> Json:
    if target is None:
        return {}
    return {"remoteJid": jid, "fromMe": target.by_business, "id": target.id}


def _quote(told: Json, quoted: Quoted, jid: str) -> None:
    """Put the quoted message beside the content; its participant is its author, never the sender."""
    [body] = told.values()
    if isinstance(body, dict):
        body["contextInfo"] = {
            "stanzaId": quoted.id,
            "participant": BUSINESS_JID if quoted.by_business else jid,
            "quotedMessage": {"conversation": quoted.text},
        }


_CONTENTS: dict[Kind, Callable[[Said, str], Json]] = {
    Kind.TEXT: _text,
    **dict.fromkeys(FILES, _media),
    Kind.LOCATION: lambda said, _jid: {"locationMessage": _location(said.details)},
    Kind.CONTACT: lambda said, _jid: {"contactMessage": _card(said.details)},
    Kind.CHOICE: lambda said, _jid: _choice(said.choice),
    Kind.REACTION: _reaction,
    Kind.EDIT: _edit,
    Kind.DELETE: _delete,
    **dict.fromkeys((*META_ALONE, Kind.UNKNOWN), _something_new),
}
