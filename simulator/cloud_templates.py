"""The templates that the simulated WhatsApp account has, as Meta lists them."""

import re

from simulator.cloud_errors import MetaError
from simulator.jsontypes import Json

_VARIABLE = re.compile(r"\{\{\s*(\w+)\s*\}\}", re.ASCII)
APPROVED = "APPROVED"
_STATUS_CODES = {"PAUSED": 132015, "DISABLED": 132016}


def _template(number: int, name: str, language: str, category: str, body: str, **more: object) -> Json:
    components: list[Json] = [{"type": "BODY", "text": body}]
    variables = _VARIABLE.findall(body)
    if variables:
        components[0]["example"] = {"body_text": [[f"example {name}" for name in variables]]}
    buttons = more.pop("buttons", None)
    if buttons:
        components.append({"type": "BUTTONS", "buttons": buttons})
    return {
        "id": str(594425479261596 + number),
        "name": name,
        "language": language,
        "category": category,
        "status": APPROVED,
        "parameter_format": "POSITIONAL",
        "components": components,
        **more,
    }


_YES_NO_HEBREW = [{"type": "QUICK_REPLY", "text": "מאשר"}, {"type": "QUICK_REPLY", "text": "לא יכול"}]
_YES_NO_ENGLISH = [{"type": "QUICK_REPLY", "text": "Yes"}, {"type": "QUICK_REPLY", "text": "I cannot"}]

TEMPLATES: tuple[Json, ...] = (
    _template(1, "hello_world", "en_US", "UTILITY", "Welcome and congratulations!"),
    _template(
        2,
        "appt_reminder",
        "he",
        "UTILITY",
        "שלום {{1}}, מזכירים את התור שלך ב-{{2}}.",
        buttons=_YES_NO_HEBREW,
    ),
    _template(
        3,
        "appt_reminder",
        "en",
        "UTILITY",
        "Hello {{1}}, a reminder of your appointment at {{2}}.",
        buttons=_YES_NO_ENGLISH,
    ),
    _template(4, "back_to_you", "he", "UTILITY", "שלום {{1}}, חזרנו אליך. אפשר להמשיך כאן?"),
    _template(5, "back_to_you", "en", "UTILITY", "Hello {{1}}, we are back. Shall we go on here?"),
    _template(6, "spring_offer", "he", "MARKETING", "מבצע אביב: החלפת צילינדר ב-{{1}} ש״ח."),
    _template(7, "old_offer", "he", "MARKETING", "מבצע שהושהה.", status="PAUSED"),
    _template(
        8,
        "refused_offer",
        "he",
        "MARKETING",
        "מבצע שנדחה.",
        status="REJECTED",
        rejected_reason="PROMOTIONAL",
    ),
)


def find_template(templates: list[Json], name: str, language: str) -> Json:
    """Return the template that may be sent; raises MetaError 132001, 132015 or 132016."""
    for template in templates:
        if (template["name"], template["language"]) == (name, language):
            if template["status"] == APPROVED:
                return template
            code = _STATUS_CODES.get(template["status"], 132001)
            raise MetaError(code, f"template ({name}) in {language} is {template['status']}")
    raise MetaError(132001, f"template name ({name}) does not exist in {language}")


def filled(template: Json, components: list[Json]) -> str:
    """Return the words that the customer reads; raises MetaError 132000 for a wrong number of values."""
    body = next(part["text"] for part in template["components"] if part["type"] == "BODY")
    variables = list(dict.fromkeys(_VARIABLE.findall(body)))
    given = [part for part in components if str(part.get("type")).lower() == "body"]
    values = given[0].get("parameters", []) if given else []
    if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
        raise MetaError(131009, "parameters must be a list of objects")
    if len(values) != len(variables):
        raise MetaError(
            132000,
            f"body: number of localizable_params ({len(values)}) does not match the expected number "
            f"of params ({len(variables)})",
        )
    by_name = dict(zip(variables, values, strict=True))
    named = {str(value.get("parameter_name")): value for value in values if value.get("parameter_name")}
    return _VARIABLE.sub(lambda found: _words((by_name | named)[found[1]]), body)


def buttons_of(template: Json) -> list[str]:
    """Return the words on the quick-reply buttons, in order."""
    parts = [part for part in template["components"] if part["type"] == "BUTTONS"]
    return [button["text"] for part in parts for button in part["buttons"] if button["type"] == "QUICK_REPLY"]


def _words(value: Json) -> str:
    text = value.get("text") or value.get("fallback_value") or ""
    if not isinstance(text, str) or not text.strip():
        raise MetaError(132012, "a parameter of the template has no text")
    if "\n" in text or "\t" in text:
        raise MetaError(132007, "a parameter of the template holds a new line or a tab")
    return text
