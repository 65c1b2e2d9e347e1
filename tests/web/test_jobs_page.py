"""The jobs page: a business's own work alone, why it failed, and what a member does about it."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.web.conftest import Shops, form_token
from tests.web.site import Site
from tests.web.story import Story

JOB = """
INSERT INTO job (id, business_id, kind, queue, urgency, state, reason, attempts, started_at, finished_at)
VALUES ($1, $2, $3, 'default', 0, $4, $5, $6, now(), CASE WHEN $4 NOT IN ('ready', 'running') THEN now() END)
"""
EFFECT = """
INSERT INTO effect (key, business_id, provider, job_id, state, reason, sending_at)
VALUES ($1, $2, 'whatsapp_bridge', $3, $4, 'the connection broke', now())
"""


async def _job(story: Story, job_id: str, state: str, reason: str | None = None, **more: Any) -> None:
    await story.connection.execute(
        JOB,
        *(job_id, story.business_id, more.get("kind", "webhook_process_job"), state, reason),
        more.get("attempts", 1),
    )


async def _effect(story: Story, key: str, state: str, job_id: str | None = None) -> None:
    await story.connection.execute(EFFECT, key, story.business_id, job_id, state)


async def _state(story: Story, job_id: str) -> str:
    return str(await story.connection.fetchval("SELECT state FROM job WHERE id = $1", job_id))


async def _post(browser: httpx.AsyncClient, path: str, **fields: str) -> httpx.Response:
    token = form_token(await browser.get("/inbox"))
    return await browser.post(path, data={"csrf": token} | fields)


async def test_an_empty_page_says_so_kindly(dana: httpx.AsyncClient) -> None:
    page = (await dana.get("/jobs")).text
    for words in ("All is well", "Nothing is in doubt", "Nothing runs", "Nothing waits"):
        assert words in page
    assert page.count('data-amount="none"') == 5


@pytest.mark.parametrize(
    ("state", "reason", "words"),
    [
        ("failed", "ProviderDownError: no line", "could not be reached"),
        ("failed", "TimeoutError", "took too long"),
        ("failed", "KeyError", "broke on our side"),
        ("failed", "The number is not on WhatsApp.", "was refused"),
        ("failed", None, "broke on our side"),
        ("quarantined", "its process died 3 times", "set aside"),
        ("expired", "its time passed before it could run", "Its time passed"),
    ],
)
async def test_what_failed_is_said_in_words_with_the_reason_beside_them(
    dana: httpx.AsyncClient, shops: Shops, state: str, reason: str | None, words: str
) -> None:
    await _job(shops.dana, "webhook_process_job-1-a", state, reason, attempts=4)
    page = (await dana.get("/jobs")).text
    for said in (words, reason or "", "A customer&#39;s message", "webhook_process_job-1-a", "Try 4"):
        assert said in page


async def test_a_kind_without_words_is_told_by_its_name(dana: httpx.AsyncClient, shops: Shops) -> None:
    await _job(shops.dana, "push_send_job-1-a", "failed", "KeyError", kind="push_send_job")
    assert ">push send<" in (await dana.get("/jobs")).text


async def test_what_runs_waits_and_is_being_checked_is_listed(dana: httpx.AsyncClient, shops: Shops) -> None:
    story = shops.dana
    await _job(story, "webhook_process_job-1-run", "running")
    await _job(story, "webhook_process_job-1-wait", "ready")
    conversation = await story.meet("Yossi")
    question = await story.writes(conversation, "price?")
    await story.says(conversation, "180", answers=question, effect_key="reply:1", status="unknown")
    await _effect(story, "reply:1", "unknown")
    page = (await dana.get("/jobs")).text
    assert "1 waiting · 1 running" in page
    assert "Message to Yossi" in page
    assert f'href="/inbox/{conversation}"' in page
    assert "WhatsApp did not say whether it took it." in page
    assert 'name="job" data-put="value:id" value="webhook_process_job-1-wait"' in page


async def test_a_long_list_is_cut_and_says_so(dana: httpx.AsyncClient, shops: Shops) -> None:
    for number in range(51):
        await _job(shops.dana, f"webhook_process_job-1-{number}", "failed", "KeyError")
    page = (await dana.get("/jobs")).text
    assert page.count('data-id="webhook_process_job-1-') == 50
    assert page.count('data-amount="more"') == 1


async def test_another_business_s_work_is_not_there(
    dana: httpx.AsyncClient, noa: httpx.AsyncClient, shops: Shops
) -> None:
    await _job(shops.dana, "webhook_process_job-1-bad", "failed", "KeyError")
    await _job(shops.dana, "webhook_process_job-1-wait", "ready")
    await _effect(shops.dana, "reply:1", "unknown")
    page = (await noa.get("/jobs?lang=en")).text
    assert page.count('data-amount="none"') == 5
    assert "webhook_process_job-1" not in page

    chosen = {"job:webhook_process_job-1-bad": "on"}
    assert "None of these" in (await _post(noa, "/jobs/again", **chosen)).text
    for fields in (chosen, {"what": "all"}):
        answer = await _post(noa, "/jobs/again", sure="yes", **fields)
        assert answer.headers["location"] == "/jobs?said=nothing&count=0"
    answer = await _post(noa, "/jobs/cancel", job="webhook_process_job-1-wait")
    assert answer.headers["location"] == "/jobs?said=too_late"
    assert await _state(shops.dana, "webhook_process_job-1-bad") == "failed"
    assert await _state(shops.dana, "webhook_process_job-1-wait") == "ready"


async def test_running_again_is_shown_before_it_is_done(dana: httpx.AsyncClient, shops: Shops) -> None:
    for name, state in (("a", "failed"), ("b", "quarantined"), ("c", "failed"), ("d", "expired")):
        await _job(shops.dana, f"webhook_process_job-1-{name}", state, "KeyError")
    await _effect(shops.dana, "reply:1", "sent", "webhook_process_job-1-c")

    preview = await _post(dana, "/jobs/again", what="all")
    for words in ("To run again: 3.", "whose time had passed: 1.", "may have been: 1."):
        assert words in preview.text
    assert await _state(shops.dana, "webhook_process_job-1-a") == "failed"

    done = await _post(dana, "/jobs/again", what="all", sure="yes")
    assert (done.status_code, done.headers["location"]) == (303, "/jobs?said=again&count=3")
    assert "Running again: 3." in (await dana.get(done.headers["location"])).text
    states = [await _state(shops.dana, f"webhook_process_job-1-{name}") for name in "abcd"]
    assert states == ["ready", "ready", "failed", "ready"]


async def test_only_what_is_ticked_runs_again_and_the_deed_is_recorded_without_an_address(
    dana: httpx.AsyncClient, shops: Shops
) -> None:
    for name in "ab":
        await _job(shops.dana, f"webhook_process_job-1-{name}", "failed", "KeyError")
    chosen = {"what": "chosen", "job:webhook_process_job-1-a": "on"}
    preview = await _post(dana, "/jobs/again", **chosen)
    assert 'name="job:webhook_process_job-1-a"' in preview.text
    await _post(dana, "/jobs/again", sure="yes", **chosen)
    assert await _state(shops.dana, "webhook_process_job-1-a") == "ready"
    assert await _state(shops.dana, "webhook_process_job-1-b") == "failed"
    actor = await shops.dana.connection.fetchval("SELECT actor FROM job_audit")
    user_id = await shops.dana.connection.fetchval(
        "SELECT id FROM user_account WHERE email = 'dana@example.com'"
    )
    assert actor == f"member {user_id}"


async def test_a_whole_page_may_be_ticked(dana: httpx.AsyncClient, shops: Shops) -> None:
    names = [f"webhook_process_job-1-{number:0>90}" for number in range(50)]
    for name in names:
        await _job(shops.dana, name, "failed", "KeyError")
    chosen = {f"job:{name}": "on" for name in names}
    answer = await _post(dana, "/jobs/again", sure="yes", what="chosen", **chosen)
    assert answer.headers["location"] == "/jobs?said=again&count=50"


async def test_ticking_nothing_runs_nothing(dana: httpx.AsyncClient, shops: Shops) -> None:
    await _job(shops.dana, "webhook_process_job-1-a", "failed", "KeyError")
    answer = await _post(dana, "/jobs/again", what="chosen", sure="yes")
    assert answer.headers["location"] == "/jobs?said=nothing"
    assert await _state(shops.dana, "webhook_process_job-1-a") == "failed"


@pytest.mark.parametrize("nonsense", ["", "\x00", "א", "x" * 200, "'; DROP TABLE job --"])
async def test_nonsense_for_an_id_does_nothing(dana: httpx.AsyncClient, shops: Shops, nonsense: str) -> None:
    ticked = await _post(dana, "/jobs/again", **{f"job:{nonsense}": "on"})
    assert ticked.headers["location"] == "/jobs?said=nothing"
    cancelled = await _post(dana, "/jobs/cancel", job=nonsense)
    assert cancelled.headers["location"] == "/jobs?said=too_late"


async def test_a_waiting_job_is_cancelled_once(dana: httpx.AsyncClient, shops: Shops) -> None:
    await _job(shops.dana, "webhook_process_job-1-a", "ready")
    first = await _post(dana, "/jobs/cancel", job="webhook_process_job-1-a")
    second = await _post(dana, "/jobs/cancel", job="webhook_process_job-1-a")
    assert "It was cancelled." in (await dana.get(first.headers["location"])).text
    assert "It ended before it could be cancelled." in (await dana.get(second.headers["location"])).text
    assert await _state(shops.dana, "webhook_process_job-1-a") == "cancelled"


@pytest.mark.parametrize("path", ["/jobs/again", "/jobs/cancel"])
async def test_a_deed_needs_a_log_in_and_the_page_s_own_token(
    dana: httpx.AsyncClient, site: Site, shops: Shops, path: str
) -> None:
    await _job(shops.dana, "webhook_process_job-1-a", "failed", "KeyError")
    fields = {"what": "all", "sure": "yes", "job": "webhook_process_job-1-a"}
    assert (await dana.post(path, data=fields)).status_code == 403
    assert (await dana.get(path)).status_code == 405
    async with site.visitor() as stranger:
        assert (await stranger.post(path, data=fields)).status_code in {401, 403}
        asked = await stranger.get("/jobs")
        assert (asked.status_code, asked.headers["location"]) == (303, "/login?next=/jobs")
    assert await _state(shops.dana, "webhook_process_job-1-a") == "failed"


async def test_a_reason_is_shown_and_never_obeyed(dana: httpx.AsyncClient, shops: Shops) -> None:
    await _job(shops.dana, "webhook_process_job-1-a", "failed", "<script>alert(1)</script>\u202etxt")
    page = (await dana.get("/jobs?said=again&count=<b>")).text
    assert "<script>alert" not in page
    assert "\u202e" not in page
    assert "Running again: 0." in page
