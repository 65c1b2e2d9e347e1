"""What a file is by its first bytes, whatever its sender says; after WHATWG's MIME Sniffing Standard, §6."""

from __future__ import annotations

OCTETS = "application/octet-stream"
# Office documents are archives too.
ARCHIVE = "application/zip"
# At which byte, which bytes, what it is; the first that fits.
SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (8, b"WEBPVP", "image/webp"),
    (8, b"WAVE", "audio/wav"),
    (0, b"OggS\x00", "audio/ogg"),
    (0, b"#!AMR", "audio/amr"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\xff\xfb", "audio/mpeg"),
    (0, b"\xff\xf3", "audio/mpeg"),
    (0, b"\xff\xf2", "audio/mpeg"),
    (0, b"\xff\xf1", "audio/aac"),
    (0, b"\xff\xf9", "audio/aac"),
    (0, b"\x1a\x45\xdf\xa3", "video/webm"),
    (0, b"%PDF-", "application/pdf"),
    (0, b"PK\x03\x04", ARCHIVE),
)
# The brand of an ISO base media file (ISO/IEC 14496-12, §4.3), by how it begins; any other holds video.
BRANDS = {
    b"M4A": "audio/mp4",
    b"M4B": "audio/mp4",
    b"3g": "video/3gpp",
    b"qt": "video/quicktime",
    b"hei": "image/heic",
    b"mif1": "image/heic",
    b"avif": "image/avif",
}
RIFF = (b"WEBPVP", b"WAVE")
# What a browser shows without running anything in it. SVG and HTML are none; a PDF needs a viewer that our
# sandbox does not allow.
SHOWN = {
    "image": frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"}),
    "audio": frozenset(
        {"audio/ogg", "audio/mpeg", "audio/mp4", "audio/aac", "audio/wav", "video/mp4", "video/webm"}
    ),
    "video": frozenset({"video/mp4", "video/webm", "video/3gpp", "video/quicktime"}),
}
SHOWN_AS = {"image": "image", "sticker": "image", "audio": "audio", "voice": "audio", "video": "video"}
# What WhatsApp takes as each kind; anything else goes as a document.
SENT_AS = {
    "image/jpeg": "image",
    "image/png": "image",
    "video/mp4": "video",
    "video/3gpp": "video",
    "audio/ogg": "audio",
    "audio/mpeg": "audio",
    "audio/mp4": "audio",
    "audio/aac": "audio",
    "audio/amr": "audio",
}


def sniff(head: bytes) -> str:
    """Return the MIME type that a file's first bytes show; OCTETS where they show none."""
    if head[4:8] == b"ftyp":
        brand = head[8:12]
        return next((told for start, told in BRANDS.items() if brand.startswith(start)), "video/mp4")
    for place, signature, told in SIGNATURES:
        if head.startswith(signature, place) and (signature not in RIFF or head.startswith(b"RIFF")):
            return told
    return OCTETS


def shown_as(kind: str, mimetype: str | None) -> str | None:
    """Return how a page shows a file of a kind: as image, audio or video, or None for a download alone."""
    shown = SHOWN_AS.get(kind)
    return shown if shown is not None and mimetype in SHOWN[shown] else None


def served_as(kind: str, mimetype: str | None) -> str:
    """Return the type that a file is served as: nothing that a browser would run, whatever it holds."""
    if shown_as(kind, mimetype) is None or mimetype is None:
        return OCTETS
    # An audio file in a container that also takes video.
    return mimetype.replace("video/", "audio/") if SHOWN_AS[kind] == "audio" else mimetype
