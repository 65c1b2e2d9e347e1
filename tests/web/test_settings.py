"""The hub of the settings: for owners, with a row for every subject."""

from __future__ import annotations

import httpx

from server.web.settings import SUBJECTS


async def test_an_owner_finds_every_subject_that_can_be_set_up(dana: httpx.AsyncClient) -> None:
    page = await dana.get("/settings")

    assert page.status_code == 200
    assert all(f'href="{subject.href}"' in page.text for subject in SUBJECTS)
    assert [(await dana.get(subject.href)).status_code for subject in SUBJECTS] == [200] * len(SUBJECTS)
