"""Templates, and errors as pages."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import jinja2
from fastapi import Request
from fastapi.responses import HTMLResponse
from markupsafe import Markup, escape

from syntheticcellgan import __version__
from syntheticcellgan.cell_types import resolve
from syntheticcellgan.review.display import filters
from syntheticcellgan.web.safety import COOKIE, same

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


def moment(seconds: float) -> str:
    """Seconds since 1970 in the computer's own time."""
    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M")


def duration(seconds: float) -> str:
    """To the minute; days where there are many hours."""
    minutes = max(round(seconds / 60), 1)
    if minutes >= 48 * 60:
        return f"{minutes / 1440:.1f} days"
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min"


def ticks(text: str) -> Markup:
    """Words between backquotes, as in Markdown, as code."""
    parts = [escape(part) for part in text.split("`")]
    return Markup("").join(Markup("<code>{}</code>").format(part) if k % 2 else part for k, part in enumerate(parts))


def curve(points: Sequence[tuple[float, float]]) -> Markup:
    """A line without axes, 100 × 40, for the course of a loss."""
    xs, ys = [x for x, _ in points], [y for _, y in points]
    if len(points) < 2:
        return Markup("")
    wide, high = max(xs) - min(xs) or 1, max(ys) - min(ys) or 1
    places = " ".join(f"{100 * (x - min(xs)) / wide:.1f},{38 - 36 * (y - min(ys)) / high:.1f}" for x, y in points)
    return Markup(
        '<svg class="curve" viewBox="0 0 100 40" preserveAspectRatio="none" aria-hidden="true">{}</svg>'
    ).format(Markup('<polyline points="{}"/>').format(places))


_environment.filters.update(
    filters(), note_of=lambda name: resolve(name).note, moment=moment, duration=duration, curve=curve, ticks=ticks
)
_environment.tests["in_error"] = lambda line: line.startswith("Error: ")
_environment.globals.update(version=__version__)


def page(template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """The filled-in template."""
    return HTMLResponse(_environment.get_template(template).render(**values), status)


def form_page(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """A page of the organiser's: its forms carry what no other site can know."""
    return page(template, status, csrf=request.app.state.room.keys.csrf, **values)


def problem(request: Request, sentence: str, status: int) -> HTMLResponse:
    """A page with one sentence; a reader's way back leads to the session, never to the organiser's pages."""
    parts = request.scope["path"].split("/")  # the address as a whole need not be readable
    home = "/".join(parts[:3]) if len(parts) > 3 and parts[1] == "read" and status != 404 else None
    organiser = same(request.cookies.get(COOKIE), request.app.state.room.keys.cookie)
    return page("problem.html", status, sentence=sentence, home=home, organiser=organiser)
