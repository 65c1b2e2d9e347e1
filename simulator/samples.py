"""What is sent where the sender chose no file, place, card or order of their own."""

from functools import cache
from pathlib import Path

from simulator.jsontypes import Json
from simulator.media import VOICE_NOTE_SECONDS, VOICE_NOTE_TYPE, door_photo, voice_note
from simulator.said import Kind

_STATIC = Path(__file__).parent / "static"
CLIP_SECONDS = 2
# The square in front of Tel Aviv's city hall, near enough.
PLACE: Json = {"latitude": 32.08, "longitude": 34.78}
CARD: Json = {"name": "אלי המנעולן", "phone": "972541112233"}
ORDER: Json = {
    "catalog_id": "194836987003835",
    "product_items": [
        {"product_retailer_id": "cylinder-60", "quantity": 1, "item_price": 180, "currency": "ILS"}
    ],
}
REFERRAL: Json = {
    "source_url": "https://fb.me/simulated",
    "source_type": "ad",
    "source_id": "120330000000001",
    "headline": "Locked out?",
    "ctwa_clid": "simulated-click",
}


def sample_file(kind: Kind) -> tuple[bytes, str, str]:
    """Return a file of this kind, its type and its name."""
    match kind:
        case Kind.VOICE | Kind.AUDIO:
            return voice_note(), VOICE_NOTE_TYPE, "voice.ogg"
        case Kind.VIDEO:
            return _static("clip.mp4"), "video/mp4", "clip.mp4"
        case Kind.STICKER:
            return _static("sticker.webp"), "image/webp", "sticker.webp"
        case Kind.DOCUMENT:
            return quote_pdf(), "application/pdf", "quote.pdf"
        case _:
            return door_photo(), "image/png", "door.png"


def seconds_of(kind: Kind) -> int:
    """Return how long the sample of this kind plays."""
    return CLIP_SECONDS if kind is Kind.VIDEO else VOICE_NOTE_SECONDS


@cache
def _static(name: str) -> bytes:
    return (_STATIC / name).read_bytes()


@cache
def quote_pdf() -> bytes:
    """Write a price quote as the smallest PDF of one page that readers open."""
    words = b"BT /F1 18 Tf 40 150 Td (Quote 812: cylinder 180, work 250) Tj ET"
    objects = (
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 420 200]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(words), words),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    )
    pdf, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(pdf))
        pdf += b"%d 0 obj%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    count = len(objects) + 1
    head = b"xref\n0 %d\n0000000000 65535 f \n%s" % (count, table)
    return pdf + head + b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (count, len(pdf))
