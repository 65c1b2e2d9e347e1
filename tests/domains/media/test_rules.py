"""What a file is by its bytes; how large a picture is by its header; as what it is shown, served and sent."""

from __future__ import annotations

import struct
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domains.media.models import MediaFile
from server.domains.media.pictures import size_of
from server.domains.media.rules import Facts, is_fetched, kind_to_send, limit_of, plain_name
from server.domains.media.service import sent_as
from server.domains.media.sniffing import SHOWN, served_as, shown_as, sniff
from server.storages import MediaLimits
from simulator.media import door_photo, voice_note

LIMITS = MediaLimits()


def jpeg(width: int, height: int, orientation: int = 1, order: str = ">") -> bytes:
    name = b"MM" if order == ">" else b"II"
    tiff = name + struct.pack(f"{order}HIHHHIHH", 42, 8, 1, 0x0112, 3, 1, orientation, 0)
    exif = b"Exif\0\0" + tiff
    frame = struct.pack(">BHHB", 8, height, width, 3) + b"\0" * 9
    return b"\xff\xd8" + b"".join(
        bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body
        for marker, body in ((0xE1, exif), (0xC4, b"\0" * 20), (0xC2, frame))
    )


WEBP = b"RIFF\0\0\0\0WEBP"


@pytest.mark.parametrize(
    ("head", "mimetype"),
    [
        (jpeg(4, 3), "image/jpeg"),
        (door_photo(), "image/png"),
        (b"GIF89a", "image/gif"),
        (WEBP + b"VP8X", "image/webp"),
        (b"XXXX\0\0\0\0WEBPVP8X", "application/octet-stream"),
        (b"RIFF\0\0\0\0WAVEfmt ", "audio/wav"),
        (voice_note(), "audio/ogg"),
        (b"ID3\x04", "audio/mpeg"),
        (b"#!AMR\n", "audio/amr"),
        (b"\0\0\0\x18ftypisom", "video/mp4"),
        (b"\0\0\0\x18ftyp3gp4", "video/3gpp"),
        (b"\0\0\0\x18ftypM4A ", "audio/mp4"),
        (b"\0\0\0\x18ftypheic", "image/heic"),
        (b"%PDF-1.7", "application/pdf"),
        (b"PK\x03\x04", "application/zip"),
        (b"<svg onload=alert(1)>", "application/octet-stream"),
        (b"<!doctype html>", "application/octet-stream"),
        (b"MZ\x90", "application/octet-stream"),
        (b"", "application/octet-stream"),
    ],
)
def test_the_bytes_say_what_a_file_is(head, mimetype):
    assert sniff(head) == mimetype


@pytest.mark.parametrize(
    ("mimetype", "head", "size"),
    [
        ("image/png", door_photo(), (320, 240)),
        ("image/gif", b"GIF89a" + struct.pack("<HH", 20, 10), (20, 10)),
        ("image/jpeg", jpeg(400, 300), (400, 300)),
        ("image/jpeg", jpeg(400, 300, orientation=6), (300, 400)),
        ("image/jpeg", jpeg(400, 300, orientation=8, order="<"), (300, 400)),
        ("image/jpeg", jpeg(400, 300, orientation=3), (400, 300)),
        ("image/webp", WEBP + b"VP8 " + b"\0" * 10 + struct.pack("<HH", 0x4000 | 64, 48), (64, 48)),
        ("image/webp", WEBP + b"VP8L" + b"\0" * 5 + struct.pack("<I", (47 << 14) | 63), (64, 48)),
        ("image/webp", WEBP + b"VP8X" + b"\0" * 8 + b"\x3f\0\0\x2f\0\0", (64, 48)),
        ("image/png", door_photo()[:17], None),
        ("image/gif", b"GIF89a\0\0\0\0", None),
        ("application/pdf", b"%PDF-", None),
    ],
)
def test_a_picture_s_header_says_how_large_it_is_shown(mimetype, head, size):
    assert size_of(mimetype, head) == size


@given(
    st.sampled_from(["image/jpeg", "image/png", "image/gif", "image/webp"]),
    st.sampled_from(
        [b"", jpeg(9, 9)[:40], door_photo()[:24], WEBP + b"VP8X", b"\xff\xd8\xff\xe1\0\x10Exif\0\0II"]
    ),
    st.binary(max_size=80),
)
def test_no_header_however_broken_raises(mimetype, start, rest):
    size = size_of(mimetype, start + rest)

    assert size is None or min(size) > 0


def test_only_what_a_browser_does_not_run_is_shown():
    shown = set().union(*SHOWN.values())

    assert not shown & {"image/svg+xml", "text/html", "application/pdf", "application/octet-stream"}
    assert shown_as("document", "image/png") is None
    assert served_as("document", "image/png") == "application/octet-stream"
    assert served_as("voice", "video/mp4") == "audio/mp4"


@pytest.mark.parametrize(
    ("kind", "details", "is_wanted"),
    [
        ("image", {"media": {"id": "1"}}, True),
        ("image", {"media": {"id": "1"}, "view_once": True}, False),
        ("image", {}, False),
        ("location", {"media": {"id": "1"}}, False),
    ],
)
def test_what_is_fetched(kind, details, is_wanted):
    assert is_fetched(kind, details) is is_wanted


def test_limits_are_whatsapp_s_and_what_exceeds_them_goes_as_a_document():
    large = Facts("image/png", LIMITS.image_bytes + 1, "-", None, None)

    assert [limit_of(kind, LIMITS) // 1024 for kind in ("image", "voice", "sticker", "document")] == [
        5 * 1024,
        16 * 1024,
        500,
        100 * 1024,
    ]
    assert kind_to_send(large, LIMITS) == "document"
    assert kind_to_send(Facts("image/gif", 1, "-", None, None), LIMITS) == "document"


@pytest.mark.parametrize(
    ("told", "name"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\x\\quote.pdf", "quote.pdf"),
        ("", None),
        (None, None),
        ("a" * 300, "a" * 200),
    ],
)
def test_a_file_s_name_leads_nowhere(told, name):
    assert plain_name(told) == name


@pytest.mark.parametrize(
    ("told", "sniffed", "sent"),
    [
        ("text/html", "image/png", "image/png"),
        ("application/vnd.ms-excel", "application/zip", "application/vnd.ms-excel"),
        ("text/csv", "application/octet-stream", "text/csv"),
        (None, "application/octet-stream", "application/octet-stream"),
    ],
)
def test_a_provider_is_told_what_the_bytes_say_where_they_say_it(told, sniffed, sent):
    file = MediaFile(kind="document", mimetype_told=told, mimetype=sniffed, created_at=datetime.now(UTC))

    assert sent_as(file) == sent
