"""How cells are made, as addresses and forms carry it: bundle, truncation, look, wanted features. A new choice is a field of
`Manner`, a parameter here, and a line in templates/studio_manner.html.
"""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

from fastapi import Depends, Form, Query, Request

from syntheticcellgan.studio import Manner, Studio
from syntheticcellgan.wanted import parse


def studio_of(request: Request) -> Studio:
    studio: Studio = request.app.state.room.studio
    return studio


def studio_as_it_is_now(request: Request) -> Studio:
    """With bundles and looks that have come since; for pages, not for each picture."""
    request.app.state.room.look_for_bundles()
    request.app.state.room.look_for_looks()
    return studio_of(request)


def _from_address(
    bundle: int = 0,
    truncation: float = 1.0,
    look: str = "",
    features: Annotated[list[str] | None, Query(alias="with")] = None,
) -> Manner:
    return Manner(bundle, truncation, look, _features(features))


def _from_form(
    bundle: Annotated[int, Form()] = 0,
    truncation: Annotated[float, Form()] = 1.0,
    look: Annotated[str, Form()] = "",
    features: Annotated[list[str] | None, Form(alias="with")] = None,
) -> Manner:
    return Manner(bundle, truncation, look, _features(features))


def _features(texts: list[str] | None) -> tuple[tuple[str, str], ...]:
    """Of NAME=VALUE texts; an empty one is a field without a choice."""
    return tuple(sorted(parse((text for text in texts or () if text), "with").items()))


InAddress = Annotated[Manner, Depends(_from_address)]
InForm = Annotated[Manner, Depends(_from_form)]


def query(manner: Manner) -> str:
    """What an address whose path names the bundle says of the rest, from the question mark on."""
    look = [("look", manner.look)] if manner.look else []
    features = [("with", f"{name}={value}") for name, value in manner.features]
    return "?" + urlencode([("truncation", str(manner.truncation)), *look, *features])
