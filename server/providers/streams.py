"""Bodies of requests that carry a file: made as they go, so that no file is ever whole in memory."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Mapping
from secrets import token_hex

from server.ports import OutgoingMedia

# What would end a quoted name, as browsers write it (HTML, "multipart form data").
IN_NAMES = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})


def form_with(media: OutgoingMedia, fields: Mapping[str, str]) -> tuple[dict[str, str], AsyncIterator[bytes]]:
    """Return the headers and the body of a multipart form whose last part is a file named `file`."""
    boundary = token_hex(16)
    name = (media.file_name or "file").translate(IN_NAMES)
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'
        for field, value in fields.items()
    ]
    parts.append(
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
        f"Content-Type: {media.mimetype}\r\n\r\n"
    )
    before, after = "".join(parts).encode(), f"\r\n--{boundary}--\r\n".encode()
    headers = {
        "Content-Type": f"multipart/form-data; boundary={boundary}",
        "Content-Length": str(len(before) + media.size_bytes + len(after)),
    }
    return headers, around(before, media.chunks, after)


def base64_size(size_bytes: int) -> int:
    """Return how many letters so many bytes become."""
    return -(-size_bytes // 3) * 4


async def in_base64(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield chunks in base64; three bytes become four letters, so that what is left over waits."""
    held = b""
    async for chunk in chunks:
        held += chunk
        ready = len(held) - len(held) % 3
        yield base64.b64encode(memoryview(held)[:ready])
        held = held[ready:]
    yield base64.b64encode(held)


async def around(before: bytes, chunks: AsyncIterator[bytes], after: bytes) -> AsyncIterator[bytes]:
    """Yield chunks between two pieces."""
    yield before
    async for chunk in chunks:
        yield chunk
    yield after
