"""The file in a posted multipart form, as it comes: never whole in memory, and without a thread."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from server.errors import BadInputError

MOST_HEADER_BYTES = 8 * 1024
MOST_FIELD_BYTES = 64 * 1024


@dataclass(frozen=True)
class UploadedFile:
    """A file while it arrives; its name and type are what the browser says."""

    name: str
    mimetype: str
    chunks: AsyncIterator[bytes]


async def read_file(request: Request) -> UploadedFile:
    """Return the form's first file; raise BadInputError `invalid` where the body is not such a form."""
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise _invalid()
    try:
        form = _Form(request.stream(), boundary)
    except FormParserError:
        raise _invalid() from None
    headers = await form.until_file()
    _, named = parse_options_header(headers.get("content-disposition", ""))
    # Browsers write a quotation mark so, common in Hebrew names (HTML, "multipart form data").
    name = named.get(b"filename", b"").decode("utf-8", "replace").replace("%22", '"')
    return UploadedFile(name, headers.get("content-type", ""), form.content())


class _Form:
    """A form's parts, one after another: what the parser tells of them waits here until it is asked for."""

    def __init__(self, stream: AsyncIterator[bytes], boundary: bytes) -> None:
        self._stream = stream
        self._told: list[tuple[str, bytes]] = []
        self._parser = MultipartParser(
            boundary,
            {
                "on_header_field": lambda data, start, end: self._tell("field", data[start:end]),
                "on_header_value": lambda data, start, end: self._tell("value", data[start:end]),
                "on_header_end": lambda: self._tell("header_end", b""),
                "on_headers_finished": lambda: self._tell("headers", b""),
                "on_part_data": lambda data, start, end: self._tell("data", data[start:end]),
                "on_part_end": lambda: self._tell("end", b""),
            },
        )

    def _tell(self, what: str, data: bytes) -> None:
        self._told.append((what, data))

    async def until_file(self) -> dict[str, str]:
        """Pass over fields to the first file, and return its headers."""
        headers, field, value, passed = dict[str, str](), b"", b"", 0
        async for what, data in self._events():
            passed += len(data)
            if passed > MOST_FIELD_BYTES + MOST_HEADER_BYTES:
                break
            match what:
                case "field":
                    field += data
                case "value":
                    value += data
                case "header_end":
                    # Letter by byte, as the parser of options wants it; a name is UTF-8 only after that.
                    headers[field.decode("latin-1").lower()] = value.decode("latin-1")
                    field = value = b""
                case "headers" if "filename" in headers.get("content-disposition", ""):
                    return headers
                case "end":
                    headers = {}
                case _:
                    pass
        raise _invalid()

    async def content(self) -> AsyncIterator[bytes]:
        """Yield the part's bytes to its end; raise where the body ends before it."""
        async for what, data in self._events():
            if what == "end":
                return
            yield data
        raise _invalid()

    async def _events(self) -> AsyncIterator[tuple[str, bytes]]:
        while True:
            while self._told:
                yield self._told.pop(0)
            chunk = await anext(self._stream, b"")
            if not chunk:
                return
            try:
                self._parser.write(chunk)
            except FormParserError:
                raise _invalid() from None


def _invalid() -> BadInputError:
    return BadInputError("invalid", "The body is not a form with a file, or broke off.")
