"""From a template to an answer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import jinja2
from starlette.responses import HTMLResponse

from server.web.assets import Assets
from server.web.text import inert
from server.web.words import Language

if TYPE_CHECKING:
    from server.web.context import Visit

FOLDER = Path(__file__).parent / "templates"


def load_templates(assets: Assets) -> jinja2.Environment:
    """Read and compile every template; what they print is escaped, and inert for the eye."""
    environment = jinja2.Environment(
        loader=jinja2.DictLoader(
            {path.name: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.html"))}
        ),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: inert(value) if type(value) is str else value,
    )
    environment.globals["asset"] = assets.url
    for name in environment.list_templates():
        environment.get_template(name)
    return environment


def page(
    visit: Visit, template: str, /, *, status: int = 200, path: str = "/", **values: Any
) -> HTMLResponse:
    """Render a page in the visitor's language; `path` is where the language switch leads."""
    language = visit.words.language
    other = Language.ENGLISH if language is Language.HEBREW else Language.HEBREW
    html = visit.context.templates.get_template(template).render(
        t=visit.words,
        language=language,
        other=other,
        other_href=f"{path}?{urlencode({'lang': other})}",
        login=visit.login,
        form_token=visit.form_token,
        has_demo=bool(visit.context.simulator_url),
        **values,
    )
    return HTMLResponse(html, status)


def problem(visit: Visit, status: int, key: str) -> HTMLResponse:
    """Render a short friendly page about what went wrong; `key` names its title and its text."""
    return page(
        visit,
        "problem.html",
        status=status,
        title=visit.words(f"problem.{key}.title"),
        sentence=visit.words(f"problem.{key}.text"),
    )
