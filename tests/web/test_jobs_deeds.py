"""What an owner does on the jobs page: asked first, done once, recorded; and nobody else does it."""

from __future__ import annotations

import httpx
import pytest

from tests.web.conftest import Shops
from tests.web.site import Site
from tests.web.work import effect_of, post, put_effect, put_job, state_of


async def test_running_again_is_shown_before_it_is_done(dana: httpx.AsyncClient, shops: Shops) -> None:
    for name, state in (("a", "failed"), ("b", "quarantined"), ("c", "failed"), ("d", "expired")):
        await put_job(shops.dana, f"webhook_process_job-1-{name}", state, "KeyError")
    await put_effect(shops.dana, "reply:1", "sent", "webhook_process_job-1-c")

    preview = await post(dana, "/jobs/again", what="all")
    for words in ("To run again: 3.", "whose time had passed: 1.", "may have been: 1."):
        assert words in preview.text
    assert await state_of(shops.dana, "webhook_process_job-1-a") == "failed"

    done = await post(dana, "/jobs/again", what="all", sure="yes")
    assert (done.status_code, done.headers["location"]) == (303, "/jobs?said=again&count=3")
    assert "Running again: 3." in (await dana.get(done.headers["location"])).text
    states = [await state_of(shops.dana, f"webhook_process_job-1-{name}") for name in "abcd"]
    assert states == ["ready", "ready", "failed", "ready"]


async def test_only_what_is_ticked_runs_again_and_the_deed_is_recorded_without_an_address(
    dana: httpx.AsyncClient, shops: Shops
) -> None:
    for name in "ab":
        await put_job(shops.dana, f"webhook_process_job-1-{name}", "failed", "KeyError")
    chosen = {"what": "chosen", "job:webhook_process_job-1-a": "on"}
    preview = await post(dana, "/jobs/again", **chosen)
    assert 'name="job:webhook_process_job-1-a"' in preview.text
    await post(dana, "/jobs/again", sure="yes", **chosen)
    assert await state_of(shops.dana, "webhook_process_job-1-a") == "ready"
    assert await state_of(shops.dana, "webhook_process_job-1-b") == "failed"
    actor = await shops.dana.connection.fetchval("SELECT actor FROM job_audit")
    user_id = await shops.dana.connection.fetchval(
        "SELECT id FROM user_account WHERE email = 'dana@example.com'"
    )
    assert actor == f"member {user_id}"


async def test_a_whole_page_may_be_ticked(dana: httpx.AsyncClient, shops: Shops) -> None:
    names = [f"webhook_process_job-1-{number:0>90}" for number in range(50)]
    for name in names:
        await put_job(shops.dana, name, "failed", "KeyError")
    chosen = {f"job:{name}": "on" for name in names}
    answer = await post(dana, "/jobs/again", sure="yes", what="chosen", **chosen)
    assert answer.headers["location"] == "/jobs?said=again&count=50"


async def test_ticking_nothing_runs_nothing(dana: httpx.AsyncClient, shops: Shops) -> None:
    await put_job(shops.dana, "webhook_process_job-1-a", "failed", "KeyError")
    answer = await post(dana, "/jobs/again", what="chosen", sure="yes")
    assert answer.headers["location"] == "/jobs?said=nothing"
    assert await state_of(shops.dana, "webhook_process_job-1-a") == "failed"


@pytest.mark.parametrize("nonsense", ["", "\x00", "א", "x" * 200, "'; DROP TABLE job --"])
async def test_nonsense_for_an_id_does_nothing(dana: httpx.AsyncClient, shops: Shops, nonsense: str) -> None:
    ticked = await post(dana, "/jobs/again", **{f"job:{nonsense}": "on"})
    assert ticked.headers["location"] == "/jobs?said=nothing"
    cancelled = await post(dana, "/jobs/cancel", job=nonsense, sure="yes")
    assert cancelled.headers["location"] == "/jobs?said=too_late"
    settled = await post(dana, "/jobs/settle", received=nonsense, sure="yes")
    assert settled.headers["location"] == "/jobs?said=known"


@pytest.mark.parametrize(
    ("state", "said", "becomes"),
    [("ready", "It was cancelled.", "cancelled"), ("running", "It is being stopped.", "running")],
)
async def test_a_job_is_cancelled_once_its_owner_is_sure(
    dana: httpx.AsyncClient, shops: Shops, state: str, said: str, becomes: str
) -> None:
    job_id = "webhook_process_job-1-a"
    await put_job(shops.dana, job_id, state)
    asked = await post(dana, "/jobs/cancel", job=job_id)
    assert "answer by hand" in asked.text
    assert await state_of(shops.dana, job_id) == state

    done = await post(dana, "/jobs/cancel", job=job_id, sure="yes")
    assert said in (await dana.get(done.headers["location"])).text
    assert await state_of(shops.dana, job_id) == becomes


async def test_a_job_that_is_being_stopped_says_so_and_has_no_button(
    dana: httpx.AsyncClient, shops: Shops
) -> None:
    await put_job(shops.dana, "webhook_process_job-1-a", "running")
    await post(dana, "/jobs/cancel", job="webhook_process_job-1-a", sure="yes")
    page = (await dana.get("/jobs")).text
    running = page[page.index('id="running"') : page.index('id="running-template"')]
    assert ">It is being stopped.<" in running
    assert 'data-put="value:stop" value="" hidden' in running


@pytest.mark.parametrize(
    ("button", "question", "becomes"),
    [
        ("received", "never sent again", "confirmed"),
        ("not_received", "write to the customer by hand", "not_sent"),
    ],
)
async def test_a_sending_in_doubt_is_settled_once_and_after_a_question(
    dana: httpx.AsyncClient, shops: Shops, button: str, question: str, becomes: str
) -> None:
    conversation = await shops.dana.meet("Yossi")
    await shops.dana.says(conversation, "180", effect_key="reply:1", status="unknown")
    await put_effect(shops.dana, "reply:1", "unknown")
    asked = await post(dana, "/jobs/settle", **{button: "reply:1"})
    assert question in asked.text
    assert "Message to Yossi" in asked.text
    assert f'name="{button}" value="reply:1"' in asked.text
    assert await effect_of(shops.dana, "reply:1") == "unknown"

    done = await post(dana, "/jobs/settle", sure="yes", **{button: "reply:1"})
    assert "it is recorded" in (await dana.get(done.headers["location"])).text
    assert await effect_of(shops.dana, "reply:1") == becomes
    again = await post(dana, "/jobs/settle", sure="yes", received="reply:1")
    assert "known already" in (await dana.get(again.headers["location"])).text
    assert await effect_of(shops.dana, "reply:1") == becomes


async def test_a_member_who_is_no_owner_sees_everything_and_can_do_nothing(
    dana: httpx.AsyncClient, shops: Shops
) -> None:
    story = shops.dana
    await put_job(story, "webhook_process_job-1-bad", "failed", "KeyError")
    await put_job(story, "webhook_process_job-1-wait", "ready")
    await put_job(story, "webhook_process_job-1-run", "running")
    await put_effect(story, "reply:1", "unknown")
    await story.connection.execute("UPDATE membership SET role = 'member'")

    page = (await dana.get("/jobs")).text
    assert "only the owner can run again" in page
    for name in ("bad", "wait", "run"):
        assert f"webhook_process_job-1-{name}" in page
    for button in ('<button class="small"', '<button class="primary"', "checkbox"):
        assert button not in page
    for path, fields in (
        ("/jobs/again", {"what": "all"}),
        ("/jobs/cancel", {"job": "webhook_process_job-1-wait"}),
        ("/jobs/cancel", {"job": "webhook_process_job-1-run"}),
        ("/jobs/settle", {"received": "reply:1"}),
    ):
        refused = await post(dana, path, sure="yes", **fields)
        assert refused.status_code == 403
        assert "Only the owner" in refused.text
    states = [await state_of(story, f"webhook_process_job-1-{name}") for name in ("bad", "wait", "run")]
    assert states == ["failed", "ready", "running"]
    assert await effect_of(story, "reply:1") == "unknown"
    assert await story.connection.fetchval("SELECT count(*) FROM job_audit") == 0


@pytest.mark.parametrize("path", ["/jobs/again", "/jobs/cancel", "/jobs/settle"])
async def test_a_deed_needs_a_log_in_and_the_page_s_own_token(
    dana: httpx.AsyncClient, site: Site, shops: Shops, path: str
) -> None:
    await put_job(shops.dana, "webhook_process_job-1-a", "failed", "KeyError")
    await put_effect(shops.dana, "reply:1", "unknown")
    fields = {"what": "all", "sure": "yes", "job": "webhook_process_job-1-a", "received": "reply:1"}
    assert (await dana.post(path, data=fields)).status_code == 403
    assert (await dana.get(path)).status_code == 405
    async with site.visitor() as stranger:
        assert (await stranger.post(path, data=fields)).status_code in {401, 403}
        asked = await stranger.get("/jobs")
        assert (asked.status_code, asked.headers["location"]) == (303, "/login?next=/jobs")
    assert await state_of(shops.dana, "webhook_process_job-1-a") == "failed"
    assert await effect_of(shops.dana, "reply:1") == "unknown"
