"""Signatures as the standard's own vector has them, waits, and addresses that are taken."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domains.integrations.rules import (
    BACKOFF_S,
    EVENTS,
    Signed,
    Verdict,
    body_of,
    checked_events,
    checked_url,
    headers_of,
    is_secret,
    new_secret,
    signature,
    verdict_of,
    wait_s,
    why_not,
)
from server.errors import BadInputError
from tests.domains.integrations.conftest import signed_with

AT = datetime(2026, 2, 1, tzinfo=UTC)


def test_the_standards_own_vector_is_reproduced():
    told = b'msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{"test": 2432232314}'

    signed = signature("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", told)

    assert signed == "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@given(st.text(max_size=200))
def test_any_text_is_signed_as_the_bytes_that_are_sent(message):
    secret = new_secret()
    body = body_of("whatsapp_incoming", AT, {"message": message.encode(errors="replace").decode()})
    signed = Signed(UUID(int=1), "whatsapp_incoming", body, [secret])

    headers = headers_of(signed, AT)

    assert signed_with(secret, headers, body)
    assert headers["x-prosaas-signature"] == hmac.digest(secret.encode(), body, hashlib.sha256).hex()


def test_hebrew_goes_out_as_it_is_written():
    assert "שלום".encode() in body_of("whatsapp_incoming", AT, {"message": "שלום"})


def test_every_try_has_the_same_id_and_its_own_moment():
    signed = Signed(UUID(int=1), "lead.created", b"{}", [new_secret()])

    first, second = headers_of(signed, AT), headers_of(signed, datetime(2026, 2, 2, tzinfo=UTC))

    assert first["webhook-id"] == second["webhook-id"]
    assert first["webhook-timestamp"] != second["webhook-timestamp"]
    assert first["webhook-signature"] != second["webhook-signature"]


def test_while_a_secret_changes_both_sign():
    new, old = new_secret(), new_secret()
    headers = headers_of(Signed(UUID(int=1), "lead.created", b"{}", [new, old]), AT)

    assert signed_with(new, headers, b"{}")
    assert signed_with(old, headers, b"{}")
    assert not signed_with(new_secret(), headers, b"{}")


@pytest.mark.parametrize(
    ("status", "retry_after_s", "verdict"),
    [
        (200, None, Verdict.DELIVERED),
        (204, None, Verdict.DELIVERED),
        (301, None, Verdict.AGAIN),
        (400, None, Verdict.AGAIN),
        (404, None, Verdict.AGAIN),
        (410, None, Verdict.GONE),
        (429, 7.0, Verdict.BUSY),
        (429, None, Verdict.AGAIN),
        (503, 7.0, Verdict.BUSY),
        (500, 7.0, Verdict.AGAIN),
    ],
)
def test_what_an_answer_means(status, retry_after_s, verdict):
    assert verdict_of(status, retry_after_s=retry_after_s) is verdict


def test_a_workflow_that_is_not_active_is_told_in_words():
    answer = '{"code":404,"message":"The requested webhook \\"POST prosaas\\" is not registered."}'

    assert "activate the workflow" in why_not(404, answer)


def test_waits_grow_to_a_day_in_all():
    waits = [wait_s(index, dice=0.5) for index in range(len(BACKOFF_S) + 1)]

    assert waits[:3] == [5, 300, 1800]
    assert waits[-1] is None
    assert 20 * 3600 < sum(BACKOFF_S) < 24 * 3600


@given(st.integers(0, len(BACKOFF_S) - 1), st.floats(0, 1), st.floats(0, 3600))
def test_a_wait_is_near_its_step_and_never_sooner_than_asked(index, dice, asked_s):
    wait = wait_s(index, dice=dice, asked_s=asked_s)

    assert wait is not None
    assert wait >= asked_s
    assert wait >= 0.79 * BACKOFF_S[index]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "n8n.example/hook",
        "ftp://n8n.example/hook",
        "file:///etc/passwd",
        "https://",
        "https://dana:secret@n8n.example/hook",
        "https://n8n.example:22/hook",
        "https://n8n.example:99999/hook",
        "https://n8n.example/hook#part",
        "https://n8n.example/a b",
        "https://n8n.example/\u202egnp",
        "https://[::1",
        "https://n8n.example/" + "x" * 2000,
    ],
)
def test_what_is_no_address_for_events_is_refused_with_words(url):
    with pytest.raises(BadInputError, match=r"\w"):
        checked_url(url)


@pytest.mark.parametrize("url", ["https://n8n.example/webhook/a?b=c", "http://10.0.0.5:5678/webhook/x"])
def test_an_address_is_taken_as_it_is_written(url):
    assert checked_url(f" {url} ") == url


def test_events_are_kept_in_their_order_and_unknown_ones_left_out():
    assert checked_events(["lead.created", "nonsense", "whatsapp_incoming"]) == [
        "whatsapp_incoming",
        "lead.created",
    ]
    with pytest.raises(BadInputError):
        checked_events(["nonsense"])
    assert len(set(EVENTS)) == len(EVENTS)


def test_a_secret_is_long_enough_to_sign():
    assert is_secret(new_secret())
    assert not is_secret("whsec_c2hvcnQ=")
    assert not is_secret("whsec_not base64 at all!")
