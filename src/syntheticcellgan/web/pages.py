"""Templates, and errors as pages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2
from fastapi import Request
from fastapi.responses import HTMLResponse

from syntheticcellgan import __version__
from syntheticcellgan.cell_types import resolve
from syntheticcellgan.review.display import filters

STATIC = Path(__file__).parent / "static"

_environment = jinja2.Environment(
    loader=jinja2.ChoiceLoader(
        [jinja2.PackageLoader("syntheticcellgan.web"), jinja2.PackageLoader("syntheticcellgan.review")]
    ),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=jinja2.StrictUndefined,
)
_environment.filters.update(filters(), note_of=lambda name: resolve(name).note)
_environment.globals.update(version=__version__)


def page(template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """The filled-in template."""
    return HTMLResponse(_environment.get_template(template).render(**values), status)


def problem(request: Request, sentence: str, status: int) -> HTMLResponse:
    """A page with one sentence; its way back leads a reader to his session, never to the organiser's pages."""
    parts = request.url.path.split("/")
    home = "/".join(parts[:3]) if parts[1] == "read" and len(parts) > 3 and status != 404 else None
    return page("problem.html", status, sentence=sentence, home=home)
