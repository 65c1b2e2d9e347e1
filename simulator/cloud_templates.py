"""The templates that the simulated WhatsApp account has, as Meta lists them."""

import re

from simulator.cloud_errors import MetaError
from simulator.jsontypes import Json

VARIABLE = re.compile(r"\{\{\s*(\w+)\s*\}\}", re.ASCII)
APPROVED = "APPROVED"
_STATUS_CODES = {"PAUSED": 132015, "DISABLED": 132016}


def _template(number: int, name: str, language: str, category: str, body: str, **more: object) -> Json:
    part: Json = {"type": "BODY", "text": body}
    variables = VARIABLE.findall(body)
    if variables:
        part["example"] = {"body_text": [[f"example {name}" for name in variables]]}
    header = more.pop("header", None)
    components: list[Json] = [{"type": "HEADER", **header}, part] if isinstance(header, dict) else [part]
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
    _template(
        9,
        "order_ready",
        "he",
        "UTILITY",
        "שלום {{1}}, ההזמנה שלך מוכנה. אפשר לאסוף עד {{2}}.",
        header={"format": "TEXT", "text": "הזמנה {{1}}"},
        buttons=[
            {"type": "URL", "text": "מעקב", "url": "https://shop.test/orders/{{1}}"},
            {"type": "PHONE_NUMBER", "text": "התקשרו", "phone_number": "+97230000000"},
        ],
    ),
    _template(
        10,
        "new_doors",
        "he",
        "UTILITY",
        "שלום {{1}}, כך נראית הדלת שהזמנת.",
        header={"format": "IMAGE", "example": {"header_handle": ["4::aW1hZ2UvcG5n"]}},
        buttons=_YES_NO_HEBREW,
    ),
    _template(
        11,
        "invoice",
        "en",
        "UTILITY",
        "Hello {{first_name}}, here is your invoice of {{month}}.",
        header={"format": "DOCUMENT", "example": {"header_handle": ["4::YXBwbGljYXRpb24"]}},
        parameter_format="NAMED",
    ),
    _template(
        12,
        "clip",
        "he",
        "UTILITY",
        "כך פותחים את המנעול החדש.",
        header={"format": "VIDEO", "example": {"header_handle": ["4::dmlkZW8vbXA0"]}},
    ),
    _template(
        13,
        "coupon",
        "he",
        "MARKETING",
        "הנחה של {{1}} אחוזים, רק השבוע.",
        buttons=[
            {"type": "COPY_CODE", "text": "העתקת הקוד", "example": "25OFF"},
            {"type": "QUICK_REPLY", "text": "לא מעוניין"},
        ],
    ),
    _template(
        14,
        "where_we_are",
        "he",
        "UTILITY",
        "אנחנו כאן.",
        header={"format": "LOCATION"},
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
