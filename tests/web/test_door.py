"""Coming in and going out, and who is kept out."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from tests.web.conftest import PASSWORD, Shops, form_token
from tests.web.site import Site, open_site


async def _log_in(browser: httpx.AsyncClient, **changes: str) -> httpx.Response:
    token = form_token(await browser.get("/login"))
    fields = {"csrf": token, "email": "dana@example.com", "password": PASSWORD} | changes
    return await browser.post("/login?next=/inbox", data=fields)


async def test_a_stranger_is_led_to_the_log_in_page_and_back(site: Site, shops: Shops) -> None:
    async with site.visitor() as browser:
        asked = await browser.get("/inbox")
        assert (asked.status_code, asked.headers["location"]) == (303, "/login?next=/inbox")
        entered = await _log_in(browser)
        assert (entered.status_code, entered.headers["location"]) == (303, "/inbox")
        assert (await browser.get("/inbox")).status_code == 200


async def test_a_wrong_password_shows_the_form_again_with_a_sentence(site: Site, shops: Shops) -> None:
    async with site.visitor() as browser:
        refused = await _log_in(browser, password="wrong")
        assert refused.status_code == 401
        assert 'role="alert"' in refused.text
        assert (await browser.get("/inbox")).status_code == 303


async def test_too_many_attempts_are_refused_kindly(site: Site, shops: Shops) -> None:
    async with site.visitor() as browser:
        answers = [(await _log_in(browser, password="wrong")).status_code for _ in range(11)]
    assert answers == [401] * 10 + [429]


@pytest.mark.parametrize("text", ["\x00", "א" * 300, "a@b\x00c.com", "'; DROP TABLE message --"])
async def test_nonsense_in_the_form_is_only_wrong(site: Site, shops: Shops, text: str) -> None:
    async with site.visitor() as browser:
        assert (await _log_in(browser, email=text, password=text)).status_code == 401


async def test_a_form_without_the_page_s_token_is_refused(site: Site, shops: Shops) -> None:
    async with site.visitor() as browser:
        fields = {"email": "dana@example.com", "password": PASSWORD}
        assert (await browser.post("/login", data=fields)).status_code == 403
        await browser.get("/login")
        assert (await browser.post("/login", data=fields | {"csrf": ""})).status_code == 403
        assert (await browser.post("/login", data=fields | {"csrf": "guessed"})).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
    ],
)
async def test_a_form_that_another_site_sends_is_refused_though_it_knows_the_token(
    dana: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    token = form_token(await dana.get("/inbox"))
    assert (await dana.post("/logout", data={"csrf": token}, headers=headers)).status_code == 403
    assert (await dana.get("/inbox")).status_code == 200


@pytest.mark.parametrize("headers", [{}, {"Origin": "null", "Sec-Fetch-Site": "same-origin"}])
async def test_logging_out_ends_the_session_itself(dana: httpx.AsyncClient, headers: dict[str, str]) -> None:
    token = form_token(await dana.get("/inbox"))
    kept = dict(dana.cookies)
    answer = await dana.post("/logout", data={"csrf": token}, headers=headers)
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    dana.cookies.update(kept)
    assert (await dana.get("/inbox")).status_code == 303


async def test_a_script_may_send_the_token_in_a_header(dana: httpx.AsyncClient) -> None:
    token = form_token(await dana.get("/inbox"))
    assert (await dana.post("/logout", headers={"X-CSRF-Token": token})).status_code == 303


async def test_logging_out_needs_the_token_of_this_session(
    dana: httpx.AsyncClient, noa: httpx.AsyncClient
) -> None:
    noas = form_token(await noa.get("/inbox"))
    assert (await dana.post("/logout", data={"csrf": noas})).status_code == 403
    assert (await dana.get("/logout")).status_code == 405


async def test_a_form_larger_than_any_of_ours_is_refused(dana: httpx.AsyncClient) -> None:
    assert (await dana.post("/logout", data={"csrf": "x" * 100_000})).status_code == 403


async def test_a_one_time_link_lets_one_of_many_in(site: Site, shops: Shops) -> None:
    async def enter() -> str:
        async with site.visitor() as browser:
            answer = await browser.get(f"/enter/{shops.links['dana']}")
        return f"{answer.status_code} {answer.headers.get('location', '')}"

    answers = await asyncio.gather(*(enter() for _ in range(10)))
    assert sorted(answers) == ["303 /"] + ["410 "] * 9


async def test_a_link_that_only_previews_look_at_is_not_used_up(site: Site, shops: Shops) -> None:
    async with site.visitor() as browser:
        await browser.head(f"/enter/{shops.links['dana']}")
        assert (await browser.get(f"/enter/{shops.links['dana']}")).status_code == 303


async def test_a_used_link_still_leads_in_whoever_is_logged_in(dana: httpx.AsyncClient, shops: Shops) -> None:
    again = await dana.get(f"/enter/{shops.links['dana']}")
    assert (again.status_code, again.headers["location"]) == (303, "/")


async def test_a_session_is_kept_where_no_script_reads_it(site: Site, shops: Shops) -> None:
    async with site.visitor() as browser:
        cookie = (await browser.get(f"/enter/{shops.links['dana']}")).headers["set-cookie"]
    assert cookie.startswith("prosaas_session=")
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Path=/" in cookie


async def test_over_https_the_browser_itself_guards_the_cookie(
    clean_database: str, shops: Shops, free_port: int
) -> None:
    async with (
        open_site(clean_database, free_port, public_url="https://shop.example") as site,
        site.visitor() as browser,
    ):
        cookie = (await browser.get(f"/enter/{shops.links['dana']}")).headers["set-cookie"]
    assert cookie.startswith("__Host-prosaas_session=")
    assert "Secure" in cookie


@pytest.mark.parametrize("next_path", ["//evil.example", "/\\evil.example", "https://evil.example", "inbox"])
async def test_logging_in_never_leads_to_another_host(dana: httpx.AsyncClient, next_path: str) -> None:
    answer = await dana.get("/login", params={"next": next_path})
    assert answer.headers["location"] == "/"
