"""Meta's error codes: what each means for the business, and what people should do about it.

Source: developers.facebook.com, WhatsApp Cloud API, "Error codes". A message is sent by a POST that
is not idempotent: only an error of which Meta says that nothing was sent lets it be sent again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import httpx

from server.errors import (
    ProviderBusyError,
    ProviderDownError,
    ProviderError,
    ProviderRefusedError,
    ProviderUnknownError,
    RecipientBusyError,
    Refusal,
)
from server.ports import ChannelAccount
from server.providers.answers import json_object, retry_after_s
from server.providers.loose_json import long_of, object_of, text_of

# One message in six seconds to one customer.
PAIR_WAIT_S = 6.0
PAIR_RATE = 131056
THROTTLED = frozenset({4, 80007, 130429, 133016})
# Something went wrong at Meta, and nobody says how far the message had come.
IN_DOUBT = frozenset({1, 2, 131000, 131016, 133004})
FIRST_FAULT = 500
LONGEST_WORDS = 300


@dataclass(frozen=True)
class Meaning:
    """What a code means, and what to do, in words that follow the account's name."""

    words: str
    refusal: Refusal = Refusal.OTHER


_LOGIN = Meaning(
    "no longer accepts the access token: enter a new one under Settings, Channels", Refusal.CREDENTIALS
)
_RIGHTS = Meaning("does not let this token send: give it the WhatsApp rights at Meta", Refusal.CREDENTIALS)
_POLICY = Meaning(
    "is held by Meta for its rules: look into Account quality in Meta's Business Manager", Refusal.POLICY
)
_UNREACHABLE = Meaning("cannot reach this customer: they may have no WhatsApp there", Refusal.UNREACHABLE)
_CLOSED = Meaning("may only send a template: the customer wrote over 24 hours ago", Refusal.WINDOW_CLOSED)

CODES: Mapping[int, Meaning] = {
    0: _LOGIN,
    190: _LOGIN,
    3: _RIGHTS,
    10: _RIGHTS,
    131005: _RIGHTS,
    131042: Meaning("has a problem with its payment: settle it in Meta's billing settings", Refusal.PAYMENT),
    131031: _POLICY,
    131048: _POLICY,
    368: _POLICY,
    130497: Meaning("may not write to customers of that country", Refusal.UNREACHABLE),
    131047: _CLOSED,
    131050: Meaning("may not market to this customer: they opted out", Refusal.OPTED_OUT),
    131026: _UNREACHABLE,
    131030: Meaning("is a test number: add the customer to its allowed numbers at Meta", Refusal.UNREACHABLE),
    131049: Meaning(
        "was held back by Meta's limit on marketing for one person: try a day later", Refusal.CAPPED
    ),
    130472: Meaning("was held back by Meta for an experiment on marketing messages", Refusal.CAPPED),
    131062: Meaning("cannot send a login code to a customer who hides their number", Refusal.UNREACHABLE),
    131021: Meaning("cannot write to its own number"),
    131045: Meaning("is not registered: register the number at Meta", Refusal.CREDENTIALS),
    133010: Meaning("is not registered: register the number at Meta", Refusal.CREDENTIALS),
    131051: Meaning("cannot send this kind of message"),
    131052: Meaning("could not fetch the customer's file: ask them to send it again"),
    131053: Meaning("could not take the file: check its kind and its size"),
    131008: Meaning("did not understand the message: something that it needs is missing"),
    131009: Meaning("did not understand the message: one of its values is wrong"),
    100: Meaning("did not understand the message: one of its values is wrong"),
    33: Meaning("does not know this number: check the phone number id", Refusal.CREDENTIALS),
    132001: Meaning("knows no such template in this language: check it at Meta", Refusal.TEMPLATE),
    132000: Meaning("needs another count of the template's values", Refusal.TEMPLATE),
    132005: Meaning("finds the template's text too long with these values", Refusal.TEMPLATE),
    132007: Meaning("says that the template breaks a rule: change it at Meta", Refusal.TEMPLATE),
    132012: Meaning("finds a value of the template in the wrong form", Refusal.TEMPLATE),
    132015: Meaning("has the template paused for its low quality: change it at Meta", Refusal.TEMPLATE),
    132016: Meaning("has the template switched off for its low quality: make another", Refusal.TEMPLATE),
}
# Whatever else is wrong with a template.
TEMPLATES = range(132000, 133000)
OTHER_TEMPLATE = Meaning("refused the template: look at it in Meta's WhatsApp Manager", Refusal.TEMPLATE)


def meaning_of(code: int) -> Meaning | None:
    """Return what a code means, None for one that nobody knows here."""
    return CODES.get(code) or (OTHER_TEMPLATE if code in TEMPLATES else None)


def failure_of(errors: object) -> dict[str, str]:
    """Return what a failed status says: the reason in words, Meta's code, and what it means."""
    error = object_of(errors[0] if isinstance(errors, list) and errors else errors)
    code = long_of(error.get("code"))
    meaning = None if code is None else meaning_of(code)
    told = text_of(error.get("title")) or text_of(error.get("message")) or "Meta gave no reason"
    words = told if meaning is None else f"The number {meaning.words}"
    found = {"reason": words[:LONGEST_WORDS], "meaning": (meaning or Meaning("")).refusal.value}
    return found if code is None else found | {"code": str(code)}


def error_of(answer: httpx.Response, account: ChannelAccount, *, name: str) -> ProviderError:
    """Return what an answer of 300 or more means for the one request that it answers."""
    error = object_of(json_object(answer).get("error"))
    code, status, channel = long_of(error.get("code")), answer.status_code, str(account.channel_id)
    if code == PAIR_RATE:
        # This customer alone must wait: the account goes on.
        return RecipientBusyError(f"{name} wrote to this customer too fast", retry_after_s=PAIR_WAIT_S)
    if code in THROTTLED or status == httpx.codes.TOO_MANY_REQUESTS:
        wait_s = retry_after_s(answer)
        return ProviderBusyError(f"{name} is asked to slow down", retry_after_s=wait_s, account=channel)
    if code in IN_DOUBT or (status >= FIRST_FAULT and (code is None or meaning_of(code) is None)):
        return ProviderUnknownError(
            f"{name} had a fault at Meta ({_shown(code, status)}): it may have been sent", account=channel
        )
    if status == httpx.codes.REQUEST_TIMEOUT:
        return ProviderDownError(f"{name}: Meta did not receive the whole message", account=channel)
    if status < httpx.codes.BAD_REQUEST:
        return ProviderRefusedError(f"{name}: the address of Meta's API moved elsewhere", account=channel)
    meaning = None if code is None else meaning_of(code)
    if meaning is None and status == httpx.codes.UNAUTHORIZED:
        meaning = _LOGIN
    words = f"was refused by Meta ({_shown(code, status)})" if meaning is None else meaning.words
    return ProviderRefusedError(
        f"{name} {words}",
        account=channel,
        meaning=(meaning or Meaning("")).refusal,
        code="" if code is None else str(code),
    )


def _shown(code: int | None, status: int) -> str:
    return f"status {status}" if code is None else f"code {code}"
