"""Meta's error codes of the Cloud API, with the answer that each comes in.

Source: Meta's page "Cloud API error codes"; titles are Meta's words in short.
"""

import secrets

from simulator.jsontypes import Json

BAD_REQUEST = 400

# Code: the answer's status and the title.
CODES: dict[int, tuple[int, str]] = {
    0: (401, "AuthException"),
    1: (400, "API Unknown"),
    2: (503, "API Service"),
    3: (500, "API Method"),
    4: (429, "API Too Many Calls"),
    10: (403, "Permission Denied"),
    33: (400, "Parameter value is not valid"),
    100: (400, "Invalid parameter"),
    190: (401, "Access token has expired"),
    200: (403, "API Permission"),
    368: (403, "Temporarily blocked for policies violations"),
    80007: (429, "Rate limit issues"),
    130429: (429, "Rate limit hit"),
    130472: (400, "User's number is part of an experiment"),
    131000: (500, "Something went wrong"),
    131005: (403, "Access denied"),
    131008: (400, "Required parameter is missing"),
    131009: (400, "Parameter value is not valid"),
    131016: (503, "Service unavailable"),
    131021: (400, "Recipient cannot be sender"),
    131026: (400, "Message undeliverable"),
    131031: (403, "Account has been locked"),
    131042: (400, "Business eligibility payment issue"),
    131045: (400, "Incorrect certificate"),
    131047: (400, "Re-engagement message"),
    131048: (400, "Spam rate limit hit"),
    131049: (400, "This message was not delivered to maintain healthy ecosystem engagement."),
    131050: (400, "User has stopped marketing messages from this business"),
    131051: (400, "Unsupported message type"),
    131052: (400, "Media download error"),
    131053: (400, "Media upload error"),
    131056: (400, "(Business Account, Consumer Account) pair rate limit hit"),
    131057: (503, "Account in maintenance mode"),
    131062: (400, "Authentication templates cannot be sent to a business-scoped user id"),
    132000: (400, "Template param count mismatch"),
    132001: (404, "Template does not exist"),
    132005: (400, "Template hydrated text too long"),
    132007: (400, "Template format character policy violated"),
    132012: (400, "Template parameter format mismatch"),
    132015: (400, "Template is paused"),
    132016: (400, "Template is disabled"),
    132068: (400, "Flow is blocked"),
    132069: (400, "Flow is throttled"),
    133010: (400, "Phone number not registered"),
}
HREF = "https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes/"
_TYPE = "OAuthException"


class MetaError(Exception):
    """A refusal with Meta's code and a sentence that says what is wrong."""

    def __init__(self, code: int, details: str) -> None:
        super().__init__(details)
        self.code = code


def status_of(code: int) -> int:
    """Return the status of the answer that carries a code."""
    return CODES.get(code, (BAD_REQUEST, ""))[0]


def title_of(code: int) -> str:
    """Return what Meta calls the code."""
    return CODES.get(code, (BAD_REQUEST, "Unknown error"))[1]


def error_body(code: int, details: str = "") -> Json:
    """Build the body of a refusing answer."""
    error: Json = {"message": f"(#{code}) {title_of(code)}", "type": _TYPE, "code": code}
    if details:
        error["error_data"] = {"messaging_product": "whatsapp", "details": details}
    return {"error": {**error, "fbtrace_id": f"A{secrets.token_urlsafe(16)}"}}


def failure(code: int) -> Json:
    """Build the entry of a failed status's `errors`."""
    title = title_of(code)
    return {
        "code": code,
        "title": title,
        "message": title,
        "error_data": {"details": f"{title} (simulated)"},
        "href": HREF,
    }
