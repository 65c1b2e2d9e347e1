"""The jobs page: a business's own work alone, how far it is, what holds it up, and why it failed."""

from __future__ import annotations

import re
from uuid import uuid4

import httpx
import pytest

from server.queue.ledger import WAITS_FOR_UPGRADE
from tests.web.conftest import Shops
from tests.web.work import effect_of, post, put_effect, put_job, put_pause, put_progress, state_of


async def test_an_empty_page_says_so_kindly(dana: httpx.AsyncClient) -> None:
    page = (await dana.get("/jobs")).text
    for words in ("All is well", "Nothing is in doubt", "Nothing runs", "Nothing waits"):
        assert words in page
    assert page.count('data-amount="none"') == 6


@pytest.mark.parametrize(
    ("state", "reason", "words", "todo"),
    [
        ("failed", "ProviderDownError: no line", "could not be reached", "whether WhatsApp is connected"),
        ("failed", "TimeoutError", "took too long", "Run it again."),
        ("failed", "KeyError", "broke on our side", "tell whoever runs this system"),
        ("failed", "The number is not on WhatsApp.", "was refused", "Put right what the reason says"),
        ("failed", None, "broke on our side", "tell whoever runs this system"),
        ("quarantined", "its process died 3 times", "set aside", "once they have found the cause"),
        ("expired", "its time passed before it could run", "Its time passed", "if it is still wanted"),
    ],
)
async def test_what_failed_is_said_in_words_with_the_reason_beside_them(
    dana: httpx.AsyncClient, shops: Shops, state: str, reason: str | None, words: str, todo: str
) -> None:
    await put_job(shops.dana, "webhook_process_job-1-a", state, reason, attempts=4)
    page = (await dana.get("/jobs")).text
    for said in (
        words,
        todo,
        reason or "",
        "A customer&#39;s message",
        "webhook_process_job-1-a",
        "Try 4 of 4",
    ):
        assert said in page


async def test_a_kind_without_words_is_told_by_its_name(dana: httpx.AsyncClient, shops: Shops) -> None:
    await put_job(shops.dana, "push_send_job-1-a", "failed", "KeyError", kind="push_send_job")
    assert ">push send<" in (await dana.get("/jobs")).text


async def test_what_runs_waits_and_is_being_checked_is_listed(dana: httpx.AsyncClient, shops: Shops) -> None:
    story = shops.dana
    await put_job(story, "webhook_process_job-1-run", "running")
    await put_job(story, "webhook_process_job-1-wait", "ready")
    conversation = await story.meet("Yossi")
    question = await story.writes(conversation, "price?")
    await story.says(conversation, "180", answers=question, effect_key="reply:1", status="unknown")
    await put_effect(story, "reply:1", "unknown")
    page = (await dana.get("/jobs")).text
    assert "1 waiting · 1 running" in page
    assert "Message to Yossi" in page
    assert f'href="/inbox/{conversation}"' in page
    assert "WhatsApp did not say whether it took it." in page
    for name in ("run", "wait"):
        assert (
            f'name="job" data-show="stop" data-put="value:stop" value="webhook_process_job-1-{name}"' in page
        )
    for button in ("received", "not_received"):
        assert f'name="{button}" data-put="value:id" value="reply:1"' in page


async def test_a_long_list_is_cut_and_says_so(dana: httpx.AsyncClient, shops: Shops) -> None:
    for number in range(51):
        await put_job(shops.dana, f"webhook_process_job-1-{number}", "failed", "KeyError")
    page = (await dana.get("/jobs")).text
    assert page.count('data-id="webhook_process_job-1-') == 50
    assert page.count('data-amount="more"') == 1


async def test_another_business_s_work_is_not_there(
    dana: httpx.AsyncClient, noa: httpx.AsyncClient, shops: Shops
) -> None:
    await put_job(shops.dana, "webhook_process_job-1-bad", "failed", "KeyError")
    await put_job(shops.dana, "webhook_process_job-1-wait", "ready")
    await put_job(shops.dana, "webhook_process_job-1-run", "running")
    await put_effect(shops.dana, "reply:1", "unknown")
    await put_pause(shops.dana, "business", str(shops.dana.business_id))
    page = (await noa.get("/jobs?lang=en")).text
    assert page.count('data-amount="none"') == 6
    assert "webhook_process_job-1" not in page

    chosen = {"job:webhook_process_job-1-bad": "on"}
    assert "None of these" in (await post(noa, "/jobs/again", **chosen)).text
    for fields in (chosen, {"what": "all"}):
        answer = await post(noa, "/jobs/again", sure="yes", **fields)
        assert answer.headers["location"] == "/jobs?said=nothing&count=0"
    for job_id in ("webhook_process_job-1-wait", "webhook_process_job-1-run"):
        answer = await post(noa, "/jobs/cancel", job=job_id, sure="yes")
        assert answer.headers["location"] == "/jobs?said=too_late"
    for button in ("received", "not_received"):
        answer = await post(noa, "/jobs/settle", sure="yes", **{button: "reply:1"})
        assert answer.headers["location"] == "/jobs?said=known"
    assert await effect_of(shops.dana, "reply:1") == "unknown"
    assert await state_of(shops.dana, "webhook_process_job-1-bad") == "failed"
    assert await state_of(shops.dana, "webhook_process_job-1-wait") == "ready"
    asked = await shops.dana.connection.fetchval("SELECT count(*) FROM job WHERE cancel_asked_at IS NOT NULL")
    assert asked == 0


async def test_a_job_tells_whose_message_it_is_about_and_leads_there(
    dana: httpx.AsyncClient, shops: Shops
) -> None:
    story = shops.dana
    conversation = await story.meet("Yossi")
    event_id = await story.arrives("W1")
    await story.writes(conversation, "price?", provider_id="W1", event_id=event_id)
    await put_job(story, "webhook_process_job-1-a", "failed", "KeyError", event_id=event_id)
    await put_job(story, "webhook_process_job-1-b", "failed", "KeyError", event_id=uuid4())
    page = (await dana.get("/jobs")).text
    ended = page[page.index('id="ended"') : page.index('id="ended-template"')]
    assert ended.count("Yossi") == 1
    assert ended.count(f'href="/inbox/{conversation}"') == 1


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("ProviderDownError: no line", "could not be reached"),
        ("whatsapp_bridge is not called for 5.7 s", "could not be reached"),
        (WAITS_FOR_UPGRADE, "waits for an update"),
        ("its worker is stopping or lost its lease", ""),
    ],
)
async def test_what_is_tried_again_says_when_and_why_it_has_to(
    dana: httpx.AsyncClient, shops: Shops, reason: str, words: str
) -> None:
    await put_job(shops.dana, "webhook_process_job-1-a", "ready", reason, attempts=2)
    await shops.dana.connection.execute("UPDATE job SET due_at = now() + interval '30 s'")
    page = (await dana.get("/jobs")).text
    waiting = page[page.index('id="waiting"') : page.index('id="waiting-template"')]
    for said in ("Next try", "Try 2 of 4", words, reason):
        assert said in waiting
    assert words or 'data-text="why" hidden' in waiting


async def test_progress_carries_its_moment_and_says_when_news_stopped(
    dana: httpx.AsyncClient, shops: Shops
) -> None:
    for name, age_s in (("new", 0), ("old", 11)):
        job_id, counts = f"broadcast_job-1-{name}", {"total": 2000, "done": 1200, "failed": 30, "left": 770}
        await put_job(shops.dana, job_id, "running", kind="broadcast_job")
        await put_progress(shops.dana, job_id, share=615, age_s=age_s, **counts)
    page = (await dana.get("/jobs")).text
    running = page[page.index('id="running"') : page.index('id="running-template"')]
    assert running.count('value="615" aria-valuetext="1,230 of 2,000 · failed 30"') == 2
    assert len(re.findall(r">As of \d\d:\d\d:\d\d<", running)) == 2
    assert re.findall(r'data-stale="(\w*)"', running) == ["", "yes"]


@pytest.mark.parametrize(
    ("sort", "name", "title", "times"),
    [
        ("kind", "webhook_process_job", "All work of this sort: A customer&#39;s message", 1),
        ("queue", "default", "Everything in the line: default", 1),
        ("business", "own", "All work of your business", 1),
        ("business", "9999", "All work of your business", 0),
        ("kind", "inbox_cleanup_job", "inbox cleanup", 0),
        ("queue", "maintenance", "maintenance", 0),
    ],
)
async def test_a_pause_that_concerns_the_owner_says_who_when_and_why(
    dana: httpx.AsyncClient, shops: Shops, sort: str, name: str, title: str, times: int
) -> None:
    await put_job(shops.dana, "webhook_process_job-1-a", "ready")
    name = str(shops.dana.business_id) if name == "own" else name
    await put_pause(shops.dana, sort, name, "<b>moving house")
    page = (await dana.get("/jobs")).text
    for said in (title, "root (prosaas jobs)", "&lt;b&gt;moving house", "waiting for this: 1"):
        assert page.count(said) == times


async def test_a_pause_that_ended_is_not_shown(dana: httpx.AsyncClient, shops: Shops) -> None:
    await put_pause(shops.dana, "queue", "default")
    await shops.dana.connection.execute("UPDATE job_pause SET resumed_at = now(), resumed_by = 'root'")
    assert 'data-part="pauses" data-amount="none"' in (await dana.get("/jobs")).text


async def test_a_reason_is_shown_and_never_obeyed(dana: httpx.AsyncClient, shops: Shops) -> None:
    await put_job(shops.dana, "webhook_process_job-1-a", "failed", "<script>alert(1)</script>\u202etxt")
    page = (await dana.get("/jobs?said=again&count=<b>")).text
    assert "<script>alert" not in page
    assert "\u202e" not in page
    assert "Running again: 0." in page
