"""Templates over every channel: listed, filled in every part, and refused as Meta refuses them."""

from __future__ import annotations

import pytest

from server.errors import ProviderRefusedError
from server.ports import ButtonKind, ButtonValue, OutgoingTemplate, TemplateStatus
from server.providers import whatsapp_cloud_templates
from simulator.cloud_templates import TEMPLATES
from simulator.media import door_photo
from tests.contracts.test_message_channels import AT_META, BRIDGE, Line, document, line, photo

__all__ = ["line"]


async def test_a_template_arrives_in_the_words_that_the_customer_reads(line: Line) -> None:
    await line.world.client.post(
        "/sim/cloud/templates", json={"name": "visit", "language": "he", "body": "שלום {{1}}"}
    )

    await line.send(OutgoingTemplate("visit", "he", "שלום דנה", body=["דנה"]))

    [bubble] = await line.shown()
    assert bubble["text"] == "שלום דנה"


async def test_the_templates_of_all_pages_are_listed_where_there_are_any(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whatsapp_cloud_templates, "PAGE", 3)

    listed = await line.channel.list_templates(line.account)

    stands = {(one.name, one.language): (one.status, one.reason, one.variables) for one in listed}
    if line.kind == BRIDGE:
        assert stands == {}
        return
    assert len(stands) == len(TEMPLATES)
    assert stands["appt_reminder", "he"] == (TemplateStatus.APPROVED, None, 2)
    assert stands["refused_offer", "he"] == (TemplateStatus.REJECTED, "PROMOTIONAL", 0)
    assert stands["where_we_are", "he"] == (TemplateStatus.UNSUPPORTED, "HEADER LOCATION", 0)
    assert stands["invoice", "en"] == (TemplateStatus.APPROVED, None, 2)
    assert len(await line.world.calls(provider=line.kind)) == -(-len(TEMPLATES) // 3)


@AT_META
async def test_a_template_is_filled_in_every_part(line: Line) -> None:
    track = ButtonValue(0, ButtonKind.URL, "812")
    await line.send(OutgoingTemplate("order_ready", "he", "", ["דנה", "חמש"], header="812", buttons=[track]))
    await line.send(
        OutgoingTemplate("invoice", "en", "", ["Maya", "May"], ["first_name", "month"], file=document())
    )
    confirm = ButtonValue(0, ButtonKind.QUICK_REPLY, "CONFIRM:7")
    await line.send(OutgoingTemplate("new_doors", "he", "", ["דנה"], file=photo(), buttons=[confirm]))
    code = ButtonValue(0, ButtonKind.COPY_CODE, "25OFF")
    await line.send(OutgoingTemplate("coupon", "he", "", ["25"], buttons=[code]))

    order, invoice, doors, coupon = await line.shown()
    assert order["text"] == "הזמנה 812\nשלום דנה, ההזמנה שלך מוכנה. אפשר לאסוף עד חמש."
    assert order["details"]["buttons"][0]["url"] == "https://shop.test/orders/812"
    assert (invoice["text"], invoice["details"]["file_name"]) == (
        "Hello Maya, here is your invoice of May.",
        "may.pdf",
    )
    assert (await line.world.client.get(doors["url"])).content == door_photo()
    assert doors["choices"][0] == {"how": "template", "id": "CONFIRM:7", "title": "מאשר"}
    assert coupon["details"]["buttons"][0]["code"] == "25OFF"


@pytest.mark.parametrize(
    ("template", "code"),
    [
        (OutgoingTemplate("order_ready", "he", "", ["דנה", "חמש"]), 132000),
        (OutgoingTemplate("order_ready", "he", "", ["דנה", "חמש"], header="812"), 131008),
        (OutgoingTemplate("order_ready", "he", "", ["דנה"], header="812"), 132000),
        (OutgoingTemplate("new_doors", "he", "", ["דנה"]), 132000),
        (OutgoingTemplate("new_doors", "he", "", ["דנה"], header="a text"), 132012),
        (OutgoingTemplate("invoice", "en", "", ["Maya", "May"], ["first_name", "day"]), 132000),
        (OutgoingTemplate("hello_world", "en_US", "", buttons=[ButtonValue(0, ButtonKind.URL, "x")]), 132000),
        (OutgoingTemplate("coupon", "he", "", ["25"], buttons=[ButtonValue(0, ButtonKind.URL, "x")]), 132012),
    ],
)
@AT_META
async def test_meta_refuses_a_template_that_is_not_filled_as_it_was_approved(
    line: Line, template: OutgoingTemplate, code: int
) -> None:
    with pytest.raises(ProviderRefusedError) as refused:
        await line.send(template)

    assert refused.value.code == str(code)
    assert await line.shown() == []
