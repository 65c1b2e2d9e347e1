"""Style, modules and pictures: read into memory once, served under names that change with them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

FOLDER = Path(__file__).parent / "static"
MEDIA_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_IMPORT = re.compile(r'(?<=from ")\./([\w.-]+)(?=")')


@dataclass(frozen=True)
class Assets:
    """Every static file: `names` leads from the name in the folder to the name in the address."""

    names: Mapping[str, str]
    contents: Mapping[str, bytes]

    def url(self, name: str) -> str:
        """Return the address of a file; KeyError when there is none."""
        return f"/static/{self.names[name]}"

    async def serve(self, request: Request) -> Response:
        """Answer with a file, to be kept for a year: other content has another name."""
        name = request.path_params["name"]
        if name not in self.contents:
            return PlainTextResponse("Not found", 404)
        return Response(
            self.contents[name],
            media_type=MEDIA_TYPES[Path(name).suffix],
            headers={"Cache-Control": "public, max-age=31536000, immutable"},
        )


def load_assets(folder: Path = FOLDER) -> Assets:
    """Read the folder; a module's imports are rewritten to the names their targets are served under."""
    names: dict[str, str] = {}
    contents: dict[str, bytes] = {}

    def add(path: Path) -> str:
        if path.name not in names:
            text = path.read_text(encoding="utf-8")
            if path.suffix == ".js":
                text = _IMPORT.sub(lambda found: f"./{add(folder / found[1])}", text)
            content = text.encode()
            digest = hashlib.sha256(content).hexdigest()[:12]
            names[path.name] = f"{path.stem}.{digest}{path.suffix}"
            contents[names[path.name]] = content
        return names[path.name]

    for path in sorted(folder.iterdir()):
        if path.suffix in MEDIA_TYPES:
            add(path)
    return Assets(names, contents)
